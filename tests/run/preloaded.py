"""What the process that runs are forked from has imported: what most of them would wait for.

Left out is what a run may not find imported already: `checklist.check`, by which the plugin sees
that a project has checks of its own, with all that imports it; what is run as `__main__`; and the
plugins that come with a distribution of their own, whose asserts pytest rewrites on import.
"""

import os
import sys
from importlib import import_module
from pkgutil import walk_packages

from _pytest.config import default_plugins

import pytest_readiness
from pytest_readiness.report import html

LEFT_OUT = ("checklist", "cli", "commands", "run")  # rooms
PID = os.getpid()
# The path without what `python -m` or `python -c` puts first.
PATH = sys.path[1:]

for _name in default_plugins:
    import_module(f"_pytest.{_name}")
for _module in walk_packages(pytest_readiness.__path__, "pytest_readiness."):
    if _module.name.split(".")[1] not in LEFT_OUT:
        import_module(_module.name)
for _template in html.TEMPLATES.iterdir():
    html.environment().get_template(_template.name)
if "pytest_readiness.checklist.check" in sys.modules:
    raise AssertionError("a run could not tell any more whether its project has checks")
if "coverage" in sys.modules:
    import coverage

    # What the imports covered is saved once, here; each fork measures for itself.
    if (measured := coverage.Coverage.current()) is not None:
        measured.stop()
        measured.save()
