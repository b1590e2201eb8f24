"""The keys that decide about findings, the same wherever findings or series are shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import work
from textual.binding import BindingType

from lorelint.jobs.triage import Move
from lorelint.model.errors import LorelintError
from lorelint.report.text import many
from lorelint.tui.face import Face, key, short
from lorelint.tui.typed import until

MANY = 4  # findings: to decide about so many takes a second key
KINDS = {"f": Move.FALSE, "w": Move.WONTFIX, "n": Move.NOT_OURS}
DISMISS = "dismiss: [f]alse positive, [w]on't fix, [n]ot ours?"


class Deciding(Face):
    """Decides about what is under the cursor, or about what is tagged."""

    BINDINGS: ClassVar[list[BindingType]] = [
        key("d", "dismiss_finding", "dismiss, with a reason: false positive, won't fix, not ours"),
        key("c", "confirm", "confirm: it is a defect"),
        key("s", "snooze", "put off until a day"),
        key("o", "reopen", "open again"),
        key("u", "undo", "take back what you decided last about findings"),
        key("m", "mail", "open the thread in your mail reader"),
    ]

    def meant(self) -> Sequence[int]:
        """The findings a key is about."""
        raise NotImplementedError

    def root(self) -> str:
        """The thread that is under the cursor, "" for none."""
        raise NotImplementedError

    def decided(self) -> None:
        """What to do when a decision was taken: nothing is tagged any more."""

    def _some(self) -> Sequence[int]:
        ids = self.meant()
        if not ids:
            self.say("no finding here waits for a decision", wrong=True)
        return ids

    def _decide(self, ids: Sequence[int], move: Move, reason: str = "", until: str = "") -> None:
        def decide() -> str:
            told = self.office.decide(ids, move, reason=reason, until=until)
            self.decided()
            return told

        self.do(decide)

    @work(exclusive=True)
    async def action_dismiss_finding(self) -> None:
        ids = self._some()
        if not ids:
            return
        kind = await self.choose(DISMISS, "fwn")
        if not kind:
            return
        move = KINDS[kind]
        reason = await self.ask(f"{move.value}, {many(len(ids), 'finding')}; why?")
        if reason is not None:
            self._decide(ids, move, reason=reason)

    @work(exclusive=True)
    async def action_confirm(self) -> None:
        ids = self._some()
        if ids and (len(ids) < MANY or await self.choose(f"confirm {len(ids)} findings? [y]es, [n]o", "yn") == "y"):
            self._decide(ids, Move.CONFIRM)

    def action_reopen(self) -> None:
        ids = self._some()
        if ids:
            self._decide(ids, Move.REOPEN)

    def action_undo(self) -> None:
        self.do(self.office.undo)

    @work(exclusive=True)
    async def action_snooze(self) -> None:
        ids = self._some()
        if not ids:
            return
        answer = await self.ask(f"put {many(len(ids), 'finding')} off until (3d, 2w, 2026-12-01)?", "7d")
        if answer is None:
            return
        try:
            time = until(answer, self.office.now())
        except LorelintError as error:
            self.say(short(error), wrong=True)
            return
        self._decide(ids, Move.SNOOZE, until=time)

    @work(exclusive=True)
    async def action_mail(self) -> None:
        root = self.root()
        mails = self.office.thread(root) if root else ()
        if not mails:
            self.say("the mails are not in the store", wrong=True)
        elif self.office.programs.read is None:
            self.triage.open_mail(mails[0])
            self.triage.screen_say("no mail reader: set mailer in [triage], or $MAILER")
        else:
            read = self.office.programs.read
            await self.beside(lambda: read(mails))
