"""Answers to us are obeyed within limits: by whom it is proven that he wrote them, and for what is his to decide.

The author of a series decides for that series, a maintainer of the files it touches for the list too; whoever else
speaks is kept as a claim that nobody has obeyed. One transaction a mail, so that each is obeyed once, whole. Nothing
is ever mailed about it: the queue shows what was obeyed, and what was not and why.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from msgspec import Struct

from lorelint.jobs.meant import About, about, meant, versions
from lorelint.jobs.outbox import silenced
from lorelint.jobs.stands import corrected
from lorelint.kernel.maintainers import Charge
from lorelint.mail import commands
from lorelint.mail.commands import Asked, Command, May
from lorelint.mail.diff import parse_diff
from lorelint.mail.people import robot
from lorelint.model.feed import Nature
from lorelint.model.mail import Message
from lorelint.model.proof import Proof, Prover
from lorelint.model.store import FindingRow, Kept, Life, SeriesRow, Session, State, Store, VerdictRow

PUT_OFF = timedelta(days=14)  # what `later` means
RERUN = timedelta(days=1)
PATIENCE = timedelta(days=2)  # for a DNS that does not answer
MAX_PATCHES = 200  # of a series whose files are looked at
_STATES = {commands.FALSE: State.FALSE, commands.WONTFIX: State.WONTFIX, commands.LATER: State.SNOOZED}


class Weight(StrEnum):
    """As whom somebody speaks, the weakest first."""

    CLAIM = "claim"  # he has no say in it, or nobody knows that it is he
    AUTHOR = "author"
    MAINTAINER = "maintainer"
    OPERATOR = "operator"


class Help(Struct, frozen=True):
    """What obeying asks of others.

    prover  who wrote a mail
    read    the bytes of a mail -> its text
    charge  paths -> whom MAINTAINERS names for them, in a tree of ours: never in one that a patch has changed
    rules   names of all rules there are
    domain  of our own Message-IDs
    person  an address -> the one that stands for all of its person's, by .mailmap of a tree of ours
    """

    prover: Prover
    read: Callable[[bytes], Message]
    charge: Callable[[Sequence[str]], Charge]
    rules: Collection[str]
    domain: str = ""
    person: Callable[[str], str] = str.lower


class Obeyed(Struct, frozen=True):
    """What became of one mail. `waits`: it could not be proven just now, and is asked about again."""

    msgid: str
    verdicts: tuple[VerdictRow, ...] = ()
    why: str = ""
    waits: bool = False


def obey(store: Store, help: Help, now: str) -> tuple[Obeyed, ...]:
    """Deal with every answer that nobody has dealt with, oldest first. Raises LorelintError where the store fails."""
    with store.look() as session:
        waiting = session.mails.to_do(Nature.ANSWER)
    return tuple(_obey(store, each, help, now) for each in waiting)


def _obey(store: Store, waits: Kept, help: Help, now: str) -> Obeyed:
    with store.look() as session:
        kept = session.mails.get(waits.msgid) or waits
    message = help.read(kept.raw)
    asked = commands.parse(message.body, message.from_name)
    nothing = _unheard(message, asked, help.domain)
    proof: Proof | None = None
    say = _Say()
    if not nothing:
        with store.look() as session:
            where = about(session, message)
            say = _say(session, where.series, help) if where else say
        # Nobody is asked about a stranger: a mail of his must cost no look into the DNS.
        may = say.weight(message.from_addr) is not Weight.CLAIM
        if may or any(each.word == commands.STOP for each in asked.commands):
            proof = help.prover.prove(kept.raw, kept.at)
            if proof.again and _time(now) - _time(kept.at) < PATIENCE:
                return Obeyed(kept.msgid, (), proof.reason, waits=True)
    with store.begin() as session:
        known = session.verdicts.of_mail(kept.msgid)
        if known or nothing:
            session.mails.done(kept.msgid, nothing)
            return Obeyed(kept.msgid, known, nothing)
        return _Clerk(session, kept, message, asked, proof, say, help, now).obey()


def _unheard(message: Message, asked: Asked, domain: str) -> str:
    """Why nobody listens to a mail at all."""
    if domain and message.msgid.lower().endswith(f"@{domain.lower()}"):
        return "our own mail is not obeyed"
    if robot(message):
        return "a program wrote it, and none is obeyed"
    return "" if asked else "it asks nothing"


class _Say(Struct, frozen=True):
    """Who has a say in a series.

    writers      one address for each person, that of today; a writer speaks from all of his
    maintainers  as MAINTAINERS has them, and those of today: an address that somebody has left, whose domain may be
                 another's by now, mutes nothing
    """

    series: int = 0
    writers: frozenset[str] = frozenset()
    maintainers: frozenset[str] = frozenset()
    person: Callable[[str], str] = str.lower

    def weight(self, address: str) -> Weight:
        """As whom an address speaks, could it be proven."""
        if address.lower() in self.maintainers:
            return Weight.MAINTAINER
        return Weight.AUTHOR if self.person(address) in self.writers else Weight.CLAIM


class _Clerk:
    """Obeys the commands of one mail in one transaction."""

    def __init__(
        self,
        session: Session,
        kept: Kept,
        message: Message,
        asked: Asked,
        proof: Proof | None,
        say: _Say,
        help: Help,
        now: str,
    ) -> None:
        self.session = session
        self.kept = kept
        self.asked = asked
        self.proof = proof
        self.help = help
        self.now = now
        self.about = about(session, message)
        proven = proof is not None and proof.holds
        self.who = proof.identity if proof is not None and proven else message.from_addr.lower()
        # Had the mail become one about another series since, its writer would have no say in that.
        own = proven and self.about is not None and self.about.series.id == say.series
        self.weight = say.weight(self.who) if own else Weight.CLAIM
        self.rows: list[VerdictRow] = []

    def obey(self) -> Obeyed:
        for command in self.asked.commands:
            self._command(command)
        told = [f"{row.verdict}: {'obeyed' if row.obeyed else row.why}" for row in self.rows]
        told += [f"line {each.line}: {each.text}" for each in self.asked.mistakes]
        why = "; ".join(dict.fromkeys(told))[:1_000]
        self.session.mails.done(self.kept.msgid, why)
        self.session.notes.audit(self.now, self.who, "answer", self.kept.msgid, why)
        return Obeyed(self.kept.msgid, self.session.verdicts.of_mail(self.kept.msgid), why)

    def _command(self, command: Command) -> None:
        refused = self._refused(command)
        if refused:
            self._keep(command, why=refused)
        elif command.word == commands.STOP:
            self.session.verdicts.opt_out(self.who, self.now, self.kept.msgid)
            self._keep(command)
        elif command.word == commands.MUTE:
            self._mute(command)
        elif command.word == commands.RERUN:
            self._keep(command, why=self._rerun())
        else:
            self._findings(command)

    def _refused(self, command: Command) -> str:
        """Why the writer may not ask for it, "" where he may."""
        may = command.row.may
        if may is not May.ANYBODY:
            if self.about is None:
                return "it answers no mail of a series that is known here"
            if self.proof is None:
                return f"only {may} is obeyed"
        if self.proof is None or not self.proof.holds:
            return f"it is not proven who wrote it: {self.proof.reason if self.proof else 'nobody was asked'}"
        if may is May.ANYBODY:
            return ""
        if self.weight is Weight.CLAIM or (may is May.MAINTAINER and self.weight is not Weight.MAINTAINER):
            return f"only {may} is obeyed"
        return ""

    def _keep(self, command: Command, *, finding: FindingRow | None = None, inbox: str = "", why: str = "") -> None:
        self.rows.append(
            VerdictRow(
                id=0,
                verdict=command.word,
                rule=finding.rule if finding else command.rule,
                fingerprint=finding.fingerprint if finding else "",
                series_key=self.about.series.key if self.about and command.word != commands.STOP else "",
                inbox=inbox or next(iter(self.kept.inboxes), ""),
                who=self.who,
                weight=self.weight.value,
                proof=self.proof.how.value if self.proof else "none",
                reason=command.reason,
                msgid=self.kept.msgid,
                at=self.now,
                obeyed=not why,
                why=why,
            )
        )
        self.session.verdicts.add(self.rows[-1])

    # -- what each word does ----------------------------------------------------------------------------------

    def _mute(self, command: Command) -> None:
        if command.rule not in self.help.rules:
            self._keep(command, why=f"no rule is called {command.rule}")
            return
        for inbox in self._inboxes():
            self._keep(command, inbox=inbox)

    def _inboxes(self) -> tuple[str, ...]:
        """The lists the series came over, else those of the answer."""
        mail = self.session.mails.get(self.about.series.first) if self.about else None
        return (mail.inboxes if mail else ()) or self.kept.inboxes

    def _rerun(self) -> str:
        """Review the series once more; why not, else ""."""
        assert self.about is not None
        series = self.about.series
        if series.life in (Life.SUPERSEDED, Life.MUTED):
            return f"the series is {series.life}: {series.why}" if series.why else f"the series is {series.life}"
        key = f"rerun:{series.id}"
        last = self.session.notes.get(key)
        if last and _time(self.now) - _time(last) < RERUN:
            return f"it was reviewed once more at {last}, and is at most once a day"
        if series.life is Life.READY:
            return "it is about to be reviewed"
        self.session.notes.set(key, self.now)
        self.session.series.move(series.id, Life.READY, f"asked for by {self.who}")
        return ""

    def _findings(self, command: Command) -> None:
        assert self.about is not None
        every = self.session.findings.of_series(self.about.series.id)
        found, why = meant(command, self.about, every)
        if not found:
            self._keep(command, why=why)
            return
        for finding in {each.fingerprint: each for each in found}.values():
            why = self._stands(finding)
            if not why:
                self._change(command, finding)
            for inbox in self._inboxes():
                self._keep(command, finding=finding, inbox=inbox, why=why)
        for each in versions(self.session, self.about.series):
            silenced(self.session, each, self.who, self.now)
            corrected(self.session, each.id, self.now)

    def _stands(self, finding: FindingRow) -> str:
        """Who has decided it already and weighs more than the writer."""
        same = self.help.person(finding.who) == self.help.person(self.who)
        if self.weight is not Weight.AUTHOR or not finding.state.dismissed or same:
            return ""
        return f"it is {finding.state} already, by {finding.who}"

    def _change(self, command: Command, finding: FindingRow) -> None:
        """In this version, and in those that came since."""
        assert self.about is not None
        until = _shown(_time(self.now) + PUT_OFF) if command.word == commands.LATER else ""
        for series in versions(self.session, self.about.series):
            for row in self.session.findings.of_series(series.id):
                if row.fingerprint == finding.fingerprint and row.state is not State.FIXED:
                    state, reason = _STATES[command.word], command.reason
                    self.session.findings.change(row.id, state, who=self.who, at=self.now, reason=reason, until=until)
                    what = f"finding {command.word}"
                    self.session.notes.audit(self.now, self.who, what, f"finding:{row.id}", reason)


def _say(session: Session, series: SeriesRow, help: Help) -> _Say:
    """Whoever posted a series speaks for it, and so does the author whom its patches name."""
    first = session.mails.get(series.first)
    writers = {series.author[1]} | ({first.author[1]} if first else set())
    maintainers = help.charge(_paths(session, series, help)).addresses() - {""}
    writing = frozenset(map(help.person, writers - {""}))
    return _Say(series.id, writing, maintainers.union(map(help.person, maintainers)), help.person)


def _paths(session: Session, series: SeriesRow, help: Help) -> tuple[str, ...]:
    """The files that a series touches."""
    found: dict[str, None] = {}
    for patch in session.series.patches(series.id)[:MAX_PATCHES]:
        kept = session.mails.get(patch.msgid)
        for diff in parse_diff(help.read(kept.raw).body).files if kept else ():
            found.update(dict.fromkeys(each for each in (diff.old_path, diff.new_path) if each))
    return tuple(found)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _shown(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


__all__ = ["About", "Help", "Obeyed", "Weight", "obey"]
