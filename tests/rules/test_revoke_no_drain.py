"""revoke-no-drain: importers are told, and waited for or not; over our own C and over a kernel function broken."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lorelint.code.program import Cache, Program
from lorelint.edge.directory import DirectoryTree
from lorelint.kernel.load import knowledge
from lorelint.model.finding import Severity
from lorelint.model.tree import OverlayTree
from lorelint.rule.door import Rule
from lorelint.rule.engine import Judge

RULE = "revoke-no-drain"
NEW = (7, 2)
Ask = Callable[..., Any]

FENCES = "dma_resv_wait_timeout(t->dmabuf->resv, DMA_RESV_USAGE_BOOKKEEP, false, MAX_SCHEDULE_TIMEOUT);"
UNMAP = "wait_for_completion(&t->drained);"
TELL = "t->revoked = true;\n\tdma_buf_invalidate_mappings(t->dmabuf);"


def tank(body: str, before: str = "", after: str = "\tf(t);", params: str = "struct tank *t") -> str:
    return f"""
struct tank {{ struct dma_buf *dmabuf; struct completion drained; bool revoked; }};
{before}
static void f({params})
{{
\t{body}
}}

static long tank_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{{
\tstruct tank *t = file->private_data;

{after}
\treturn 0;
}}

static const struct file_operations tank_fops = {{ .unlocked_ioctl = tank_ioctl }};
"""


WRONG = {
    "no wait": (tank(TELL), "the fences (DMA_RESV_USAGE_BOOKKEEP) and the importers' unmap"),
    "fences alone": (tank(f"{TELL}\n\t{FENCES}"), "for the importers' unmap"),
    "unmap alone": (tank(f"{TELL}\n\t{UNMAP}"), "for the fences"),
    "readers alone": (tank(f"{TELL}\n\t{FENCES.replace('BOOKKEEP', 'READ')}\n\t{UNMAP}"), "for the fences"),
    "waited before": (tank(f"{FENCES}\n\t{UNMAP}\n\t{TELL}"), "the fences (DMA_RESV_USAGE_BOOKKEEP) and the importers'"),
    "fences on one way": (tank(f"{TELL}\n\tif (t->busy)\n\t\t{FENCES}\n\t{UNMAP}"), "for the fences"),
    "one caller of two": (
        tank(TELL, after=f"\tif (cmd) {{\n\t\tf(t);\n\t\t{FENCES}\n\t\t{UNMAP}\n\t\treturn 0;\n\t}}\n\tf(t);"),
        "the fences (DMA_RESV_USAGE_BOOKKEEP) and the importers' unmap",
    ),
    "a flag": (tank(TELL.replace("true", "yes"), params="struct tank *t, bool yes"), "the fences"),
}  # fmt: skip
RIGHT = {
    "both": (tank(f"{TELL}\n\t{FENCES}\n\t{UNMAP}"), "both waits stand behind the call"),
    "the unmap where it revokes": (
        tank(f"t->revoked = yes;\n\tdma_buf_invalidate_mappings(t->dmabuf);\n\t{FENCES}\n\tif (yes)\n\t\t{UNMAP}",
             params="struct tank *t, bool yes"),
        "both waits stand behind the call",
    ),
    "in callees": (
        tank(f"{TELL}\n\tdrain(t);", before=f"static void drain(struct tank *t)\n{{\n\t{FENCES}\n\t{UNMAP}\n}}\n"),
        "both waits stand behind the call",
    ),
    "in the caller": (tank(TELL, after=f"\tf(t);\n\t{FENCES}\n\t{UNMAP}"), "every caller waits"),
    "half and half": (tank(f"{TELL}\n\t{FENCES}", after=f"\tf(t);\n\t{UNMAP}"), "every caller waits"),
    "no revoke": (tank("dma_buf_invalidate_mappings(t->dmabuf);"), "nothing is revoked here"),
    "the end of one": (tank(TELL.replace("true", "false")), "nothing is revoked here"),
    "a move": (tank(TELL, params="struct ttm_buffer_object *bo, struct tank *t"), "a move of TTM"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_seen(ask: Ask, name: str) -> None:
    text, missing = WRONG[name]
    said = ask(RULE, text, version=NEW)
    assert said.fires, said.reasons
    assert missing in said.finding.message
    assert said.finding.severity is Severity.ERROR
    assert "tells importers, and returns" in "\n".join(step.text for step in said.finding.steps)


@pytest.mark.parametrize("name", RIGHT)
def test_left_alone(ask: Ask, name: str) -> None:
    text, reason = RIGHT[name]
    said = ask(RULE, text, version=NEW)
    assert not said.fires
    assert reason in said.reasons


def test_a_note_where_the_contract_was_not_written(ask: Ask) -> None:
    said = ask(RULE, tank(TELL.replace("dma_buf_invalidate_mappings", "dma_buf_move_notify")))
    assert said.fires and said.finding.severity is Severity.NOTE


@pytest.mark.needs_tree("7.2")
def test_a_right_function_without_a_wait_is_seen(rules: dict[str, Rule], tree_dir: Callable[[str], Path]) -> None:
    """Exporters of 7.2 that wait for both: without either they must not be silent."""
    cache, know = Cache.empty(), knowledge((7, 2))
    judge = Judge(Program(DirectoryTree(tree_dir("7.2")), know, cache))
    waits = (re.compile(r"dma_resv_wait_timeout\([^;]*;"), re.compile(r"wait_for_completion\([^;]*;"))
    tried = 0
    for path in ("drivers/vfio/pci/vfio_pci_dmabuf.c", "drivers/infiniband/core/ib_core_uverbs.c"):
        raw = (judge.program.raw(path) or b"").decode("latin-1")
        for fn in judge.program.functions(path):
            text = fn.text.decode("latin-1")
            if "dma_buf_invalidate_mappings(" not in text:
                continue
            assert not judge.judge(rules[RULE], fn).defects
            for wait in waits:
                assert wait.search(text)
                broken = raw.replace(text, wait.sub(";", text)).encode("latin-1")
                again = Judge(Program(OverlayTree(judge.program.tree, {path: broken}), know, cache))
                other = again.program.function(path, fn.name)
                assert other is not None and again.judge(rules[RULE], other).defects
                tried += 1
    assert tried >= 4
