"""Several runs of one release, joined to one report. Pure.

PYTEST_DONT_REWRITE
"""
