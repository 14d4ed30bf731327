"""What ClickHouse's refusals mean, told apart by code, and what a person does about each.

Codes are those of the server's `ErrorCodes.cpp`; they are stable, the texts are not.

PYTEST_DONT_REWRITE
"""

import re
from typing import NamedTuple

from pytest_readiness.errors import ProbeError, ProbeErrorKind
from pytest_readiness.transport.failures import Broken, failure, kind_of_status

Kind = ProbeErrorKind
LONGEST_CAUSE = 300  # one line of a report

_BY_CODE = {
    Kind.UNAUTHORIZED: (192, 193, 194, 516),  # unknown user, wrong, required, failed password
    Kind.FORBIDDEN: (164, 291, 497),  # readonly, database and access denied
    Kind.THROTTLED: (201, 202),  # quota exceeded, too many simultaneous queries
    # unknown table, function, identifier, database, setting, cluster (170 in older servers)
    Kind.ABSENT: (36, 46, 47, 60, 81, 115, 170, 701),
    Kind.TIMEOUT: (159, 160, 209),
    # A replica the connected server cannot reach: DNS, network, all connection tries failed.
    Kind.UNREACHABLE: (198, 210, 279),
}
_KIND_OF_CODE = {code: kind for kind, codes in _BY_CODE.items() for code in codes}
_CODE = re.compile(r"\bCode: (\d+)\.")
_BROKEN_OFF = re.compile(r"\bCode: (\d+)\. DB::\w*Exception: ")
_STATUS = re.compile(r"\bHTTP status (\d{3})\b")
# What clickhouse-connect says where the answer to a query of its own makes no sense to it.
_NOT_CLICKHOUSE = re.compile(r"Unexpected (response|row) |unrecognized data found in stream", re.I)
_TRAILER = re.compile(r"\s*\(version [^()]*(?:\([^()]*\)[^()]*)*\)|\s*\(for url [^()]*\)")
_EXCEPTION = re.compile(r"DB::\w*Exception: ")
_GRANT = re.compile(r"necessary to have (?:the )?grant (.+?)\.?(?: \(ACCESS_DENIED\)|$)", re.DOTALL)
_USER = re.compile(r"(?:^|: |\s)([^\s:]+): Not enough privileges")
# A failed backup's error comes with the frames of the C++ that failed.
_STACK = re.compile(r",? *Stack trace \(when copying this message\b.*", re.DOTALL)
_TAGS = re.compile(r"<[^>]*>")

_ADVICE = {
    Kind.UNAUTHORIZED: "Check the user in url and [clickhouse] password.",
    Kind.THROTTLED: "The server is at its limit of queries; run again, or raise the quota and "
    "max_concurrent_queries_for_user of this user.",
    Kind.TIMEOUT: "Raise [readiness] timeout, or look at system.processes for what keeps the "
    "server busy.",
    Kind.UNREACHABLE: "Check that every replica of the cluster runs, and that the connected one "
    "can reach it on its native port.",
    Kind.MALFORMED: "Check that url names ClickHouse's HTTP interface (8123, or 8443 with TLS).",
    Kind.UNAVAILABLE: "Look at the server's log at the time of this run.",
    Kind.BROKE: "chdb:// needs the extra `lab`, and a folder no other program has open; a process "
    "can open one.",
    Kind.UNTRUSTED: "Give the authority that signed the server's certificate as [clickhouse] "
    "ca_file, and the host name of the certificate in url.",
}
_ABSENT = {
    81: "Name an existing database in url.",
    170: "Give as [clickhouse] cluster one of SELECT DISTINCT cluster FROM system.clusters.",
    701: "Give as [clickhouse] cluster one of SELECT DISTINCT cluster FROM system.clusters.",
}


class Refusal(NamedTuple):
    """A library's exception, read once: kind, ClickHouse's code, and one line of text."""

    kind: ProbeErrorKind
    code: int | None
    text: str


