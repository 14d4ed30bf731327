"""From results to verdict. Pure.

PYTEST_DONT_REWRITE
"""
