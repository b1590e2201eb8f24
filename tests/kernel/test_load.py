"""The loader: what it answers for a version, and that every sort of bad data is named with file and line."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lorelint.kernel
from lorelint.kernel.load import knowledge, known_versions, read
from lorelint.model.errors import LorelintError
from lorelint.model.knowledge import When

DATA = Path(lorelint.kernel.__file__).parent


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the data to spoil."""
    for path in DATA.glob("*.toml"):
        shutil.copy(path, tmp_path)
    return tmp_path


def refused(folder: Path, name: str, old: str, new: str) -> str:
    """The message after one change of one file."""
    path = folder / name
    text = path.read_text()
    assert text.count(old) >= 1, f"{old!r} is not in {name} any more"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(LorelintError) as caught:
        read(folder)
    return str(caught.value)


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ((6, 12), (6, 12)),
        ((6, 8), (6, 1)),
        ((6, 18), (6, 12)),
        ((7, 9), (7, 2)),
        ((4, 19), (5, 10)),
        ((5, 10), (5, 10)),
    ],
)
def test_nearest_lower_version(asked: tuple[int, int], answered: tuple[int, int]) -> None:
    assert knowledge(asked).version == answered


def test_lists_are_cut_to_the_version() -> None:
    assert knowledge((6, 12)).has("zap_vma_ptes", "unmap_apis")
    assert not knowledge((7, 2)).has("zap_vma_ptes", "unmap_apis")
    assert knowledge((7, 2)).has("zap_special_vma_range", "unmap_apis")
    assert not knowledge((6, 1)).has("follow_pfnmap_start", "pfn_lookup")
    assert knowledge((5, 10)).names("mmu_notifier_begin") == {"mmu_interval_read_begin", "mmu_notifier_seq"}


def test_names_of_an_unknown_list() -> None:
    with pytest.raises(KeyError):
        knowledge((6, 12)).names("no_such_list")


def test_call_facts_follow_the_signature() -> None:
    assert knowledge((6, 1)).calls["pin_user_pages_remote"].drops_when == When(7, "not-null")
    assert knowledge((6, 12)).calls["pin_user_pages_remote"].drops_when == When(6, "not-null")
    fault = knowledge((6, 12)).calls["fixup_user_fault"]
    assert (fault.ends_on_signal, fault.signal_when, fault.signal_codes) == ("fatal", When(4, "not-null"), ("EINTR",))
    assert fault.drops_mmap_lock and fault.holds_on_return and fault.told_by == 4


def test_sections_know_their_closers_and_what_is_atomic() -> None:
    known = knowledge((6, 12))
    assert known.sections["mutex_lock_killable"].closers == {"mutex_unlock"}
    assert known.sections["mutex_lock_killable"].opens == "on-zero"
    assert not known.sections["mutex_lock"].atomic
    assert known.sections["spin_lock_irqsave"].atomic
    assert known.sections["follow_pfnmap_start"].closers == {"follow_pfnmap_end"}
    assert "follow_pfnmap_start" not in knowledge((6, 1)).sections


def test_guards() -> None:
    known = knowledge((6, 12))
    assert known.guards["spinlock"].atomic and not known.guards["mutex"].atomic
    assert known.guards["mutex_intr"].conditional and known.guards["mutex_intr"].signal == "any"
    assert "mmap_read_lock" not in known.guards and "mmap_read_lock" in knowledge((7, 2)).guards


def test_every_signal_fact_is_complete() -> None:
    """Each name of the list by which a signal ends a wait says which signals and with which code."""
    for version in known_versions():
        known = knowledge(version)
        for name in sorted(known.lists["signal_check_by_callee"]):
            assert known.calls[name].ends_on_signal, (version, name)
            assert known.calls[name].signal_codes, (version, name)
        for name in sorted(known.lists["atomic_openers"]):
            assert known.sections[name].atomic, (version, name)


