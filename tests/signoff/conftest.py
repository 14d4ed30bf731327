import pytest

from tests.servers.programs import need


@pytest.fixture(scope="session", autouse=True)
def _programs() -> None:
    """Hold everything here to the real programs, or skip by name."""
    need("ssh-keygen", "ssh-agent", "openssl")
