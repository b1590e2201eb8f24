"""The call graph: what leads where, what is ambiguous, what is cut, where a climb ends."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from lorelint.code import graph as graphs
from lorelint.code.chains import chains
from lorelint.code.graph import Calls, Growth, between
from lorelint.code.links import HUB, Links
from lorelint.code.program import Program
from lorelint.edge.directory import DirectoryTree
from lorelint.kernel.entrances import entrances, families
from lorelint.kernel.load import knowledge
from lorelint.model.graph import Chains, EdgeKind, Graph, NodeKind

Small = Callable[..., Program]

OPS = """struct box;
struct box_ops {
	int (*open)(struct box *box);
	int (*map)(struct box *box, int at);
};
struct box {
	const struct box_ops *ops;
	void (*done)(struct box *box);
};
struct crate {
	struct box *box;
};
"""
CORE = """int box_map(struct box *box, int at)
{
	return box->ops->map(box, at);
}
int crate_map(struct crate *crate)
{
	return crate->box->ops->map(crate->box, 0);
}
"""
DRIVER = """static int thing_pin(struct box *box)
{
	return api(box);
}
static int thing_map(struct box *box, int at)
{
	return thing_pin(box);
}
static const struct box_ops thing_ops = {
	.map = thing_map,
};
"""


def calls(program: Program, *, entered: bool = True) -> Calls:
    know = knowledge((6, 12))
    return Calls(Links(program), entrances(know), families(know), entered=entered)


def grown(program: Program, name: str, up: int = 4, down: int = 0, limit: int = 100, path: str = "") -> Graph:
    found = calls(program)
    roots = found.keys(name, path)
    assert roots, name
    growth = Growth(found, limit)
    growth.start(roots)
    growth.grow(roots, up, up=True)
    growth.grow(roots, down, up=False)
    return growth.graph(name, up, down)


def ways(program: Program, source: str, target: str, most: int = 5, within: int = 12) -> Chains:
    found = calls(program, entered=False)
    return chains(found, found.keys(source), found.keys(target), most, within)


def edges(graph: Graph) -> set[tuple[str, str, str]]:
    return {(edge.source, edge.target, edge.kind.value) for edge in graph.edges}


def ids(graph: Graph) -> list[str]:
    return [node.id for node in graph.nodes]


def notes(graph: Graph, id: str) -> str:
    return next(node.note for node in graph.nodes if node.id == id)


# -- calls by name


def test_a_call_has_its_first_place_and_how_many_there_are(small: Small) -> None:
    found = grown(
        small("int low(int a)\n{\n\treturn a;\n}\nint top(int a)\n{\n\tlow(a);\n\treturn low(a);\n}\n"), "low"
    )
    (edge,) = found.edges
    assert (edge.source, edge.target, edge.kind) == ("a.c:top", "a.c:low", EdgeKind.CALL)
    assert (edge.path, edge.line, edge.count, edge.sure) == ("a.c", 7, 2, True)
    assert [(node.name, node.line, node.root) for node in found.nodes] == [("low", 1, True), ("top", 5, False)]


def test_a_static_function_hides_another_of_its_name(small: Small) -> None:
    program = small(
        {
            "mm/a.c": "int pick(int a)\n{\n\treturn a;\n}\n",
            "mm/b.c": "static int pick(int a)\n{\n\treturn 0;\n}\nint own(void)\n{\n\treturn pick(1);\n}\n",
            "mm/c.c": "int other(void)\n{\n\treturn pick(1);\n}\n",
        }
    )
    assert edges(grown(program, "pick", path="mm/a.c")) == {("mm/c.c:other", "mm/a.c:pick", "call")}
    assert edges(grown(program, "pick", path="mm/b.c")) == {("mm/b.c:own", "mm/b.c:pick", "call")}


def test_definitions_under_different_conditions_are_one_node_of_their_file(small: Small) -> None:
    text = "#ifdef CONFIG_X\nint f(void)\n{\n\treturn g();\n}\n#else\nint f(void)\n{\n\treturn h();\n}\n#endif\n"
    text += "int g(void)\n{\n\treturn 1;\n}\nint h(void)\n{\n\treturn 2;\n}\n"
    found = grown(small(text), "f", up=0, down=1)
    assert edges(found) == {("a.c:f", "a.c:g", "call"), ("a.c:f", "a.c:h", "call")}


def test_a_name_that_several_files_define_is_followed_to_all_and_marked(small: Small) -> None:
    program = small(
        {
            "arch/x86/mm/flush.c": "void flush(void)\n{\n}\n",
            "arch/arm/mm/flush.c": "void flush(void)\n{\n}\n",
            "mm/top.c": "void top(void)\n{\n\tflush();\n}\n",
            "arch/arm/kernel/boot.c": "void boot(void)\n{\n\tflush();\n}\n",
        }
    )
    both = grown(program, "top", up=0, down=1)
    assert [(edge.target, edge.sure) for edge in both.edges] == [
        ("arch/arm/mm/flush.c:flush", False),
        ("arch/x86/mm/flush.c:flush", False),
    ]
    up = grown(program, "flush", path="arch/x86/mm/flush.c")
    assert [(edge.source, edge.sure) for edge in up.edges] == [("mm/top.c:top", False)], "one arch calls its own"


def test_a_name_with_many_definitions_is_said_and_not_drawn(small: Small) -> None:
    files = {f"arch/{name}/pg.c": "int probe_one(int a)\n{\n\treturn a;\n}\n" for name in ("arm", "x86", "mips", "sh")}
    files["mm/top.c"] = "int top(void)\n{\n\treturn probe_one(1);\n}\n"
    found = grown(small(files), "top", up=0, down=1)
    assert ids(found) == ["mm/top.c:top"]
    assert "probe_one (4)" in notes(found, "mm/top.c:top")


def test_a_macro_is_passed_without_a_level(small: Small) -> None:
    program = small(
        {
            "include/linux/box.h": "#define box_get(b) __box_get(b, 0)\n",
            "lib/box.c": "int __box_get(int b, int how)\n{\n\treturn b;\n}\n",
            "drivers/a/a.c": "int use(void)\n{\n\treturn box_get(1);\n}\n",
        }
    )
    expected = {
        ("include/linux/box.h:#box_get", "lib/box.c:__box_get", "call"),
        ("drivers/a/a.c:use", "include/linux/box.h:#box_get", "call"),
    }
    up = grown(program, "__box_get", up=1)
    assert edges(up) == expected
    assert [node.kind for node in up.nodes] == [NodeKind.FUNCTION, NodeKind.MACRO, NodeKind.FUNCTION]
    assert edges(grown(program, "use", up=0, down=1)) == expected


def test_a_cycle_ends(small: Small) -> None:
    text = "int b(int n);\nint a(int n)\n{\n\treturn b(n);\n}\nint b(int n)\n{\n\treturn a(n) + b(n);\n}\n"
    found = grown(small(text), "a", up=9, down=9)
    assert edges(found) == {("a.c:a", "a.c:b", "call"), ("a.c:b", "a.c:a", "call")}


# -- tables, fields, arguments


def test_a_slot_by_its_type(small: Small) -> None:
    program = small({"include/linux/box.h": OPS, "drivers/core.c": CORE, "drivers/thing.c": DRIVER})
    found = grown(program, "thing_pin")
    assert edges(found) == {
        ("drivers/thing.c:thing_map", "drivers/thing.c:thing_pin", "call"),
        ("box_ops.map", "drivers/thing.c:thing_map", "bind"),
        ("drivers/core.c:box_map", "box_ops.map", "through"),
        ("drivers/core.c:crate_map", "box_ops.map", "through"),
    }
    (bind,) = (edge for edge in found.edges if edge.kind is EdgeKind.BIND)
    assert (bind.path, bind.line, bind.label) == ("drivers/thing.c", 10, "thing_ops")
    down = grown(program, "box_map", up=0, down=3)
    assert {("box_ops.map", "drivers/thing.c:thing_map", "bind")} <= edges(down)


def test_fields_of_one_name_in_other_structures_lead_nowhere(small: Small) -> None:
    other = "struct jar_ops {\n\tint (*map)(int at);\n};\nstruct jar {\n\tconst struct jar_ops *ops;\n};\n"
    user = "int jar_map(struct jar *jar)\n{\n\treturn jar->ops->map(1);\n}\n"
    files = {"include/linux/box.h": OPS, "include/linux/jar.h": other, "drivers/jar.c": user}
    program = small({**files, "drivers/core.c": CORE, "drivers/thing.c": DRIVER})
    assert "drivers/jar.c:jar_map" not in ids(grown(program, "thing_pin"))
    assert edges(grown(program, "jar_map", up=0, down=2)) == {("drivers/jar.c:jar_map", "jar_ops.map", "through")}


def test_a_field_whose_structure_is_not_known_is_said(small: Small) -> None:
    program = small(
        {
            "include/linux/box.h": OPS,
            "drivers/core.c": CORE + "int odd(void)\n{\n\treturn find_it(1)->map(0);\n}\n",
            "drivers/thing.c": DRIVER,
        }
    )
    up = grown(program, "thing_pin")
    assert "drivers/core.c:odd" not in ids(up)
    assert "1 calls of a ->map() whose structure is not known" in notes(up, "box_ops.map")
    assert (
        notes(grown(program, "odd", up=0, down=1), "drivers/core.c:odd") == "unresolved: ->map() at drivers/core.c:11"
    )


def test_a_field_that_is_set_at_run_time(small: Small) -> None:
    program = small(
        {
            "include/linux/box.h": OPS,
            "drivers/a.c": "static void gone(struct box *box)\n{\n}\n"
            "void set(struct box *box)\n{\n\tbox->done = gone;\n}\n"
            "void fire(struct box *box)\n{\n\tbox->done(box);\n}\n",
        }
    )
    assert edges(grown(program, "gone")) == {
        ("box.done", "drivers/a.c:gone", "bind"),
        ("drivers/a.c:fire", "box.done", "through"),
    }


def test_functions_of_one_slot_are_bounded_and_counted(small: Small) -> None:
    count = graphs.FAN_OUT + 6
    many = "".join(
        f"static int f{at:02}(struct box *box, int at)\n{{\n\treturn 0;\n}}\n"
        f"static const struct box_ops o{at:02} = {{\n\t.map = f{at:02},\n}};\n"
        for at in range(count)
    )
    program = small({"include/linux/box.h": OPS, "drivers/core.c": CORE, "drivers/many.c": many})
    found = grown(program, "box_map", up=0, down=2)
    assert len([edge for edge in found.edges if edge.kind is EdgeKind.BIND]) == graphs.FAN_OUT
    assert notes(found, "box_ops.map") == f"{count} functions, {graphs.FAN_OUT} shown"


def test_a_function_that_is_handed_on(small: Small) -> None:
    text = "static void free_it(int *a)\n{\n}\nvoid put(int *a)\n{\n\tkref_put(a, free_it);\n}\n"
    found = grown(small(text), "free_it")
    (edge,) = found.edges
    assert (edge.source, edge.kind, edge.label) == ("a.c:put", EdgeKind.HANDED, "kref_put()")


def test_a_function_that_another_file_hands_on(small: Small) -> None:
    program = small(
        {
            "drivers/a.c": "int f_ioctl(int a)\n{\n\treturn a;\n}\n",
            "drivers/b.c": "static const struct drm_ioctl_desc d[] = {\n\tDRM_IOCTL_DEF_DRV(F, f_ioctl, 0),\n};\n"
            "int g(void)\n{\n\treturn walk(f_ioctl);\n}\n",
        }
    )
    found = grown(program, "f_ioctl")
    assert [(node.entry, node.name, node.line) for node in found.nodes if node.entry] == [
        ("ioctl", "DRM_IOCTL_DEF_DRV()", 2)
    ]
    assert ("drivers/b.c:g", "drivers/a.c:f_ioctl", "handed") in edges(found)


def test_naming_a_function_is_no_call(small: Small) -> None:
    text = "int f(int a)\n{\n\treturn a;\n}\nEXPORT_SYMBOL_GPL(f);\nint g(int (*h)(int))\n{\n\tif (h == f)\n"
    found = grown(small(text + "\t\treturn 1;\n\treturn 0;\n}\nNOKPROBE_SYMBOL(f);\n"), "f")
    assert ids(found) == ["a.c:f"]


# -- entries

ENTRIES = {
    "ioctl": "static const struct file_operations fops = {\n\t.unlocked_ioctl = f,\n};\n",
    "mmap": "static const struct file_operations fops = {\n\t.mmap = f,\n};\n",
    "fault": "static const struct vm_operations_struct vm = {\n\t.fault = f,\n};\n",
    "write": "static const struct file_operations fops = {\n\t.write_iter = f,\n};\n",
    "probe": "static struct pci_driver drv = {\n\t.probe = f,\n};\n",
    "notifier": "static struct notifier_block nb = {\n\t.notifier_call = f,\n};\n",
    "work": "void setup(struct work_struct *w)\n{\n\tINIT_WORK(w, f);\n}\n",
    "kthread": 'void setup(void)\n{\n\tkthread_run(f, 0, "x");\n}\n',
    "irq": 'void setup(void)\n{\n\trequest_irq(1, f, 0, "x", 0);\n}\n',
    "timer": "void setup(struct timer_list *t)\n{\n\ttimer_setup(t, f, 0);\n}\n",
    "init": "module_init(f);\n",
}


@pytest.mark.parametrize("kind", sorted(ENTRIES))
def test_a_climb_ends_where_the_kernel_is_entered(kind: str, small: Small) -> None:
    text = "static int f(int a)\n{\n\treturn api(a);\n}\n" + ENTRIES[kind] + "void above(void)\n{\n\tsetup(0);\n}\n"
    found = grown(small(text), "f")
    (entry,) = (node for node in found.nodes if node.kind is NodeKind.ENTRY)
    assert entry.entry == kind
    assert len(found.nodes) == 2, "nothing is climbed beyond it"


def test_the_table_is_named(small: Small) -> None:
    found = grown(small("static int f(int a)\n{\n\treturn a;\n}\n" + ENTRIES["ioctl"]), "f")
    (edge,) = found.edges
    assert (found.nodes[1].name, found.nodes[1].line) == ("fops.unlocked_ioctl", 6)
    assert (edge.label, edge.line) == ("file_operations.unlocked_ioctl", 6)


def test_a_system_call_is_an_entry(small: Small) -> None:
    text = "static long do_it(int a)\n{\n\treturn a;\n}\nSYSCALL_DEFINE1(frob, int, a)\n{\n\treturn do_it(a);\n}\n"
    found = grown(small(text), "do_it")
    assert [(node.name, node.entry) for node in found.nodes if node.entry] == [("frob()", "syscall")]


def test_only_ways_from_one_kind_of_entry(small: Small) -> None:
    text = "static int low(int a)\n{\n\treturn a;\n}\n"
    for name, field in (("one", "unlocked_ioctl"), ("two", "mmap")):
        text += f"static int {name}(int a)\n{{\n\treturn low(a);\n}}\n"
        text += f"static const struct file_operations {name}_fops = {{\n\t.{field} = {name},\n}};\n"
    found = between(grown(small(text), "low"), "mmap")
    assert [node.name for node in found.nodes] == ["low", "two", "two_fops.mmap"]
    assert len(found.edges) == 2
    assert between(grown(small(text), "low"), "fault").nodes == ()


def test_many_tables_are_counted(small: Small) -> None:
    text = "int shared(int a)\n{\n\treturn a;\n}\n" + "".join(
        f"static const struct file_operations t{at} = {{\n\t.mmap = shared,\n}};\n" for at in range(9)
    )
    found = grown(small(text), "shared")
    assert sum(node.kind is NodeKind.ENTRY for node in found.nodes) == graphs.TABLES
    assert notes(found, "a.c:shared") == f"entered by 9 tables as mmap, {graphs.TABLES} shown"


# -- bounds


def test_a_hub_is_not_climbed_and_said(small: Small) -> None:
    files = {f"net/f{at}.c": f"int f{at}(void)\n{{\n\treturn hub();\n}}\n" for at in range(HUB + 1)}
    files["mm/hub.c"] = "int hub(void)\n{\n\treturn 0;\n}\n"
    program = small(files)
    up = grown(program, "hub")
    assert ids(up) == ["mm/hub.c:hub"]
    assert f"mentioned in more than {HUB} files" in notes(up, "mm/hub.c:hub")
    assert [cut.node for cut in up.cuts][:1] == ["mm/hub.c:hub"]
    down = grown(program, "f1", up=0, down=1)
    assert notes(down, "net/f1.c:f1") == "calls that are common are not drawn: hub"


def test_nodes_are_bounded_and_said(small: Small) -> None:
    text = "int low(int a)\n{\n\treturn a;\n}\n" + "".join(
        f"int c{at}(void)\n{{\n\treturn low({at});\n}}\n" for at in range(9)
    )
    found = grown(small(text), "low", limit=4)
    assert len(found.nodes) == 4
    assert notes(found, "a.c:low") == "6 more callers are not drawn"
    assert found.cuts[-1].text.startswith("4 nodes")


def test_levels(small: Small) -> None:
    text = "int a(void)\n{\n\treturn 0;\n}\n" + "".join(
        f"int {name}(void)\n{{\n\treturn {below}();\n}}\n" for below, name in ("ab", "bc", "cd")
    )
    assert [node.name for node in grown(small(text), "a", up=2).nodes] == ["a", "b", "c"]


def test_the_same_graph_whatever_was_asked_before(small: Small) -> None:
    files = {"include/linux/box.h": OPS, "drivers/core.c": CORE, "drivers/thing.c": DRIVER}
    first = grown(small(files), "thing_pin", down=2)
    again = small(dict(reversed(files.items())))
    grown(again, "crate_map", up=3, down=3)
    assert grown(again, "thing_pin", down=2) == first


# -- chains


def test_chains_shortest_first_and_through_a_slot(small: Small) -> None:
    core = CORE + "int enter(struct box *box)\n{\n\tif (box)\n\t\treturn box_map(box, 1);\n\treturn relay(box);\n}\n"
    core += "int relay(struct box *box)\n{\n\treturn box_map(box, 2);\n}\n"
    program = small({"include/linux/box.h": OPS, "drivers/core.c": core, "drivers/thing.c": DRIVER})
    found = ways(program, "enter", "thing_pin")
    assert [[node.name for node in chain.nodes] for chain in found.chains] == [
        ["enter", "box_map", "box_ops.map", "thing_map", "thing_pin"],
        ["enter", "relay", "box_map", "box_ops.map", "thing_map", "thing_pin"],
    ]
    assert [edge.kind.value for edge in found.chains[0].edges] == ["call", "through", "bind", "call"]
    assert [edge.line for edge in found.chains[0].edges] == [12, 3, 10, 7]
    assert not found.more
    one = ways(program, "enter", "thing_pin", most=1)
    assert len(one.chains) == 1 and one.more


def test_no_chain_says_what_was_cut(small: Small) -> None:
    text = "int low(int a)\n{\n\treturn a;\n}\nint top(struct box *box)\n{\n\treturn odd(1)->map(2);\n}\n"
    found = ways(small(text), "top", "low")
    assert found.chains == ()
    assert [cut.text for cut in found.cuts] == ["unresolved: ->map() at a.c:7"]
    assert ways(small(text), "low", "top").chains == (), "calls have a direction"


def test_chains_within(small: Small) -> None:
    text = "int a(void)\n{\n\treturn 0;\n}\n" + "".join(
        f"int {name}(void)\n{{\n\treturn {below}();\n}}\n" for below, name in ("ab", "bc", "cd")
    )
    assert [len(chain.edges) for chain in ways(small(text), "d", "a", within=3).chains] == [3]
    assert ways(small(text), "d", "a", within=2).chains == ()


def test_an_entry_is_a_slot_between_two_functions(small: Small) -> None:
    core = "struct file {\n\tconst struct file_operations *f_op;\n};\nlong vfs_it(struct file *file)\n{\n"
    core += "\treturn file->f_op->unlocked_ioctl(file, 0, 0);\n}\n"
    driver = "static long f(struct file *file)\n{\n\treturn api(file);\n}\n" + ENTRIES["ioctl"]
    found = ways(small({"fs/ioctl.c": core, "drivers/a.c": driver}), "vfs_it", "f")
    assert [[node.name for node in chain.nodes] for chain in found.chains] == [
        ["vfs_it", "file_operations.unlocked_ioctl", "f"]
    ]


def test_networkx_is_not_imported_before_it_is_needed() -> None:
    code = "import sys; import lorelint.code.chains, lorelint.code.graphml; sys.exit('networkx' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": ":".join(sys.path)})


@pytest.mark.parametrize("files", [{"a.c": "int f(void)\n{\n\treturn 0;\n}\n"}, {"a.c": ""}])
def test_a_name_that_is_nowhere(files: Mapping[str, str], small: Small) -> None:
    assert calls(small(files)).keys("nowhere") == ()


# -- searches of a tree without an index


class Searched(DirectoryTree):
    """Counts how often its files are searched."""

    times = 0

    def _search(self, words: Sequence[str]) -> dict[str, set[str]]:
        self.times += 1
        return self._scan(words)


@pytest.mark.parametrize("up", [True, False])
def test_a_level_is_searched_for_at_once(tmp_path: Path, up: bool) -> None:
    """However many tables and macros it has."""
    times = []
    for count in (2, 9):
        root = tmp_path / str(count)
        root.mkdir()
        for at in range(count):
            ops = OPS.replace("box", f"box{at}")
            text = f"int box{at}_map(struct box{at}_ops *ops)\n{{\n\treturn ops->map(0, 0);\n}}\n"
            (root / f"box{at}.h").write_text(f"{ops}#define box{at}_low(box) low(box)\n")
            (root / f"core{at}.c").write_text(text)
            (root / f"use{at}.c").write_text(f"int use{at}(void)\n{{\n\treturn box{at}_low(0) + leaf{at}();\n}}\n")
            (root / f"leaf{at}.c").write_text(f"int leaf{at}(void)\n{{\n\treturn 0;\n}}\n")
        bound = "".join(f"struct box{at}_ops ops{at} = {{\n\t.map = low,\n}};\n" for at in range(count))
        through = "".join(f"\tbox{at}_map(0);\n\tuse{at}();\n" for at in range(count))
        (root / "low.c").write_text(f"int low(void)\n{{\n\treturn 0;\n}}\n{bound}void top(void)\n{{\n{through}}}\n")
        tree = Searched(root)
        program = Program(tree, knowledge((6, 12)))
        found = grown(program, "low", up=3, down=0) if up else grown(program, "top", up=0, down=3)
        assert len(found.nodes) > 4 * count
        times.append(tree.times)
    assert times[0] == times[1]
