"""Ask: one module a system, read-only; facts or ProbeError.

PYTEST_DONT_REWRITE
"""
