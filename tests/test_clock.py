from datetime import UTC, datetime

import pytest

from pytest_readiness.clock import begins, ends, rfc3339


def test_a_day_begins_and_ends_in_utc_wherever_it_is_read() -> None:
    assert begins("2026-11-30") == datetime(2026, 11, 30, tzinfo=UTC)
    assert ends("2026-11-30") == datetime(2026, 12, 1, tzinfo=UTC)


@pytest.mark.parametrize("text", ["2026-11-30T10:00:00Z", "2026-11-30T11:00:00+01:00"])
def test_a_moment_begins_and_ends_at_once(text: str) -> None:
    assert begins(text) == ends(text) == datetime(2026, 11, 30, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["2026-11-30T10:00:00", "20261130", "tomorrow", "", "2026-13-01", "2026-02-30"]
)
def test_what_is_no_time_or_has_no_zone_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        begins(text)


@pytest.mark.parametrize("text", ["9999-12-31", "0001-01-01T00:00:00+01:00"])
def test_what_no_clock_can_tell_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="beyond"):
        ends(text)


def test_a_naive_time_is_not_written() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        rfc3339(datetime(2026, 11, 30))
