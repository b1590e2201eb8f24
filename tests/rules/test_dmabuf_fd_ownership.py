"""dmabuf-fd-ownership: what it must see, each thing it must leave alone and why, over our own C and over kernel trees."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lorelint.model.finding import Doubt, Severity
from lorelint.rule.door import Rule

RULE = "dmabuf-fd-ownership"
Ask = Callable[..., Any]

OPS = """
static void buf_release(struct dma_buf *dmabuf)
{
	struct buf *buf = dmabuf->priv;

	vfree(buf->data);
	kfree(buf);
}
static const struct dma_buf_ops buf_ops = { .map_dma_buf = buf_map, .release = buf_release };
"""
EXPORT = """
int f(struct buf *buf, struct args *args, int flags)
{
	DEFINE_DMA_BUF_EXPORT_INFO(info);
	struct dma_buf *dmabuf;
	int fd;

	info.ops = &buf_ops;
	info.priv = buf;
	dmabuf = dma_buf_export(&info);
	if (IS_ERR(dmabuf))
		return PTR_ERR(dmabuf);
BODY
}
"""


def export(body: str, ops: str = OPS) -> str:
    return ops + EXPORT.replace("BODY", body)


FD = "\tfd = dma_buf_fd(dmabuf, flags);\n"
SEEN = {
    "put in both cases": (export(FD + "\tdma_buf_put(dmabuf);\n\treturn fd;"), "dma_buf_put"),
    "put when the copy fails": (
        export(
            FD + "\tif (fd < 0) {\n\t\tdma_buf_put(dmabuf);\n\t\treturn fd;\n\t}\n"
            "\tif (copy_to_user(args->p, &fd, 4)) {\n\t\tdma_buf_put(dmabuf);\n\t\treturn -EFAULT;\n\t}\n\treturn 0;"
        ),
        "dma_buf_put",
    ),
    "put after fd_install": (
        export("\tfd_install(args->fd, dmabuf->file);\n\tif (note(buf))\n\t\tdma_buf_put(dmabuf);\n\treturn 0;"),
        "dma_buf_put",
    ),
    "fput": (export(FD + "\tif (fd >= 0 && note(buf))\n\t\tfput(dmabuf->file);\n\treturn fd;"), "dma_buf_put"),
    "a helper hands it out": (
        "static int out(struct dma_buf *d)\n{\n\treturn dma_buf_fd(d, O_CLOEXEC);\n}\n"
        + export("\tfd = out(dmabuf);\n\tif (fd > 0)\n\t\tdma_buf_put(dmabuf);\n\treturn fd;"),
        "dma_buf_put",
    ),
    "the result lies in a field": (
        export("\targs->fd = dma_buf_fd(dmabuf, flags);\n\tif (args->fd >= 0)\n\t\tdma_buf_put(dmabuf);\n\treturn 0;"),
        "dma_buf_put",
    ),
    "private data freed behind the descriptor": (export(FD + "\tif (fd >= 0)\n\t\tkfree(buf);\n\treturn fd;"), "buf"),
    "private data freed twice": (
        export(FD + "\tif (fd < 0) {\n\t\tdma_buf_put(dmabuf);\n\t\tkfree(buf);\n\t}\n\treturn fd;"),
        "buf",
    ),
    "what hangs on it freed twice": (
        export(FD + "\tif (fd < 0) {\n\t\tdma_buf_put(dmabuf);\n\t\tvfree(buf->data);\n\t}\n\treturn fd;"),
        "buf",
    ),
    "freed twice by a helper": (
        "static void buf_free(struct buf *b)\n{\n\tkfree(b);\n}\n"
        + export(FD + "\tif (fd < 0) {\n\t\tdma_buf_put(dmabuf);\n\t\tbuf_free(buf);\n\t}\n\treturn fd;"),
        "buf",
    ),
    "without a descriptor": (
        export("\tif (note(buf)) {\n\t\tdma_buf_put(dmabuf);\n\t\tkfree(buf);\n\t\treturn -EIO;\n\t}\n\treturn 0;"),
        "buf",
    ),
    "looked into": (export(FD + '\tif (fd >= 0)\n\t\tpr_info("%zu", dmabuf->size);\n\treturn fd;'), "dma_buf_fd"),
}


@pytest.mark.parametrize("name", SEEN)
def test_seen(ask: Ask, name: str) -> None:
    text, anchor = SEEN[name]
    said = ask(RULE, text)
    assert said.fires, said.reasons
    assert said.finding.anchor == anchor
    assert said.finding.severity is (Severity.WARNING if anchor == "dma_buf_fd" else Severity.ERROR)
    assert len(said.finding.steps) >= 2


SILENT = {
    "put on failure": (
        export(FD + "\tif (fd < 0)\n\t\tdma_buf_put(dmabuf);\n\treturn fd;"),
        "only where no descriptor has the reference",
    ),
    "put on failure, told by a field": (
        export(
            "\targs->fd = dma_buf_fd(dmabuf, flags);\n\tif (args->fd < 0) {\n\t\tdma_buf_put(dmabuf);\n\t\treturn -EINVAL;\n\t}\n\treturn 0;"
        ),
        "only where no descriptor has the reference",
    ),
    "put on failure, told later": (
        export(FD + "\tbuf->fd = fd;\n\tif (fd >= 0)\n\t\tgoto out;\n\tdma_buf_put(dmabuf);\nout:\n\treturn fd;"),
        "only where no descriptor has the reference",
    ),
    "the descriptor leaks": (
        export(FD + "\tif (copy_to_user(args->p, &fd, 4))\n\t\treturn -EFAULT;\n\treturn 0;"),
        "the descriptor owns the reference",
    ),
    "a reference of its own": (
        export("\tget_dma_buf(dmabuf);\n" + FD + "\tdma_buf_put(dmabuf);\n\treturn fd;"),
        "a reference of its own",
    ),
    "the buffer of the next pass": (
        "int f(struct buf *buf, int n)\n{\n\tstruct dma_buf *d;\n\tint fd = 0;\n\n\twhile (n--) {\n\t\td = buf_make(buf, n);\n"
        "\t\tif (note(d)) {\n\t\t\tdma_buf_put(d);\n\t\t\tbreak;\n\t\t}\n\t\tfd = dma_buf_fd(d, 0);\n\t}\n\treturn fd;\n}\n",
        "only where no descriptor has the reference",
    ),
    "release drops a reference, and so does the function": (
        export(
            FD + "\tif (fd < 0)\n\t\tdma_buf_put(dmabuf);\n\tbuf_put(buf);\n\treturn fd;",
            OPS.replace("vfree(buf->data);\n\tkfree(buf);", "buf_put(buf);"),
        ),
        "nothing is freed after dma_buf_put()",
    ),
    "release frees something else": (
        export(
            FD + "\tif (fd < 0) {\n\t\tdma_buf_put(dmabuf);\n\t\tkfree(args);\n\t}\n\treturn fd;",
        ),
        "frees nothing of what is freed here",
    ),
    "freed where nothing was exported": (
        OPS
        + EXPORT.replace("return PTR_ERR(dmabuf);", "goto err;").replace(
            "BODY",
            FD + "\tif (fd < 0)\n\t\tdma_buf_put(dmabuf);\n\treturn fd;\nerr:\n\tkfree(buf);\n\treturn -ENOMEM;",
        ),
        "nothing is freed after dma_buf_put()",
    ),
}


@pytest.mark.parametrize("name", SILENT)
def test_silent(ask: Ask, name: str) -> None:
    text, reason = SILENT[name]
    said = ask(RULE, text)
    assert not said.fires, said.outcome.defects
    assert reason in said.reasons


def test_a_release_out_of_sight_is_a_doubt(ask: Ask) -> None:
    said = ask(RULE, export(FD + "\tif (fd < 0) {\n\t\tdma_buf_put(dmabuf);\n\t\tkfree(buf);\n\t}\n\treturn fd;", ""))
    assert [type(each) for each in said.outcome.verdicts] == [Doubt]


def test_what_else_release_does_is_told(ask: Ask) -> None:
    ops = OPS.replace("kfree(buf);", "owner_put(buf->owner);\n\tkfree(buf);")
    body = "\tbuf->owner = args;\n" + FD
    body += "\tif (fd < 0) {\n\t\tdma_buf_put(dmabuf);\n\t\towner_put(args);\n\t\tkfree(buf);\n\t}\n\treturn fd;"
    (fact,) = ask(RULE, export(body, ops)).finding.facts
    assert fact.startswith("owner_put(args)") and "buf_release()" in fact


@pytest.mark.needs_tree("6.12")
def test_a_put_on_success_makes_it_speak(rules: dict[str, Rule], tree_dir: Callable[[str], Path], desk: Any) -> None:
    """Functions of 6.12 that give the dma-buf back where dma_buf_fd() failed: the test turned round, it speaks."""
    tree = tree_dir("6.12")
    spoke = []
    for path in sorted(tree.glob("drivers/*/**/*.c")):
        text = path.read_text(encoding="latin-1")
        if "= dma_buf_fd(" not in text:
            continue
        name = path.relative_to(tree).as_posix()
        program = desk.program({name: text})
        for fn in program.functions(name):
            body = fn.text.decode("latin-1")
            head, api, rest = body.partition("= dma_buf_fd(")
            if not api or "dma_buf_put(" not in rest or desk.judge(program, rules[RULE], fn.name, name).fires:
                continue
            turned = rest.replace(" < 0)", " >= 0)", 1) if " < 0)" in rest else rest.replace(" >= 0)", " < 0)", 1)
            after = desk.program({name: text.replace(body, head + api + turned)})
            assert desk.judge(after, rules[RULE], fn.name, name).fires, fn.name
            spoke.append(fn.name)
    assert len(spoke) >= 4, spoke


COUNTED = """
static void buf_free(struct kref *ref)
{
	struct buf *buf = container_of(ref, struct buf, use.count);

	kfree(buf);
}
static void buf_release(struct dma_buf *dmabuf)
{
	struct buf *buf = dmabuf->priv;

	kref_put(&buf->use.count, buf_free);
}
static const struct dma_buf_ops buf_ops = { .release = buf_release };
"""


def test_a_release_that_drops_the_only_count(ask: Ask) -> None:
    """The object was just made and nobody else counts on it: kref_put() in .release frees it, kfree() does it again."""
    fails = FD + "\tif (fd < 0) {\n\t\tdma_buf_put(dmabuf);\n\t\tkfree(buf);\n\t}\n\treturn fd;"
    fresh = export("\tkref_init(&buf->use.count);\n" + fails, COUNTED)
    assert "buf_release()" in ask(RULE, fresh).finding.message
    shared = export("\tkref_init(&buf->use.count);\n\tkref_get(&buf->use.count);\n" + fails, COUNTED)
    assert not ask(RULE, shared).fires, "a second count keeps it"
    assert not ask(RULE, export(fails, COUNTED)).fires, "it was there before: others may count on it"
    other = export("\tkref_init(&buf->use.count);\n" + fails, COUNTED.replace("kfree(buf)", "kfree(buf->data)"))
    assert not ask(RULE, other).fires
