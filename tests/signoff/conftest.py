from pathlib import Path

import pytest

from tests.servers.programs import need
from tests.signoff import desk, keys
from tests.signoff.desk import Desk


@pytest.fixture(scope="session", autouse=True)
def _programs() -> None:
    """Hold everything here to the real programs, or skip by name."""
    need("ssh-keygen", "ssh-agent", "openssl")


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> dict[str, keys.Person]:
    """Return one person a role."""
    return desk.people(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def ready(tmp_path: Path, people: dict[str, keys.Person]) -> Desk:
    """Return a run that is READY and that nobody has signed."""
    return Desk(tmp_path, people).rule().has(desk.report())


@pytest.fixture
def waived(tmp_path: Path, people: dict[str, keys.Person]) -> Desk:
    """Return a run with a waiver, which the security lead may accept."""
    return Desk(tmp_path, people).rule('accept_waivers = ["security-lead"]').has(desk.waived())
