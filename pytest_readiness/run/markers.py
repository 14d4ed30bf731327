"""Names of the markers; the test of the catalogue keeps them equal to its sections.

Kept apart from the catalogue, which an idle run must not read.

PYTEST_DONT_REWRITE
"""

OWN = (
    "readiness: an item of the production readiness checklist",
    "item(id): the item that a check judges",
    "safety(class): how much a check touches the system, S0 (offline) to S4 (changes state)",
)
# fmt: off
SECTIONS = (
    "infrastructure", "kubernetes", "clickhouse", "monitoring", "security_infrastructure",
    "application", "code", "migrations", "configuration", "image", "performance", "load",
    "stress", "profiling", "database_performance", "security", "owasp", "api_security",
    "secrets", "network_security", "operations", "logging", "alerting", "disaster_recovery",
    "deployment_procedure", "documentation", "testing", "smoke", "integration", "staging",
    "deployment", "team", "final_verification", "maintenance_window", "execution",
    "functionality", "monitoring_verification", "communication", "issue_resolution", "rollback",
    "review", "performance_review", "issues", "debriefing", "release_notes", "references",
)
# fmt: on
