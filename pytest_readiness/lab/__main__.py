"""`python -m pytest_readiness.lab`: the lab as a child of a run; `readiness lab` is for people.

PYTEST_DONT_REWRITE
"""

import argparse
import sys

from pytest_readiness.errors import ReadinessError
from pytest_readiness.lab.reference import serve


def main() -> int:
    """Serve until the input ends."""
    parser = argparse.ArgumentParser(prog="pytest_readiness.lab")
    parser.add_argument("--fault", action="append", default=[])
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    try:
        return serve(args.fault, as_json=args.json)
    except ReadinessError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
