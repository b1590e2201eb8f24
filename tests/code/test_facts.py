"""The rows of a file: what is in them, what is not, and that they are the same as what the slower readers see."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lorelint.code.facts import POINTER, Called, Facts, Role, Through, decode, encode, roles
from lorelint.code.functions import functions
from lorelint.code.harvest import harvest
from lorelint.code.program import Program
from lorelint.code.search import calls_in

TEXT = b"""
#include <linux/fs.h>
#define take(pool)  pool_take(pool, 0)
#define LIMIT 7

struct pool_ops {
	int (*fill)(struct pool *pool, int how);
	void (*drop)(struct pool *pool);
};

struct pool {
	const struct pool_ops *ops;
	struct device dev;
	int count;
};

/* pool_old(pool) is gone; "pool_text(" is text */
static int pool_fill(struct pool *pool, int (*done)(int))
{
	const char *say = "pool_said(1)";
	int err;

	err = pool->ops->fill(pool, LIMIT);
	if (err)
		return done(err);
	list_for_each_entry(pos, &pool->all, node) {
		pool_step(
			pos);
	}
	return (*pool->last)(pool) + take(pool);
}

static void pool_work(struct work_struct *work)
{
	pool_fill(to_pool(work), NULL);
}

int pool_open(struct inode *inode, struct file *file)
{
	struct pool other, *mine = file->private_data;

	INIT_WORK(&mine->work, pool_work);
	mine->ops = &pool_default_ops;
	file->f_op = pool_fops;
	other.count = LIMIT;
	return mine->fill(mine) + other.pick();
}
EXPORT_SYMBOL_GPL(pool_open);

static const struct file_operations pool_fops = {
	.owner	= THIS_MODULE,
	.open	= pool_open,
	.unlocked_ioctl = PTR_IF(POOL_FLAGS | pool_flags, pool_ioctl),
	.poll = wrapped(pool_poll),
	.fault	= &pool_fault,
};

static struct driver pool_driver __read_mostly = {
	.probe = pool_probe,
	.driver = {
		.name = "pool",
		.pm = pm_ptr(&pool_pm),
	},
	.ops = &(const struct pool_ops) {
		.fill = pool_fill_hw,
	},
	.ids = (u32 []) { 1, 2 },
};

