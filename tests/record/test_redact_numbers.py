"""Secrets of digits: found in numbers too, and no other number is touched."""

import json
from typing import Any

import msgspec
import pytest

from pytest_readiness.record.redact import Redactor, count


@pytest.fixture
def redactor() -> Redactor:
    return Redactor(b"salt")


NUMBER = "48151623"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (48151623, "T"),
        (-48151623, "-T"),
        (48151623.0, "T.0"),
        (48151623.25, "T.25"),
        (0.48151623, "0.T"),
        (7481516230, "7T0"),
        (4.8151623e21, "T00000000000000"),
        (4.8151623e-9, "0.00000000T"),
        ([{"a": 48151623}], [{"a": "T"}]),
        ("48,151,623 and 48_151_623", "T and T"),
        (3438313531363233, "T"),  # its hexadecimal form has no letters either
    ],
)
def test_a_known_secret_of_digits_is_found_in_numbers(value: Any, shown: Any) -> None:
    redactor = Redactor(b"salt")
    redactor.learn([NUMBER])
    token = redactor.text(NUMBER)
    expected = json.loads(json.dumps(shown).replace("T", token))
    assert redactor.json({"observed": value}) == {"observed": expected}
    assert redactor.json({"token": value if isinstance(value, int) else 0}) != {"token": value}


@pytest.mark.parametrize(
    "value", [True, 1, 4815162, 481516.23, 1e300, -(2**63), 10**400, 123456, 0.1234, 12.34]
)
def test_other_numbers_are_not_touched(value: float) -> None:
    redactor = Redactor(b"salt")
    redactor.learn([NUMBER, "1234", "true"])
    assert redactor.json([value]) == [value]
    assert isinstance(redactor.json(value), type(value))


def test_a_short_secret_of_digits_is_found_where_the_number_is_it(redactor: Redactor) -> None:
    redactor.learn(["1234", "00004321"])
    token = redactor.text("1234")
    assert redactor.json([1234, 1234.0, 51234]) == [token, f"{token}.0", 51234]
    assert redactor.json(4321) == redactor.text("4321") == redactor.text("00004321")


def test_encoded_numbers_are_redacted(redactor: Redactor) -> None:
    redactor.learn([NUMBER])
    encoded = json.dumps({"pods": 3, "serial": int(NUMBER)}).encode()
    assert json.loads(redactor.encoded(encoded)) == {"pods": 3, "serial": redactor.text(NUMBER)}


def test_a_number_that_is_named_a_password_is_redacted(redactor: Redactor) -> None:
    value: Any = {"password": 7415, "DB_PASS": [741523], "token": 7415, "pwd": True, "passwd": 12}
    clean: Any = redactor.json(value)
    assert (count(json.dumps(clean, ensure_ascii=False)), clean["token"]) == (2, 7415)
    assert (clean["pwd"], clean["passwd"]) == (True, 12)
    assert redactor.encoded(json.dumps(value).encode()) == msgspec.json.encode(clean)
