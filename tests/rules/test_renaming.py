"""The verdicts hang on what headers declare and on structure: other names of statics and locals, same verdicts."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lorelint.code import ir
from lorelint.code.lex import mask
from lorelint.code.program import Cache, Program
from lorelint.jobs.scan import version_of
from lorelint.kernel.load import knowledge
from lorelint.model.tree import OverlayTree, Tree
from lorelint.rule.door import Rule
from lorelint.wire import measured_tree

WORD = re.compile(rb"[A-Za-z_]\w*")
LABEL = re.compile(rb"^[ \t]*([A-Za-z_]\w*)[ \t]*:(?!:)", re.M)
#: After these a name is a field or a tag.
NOT_THERE = re.compile(rb"(?:->|\.|\b(?:struct|union|enum))\s*\Z")
#: Identifiers that mean something by themselves, also as the name of a variable.
KEPT = frozenset({"current", "jiffies", "default", "case", "true", "false", "NULL"})
SEED = 20260317
TREES = ("5.10", "6.1", "6.12", "7.2")


def locals_of(program: Program, fn: ir.Function) -> set[str]:
    """Parameters, local variables and labels."""
    found = {param.name for param in fn.params}
    for node in program.cfg(fn).nodes:
        if isinstance(node.expr, ir.Declare):
            found.add(node.expr.name)
    body = mask(fn.text)
    found |= {match[1].decode() for match in LABEL.finditer(body, body.find(b"{"))}
    return {name for name in found if name}


def callees(program: Program, fn: ir.Function, depth: int = 2) -> dict[str, ir.Function]:
    """The function and those of its file that it calls, some calls deep."""
    found = {fn.name: fn}
    level = [fn]
    for _ in range(depth):
        names = sorted({c.name for each in level for n in program.cfg(each).nodes for c in ir.calls(n.expr)})
        level = [each for name in names if name not in found and (each := program.function(fn.path, name))]
        found.update((each.name, each) for each in level)
    return found


def words(raw: bytes) -> set[str]:
    return {match.group().decode() for match in WORD.finditer(mask(raw))}


def renamed(program: Program, raw: bytes, fn: ir.Function) -> tuple[bytes, str]:
    """The file with its statics, and the locals of the function and its callees, under other names."""
    path = fn.path
    statics = {each.name for each in program.functions(path) if each.static}
    fields = {match[1].decode() for match in re.finditer(rb"(?:->|\.)\s*([A-Za-z_]\w*)", mask(raw))}
    statics -= KEPT | fields
    # A name that a macro of the file holds keeps it: what the macro makes of it is not seen.
    for line in re.findall(rb"^[ \t]*#[ \t]*define(?:[^\n\\]|\\\n|\\.)*", raw, re.M):
        statics -= words(line)
    spans = [(each.first_line, each, locals_of(program, each) - KEPT) for each in callees(program, fn).values()]
    new = {name: f"zq{number}_{len(name)}" for number, name in enumerate(sorted(statics))}
    text = raw
    for _, each, names in spans:
        if raw.count(each.text) != 1:
            continue
        mine = {name: f"zl{number}" for number, name in enumerate(sorted(names - set(new)))}
        text = text.replace(each.text, replaced(each.text, mine))
    return replaced(text, new), new.get(fn.name, fn.name)


def replaced(raw: bytes, new: dict[str, str]) -> bytes:
    """Names replaced where they are code, not fields; comments and strings stay."""
    code = mask(raw)
    out, at = [], 0
    for match in WORD.finditer(code):
        name = match.group().decode()
        if name in new and not NOT_THERE.search(code, max(0, match.start() - 40), match.start()):
            out += [raw[at : match.start()], new[name].encode()]
            at = match.end()
    return b"".join([*out, raw[at:]])


def test_the_renamer(desk: SimpleNamespace) -> None:
    text = (
        "static int one(struct s *s)\n{\n\t/* one of s */\n\treturn s->one ? s->s : -EAGAIN;\n}\n"
        "int f(struct s *s)\n{\n\tint ret;\nagain:\n\tret = one(s);\n\tif (ret == -EAGAIN)\n\t\tgoto again;\n"
        "\treturn ret;\n}\n"
    )
    program = desk.program(text.replace("->one", "->two"))
    fn = program.function("drivers/demo/a.c", "f")
    made, name = renamed(program, text.replace("->one", "->two").encode(), fn)
    assert name == "f"
    assert made.decode() == (
        "static int zq0_3(struct s *zl0)\n{\n\t/* one of s */\n\treturn zl0->two ? zl0->s : -EAGAIN;\n}\n"
        "int f(struct s *zl2)\n{\n\tint zl1;\nzl0:\n\tzl1 = zq0_3(zl2);\n\tif (zl1 == -EAGAIN)\n\t\tgoto zl0;\n"
        "\treturn zl1;\n}\n"
    )


@pytest.mark.needs_shared
@pytest.mark.needs_tree(*TREES)
@pytest.mark.parametrize("count", [10, pytest.param(0, marks=pytest.mark.prove)], ids=["sample", "all"])
def test_other_names_same_verdicts(
    shared: Path,
    tree_dir: Callable[[str], Path],
    overlays_dir: Path,
    rules: dict[str, Rule],
    desk: SimpleNamespace,
    sampled: Callable[..., list[dict[str, Any]]],
    count: int,
) -> None:
    """The same ten labels each time; all of them under `make prove`."""
    trees: dict[str, Tree] = {}
    caches: dict[str, Cache] = {}
    differ, asked = [], 0
    lines = (shared / "corpora" / "kernel" / "labels.jsonl").read_text().splitlines()
    labels: list[dict[str, Any]] = [json.loads(line) for line in lines]
    labels = [each for each in labels if each["rule"] in rules and each["source"].get("tree")]
    chosen = random.Random(SEED).sample(labels, count) if count else sampled(labels)
    for label in sorted(chosen, key=lambda each: (each["source"]["tree"], each["id"])):
        source = label["source"]
        overlay = source.get("overlay")
        key = f"{source['tree']} {overlay}"
        if key not in trees:
            folder = tree_dir(source["tree"].removeprefix("linux-source-"))
            trees[key] = measured_tree(str(folder), [str(overlays_dir / overlay)] if overlay else [])
            caches[key] = Cache.empty()
        tree, rule = trees[key], rules[label["rule"]]
        know = knowledge(version_of(tree))
        program = Program(tree, know, caches[key])
        fn, raw = program.function(source["path"], source["function"]), tree.read(source["path"])
        assert fn is not None and raw is not None, label["id"]
        new, name = renamed(program, raw, fn)
        assert new != raw, label["id"]
        changed = Program(OverlayTree(tree, {fn.path: new}), know, caches[key])
        asked += 1
        if desk.judge(program, rule, fn.name, fn.path).fires is not desk.judge(changed, rule, name, fn.path).fires:
            differ.append((label["id"], fn.path, fn.name))
    assert asked == len(chosen) and len(labels) > 40
    assert not differ
