"""The first screen: series, those that need eyes first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from lorelint.model.errors import LorelintError
from lorelint.model.queue import Entry, Filter
from lorelint.report.text import many, words
from lorelint.tui import rows
from lorelint.tui.deciding import Deciding
from lorelint.tui.face import Lines, key, short
from lorelint.tui.typed import limit, typed

SEARCHED = 20  # pages that are fetched for a search


class Queue(Deciding):
    """Series a page at a time: the next is fetched when the cursor comes to the end."""

    BAR = "q:Quit  Enter:Open  d:Dismiss  c:Confirm  s:Snooze  u:Undo  l:Limit  /:Find  t:Tag  m:Mail  O:Outbox"
    BINDINGS: ClassVar[list[BindingType]] = [
        key("t", "tag", "tag: a key is about all that is tagged"),
        key("l", "limit", "limit to: all, error, v2, list:kvm, sub:..., rule:..., mine, by:newest, words"),
        key("slash", "search", "find a line"),
        key("n", "search_on", "find the next"),
        key("O", "outbox", "the letters that wait"),
    ]

    def __init__(self, wanted: Filter) -> None:
        super().__init__()
        self.wanted = wanted
        self.entries: list[Entry] = []
        self.after = ""
        self.count = 0
        self.tagged: set[int] = set()
        self.searched = ""

    def body(self) -> ComposeResult:
        yield Static("", id="head")
        yield Lines(id="lines")
        yield Static("", id="peek")

    @property
    def lines(self) -> OptionList:
        return self.query_one("#lines", OptionList)

    # -- what is shown

    def fill(self) -> None:
        """All that was fetched is fetched again; the cursor stays on its series, or goes to what took its place."""
        here, at = self.here(), self.lines.highlighted or 0
        wanted = max(len(self.entries), 1)
        self.entries, self.after = [], ""
        while len(self.entries) < wanted:
            page = self.office.page(self.wanted, self.after)
            self.entries += page.entries
            self.after = page.after
            if not self.after:
                break
        self.count = self.office.count(self.wanted)
        self._show()
        place = next((n for n, each in enumerate(self.entries) if here and each.series == here.series), at)
        self.lines.highlighted = min(place, len(self.entries) - 1) if self.entries else None
        self._status()

    def _show(self) -> None:
        columns = self.size.width
        self.query_one("#head", Static).update(rows.queue_head(columns))
        self.lines.set_options(self._option(each) for each in self.entries)

    def _option(self, entry: Entry) -> Option:
        return Option(rows.queue(entry, self.size.width, entry.series in self.tagged), id=str(entry.series))

    def _status(self) -> None:
        at = (self.lines.highlighted or 0) + 1 if self.entries else 0
        shown = typed(self.wanted) or "open"
        tagged = f" ─ {len(self.tagged)} tagged" if self.tagged else ""
        here = self.here()
        told = list(rows.peek(here, columns=self.size.width)) if here else ["nothing waits"]
        self.query_one("#peek", Static).update(Content("\n".join(f" {each}" for each in told)))
        self.place(f"lorelint ─ {words(shown)} ─ {at}/{self.count} series{tagged}")

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        if event.option_index >= len(self.entries) - 2 and self.after:
            self._more()
        self._status()

    def _more(self) -> None:
        page = self.office.page(self.wanted, self.after)
        self.entries += page.entries
        self.after = page.after
        self.lines.add_options(self._option(each) for each in page.entries)

    def here(self) -> Entry | None:
        at = self.lines.highlighted
        return self.entries[at] if at is not None and at < len(self.entries) else None

    # -- what keys are about

    def meant(self) -> Sequence[int]:
        here = self.here()
        series = sorted(self.tagged) or ([here.series] if here else [])
        return self.office.waiting(series)

    def decided(self) -> None:
        self.tagged.clear()

    def root(self) -> str:
        here = self.here()
        sight = self.office.series(here.series) if here else None
        return sight.row.root if sight else ""

    # -- keys

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.triage.open_series(int(event.option_id or 0))

    def action_leave(self) -> None:
        self.triage.exit()

    def action_reopen(self) -> None:
        self.say("open the series to open a finding again")

    def action_tag(self) -> None:
        here = self.here()
        if here is None:
            return
        self.tagged ^= {here.series}
        at = self.lines.highlighted or 0
        self.lines.replace_option_prompt_at_index(at, rows.queue(here, self.size.width, here.series in self.tagged))
        self.lines.action_cursor_down() if at + 1 < len(self.entries) else self._status()

    def action_outbox(self) -> None:
        self.triage.open_outbox()

    @work(exclusive=True)
    async def action_limit(self) -> None:
        answer = await self.ask("limit to:", typed(self.wanted))
        if answer is None:
            return
        try:
            self.wanted = limit(answer, self.office.area(), self.office.by.name)
        except LorelintError as error:
            self.say(short(error), wrong=True)
            return
        self.entries, self.tagged = [], set()
        self.lines.highlighted = None
        if self.look():
            self.say("" if self.entries else "no series is so; l limits to something else")

    @work(exclusive=True)
    async def action_search(self) -> None:
        answer = await self.ask("find:", self.searched)
        if answer:
            self.searched = answer
            self.action_search_on()

    def action_search_on(self) -> None:
        """To the next line with the words, fetching more as far as it goes; then from the first again."""
        if not self.searched:
            return
        at, wanted = self.lines.highlighted or 0, self.searched.lower()
        place, fetched = at + 1, 0
        while True:
            while place < len(self.entries):
                if wanted in _said(self.entries[place]):
                    self.lines.highlighted = place
                    return
                place += 1
            if not self.after or fetched == SEARCHED:
                break
            fetched += 1
            self._more()
        first = next((n for n, each in enumerate(self.entries[: at + 1]) if wanted in _said(each)), None)
        if first is None:
            text = f"{self.searched!a} is not among {many(len(self.entries), 'line')}; l limits to words in all series"
            self.say(text, wrong=True)
            return
        self.lines.highlighted = first
        self.say("from the first line again" if first != at else "there is no other")


def _said(entry: Entry) -> str:
    rules = " ".join(name for name, _ in entry.rules)
    return " ".join((entry.subject, *entry.author, rules, *entry.inboxes, *entry.subsystems)).lower()
