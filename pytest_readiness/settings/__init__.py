"""readiness.ini as frozen Settings.

PYTEST_DONT_REWRITE
"""

from pytest_readiness.settings.reader import KeyOf as KeyOf
from pytest_readiness.settings.reader import SectionOf as SectionOf
from pytest_readiness.settings.reader import Settings as Settings
from pytest_readiness.settings.reader import from_values as from_values
from pytest_readiness.settings.reader import key_of as key_of
from pytest_readiness.settings.reader import load as load
from pytest_readiness.settings.reader import sections as sections
