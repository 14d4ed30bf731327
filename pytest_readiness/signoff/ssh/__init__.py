"""The OpenSSH half of the sign-off: its keys, its files, its signatures.

PYTEST_DONT_REWRITE
"""
