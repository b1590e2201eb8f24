"""Outcomes kept between runs: the same report, less work; never for another tree, another code or damaged bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from lorelint.code.program import Cache, Program
from lorelint.edge.index import IndexFile
from lorelint.edge.stamp import stamp
from lorelint.jobs.scan import scan
from lorelint.kernel.load import knowledge
from lorelint.model.base import Applied
from lorelint.model.finding import Doubt, Finding, Kind, Need, Severity, Sibling, Silence, Step, Verdict
from lorelint.model.tree import EmptyTree, OverlayTree, Tree
from lorelint.model.trouble import Failure, Unseen
from lorelint.rule.answers import Answers, FileAnswers, answers_of
from lorelint.rule.delta import Delta, delta
from lorelint.rule.door import Rule, Tokens, TreeView
from lorelint.rule.outcome import Outcome

CALLEE = "static void callee(void)\n{\n\tquiet();\n}\n\n"
CALLER = "void caller(void)\n{\n\tcallee();\n}\n\n"
OTHER = "void other(void)\n{\n\tfine();\n}\n\n"
LOUD = "static void noisy(void)\n{\n\tloud();\n}\n\nvoid wrong(void)\n{\n\tnoisy();\n}\n\n"


class Memory:
    """Bytes in a dict."""

    def __init__(self) -> None:
        self.rows: dict[str, bytes] = {}

    def recall_answer(self, key: str) -> bytes | None:
        return self.rows.get(key)

    def keep_answers(self, answers: Mapping[str, bytes]) -> None:
        self.rows.update(answers)


class Commit:
    """A tree that never changes."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.held = files
        self._tree = OverlayTree(EmptyTree("t"), files)
        self.state = f"commit:{sorted(files.items())!r}"

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tree, name)


@pytest.fixture
def watched(bench: SimpleNamespace) -> tuple[Rule, list[str]]:
    """A rule that says of which functions it was asked."""
    asked: list[str] = []

    def run(view: TreeView) -> Iterator[Verdict]:
        for fn in view.functions:
            asked.append(fn.name)
            view.program.miss(Unseen("cut", fn.path, 0, f"{fn.name} was cut short"))
            yield Silence("loud-callee", fn.path, fn.name, fn.line, "looked at")
        yield from bench.LOUD.run(view)

    return replace(bench.LOUD, run=run), asked


def told(files: Mapping[str, str]) -> Commit:
    return Commit({path: text.encode() for path, text in files.items()})


def after(tree: Tree, files: Mapping[str, str]) -> OverlayTree:
    return OverlayTree(tree, {path: text.encode() for path, text in files.items()})


def series(bench: SimpleNamespace, *trees: Tree) -> Applied:
    """Those trees as a series over the first."""
    states = [{path: (tree.read(path) or b"").decode() for path in tree.files()} for tree in trees]
    made: Applied = bench.applied(states)
    pairs = pairwise(trees)
    shots = (replace(each, before=old, after=new) for each, (old, new) in zip(made.snapshots, pairs, strict=True))
    return replace(made, snapshots=tuple(shots))


def judged(applied: Applied, rule: Rule, memory: Memory | None = None, code: str = "one") -> Delta:
    know, cache = knowledge((7, 2)), Cache.empty()
    known: Callable[[Tree], Answers] = lambda tree: answers_of(tree, know, memory, code)  # noqa: E731
    return delta(applied, (rule,), lambda tree: Program(tree, know, cache), answers=known)


def test_the_second_review_asks_nothing_and_says_the_same(
    bench: SimpleNamespace, watched: tuple[Rule, list[str]]
) -> None:
    rule, asked = watched
    base = told({"a.c": CALLEE + CALLER + OTHER + LOUD})
    applied = series(bench, base, after(base, {"a.c": CALLEE.replace("quiet", "loud") + CALLER + OTHER + LOUD}))
    plain = judged(applied, rule)
    assert [each.finding.function for each in plain.judged] == ["caller"] and plain.unseen
    memory = Memory()
    assert judged(applied, rule, memory) == plain
    asked.clear()
    assert judged(applied, rule, memory) == plain
    assert asked == []


def test_another_patch_on_the_same_base_costs_what_it_changes(
    bench: SimpleNamespace, watched: tuple[Rule, list[str]]
) -> None:
    rule, asked = watched
    base = told({"a.c": CALLEE + CALLER + OTHER + LOUD})
    memory = Memory()
    judged(
        series(bench, base, after(base, {"a.c": CALLEE + CALLER + OTHER.replace("fine", "also") + LOUD})), rule, memory
    )
    asked.clear()
    applied = series(
        bench, base, after(base, {"a.c": "\n\n" + CALLEE.replace("quiet", "loud") + CALLER + OTHER + LOUD})
    )
    known = judged(applied, rule, memory)
    # what changed, who reads it, and a finding in a file whose lines moved
    assert sorted(asked) == ["callee", "caller", "wrong"]
    assert known == judged(applied, rule)


