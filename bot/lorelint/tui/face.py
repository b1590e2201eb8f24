"""What all screens are made of: a bar of keys, a body, a line that says what is shown, and one for talk, as in mutt."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar, cast

from rich.style import Style
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.events import Key
from textual.screen import ModalScreen, Screen
from textual.strip import Strip
from textual.widgets import Input, OptionList, Static

from lorelint.model.errors import LorelintError
from lorelint.report.text import cut, width, words, wrap

if TYPE_CHECKING:
    from lorelint.tui.app import Triage
    from lorelint.tui.office import Office


def key(name: str, action: str, told: str) -> Binding:
    """A key with what it does; `told` is what the bar and the help say."""
    return Binding(name, action, told, show=False)


def short(error: LorelintError) -> str:
    """What went wrong first, and what to do, then where: one line may have no room for all of it."""
    return "; ".join(part for part in (error.what, error.remedy, error.where) if part)


class Lines(OptionList, inherit_bindings=False):
    """A list one moves in as in mutt."""

    BINDINGS: ClassVar[list[BindingType]] = [
        key("j,down", "cursor_down", "down"),
        key("k,up", "cursor_up", "up"),
        key("g,home", "first", "first"),
        key("G,end", "last", "last"),
        key("pagedown,space,ctrl+f", "page_down", "a page down"),
        key("pageup,backspace,ctrl+b", "page_up", "a page up"),
        key("enter", "select", "open"),
    ]

    def render_line(self, y: int) -> Strip:
        """Without colours the line under the cursor stands in reverse, which a list of Textual (8.2) leaves out."""
        strip = super().render_line(y)
        here = self.app.has_class("plain") and self.highlighted == self.scroll_offset.y + y
        return strip.apply_style(Style(reverse=True)) if here else strip


class Pager(VerticalScroll, can_focus=True, inherit_bindings=False):
    """Text one scrolls in as in mutt."""

    BINDINGS: ClassVar[list[BindingType]] = [
        key("j,down,enter", "scroll_down", "down"),
        key("k,up", "scroll_up", "up"),
        key("g,home", "scroll_home", "first"),
        key("G,end", "scroll_end", "last"),
        key("pagedown,space,ctrl+f", "page_down", "a page down"),
        key("pageup,backspace,ctrl+b", "page_up", "a page up"),
    ]

    def compose(self) -> ComposeResult:
        yield Static("", id="text")

    def show(self, lines: Sequence[Content]) -> None:
        self.query_one("#text", Static).update(Content("\n").join(lines))


class Face(Screen[None]):
    """A screen. `BAR` names the keys that are shown all the time, the most needed first."""

    BAR: ClassVar[str] = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        key("q,escape", "leave", "back"),
        key("question_mark", "help", "all keys"),
        key("ctrl+l", "again", "read again"),
    ]

    @property
    def triage(self) -> Triage:
        return cast("Triage", self.app)

    @property
    def office(self) -> Office:
        return self.triage.office

    def compose(self) -> ComposeResult:
        yield Static("", id="bar")
        yield from self.body()
        yield Static("", id="status")
        yield Static("", id="talk")

    def body(self) -> ComposeResult:
        raise NotImplementedError

    def on_resize(self) -> None:
        self.look()

    def on_screen_resume(self) -> None:
        if self.is_mounted and self.size.width:
            self.look()

    def look(self) -> bool:
        """Fill the screen, or tell why that cannot be done."""
        try:
            self.fill()
        except LorelintError as error:
            self.say(short(error), wrong=True)
            return False
        return True

    def fill(self) -> None:
        """Read the store, and show what there is. Raises LorelintError."""
        raise NotImplementedError

    def place(self, status: str) -> None:
        """The bar of keys, and what is shown."""
        self.query_one("#bar", Static).update(Content(_fitting(self.BAR.split("  "), self.size.width)))
        self.query_one("#status", Static).update(Content(_whole(f"─ {status}", self.size.width)))

    def say(self, text: str, wrong: bool = False) -> None:
        line = self.query_one("#talk", Static)
        line.set_class(wrong, "wrong")
        line.update(Content(cut(words(text), self.size.width)))

    def do(self, what: Callable[[], str]) -> bool:
        """Decide something, tell what came of it, and show how it is now; whether it was done."""
        try:
            told = what()
        except LorelintError as error:
            self.say(short(error), wrong=True)
            return False
        if self.look():
            self.say(told)
        return True

    # -- talk

    async def ask(self, question: str, value: str = "") -> str | None:
        """A line from the user, None where they think better of it."""
        return cast("str | None", await self.triage.push_screen_wait(Ask(question, value)))

    async def choose(self, question: str, keys: str) -> str:
        """One of some keys, "" where the user thinks better of it."""
        return cast("str", await self.triage.push_screen_wait(Choose(question, keys)))

    async def beside(self, what: Callable[[], object]) -> object:
        """Something that needs the terminal for itself, as an editor. LorelintError is told."""
        from textual.app import SuspendNotSupported

        try:
            with self.triage.suspend():
                return await asyncio.to_thread(what)
        except SuspendNotSupported:
            return what()
        except LorelintError as error:
            self.say(short(error), wrong=True)
            return None

    # -- keys of all screens

    def action_leave(self) -> None:
        self.triage.pop_screen()

    def action_again(self) -> None:
        if self.look():
            self.say("read again")

    def action_help(self) -> None:
        self.triage.push_screen(Help(self))


def _fitting(keys: Sequence[str], columns: int) -> str:
    """As many keys as there is room for, and where the others are."""
    bar, last = "", "?:Keys"
    for each in keys:
        if len(bar) + len(each) + len(last) + 5 > columns:
            break
        bar += f" {each} "
    return _whole(f"{bar} {last}", columns)


def _whole(text: str, columns: int) -> str:
    """A bar as wide as the screen: without colours it can be seen by that alone."""
    shown = cut(text, columns)
    return shown + " " * (columns - width(shown))


class Ask(ModalScreen["str | None"]):
    """A prompt in the last line."""

    BINDINGS: ClassVar[list[BindingType]] = [key("escape,ctrl+c,ctrl+g", "leave", "leave it")]

    def __init__(self, question: str, value: str) -> None:
        super().__init__()
        self.question = question
        self.value = value

    def compose(self) -> ComposeResult:
        with Horizontal(id="prompt"):
            yield Static(Content(f"{self.question} "), id="question")
            yield Input(self.value, select_on_focus=False)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self.dismiss(event.value.strip())

    def action_leave(self) -> None:
        self.dismiss(None)


class Choose(ModalScreen[str]):
    """A question that one key answers."""

    def __init__(self, question: str, keys: str) -> None:
        super().__init__()
        self.question = question
        self.keys = keys

    def compose(self) -> ComposeResult:
        with Horizontal(id="prompt"):
            yield Static(Content(self.question), id="question")

    def on_key(self, event: Key) -> None:
        event.stop()  # the screen below is not to hear it as well
        if event.key in self.keys:
            self.dismiss(event.key)
        elif event.key in ("escape", "q", "ctrl+c", "ctrl+g"):
            self.dismiss("")


class Help(ModalScreen[None]):
    """All keys of the screen below."""

    BINDINGS: ClassVar[list[BindingType]] = [key("q,escape,question_mark,enter", "leave", "back")]

    def __init__(self, of: Face) -> None:
        super().__init__()
        self.of = of

    def compose(self) -> ComposeResult:
        focused = self.of.focused
        groups = [type(focused).BINDINGS] if isinstance(focused, Lines | Pager) else []
        groups += [kind.__dict__.get("BINDINGS", []) for kind in type(self.of).__mro__ if issubclass(kind, Face)]
        lines: list[Content] = []
        for each in (binding for group in groups for binding in group if isinstance(binding, Binding)):
            shown = " ".join(_NAMES.get(name, name) for name in each.key.split(",")[:2])
            told = wrap(each.description, 66, first=f"{shown:>14}  ", rest=" " * 16)
            lines.append(Content.assemble((told[0][:16], "bold $text-accent"), told[0][16:]))
            lines += map(Content, told[1:])
        yield VerticalScroll(Static(Content("\n").join(lines)), id="help")

    def action_leave(self) -> None:
        self.dismiss(None)


_NAMES = {
    "question_mark": "?",
    "slash": "/",
    "full_stop": ".",
    "comma": ",",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "pagedown": "PgDn",
    "pageup": "PgUp",
    "space": "Space",
    "backspace": "Backspace",
    "enter": "Enter",
    "escape": "Esc",
    "home": "Home",
    "end": "End",
    "down": "Down",
    "up": "Up",
    "tab": "Tab",
    "shift+tab": "Shift-Tab",
    "ctrl+f": "^F",
    "ctrl+b": "^B",
    "ctrl+l": "^L",
}
