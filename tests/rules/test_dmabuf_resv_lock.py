"""dmabuf-resv-lock: what it must see, each thing it must leave alone and why, over our own C and over a kernel."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lorelint.model.finding import Doubt, Severity
from lorelint.rule.door import Rule

RULE = "dmabuf-resv-lock"
Ask = Callable[..., Any]

IOCTL = "static long top(struct file *file, unsigned int cmd, unsigned long arg)\n{\n\treturn f(find(file, arg));\n}\n"
FOPS = IOCTL + "static const struct file_operations fops = {\n\t.unlocked_ioctl = top,\n};\n"


def user(body: str, before: str = "", ret: str = "\treturn 0;\n") -> str:
    """A function that an ioctl reaches."""
    return f"{before}static int f(struct bo *bo)\n{{\n{body}{ret}}}\n{FOPS}"


MAP = "\tbo->sgt = dma_buf_map_attachment(bo->attach, DMA_TO_DEVICE);\n"
LOCK, UNLOCK = "\tdma_resv_lock(bo->dmabuf->resv, NULL);\n", "\tdma_resv_unlock(bo->dmabuf->resv);\n"
SEEN = {
    "no lock": user(MAP),
    "a driver's mutex": user(f"\tmutex_lock(&bo->lock);\n{MAP}\tmutex_unlock(&bo->lock);\n"),
    "after the lock": user(LOCK + UNLOCK + MAP),
    "on one way": user(f"\tif (bo->fast)\n\t\tdma_resv_lock(bo->dmabuf->resv, NULL);\n{MAP}"),
    "pin": user("\tdma_buf_pin(bo->attach);\n"),
    "unmap": user("\tdma_buf_unmap_attachment(bo->attach, bo->sgt, DMA_TO_DEVICE);\n"),
    "vmap": user("\tdma_buf_vmap(bo->dmabuf, &bo->map);\n"),
    "the exporter": user("\tdma_buf_move_notify(bo->dmabuf);\n"),
    "asserted, and a caller has no lock": user("\tdma_resv_assert_held(bo->dmabuf->resv);\n" + MAP),
    "an op that is called without it": "static int f(struct dma_buf *dmabuf, enum dma_data_direction dir)\n{\n"
    "\tstruct bo *bo = dmabuf->priv;\n\n\tdma_buf_vmap(bo->base, &bo->map);\n\treturn 0;\n}\n"
    "static const struct dma_buf_ops ops = {\n\t.begin_cpu_access = f,\n};\n",
    "a work item": "static void f(struct work_struct *work)\n{\n\tstruct bo *bo = container_of(work, struct bo, work);\n\n"
    f"{MAP}}}\nvoid start(struct bo *bo)\n{{\n\tINIT_WORK(&bo->work, f);\n}}\n",
}


@pytest.mark.parametrize("name", SEEN)
def test_seen(ask: Ask, name: str) -> None:
    said = ask(RULE, SEEN[name])
    assert said.fires, said.outcome.verdicts
    exporter = name == "the exporter"
    assert said.finding.severity is (Severity.ERROR if exporter else Severity.WARNING)
    assert "without the reservation lock" in said.finding.steps[-1].text


WRAPPER = (
    "static int bo_lock(struct bo *bo, bool wait)\n{\n\tif (wait)\n\t\treturn dma_resv_lock_interruptible(bo->dmabuf->resv, NULL);\n"
    "\tif (!dma_resv_trylock(bo->dmabuf->resv))\n\t\treturn -EBUSY;\n\treturn 0;\n}\n"
    "static void bo_unlock(struct bo *bo)\n{\n\tdma_resv_unlock(bo->dmabuf->resv);\n}\n"
)
WITH = "static int g(struct bo *bo)\n{\n" + LOCK + "\tf(bo);\n" + UNLOCK + "\treturn 0;\n}\n"
CALLEE = f"static int f(struct bo *bo)\n{{\n{MAP}\treturn 0;\n}}\n"
SILENT = {
    "under the lock": user(LOCK + MAP + UNLOCK),
    "interruptibly": user(f"\tif (dma_resv_lock_interruptible(bo->resv, NULL))\n\t\treturn -EINTR;\n{MAP}{UNLOCK}"),
    "tried": user(f"\tif (!dma_resv_trylock(bo->resv))\n\t\treturn -EBUSY;\n{MAP}{UNLOCK}"),
    "a wrapper": user(f"\tif (bo_lock(bo, true))\n\t\treturn -EINTR;\n{MAP}\tbo_unlock(bo);\n", WRAPPER),
    "reserved by TTM": user(f"\tif (ttm_bo_reserve(&bo->tbo, true, false, NULL))\n\t\treturn -EINTR;\n{MAP}"),
    "locked by drm_exec": user(
        f"\tstruct drm_exec exec;\n\n\tdrm_exec_until_all_locked(&exec) {{\n\t\tint r = drm_exec_lock_obj(&exec, &bo->base);\n"
        f"\t\tdrm_exec_retry_on_contention(&exec);\n\t\tif (r)\n\t\t\treturn r;\n\t}}\n{MAP}"
    ),
    "held by the caller": CALLEE + WITH,
    "held two calls up": CALLEE.replace("int f(", "int h(")
    + "static int f(struct bo *bo)\n{\n\treturn h(bo);\n}\n"
    + WITH,
    "asserted, nobody without it in sight": CALLEE.replace(MAP, "\tdma_resv_assert_held(bo->resv);\n" + MAP).replace(
        "static ", ""
    ),
    "called by TTM": "static int f(struct ttm_buffer_object *bo)\n{\n\tdma_buf_move_notify(bo->base.dma_buf);\n\treturn 0;\n}\n"
    "static struct ttm_device_funcs funcs = {\n\t.move = f,\n};\n",
    "an op that is called with it": "static int f(struct dma_buf_attachment *attach)\n{\n\tstruct bo *bo = attach->dmabuf->priv;\n\n"
    "\treturn dma_buf_pin(bo->parent);\n}\nstatic const struct dma_buf_ops ops = {\n\t.pin = f,\n};\n",
    "an importer that is told": "static void f(struct dma_buf_attachment *attach)\n{\n\tstruct bo *bo = attach->importer_priv;\n\n"
    "\tdma_buf_unmap_attachment(attach, bo->sgt, DMA_TO_DEVICE);\n}\n"
    "static const struct dma_buf_attach_ops ops = {\n\t.move_notify = f,\n};\n",
}


@pytest.mark.parametrize("name", SILENT)
def test_silent(ask: Ask, name: str) -> None:
    said = ask(RULE, SILENT[name], "h" if "int h(" in SILENT[name] else "f")
    assert not said.fires, said.outcome.defects
    assert "with the reservation lock held" in said.reasons


@pytest.mark.parametrize(
    "text", [CALLEE.replace("static ", ""), CALLEE + "static struct hidden_ops o = {\n\t.run = f,\n};\n"]
)
def test_callers_out_of_sight_are_a_doubt(ask: Ask, text: str) -> None:
    assert [type(each) for each in ask(RULE, text).outcome.verdicts] == [Doubt]


def test_a_buffer_that_may_not_be_imported_is_a_doubt(ask: Ask) -> None:
    text = user(f"\tif (bo->import_attach) {{\n\t{MAP}\t}}\n") + WITH
    assert [type(each) for each in ask(RULE, text).outcome.verdicts] == [Doubt]
    assert ask(RULE, text.replace(WITH, "")).fires


def test_before_the_convention(ask: Ask) -> None:
    assert not ask(RULE, user(MAP), version=(6, 1)).outcome.verdicts


def test_the_way_without_it_is_told(ask: Ask) -> None:
    finding = ask(RULE, user(f"\tmutex_lock(&bo->lock);\n{MAP}\tmutex_unlock(&bo->lock);\n")).finding
    assert [step.text for step in finding.steps][:2] == [".unlocked_ioctl = top of file_operations", "top() calls f()"]
    assert any("bo.lock" in fact for fact in finding.facts)


OP = "static struct sg_table *f(struct dma_buf_attachment *attach, enum dma_data_direction dir)\n{\nBODY\treturn NULL;\n}\nstatic const struct dma_buf_ops ops = {\n\t.FIELD = f,\n};\n"


def op(body: str, field: str = "map_dma_buf") -> str:
    return OP.replace("BODY", body).replace("FIELD", field)


TWICE = {
    "an op takes it again": op("\tdma_resv_lock(attach->dmabuf->resv, NULL);\n"),
    "through a local": op("\tstruct dma_buf *d = attach->dmabuf;\n\n\tdma_resv_lock(d->resv, NULL);\n"),
    "by a call that takes it": op("\tdma_buf_unmap_attachment_unlocked(attach, NULL, dir);\n"),
    "under the lock": user(
        "\tdma_resv_lock(bo->dmabuf->resv, NULL);\n\tdma_buf_vmap_unlocked(bo->dmabuf, &bo->map);\n" + UNLOCK,
        "struct bo {\n\tstruct dma_buf *dmabuf;\n};\n",
    ),
    "detached under the lock": user(
        LOCK + "\tdma_buf_detach(bo->dmabuf, bo->attach);\n" + UNLOCK, "struct bo {\n\tstruct dma_buf *dmabuf;\n};\n"
    ),
}


@pytest.mark.parametrize("name", TWICE)
def test_taken_twice(ask: Ask, name: str) -> None:
    finding = ask(RULE, TWICE[name]).finding
    assert "which is held already" in finding.message and finding.severity is Severity.ERROR


NOT_TWICE = {
    "with a ticket": op("\tdma_resv_lock(attach->dmabuf->resv, ticket);\n"),
    "tried": op("\tif (!dma_resv_trylock(attach->dmabuf->resv))\n\t\treturn NULL;\n"),
    "another lock": op("\tstruct bo *bo = attach->dmabuf->priv;\n\n\tdma_resv_lock(bo->parent->resv, NULL);\n"),
    "an op that is called without it": op("\tdma_resv_lock(attach->dmabuf->resv, NULL);\n", "attach"),
    "another buffer": user(
        LOCK + "\tdma_buf_vmap_unlocked(bo->other, &bo->map);\n" + UNLOCK,
        "struct bo {\n\tstruct dma_buf *dmabuf;\n\tstruct dma_buf *other;\n};\n",
    ),
    "after the lock": user(
        LOCK + UNLOCK + "\tdma_buf_vmap_unlocked(bo->dmabuf, &bo->map);\n",
        "struct bo {\n\tstruct dma_buf *dmabuf;\n};\n",
    ),
}


@pytest.mark.parametrize("name", NOT_TWICE)
def test_not_taken_twice(ask: Ask, name: str) -> None:
    said = ask(RULE, NOT_TWICE[name])
    assert not said.fires, said.outcome.defects


@pytest.mark.needs_tree("6.12")
def test_taking_the_lock_out_makes_it_speak(rules: dict[str, Rule], tree_dir: Callable[[str], Path], desk: Any) -> None:
    """Functions of 6.12 that take the lock themselves: without it the rule no longer says that it is held."""
    tree = tree_dir("6.12")
    spoke = []
    for folder in ("iio", "usb/gadget/function", "infiniband/core", "accel/ivpu"):
        for path in sorted(tree.glob(f"drivers/{folder}/*.c")):
            text = path.read_text(encoding="latin-1")
            if not re.search(r"\bdma_buf_(un)?(pin|map_attachment)\(", text):
                continue
            name = path.relative_to(tree).as_posix()
            before = desk.program({name: text})
            without = re.sub(r"\b(\w*dma_resv_(?:lock|trylock)\w*|ivpu_bo_lock)\(", r"no_\1(", text)
            after = desk.program({name: without})
            for fn in before.functions(name):
                if not re.search(rb"\bdma_buf_(un)?(pin|map_attachment)\(", fn.text) or b"lock(" not in fn.text:
                    continue
                if "reservation lock held" in desk.judge(before, rules[RULE], fn.name, name).reasons:
                    said = desk.judge(after, rules[RULE], fn.name, name)
                    assert "reservation lock held" not in said.reasons, fn.name
                    spoke.append((fn.name, said.fires))
    assert len(spoke) >= 4 and any(fires for _, fires in spoke), spoke
