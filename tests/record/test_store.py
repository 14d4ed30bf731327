"""The facts of a run: asked once, recorded redacted, read again or refused."""

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pytest_readiness.clock import now
from pytest_readiness.errors import NotChecked, ProbeError, ProbeErrorKind, told
from pytest_readiness.record.redact import Redactor
from pytest_readiness.record.store import Ask, FactStore


class Sizes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    names: tuple[str, ...]
    total: int = 0


class Other(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    names: tuple[str, ...]
    total: int = 0


SIZES = Sizes(("a", "b"), 3)


class Asked:
    """A question that counts how often it is put."""

    def __init__(self, answer: object = SIZES) -> None:
        self.times = 0
        self._answer = answer

    def __call__(self) -> Any:
        self.times += 1
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "facts").mkdir()
    return tmp_path


def store_of(folder: Path, **changed: Any) -> FactStore:
    redactor = Redactor(b"salt")
    redactor.learn(["correct-horse"])
    return FactStore(folder, redactor, **{"deadline": None, "recorded": False, **changed})


def ask_of(ask: Callable[[], Any], name: str = "shop_sizes", **changed: Any) -> Ask:
    given: dict[str, Any] = {
        "target": "shop",
        "source": "shop https://a:correct-horse@shop.example.org",
        "question": "list sizes",
        "command": "curl -H 'Authorization: Bearer x7Gk20pQ'",
        "answer": Sizes,
    }
    return Ask(name=name, ask=ask, **{**given, **changed})


def refusal(kind: ProbeErrorKind = ProbeErrorKind.FORBIDDEN, **changed: Any) -> ProbeError:
    said = {"target": "shop at 1", "question": "list sizes", "cause": "no", "advice": "grant it"}
    return ProbeError(kind, **{**said, **changed})


def recorded(folder: Path, name: str = "shop_sizes") -> Any:
    return json.loads((folder / f"facts/{name}.json").read_text(encoding="utf-8"))


def test_a_question_is_asked_once_and_every_store_reads_it(folder: Path) -> None:
    first, second = Asked(), Asked()
    store = store_of(folder)
    assert store.record("shop_sizes") is None
    assert store.answer(ask_of(first)) == SIZES
    assert store.answer(ask_of(first)) == SIZES
    assert store_of(folder).answer(ask_of(second)) == SIZES
    assert (first.times, second.times) == (1, 0)


def test_a_record_says_what_was_asked_where_when_and_how(folder: Path) -> None:
    before = now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
    store = store_of(folder)
    store.answer(ask_of(Asked()))
    record = recorded(folder)
    assert record["schema"] == "pytest-readiness/fact/v1"
    assert record["answer"] == {"names": ["a", "b"], "total": 3}
    assert (record["name"], record["target"], record["type"]) == ("shop_sizes", "shop", "Sizes")
    assert record["question"] == "list sizes"
    assert before <= record["asked_at"]
    assert record["refusal"] is None
    kept = store.record("shop_sizes")
    assert kept is not None
    assert kept.path == "facts/shop_sizes.json"


def test_what_is_recorded_and_what_is_judged_is_redacted(folder: Path) -> None:
    answer = store_of(folder).answer(ask_of(Asked(Sizes(("it is correct-horse",)))))
    assert isinstance(answer, Sizes)
    assert answer.names[0].startswith("it is «redacted:")
    text = (folder / "facts/shop_sizes.json").read_text(encoding="utf-8")
    assert "correct-horse" not in text
    assert "x7Gk20pQ" not in text


def test_no_mark_of_a_question_stays_when_it_is_answered(folder: Path) -> None:
    def ask() -> Sizes:
        said = (folder / "facts/.shop_sizes.asking").read_text(encoding="utf-8")
        return Sizes((said,))

    answer = store_of(folder).answer(ask_of(ask, source="shop"))
    assert answer == Sizes(("shop: list sizes",))
    assert not list((folder / "facts").glob("*.asking"))


