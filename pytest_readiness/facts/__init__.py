"""Frozen answers: all that a check may see. No client library is imported here.

PYTEST_DONT_REWRITE
"""
