"""The one place where secrets are taken out, in the process that read them.

Everything that is stored, sent or shown passes a Redactor first: recorded facts, evidence,
failure texts, captured output. A secret becomes a token that is the same for the same secret
within a run, so that two places that held one value can still be seen to agree.

Two kinds are found: values that are known (of readiness.ini, of the environment), in every form
they may take, and values whose surroundings or shape give them away.

PYTEST_DONT_REWRITE
"""

import base64
import hmac
import html
import json
import os
import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from urllib.parse import quote, quote_plus

import msgspec

from pytest_readiness.results.evidence import Json

MARK = "«redacted:"
# Shorter values would blank out ordinary words; no system worth a checklist has such a password.
SHORTEST = 4
# What a variable of the environment holds is secret by its name alone, so that flags and words
# (`USE_TOKEN=true`, `GIT_CREDENTIAL=store`) must not be taken for secrets.
SHORTEST_OF_ENVIRONMENT = 8
_DIRECTORIES = ("PWD", "OLDPWD")
# A number is a secret where it is one; that a shorter one lies within it is chance.
SHORTEST_WITHIN_A_NUMBER = 8
LONGEST_NUMBER = 20  # digits, of 64 bits
# Of a secret of several lines, which others indent; shorter ones may be ordinary words.
SHORTEST_LINE = 16
# Pytest cuts a long text in its middle, at 240 characters or less, and leaves both ends.
_CUT = "..."
_SHORTEST_END, _LONGEST_END = 6, 240

_PASSWORD = r"passw(?:or)?d|pwd|passphrase|passcode|_pass"
_SENSITIVE = (
    rf"{_PASSWORD}|secret|token|authorization|cookie|credentials?|client[_-]?key[_-]data|"
    r"(?:api|access|private|signing|account|encryption|master|shared|session)[_-]?key"
)
_SENSITIVE_NAME = re.compile(rf"(?:{_SENSITIVE})\Z", re.IGNORECASE)
_PASSWORD_NAME = re.compile(rf"(?:{_PASSWORD})\Z", re.IGNORECASE)

