"""Kubernetes: its section of readiness.ini, its facts, its probe.

PYTEST_DONT_REWRITE
"""
