"""Tables, settings, structures, macros and includes of a file."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from lorelint.code import tables
from lorelint.code.functions import functions
from lorelint.code.ir import Name, show
from lorelint.code.macros import includes, macros
from lorelint.code.structs import structs
from lorelint.code.tables import Table, data, named

TABLES = b"""static const struct vm_operations_struct a_ops = {
	.open = a_open,	/* x */
#ifdef CONFIG_X
	.huge_fault = a_huge,
#else
	.fault = PTR(a_fault),
#endif
#if 0
	.close = dead,
#endif
};

static struct foo many[] = {
	[ONE] = { .x = f, .y = { .z = g } },
	{ .x = &h, .s = "a{b" },
}, single = { .x = k };

static int plain[] = { 1, 2 };

struct bar {
	int a;
} b = { .a = 1 };

static int f(void)
{
	static const struct ops o = { .run = f, };
	struct t x = { 0 };
	return o.run();
}
"""


def told(table: Table) -> list[tuple[str, str, int]]:
    return [(field, show(value), line) for field, value, line in table.fields]


def test_tables() -> None:
    found = data("a.c", TABLES)
    assert [(table.line, table.type, table.name, table.function) for table in found] == [
        (1, "struct vm_operations_struct", "a_ops", ""),
        (13, "struct foo", "many", ""),
        (16, "struct foo", "single", ""),
        (22, "struct bar", "b", ""),
        (26, "struct ops", "o", "f"),
    ]
    assert told(found[0]) == [("open", "a_open", 2), ("huge_fault", "a_huge", 4), ("fault", "PTR(a_fault)", 6)]
    assert told(found[1]) == [("x", "f", 14), ("y.z", "g", 14), ("x", "&h", 15), ("s", '"a{b"', 15)]
    assert told(found[4]) == [("run", "f", 26)]
    assert found[0].get("open") == Name(0, "a_open")
    assert found[0].get("close") is None


def test_what_an_entry_names() -> None:
    found = data("a.c", TABLES)
    assert [named(value) for _, value, _ in found[0].fields] == ["a_open", "a_huge", "a_fault"]
    assert [named(value) for _, value, _ in found[1].fields] == ["f", "g", "h", ""]


def test_settings() -> None:
    raw = b"""int f(struct v *v)
{
	v->ops = &table;
	v->dev.ops->fault = fault;
	a[i].run = run; /* v->no = no; */
	v->count = v->count + 1;
	x = y;
	if (v->a == b)
		return 0;
}
"""
    (fn,) = functions("a.c", raw)
    found = [(each.line, each.base, each.field, each.value) for each in tables.settings(fn)]
    assert found == [(3, "v", "ops", "table"), (4, "v->dev.ops", "fault", "fault"), (5, "a[i]", "run", "run")]


def test_structs() -> None:
    raw = b"""struct one {
	unsigned long flags;	/* a; b */
	struct page *pages[3], *more;
	union {
		int a;
		struct {
			u8 b : 3, c : 5;
		};
	};
	struct {
		int hidden;
	} inner;
	int (*fault)(struct vm_fault *vmf);
	const struct ops __rcu *ops __aligned(8);
#ifdef X
	DECLARE_BITMAP(map, 64);
#endif
	struct_group(both,
		int d;
		int e;
	);
	u32 tail[] __counted_by(a);
} __packed;

typedef struct {
	int v;
} value_t;

enum { A, B };
union two { int x; };
"""
    found = structs("a.h", raw)
    assert [(each.line, each.kind, each.name) for each in found] == [
        (1, "struct", "one"),
        (25, "struct", "value_t"),
        (30, "union", "two"),
    ]
    assert found[0].fields == (
        ("flags", "unsigned long"),
        ("pages", "struct page **"),
        ("more", "struct page *"),
        ("a", "int"),
        ("b", "u8"),
        ("c", "u8"),
        ("inner", "struct"),
        ("fault", "int (*)(struct vm_fault *vmf)"),
        ("ops", "const struct ops __rcu *"),
        ("map", "DECLARE_BITMAP"),
        ("d", "int"),
        ("e", "int"),
        ("tail", "u32 *"),
    )


def test_macros_and_includes() -> None:
    raw = b"""#include <linux/mm.h>
#include "local.h"
#define PLAIN 3
#define lock_it(x) mutex_lock(&(x)->lock)	/* take */
# define twice(a, b...) \\
	do { first(a); \\
		second(a, sizeof(a)); } while (0)
#define wrapped(p) (get_it((p), "/* no */"))
#define pair(a, b) f(a) + g(b)
"""
    found = macros("a.h", raw)
    assert [(each.line, each.name, each.params, each.calls, each.wraps) for each in found] == [
        (4, "lock_it", ("x",), ("mutex_lock",), "mutex_lock"),
        (5, "twice", ("a", "b..."), ("first", "second"), ""),
        (8, "wrapped", ("p",), ("get_it",), "get_it"),
        (9, "pair", ("a", "b"), ("f", "g"), ""),
    ]
    assert found[0].body == "mutex_lock(&(x)->lock)"
    assert found[1].body.endswith("} while (0)")
    assert [(each.path, each.local) for each in includes(raw)] == [("linux/mm.h", False), ("local.h", True)]


WORDS = (
    *(
        b"struct s ",
        b"x",
        b"= {",
        b"{",
        b"}",
        b";",
        b",",
        b".a = b",
        b"[1] = ",
        b"\n",
        b"#if X\n",
        b"\n#endif\n",
        b"/*",
        b'"',
    ),
    *(
        b"int f(void)\n",
        b"(",
        b")",
        b"struct_group(",
        b"union {",
        b" : 3",
        b"#define M(a) a(b)\n",
        b"DECLARE_X(a, b)",
        b"*",
    ),
)


def test_a_table_whose_first_entry_stands_behind_a_directive() -> None:
    raw = b"static const struct vm_operations_struct v = {\n#ifdef CONFIG_X\n\t.access = phys\n#endif\n};\n"
    (table,) = data("a.c", raw)
    assert [(name, line) for name, _, line in table.fields] == [("access", 3)]


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.lists(st.sampled_from(WORDS), max_size=40).map(b"".join), st.binary(max_size=200)))
def test_nothing_raises(raw: bytes) -> None:
    lines = raw.count(b"\n") + 1
    assert all(1 <= line <= lines for table in data("a.c", raw) for _, _, line in table.fields)
    assert all(1 <= each.line <= lines for each in structs("a.c", raw))
    assert all(1 <= each.line <= lines for each in macros("a.c", raw))
    includes(raw)
    for fn in functions("a.c", raw):
        tables.settings(fn)
