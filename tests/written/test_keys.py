"""Each key is declared once: its default, its example and its type agree with its kind."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from pytest_readiness.settings import KeyOf, sections
from pytest_readiness.written.keys import (
    CORES,
    COUNT,
    DURATION,
    FLAG,
    LABEL,
    NAMES,
    SHARE,
    SIZE,
    TEXT,
    VERSION,
    BadValue,
    Key,
    Kind,
    Use,
    Where,
)


def section(name: str) -> Iterator[KeyOf]:
    yield from sections()[name].keys.values()


ALL_KEYS = [
    pytest.param(name, key, id=f"{name}.{key.name}") for name in sections() for key in section(name)
]


class TestDeclarations:
    @pytest.mark.parametrize(("name", "known"), ALL_KEYS)
    def test_passes_when_the_default_can_be_written_and_read(self, name: str, known: KeyOf) -> None:
        kind = known.key.kind
        if known.required or known.default is None:
            assert known.key.example, "a key without default needs an example"
        else:
            text = kind.show(known.default)
            assert known.key.parse(text, Where(Path("/"), False)) == known.default

    @pytest.mark.parametrize(("name", "known"), ALL_KEYS)
    def test_passes_when_the_annotation_is_the_type_of_the_kind(
        self, name: str, known: KeyOf
    ) -> None:
        hint = get_type_hints(sections()[name].struct)[known.name]
        assert known.key.kind.type in (hint, *get_args(hint))

    @pytest.mark.parametrize(("name", "known"), ALL_KEYS)
    def test_passes_when_the_example_is_valid(self, name: str, known: KeyOf) -> None:
        if known.key.example:
            known.key.parse(known.key.example, Where(Path("/"), False))

    @pytest.mark.parametrize(
        ("kind", "text", "value"),
        [
            (DURATION, "500ms", timedelta(milliseconds=500)),
            (DURATION, "30 s", timedelta(seconds=30)),
            (DURATION, "5m", timedelta(minutes=5)),
            (DURATION, "24h", timedelta(days=1)),
            (DURATION, "90d", timedelta(days=90)),
            (DURATION, "2w", timedelta(days=14)),
            (SIZE, "100GB", 100 * 10**9),
            (SIZE, "8Gi", 8 * 2**30),
            (SIZE, "8G", 8 * 10**9),
            (SIZE, "512MiB", 512 * 2**20),
            (SIZE, "1.5kB", 1500),
            (SIZE, "0.1GiB", None),
            (SIZE, "1e3B", None),
            (SHARE, "0%", 0.0),
            (SHARE, "100 %", 1.0),
            (SHARE, "-1%", None),
            (DURATION, "1h30m", None),
            (DURATION, "", None),
        ],
    )
    def test_passes_when_quantities_are_exact(self, kind: Kind, text: str, value: object) -> None:
        key = Key(kind=kind, use=Use.RUN, help="")
        if value is None:
            with pytest.raises(BadValue):
                key.parse(text, Where(Path("/"), False))
        else:
            assert key.parse(text, Where(Path("/"), False)) == value


class TestUse:
    @pytest.mark.parametrize(("name", "known"), ALL_KEYS)
    def test_passes_when_only_what_can_be_ordered_is_a_limit(self, name: str, known: KeyOf) -> None:
        ordered = (CORES, COUNT, DURATION, FLAG, SHARE, SIZE, VERSION)
        match known.key.use:
            case Use.FLOOR | Use.CEILING:
                assert known.key.kind in ordered
                assert known.default is not None, "without a default nobody knows what is looser"
            case Use.EXEMPTION:
                assert known.key.kind is NAMES
            case Use.LOCK:
                assert known.default is None
            case Use.PLACE | Use.RUN:
                assert not known.name.startswith(("min_", "max_"))
                assert (known.key.use is Use.RUN) <= (name in ("readiness", "lab"))

    @pytest.mark.parametrize(
        ("use", "kind", "default", "texts"),
        [
            (Use.FLOOR, COUNT, 3, ("3", "2")),
            (Use.FLOOR, SIZE, 8 * 10**9, ("8GB", "7.9GB")),
            (Use.FLOOR, VERSION, (1, 24), ("1.24", "1.9")),
            (Use.CEILING, DURATION, timedelta(seconds=60), ("1m", "61s")),
            (Use.CEILING, FLAG, False, ("false", "true")),
            (Use.EXEMPTION, NAMES, (), ("", "scratch")),
            (Use.EXEMPTION, NAMES, ("a",), ("a", "a, b")),
        ],
    )
    def test_a_limit_knows_its_looser_side(
        self, use: Use, kind: Kind, default: object, texts: tuple[str, str]
    ) -> None:
        known = KeyOf("limit", Key(kind=kind, use=use, help=""), default)
        same, looser = texts
        assert known.is_looser(looser, same)
        assert known.is_looser(looser, None)
        assert not known.is_looser(same, looser)
        assert not known.is_looser(None, looser)
        assert not known.is_looser(same, None)

    def test_a_lock_is_looser_where_it_is_gone(self) -> None:
        known = KeyOf("uid", Key(kind=TEXT, use=Use.LOCK, help=""), None)
        assert known.is_looser(None, "a")
        assert not known.is_looser("a", None)
        assert not known.is_looser("b", "a")

    @pytest.mark.parametrize("use", [Use.RUN, Use.PLACE])
    def test_a_place_is_not_looser_than_another(self, use: Use) -> None:
        known = KeyOf("namespace", Key(kind=LABEL, use=use, help=""), None)
        assert not known.is_looser("a", "b")