def test_the_data_as_shipped_can_be_spoiled_only_by_a_change(folder: Path) -> None:
    assert read(folder).checked == known_versions()


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("gup.toml", "[gup_pin]\nnames", "[gup_pin]\nnamez", "unknown key 'namez'"),
        ("gup.toml", '"pin_user_pages",', '"pin_user_pages",\n    "pin_user_pages",', "'pin_user_pages' stands twice"),
        ("gup.toml", '"pin_user_pages",', '"pin user pages",', "is not an identifier of C"),
        ("gup.toml", '"pin_user_pages",', "17,", "an entry must be a name"),
        ("gup.toml", 'since = "6.12"', 'since = "6.13"', "names a version nothing was checked against"),
        ("gup.toml", 'since = "6.12"', 'since = "six"', "is not a kernel version"),
        ("gup.toml", 'since = "6.12"', 'since = "6.12", until = "6.1"', "'until' is before 'since'"),
        ("gup.toml", 'since = "6.12"', 'sins = "6.12"', "unknown key 'sins'"),
        ("gup.toml", "[gup_pin]", "[gup_pin", "not TOML"),
        ("gup.toml", "[gup_pin]", "[lock_acquire]", "stands in another file too"),
        ("versions.toml", '"5.10", "6.1"', '"6.1", "5.10"', "oldest first"),
        ("calls.toml", '"mutex_lock_killable"', '"mutex_lock_kilable"', "is in none of the lists"),
        ("calls.toml", 'signal = "fatal"', 'signal = "deadly"', "'signal' must be one of"),
        ("calls.toml", "argument = 4", "argument = 0", "must name an argument"),
        ("calls.toml", 'test = "flag", flags', 'test = "not-null", flags', "go together"),
        ("calls.toml", "told_by = 4", "told_by = true", "must be a number"),
        ("sections.toml", 'open = ["mutex_trylock"]', 'open = ["mutex_lock"]', "opens a section already"),
        ("sections.toml", 'open = ["mutex_trylock"]', 'open = ["mutex_tri"]', "is in none of the lists"),
        ("sections.toml", 'opens = "on-nonzero"', 'opens = "sometimes"', "'opens' must be one of"),
        ("sections.toml", 'names = ["migrate"]', 'names = ["mutex"]', "stands twice"),
        ("sections.toml", "atomic = true", "atomic = 1", "must be true or false"),
        ("locks.toml", '"preempt_disable",', '"preempt_disable",\n    "preempt_off",', "nothing closes preempt_off"),
    ],
)
def test_bad_data_is_named(folder: Path, name: str, old: str, new: str, said: str) -> None:
    message = refused(folder, name, old, new)
    assert said in message
    # The file that must be edited, and but for what is missing altogether its line.
    assert message.split(":")[0] in (name, "locks.toml", "gup.toml", "sections.toml")
    if "nothing closes" not in said:
        assert message.split(":")[1].strip().isdigit(), message


def test_the_line_is_the_one_to_edit(folder: Path) -> None:
    text = (folder / "calls.toml").read_text()
    line = text[: text.index('"mutex_lock_killable"')].count("\n") + 1
    assert refused(folder, "calls.toml", '"mutex_lock_killable"', '"mutex_lock_kilable"').startswith(
        f"calls.toml:{line}: "
    )


def test_a_folder_without_data(tmp_path: Path) -> None:
    with pytest.raises(LorelintError, match=r"versions\.toml: cannot be read"):
        read(tmp_path)


@settings(max_examples=50, deadline=None)
@given(
    name=st.sampled_from(sorted(path.name for path in DATA.glob("*.toml"))),
    where=st.floats(0, 1, exclude_max=True),
    length=st.integers(0, 12),
    instead=st.one_of(
        st.text(max_size=6),
        st.sampled_from(['"', "[", "]]", "{}", "[[call]]\n", "[section]\n", "= 1\n", "names = []\n", "true", "\x00"]),
    ),
)
def test_no_slip_of_the_pen_ends_in_a_traceback(name: str, where: float, length: int, instead: str) -> None:
    """Any small change gives data that is still good, or an error that names the file."""
    text = (DATA / name).read_text()
    at = int(where * len(text))
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        for path in DATA.glob("*.toml"):
            shutil.copy(path, folder)
        (folder / name).write_text(text[:at] + instead + text[at + length :], encoding="utf-8")
        try:
            facts = read(folder)
        except LorelintError as error:
            assert error.where, error
        else:
            assert facts.at((6, 12)).version in facts.checked


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("calls.toml", "call = 3\n"),
        ("calls.toml", "[call]\nnames = []\n"),
        ("sections.toml", "section = [1, 2]\n"),
        ("gup.toml", "gup_pin = 3\n"),
        ("gup.toml", "[gup_pin]\nnames = 3\n"),
        ("versions.toml", "checked = [6.12]\n"),
        ("versions.toml", "checked = []\n"),
        ("locks.toml", ""),
    ],
)
def test_other_shapes_altogether(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text)
    with pytest.raises(LorelintError):
        read(folder)
