"""A series: its findings, its letters, its versions side by side, its thread."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from lorelint.model.store import FindingRow
from lorelint.report.text import clean, cut, listed, many, words, wrap
from lorelint.tui import rows
from lorelint.tui.deciding import Deciding
from lorelint.tui.face import Lines, key
from lorelint.tui.office import SeriesSight


class Series(Deciding):
    """All of one series in one list; headings are passed over."""

    BAR = "q:Back  Enter:Open  d:Dismiss  c:Confirm  s:Snooze  u:Undo  m:Mail  Tab:Next  t:Tag  o:Reopen"
    BINDINGS: ClassVar[list[BindingType]] = [
        key("t", "tag", "tag: a key is about all that is tagged"),
        key("tab", "following", "the next series of the queue"),
    ]

    def __init__(self, id: int) -> None:
        super().__init__()
        self.number = id
        self.sight: SeriesSight | None = None
        self.tagged: set[int] = set()

    def body(self) -> ComposeResult:
        yield Static("", id="title")
        yield Lines(id="lines")
        yield Static("", id="peek")

    @property
    def lines(self) -> OptionList:
        return self.query_one("#lines", OptionList)

    # -- what is shown

    def fill(self) -> None:
        self.sight = self.office.series(self.number)
        if self.sight is None:
            self.say("the series is not there any more", wrong=True)
            return
        at, first = self.lines.highlighted, self.lines.option_count == 0
        self.query_one("#title", Static).update(_title(self.sight, self.size.width))
        self.lines.set_options(self._options(self.sight))
        self.lines.highlighted = min(at, self.lines.option_count - 1) if at is not None else None
        if first or at is None:
            self.lines.action_first()
        waits = sum(row.state.value == "new" for row in self.sight.findings)
        tagged = f" ─ {len(self.tagged)} tagged" if self.tagged else ""
        told = (
            f"{many(len(self.sight.findings), 'finding')}, {waits} to decide ─ {rows.letters_told(self.sight.letters)}"
        )
        self.place(f"lorelint ─ series {self.number} ─ {told}{tagged}")

    def _options(self, sight: SeriesSight) -> Iterator[Option]:
        columns = self.size.width
        yield Option(rows.heading("findings", columns), disabled=True)
        for each in sight.findings:
            yield Option(rows.finding(each, columns, each.id in self.tagged), id=f"finding:{each.id}")
        if not sight.findings:
            yield Option(Content("    nothing was found"), disabled=True)
        if sight.letters:
            yield Option(rows.heading("letters", columns), disabled=True)
            for letter in sight.letters:
                yield Option(rows.letter(letter, columns), id=f"letter:{letter.id}")
        if sight.checks:
            yield Option(rows.heading("checks in Patchwork", columns), disabled=True)
            for check in sight.checks:
                yield Option(rows.check(check, columns), id=f"check:{check.id}:{check.patch}")
        if len(sight.versions) > 1:
            yield Option(rows.heading("versions", columns), disabled=True)
            for row, findings in sight.versions:
                here = row.id == self.number
                yield Option(rows.version(row, findings, columns, here), id=f"series:{row.id}", disabled=here)
            judged = [each for each in sight.versions if each[1] or each[0].id == self.number]
            for line in rows.compared(judged, columns) if len(judged) > 1 else ():
                yield Option(line, disabled=True)
        yield Option(rows.heading("thread", columns), disabled=True)
        depths = rows.depths(sight.mails)
        for kept in sight.mails:
            yield Option(rows.mail(kept, columns, depths[kept.msgid]), id=f"mail:{kept.msgid}")

    # -- what keys are about

    def _here(self) -> tuple[str, str]:
        """What is under the cursor: its kind, and which."""
        at = self.lines.highlighted
        named = self.lines.get_option_at_index(at).id if at is not None else None
        kind, _, name = (named or "").partition(":")
        return kind, name

    def _finding(self) -> FindingRow | None:
        kind, name = self._here()
        every = self.sight.findings if self.sight else ()
        return next((each for each in every if kind == "finding" and str(each.id) == name), None)

    def meant(self) -> Sequence[int]:
        here = self._finding()
        return sorted(self.tagged) or ([here.id] if here else [])

    def decided(self) -> None:
        self.tagged.clear()

    def root(self) -> str:
        return self.sight.row.root if self.sight else ""

    # -- keys

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        here = self._finding()
        text = wrap(here.message, self.size.width - 2, first=" ", rest=" ", split=True)[:2] if here else []
        self.query_one("#peek", Static).update(Content("\n".join(text)))

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        kind, name = self._here()
        if kind == "finding" and self.sight:
            self.triage.open_finding([each.id for each in self.sight.findings], int(name))
        elif kind == "letter":
            self.triage.open_letter(int(name))
        elif kind == "series":
            self.triage.open_series(int(name))
        elif kind == "mail":
            self.triage.open_mail(self.office.mail(name))
        elif kind == "check":
            self.triage.open_mail(self.office.mail(name.partition(":")[2]))

    def action_tag(self) -> None:
        here = self._finding()
        if here is None:
            return
        self.tagged ^= {here.id}
        at = self.lines.highlighted or 0
        self.lines.replace_option_prompt_at_index(at, rows.finding(here, self.size.width, here.id in self.tagged))
        self.lines.action_cursor_down()

    def action_following(self) -> None:
        following = self.office.following(self.triage.wanted, self.number)
        if not following:
            self.say("that was the last of the queue")
            return
        self.triage.pop_screen()
        self.triage.open_series(following)


def _title(sight: SeriesSight, columns: int) -> Content:
    """Three lines: subject; who, which version, over which lists; what it was judged on."""
    row, review = sight.row, sight.review
    who = f"{words(row.author[0])} <{clean(row.author[1])}>" if row.author[0] else clean(row.author[1])
    came = many(row.expected, "patch", "patches")
    if row.have < row.expected:
        came = f"{row.have} of {row.expected} patches"
    over = f", over {listed([clean(each) for each in sight.inboxes])}" if sight.inboxes else ""
    second = f"{who}, v{row.version}, {came}, {rows.day(row.last_at)}{over}"
    base = (
        f"{clean(review.tree) or 'no tree'}{f' at {clean(review.commit[:12])}' if review.commit else ''}"
        if review
        else ""
    )
    third = f"on {base} ({review.grade} base)" if review else "not reviewed yet"
    third += f" ─ {row.life.value}{f': {words(row.why)}' if row.why else ''}"
    if review and review.subsystems:
        third += f" ─ {listed([words(each) for each in review.subsystems[:2]])}"
    return Content.assemble(
        (cut(f" {words(row.subject) or '(no subject)'}", columns), "bold"),
        "\n",
        cut(f" {second}", columns),
        "\n",
        (cut(f" {third}", columns), "$foreground 70%"),
    )
