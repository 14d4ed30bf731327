"""Start the reference platform until Ctrl-C and print an ini for it.

PYTEST_DONT_REWRITE
"""

from argparse import ArgumentParser, Namespace


def arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--fault",
        metavar="NAME",
        action="append",
        default=[],
        help="a change to the healthy state; may be given several times",
    )
    parser.add_argument("--list-faults", action="store_true", help="list the faults and exit")


def main(args: Namespace) -> int:
    """Run the lab, or list its faults. Raises ReadinessError."""
    from pytest_readiness.lab import reference

    if args.list_faults:
        print("\n".join(reference.fault_lines()))
        return 0
    return reference.serve(args.fault, as_json=False)
