"""Files that people write, each read with its line numbers.

PYTEST_DONT_REWRITE
"""
