"""dmabuf-unwind: what it must see, each thing it must leave alone and why, over our own C and over a kernel."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lorelint.model.finding import Severity
from lorelint.rule.door import Rule

RULE = "dmabuf-unwind"
Ask = Callable[..., Any]

IMPORT = """
struct imp {
	struct kref ref;
	struct dma_buf *buf;
	struct dma_buf_attachment *attach;
	struct sg_table *sgt;
};
static int f(struct imp *imp, struct device *dev, int fd)
{
	struct dma_buf_attachment *attach;
	struct dma_buf *buf;
	struct sg_table *sgt;
	int err;

	buf = dma_buf_get(fd);
	if (IS_ERR(buf))
		return PTR_ERR(buf);
	attach = dma_buf_attach(buf, dev);
	if (IS_ERR(attach)) {
		err = PTR_ERR(attach);
		goto put;
	}
	dma_resv_lock(buf->resv, NULL);
	err = dma_buf_pin(attach);
	if (err)
		goto unlock;
	sgt = dma_buf_map_attachment(attach, DMA_TO_DEVICE);
	if (IS_ERR(sgt)) {
		err = PTR_ERR(sgt);
		goto unpin;
	}
	err = program(dev);
	if (err)
		goto unmap;
	dma_resv_unlock(buf->resv);
	imp->buf = buf;
	imp->attach = attach;
	imp->sgt = sgt;
	return 0;

unmap:
	dma_buf_unmap_attachment(attach, sgt, DMA_TO_DEVICE);
unpin:
	dma_buf_unpin(attach);
unlock:
	dma_resv_unlock(buf->resv);
	dma_buf_detach(buf, attach);
put:
	dma_buf_put(buf);
	return err;
}
"""
LEFT = {
    "reference": ("put:\n\tdma_buf_put(buf);\n", "put:\n"),
    "attachment": ("\tdma_buf_detach(buf, attach);\n", ""),
    "pin": ("unpin:\n\tdma_buf_unpin(attach);\n", "unpin:\n"),
    "mapping": ("\tdma_buf_unmap_attachment(attach, sgt, DMA_TO_DEVICE);\n", ""),
}
WRONG_LABEL = {
    "reference": ("goto put;", "return err;"),
    "attachment": ("\tif (err)\n\t\tgoto unlock;", "\tif (err)\n\t\tgoto put;"),
    "pin": ("goto unpin;", "goto unlock;"),
    "mapping": ("goto unmap;", "goto unpin;"),
}


@pytest.mark.parametrize("cut", [LEFT, WRONG_LABEL], ids=["not undone", "wrong label"])
@pytest.mark.parametrize("what", LEFT)
def test_left_behind(ask: Ask, what: str, cut: dict[str, tuple[str, str]]) -> None:
    assert cut[what][0] in IMPORT
    said = ask(RULE, IMPORT.replace(*cut[what]))
    finding = said.finding
    assert f"the {what} that" in finding.message and finding.severity is Severity.WARNING
    assert finding.steps[0].text.endswith("succeeds") and "has not given it back" in finding.steps[-1].text


def test_the_whole_is_right(ask: Ask) -> None:
    said = ask(RULE, IMPORT)
    assert not said.fires, said.outcome.defects
    assert said.reasons.count("is given back before the function fails") == 4


KREF = """
struct imp {
	struct kref ref;
	struct dma_buf *buf;
	struct dma_buf_attachment *attach;
	struct sg_table *sgt;
};
static void imp_free(struct kref *ref)
{
	struct imp *imp = container_of(ref, struct imp, ref);

	GUARD
		dma_buf_detach(imp->buf, imp->attach);
	kfree(imp);
}
static void imp_put(struct imp *imp)
{
	kref_put(&imp->ref, imp_free);
}
static struct imp *f(struct dma_buf *buf, struct device *dev)
{
	struct imp *imp = kzalloc(sizeof(*imp), GFP_KERNEL);