def test_a_refusal_is_recorded_and_raised_again(folder: Path) -> None:
    asked = Asked(refusal(cause="password=correct-horse", advice="kubectl create\nclusterrole"))
    for store in (store_of(folder), store_of(folder), store_of(folder, recorded=True)):
        for _ in range(2):
            with pytest.raises(ProbeError, match="shop at 1: list sizes: forbidden") as raised:
                store.answer(ask_of(asked))
            assert raised.value.advice == "kubectl create\nclusterrole"
            assert "correct-horse" not in str(raised.value)
        assert store.record("shop_sizes") is not None
    assert asked.times == 1
    assert recorded(folder)["answer"] is None


def test_a_target_that_is_down_is_asked_nothing_else(folder: Path) -> None:
    first, second = Asked(refusal(ProbeErrorKind.UNREACHABLE)), Asked()
    with pytest.raises(ProbeError, match="unreachable"):
        store_of(folder).answer(ask_of(first))
    for store in (store_of(folder), store_of(folder, recorded=True)):
        with pytest.raises(ProbeError, match="shop at 1: list sizes: unreachable: no"):
            store.answer(ask_of(second, "shop_colours"))
    assert second.times == 0
    elsewhere = ask_of(second, "depot_sizes", target="depot")
    assert store_of(folder).answer(elsewhere) == SIZES


def test_a_refusal_that_is_the_question_s_own_leaves_others_to_be_asked(folder: Path) -> None:
    with pytest.raises(ProbeError):
        store_of(folder).answer(ask_of(Asked(refusal(ProbeErrorKind.FORBIDDEN))))
    assert store_of(folder).answer(ask_of(Asked(), "shop_colours")) == SIZES


def test_nothing_is_asked_after_the_deadline_and_a_replay_says_the_same(folder: Path) -> None:
    asked = Asked()
    late = store_of(folder, deadline=now() - timedelta(seconds=1))
    for store in (late, late, store_of(folder, recorded=True)):
        with pytest.raises(NotChecked, match="deadline of the run passed before 'list sizes' was"):
            store.answer(ask_of(asked))
        assert store.record("shop_sizes") is None
    assert asked.times == 0


def test_what_was_asked_before_the_deadline_is_read_after_it(folder: Path) -> None:
    store_of(folder).answer(ask_of(Asked()))
    late = store_of(folder, deadline=now() - timedelta(seconds=1))
    assert late.answer(ask_of(Asked())) == SIZES


def test_a_replay_never_asks(folder: Path) -> None:
    asked = Asked()
    with pytest.raises(NotChecked, match="shop_sizes was not asked in the recorded run"):
        store_of(folder, recorded=True).answer(ask_of(asked))
    assert asked.times == 0


@pytest.mark.parametrize("error", [ValueError("size correct-horse"), KeyError("x"), OSError(5)])
def test_a_probe_that_breaks_is_an_error_that_names_the_place(
    folder: Path, error: Exception
) -> None:
    with pytest.raises(ProbeError) as raised:
        store_of(folder).answer(ask_of(Asked(error)))
    assert raised.value.kind is ProbeErrorKind.BROKE
    assert raised.value.cause.startswith(f"{type(error).__name__}: ")
    assert " at test_store.py:" in raised.value.cause
    assert "\n" not in raised.value.cause
    assert "correct-horse" not in str(raised.value)
    assert "Traceback" not in (folder / "facts/shop_sizes.json").read_text(encoding="utf-8")


def test_what_is_no_program_error_is_not_taken_for_one(folder: Path) -> None:
    def interrupted() -> Sizes:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store_of(folder).answer(ask_of(interrupted))
    assert not (folder / "facts/shop_sizes.json").exists()


def _change(**values: object) -> Callable[[bytes], bytes]:
    return lambda data: json.dumps({**json.loads(data), **values}).encode()


