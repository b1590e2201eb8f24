"""Figures written down, read again, and what they are enough for."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from lorelint.jobs.measure.ledger import entries, render
from lorelint.jobs.measure.mutate import Place, attempt, places
from lorelint.jobs.measure.operators import OPERATORS
from lorelint.model.errors import LorelintError
from lorelint.model.measurement import Case, Cut, Judgement, Measurement, Mutation, Noise, Score, Spoken, wilson
from lorelint.model.tree import EmptyTree, OverlayTree
from lorelint.report.measure import cut_out
from lorelint.rule.door import Stage
from lorelint.rule.ledger import Entry, Heard, earned, lacking, parse
from lorelint.rule.packs import load

GOOD = Entry(
    rule="r",
    real=Score(tp=6, tn=9),
    sweep={"t": {"true": 8, "false": 0, "arguable": 1, "silent-right": 3}},
    noise={"c": Heard(patches=1200, functions=9000, said=2, wrong=1, unjudged=0)},
)


def test_wilson() -> None:
    assert wilson(0, 0) is None
    assert wilson(10, 10) == (0.7225, 1.0)
    assert wilson(0, 10) == (0.0, 0.2775)
    low, high = wilson(50, 100) or (0, 0)
    assert low == pytest.approx(0.4038, abs=1e-4) and high == pytest.approx(0.5962, abs=1e-4)


def case(verdict: str, kind: str = "real") -> Case:
    return Case(f"r-{verdict}", "r", "t", "", "a.c", "f", 1, "", kind, "", 0.9, False, verdict, (), ("1: why",), (), "")


def measured(**more: Any) -> Measurement:
    return Measurement(rules=("r",), **more)


def test_what_is_written_is_read_again() -> None:
    noise = Noise("post on t", "t", 3, 120, 900, (Spoken("r", "s", "a.c", "f", 1, "new", True, "m", "false", "why"),))
    done = measured(
        cases=(case("tp"), case("fn"), case("fp", "unsure")),
        noises=(noise,),
        mutation=Mutation(
            "t", (Cut("yield", "r", "a.c", "f", 1, True, True), Cut("yield", "r", "a.c", "g", 1, False, True))
        ),
        judgements=(Judgement("r", "t", "a.c", "f", 1, "true", "so"),),
    )
    found = entries({}, done)
    assert parse(render(found)) == found
    entry = found["r"]
    assert (entry.real.tp, entry.real.fn, entry.unsure.fp) == (1, 1, 1)
    assert entry.wrong == ("r-fn fn: a.c f(): 1: why",)
    assert entry.noise["post on t"] == Heard(120, 900, 1, 1, 0)
    assert (entry.mutation["yield"].cuts, entry.mutation["yield"].speak) == (2, 1)
    assert entry.judged("true") == entry.judged() == 1


def test_what_was_not_measured_now_stays() -> None:
    old = {"r": GOOD, "other": replace(GOOD, rule="other")}
    new = entries(old, measured(cases=(case("tp"),)))
    assert new["other"] == old["other"]
    assert new["r"].real == Score(tp=1) and new["r"].sweep == GOOD.sweep and new["r"].noise == GOOD.noise


def test_a_ledger_that_is_none() -> None:
    for text in ("[rule", "[rule.r]\nreal = { what = 1 }\n", "rule = 1\n"):
        with pytest.raises(LorelintError, match="no ledger"):
            parse(text)


def test_stages_are_earned() -> None:
    assert earned(None) is Stage.TRIAL and lacking(None, Stage.TRIAL) == ()
    assert earned(GOOD) is Stage.LIST


@pytest.mark.parametrize(
    ("change", "stage", "why"),
    [
        ({"real": Score(tp=6, fp=1)}, Stage.TRIAL, "precision on labels is 85.7%"),
        ({"real": Score(fn=3)}, Stage.TRIAL, "no labelled function is found"),
        ({"sweep": {}}, Stage.TRIAL, "0 places of a sweep are judged"),
        ({"sweep": {"t": {"true": 7, "false": 3}}}, Stage.TRIAL, "30% of the judged findings of a sweep are false"),
        ({"sweep": {"t": {"true": 17, "false": 3}}}, Stage.QUEUE, "15% of the judged findings of a sweep are false"),
        ({"real": Score(tp=4)}, Stage.QUEUE, "4 findings on real labelled functions"),
        ({"real": Score(tp=18, fp=1)}, Stage.QUEUE, "94.7%"),
        ({"noise": {}}, Stage.QUEUE, "measured over 0 patches"),
        ({"noise": {"c": Heard(1200, 1, 1, 0, 1)}}, Stage.QUEUE, "1 findings over changes are not judged"),
        ({"noise": {"c": Heard(1200, 1, 2, 2, 0)}}, Stage.QUEUE, "0.17 wrong findings per 100 patches"),
    ],
)
def test_what_keeps_a_rule_from_its_stage(change: dict[str, Any], stage: Stage, why: str) -> None:
    entry = replace(GOOD, **change)
    assert earned(entry) is stage
    missed = lacking(entry, Stage.LIST if stage is Stage.QUEUE else Stage.QUEUE)
    assert any(why in each for each in missed), missed


# -- checks taken out ----------------------------------------------------------------------------

BOUND = (
    "int f(struct s *s)\n{\n\tint ret, t = 3;\n\n\tdo {\n\t\tret = g(s);\n\t} while (ret == -EAGAIN && --t);\n"
    "\treturn ret;\n}\n"
)


def cuts_of(text: str, rule: str) -> tuple[OverlayTree, list[Place]]:
    tree = OverlayTree(EmptyTree("small"), {"drivers/a.c": text.encode()})
    return tree, list(places(tree, ["."], [each for each in OPERATORS if each.rule == rule]))


def test_a_rule_speaks_without_the_check_and_is_silent_with_it() -> None:
    rule = load(["unbounded-retry"])[0]
    tree, found = cuts_of(BOUND, rule.name)
    assert [(each.operator, each.line) for each in found] == [("bound beside the errno", 7)]
    cut = attempt(tree, found[0], rule)
    assert cut is not None and cut.spoke and cut.restored
    rows = cut_out(Mutation("small", (cut,)))
    assert [(row["operator"], row["recall"]) for row in rows] == [("bound beside the errno", 1.0)]


def test_a_function_that_is_spoken_of_as_it_is_does_not_count() -> None:
    rule = load(["unbounded-retry"])[0]
    tree, found = cuts_of(BOUND.replace("return ret;", "do {\n\t\tret = h(s);\n\t} while (ret == -EAGAIN);"), rule.name)
    assert len(found) == 1 and attempt(tree, found[0], rule) is None


def test_a_check_whose_loss_changes_nothing_counts_as_missed() -> None:
    rule = load(["unbounded-retry"])[0]
    text = BOUND.replace("ret = g(s);", "ret = g(s);\n\t\tif (s->tries++ > 3)\n\t\t\tbreak;")
    tree, found = cuts_of(text, rule.name)
    cut = attempt(tree, found[0], rule)
    assert cut is not None and not cut.spoke and cut.why


BODIES = {
    "comparison with vm_end": (
        "v = vma_lookup(mm, a);\n\tif (!v || a + len > v->vm_end)\n\t\treturn 0;\n\tg(v->vm_flags, len);",
        "vm_end",
    ),
    "end of the PFN lookup": ("if (follow_pfnmap_start(&w))\n\t\treturn 0;\n\tfollow_pfnmap_end(&w);", "_end("),
    "FOLL_LONGTERM": ("return pin_user_pages(a, n, FOLL_WRITE | FOLL_LONGTERM, p);", "FOLL_LONGTERM"),
    "detach": ("t = dma_buf_attach(b, d);\n\treturn 0;\nout:\n\tdma_buf_detach(b, t);", "dma_buf_detach"),
    "test for a short pin": (
        "if (c->mm != current->mm)\n\t\treturn 0;\n\tn = pin_user_pages(a, w, 0, p);\n\tif (n != w)\n\t\treturn 0;",
        "n != w",
    ),
    "unpin, a put instead": ("pin_user_pages(a, 1, 0, &p);\n\tunpin_user_page(p);", "unpin_user_page("),
    "reservation lock": ("dma_resv_lock(b->resv, NULL);\n\treturn dma_buf_pin(a);", "dma_resv_lock"),
    "refusal of private mappings": (
        "if (!(v->vm_flags & VM_SHARED))\n\t\treturn -EINVAL;\n\tvm_flags_set(v, VM_PFNMAP);",
        "VM_SHARED",
    ),
}


@pytest.mark.parametrize("name", sorted(BODIES))
def test_operators_cut_what_they_are_named_by(name: str) -> None:
    body, gone = BODIES[name]
    text = f"int f(void)\n{{\n\t{body}\n}}\n"
    operator = next(each for each in OPERATORS if each.name == name)
    tree = OverlayTree(EmptyTree("small"), {"a.c": text.encode()})
    (place,) = places(tree, ["."], [operator])
    left = place.without.decode()
    assert gone in text and gone not in left
    assert left.count("{") == left.count("}") and left.count("(") == left.count(")")


def test_a_lock_is_given_back_before_the_vma_is_used() -> None:
    text = "int f(void)\n{\n\tv = vma_lookup(mm, a);\n\tx = v->vm_flags;\n\tmmap_read_unlock(mm);\n}\n"
    (place,) = cuts_of(text, "vma-use-after-unlock")[1]
    assert "vma_lookup(mm, a); mmap_read_unlock(mm);\n\tx = v->vm_flags" in place.without.decode()


def test_operators_are_told_apart() -> None:
    assert len({(each.name, each.rule) for each in OPERATORS}) == len(OPERATORS)
