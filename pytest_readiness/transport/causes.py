"""What caused an error below the client libraries, which wrap it more than once.

PYTEST_DONT_REWRITE
"""


def chain(error: BaseException) -> list[BaseException]:
    """Return the error and what caused it: urllib3 keeps causes in args, reason or __cause__."""
    found: list[BaseException] = []
    waiting: list[object] = [error]
    while waiting:
        cause = waiting.pop(0)
        if not isinstance(cause, BaseException) or cause in found:
            continue
        found.append(cause)
        kept = (getattr(cause, name, None) for name in ("reason", "original_error"))
        waiting += [*cause.args, *kept, cause.__cause__, cause.__context__]
    return found
