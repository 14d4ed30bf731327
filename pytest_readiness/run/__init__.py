"""The pytest run around the checklist: all that knows pytest.

PYTEST_DONT_REWRITE
"""
