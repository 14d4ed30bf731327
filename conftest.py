"""For this repository's own tests only; what the package needs is in the package."""

pytest_plugins = ["pytester", "tests.slowest"]
