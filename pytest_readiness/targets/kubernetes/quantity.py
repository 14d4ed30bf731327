"""Kubernetes quantities, exactly: `3920m`, `8145240Ki`, `8Gi`, `16e9`.

Source of the rule: k8s.io/apimachinery pkg/api/resource, "Quantity": a signed decimal number, then
one of n u m, k M G T P E (powers of 1000), Ki Mi Gi Ti Pi Ei (powers of 1024), or a decimal
exponent e or E with digits. `8E` is 8 exa, `8E3` is 8000.

PYTEST_DONT_REWRITE
"""

import re
from fractions import Fraction

_FORM = re.compile(
    r"(?P<number>[+-]?(?:\d+(?:\.\d*)?|\.\d+))"
    r"(?:(?P<suffix>[numkMGTPE]|[KMGTPE]i)|[eE](?P<exponent>[+-]?\d{1,3}))?\Z",
    re.ASCII,
)
_DECIMAL = {"n": -3, "u": -2, "m": -1, "k": 1, "M": 2, "G": 3, "T": 4, "P": 5, "E": 6}
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_LONGEST = 64  # no quantity of a real object is longer; bounds the arithmetic on a hostile one


def parse(text: str) -> Fraction:
    """Return the quantity in its base unit: cores, bytes. Raises ValueError for anything else."""
    match = _FORM.match(text) if len(text) <= _LONGEST else None
    if match is None:
        raise ValueError(f"{text[:_LONGEST]!r} is not a quantity")
    number = Fraction(match["number"])
    suffix, exponent = match["suffix"], match["exponent"]
    if exponent is not None:
        return _scaled(number, 10, int(exponent))
    if suffix in _BINARY:
        return _scaled(number, 1024, _BINARY[suffix])
    return _scaled(number, 1000, _DECIMAL[suffix]) if suffix else number


def _scaled(number: Fraction, base: int, power: int) -> Fraction:
    factor: int = base ** abs(power)
    return number * factor if power >= 0 else number / factor
