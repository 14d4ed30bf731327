"""Sign-off: who may sign, what is signed, and whether it holds (docs/signoff.md).

Nothing here imports pytest. PYTEST_DONT_REWRITE
"""
