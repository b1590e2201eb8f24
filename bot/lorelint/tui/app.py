"""The application: which screens there are, and how they look."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import App
from textual.binding import BindingType
from textual.filter import NoColor
from textual.theme import Theme

from lorelint.model.queue import Filter
from lorelint.tui.face import Face
from lorelint.tui.office import Office
from lorelint.tui.queue import Queue
from lorelint.tui.series import Series

DARK = Theme(
    name="lorelint-dark",
    primary="#7aa2d6",
    secondary="#9d8ec7",
    accent="#79b8c9",
    foreground="#d5d8dc",
    background="#15181d",
    surface="#15181d",
    panel="#232830",
    success="#86b36b",
    warning="#d9a94c",
    error="#e07a72",
    dark=True,
)
LIGHT = Theme(
    name="lorelint-light",
    primary="#1f5fa8",
    secondary="#6247a0",
    accent="#0b6b80",
    foreground="#1d2127",
    background="#fbfaf7",
    surface="#fbfaf7",
    panel="#e9e6df",
    success="#3c6e1f",
    warning="#8a5a00",
    error="#b3261e",
    dark=False,
)
THEMES = ("dark", "light", "terminal")


class Triage(App[None]):
    """The queue in a terminal.

    theme   one of `THEMES`; "terminal" takes the colours the terminal has
    colour  False paints nothing: what is chosen is shown in reverse
    """

    CSS_PATH = "triage.tcss"
    TITLE = "lorelint"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = []

    def __init__(self, office: Office, wanted: Filter, *, theme: str = "dark", colour: bool = True) -> None:
        super().__init__(ansi_color=None if colour and theme != "terminal" else True)
        self.office = office
        self.wanted_first = wanted
        self.register_theme(DARK)
        self.register_theme(LIGHT)
        self._plain = not colour
        self._named = theme
        if self._plain and not self.no_color:
            self._filters.append(NoColor())

    def on_mount(self) -> None:
        ansi = self._plain or self._named == "terminal"
        self.theme = "ansi-dark" if ansi else f"lorelint-{self._named}"
        self.set_class(self._plain, "plain")
        self.push_screen(Queue(self.wanted_first))

    @property
    def wanted(self) -> Filter:
        """What the queue is limited to now."""
        queue = next((each for each in self.screen_stack if isinstance(each, Queue)), None)
        return queue.wanted if queue else self.wanted_first

    def screen_say(self, text: str) -> None:
        """A word in the screen that was just opened."""
        if isinstance(self.screen, Face):
            self.call_after_refresh(self.screen.say, text)

    # -- screens

    def open_series(self, id: int) -> None:
        self.push_screen(Series(id))

    def open_finding(self, ids: Sequence[int], id: int) -> None:
        from lorelint.tui.finding import Finding

        self.push_screen(Finding(ids, id))

    def open_letter(self, id: int) -> None:
        from lorelint.tui.letter import Letter

        self.push_screen(Letter(id))

    def open_outbox(self) -> None:
        from lorelint.tui.letter import Outbox

        self.push_screen(Outbox())

    def open_mail(self, raw: bytes) -> None:
        from lorelint.tui.letter import Mail

        self.push_screen(Mail(raw))
