"""dmabuf-importer-contract: what it must see, each thing it must leave alone and why, over our own C and over a kernel."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lorelint.model.finding import Doubt, Severity
from lorelint.rule.door import Rule

RULE = "dmabuf-importer-contract"
Ask = Callable[..., Any]

ATTACH = "\tb->attach = dma_buf_dynamic_attach(b->dmabuf, b->dev, OPS, b);\n\treturn PTR_ERR_OR_ZERO(b->attach);\n}\n"
DEAF = "static const struct dma_buf_attach_ops deaf = {\n\t.allow_peer2peer = true,\n};\n"
TOLD = "static const struct dma_buf_attach_ops told = {\n\t.CALLBACK = b_told,\n};\n"


def importer(ops: str, before: str = "", params: str = "struct b *b", callback: str = "move_notify") -> str:
    tables = DEAF + TOLD.replace("CALLBACK", callback)
    return f"{tables}int f({params})\n{{\n{before}{ATTACH.replace('OPS', ops)}"


HANDED = "struct b *b, const struct dma_buf_attach_ops *ops"
SEEN = {
    "a table without it": importer("&deaf"),
    "a table with NULL": "static struct dma_buf_attach_ops none = { .move_notify = NULL };\n" + importer("&none"),
    "a local": importer("ops", "\tconst struct dma_buf_attach_ops *ops = &deaf;\n\n"),
    "one of two": importer(
        "ops", "\tconst struct dma_buf_attach_ops *ops = &told;\n\n\tif (b->fast)\n\t\tops = &deaf;\n"
    ),
    "handed in": importer("ops", params=HANDED),
    "handed in, something else looked at": importer("ops", "\tif (!ops)\n\t\treturn -EINVAL;\n", HANDED),
}


@pytest.mark.parametrize("name", SEEN)
def test_seen(ask: Ask, name: str) -> None:
    said = ask(RULE, SEEN[name])
    assert said.fires, said.reasons
    assert said.finding.severity is Severity.ERROR and len(said.finding.steps) == 2


SILENT = {
    "it is there": (importer("&told"), "the ops have .move_notify"),
    "through a local": (importer("ops", "\tconst struct dma_buf_attach_ops *ops = &told;\n\n"), "the ops have"),
    "looked at": (importer("ops", "\tif (!ops || !ops->move_notify)\n\t\treturn -EINVAL;\n", HANDED), "the ops have"),
    "no ops": (importer("NULL"), "a static importer"),
    "all callers have it": (
        importer("ops", params=HANDED).replace("int f", "static int f")
        + "int g(struct b *b)\n{\n\treturn f(b, &told);\n}\n",
        "the ops have",
    ),
}


@pytest.mark.parametrize("name", SILENT)
def test_silent(ask: Ask, name: str) -> None:
    text, reason = SILENT[name]
    said = ask(RULE, text)
    assert not said.fires, said.outcome.defects
    assert reason in said.reasons


def test_a_caller_hands_over_a_table_without_it(ask: Ask) -> None:
    text = importer("ops", params=HANDED).replace("int f", "static int f")
    said = ask(RULE, text + "int g(struct b *b)\n{\n\treturn f(b, &deaf);\n}\n")
    assert "deaf lacks .move_notify" in said.finding.message


def test_ops_out_of_sight_are_a_doubt(ask: Ask) -> None:
    said = ask(RULE, importer("&elsewhere"))
    assert [type(each) for each in said.outcome.verdicts] == [Doubt]


MAPS = "static int g(struct b *b)\n{\n\tb->sgt = dma_buf_map_attachment(b->attach, DMA_TO_DEVICE);\n\treturn 0;\n}\n"


def test_where_it_is_optional_who_maps_without_it_must_pin(ask: Ask) -> None:
    text = importer("&deaf", callback="invalidate_mappings") + MAPS
    assert ask(RULE, text, version=(7, 2)).finding.severity is Severity.NOTE
    pinned = text.replace("\tb->sgt =", "\tif (dma_buf_pin(b->attach))\n\t\treturn -EIO;\n\tb->sgt =")
    assert "the importer pins" in ask(RULE, pinned, version=(7, 2)).reasons
    assert not ask(RULE, importer("&told", callback="invalidate_mappings") + MAPS, version=(7, 2)).fires


EXPORTER = """
static void revoke(struct b *b)
{
	dma_resv_lock(b->dmabuf->resv, NULL);
	b->revoked = true;
	API(b->dmabuf);
	dma_resv_unlock(b->dmabuf->resv);
}
static int no_pin(struct dma_buf_attachment *attach)
{
	return -EOPNOTSUPP;
}
static int f(struct dma_buf *dmabuf, struct dma_buf_attachment *attachment)
{
ASKS	return 0;
}
static const struct dma_buf_ops ops = {
	.attach = f,
	.map_dma_buf = b_map,
};
"""


def exporter(asks: str = "", api: str = "dma_buf_invalidate_mappings") -> str:
    asks = f"\tif ({asks})\n\t\treturn -EOPNOTSUPP;\n" if asks else ""
    return EXPORTER.replace("ASKS", asks).replace("API", api)


@pytest.mark.parametrize(
    ("text", "version", "fires"),
    [
        (exporter(), (7, 2), True),
        (exporter("!dmabuf->size"), (7, 2), True),
        (exporter("!attachment->peer2peer"), (7, 2), True),
        (exporter("!attachment->peer2peer", "dma_buf_move_notify"), (6, 12), False),
        (exporter("!attachment->importer_ops", "dma_buf_move_notify"), (6, 12), False),
        (exporter(api="dma_buf_move_notify"), (6, 12), True),
        (exporter("!dma_buf_attach_revocable(attachment)"), (7, 2), False),
        (exporter().replace(".attach = f,", ".attach = f,\n\t.pin = no_pin,"), (7, 2), False),
        (exporter().replace("\tb->revoked = true;\n", ""), (7, 2), False),
    ],
)
def test_an_exporter_that_revokes_asks(ask: Ask, text: str, version: tuple[int, int], fires: bool) -> None:
    said = ask(RULE, text, version=version)
    assert said.fires is fires, said.reasons
    if fires:
        assert any("revoke() revokes" in step.text for step in said.finding.steps)


def test_a_helper_asks(ask: Ask) -> None:
    helper = "static bool can(struct dma_buf_attachment *a)\n{\n\treturn a->importer_ops;\n}\n"
    assert not ask(RULE, helper + exporter("!can(attachment)"), version=(7, 2)).fires


CALLBACK = "static void f(struct dma_buf_attachment *attach)\n{\n\tstruct b *b = attach->importer_priv;\n\n\tTAKE(b->mm);\n\tzap(b);\n}\n"


@pytest.mark.parametrize(("take", "fires"), [("mmap_read_lock", True), ("mutex_lock", False)])
def test_the_callback_does_not_wait_for_mmap_lock(ask: Ask, take: str, fires: bool) -> None:
    text = CALLBACK.replace("TAKE", take) + TOLD.replace("CALLBACK", "move_notify").replace("b_told", "f")
    assert ask(RULE, text).fires is fires


@pytest.mark.needs_tree("6.12")
def test_taking_the_callback_out_makes_it_speak(
    rules: dict[str, Rule], tree_dir: Callable[[str], Path], desk: Any
) -> None:
    """Importers of 6.12: without the line of the table the function that attaches is told; with it all are silent."""
    tree = tree_dir("6.12")
    spoke = []
    for path in sorted(tree.glob("drivers/gpu/drm/*/**/*dma_buf.c")):
        text = path.read_text(encoding="latin-1")
        if "dma_buf_dynamic_attach(" not in text or "\t.move_notify =" not in text:
            continue
        name = path.relative_to(tree).as_posix()
        lines = [line for line in text.split("\n") if not line.startswith("\t.move_notify =")]
        for version, fires in ((text, False), ("\n".join(lines), True)):
            program = desk.program({name: version})
            for fn in program.functions(name):
                if b"dma_buf_dynamic_attach(" in fn.text:
                    assert desk.judge(program, rules[RULE], fn.name, name).fires is fires, fn.name
                    spoke += [fn.name] if fires else []
    assert len(spoke) >= 2, spoke
