"""Run every benchmark and put what it prints into the README, between its two marks."""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
README = HERE.parent / "README.md"
FIRST, LAST = "<!-- benchmarks -->\n", "<!-- end of benchmarks -->"
NAMES = ("idle", "lab", "kubernetes")


def main() -> None:
    """Rewrite the README."""
    tables = [
        subprocess.run(
            [sys.executable, str(HERE / f"{name}.py")],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout
        for name in NAMES
    ]
    before, _, rest = README.read_text(encoding="utf-8").partition(FIRST)
    after = rest.partition(LAST)[2]
    tables_text = "\n".join(table.strip() + "\n" for table in tables)
    README.write_text(f"{before}{FIRST}{tables_text}{LAST}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
