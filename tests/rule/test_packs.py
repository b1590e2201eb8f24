"""Packs at the door: what is taken, and what is refused with file and reason."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lorelint.model.errors import LorelintError
from lorelint.rule import packs
from lorelint.rule.door import Analysis, TreeView
from lorelint.rule.engine import Judge
from lorelint.rule.examples import problems
from lorelint.rule.explain import HEADINGS, doc, explain, sections
from lorelint.rule.skeleton import skeleton

Make = Callable[[dict[str, str]], str]


@pytest.fixture
def pack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Make]:
    """Writes a package of rules and gives its name; it is forgotten afterwards."""
    name = "pack_" + re.sub(r"\W", "_", request.node.name)

    def make(files: dict[str, str]) -> str:
        for path, text in {"__init__.py": "", **files}.items():
            (tmp_path / name / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name / path).write_text(text)
        monkeypatch.syspath_prepend(str(tmp_path))
        return name

    yield make
    for module in [each for each in sys.modules if each.split(".")[0] == name]:
        del sys.modules[module]


def refused(make: Make, files: dict[str, str]) -> str:
    with pytest.raises(LorelintError) as caught:
        packs.package_rules(make(files))
    return str(caught.value)


def test_a_skeleton_is_a_rule_whose_example_holds(pack: Make) -> None:
    rules = packs.package_rules(pack(skeleton("retry/never-ends")), "mine")
    assert [(rule.name, rule.origin) for rule in rules] == [("never-ends", "mine")]
    assert problems(rules[0]) == ()


@pytest.mark.parametrize("place", ["never-ends", "retry/Never", "retry/never_ends", "../retry/x", "a/b/c", "retry/-x"])
def test_a_skeleton_wants_a_place(place: str) -> None:
    with pytest.raises(LorelintError, match="no place for a rule"):
        skeleton(place)


def test_a_missing_heading_is_refused(pack: Make) -> None:
    files = skeleton("retry/never-ends")
    files["retry/never_ends.py"] = files["retry/never_ends.py"].replace("Why it hurts  ", "Why it is bad ")
    told = refused(pack, files)
    assert "'Why it hurts'" in told and "never_ends.py" in told


def test_an_empty_heading_is_refused(pack: Make) -> None:
    files = skeleton("retry/never-ends")
    files["retry/never_ends.py"] = files["retry/never_ends.py"].replace("commits, documents, threads", "")
    assert "'References'" in refused(pack, files)


def test_a_rule_without_example_is_refused(pack: Make) -> None:
    files = skeleton("retry/never-ends")
    del files["retry/never_ends.diff"]
    assert "no example never_ends.diff" in refused(pack, files)


def test_a_name_that_is_not_its_file_is_refused(pack: Make) -> None:
    files = skeleton("retry/never-ends")
    files["retry/other.py"] = files.pop("retry/never_ends.py")
    assert "call the file never_ends.py" in refused(pack, files)


def test_a_name_of_other_letters_is_refused(pack: Make) -> None:
    files = skeleton("retry/never-ends")
    files["retry/never_ends.py"] = files["retry/never_ends.py"].replace('Rule("never-ends"', 'Rule("Never_Ends2"')
    assert "not lower-case words" in refused(pack, files)


def test_what_is_no_rule_is_refused(pack: Make) -> None:
    assert "RULE is a str" in refused(pack, {"x.py": 'RULE = "x"'})


def test_a_module_that_cannot_be_imported_is_named(pack: Make) -> None:
    told = refused(pack, {"broken.py": "import no_such_module_anywhere"})
    assert "broken" in told and "no_such_module_anywhere" in told


def test_analyses_in_a_circle_are_refused(pack: Make) -> None:
    files = skeleton("retry/never-ends")
    circle = 'Analysis("a", len, (Analysis("b", len, (Analysis("a", len),)),))'
    text = files["retry/never_ends.py"].replace("lorelint.rule import", "lorelint.rule import Analysis,")
    files["retry/never_ends.py"] = text.replace("run=run, since", f"requires=({circle},), run=run, since")
    assert "a > b > a" in refused(pack, files)


def test_an_analysis_that_asks_for_itself_is_an_error(bench) -> None:  # type: ignore[no-untyped-def]
    from lorelint.code.program import Program

    def ask(view: TreeView) -> object:
        return view.of(selfish)

    selfish: Analysis[object] = Analysis("selfish", ask)
    view = Judge(Program(bench.tree({}), bench.know))._view
    for _ in range(2):
        with pytest.raises(LorelintError, match="selfish: needs itself"):
            view.of(selfish)


def test_ours_come_by_the_entry_point() -> None:
    assert any(pack.package == "lorelint_rules" and pack.rules for pack in packs.packs())
    assert "lorelint_rules" in packs.version()


def test_an_unknown_rule_is_named_with_the_nearest() -> None:
    some = packs.load()[0].name
    with pytest.raises(LorelintError, match=f"did you mean {some}"):
        packs.load([some + "s"])
    assert [rule.name for rule in packs.load([some])] == [some]


DOC = """some-defect: what it is,
    over two lines

What it sees       calls of f()
                   and of g()

    A second paragraph.
Why it hurts
    it breaks
When it is silent: never
    - not here
      nor there
    - nor here
Do this instead    something else
References         none
"""


def test_sections_of_a_docstring() -> None:
    told = sections(DOC)
    assert set(HEADINGS) < set(told)
    assert told["What it sees"] == "calls of f() and of g()\n\nA second paragraph."
    assert told["When it is silent"] == "never\n- not here nor there\n- nor here"
    assert told["Why it hurts"] == "it breaks"


def test_explain_is_a_page_of_every_rule() -> None:
    for rule in packs.load():
        page = explain(rule)
        assert page.startswith(f"{rule.name}: ")
        assert doc(rule).summary
        assert all(f"\n{heading}\n" in page for heading in HEADINGS)
        assert rule.example.splitlines()[0] in page
        body = page.partition("\n\nExample\n")[0]
        assert all(len(line) <= 80 or " " not in line.strip() for line in body.splitlines())
