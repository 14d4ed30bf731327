"""The reference platform on loopback: its worlds, its faults.

PYTEST_DONT_REWRITE
"""