# Every pattern takes time linear in the text, whatever it holds: no two unbounded parts that can
# match the same characters follow each other, and none that is unbounded begins a pattern.
_TOKEN = rf"{MARK[0]}?{MARK[1:]}[0-9a-f]{{8}}"  # in a node id it has no marks around it
_NOT_YET = rf"(?!{_TOKEN})"
_IS = r"(?::(?!:)|=)"  # `TestToken::test_valid` gives no value
_GAP = r"[^\S\r\n]*"
_NAMED = (  # `token: `, `"token": `, `\"token\": `, `token=`, `--api-token `
    rf"(?=[_acempst-])(?:(?:{_SENSITIVE})\\*[\"']?{_GAP}{_IS}{_GAP}|"
    rf"(?<![\w-])--?[\w-]*?(?:{_SENSITIVE})[^\S\r\n]+)"
)
_SCHEME = r"(?:(?:bearer|basic|digest|token|negotiate)\s+)?"
_WORD = r"(?:true|false|null|none)"
_IS_WORD = re.compile(rf"{_WORD}?\Z", re.IGNORECASE)
_BARE, _BARE_END = r"[^\s\"'&<>\\«]", r"[^\s\"'&<>\\«,;:.)\]}]"
_PATTERNS = tuple(
    re.compile(pattern, flags)
    for pattern, flags in (
        # The last group that matched is the secret itself.
        (
            r"(-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----[^\"'<>]*?"
            r"(?:-----END [A-Z ]*PRIVATE KEY(?: BLOCK)?-----|(?=[\"'<>])|\Z))",
            0,
        ),
        # The same in base64: PRIVATE, RSA, EC, DSA, OPENSSH, ENCRYPTED.
        (r"(LS0tLS1CRUdJTi(?:BQUklW|BSU0Eg|BFQyBQ|BEU0Eg|BPUEVO|BFTkNS)[\w+/=-]+)", 0),
        (r"(?<![\w-])(eyJ[\w-]{8,}+(?:\.[\w-]*){2,4})", 0),
        # `Bearer token` and `basic authentication` are words, `Bearer x7Gk...` is none.
        (
            rf"\b(?:bearer|basic)\s+{_NOT_YET}(?=\S*\d|(?-i:\S*[a-z][A-Z])|\w{{20}})"
            r"([A-Za-z0-9._~+/=-]{8,})",
            re.IGNORECASE,
        ),
        (rf"://[^\s/:@\"'<>«]*:{_NOT_YET}([^\s/\"'<>]+)@", 0),
        (r"://([^\s/:@\"'<>«]{20,})@", 0),
        # Quoted: to the closing quote, which in JSON within JSON has its backslashes too. Bare: to
        # the next space, and a number or a word of JSON is none.
        (
            rf"{_NAMED}(?:"
            rf"([\"']){_SCHEME}{_NOT_YET}(?!{_WORD}\1)((?:\\.|(?!\1)[^\\\r\n])+)|"
            rf"(\\+[\"']){_SCHEME}{_NOT_YET}(?!{_WORD}\3)((?:(?!(?<!\\)\3)[^\r\n])+)|"
            rf"{_SCHEME}{_NOT_YET}(?!(?:{_WORD}|\d+)\b)({_BARE}{{3,}}{_BARE_END}))",
            re.IGNORECASE,
        ),
        (rf"(?:{_PASSWORD}){_GAP}[:=]{_GAP}(\d{{4,}})\b", re.IGNORECASE),
        (rf"\bcookie2?{_GAP}:{_GAP}([^\r\n\"']*=[^\r\n\"']+)", re.IGNORECASE),
        (
            r"(?:\bIDENTIFIED|_password|_hash)\s+BY\s+(?:KEY\s+)?(\\*')"
            rf"{_NOT_YET}((?:\\[^']|''|(?!\1)[^\\]|(?!\1)\\')+)",
            re.IGNORECASE,
        ),
        (rf"\b(?:{_PASSWORD})\s+\\*'{_NOT_YET}([^'\\]+)", re.IGNORECASE),
        (rf"[?&](?:sig|x-amz-signature){_GAP}={_GAP}([^\s&\"'<>«]+)", re.IGNORECASE),
        (
            r"\b((?:AKIA|ASIA)[0-9A-Z]{16}|gh[pousr]_\w{30,}|github_pat_\w{20,}|"
            r"glpat-[\w-]{20,}|xox[abprs]-[\w-]{10,}|hv[sb]\.[\w-]{20,}|[sr]k_live_\w{16,}|"
            r"AIza[\w-]{35})",
            0,
        ),
    )
)
# A Secret of Kubernetes, as JSON, repr or YAML, whole or within an annotation of kubectl.
_SECRET_OBJECT = re.compile(r"\bkind\\*[\"']?:\s*\\*[\"']?Secret\b")
_DATA_IN_BRACES = re.compile(r"\b(?:stringData|data)\\*[\"']:\s*\{([^{}]*)\}")
_DATA_IN_LINES = re.compile(r"^([ ]*)(?:stringData|data):[ ]*\n((?:\1[ ]+\S.*(?:\n|\Z))+)", re.M)
_VALUE_IN_BRACES = re.compile(rf":\s*\\*[\"']{_NOT_YET}([^\"'\\]+)")
_VALUE_IN_LINES = re.compile(rf":[ ]+{_NOT_YET}(\S.*)")


