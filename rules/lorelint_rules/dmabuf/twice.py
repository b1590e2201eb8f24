"""What a function frees after dma_buf_put() has run .release, and .release has freed already."""

from __future__ import annotations

from msgspec import Struct

from lorelint.rule import TreeView, ir, worlds
from lorelint.rule.analyses.frees import Freed, frees
from lorelint.rule.analyses.scope import Scope
from lorelint_rules.dmabuf.exports import Release

PUT, NONE = "put", "no export"  # marks: the reference was dropped; nothing was exported


class Twice(Struct, frozen=True):
    """One thing that is freed twice: by the function, and before by .release."""

    here: Freed
    there: Freed


def after(view: TreeView, scope: Scope, explored: worlds.Explored) -> tuple[Freed, ...]:
    """What is freed on a way that dropped the reference."""
    return tuple(each for each in frees(view.program, scope.fn) if any(map(dropped, explored.at.get(each.node, ()))))


def twice(scope: Scope, freed: tuple[Freed, ...], release: Release, priv: str) -> tuple[Twice, ...]:
    """Those of them that .release has freed."""
    whats = {each.what: each for each in release.freed}
    names = aliases(scope, priv)
    return tuple(Twice(each, whats[text]) for each in freed if (text := names.get(each.what, each.what)) in whats)


def dropped(world: worlds.World) -> bool:
    return PUT in world.marks and NONE not in world.marks and not world.coarse


def aliases(scope: Scope, priv: str) -> dict[str, str]:
    """Locals that were stored in the private data, under the name they have there."""
    found = {}
    for node in scope.cfg.nodes:
        match node.expr:
            case ir.Assign(op="=", target=ir.Member(base=base) as target, value=ir.Name(name=name)):
                if ir.show(base) == priv and name.islower():
                    found[name] = ir.show(target)
    return found


def again(scope: Scope, explored: worlds.Explored, release: Release, priv: str) -> tuple[str, ...]:
    """Other calls of .release that the function makes again on the same object."""
    found = []
    names = aliases(scope, priv)
    for node in scope.cfg.nodes:
        if any(map(dropped, explored.at.get(node.id, ()))):
            for call in ir.calls(node.expr):
                if call.name not in scope.program.know.names("frees") and len(call.args) == 1:
                    what = ir.show(call.args[0])
                    root = what.lstrip("&").partition("->")[0].partition(".")[0]
                    text = f"{call.name}({what.replace(root, names.get(root, root), 1)})"
                    if text in release.calls:
                        found.append(
                            f"{ir.show(call)} ({scope.fn.path}:{call.line}) is also called by {release.fn.name}()"
                        )
    return tuple(dict.fromkeys(found))
