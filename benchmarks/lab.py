"""How long the lab takes from its start to its first answer, and to be gone again. Wall time.

Prints a Markdown table.
"""

import statistics
import sys
import time

from pytest_readiness.lab.process import LabProcess

RUNS = 7
BAR = 3.0  # seconds


def main() -> int:
    """Measure, print, and fail when the bar is not met."""
    starts, stops = [], []
    for _ in range(RUNS):
        began = time.perf_counter()
        lab = LabProcess([])
        ready = time.perf_counter()
        lab.stop()
        starts.append(ready - began)
        stops.append(time.perf_counter() - ready)
    print(f"| the lab, median of {RUNS} | wall |\n| --- | ---: |")
    print(f"| start, until both servers answer | {statistics.median(starts):.2f} s |")
    print(f"| stop, until nothing is left | {statistics.median(stops):.2f} s |")
    return 0 if max(starts) < BAR else 1


if __name__ == "__main__":
    sys.exit(main())
