"""Ways from a place on, what a callee frees, and whether a precondition is met on all ways to a place."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from lorelint.code import ir
from lorelint.code.program import Program
from lorelint.code.search import Use
from lorelint.kernel.load import knowledge
from lorelint.model.finding import Step
from lorelint.model.tree import EmptyTree, OverlayTree
from lorelint.rule.analyses.frees import canonical, frees, substitute
from lorelint.rule.analyses.onward import chained, onward
from lorelint.rule.analyses.preconditions import Fate, Precondition
from lorelint.rule.analyses.scope import Scope

PATH = "drivers/demo/a.c"


def program(text: str) -> Program:
    return Program(OverlayTree(EmptyTree("small"), {PATH: text.encode()}), knowledge((6, 12)))


def function(of: Program, name: str = "f") -> ir.Function:
    fn = of.function(PATH, name)
    assert fn is not None
    return fn


def node(scope: Scope, name: str) -> int:
    """The node that calls a function."""
    return next(each.id for each in scope.cfg.nodes if any(call.name == name for call in ir.calls(each.expr)))


# -- onward

TAKE = """
int f(struct a *a)
{
	int r;

	HOW
	if (TEST) {
		failed();
		return -EIO;
	}
	good();
	return 0;
}
"""


@pytest.mark.parametrize(
    ("how", "test"),
    [
        ("r = take(a);", "r < 0"),
        ("a->r = take(a);", "a->r < 0"),
        ("a->b.r = take(a);", "a->b.r < 0"),
        ("a->r = take(a);\n\tr = a->r;", "r < 0"),
        ("r = take(a);\n\ta->r = r;", "a->r < 0"),
    ],
)
def test_a_field_is_followed_like_a_variable(how: str, test: str) -> None:
    of = program(TAKE.replace("HOW", how).replace("TEST", test))
    scope = Scope(of, function(of))
    start = node(scope, "take")
    explored = onward(
        scope, start, learner=lambda site, codes: ["failed"] if site.node == start and codes.fails else []
    )
    assert all("failed" in world.marks for world in explored.at[node(scope, "failed")])
    assert all("failed" not in world.marks for world in explored.at[node(scope, "good")])


def test_it_ends_where_the_object_is_made_anew() -> None:
    body = "take(n);\n\t\tuse(n);\n\t\tanew(n);\n\t\tagain(n);"
    of = program(f"int f(int n)\n{{\n\twhile (n--) {{\n\t\t{body}\n\t}}\n\treturn 0;\n}}\n")
    scope = Scope(of, function(of))

    def marker(each: ir.Node) -> Iterable[str]:
        return ["used"] if each.id == node(scope, "use") else []

    explored = onward(scope, node(scope, "take"), marker=marker, stop={node(scope, "anew")})
    assert node(scope, "use") in explored.at and node(scope, "again") not in explored.at
    explored = onward(scope, node(scope, "take"), marker=marker)
    assert all("used" in world.marks for world in explored.at[node(scope, "again")])


def test_a_graph_without_assigned_fields_is_as_it_was() -> None:
    of = program("int f(struct a *a)\n{\n\treturn a->b ? use(a->b) : 0;\n}\n")
    cfg = of.cfg(function(of))
    assert chained(cfg).nodes == cfg.nodes


# -- frees

FREES = """
static void inner(struct part *p)
{
	kvfree(p->pages);
}
static void f(struct dma_buf *d)
{
	struct whole *w = d->priv;

	inner(&w->part);
	put(w->other);
	kfree(w);
}
"""


def test_what_is_freed_is_told_from_the_parameter_on() -> None:
    of = program(FREES)
    found = {each.what: each.api for each in frees(of, function(of))}
    assert found == {"d->priv->part.pages": "kvfree", "d->priv": "kfree"}
    assert len(next(each for each in frees(of, function(of)) if each.api == "kvfree").steps) == 2


def test_nothing_computed_is_a_chain() -> None:
    of = program("void f(struct a *a, int n)\n{\n\tkfree(a->rows[n]);\n\tkfree(make(a));\n}\n")
    assert not frees(of, function(of))
    assert substitute("p->x", "p", "&a.b") == "a.b.x" and substitute("p->x", "p", "") == ""
    scope = Scope(of, function(of))
    assert canonical(scope, ir.Number(1, "0", 0)) == ""


# -- preconditions

NEEDS = "static int f(struct a *a)\n{\n\tneeds(a);\n\treturn 0;\n}\n"
CALLER = "static int NAME(struct a *a)\n{\n\tBEFORE\n\treturn CALLEE(a);\n}\n"
TABLE = "static const struct TYPE t = {\n\t.run = NAME,\n};\n"


def caller(name: str, before: str = ";", callee: str = "f") -> str:
    return CALLER.replace("NAME", name).replace("BEFORE", before).replace("CALLEE", callee)


def table(name: str, type_: str = "open_ops") -> str:
    return TABLE.replace("NAME", name).replace("TYPE", type_)


def fates(text: str) -> list[str]:
    of = program(text)
    fn = function(of)

    def here(where: ir.Function, at: int) -> Step | None:
        return Step(where.path, 1, "seen to") if b"see_to(" in where.text else None

    def claims(where: ir.Function, at: int) -> Step | None:
        return Step(where.path, 1, "claimed") if b"claim(" in where.text else None

    def entered(where: ir.Function, use: Use) -> tuple[Fate, Step]:
        kinds = {"struct open_ops": Fate.OPEN, "struct met_ops": Fate.MET}
        return kinds.get(use.type, Fate.UNKNOWN), Step(use.path, use.line, use.type)

    ways = Precondition(of, here, entered, claims).ways(fn, node(Scope(of, fn), "needs"))
    return [f"{way.fate} {way.top} {len(way.chain)}" for way in ways]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (NEEDS.replace("needs(a)", "see_to(a);\n\tneeds(a)"), ["met f 0"]),
        (NEEDS + caller("g", "see_to(a);"), ["met g 1"]),
        (NEEDS + caller("g") + table("g"), ["open g 1"]),
        (NEEDS + caller("g") + table("g", "met_ops"), ["met g 1"]),
        (NEEDS + caller("g") + table("g", "hidden_ops"), ["unknown g 1"]),
        (NEEDS + caller("g") + caller("h", "see_to(a);", "g") + table("g"), ["open g 1", "met h 2"]),
        (NEEDS, ["unknown f 0"]),
        (NEEDS.replace("needs(a)", "claim(a);\n\tneeds(a)"), ["met f 0"]),
        (NEEDS.replace("needs(a)", "claim(a);\n\tneeds(a)") + caller("g") + table("g"), ["open g 1"]),
    ],
)
def test_ways(text: str, wanted: list[str]) -> None:
    assert fates(text) == wanted


def test_a_circle_of_callers_ends() -> None:
    text = NEEDS + caller("g").replace("return f(a);", "return f(a) ? h(a) : 0;") + caller("h", callee="g")
    assert fates(text) == ["unknown h 2"]
