"""The subcommands of `readiness`, a module each: arguments(parser) and main(args) -> exit code.

PYTEST_DONT_REWRITE
"""
