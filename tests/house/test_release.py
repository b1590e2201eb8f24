"""The CHANGELOG is made of fragments, and a release is walked through by a command."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests import release

PAGE = "# Changes\n\n## 0.1.0 (2026-01-02)\n\n- the first\n"


@pytest.fixture
def house(tmp_path: Path) -> Path:
    (tmp_path / "bot" / "changes").mkdir(parents=True)
    (tmp_path / "bot" / "changes" / "README.md").write_text("how\n")
    (tmp_path / "CHANGELOG.md").write_text(PAGE)
    return tmp_path


def put(house: Path, name: str, text: str) -> None:
    (house / "bot" / "changes" / name).write_text(text)


def test_a_section_of_fragments(house: Path) -> None:
    put(house, "added-b.md", "`lorelint b`: it\ndoes b.\n")
    put(house, "fixed-a.md", "a is " + "long " * 40 + "mended.\n")
    release.assemble("0.2.0", "2026-03-04", house)
    text = (house / "CHANGELOG.md").read_text()
    assert (
        text.startswith("# Changes\n\n## 0.2.0 (2026-03-04)\n\n- a is long") and max(map(len, text.splitlines())) <= 120
    )
    assert "\n- `lorelint b`: it does b.\n\n## 0.1.0 (2026-01-02)\n\n- the first\n" in text
    assert [path.name for path in (house / "bot" / "changes").iterdir()] == ["README.md"]
    with pytest.raises(release.Wrong, match="already"):
        release.assemble("0.2.0", "2026-03-05", house)


def test_an_unreleased_section_is_completed(house: Path) -> None:
    (house / "CHANGELOG.md").write_text(PAGE.replace("(2026-01-02)", "(unreleased)"))
    put(house, "added-b.md", "b\n")
    release.assemble("0.1.0", "2026-03-04", house)
    assert (house / "CHANGELOG.md").read_text() == "# Changes\n\n## 0.1.0 (2026-03-04)\n\n- b\n- the first\n"


@pytest.mark.parametrize(("name", "text"), [("words.md", "x\n"), ("added-x.md", " \n"), ("added-x.md", "- x\n")])
def test_what_is_no_fragment(house: Path, name: str, text: str) -> None:
    put(house, name, text)
    with pytest.raises(release.Wrong, match=name):
        release.assemble("0.2.0", "2026-03-04", house)
    assert (house / "CHANGELOG.md").read_text() == PAGE


def test_our_own_fragments_are_some() -> None:
    lines = release.section("1.2.3", "2026-01-01", release.fragments()).splitlines()
    assert max(map(len, lines)) <= 120


def test_one_version_everywhere() -> None:
    assert release.same_version() == release.version()


def test_every_step_is_walked_whatever_became_of_others(capsys: pytest.CaptureFixture[str]) -> None:
    def wrong() -> str:
        raise release.Wrong("do this")

    assert list(release.walk((("first", wrong), ("second", lambda: "fine")))) == [False, True]
    assert capsys.readouterr().out.splitlines() == ["  NO    first: do this", "  ok    second: fine"]


def test_the_steps_ask_for_tests_that_are_there(root: Path) -> None:
    import re

    named = re.findall(r'"(tests/[\w/.]+)"', (root / "tests" / "release.py").read_text())
    assert named and [name for name in named if not (root / name).exists()] == []
