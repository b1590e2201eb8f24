"""Where the kernel is entered, and families of APIs: the data, what is wrong with it, and the headers it speaks of."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import lorelint.kernel
from lorelint.edge.directory import DirectoryTree
from lorelint.kernel.entrances import entrances, families
from lorelint.kernel.load import knowledge, known_versions
from lorelint.model.errors import LorelintError

DATA = Path(lorelint.kernel.__file__).parent
KNOW = knowledge((6, 12))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the data to spoil."""
    for name in ("entrances.toml", "families.toml"):
        shutil.copy(DATA / name, tmp_path)
    return tmp_path


def test_kinds() -> None:
    found = entrances(KNOW)
    assert found.of_slot("file_operations", "unlocked_ioctl") == "ioctl"
    assert found.of_slot("proto_ops", "sendmsg") == "socket", "all fields of a structure"
    assert found.of_slot("proto_ops", "mmap") == "mmap", "the field alone comes before all fields"
    assert found.of_slot("vfio_device_ops", "ioctl") == ""
    assert found.of_slot("vm_operations_struct", "fault") == "fault"
    assert found.of_slot("vm_operations_struct", "access") == "access", "by ptrace, not by a fault"
    assert found.handed["INIT_WORK"] == "work" and found.handed["timer_setup"] == "timer"
    assert {"syscall", "ioctl", "fault"} <= found.user and "work" not in found.user
    assert found.ignores("EXPORT_SYMBOL_GPL") and not found.ignores("kref_put")
    assert found.kinds[0] == "syscall" and len(set(found.kinds)) == len(found.kinds)


@pytest.mark.parametrize("version", known_versions())
def test_families(version: tuple[int, int]) -> None:
    found = {each.name: each for each in families(knowledge(version))}
    assert "pin_user_pages" in found["gup"].functions
    assert ("follow_pfnmap_start" in found["pfnmap"].functions) == (version >= (6, 12))
    assert all(each.functions and each.about for each in found.values())


@pytest.mark.parametrize(
    ("name", "old", "new", "told"),
    [
        ("entrances.toml", 'kind = "mmap"', 'kind = "m map"', "'kind' must be a word"),
        ("entrances.toml", '"file_operations.mmap"', '"mmap"', "is no field of a structure"),
        ("entrances.toml", "lists =", "list =", "unknown key 'list'"),
        ("entrances.toml", '"runs_as_work"', '"runs_as_wurk"', "there is no list 'runs_as_wurk'"),
        ("families.toml", '"gup_pin"', '"gup_pim"', "there is no list 'gup_pim'"),
        ("families.toml", "about", "aboot", "unknown key 'aboot'"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(name: str, old: str, new: str, told: str, folder: Path) -> None:
    path = folder / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(LorelintError, match=rf"{name}:\d+: .*{re.escape(told)}"):
        (entrances if name.startswith("e") else families)(KNOW, folder)


@pytest.mark.needs_tree("6.12")
def test_structures_and_fields_exist(tree_dir: Callable[[str], Path]) -> None:
    """Each field in a header of 6.12; those of an older or newer kernel are few and named."""
    tree, defining = DirectoryTree(tree_dir("6.12")), dict[str, list[bytes]]()
    for path in tree.files("include"):
        text = tree.read(path) or b""
        for tag in set(re.findall(rb"(?m)^struct (\w+) \{", text)):
            defining.setdefault(tag.decode(), []).append(text)
    unknown = set()
    for slot in entrances(KNOW).slots:
        tag, *fields = slot.split(".")
        words = [re.compile(rb"\b" + each.encode() + rb"\b") for each in fields if each != "*"]
        if not any(all(word.search(text) for word in words) for text in defining.get(tag, ())):
            unknown.add(slot)
    assert unknown <= {"delayed_work.work.func", "platform_driver.remove_new"}, unknown
