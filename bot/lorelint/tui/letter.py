"""Letters as their readers will see them: all that wait, and one; and a mail of a thread."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import ClassVar, cast

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from lorelint.jobs.outbox import mark
from lorelint.model.errors import LorelintError
from lorelint.model.store import Letter as Stands
from lorelint.model.store import LetterRow
from lorelint.report import outbox
from lorelint.report.text import clean, many, words, wrap
from lorelint.tui import rows
from lorelint.tui.face import Face, Lines, Pager, key, short
from lorelint.tui.office import LetterSight


class Letter(Face):
    """One letter: release it, drop it, or change its words."""

    BAR = "q:Back  e:Edit  r:Release  x:Drop  m:Mail"
    BINDINGS: ClassVar[list[BindingType]] = [
        key("e", "edit", "change the text in $EDITOR"),
        key("r", "release", "release: lorelint send takes it when it is its turn"),
        key("x", "drop", "drop: it is never sent"),
        key("m", "mail", "open the thread in your mail reader"),
    ]

    def __init__(self, id: int) -> None:
        super().__init__()
        self.number = id
        self.sight: LetterSight | None = None

    def body(self) -> ComposeResult:
        yield Pager(id="pager")

    def fill(self) -> None:
        self.sight = self.office.letter(self.number)
        if self.sight is None:
            self.say("the letter is not there any more", wrong=True)
            return
        columns = max(40, self.size.width - 1)
        text = outbox.letter(self.sight.row, self.sight.policy, self.sight.faults, columns=columns)
        self.query_one("#pager", Pager).show(list(_painted(text)))
        row = self.sight.row
        self.place(f"letter {row.id} ─ {row.state.value} ─ {words(row.subject)}")

    @work(exclusive=True)
    async def action_release(self) -> None:
        row = self.sight.row if self.sight else None
        if row is None:
            return
        to = ", ".join(outbox.person(each) for each in (*row.to, *row.cc)[:3])
        if await self.choose(f"release it to {to}? [y]es, [n]o", "yn") == "y":
            self.do(lambda: self.office.release([row.id], {row.id: mark(row.body)}))

    @work(exclusive=True)
    async def action_drop(self) -> None:
        why = await self.ask("drop, never to be sent; why?")
        if why is not None:
            self.do(lambda: self.office.drop([self.number], why))

    @work(exclusive=True)
    async def action_edit(self) -> None:
        """What is not taken is offered again, so that nobody's words are lost."""
        if self.sight is None:
            return
        body = self.sight.row.body
        seen = mark(body)
        while True:
            changed = cast("str | None", await self.beside(partial(self.office.programs.edit, body)))
            if changed is None:
                self.say("nothing was changed")
                return
            try:
                taken, told = self.office.edit(self.number, changed, seen)
            except LorelintError as error:
                taken, told = False, short(error)
            self.look()
            self.say(told, wrong=not taken)
            if taken or await self.choose(f"{told[:200]}. [e]dit again, [f]orget it?", "ef") != "e":
                return
            body, seen = changed, mark(self.sight.row.body)

    @work(exclusive=True)
    async def action_mail(self) -> None:
        root = self.office.root_of(self.sight.row.patch) if self.sight else ""
        mails = self.office.thread(root) if root else ()
        read = self.office.programs.read
        if read is not None and mails:
            await self.beside(lambda: read(mails))
        else:
            self.say("no mail reader: set mailer in [triage], or $MAILER", wrong=True)


def _painted(text: str) -> Iterator[Content]:
    """Headers dim, what is quoted in colour, what the patch wrote and cut as in a diff."""
    head = True
    lines = text.rstrip("\n").split("\n")
    blank = 0
    for number, line in enumerate(lines):
        blank += not line
        head = blank < 2
        if number == 0:
            yield Content.styled(line, "bold")
        elif head:
            name, colon, rest = line.partition(":")
            named = colon and line[:1].isalpha() and " " not in name
            yield Content.assemble((f"{name}:", "$foreground 60%"), rest) if named else Content(line)
        elif line.startswith("> +"):
            yield Content.styled(line, "$text-success")
        elif line.startswith("> -"):
            yield Content.styled(line, "$text-error")
        elif line.startswith(">"):
            yield Content.styled(line, "$text-accent")
        else:
            yield Content(line)


class Outbox(Face):
    """The letters that wait."""

    BAR = "q:Back  Enter:Open  r:Release  x:Drop"
    BINDINGS: ClassVar[list[BindingType]] = [
        key("r", "release", "release: lorelint send takes it when it is its turn"),
        key("x", "drop", "drop: it is never sent"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.letters: tuple[LetterRow, ...] = ()

    def body(self) -> ComposeResult:
        yield Lines(id="lines")

    def fill(self) -> None:
        lines = self.query_one("#lines", OptionList)
        at = lines.highlighted or 0
        self.letters = self.office.letters()
        lines.set_options(Option(rows.letter(each, self.size.width), id=str(each.id)) for each in self.letters)
        lines.highlighted = min(at, len(self.letters) - 1) if self.letters else None
        held = sum(each.state is Stands.HELD for each in self.letters)
        self.place(f"outbox ─ {many(len(self.letters), 'letter')} ─ {held} held")

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.triage.open_letter(int(event.option_id or 0))

    def _here(self) -> int:
        at = self.query_one("#lines", OptionList).highlighted
        return self.letters[at].id if at is not None and at < len(self.letters) else 0

    @work(exclusive=True)
    async def action_release(self) -> None:
        id = self._here()
        if id and await self.choose(f"release letter {id}? [y]es, [n]o", "yn") == "y":
            self.do(lambda: self.office.release([id]))

    @work(exclusive=True)
    async def action_drop(self) -> None:
        id = self._here()
        why = await self.ask(f"drop letter {id}, never to be sent; why?") if id else None
        if why is not None:
            self.do(lambda: self.office.drop([id], why))


class Mail(Face):
    """One mail of a thread, where it is not the user's own reader that shows it."""

    BAR = "q:Back  j:Down  k:Up"

    def __init__(self, raw: bytes) -> None:
        super().__init__()
        self.raw = raw

    def body(self) -> ComposeResult:
        yield Pager(id="pager")

    def fill(self) -> None:
        columns = max(40, self.size.width - 1)
        mail = self.office.programs.parse(self.raw)
        head = [
            ("From", outbox.person((mail.from_name, mail.from_addr))),
            ("To", ", ".join(map(outbox.person, mail.to))),
            ("Cc", ", ".join(map(outbox.person, mail.cc))),
            ("Date", words(mail.date)),
            ("Subject", words(mail.subject)),
        ]
        text = ["mail"]
        for name, value in head:
            text += wrap(value, columns, first=f"{name}: ", rest="  ") if value else []
        text += ["", "", *(clean(line, tabs=True).expandtabs(8) for line in mail.body.rstrip("\n").split("\n"))]
        self.query_one("#pager", Pager).show([*_painted("\n".join(text))][1:])
        self.place(f"mail ─ {words(mail.subject)}")
