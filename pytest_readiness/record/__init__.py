"""Each question asked once a run, redacted, kept.

PYTEST_DONT_REWRITE
"""
