"""signoff.toml: what it says, and every mistake at once."""

import hashlib
from datetime import timedelta
from pathlib import Path

import pytest

from pytest_readiness.errors import SettingsError
from pytest_readiness.signoff import policy, template
from tests.signoff import runs
from tests.signoff.keys import keygen, person, revocation_list

ROLES = '[roles]\nsecurity-lead = ["sec@example.org"]\n'
LEAST = f'required_roles = ["security-lead"]\n{ROLES}'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "signoff.toml"


def problems(file: Path, text: str) -> list[str]:
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        policy.load(file)
    return list(caught.value.problems)


class TestLoad:
    @pytest.mark.parametrize(
        ("value", "allowed"), [("true", None), ("false", ()), ('["min_nodes"]', ("min_nodes",))]
    )
    def test_passes_when_limits_may_be_below_the_checklist_or_not(
        self, file: Path, value: str, allowed: tuple[str, ...] | None
    ) -> None:
        file.write_text(f"allow_relaxed = {value}\n{LEAST}")
        assert policy.load(file).allow_relaxed == allowed

    def test_passes_when_only_what_must_be_there_is(self, file: Path) -> None:
        file.write_text(LEAST)
        assert policy.load(file) == policy.Policy(
            path=file,
            sha256=hashlib.sha256(LEAST.encode()).hexdigest(),
            roles={"security-lead": ("sec@example.org",)},
            required_roles=("security-lead",),
            distinct_principals=True,
            max_report_age=timedelta(days=7),
            allow_lab=False,
            allow_replay=False,
            allow_relaxed=None,
            require_signed_declarations="blocker",
            accept_waivers=(),
            lines=(),
            revoked=None,
            dsse_keys={},
            allowed_signers=None,
            revoked_keys=None,
            dsse_paths={},
        )

    def test_passes_when_everything_is_said(self, file: Path) -> None:
        sec = person(file.parent, "sec@example.org", "ecdsa")
        file.with_name("allowed_signers").write_text(sec.line("security-lead") + "\n")
        krl = revocation_list(file.with_name("revoked"), sec.key.with_name("sec.pub"))
        file.with_name("sec.pem").write_bytes(runs.pem(sec))
        file.write_text(
            'allowed_signers = "allowed_signers"\nrevoked_keys = "revoked"\n'
            "distinct_principals = false\nallow_lab = true\n"
            'max_report_age = "36h"\nrequire_signed_declarations = "all"\n'
            f'accept_waivers = ["security-lead"]\n{LEAST}'
            '[dsse_keys]\n"sec@example.org" = "sec.pem"\n'
        )
        found = policy.load(file)
        assert not found.distinct_principals
        assert found.allow_lab
        assert found.max_report_age == timedelta(hours=36)
        assert found.require_signed_declarations == "all"
        assert found.accept_waivers == ("security-lead",)
        assert found.revoked is not None
        assert found.revoked.holds(found.lines[0].key)
        assert found.revoked_keys == krl
        assert found.allowed_signers == file.with_name("allowed_signers")
        assert found.dsse_keys == {"sec@example.org": runs.pem(sec)}
        assert found.dsse_paths == {"sec@example.org": file.with_name("sec.pem")}

    def test_passes_when_ssh_keygen_wrote_the_pem_as_advised(self, file: Path) -> None:
        sec = person(file.parent, "sec@example.org", "ecdsa")
        pem = keygen("-e", "-m", "PKCS8", "-f", f"{sec.key}.pub")
        file.with_name("sec.pem").write_bytes(pem)
        file.write_text(f'{LEAST}[dsse_keys]\n"sec@example.org" = "sec.pem"\n')
        assert policy.load(file).dsse_keys

    @pytest.mark.parametrize("names", ["*@example.org", "sec@example.org,deputy@example.org"])
    @pytest.mark.parametrize("role", ["security-lead", None])
    def test_fails_and_names_a_key_of_two_people(
        self, file: Path, names: str, role: str | None
    ) -> None:
        sec = person(file.parent, "sec@example.org")
        file.with_name("allowed_signers").write_text(sec.line(role, names) + "\n")
        text = f'allowed_signers = "allowed_signers"\n{LEAST}'
        file.write_text(text)
        assert policy.load(file).lines
        (problem,) = problems(file, text.replace('"sec@', '"deputy@example.org", "sec@'))
        assert problem.startswith("signoff.toml: security-lead: the key SHA256:")
        assert problem.endswith("signs as deputy@example.org and as sec@example.org; write one")

    def test_fails_and_names_a_key_of_two_people_in_two_formats(self, file: Path) -> None:
        sec = person(file.parent, "sec@example.org")
        file.with_name("allowed_signers").write_text(sec.line("security-lead") + "\n")
        file.with_name("deputy.pem").write_bytes(runs.pem(sec))
        text = (
            'allowed_signers = "allowed_signers"\nrequired_roles = ["security-lead"]\n'
            '[roles]\nsecurity-lead = ["sec@example.org", "deputy@example.org"]\n'
            '[dsse_keys]\n"deputy@example.org" = "deputy.pem"\n'
        )
        assert "signs as deputy@example.org and as sec@example.org" in problems(file, text)[0]

    def test_passes_when_a_ca_is_for_many(self, file: Path) -> None:
        ca = person(file.parent, "ca@example.org")
        line = ca.line("security-lead", "*@example.org", cert_authority=True)
        file.with_name("allowed_signers").write_text(line + "\n")
        two = LEAST.replace('"sec@', '"deputy@example.org", "sec@')
        file.write_text(f'allowed_signers = "allowed_signers"\n{two}')
        assert policy.load(file).lines

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("sec@example.org", "Sec@example.org"),
            ("fi@example.org", "\ufb01@example.org"),
            ("strasse@example.org", "straße@example.org"),
            ("m\u00fcller@example.org", "mu\u0308ller@example.org"),
        ],
    )
    def test_fails_and_names_two_principals_that_look_alike(
        self, file: Path, one: str, other: str
    ) -> None:
        text = f'required_roles = ["a", "b"]\n[roles]\na = ["{one}"]\nb = ["{other}", "{one}"]\n'
        assert problems(file, text) == [
            f"signoff.toml: [roles]: {other!r} and {one!r} look alike; write one of them"
        ]

    def test_fails_and_names_every_mistake(self, file: Path) -> None:
        text = (
            'alowed_signers = "x"\nallow_lab = "yes"\nmax_report_age = "7"\n'
            'require_signed_declarations = "blockers"\naccept_waivers = ["sec-lead"]\n'
            'revoked_keys = "gone"\n' + ROLES + "other = []\n"
        )
        known = ["deployment-manager", "operations-lead", "product-manager"]
        assert problems(file, text) == [
            "signoff.toml: unknown key alowed_signers; did you mean allowed_signers?",
            "signoff.toml: [roles] other: nobody may sign for it; write principals, "
            'like ["sec@example.org"]',
            f"signoff.toml: revoked_keys: 'gone' is no file ({file.with_name('gone')})",
            *(
                f"signoff.toml: required_roles (by default): {name} is not in [roles]"
                for name in known
            ),
            "signoff.toml: max_report_age: '7' has no unit: a duration is written like "
            "30s, 5m, 24h or 90d",
            "signoff.toml: allow_lab: 'yes' is neither true nor false (without quotes)",
            "signoff.toml: require_signed_declarations: 'blockers' is not one of no, blocker, "
            "all; did you mean blocker?",
            "signoff.toml: accept_waivers: sec-lead is not in [roles]; did you mean security-lead?",
        ]

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("", "there is no table [roles]"),
            ("roles = 1\n", "roles is a table: write [roles]"),
            (f"required_roles = []\n{ROLES}", "required_roles is empty: nobody would have to"),
            (f'required_roles = "security-lead"\n{ROLES}', "required_roles: write a list of"),
            (f"required_roles = [1]\n{ROLES}", "required_roles: write a list of roles"),
            (
                f'required_roles = ["security-lead", "security-lead"]\n{ROLES}',
                "required_roles: security-lead stands there 2 times",
            ),
            (f"allow_relaxed = 1\n{LEAST}", "allow_relaxed: write true, false or a list of keys"),
            (f'allow_relaxed = [""]\n{LEAST}', "allow_relaxed: write true, false or a list"),
            (f'allow_relaxed = ["a", "a"]\n{LEAST}', "allow_relaxed: a stands there 2 times"),
            (f"distinct_principals = 1\n{LEAST}", "distinct_principals: 1 is neither true nor"),
            (f"max_report_age = 7\n{LEAST}", "max_report_age: 7 is not text; write it in quotes"),
            (f'max_report_age = "0s"\n{LEAST}', "every report would be too old"),
            (f'max_report_age = "7x"\n{LEAST}', "max_report_age: '7x' has no unit of a duration"),
            (f"require_signed_declarations = []\n{LEAST}", "[] is not one of no, blocker, all"),
            (f'allowed_signers = "."\n{LEAST}', "allowed_signers: '.' is a folder"),
            (f'allowed_signers = ""\n{LEAST}', "allowed_signers: '' is no path of a file"),
            (f'allowed_signers = "{"a" * 300}"\n{LEAST}', "is no file"),
            (f"allowed_signers = 1\n{LEAST}", "allowed_signers: 1 is no path of a file"),
            (f"dsse_keys = []\n{LEAST}", "dsse_keys is a table: write [dsse_keys]"),
            (
                f'{LEAST}[dsse_keys]\n"sec@example.or" = "gone"\n',
                "[dsse_keys] sec@example.or: no role in [roles] has it; did you mean sec@exam",
            ),
            (f'{LEAST}Ops = ["ops@example.org"]\n', "[roles] Ops: a role is written in small"),
            (f'{LEAST}"../x" = ["ops@example.org"]\n', "[roles] ../x: a role is written in"),
            (f'{LEAST}ops = "ops@example.org"\n', "[roles] ops: write a list of principals"),
            (f'{LEAST}ops = ["a@b", "a@b"]\n', "[roles] ops: a@b stands there 2 times"),
            (f"{LEAST}ops = [1]\n", "[roles] ops: 1 is not text; write it in quotes"),
            (f'{LEAST}ops = [""]\n', "[roles] ops: a principal is empty"),
        ],
    )
    def test_fails_and_names_the_key(self, file: Path, text: str, says: str) -> None:
        found = problems(file, text)
        assert any(says in one and one.startswith("signoff.toml: ") for one in found), found
        assert all("\n" not in one for one in found)

    @pytest.mark.parametrize(
        "name", ["a b", "a\tb", "a,b", "*@example.org", "a?", "!a", '"a"', "a\nb", "\u00a0a"]
    )
    def test_fails_and_names_a_principal_that_is_not_one_name(self, file: Path, name: str) -> None:
        escaped = name.encode("unicode_escape").decode().replace("\\x", "\\u00").replace('"', '\\"')
        found = problems(file, f'{LEAST}ops = ["{escaped}"]\n')
        assert len(found) == 1
        assert "has white space, a quote, comma, *, ? or !" in found[0]

    @pytest.mark.parametrize(
        ("data", "says"),
        [
            (b"a = 1\nb = = 2\n", r"signoff.toml: not TOML: .*line 2"),
            (b"a = 1\na = 1\n", r"signoff.toml: not TOML: .*line 2"),
            (b"a = 1\n# \xff\n", r"signoff.toml:2: not UTF-8"),
        ],
    )
    def test_fails_and_names_the_line(self, file: Path, data: bytes, says: str) -> None:
        file.write_bytes(data)
        with pytest.raises(SettingsError, match=says):
            policy.load(file)

    def test_fails_when_there_is_no_file(self, file: Path) -> None:
        with pytest.raises(SettingsError, match=r"signoff\.toml: cannot be read: No such file"):
            policy.load(file)

    def test_fails_and_names_the_lines_of_the_files_it_names(self, file: Path) -> None:
        for name in ("allowed_signers", "revoked"):
            file.with_name(name).write_text("\nnonsense\n")
        file.with_name("sec.pem").write_text("nonsense")
        found = problems(
            file,
            f'allowed_signers = "allowed_signers"\nrevoked_keys = "revoked"\n{LEAST}'
            '[dsse_keys]\n"sec@example.org" = "sec.pem"\n',
        )
        assert [one.split(" ")[0] for one in sorted(found)] == [
            "allowed_signers:2:",
            "revoked:2:",
            "signoff.toml:",
        ]
        assert "sec.pem: it is no PEM file of a public key" in sorted(found)[2]

    def test_fails_and_names_a_key_that_dsse_does_not_take(self, file: Path) -> None:
        sec = person(file.parent, "sec@example.org", "rsa")
        file.with_name("sec.pem").write_bytes(runs.pem(sec))
        text = f'{LEAST}[dsse_keys]\n"sec@example.org" = "sec.pem"\n'
        assert "sec.pem: the key is RSA; DSSE takes ed25519 and P-256" in problems(file, text)[0]
        file.with_name("sec.pem").write_bytes(sec.key.read_bytes())
        assert "sec.pem: it is a private key" in problems(file, text)[0]


