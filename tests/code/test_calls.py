"""The call graph around some functions."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from lorelint.code.calls import called, graph
from lorelint.code.functions import functions
from lorelint.code.program import Program
from lorelint.edge.directory import DirectoryTree
from lorelint.kernel.load import knowledge
from lorelint.model.tree import OverlayTree


def program(root: Path, files: dict[str, bytes | None]) -> Program:
    (root / "empty").mkdir(exist_ok=True)
    return Program(OverlayTree(DirectoryTree(root / "empty"), files), knowledge((6, 12)))


CHAIN = b"""static int low(int a)
{
	return api(a);
}
static int mid(int a)
{
	if (a)
		return mid(a - 1);
	return low(a) + low(2);
}
int top(void (*cb)(void))
{
	cb();
	return mid(3);
}
"""


def test_called() -> None:
    low, mid, top = functions("mm/a.c", CHAIN)
    assert called(low) == (("api", 3),)
    assert called(mid) == (("low", 9), ("mid", 8))
    assert called(top) == (("mid", 14),)


def test_neighbourhood(tmp_path: Path) -> None:
    whole = program(tmp_path, {"mm/a.c": CHAIN, "mm/b.c": b"int over(void)\n{\n\treturn top(0);\n}\n"})
    mid = whole.function("mm/a.c", "mid")
    assert mid is not None
    found = graph(whole, [mid], callers=1, callees=1)
    assert list(found) == [("mm/a.c", name) for name in ("mid", "top", "low")]
    assert sorted(found.edges(data="line")) == [
        (("mm/a.c", "mid"), ("mm/a.c", "low"), 9),
        (("mm/a.c", "mid"), ("mm/a.c", "mid"), 8),
        (("mm/a.c", "top"), ("mm/a.c", "mid"), 14),
    ]
    wide = graph(whole, [mid], callers=2, callees=2)
    assert {("mm/b.c", "over"), ("", "api")} <= set(wide)
    assert wide.nodes[("", "api")]["fn"] is None
    assert wide.nodes[mid.key]["root"]
    assert not wide.nodes[("mm/b.c", "over")]["root"]


def test_hubs_are_cut_and_said(tmp_path: Path) -> None:
    files: dict[str, bytes | None] = {
        f"net/f{number}.c": b"int f%d(void)\n{\n\treturn hub();\n}\n" % number for number in range(401)
    }
    files["mm/hub.c"] = b"int hub(void)\n{\n\treturn 0;\n}\nint user(void)\n{\n\treturn hub();\n}\n"
    whole = program(tmp_path, files)
    hub = whole.function("mm/hub.c", "hub")
    assert hub is not None
    found = graph(whole, [hub], callers=2)
    assert list(found) == [hub.key]
    assert found.nodes[hub.key]["cut"] == "402 files mention it"
    assert [each.kind for each in whole.unseen] == ["cut"]
    other = whole.function("net/f1.c", "f1")
    assert other is not None
    down = graph(whole, [other], callers=0, callees=3)
    assert down.nodes[("", "hub")]["cut"] == "402 files mention it"


def test_networkx_is_not_imported_before_it_is_needed() -> None:
    code = "import sys; import lorelint.code.calls; sys.exit('networkx' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": ":".join(sys.path)})