#ifdef CONFIG_POOL
int pool_twice(void) { return 1; }
#else
int pool_twice(void) { return pool_open(NULL, NULL); }
#endif
module_init(pool_setup);
"""


@pytest.fixture(scope="module")
def facts() -> Facts:
    return harvest(TEXT)


def line_of(text: bytes) -> int:
    return 1 + TEXT[: TEXT.index(text)].count(b"\n")


def test_definitions_and_their_calls(facts: Facts) -> None:
    assert [fn.name for fn in facts.functions] == ["pool_fill", "pool_work", "pool_open", "pool_twice", "pool_twice"]
    fill, work, opened, one, two = facts.functions
    assert (fill.static, opened.static) == (True, False)
    assert fill.line == fill.first_line == line_of(b"static int pool_fill")
    assert fill.end_line == line_of(b"static void pool_work") - 2
    assert fill.calls == (
        Called("list_for_each_entry", line_of(b"list_for_each_entry")),
        Called("pool_step", line_of(b"pool_step(")),
        Called("take", line_of(b"take(pool);")),
    )
    assert work.calls == (
        Called("pool_fill", line_of(b"\tpool_fill(to_pool")),
        Called("to_pool", line_of(b"\tpool_fill(to_pool")),
    )
    assert [call.name for call in one.calls] == [] and [call.name for call in two.calls] == ["pool_open"]


def test_calls_through_fields(facts: Facts) -> None:
    fill, _, opened, _, _ = facts.functions
    assert fill.through == (
        Through("fill", "->ops", line_of(b"err = pool->ops")),
        Through("done", "*", line_of(b"return done(err)")),
        Through("last", "struct pool", line_of(b"return (*pool->last)")),
    )
    assert {(each.field, each.of) for each in opened.through} == {("fill", "struct pool"), ("pick", "struct pool")}


def test_tables(facts: Facts) -> None:
    rows = {(row.type, row.object, row.field, row.value) for row in facts.entries}
    assert rows == {
        ("struct file_operations", "pool_fops", "open", "pool_open"),
        ("struct file_operations", "pool_fops", "fault", "pool_fault"),
        ("struct file_operations", "pool_fops", "poll", "pool_poll"),
        ("struct driver", "pool_driver", "probe", "pool_probe"),
        ("struct driver", "pool_driver", "driver.pm", "pool_pm"),
        ("struct pool_ops", "", "fill", "pool_fill_hw"),
    }
    assert next(row.line for row in facts.entries if row.value == "pool_open") == line_of(b".open\t")


def test_assigned_handed_macros_members_exports(facts: Facts) -> None:
    assert {(row.function, row.of, row.field, row.value) for row in facts.assigned} == {
        ("pool_open", "struct pool", "ops", "pool_default_ops"),
        ("pool_open", "struct file", "f_op", "pool_fops"),
    }
    assert [(row.function, row.callee, row.place, row.value) for row in facts.handed] == [
        ("", "EXPORT_SYMBOL_GPL", 1, "pool_open"),
        ("pool_open", "INIT_WORK", 2, "pool_work"),
    ]
    assert [(row.name, row.calls) for row in facts.macros] == [("take", ("pool_take",))]
    assert {tuple(row) for row in facts.members} == {
        ("pool_ops", "fill", POINTER),
        ("pool_ops", "drop", POINTER),
        ("pool", "ops", "pool_ops"),
        ("pool", "dev", "device"),
    }
    assert facts.exports == ("pool_open",)


def test_roles(facts: Facts) -> None:
    found = roles(facts)
    assert found["pool_fill"] == Role.DEFINED | Role.CALLED
    assert found["pool_work"] == Role.DEFINED | Role.VALUE
    assert found["fill"] == Role.MEMBER | Role.FIELD
    assert found["take"] == Role.MACRO | Role.CALLED
    assert not {"pool_old", "pool_text", "pool_said", "THIS_MODULE", "LIMIT"} & set(found)


def test_the_same_again(facts: Facts) -> None:
    assert decode(encode(facts)) == facts
    assert harvest(TEXT) == facts
    for damaged in (b"", encode(facts)[:-3], encode(facts)[:40] + b"?" + encode(facts)[41:]):
        with pytest.raises(ValueError, match="damaged"):
            decode(damaged)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from([*TEXT.decode().split("\n"), "}", "{", '"', "/*", "#if X", "#endif", ".a = b,", "\0"])))
def test_any_order_of_lines_is_read(lines: list[str]) -> None:
    raw = "\n".join(lines).encode()
    facts = harvest(raw)
    assert decode(encode(facts)) == facts
    last = raw.count(b"\n") + 1
    assert all(1 <= fn.first_line <= fn.line <= fn.end_line <= last for fn in facts.functions)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_are_read(raw: bytes) -> None:
    assert decode(encode(harvest(raw))) == harvest(raw)


@pytest.mark.parametrize(
    "path", ["mm/gup.c", "drivers/vfio/vfio_iommu_type1.c", "include/linux/mm.h", "virt/kvm/kvm_main.c"]
)
def test_a_kernel_file_as_the_slower_readers_see_it(tree_dir: Callable[[str], object], path: str) -> None:
    raw = (tree_dir("6.12") / path).read_bytes()  # type: ignore[operator]
    facts = harvest(raw)
    read = functions(path, raw)
    assert [(fn.name, fn.line, fn.first_line, fn.end_line, fn.static) for fn in facts.functions] == [
        (fn.name, fn.line, fn.first_line, fn.end_line, fn.static) for fn in read
    ]
    for fn, row in zip(read, facts.functions, strict=True):
        for name in {call.name for call in row.calls}:
            slow = [site.line for site in calls_in(fn, name)]
            assert [call.line for call in row.calls if call.name == name] == slow, (fn.name, name)


def test_a_program_tells_facts_and_roles(small: Callable[..., Program]) -> None:
    program = small(
        {"a.c": TEXT.decode(), "b.c": "int pool_use(void) { return pool_open(0, 0); }\n", "c.c": "/* pool_open */\n"}
    )
    assert program.playing("pool_open", Role.DEFINED) == ("a.c",)
    assert program.playing("pool_open", Role.CALLED) == ("a.c", "b.c")
    with program.recording() as reads:
        program.facts("b.c")
        program.playing("pool_use", Role.DEFINED)
    assert {("file", "b.c"), ("mentions", "pool_use")} <= reads


def test_calls_however_they_are_laid_out() -> None:
    text = b"""
static int pool_go(struct pool *pool, int (*done)(int), struct pool_ops *ops)
{
	pool_first
		(pool);
	pool->ops->
		fill(pool);
	ops[pool->index[1]].drop(pool); pool->rings[2].ops->fill(pool);
	(*pool->list.last)(pool), (*done)(1), done (2);
	pool_name("(pool_said(1)", '(', /* pool_old( */ 1 <pool_second(2));
	if(pool_third())
		return sizeof(pool), 0xfoo(pool);
	pool->hook
		= &pool_hooked;
	pool->count = pool->kept; pool == pool_same; ops->drop = done;
	pool_other.fill = pool_filled
		;
	return pool_last();
}
"""
    (row,) = harvest(text).functions
    assert [(name, line) for name, line in row.calls] == [
        ("pool_first", 4),
        ("pool_name", 10),
        ("pool_second", 10),
        ("pool_third", 11),
        ("pool_last", 18),
    ]
    assert row.through == (
        Through("fill", "->ops", 7),
        Through("drop", "", 8),
        Through("fill", "->ops", 8),
        Through("done", "*", 9),
        Through("last", "->list", 9),
        Through("done", "*", 9),
    )
    assert [(each.field, each.value, each.line) for each in harvest(text).assigned] == [
        ("hook", "pool_hooked", 13),
        ("fill", "pool_filled", 16),
    ]