class TestTemplate:
    def test_passes_when_only_allowed_signers_is_missing(self, file: Path) -> None:
        assert problems(file, template.text()) == [
            "signoff.toml: allowed_signers: 'allowed_signers' is no file "
            f"({file.with_name('allowed_signers')})"
        ]
        file.with_name("allowed_signers").write_text("")
        found = policy.load(file)
        assert found.required_roles == tuple(found.roles) == tuple(policy.ROLES)

    def test_passes_when_what_is_switched_on_is_the_default(self, file: Path) -> None:
        file.with_name("allowed_signers").write_text("")
        file.write_text(template.text())
        plain = policy.load(file)
        lines = template.text().splitlines()
        examples = ("#revoked_keys", "#accept_waivers", "#[dsse_keys]", '#"sec')
        on = [
            line[1:] if line[:1] == "#" and line[:2] != "# " and not line.startswith(examples)
            else line
            for line in lines
        ]  # fmt: skip
        assert on != lines
        file.write_text("\n".join(on))
        switched = policy.load(file)
        for name in ("distinct_principals", "max_report_age", "allow_lab", "roles"):
            assert getattr(switched, name) == getattr(plain, name)
        assert switched.require_signed_declarations == plain.require_signed_declarations

    def test_passes_when_it_names_every_key(self) -> None:
        text = template.text()
        assert all(key in text for key in policy._KEYS)
        assert all(len(line) <= 79 for line in text.splitlines())