def _answer(**values: object) -> Callable[[bytes], bytes]:
    return lambda data: _change(answer={**json.loads(data)["answer"], **values})(data)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_change(schema="pytest-readiness/fact/v2"), "schema 'pytest-readiness/fact/v2', this"),
        (_change(signature="x"), "unknown field `signature`"),
        (_change(duration="long"), "Expected `float`"),
        (_change(answer=None), "neither answer nor refusal"),
        (_change(type="Other"), "it is a Other, expected Sizes"),
        (_change(refusal={"kind": "tired"}), "missing required field|Invalid enum value"),
        (_change(answer=[1]), "Expected `object`, got `array`"),
        (_answer(weight=1), "unknown field `weight`"),
        (_answer(total="3"), "Expected `int`, got `str`"),
        (_answer(names=None), "Expected `array`, got `null`"),
        (_change(answer={"total": 3}), "missing required field `names`"),
        (lambda data: data[:40], "truncated"),
        (lambda data: b"", "truncated"),
        (lambda data: data.replace(b'"a"', b'"\xff"'), "UTF-8|utf-8"),
        (lambda data: b"[]", "Expected `object`"),
    ],
)
@pytest.mark.parametrize("replay", [False, True], ids=["run", "replay"])
def test_a_record_that_cannot_be_read_is_an_error_and_no_guess(
    folder: Path, spoil: Callable[[bytes], bytes], said: str, replay: bool
) -> None:
    store_of(folder).answer(ask_of(Asked()))
    path = folder / "facts/shop_sizes.json"
    path.write_bytes(spoil(path.read_bytes()))
    asked = Asked()
    with pytest.raises(ProbeError, match=said) as raised:
        store_of(folder, recorded=replay).answer(ask_of(asked))
    assert raised.value.kind is ProbeErrorKind.MALFORMED
    assert raised.value.target == "facts/shop_sizes.json"
    assert not raised.value.stops_target
    assert asked.times == 0


def test_a_mark_of_a_dead_target_that_cannot_be_read_is_an_error(folder: Path) -> None:
    (folder / "facts/shop.down.json").write_text("{")
    asked = Asked()
    with pytest.raises(ProbeError, match="truncated"):
        store_of(folder).answer(ask_of(asked))
    assert asked.times == 0


def test_a_probe_that_gives_no_answer_has_not_answered(folder: Path) -> None:
    with pytest.raises(ProbeError, match="neither answer nor refusal"):
        store_of(folder).answer(ask_of(Asked(None)))
    store_of(folder).answer(ask_of(Asked(), "shop_colours"))
    with pytest.raises(ProbeError, match="it is a Sizes, expected Other"):
        store_of(folder).answer(ask_of(Asked(), "shop_colours", answer=Other))


# Each says that it is there, and asks when both are; the one that asks notes it.
TWO = """\
import sys, time
from pathlib import Path
from tests.record.test_store import SIZES, ask_of, store_of

folder, me = Path(sys.argv[1]), sys.argv[2]

def wait(pattern, number):
    until = time.monotonic() + 30
    while len(list(folder.glob(pattern))) < number and time.monotonic() < until:
        time.sleep(0.01)

def ask():
    (folder / f"asked-{me}").touch()
    return SIZES

(folder / f"here-{me}").touch()
wait("here-*", 2)
assert store_of(folder).answer(ask_of(ask)) == SIZES
"""


def test_two_processes_at_once_ask_once(folder: Path) -> None:
    both = [
        subprocess.Popen([sys.executable, "-c", TWO, str(folder), name]) for name in ("one", "two")
    ]
    assert [process.wait(timeout=60) for process in both] == [0, 0]
    assert len(list(folder.glob("asked-*"))) == 1


def test_a_probe_that_breaks_without_words_is_told_by_its_kind(tmp_path: Path) -> None:
    class Speechless(Exception):
        def __str__(self) -> str:
            raise ValueError

    assert told(Speechless()) == "Speechless: an error whose text cannot be made"
    assert told(ValueError("one\ntwo")) == "ValueError: one"
