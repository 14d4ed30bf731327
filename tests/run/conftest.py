from pathlib import Path

import pytest

from tests.run.project import GOOD, READY_INI, Project, check_source, checks_file


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Return a project whose two checks pass and that is READY."""
    made = Project(tmp_path)
    made.write("readiness.ini", READY_INI)
    made.write(
        "test_shop.py", checks_file(check_source("shop-one", GOOD), check_source("shop-two", GOOD))
    )
    return made
