"""What no machine can know: declarations and waivers, read, judged, laid over the items.

PYTEST_DONT_REWRITE
"""