	if (!imp)
		return NULL;
	kref_init(&imp->ref);
	imp->buf = buf;
	imp->attach = dma_buf_attach(buf, dev);
	if (IS_ERR(imp->attach)) {
		kfree(imp);
		return NULL;
	}
	SET
	if (program(dev)) {
		UNDO
		imp_put(imp);
		return NULL;
	}
	return imp;
}
"""


def kref(guard: str = "if (imp->attach)", set_: str = "", undo: str = "dma_buf_detach(buf, imp->attach);") -> str:
    return KREF.replace("GUARD", guard).replace("SET", set_).replace("UNDO", undo)


AGAIN = {
    "the destructor asks for what is set": kref(),
    "the destructor asks for nothing": kref("").replace("\t\n\t\tdma", "\tdma"),
    "for another field that is set": kref("if (imp->sgt)", "imp->sgt = table(dev);"),
    "dropped in place": kref().replace("\t\timp_put(imp);", "\t\tkref_put(&imp->ref, imp_free);"),
}


@pytest.mark.parametrize("name", AGAIN)
def test_undone_again(ask: Ask, name: str) -> None:
    finding = ask(RULE, AGAIN[name]).finding
    assert "dma_buf_detach() has undone imp->attach" in finding.message and finding.severity is Severity.ERROR
    assert "container_of" not in finding.message and len(finding.steps) >= 3


ONCE = {
    "the destructor alone": kref(undo=""),
    "the field is cleared": kref(undo="dma_buf_detach(buf, imp->attach);\n\t\timp->attach = NULL;"),
    "the destructor asks for what is not set": kref("if (imp->sgt)"),
    "it asks for something else": kref("if (test_bit(0, &imp->flags))"),
}


@pytest.mark.parametrize("name", ONCE)
def test_undone_once(ask: Ask, name: str) -> None:
    said = ask(RULE, ONCE[name])
    assert not said.fires, said.outcome.defects


def test_a_destructor_counts_as_giving_back(ask: Ask) -> None:
    said = ask(RULE, kref(undo=""))
    assert "is given back before the function fails" in said.reasons


HALF = """
static int half(struct imp *imp, struct device *dev)
{
	imp->attach = dma_buf_attach(imp->buf, dev);
	if (IS_ERR(imp->attach))
		return PTR_ERR(imp->attach);
	if (program(dev))
		return -EIO;
	return 0;
}
static int top(struct device *dev)
{
	struct imp imp = {};
	int err = half(&imp, dev);

	if (err) {
		UNDO
		return err;
	}
	return 0;
}
"""


@pytest.mark.parametrize(("undo", "fires"), [("dma_buf_detach(imp.buf, imp.attach);", False), ("note(dev);", True)])
def test_the_caller_undoes(ask: Ask, undo: str, fires: bool) -> None:
    said = ask(RULE, HALF.replace("UNDO", undo), "half")
    assert said.fires is fires, said.outcome.verdicts
    assert fires or "by the caller" in said.reasons


def test_handed_to_an_object_that_stays(ask: Ask) -> None:
    text = IMPORT.replace("\terr = program(dev);", "\timp->sgt = sgt;\n\terr = program(dev, 1);")
    assert not ask(RULE, text.replace(*LEFT["mapping"])).fires


@pytest.mark.parametrize(
    ("text", "fires"), [("\tdma_buf_pin(attach);\n", True), ("\treturn dma_buf_pin(attach);\n", False)]
)
def test_what_pin_says_is_looked_at(ask: Ask, text: str, fires: bool) -> None:
    head, tail = "int f(struct dma_buf_attachment *attach)\n{\n", "\treturn 0;\n}\n"
    assert ask(RULE, head + text + tail).fires is fires


@pytest.mark.needs_tree("6.12")
def test_taking_an_undo_out_makes_it_speak(rules: dict[str, Rule], tree_dir: Callable[[str], Path], desk: Any) -> None:
    """Importers of 6.12 that undo what they took: without the detach on the way out the rule speaks, with it not."""
    tree = tree_dir("6.12")
    spoke = []
    for path in sorted(tree.glob("drivers/*/**/*.c")):
        text = path.read_text(encoding="latin-1")
        if not re.search(r"= dma_buf_attach\(", text) or "dma_buf_detach(" not in text:
            continue
        name = path.relative_to(tree).as_posix()
        program = desk.program({name: text})
        for fn in program.functions(name):
            body = fn.text.decode("latin-1")
            if "= dma_buf_attach(" not in body or "dma_buf_detach(" not in body:
                continue
            assert not desk.judge(program, rules[RULE], fn.name, name).fires or fn.name == "fastrpc_map_attach", fn.name
            after = desk.program({name: text.replace(body, re.sub(r"\bdma_buf_detach\([^;]*;", ";", body))})
            if desk.judge(after, rules[RULE], fn.name, name).fires:
                spoke.append(fn.name)
    assert len(spoke) >= 5, spoke