class Redactor:
    """Replaces secrets by tokens. salt: random bytes of this run, shared by its workers."""

    def __init__(self, salt: bytes) -> None:
        self._salt = salt
        self._tokens: dict[str, str] = {}
        self._known: re.Pattern[str] | None = None
        self._digits: re.Pattern[str] | None = None
        self._long: dict[str, str] = {}  # what may have been cut -> token

    def learn(self, secrets: Iterable[str]) -> None:
        """Remember values that must never be shown, in every form they may take."""
        for secret in secrets:
            if len(secret) >= SHORTEST:
                token = self._token(secret)
                self._tokens.update(dict.fromkeys(_forms(secret), token))
                whole = (secret, repr(secret)[1:-1])
                self._long.update({form: token for form in whole if len(form) > _SHORTEST_END})
        if self._tokens:
            longest_first = sorted(self._tokens, key=len, reverse=True)
            # What is a token already is matched first, and stays.
            parts = (rf"{_TOKEN}»?", *map(re.escape, longest_first))
            self._known = re.compile("|".join(parts))
            digits = [_in_a_number(form) for form in longest_first if form.isdecimal()]
            self._digits = re.compile("|".join(digits)) if digits else None

    def learn_environment(self, environment: Mapping[str, str]) -> None:
        """Remember the values of variables whose name says that they are secret."""
        self.learn(
            value
            for name, value in environment.items()
            if _SENSITIVE_NAME.search(name)
            and name not in _DIRECTORIES
            and len(value) >= SHORTEST_OF_ENVIRONMENT
        )

    def text(self, text: str) -> str:
        """Return the text with every secret replaced; already redacted text stays as it is."""
        if self._known is not None:
            text = self._known.sub(lambda match: self._tokens.get(match[0], match[0]), text)
            text = self._without_ends(text)
        if _SECRET_OBJECT.search(text):
            text = _DATA_IN_BRACES.sub(self._inside(_VALUE_IN_BRACES), text)
            text = _DATA_IN_LINES.sub(self._inside(_VALUE_IN_LINES), text)
        for pattern in _PATTERNS:
            text = pattern.sub(self._replace, text)
        return text

    def json(self, value: Json) -> Json:
        """Return the value with every text and number in it redacted, keys included.

        A number that holds a secret becomes the text of it.
        """
        match value:
            case str():
                return self.text(value)
            case bool():
                return value
            case int() | float():
                return self._number(value)
            case list() | tuple():
                return [self.json(item) for item in value]
            case dict():
                secret = value.get("kind") == "Secret"
                return {
                    self.text(key): self._all(item, _PASSWORD_NAME.search(key) is not None)
                    if _SENSITIVE_NAME.search(key) or (secret and key in ("data", "stringData"))
                    else self.json(item)
                    for key, item in value.items()
                }
            case _:
                return value

    def encoded(self, encoded: bytes) -> bytes:
        """Return encoded JSON redacted, and still JSON.

        A list of twenty thousand objects costs one pass over its text where it holds no secret.
        """
        text = encoded.decode()
        if self.text(text) == text:
            return encoded
        return msgspec.json.encode(self.json(msgspec.json.decode(encoded)))

    def _without_ends(self, text: str) -> str:
        """Return the text without the ends of secrets on both sides of where it was cut."""
        parts = text.split(_CUT)
        for number in range(1, len(parts)):
            for secret, token in self._long.items():
                if begun := _begun(parts[number - 1], secret):
                    parts[number - 1] = parts[number - 1].removesuffix(begun) + token
                if rest := _rest(parts[number], secret):
                    parts[number] = token + parts[number].removeprefix(rest)
        return _CUT.join(parts)

    def _number(self, value: int | float) -> int | float | str:
        """Return the number, as text with a token where it is or holds a known secret."""
        if self._digits is None:
            return value
        text = f"{Decimal(repr(value)):f}"  # all digits, also of 1e+21
        clean = self._digits.sub(lambda match: self._tokens[match[0]], text)
        return value if clean == text else clean

    def _all(self, value: Json, password: bool) -> Json:
        """Replace every text of a value whose name says that it is secret.

        password: a number is one, too. A token is never a number, and a count of tokens is.
        """
        match value:
            case str():
                keep = value.startswith(MARK) or _IS_WORD.match(value)
                return value if keep else self._token(value)
            case bool():
                return value
            case int() if password and len(str(value)) >= SHORTEST:
                return self._token(str(value))
            case int() | float():
                return self._number(value)
            case list() | tuple():
                return [self._all(item, password) for item in value]
            case dict():
                return {self.text(key): self._all(item, password) for key, item in value.items()}
            case _:
                return value

    def _replace(self, match: re.Match[str]) -> str:
        return self._put(match, self._token(match[match.lastindex or 0]))

    def _inside(self, values: re.Pattern[str]) -> Callable[[re.Match[str]], str]:
        def replace(match: re.Match[str]) -> str:
            return self._put(match, values.sub(self._replace, match[match.lastindex or 0]))

        return replace

    def _put(self, match: re.Match[str], text: str) -> str:
        """Put the text in place of the last group."""
        start, end = match.span(match.lastindex or 0)
        whole, offset = match[0], match.start()
        return whole[: start - offset] + text + whole[end - offset :]

    def _token(self, secret: str) -> str:
        digest = hmac.new(self._salt, secret.encode(errors="surrogatepass"), "sha256")
        return f"{MARK}{digest.hexdigest()[:8]}»"


