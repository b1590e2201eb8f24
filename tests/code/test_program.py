"""One tree as a program: what a name means, who names it, and what was read to say so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lorelint.code.program import Cache, Program
from lorelint.code.search import may_define
from lorelint.edge.directory import DirectoryTree
from lorelint.kernel.load import knowledge
from lorelint.model.tree import EmptyTree, OverlayTree

FILES = {
    "include/linux/api.h": b"""#define grab(x) take(&(x)->lock)
static inline int shared(int a)
{
	return a;
}
int take(int *lock);
""",
    "mm/core.c": b"""#include <linux/api.h>
int take(int *lock)
{
	return shared(1);
}
static int twin(void)
{
	return take(0);
}
int run(void)
{
	return twin() + obj->take(3) + shared(2);
}
""",
    "drivers/one/a.h": b"static inline int local(void)\n{\n\treturn 1;\n}\n",
    "drivers/one/a.c": b"""#include "a.h"
static int twin(void)
{
	return take(0); /* take(1) */
}
static int fault(struct vm_fault *vmf)
{
	return local() + shared(3);
}
static const struct vm_operations_struct ops = {
	.fault = fault,
	.open = take,
};
static void later(struct work_struct *w)
{
	char *s = "take(";
}
int start(struct v *v)
{
	v->ops = &ops;
	v->run = later;
	INIT_WORK(&v->work, later);
	return twin();
}
module_init(start);
""",
    "drivers/two/b.c": b"""int take(int *lock)
{
	return 2;
}
int other(int (*take)(int))
{
	return take(4);
}
""",
    "arch/x86/a.c": b"int pick(void)\n{\n\treturn 1;\n}\n",
    "arch/arm64/a.c": b"int pick(void)\n{\n\treturn 2;\n}\nint use(void)\n{\n\treturn pick();\n}\n",
    "tools/t.c": b"int take(int *lock)\n{\n\treturn take(0);\n}\n",
}


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Program]:
    for path, raw in FILES.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(raw)

    def build(changed: dict[str, bytes | None] | None = None, cache: Cache | None = None) -> Program:
        return Program(OverlayTree(DirectoryTree(tmp_path), changed or {}), knowledge((6, 12)), cache)

    return build


def places(found: tuple[object, ...]) -> list[tuple[str, int]]:
    return [(each.path, each.line) for each in found]  # type: ignore[attr-defined]


def test_define(make: Callable[..., Program]) -> None:
    program = make()
    assert places(program.define("twin", "mm/core.c")) == [("mm/core.c", 6)]
    assert places(program.define("twin", "drivers/two/b.c")) == []
    assert places(program.define("take", "drivers/two/b.c")) == [("drivers/two/b.c", 1)]
    assert places(program.define("take", "drivers/one/a.c")) == [("drivers/two/b.c", 1), ("mm/core.c", 2)]
    assert places(program.define("shared", "drivers/one/a.c")) == [("include/linux/api.h", 2)]
    assert places(program.define("local", "drivers/one/a.c")) == [("drivers/one/a.h", 1)]
    assert places(program.define("local", "mm/core.c")) == []
    assert places(program.define("pick", "arch/arm64/b.c")) == [("arch/arm64/a.c", 1)]
    assert places(program.define("pick", "mm/core.c")) == [("arch/arm64/a.c", 1), ("arch/x86/a.c", 1)]
    assert places(program.define("nowhere", "mm/core.c")) == []


def test_a_call_without_a_name_means_no_definition(make: Callable[..., Program]) -> None:
    """As of ``(*ops[i])(x)``; in a changed file an empty name must not be found everywhere."""
    text = b"int f(void)\n{\n\treturn (*ops[0])(1);\n}\n"
    program = make({"mm/core.c": text})
    assert program.define("", "drivers/one/a.c") == () and program.mentions("") == ()
    assert not may_define(text, "")


def test_a_stub_beside_a_declaration(make: Callable[..., Program]) -> None:
    stub = b"static inline int real(int a)\n{\n\treturn 0;\n}\n"
    files: dict[str, bytes | None] = {
        "mm/real.c": b"int real(int a)\n{\n\treturn a;\n}\n",
        "fs/user.c": b"#include <linux/real.h>\nint use(void)\n{\n\treturn real(1);\n}\n",
    }
    both = make({**files, "include/linux/real.h": b"#ifdef A\nint real(int a);\n#else\n" + stub + b"#endif\n"})
    assert places(both.define("real", "fs/user.c")) == [("include/linux/real.h", 4), ("mm/real.c", 1)]
    alone = make({**files, "include/linux/real.h": stub})
    assert places(alone.define("real", "fs/user.c")) == [("include/linux/real.h", 1)]


def test_callers(make: Callable[..., Program]) -> None:
    program = make()

    def sites(path: str, name: str) -> list[tuple[str, str, int]]:
        fn = program.function(path, name)
        assert fn is not None
        return [(site.fn.path, site.fn.name, site.line) for site in program.callers(fn)]

    assert sites("mm/core.c", "take") == [("drivers/one/a.c", "twin", 4), ("mm/core.c", "twin", 8)]
    assert sites("mm/core.c", "twin") == [("mm/core.c", "run", 12)]
    assert sites("include/linux/api.h", "shared") == [
        ("drivers/one/a.c", "fault", 8),
        ("mm/core.c", "take", 4),
        ("mm/core.c", "run", 12),
    ]
    assert sites("arch/x86/a.c", "pick") == []


def test_uses_and_tables(make: Callable[..., Program]) -> None:
    program = make()

    def told(path: str, name: str) -> list[tuple[str, str, int, str, str, str]]:
        fn = program.function(path, name)
        assert fn is not None
        uses = program.uses(fn)
        assert program.entries(fn) == tuple(each for each in uses if each.kind == "table")
        return [(u.kind, u.path, u.line, u.function, u.type, u.field) for u in uses]

    one = "drivers/one/a.c"
    assert told(one, "fault") == [("table", one, 11, "", "struct vm_operations_struct", "fault")]
    assert told(one, "later") == [
        ("field", one, 21, "start", "v", "run"),
        ("argument", one, 22, "start", "INIT_WORK", "2"),
    ]
    assert told(one, "start") == [("argument", one, 25, "", "module_init", "1")]
    assert told("mm/core.c", "take") == [("table", one, 12, "", "struct vm_operations_struct", "open")]
    assert places(program.tables_of("struct vm_operations_struct", "fault")) == [(one, 10)]
    assert program.tables_of("struct vm_operations_struct", "close") == ()
    assert places(program.macro("grab", one)) == [("include/linux/api.h", 1)]
    assert program.macro("grab", one)[0].wraps == "take"
    assert program.macro("nothing", one) == ()


def test_entries_are_of_the_function_that_is_meant() -> None:
    """A static one's name in another file is another function's; so is a name that a file defines itself."""
    text = "static struct ops o = { .go = go };\n"
    files = {
        "a/one.c": f"int go(void)\n{{\n\treturn 0;\n}}\n{text}",
        "a/two.c": f"static int go(void)\n{{\n\treturn 1;\n}}\n{text}",
        "b/three.c": f"int go(void);\n{text}",
    }
    tree = OverlayTree(EmptyTree(), {path: content.encode() for path, content in files.items()})
    program = Program(tree, knowledge((6, 12)))
    for path, expected in (("a/one.c", ["a/one.c", "b/three.c"]), ("a/two.c", ["a/two.c"])):
        fn = program.function(path, "go")
        assert fn is not None
        assert [each.path for each in program.entries(fn)] == expected
        assert program.entries(fn) == program.uses(fn)


def test_reads_are_recorded_and_replayed(make: Callable[..., Program]) -> None:
    program = make()
    with program.recording() as outer:
        with program.recording() as first:
            program.define("take", "drivers/one/a.c")
            program.tables_of("struct vm_operations_struct", "fault")
        with program.recording() as again:
            program.define("take", "drivers/one/a.c")
            program.tables_of("struct vm_operations_struct", "fault")
        with program.recording() as nothing:
            pass
    assert first == again
    assert first <= outer
    assert nothing == set()
    assert {
        ("define", "take"),
        ("mentions", "take"),
        ("function", "drivers/one/a.c", "take"),
        ("function", "mm/core.c", "take"),
        ("tables", "struct vm_operations_struct", "fault"),
        ("table", "drivers/one/a.c", "ops"),
    } <= first


def test_a_changed_file_is_another_program(make: Callable[..., Program]) -> None:
    cache = Cache()
    before = make(cache=cache)
    after = make({"mm/core.c": None, "mm/new.c": b"int take(int *lock)\n{\n}\n"}, cache)
    assert places(before.define("take", "mm/x.c")) == [("mm/core.c", 2)]
    assert places(after.define("take", "mm/x.c")) == [("mm/new.c", 1)]
    assert before.function("drivers/one/a.c", "fault") is after.function("drivers/one/a.c", "fault")


def test_large_files_are_skipped_and_said(make: Callable[..., Program]) -> None:
    program = make({"mm/big.c": b"int f(void)\n{\n}\n" + b" " * (1 << 20)})
    assert program.raw("mm/big.c") is None
    assert program.functions("mm/big.c") == ()
    assert [(each.kind, each.path) for each in program.unseen] == [("skipped", "mm/big.c")]
    assert program.raw("mm/none.c") is None


def test_a_cut_is_said(make: Callable[..., Program]) -> None:
    many: dict[str, bytes | None] = {
        f"net/f{number:03}.c": b"int f%d(void)\n{\n\treturn pick();\n}\n" % number for number in range(250)
    }
    program = make(many)
    fn = program.function("arch/x86/a.c", "pick")
    assert fn is not None
    assert len(program.callers(fn)) == 199  # 200 files, its own among them
    assert [each.kind for each in program.unseen] == ["cut"]
    assert "callers of pick(): looked at 200 of 252 files" in program.unseen[0].text


def test_cfg_and_loops(make: Callable[..., Program]) -> None:
    program = make({"mm/l.c": b"int f(void)\n{\n\twhile (a())\n\t\tb();\n\treturn 0;\n}\n"})
    fn = program.function("mm/l.c", "f")
    assert fn is not None
    assert program.cfg(fn) is program.cfg(fn)
    assert len(program.loops(fn)) == 1


def test_a_function_that_moved_has_the_lines_of_its_place(make: Callable[..., Program]) -> None:
    """Two functions are equal wherever they stand; what a shared cache holds of them is not."""
    cache = Cache()
    text = b"int f(void)\n{\n\twhile (a())\n\t\tb();\n\treturn 0;\n}\n"
    for above in (0, 7):
        program = make({"mm/l.c": b"\n" * above + text}, cache)
        fn = program.function("mm/l.c", "f")
        assert fn is not None
        assert {node.line for node in program.cfg(fn).nodes if node.line} <= set(range(above + 1, above + 7))
        assert [each.line for each in program.loops(fn)] == [above + 3]