def test_a_series_carries_on(bench: SimpleNamespace, watched: tuple[Rule, list[str]]) -> None:
    rule, asked = watched
    base = told({"a.c": CALLEE + CALLER + OTHER, "b.c": "void b(void)\n{\n\tfine();\n}\n"})
    one = after(base, {"a.c": CALLEE.replace("quiet", "calm") + CALLER + OTHER})
    two = after(one, {"a.c": CALLEE.replace("quiet", "loud") + CALLER + OTHER})
    plain = judged(series(bench, base, one, two), rule)
    assert asked.count("other") == 1
    assert [(each.patch, each.finding.function) for each in plain.judged] == [(2, "caller")]


def test_other_code_or_another_tree_is_asked_anew(bench: SimpleNamespace, watched: tuple[Rule, list[str]]) -> None:
    rule, asked = watched
    base = told({"a.c": CALLEE + CALLER})
    changed = {"a.c": CALLEE.replace("quiet", "loud") + CALLER}
    memory = Memory()
    judged(series(bench, base, after(base, changed)), rule, memory)
    for code, tree in (("two", base), ("one", told({"a.c": CALLEE + CALLER, "b.c": OTHER}))):
        asked.clear()
        judged(series(bench, tree, after(tree, changed)), rule, memory, code)
        assert "caller" in asked
    asked.clear()
    loose = OverlayTree(EmptyTree("t"), base.held)
    rows = dict(memory.rows)
    judged(series(bench, loose, after(loose, changed)), rule, memory)
    assert "caller" in asked and memory.rows == rows, "a tree that may change leaves nothing behind"


