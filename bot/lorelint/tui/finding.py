"""A finding: source with the path highlighted, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType

from lorelint.report.text import clean, many, words
from lorelint.tui.deciding import Deciding
from lorelint.tui.face import Pager, key
from lorelint.tui.office import FindingSight
from lorelint.tui.rows import WIDE
from lorelint.tui.sight import Shown, shown


class Finding(Deciding):
    """One of the findings of a series; n and p go to its neighbours."""

    BAR = "q:Back  .:Step  n:Next  d:Dismiss  c:Confirm  s:Snooze  u:Undo  v:Draft  m:Mail  ,:Step back  p:Prev"
    BINDINGS: ClassVar[list[BindingType]] = [
        key("full_stop,tab", "step(1)", "the next step of the path"),
        key("comma,shift+tab", "step(-1)", "the step before"),
        key("n,right_square_bracket", "other(1)", "the next finding"),
        key("p,left_square_bracket", "other(-1)", "the finding before"),
        key("v", "draft", "the letter that says it"),
    ]

    def __init__(self, ids: Sequence[int], id: int) -> None:
        super().__init__()
        self.ids = list(ids)
        self.number = id
        self.step = -1
        self.sight: FindingSight | None = None
        self.shown = Shown()

    def body(self) -> ComposeResult:
        yield Pager(id="pager")

    @property
    def pager(self) -> Pager:
        return self.query_one("#pager", Pager)

    # -- what is shown

    def fill(self) -> None:
        self.sight = self.office.finding(self.number)
        if self.sight is None:
            self.say("the finding is not there any more", wrong=True)
            return
        self._show()

    def _show(self) -> None:
        if self.sight is None:
            return
        self.shown = shown(self.sight, max(40, self.size.width - 1), self.step)
        self.pager.show(self.shown.lines)
        row = self.sight.row
        where = f"{words(row.function)}() " if row.function else ""
        steps = (
            f"step {self.step + 1}/{len(self.shown.steps)}" if self.step >= 0 else many(len(self.shown.steps), "step")
        )
        at = self.ids.index(self.number) + 1 if self.number in self.ids else 1
        path = f"{clean(row.path if self.size.width >= WIDE else row.path.rpartition('/')[2])}:{row.line}"
        self.place(f"{at}/{len(self.ids)} {clean(row.rule)} ─ {where}{path} ─ {steps}")

    # -- what keys are about

    def meant(self) -> Sequence[int]:
        return [self.number]

    def root(self) -> str:
        return self.sight.series.root if self.sight else ""

    # -- keys

    def action_step(self, by: int) -> None:
        count = len(self.shown.steps)
        if not count:
            self.say("no path was kept of this finding")
            return
        self.step = max(0, min(count - 1, self.step + by))
        self._show()
        line = self.shown.steps[self.step]
        self.pager.scroll_to(y=max(0, line - self.pager.size.height // 3), animate=False)
        told = (self.sight.told.get("steps") or [{}])[self.step] if self.sight else {}
        self.say(f"{self.step + 1}. {told.get('text', '')}")

    def action_other(self, by: int) -> None:
        at = self.ids.index(self.number) + by
        if not 0 <= at < len(self.ids):
            self.say("that was the last" if by > 0 else "that was the first")
            return
        self.number, self.step = self.ids[at], -1
        if self.look():
            self.say("")
        self.pager.scroll_home(animate=False)

    def action_draft(self) -> None:
        letter = self.sight.letter if self.sight else None
        if letter is None:
            self.say("no letter says it")
        else:
            self.triage.open_letter(letter.id)
