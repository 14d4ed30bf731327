"""What `readiness init --signoff` writes: a signoff.toml with every key explained.

PYTEST_DONT_REWRITE
"""

from textwrap import wrap

from pytest_readiness.signoff.policy import ROLES

_HEAD = (
    "Who signs a report off, and when that holds. It is kept by those who verify, never taken from "
    "the run. Paths are relative to this file's folder. What has a # before it is the default, or "
    "an example."
)
_EXPLAINED = (
    (
        "Whose SSH key may sign, and for which role (ssh-keygen(1), ALLOWED SIGNERS), one a line: "
        'sec@example.org namespaces="security-lead@signoff.readiness" ssh-ed25519 AAAA...',
        'allowed_signers = "allowed_signers"',
    ),
    (
        "Keys that count no more: a KRL (ssh-keygen -k), or public keys one a line.",
        '#revoked_keys = "revoked_keys"',
    ),
    (
        "Roles that must approve, at least one.",
        "required_roles = [\n{roles}]",
    ),
    ("One person, and one key, holds one role.", "#distinct_principals = true"),
    (
        "Longest time from the end of the run to the moment of verification: 24h 7d 2w.",
        '#max_report_age = "7d"',
    ),
    ("Whether a report made on the lab may be signed off.", "#allow_lab = false"),
    (
        "Whether a verdict that was judged again from recorded facts may be signed off.",
        "#allow_replay = false",
    ),
    (
        "Whether limits of readiness.ini may be below the checklist's, and blockers left out by "
        '[not_applicable]: true, false, or a list of keys (and items), like ["min_nodes"].',
        "#allow_relaxed = true",
    ),
    (
        "Which declarations count only with a signature: no, blocker (those of blockers) or all.",
        '#require_signed_declarations = "blocker"',
    ),
    (
        "Roles of which at least one must approve a report with waivers; none: nobody may.",
        'accept_waivers = ["security-lead"]',
    ),
    (
        "Role -> principals, any one of whom may sign for it. A principal is a name of "
        "allowed_signers, best a person's e-mail address.",
        "[roles]\n{people}",
    ),
    (
        # ssh-keygen writes no PEM for ed25519.
        "Principal -> PEM file of a public key, ed25519 or P-256, for `readiness sign --format "
        "dsse`. To make a key: openssl genpkey -algorithm ed25519 -aes256 -out KEY.pem; then "
        "openssl pkey -in KEY.pem -pubout -out sec.pem. Of an ECDSA key of SSH: ssh-keygen -e -m "
        "PKCS8 -f KEY.pub",
        '#[dsse_keys]\n#"sec@example.org" = "keys/sec.pem"',
    ),
)


def text() -> str:
    """Return a signoff.toml for made-up people: `# ` before what explains, `#` before a default."""
    roles = "".join(f'  "{role}",\n' for role in ROLES)
    people = "\n".join(f'{role} = ["{person}"]' for role, person in ROLES.items())
    lines = _remark(_HEAD)
    for help, text in _EXPLAINED:
        lines += ["", *_remark(help), text.format(roles=roles, people=people)]
    return "\n".join(lines) + "\n"


def _remark(paragraph: str) -> list[str]:
    return [f"# {line}" for line in wrap(paragraph, 77, break_on_hyphens=False)]
