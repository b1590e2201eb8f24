"""What holds on each way through a function."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Hashable, Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorelint.code import explore as exploring
from lorelint.code import ir
from lorelint.code.codes import ANY, Codes
from lorelint.code.explore import Explorer
from lorelint.code.program import Program
from lorelint.code.states import States
from lorelint.code.worlds import TRAIL, Explored, Passed, Site, Verdict, World

Small = Callable[..., Program]


def explore(small: Small, body: str, **more: object) -> tuple[ir.Cfg, Explored]:
    program = small(f"int f(struct s *s, int n)\n{{\n{body}\n}}\n")
    fn = program.function("a.c", "f")
    assert fn is not None
    cfg = program.cfg(fn)
    return cfg, Explorer(cfg, **more).run(0)  # type: ignore[arg-type]


def at_return(cfg: ir.Cfg, explored: Explored) -> list[World]:
    return [
        world for node in cfg.nodes if node.at is ir.At.RETURN for world in explored.at.get(node.id, ())
    ]  # fmt: skip


def told(world: World) -> list[str]:
    return [each.text for each in world.trail]


def test_a_value_remembers_its_call(small: Small) -> None:
    cfg, explored = explore(small, "int ret = one(s); if (ret) return ret; ret = two(s); return ret;")
    first, second = at_return(cfg, explored)
    origin, later = first.term("ret"), second.term("ret")
    assert isinstance(origin, Site) and origin.name == "one"
    assert isinstance(later, Site) and later.name == "two"
    known = first.codes(origin)
    assert known is not None and known.fails and not known.zero
    assert told(first) == ["ret"] and told(second) == ["!ret"]


def test_an_impossible_way_is_not_taken(small: Small) -> None:
    body = "int ret = one(s); if (ret) return 1; if (ret == -EAGAIN) return 2; if (ret > 0) return 3; return 4;"
    cfg, explored = explore(small, body)
    reached = [node.expr for node in cfg.nodes if node.at is ir.At.RETURN and explored.at.get(node.id)]
    assert [ir.show(each) for each in reached if each] == ["1", "4"]


def test_constants_are_values_too(small: Small) -> None:
    cfg, explored = explore(small, "int ret = -EAGAIN; if (ret == -EAGAIN) return 1; if (!ret) return 2; return 3;")
    (world,) = at_return(cfg, explored)
    assert told(world) == [], "a test of a constant is no test of a call"


def test_a_switch_narrows(small: Small) -> None:
    body = "int ret = one(s); switch (ret) { case 0: return 0; case -EAGAIN: return 1; default: return ret; }"
    cfg, explored = explore(small, body)
    left = {each.trail[-1].codes.show() for each in at_return(cfg, explored)}
    assert left == {"0", "-EAGAIN", "any error, a positive value"}
    other = next(each for each in at_return(cfg, explored) if each.trail[-1].codes.neg)
    assert not other.trail[-1].codes.admits("-EAGAIN") and not other.trail[-1].codes.admits("0")


def test_error_pointers(small: Small) -> None:
    cfg, explored = explore(small, "struct p *p = get(s); if (IS_ERR(p)) return PTR_ERR(p); return 0;")
    bad, good = at_return(cfg, explored)
    assert bad.trail[-1].codes.fails and not good.trail[-1].codes.neg


def test_a_flag_is_the_test_it_holds(small: Small) -> None:
    cfg, explored = explore(small, "int ret = one(s); bool again = ret == -EAGAIN; if (again) return 1; return 2;")
    yes, no = at_return(cfg, explored)
    assert yes.trail[-1].codes == Codes(frozenset({"-EAGAIN"})) and not no.trail[-1].codes.admits("-EAGAIN")


@pytest.mark.parametrize("change", ["ret = 0;", "ret++;", "ret = two(s);", "fill(&ret);"])
def test_a_flag_does_not_speak_of_what_came_later(small: Small, change: str) -> None:
    body = f"int ret = one(s); bool again = ret == -EAGAIN; {change} if (again) return 1; return 2;"
    cfg, explored = explore(small, body)
    assert len({node.id for node in cfg.nodes if node.at is ir.At.RETURN and explored.at.get(node.id)}) == 2


@pytest.mark.parametrize("circle", ["n = n > 2;", "n = !n;", "int m = !n; n = !m; m = !n;"])
def test_a_flag_made_of_itself(small: Small, circle: str) -> None:
    cfg, explored = explore(small, f"{circle} if (n) return 1; return 2;")
    assert len(at_return(cfg, explored)) == 2


def test_what_a_callee_stored(small: Small) -> None:
    cfg, explored = explore(
        small, "bool unlocked = false; int ret = look(s, &unlocked); if (unlocked) return 1; return ret;"
    )
    yes = at_return(cfg, explored)[0]
    site = yes.trail[-1].site
    assert site is not None and (site.name, site.out) == ("look", "unlocked")


def test_dead_variables_are_forgotten(small: Small) -> None:
    cfg, explored = explore(small, "int a = one(s); if (a) n = 1; else n = 2; two(s); return n;")
    ends = at_return(cfg, explored)
    assert all(each.term("a") is None for each in ends)
    assert {each.term("n") for each in ends} == {"1", "2"}


def test_marks_and_goals(small: Small) -> None:
    def marker(node: ir.Node, edge: ir.Edge | None) -> Iterable[Hashable]:
        return [call.name for call in ir.calls(node.expr)] if edge is None else []

    program = small(
        "int f(struct s *s)\n{\nagain:\n\tif (slow(s))\n\t\trest(s);\n\tif (try(s))\n\t\tgoto again;\n\treturn 0;\n}\n"
    )
    fn = program.function("a.c", "f")
    assert fn is not None
    cfg = program.cfg(fn)
    (loop,) = program.loops(fn)
    explored = Explorer(cfg, marker, inside=loop.body).run(loop.head, loop.back)
    went = [world for back in loop.back for world in explored.arrived[back]]
    assert {each.marks for each in went} == {frozenset({"slow", "rest", "try"}), frozenset({"slow", "try"})}
    assert not any(cfg.nodes[id].at is ir.At.RETURN for id in explored.at), "it stays inside"


FLAGS = "".join(f"\tint v{i} = c{i}(s) ? 1 : 2;\n" for i in range(9))
MANY = FLAGS + "\treturn " + " + ".join(f"v{i}" for i in range(9)) + ";"


def test_too_many_worlds_are_folded_and_say_so(small: Small) -> None:
    cfg, explored = explore(small, MANY)
    ends = at_return(cfg, explored)
    assert not explored.cut and any(each.coarse for each in ends)
    assert all(len(each) <= exploring.MAX_WORLDS for each in explored.at.values())


def test_the_budget_ends_an_exploration(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exploring, "MAX_STEPS", 40)
    assert explore(small, MANY)[1].cut


NAMES = st.sampled_from(["a", "b", "c"])
SITES = st.sampled_from([Site(1, "one"), Site(2, "two"), Site(3, "three", "x")])
CODES = st.builds(Codes, st.frozensets(st.sampled_from(["0", "-EAGAIN", "-EBUSY"])), st.booleans(), st.booleans())
TERMS = st.one_of(st.sampled_from(["0", "-EAGAIN"]), SITES)
WORLDS = st.builds(
    World,
    env=st.dictionaries(NAMES, TERMS).map(lambda each: frozenset(each.items())),
    known=st.dictionaries(SITES, CODES).map(lambda each: frozenset(each.items())),
    marks=st.frozensets(st.sampled_from(["yield", "wait", "signal"])),
    trail=st.lists(st.builds(Passed, st.just(1), st.just("ret"), SITES, CODES), max_size=2).map(tuple),
)


def fold(many: list[World]) -> World:
    states = States(TRAIL)
    return states.world(states.fold([states.state(each) for each in many]))


@given(st.lists(WORLDS, min_size=2, max_size=6))
def test_folding_one_by_one_is_folding_all(many: list[World]) -> None:
    made = many[0]
    for each in many[1:]:
        made = fold([made, each])
    assert made == fold(many)


@given(WORLDS)
def test_numbers_keep_a_world(world: World) -> None:
    states = States(TRAIL)
    states.state(World(marks=frozenset({"other"})))
    assert states.world(states.state(world)) == world


@given(st.lists(WORLDS, min_size=1, max_size=5))
def test_folding_keeps_only_what_holds_in_all(many: list[World]) -> None:
    made = fold(many)
    assert made.coarse and not made.trail and made.last is None
    for each in many:
        assert made.env <= each.env and made.marks <= each.marks
        for site, codes in made.known:
            theirs = each.codes(site)
            assert theirs is not None
            assert all(codes.admits(s) for s in ("0", "-EAGAIN", "-EBUSY", "-EIO", "X") if theirs.admits(s))
    common = frozenset.intersection(*(each.marks for each in many))
    assert made.marks == common, "and all of that"


@given(st.lists(WORLDS, min_size=2, max_size=5), st.randoms(use_true_random=False))
def test_folding_does_not_ask_who_came_first(many: list[World], random: object) -> None:
    mixed = list(many)
    random.shuffle(mixed)  # type: ignore[attr-defined]
    assert fold(mixed) == fold(many)


SCRIPT = '''
import sys
from lorelint.code.program import Program
from lorelint.code.explore import Explorer
from lorelint.kernel.load import knowledge
from lorelint.model.tree import EmptyTree, OverlayTree

program = Program(OverlayTree(EmptyTree("t"), {"a.c": sys.stdin.buffer.read()}), knowledge((6, 12)))
for fn in program.functions("a.c"):
    cfg = program.cfg(fn)
    marker = lambda node, edge: [str(node.line)] if edge is None and node.line % 3 == 0 else []
    explored = Explorer(cfg, marker, plain=frozenset({"p"})).run(0)
    print(fn.name, explored.cut, list(explored.at))
    for node, found in explored.at.items():
        for each in found:
            shown = [sorted(map(str, part)) for part in (each.env, each.marks)]
            codes = sorted((str(site), sorted(c.named), c.neg, c.pos, sorted(c.but)) for site, c in each.known)
            print(node, shown, codes, [t.text for t in each.trail], each.last and each.last.text, each.coarse)
'''  # fmt: skip

TWISTED = f"""
int many(struct s *s)
{{
{MANY}
}}
int twisted(struct s *s, int n)
{{
	struct page *p;
	int ret, tries = 3;
again:
	p = get(s, &n);
	if (IS_ERR(p)) {{
		ret = PTR_ERR(p);
		if (ret == -EAGAIN || ret == -EBUSY)
			goto again;
		return ret;
	}}
	switch (one(s, n)) {{
	case -EAGAIN: goto again;
	case 0: break;
	default: return -EIO;
	}}
	do {{
		ret = two(s);
		if (ret > 0 && flag(s))
			n = ret == 3;
	}} while (ret < 0 && --tries);
	return n ? ret : -EBUSY;
}}
"""


def test_the_same_whatever_the_seed_of_hashes(root: Path) -> None:
    def run(seed: str) -> bytes:
        paths = os.pathsep.join((str(root / "bot"), str(root / "rules")))
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": paths}
        made = subprocess.run(
            [sys.executable, "-c", SCRIPT], input=TWISTED.encode(), capture_output=True, env=environment, check=True
        )
        return made.stdout

    first = run("1")
    assert b"True\n" in first and b"twisted" in first, "there are coarse worlds among them"
    assert run("2") == first == run("77")


def test_terms(small: Small) -> None:
    cfg, explored = explore(small, "bool b = !n; return b;")
    (world,) = at_return(cfg, explored)
    assert isinstance(world.term("b"), Verdict) and world.term("nothing") is None and world.codes(Site(9, "f")) is None
    assert ANY.zero