def refusal(error: BaseException) -> Refusal:
    """Return what an exception of clickhouse-connect means.

    The transport's own error hides in the chain of causes; it is looked at first, because the
    message around it names a URL and a retry count that help nobody.
    """
    broken = failure(error)
    if broken is not None:
        hint = "; is it clickhouse+http?" if broken.what is Broken.NOT_TLS else ""
        return Refusal(broken.kind, None, f"{broken.words}{hint}")
    text = str(error)
    code = getattr(error, "code", None) or _first_code(text)
    if code is not None:
        return Refusal(_KIND_OF_CODE.get(code, Kind.UNAVAILABLE), code, text)
    status = _STATUS.search(text)
    if status is not None:
        return Refusal(kind_of_status(int(status[1])), None, text)
    if _NOT_CLICKHOUSE.match(text):
        text = "what answers is not ClickHouse"
    return Refusal(Kind.MALFORMED, None, text or type(error).__name__)


def broken_off(answer: bytes) -> Refusal | None:
    """Return the exception that a server wrote into an answer it had begun with status 200.

    clickhouse.com/docs/interfaces/http#http_response_codes_caveats: with the header gone, the text
    of the exception is all there is.
    """
    words = answer.decode("utf-8", "replace")
    found = _BROKEN_OFF.search(words)
    if found is None:
        return None
    code = int(found[1])
    return Refusal(_KIND_OF_CODE.get(code, Kind.UNAVAILABLE), code, words[found.start() :])


def probe_error(
    found: Refusal, *, target: str, question: str, user: str, secrets: tuple[str, ...]
) -> ProbeError:
    """Return the ProbeError of a refusal. secrets: texts that must not stand in the cause."""
    text = found.text
    for secret in secrets:  # before the text is cut, perhaps in the middle of one
        text = text.replace(secret, "«secret»")
    cause = one_line(text)
    # Code 210 and its kin are about another replica: the connected server answers, and the next
    # question may well be answered too.
    stops = False if found.code is not None and found.kind is Kind.UNREACHABLE else None
    return ProbeError(
        found.kind,
        target=target,
        question=question,
        cause=cause,
        advice=_advice(found, user),
        stops_target=stops,
    )


def one_line(text: str) -> str:
    """Return what a message says without HTML, version, URL, stack, line breaks and its length."""
    text = _STACK.sub("", text)
    text = _TAGS.sub(" ", text) if "<html" in text.lower() else text
    text = " ".join(_TRAILER.sub("", text).split())
    text = text.replace("All connection tries failed. Log: ", "")
    first = _CODE.search(text)
    if first is not None:
        # `Code: 497. DB::Exception: reader: Not enough ...` reads better without its C++.
        body = _EXCEPTION.sub("", text[first.end() :]).strip()
        text = f"Code {first[1]}: {_without_repetition(body)}"
    return text if len(text) <= LONGEST_CAUSE else text[: LONGEST_CAUSE - 1] + "…"


def _without_repetition(text: str) -> str:
    """Say once what a server says three times, once a try."""
    seen: list[str] = []
    for part in re.split(r"\s*\bCode: \d+\. ", text):
        sentence = part.strip()
        if sentence and not any(sentence in other or other in sentence for other in seen):
            seen.append(sentence)
    return " ".join(seen)


def _first_code(text: str) -> int | None:
    match = _CODE.search(text)
    return int(match[1]) if match else None


def _advice(found: Refusal, user: str) -> str:
    if found.code is None and found.kind in {Kind.FORBIDDEN, Kind.ABSENT}:
        return "No ClickHouse said this: look at url, and at the proxy in between."
    if found.kind is Kind.FORBIDDEN:
        return _forbidden(found, user)
    if found.kind is Kind.ABSENT:
        return _ABSENT.get(found.code or 0, "This server is too old, or the name is wrong.")
    if found.kind is Kind.UNREACHABLE and found.code is None:
        return "Check host and port in url, and that the server runs and may be reached from here."
    return _ADVICE[found.kind]


def _forbidden(found: Refusal, user: str) -> str:
    grant = _GRANT.search(" ".join(_TRAILER.sub("", found.text).split()))
    if grant is not None:
        who = _USER.search(found.text)
        return f"GRANT {grant[1]} TO {identifier(who[1] if who else user)};"
    if found.code == 164:
        return (
            "The profile of this user forbids even reading: allow readonly = 1 with SELECT on "
            "system tables, on a server of 23.1 or newer."
        )
    return "Let this user read system tables: GRANT SELECT ON system.* TO " + identifier(user)


def identifier(name: str) -> str:
    """Return a name as SQL has it, in backquotes where it must."""
    plain = re.fullmatch(r"[A-Za-z_]\w*", name)
    return name if plain else "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"
