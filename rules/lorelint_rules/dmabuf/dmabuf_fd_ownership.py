"""dmabuf-fd-ownership: a dma-buf is given back by one who no longer owns it

What it sees
    dma_buf_fd() (or fd_install()) has put a dma-buf under a file descriptor, and the same function then drops
    its reference, frees what it handed over as private data, or still looks into the dma-buf. Or
    dma_buf_put() has dropped the only reference, so that .release ran, and the function goes on to free
    what .release has freed: the private data belongs to it since dma_buf_export() succeeded.

Why it hurts
    The descriptor owns the reference, and another thread can close it before dma_buf_fd() has returned. One
    more dma_buf_put() frees the dma-buf under its user; a second kfree() of the private data is a double free.
    Both are within reach of whoever may open the device.

When it is silent
    - dma_buf_put() only where dma_buf_fd() failed, and nothing of what .release frees after it
    - a reference of its own was taken before (get_dma_buf(), get_file())
    - the descriptor is leaked when copy_to_user() fails: nothing else can be done
    - .release drops a reference, and the function drops another one

Do this instead
    Make dma_buf_fd() the last thing that can fail, or reserve the descriptor with get_unused_fd_flags() and call
    fd_install() when nothing can fail any more. After dma_buf_export() leave the private data to .release:
    dma_buf_put() and return.

References
    CVE-2022-48821, commit 46963e2e0629 (fastrpc); CVE-2026-31468, commit e98137f0a874 (vfio-pci);
    drivers/dma-buf/dma-buf.c dma_buf_fd(), dma_buf_export()
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator

from lorelint.rule import (
    Doubt,
    Finding,
    Need,
    Rule,
    Severity,
    Silence,
    Stage,
    Step,
    Tokens,
    TreeView,
    Verdict,
    codes,
    ir,
    worlds,
)
from lorelint.rule.analyses.frees import frees
from lorelint.rule.analyses.onward import onward
from lorelint.rule.analyses.scope import Scope
from lorelint_rules.dmabuf import exports, twice
from lorelint_rules.dmabuf.exports import Export, Published, Release
from lorelint_rules.dmabuf.twice import NONE, PUT, Twice

NAME = "dmabuf-fd-ownership"
_FD, _FAILED = "fd", "failed"
_OWNS = "leave the reference to the descriptor: fd_install() or dma_buf_fd() is the last thing to do"
_LEAVE = "return after dma_buf_put(): .release frees the private data"


def run(view: TreeView) -> Iterator[Verdict]:
    for fn in view.functions:
        scope = Scope(view.program, fn)
        made = exports.exports(view, scope)
        given = exports.published(view, scope)
        told: dict[str, Verdict] = {}
        for each in given:
            for verdict in _published(scope, each, made):
                told.setdefault(_anchor(verdict), verdict)
        for export in made:
            for verdict in _put(view, scope, export, given):
                told.setdefault(_anchor(verdict), verdict)
        loud = [each for each in told.values() if not isinstance(each, Silence)]
        yield from loud or told.values()


def _anchor(verdict: Verdict) -> str:
    return verdict.reason if isinstance(verdict, Silence) else verdict.anchor


def _explored(scope: Scope, start: int, dmabuf: str, given: Iterable[Published]) -> worlds.Explored:
    """All ways from a place on, marked where the dma-buf was given away, kept after all, or dropped."""
    at = {each.node: each for each in given if each.dmabuf == dmabuf}
    dropped = {node for node, _ in exports.puts(scope, dmabuf)}

    def marker(node: ir.Node) -> Iterator[Hashable]:
        if node.id in at:
            yield _FD
        if node.id in dropped:
            yield PUT

    def learner(site: worlds.Site, known: codes.Codes) -> Iterator[Hashable]:
        if site.node in at and not site.out and known.fails and not at[site.node].always:
            yield _FAILED
        if site.node == start and not site.out and known.fails and start not in at:
            yield NONE

    return onward(scope, start, marker=marker, learner=learner, stop=exports.remade(scope, dmabuf))


def _owned(world: worlds.World) -> bool:
    """On this way the descriptor owns the reference."""
    return _FD in world.marks and not world.marks & {_FAILED, NONE} and not world.coarse


# -- after the descriptor has it


def _published(scope: Scope, given: Published, made: tuple[Export, ...]) -> Iterator[Verdict]:
    fn = scope.fn
    own = exports.another_reference(scope, given.dmabuf)
    if own is not None:
        reason = f"a reference of its own is taken by {ir.show(own)}"
        yield Silence(NAME, fn.path, fn.name, given.line, reason, (Step(fn.path, own.line, ir.show(own)),))
        return
    explored = _explored(scope, given.node, given.dmabuf, (given,))
    if explored.cut:
        yield Doubt(NAME, fn.path, fn.name, given.line, "dma_buf_put", "too many ways through the function")
        return
    found = False
    for node, call in exports.puts(scope, given.dmabuf):
        if any(map(_owned, explored.at.get(node, ()))):
            found = True
            text = f"{ir.show(call)} drops the reference that the descriptor owns since {given.api}() succeeded"
            yield _finding(scope, given, call.line, "dma_buf_put", text, Severity.ERROR, 0.9, _OWNS)
    for freed in frees(scope.program, fn):
        private = any(freed.what == each.priv for each in made if each.dmabuf == given.dmabuf and each.priv)
        if private and any(map(_owned, explored.at.get(freed.node, ()))):
            found = True
            text = f"{freed.what} is freed after {given.api}() has succeeded: the dma-buf of the descriptor uses it"
            yield _finding(
                scope, given, freed.steps[0].line, freed.what, text, Severity.ERROR, 0.85, _LEAVE, freed.steps
            )
    if not found:
        yield from _looked(scope, given, explored)


def _looked(scope: Scope, given: Published, explored: worlds.Explored) -> Iterator[Verdict]:
    """Whether the function still looks into the dma-buf, which is gone if the descriptor was closed meanwhile."""
    fn = scope.fn
    for node in scope.cfg.nodes:
        looks = node.id != given.node and _looks_into(node, given.dmabuf) and _fresh(scope, given.dmabuf)
        if looks and any(map(_owned, explored.at.get(node.id, ()))):
            text = f"{given.dmabuf} is looked into after {given.api}() has given its only reference away"
            yield _finding(scope, given, node.line, given.api, text, Severity.WARNING, 0.7, _OWNS)
            return
    reason = "dma_buf_put() is called only where no descriptor has the reference"
    if not exports.puts(scope, given.dmabuf):
        reason = f"nothing is given back after {given.api}(): the descriptor owns the reference"
    yield Silence(NAME, fn.path, fn.name, given.line, reason)


def _looks_into(node: ir.Node, dmabuf: str) -> bool:
    return any(
        isinstance(each, ir.Member) and each.arrow and ir.show(each.base) == dmabuf
        for each in (ir.walk(node.expr) if node.expr is not None else ())
    )


def _fresh(scope: Scope, dmabuf: str) -> bool:
    """Whether the variable holds what an export has just made, and nothing else."""
    many = scope.values(dmabuf)
    return bool(many) and all(
        (isinstance(each, ir.Call) and "export" in each.name) or (isinstance(each, ir.Name) and each.name == "NULL")
        for each in many
    )


# -- after the last reference was dropped


def _put(view: TreeView, scope: Scope, export: Export, given: tuple[Published, ...]) -> Iterator[Verdict]:
    fn = scope.fn
    dropped = exports.puts(scope, export.dmabuf)
    if not dropped or exports.another_reference(scope, export.dmabuf) is not None:
        return
    explored = _explored(scope, export.node, export.dmabuf, given)
    after = twice.after(view, scope, explored)
    line = dropped[0][1].line
    if not after:
        yield Silence(NAME, fn.path, fn.name, line, "nothing is freed after dma_buf_put(): .release does it")
        return
    counted = b"kref_init" in fn.text and b"kref_get" not in fn.text
    release = exports.release(view, export, alone=counted)
    if release is None:
        if any(each.what.startswith(export.priv) for each in after if export.priv):
            reason = f"what .release of {export.ops or 'the ops table'} frees was not seen"
            yield Doubt(NAME, fn.path, fn.name, line, export.priv or export.dmabuf, reason)
        return
    pairs = twice.twice(scope, after, release, export.priv)
    if pairs:
        facts = twice.again(scope, explored, release, export.priv)
        yield _double(scope, export, release, line, pairs, facts)
        return
    yield Silence(
        NAME, fn.path, fn.name, line, f"{release.fn.name}() frees nothing of what is freed here", (release.step,)
    )


def _double(
    scope: Scope, export: Export, release: Release, line: int, pairs: tuple[Twice, ...], facts: tuple[str, ...]
) -> Finding:
    fn = scope.fn
    first, known = pairs[-1].here, pairs[-1].there
    names = ", ".join(dict.fromkeys(each.here.what for each in pairs))
    return Finding(
        rule=NAME,
        path=fn.path,
        function=fn.name,
        line=line,
        anchor=export.priv,
        message=f"dma_buf_put() runs {release.fn.name}(), which frees {names}, and {fn.name}() frees it again",
        severity=Severity.ERROR,
        confidence=0.9,
        steps=(
            Step(fn.path, export.line, f"{export.priv} belongs to the dma-buf since it was exported"),
            Step(fn.path, line, f"dma_buf_put({export.dmabuf}) drops the only reference"),
            release.step,
            *known.steps,
            *first.steps,
        ),
        need=Need.FILE,
        concern=export.dmabuf,
        facts=facts,
        advice=_LEAVE,
        evidence=("double free", export.ops, known.api),
        ask=f"does {fn.name}() free {first.what} a second time when dma_buf_fd() fails?",
    )


def _finding(
    scope: Scope,
    given: Published,
    line: int,
    anchor: str,
    message: str,
    severity: Severity,
    confidence: float,
    advice: str,
    more: tuple[Step, ...] = (),
) -> Finding:
    fn = scope.fn
    return Finding(
        rule=NAME,
        path=fn.path,
        function=fn.name,
        line=line,
        anchor=anchor,
        message=message,
        severity=severity,
        confidence=confidence,
        steps=(
            Step(fn.path, given.line, f"{given.api}() gives the reference of {given.dmabuf} to the descriptor"),
            *(more or (Step(fn.path, line, message),)),
        ),
        need=Need.FILE,
        concern=given.dmabuf,
        facts=("user space can close the descriptor in another thread as soon as it is installed",),
        advice=advice,
        evidence=(given.api, anchor),
        ask=f"who owns {given.dmabuf} once {given.api}() has succeeded?",
    )


RULE = Rule(
    NAME,
    run,
    since="0.1",
    stage=Stage.TRIAL,
    tokens=Tokens((("dma_buf_fd", "fd_install", "dma_buf_put"), ("dma_buf", "dmabuf"))),
    need=Need.FILE,
    cause_rank=30,
)
