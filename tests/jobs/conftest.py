"""Series of our own writing over small trees of our own writing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import unified_diff
from itertools import pairwise
from types import SimpleNamespace

import pytest

from lorelint.code import ir
from lorelint.mail.diff import parse_diff
from lorelint.model.finding import Finding, Kind, Need, Severity, Silence, Step, Verdict
from lorelint.model.mail import BaseHint, Message, Patch, Series, Thread
from lorelint.model.source import OpenTree
from lorelint.model.tree import EmptyTree, OverlayTree, Tree
from lorelint.rule.door import Rule, Tokens, TreeView

MAKEFILE = "VERSION = 6\nPATCHLEVEL = 12\nSUBLEVEL = 5\nEXTRAVERSION =\n"
Files = Mapping[str, str]


def _bad_call(view: TreeView) -> Iterator[Verdict]:
    for fn in view.functions:
        for node in view.program.cfg(fn).nodes:
            for call in ir.calls(node.expr):
                if call.name == "bad":
                    message = f"bad() in {fn.name}()"
                    yield Finding(
                        "bad-call", fn.path, fn.name, call.line, "bad", message, Severity.WARNING, 0.9,
                        (Step(fn.path, call.line, message),), Need.FILE,
                    )  # fmt: skip
                if call.name == "bad_but_bounded":
                    yield Silence(
                        "bad-call", fn.path, fn.name, call.line, "bounded", (Step(fn.path, call.line, "ends"),)
                    )
                if call.name == "bad_remark":
                    yield Finding(
                        "bad-call", fn.path, fn.name, call.line, "remark", "a remark", Severity.NOTE, 0.9, (),
                        Need.FILE, Kind.REMARK,
                    )  # fmt: skip


def _raises(view: TreeView) -> Iterator[Verdict]:
    raise ValueError("no")
    yield


BAD = Rule("bad-call", run=_bad_call, since="0.1", tokens=Tokens((("bad",),)))
RAISES = Rule("raises", run=_raises, since="0.1", tokens=Tokens((("bad",),)))


def _tree(files: Files, name: str = "small") -> Tree:
    made = {path: text.encode() for path, text in {"Makefile": MAKEFILE, **files}.items()}
    return OverlayTree(EmptyTree(name), made, name)


def _source(files: Files) -> OpenTree:
    return OpenTree(_tree(files), None, "", "", (6, 12), "6.12.5")


def _diff(before: Files, after: Files) -> str:
    text = ""
    for path in sorted({*before, *after}):
        old, new = before.get(path), after.get(path)
        if old != new:
            a, b = (old or "").splitlines(keepends=True), (new or "").splitlines(keepends=True)
            names = ("/dev/null" if old is None else f"a/{path}", "/dev/null" if new is None else f"b/{path}")
            text += f"diff --git a/{path} b/{path}\n"
            text += "new file mode 100644\n" if old is None else "deleted file mode 100644\n" if new is None else ""
            text += "".join(unified_diff(a, b, *names))
    return text


def _series(states: Sequence[Files], *, expected: int = 0, seqs: Sequence[int] = (), version: int = 1) -> Series:
    patches = []
    for place, (before, after) in enumerate(pairwise(states)):
        seq = seqs[place] if seqs else place + 1
        body = f"Say why.\n\n---\n{_diff(before, after)}"
        who, msgid = ("A", "a@example.org"), f"{seq}-v{version}@example.org"
        mail = Message(msgid, f"x: patch {seq}", *who, "2026-03-17T00:00:00Z", "", (), (), (), body)
        patches.append(Patch(seq, msgid, f"x: patch {seq}", who, "Say why.", body, parse_diff(body).files, mail))
    first = patches[0]
    count = expected or len(patches)
    return Series(first.msgid, version, first.subject, first.author, count, tuple(patches), None, BaseHint())


def _thread(*series: Series) -> Thread:
    mails = tuple(patch.mail for each in series for patch in each.patches)
    return Thread("thread.mbox", mails, series)


@pytest.fixture
def desk() -> SimpleNamespace:
    return SimpleNamespace(BAD=BAD, RAISES=RAISES, tree=_tree, source=_source, series=_series, thread=_thread)