def test_damaged_answers_are_worked_out_again(bench: SimpleNamespace, watched: tuple[Rule, list[str]]) -> None:
    rule, _ = watched
    base = told({"a.c": CALLEE + CALLER + LOUD})
    applied = series(bench, base, after(base, {"a.c": CALLEE.replace("quiet", "loud") + CALLER + LOUD}))
    memory = Memory()
    plain = judged(applied, rule, memory)
    for key, data in list(memory.rows.items()):
        for hurt in (b"", b"x", data[: len(data) // 2], data[:20] + b"\0" + data[21:]):
            memory.rows[key] = hurt
            assert judged(applied, rule, memory) == plain
            memory.rows[key] = data


def test_a_scan_asks_once(watched: tuple[Rule, list[str]], bench: SimpleNamespace) -> None:
    rule, asked = watched
    tree = told({"a.c": CALLEE + CALLER + LOUD, "b.c": OTHER, "empty.c": "int x;\n"})
    options: dict[str, Any] = {"version": (7, 2), "stamp": "one"}
    plain = scan(tree, [""], [rule, bench.BAD], **options)
    assert plain.findings and plain.silences and plain.unseen and plain.troubles
    memory = Memory()
    assert scan(tree, [""], [rule, bench.BAD], memory=memory, **options) == plain
    asked.clear()
    assert scan(tree, [""], [rule, bench.BAD], memory=memory, **options) == plain
    assert scan(tree, ["b.c"], [rule], memory=memory, **options).coverage.functions == 1
    assert asked == []


def test_two_functions_of_one_name_stand_where_they_stood(bench: SimpleNamespace) -> None:
    """Two configurations; each rule has a say about another one. The last is where the name is looked for."""

    def hole(view: TreeView) -> Iterator[Verdict]:
        for fn in view.functions:
            view.program.miss(Unseen("degraded", fn.path, fn.line, f"text in {fn.name}"))
            yield Silence("loud-callee", fn.path, fn.name, fn.line, "looked at")

    first, last = "void f(void)\n{\n\tgood();\n}\n", "void f(void)\n{\n\tloud();\n}\n"
    tree = told({"a.c": f"#ifdef A\n{first}#else\n{last}#endif\n"})
    rules = [replace(bench.LOUD, name="a", run=hole, tokens=Tokens((("loud",),))), replace(bench.BAD, name="b")]
    options: dict[str, Any] = {"version": (7, 2), "stamp": "one", "memory": Memory()}
    plain = scan(tree, [""], rules, **options)
    assert plain.coverage.degraded == 1
    assert scan(tree, [""], rules, **options) == plain


def test_what_failed_is_tried_again(bench: SimpleNamespace) -> None:
    tree = told({"a.c": "void f(void)\n{\n\tbad();\n}\n"})
    memory = Memory()
    first = scan(tree, [""], [bench.RAISES], version=(7, 2), memory=memory, stamp="one")
    assert first.failures == (Failure("raises", "a.c", "f", "ValueError: cannot read f at all"),)
    assert scan(tree, [""], [bench.RAISES], version=(7, 2), memory=memory, stamp="one") == first


def test_every_kind_of_value_comes_back(small_function: Callable[[], Any]) -> None:
    fn = small_function()
    step, sibling = Step("a.c", 3, "a step \udce9 → "), Sibling("b.c", 1, "g", "elsewhere")
    finding = Finding(
        "r", "a.c", "f", 3, "x", "message", Severity.ERROR, 0.35, (step, step), Need.TREE, Kind.REMARK, "concern",
        ("one", "two"), "advice", (sibling,), ("e",), "can it",
    )  # fmt: skip
    verdicts = (finding, Silence("r", "a.c", "f", 2, "why", (step,)), Doubt("r", "a.c", "f", 1, "", "unknown"))
    outcome = Outcome(verdicts, frozenset({("file", "a.c"), ("define", "x")}), (Unseen("cut", "a.c", 0, "cut"),))
    answers = FileAnswers(7)
    answers.keep(fn, outcome)
    back = FileAnswers.unpack(answers.pack())
    assert back is not None and back.functions == 7
    assert back.outcome(fn) == outcome
    assert isinstance(back.outcome(fn).findings[0].severity, Severity)  # type: ignore[union-attr]
    fn.end_line = 99
    assert back.outcome(fn) is None


def test_what_cannot_be_kept_is_asked_anew(small_function: Callable[[], Any]) -> None:
    """A rule of a stranger may put anything into a verdict."""
    fn, memory = small_function(), Memory()
    for rule, reason in (("odd", {"a", "set"}), ("plain", "text")):
        verdict = Silence(rule, "a.c", fn.name, fn.line, reason)  # type: ignore[arg-type]
        answers = Answers(memory, "one")
        answers.learned(rule, fn, Outcome((verdict,), frozenset()))
        answers.learned("plain", fn, Outcome((), frozenset()))
        answers.save()
    again = Answers(memory, "one")
    assert again.outcome("odd", fn) is None
    assert again.outcome("plain", fn) is not None


@pytest.mark.parametrize("name", ["a\nb", "a\0b"])
def test_keys_that_cannot_be_told_apart_are_not_kept(small_function: Callable[[], Any], name: str) -> None:
    """A file may have any name."""
    fn, memory = small_function(), Memory()
    for path in ("plain", name):
        answers = Answers(memory, "one")
        answers.learned(path, fn, Outcome((), frozenset({("file", path), ("define", "x")})))
        answers.save()
    again = Answers(memory, "one")
    assert again.outcome(name, fn) is None
    assert again.outcome("plain", fn) == Outcome((), frozenset({("file", "plain"), ("define", "x")}))


@pytest.fixture
def small_function() -> Callable[[], Any]:
    return lambda: Program(told({"a.c": OTHER}), knowledge((7, 2))).functions("a.c")[0]


def test_the_index_keeps_answers_and_drops_the_oldest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lorelint.edge.index.ANSWERS", 20)
    keeper = IndexFile(tmp_path / "index.sqlite")
    assert keeper.recall_answer("0") is None
    for number in range(30):
        keeper.keep_answers({str(number): b"%d" % number})
    again = IndexFile(tmp_path / "index.sqlite")
    assert again.recall_answer("29") == b"29" and again.recall_answer("0") is None
    (tmp_path / "file").write_text("")
    said: list[str] = []
    nowhere = IndexFile(tmp_path / "file" / "index.sqlite", said.append)
    nowhere.keep_answers({"a": b"b"})
    assert nowhere.recall_answer("a") is None and "cannot be written" in said[0]


def test_a_stamp_is_another_for_any_edit(tmp_path: Path) -> None:
    (tmp_path / "pack" / "deep").mkdir(parents=True)
    (tmp_path / "pack" / "rule.py").write_text("a = 1\n")
    seen = {stamp([tmp_path / "pack"])}
    assert stamp([tmp_path / "pack"]) in seen
    for name, text in (("rule.py", "a = 22\n"), ("deep/list.toml", "x = 1\n"), ("new.py", "")):
        (tmp_path / "pack" / name).write_text(text)
        now = stamp([tmp_path / "pack"])
        assert now not in seen
        seen.add(now)
    (tmp_path / "pack" / "__pycache__").mkdir()
    (tmp_path / "pack" / "__pycache__" / "rule.pyc").write_text("")
    assert stamp([tmp_path / "pack"]) in seen