def _begun(text: str, secret: str) -> str:
    """Return the beginning of the secret that the text ends in, nothing where it does not."""
    start = text.rfind(secret[:_SHORTEST_END], max(0, len(text) - _LONGEST_END))
    return text[start:] if start >= 0 and secret.startswith(text[start:]) else ""


def _rest(text: str, secret: str) -> str:
    """Return the end of the secret that the text begins with, nothing where it does not."""
    end = text.find(secret[-_SHORTEST_END:], 0, _LONGEST_END) + _SHORTEST_END
    return text[:end] if end >= _SHORTEST_END and secret.endswith(text[:end]) else ""


def _in_a_number(form: str) -> str:
    return form if len(form) >= SHORTEST_WITHIN_A_NUMBER else rf"(?<![\d.]){form}(?!\d)"


def of_run(salt: bytes, secrets: Iterable[str]) -> Redactor:
    """Return the Redactor of a process that asks. secrets: those that readiness.ini refers to."""
    redactor = Redactor(salt)
    redactor.learn(secrets)
    redactor.learn_environment(os.environ)
    return redactor


def count(text: str) -> int:
    """Return how many redactions a text shows."""
    return text.count(MARK)


def redactions(items: Iterable[msgspec.Struct], facts: Path) -> int:
    """Return how many redactions the items and the recorded facts show. Raises OSError."""
    texts = (path.read_text(encoding="utf-8", errors="replace") for path in facts.glob("*.json"))
    return count(msgspec.json.encode(tuple(items)).decode()) + sum(map(count, texts))


def _forms(secret: str) -> set[str]:
    raw = secret.encode(errors="surrogatepass")
    in_json = json.dumps(secret)[1:-1]
    in_url = {quote(raw), quote(raw, safe=""), quote_plus(raw), quote(raw, safe="!'()*")}
    forms = {
        secret,
        in_json,
        json.dumps(in_json)[1:-1],  # in JSON within JSON
        json.dumps(secret, ensure_ascii=False)[1:-1],
        repr(secret)[1:-1],
        repr(raw)[2:-1],
        ascii(secret)[1:-1],
        secret.encode("unicode_escape").decode(),  # in a node id of pytest
        raw.decode("ascii", "backslashreplace"),  # the same of bytes
        secret.replace("\\", "\\\\").replace("'", "\\'"),  # in SQL
        html.escape(secret),
        *in_url,
        *(re.sub("%..", lambda match: match[0].lower(), form) for form in in_url),
        raw.hex(),
        raw.hex().upper(),
        base64.b64encode(raw).decode(),
        base64.urlsafe_b64encode(raw).decode(),
    }
    if secret.isdecimal() and len(secret) <= LONGEST_NUMBER:
        number = int(secret)
        forms |= {str(number), f"{number:,}", f"{number:_}"}
    lines = (line.strip() for line in secret.splitlines())
    forms |= {line for line in lines if len(line) >= SHORTEST_LINE and " " not in line}
    # A secret inside a longer text, `user:secret`, starts at any of three positions of a
    # base64 group; the first and last characters then depend on its neighbours.
    for shift in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            encoded = encode(b"\0" * shift + raw).decode().rstrip("=")
            inner = encoded[-(-shift * 8 // 6) : (shift + len(raw)) * 8 // 6]
            if len(inner) >= 2 * SHORTEST:
                forms.add(inner)
    return {form for form in forms if len(form) >= SHORTEST}
