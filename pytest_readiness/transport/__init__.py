"""What every probe shares; it knows no system.

PYTEST_DONT_REWRITE
"""
