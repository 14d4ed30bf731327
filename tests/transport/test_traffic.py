"""A run's requests are paced and counted, whatever the number of its processes."""

import multiprocessing
import time
from pathlib import Path

import pytest

from pytest_readiness.transport import traffic
from pytest_readiness.transport.traffic import BURST, RATE, Meter, OverRate

TARGET = "prometheus http://127.0.0.1:9090"


def enough() -> float:
    return 60.0


def send(meter: Meter, count: int, status: int = 200) -> None:
    for _ in range(count):
        with meter.request("GET", enough) as note:
            note(status)


def send_impatiently(meter: Meter) -> None:
    # A turn is up to 50 ms away, and some have come meanwhile.
    for _ in range(10):
        with meter.request("GET", lambda: 0.005):
            pass


def send_from_a_process(folder: str, count: int) -> None:
    send(Meter(Path(folder), TARGET), count)


class TestRate:
    def test_a_burst_goes_at_once_and_more_waits(self, tmp_path: Path) -> None:
        meter = Meter(tmp_path, TARGET)
        started = time.monotonic()
        send(meter, BURST)
        burst = time.monotonic() - started
        send(meter, 8)
        took = time.monotonic() - started
        assert burst < 1.0  # at RATE it would take 2.5 s
        assert took >= (8 - 1) / RATE

    def test_two_processes_share_one_bucket(self, tmp_path: Path) -> None:
        spawn = multiprocessing.get_context("spawn")
        each = BURST // 2 + 6
        started = time.monotonic()
        workers = [
            spawn.Process(target=send_from_a_process, args=(str(tmp_path), each)) for _ in range(2)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(60)
        assert [worker.exitcode for worker in workers] == [0, 0]
        assert traffic.read(tmp_path) == {(TARGET, "GET", 200): 2 * each}
        assert time.monotonic() - started >= (2 * each - BURST) / RATE

    def test_each_target_has_a_bucket_of_its_own(self, tmp_path: Path) -> None:
        send(Meter(tmp_path, TARGET), BURST)
        with Meter(tmp_path, "alertmanager http://127.0.0.1:9093").request("GET", lambda: 0.02):
            pass
        assert len(traffic.read(tmp_path)) == 2

    def test_who_has_no_time_for_its_turn_sends_nothing(self, tmp_path: Path) -> None:
        meter = Meter(tmp_path, TARGET)
        send(meter, BURST)
        with pytest.raises(OverRate, match="20 requests a second"):
            send_impatiently(meter)
        assert traffic.read(tmp_path)[TARGET, "GET", 200] == BURST

    def test_what_is_given_up_while_it_waits_sends_nothing(self, tmp_path: Path) -> None:
        said = iter([60.0, 60.0])

        def left() -> float:
            for seconds in said:
                return seconds
            raise TimeoutError

        with pytest.raises(TimeoutError), Meter(tmp_path, TARGET).request("GET", left):
            pytest.fail("it was sent")
        assert not traffic.read(tmp_path)

    def test_the_mark_of_a_killed_process_stops_nobody(self, tmp_path: Path) -> None:
        send(Meter(tmp_path, TARGET), 1)
        (bucket,) = (path for path in tmp_path.glob(".rate-*") if path.suffix != ".lock")
        bucket.write_text("")  # killed as it wrote
        send(Meter(tmp_path, TARGET), 1)
        assert traffic.read(tmp_path) == {(TARGET, "GET", 200): 2}


class TestCount:
    def test_nothing_was_sent_where_there_is_no_file(self, tmp_path: Path) -> None:
        assert traffic.read(tmp_path) == {}

    def test_by_target_method_and_status(self, tmp_path: Path) -> None:
        send(Meter(tmp_path, TARGET), 2)
        send(Meter(tmp_path, TARGET), 1, 404)
        send(Meter(tmp_path, "b"), 1)
        with Meter(tmp_path, "b").request("HEAD", enough):
            pass
        assert traffic.read(tmp_path) == {
            (TARGET, "GET", 200): 2,
            (TARGET, "GET", 404): 1,
            ("b", "GET", 200): 1,
            ("b", "HEAD", None): 1,
        }

    def test_what_was_sent_is_counted_before_it_is_answered(self, tmp_path: Path) -> None:
        with Meter(tmp_path, TARGET).request("GET", enough) as note:
            assert traffic.read(tmp_path) == {(TARGET, "GET", None): 1}
            note(200)
            assert traffic.read(tmp_path) == {(TARGET, "GET", 200): 1}

    def test_what_is_answered_after_the_end_leaves_no_file(self, tmp_path: Path) -> None:
        with Meter(tmp_path, TARGET).request("GET", enough) as note:
            for path in tmp_path.iterdir():
                path.unlink()
            note(200)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("torn", [b'["a","GE', b"\xff\n", b'["a"]\n', b'["a","GET","200"]\n'])
    def test_a_torn_line_is_counted_as_one(self, torn: bytes, tmp_path: Path) -> None:
        send(Meter(tmp_path, TARGET), 1)
        (file,) = tmp_path.glob(".traffic")
        file.write_bytes(file.read_bytes() + torn)
        assert traffic.read(tmp_path) == {
            (TARGET, "GET", 200): 1,
            ("a line that cannot be read", "?", None): 1,
        }

    def test_every_file_is_one_that_the_end_of_a_run_removes(self, tmp_path: Path) -> None:
        send(Meter(tmp_path, TARGET), 1)
        names = {path.name for path in tmp_path.iterdir()}
        assert ".traffic" in names
        assert all(name.startswith(".") for name in names)
