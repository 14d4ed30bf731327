"""How far a property is tried: the same examples in each run, and no file left of them."""

from hypothesis import HealthCheck, settings


def bounded(examples: int) -> settings:
    """Return settings for at most that many examples, however long one takes."""
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
