"""Sources of a project whose checks, tests and fixtures meet secrets and say them everywhere."""

# Of the project: {names} are filled in with planted secrets, as literals only where its authors
# would have them from elsewhere at run time; the sources are no output and are not looked through.
CHECKS = """\
import base64, json, logging, os, subprocess, sys, urllib.parse, warnings
import pytest
from pytest_readiness import Evidence, Safety, Severity, check

SECRET = os.environ["SHOP_API_TOKEN"]
DIGITS = int(os.environ["SHOP_PIN_PASSWORD"])

@pytest.fixture
def broken():
    raise RuntimeError("cannot log in: password={fixture_error}\\nand " + SECRET)

def notes(evidence):
    evidence.examined(["shop"])
    evidence.observed(size=3)
    evidence.expected(size="> 2")
"""
BODIES = {
    "shop-broken": ("evidence, broken", "notes(evidence)"),
    "shop-raises": ("evidence", "raise ValueError('token: {check_error} ' + repr(SECRET))"),
    "shop-asserts": (
        "evidence",
        "answer = {{'authorization': 'Bearer {assertion}', 'local': SECRET, "
        "'password': '{local}'}}\nassert answer == {{}}",
    ),
    "shop-notes": (
        "evidence",
        "notes(evidence)\n"
        "evidence.examined([SECRET])\n"
        "evidence.observed(password='{observed}', header='Bearer {header}', known=[SECRET])\n"
        "evidence.observed(**{{SECRET: SECRET.encode().hex()}})\n"
        "evidence.expected(token=SECRET)\n"
        "evidence.finding('https://reader:{subject}@shop.example.org', 'api_key={problem}')\n"
        "evidence.finding(SECRET, urllib.parse.quote(SECRET))\n",
    ),
    "shop-says": (
        "evidence, record_property",
        "notes(evidence)\n"
        "print(SECRET, base64.b64encode(SECRET.encode()).decode(), json.dumps(SECRET))\n"
        "print(base64.b64encode(('reader:' + SECRET).encode()).decode(), file=sys.stderr)\n"
        "os.write(1, SECRET.encode())\n"
        "os.write(2, SECRET.encode())\n"
        "inner = 'import os; print(os.environ[\"SHOP_API_TOKEN\"])'\n"
        "subprocess.run([sys.executable, '-c', inner])\n"
        "logging.getLogger('shop').error('logged in with %s', SECRET)\n"
        "try:\n    raise KeyError(SECRET)\nexcept KeyError:\n    logging.exception('no login')\n"
        "warnings.warn('old secret: ' + SECRET)\n"
        "record_property('known', SECRET)\n",
    ),
    "shop-skips": ("evidence", "pytest.skip(SECRET)"),
    "shop-digits": (
        "evidence, record_property",
        "notes(evidence)\n"
        "evidence.observed(pin=DIGITS, pins=[float(DIGITS), {{'a': -DIGITS}}], next=DIGITS * 10)\n"
        "evidence.expected(pin=DIGITS + 0.5)\n"
        "evidence.finding('pin', f'{{DIGITS:,}} is in use')\n"
        "record_property('pin', DIGITS)\n",
    ),
    "shop-cases": ("evidence, key", "notes(evidence)"),
    "shop-names": ("evidence, key", "notes(evidence)"),
}
NAMES = "[SECRET, SECRET.encode(), DIGITS, pytest.param(1, id=SECRET), pytest.param(2, id='a')]"
# Ordinary tests beside the checklist, whose run is ours all the same.
PLAIN = """\
import logging, sys, unittest, warnings
import pytest
from test_shop import DIGITS, SECRET
pytestmark = pytest.mark.readiness

@pytest.fixture
def broken():
    raise RuntimeError("no login for " + SECRET)

@pytest.fixture
def leaves():
    yield
    raise RuntimeError("no logout for " + SECRET)

@pytest.mark.parametrize("key", {names})
def test_named(key):
    secret = SECRET
    print(secret)
    print(SECRET, file=sys.stderr)
    logging.getLogger("plain").error("no login with %s", secret)
    warnings.warn("old secret: " + secret)
    answer = dict(pin=DIGITS, secret=[secret])
    assert answer == dict(pin=0)

def test_asks(broken): pass
def test_leaves(leaves): pass
def test_skips(): pytest.skip(SECRET)
def test_expected(): pytest.xfail(SECRET)
@pytest.mark.xfail(reason=SECRET)
def test_unexpected(): pass
@pytest.mark.skip(reason=SECRET)
def test_marked(): pass

def test_records(record_property, record_xml_attribute, record_testsuite_property):
    record_property("pin", DIGITS)
    record_property(SECRET, [SECRET.encode(), dict(a=SECRET)])
    record_xml_attribute("pin", SECRET)
    record_testsuite_property(SECRET, SECRET)
    raise ExceptionGroup("two", [ValueError(SECRET), KeyError(DIGITS)])

def test_parts(subtests):
    with subtests.test(SECRET, pin=DIGITS, key=SECRET):
        assert SECRET == ""

class TestToken(unittest.TestCase):
    def test_case(self):
        with self.subTest(SECRET, key=SECRET):
            self.assertEqual(SECRET, "")
"""
CONFTEST = """\
import pathlib
# What the controller was told, whole: with workers these are their messages.
def note(*what):
    with (pathlib.Path(__file__).parent / "told.txt").open("a") as file:
        file.write(repr(what) + "\\n")

def pytest_runtest_logreport(report):
    note(report.__dict__, str(report.longrepr))

def pytest_collectreport(report):
    note(report.nodeid, str(report.longrepr), report.sections)

def pytest_warning_recorded(warning_message, nodeid):
    note(nodeid, str(warning_message.message), warning_message.message.args)
"""
