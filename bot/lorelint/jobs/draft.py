"""A review becomes letters: one for each patch with something to say that a policy lets be said, or a check instead.

Left out is what a person has dismissed, put off or raised, what a letter about an earlier version has said, and a
patch that is the very one that was answered there. Nothing here sends; what is written here waits in the outbox.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta

from msgspec import Struct
from msgspec.structs import replace

from lorelint.jobs import stands
from lorelint.jobs.gate import Gate
from lorelint.jobs.policy.decide import Matter, Say, Standing, decide, moment, shown
from lorelint.mail.compose import own_msgid
from lorelint.model.base import Grade
from lorelint.model.finding import Judged, Report, Severity
from lorelint.model.mail import Patch
from lorelint.model.policy import Decision, ListPolicy, Policy
from lorelint.model.store import CheckRow, FindingRow, Letter, LetterRow, SeriesRow, Session, State
from lorelint.report import people, prose
from lorelint.report.place import Source, no_source
from lorelint.report.reply import Reply, replies
from lorelint.report.text import words

VERSIONS = 50  # earlier versions of a patch that are looked at
TOLD = (Letter.SENDING, Letter.SENT, Letter.BOUNCED, Letter.DROPPED)  # said, or a person decided not to say it
ANYTHING = Say("", "any rule", "list", Severity.ERROR, 1.0, Grade.EXACT)  # nothing that could be said is graver


class Help(Struct, frozen=True):
    """What drafting asks of others.

    people  paths -> whom MAINTAINERS names for them
    stage   rule -> how far it has come
    gate    what is wrong with a letter
    """

    people: Callable[[Sequence[str]], tuple[tuple[str, str], ...]]
    stage: Callable[[str], str]
    gate: Gate


class Drafted(Struct, frozen=True):
    """What became of one patch: a letter, a check, both, or neither, and why."""

    patch: str
    decision: Decision
    letter: LetterRow | None = None
    check: CheckRow | None = None
    why: str = ""  # why there is no letter, "" where the decision tells


def draft(
    session: Session,
    report: Report,
    series: SeriesRow,
    policy: Policy,
    now: str,
    *,
    help: Help,
    moot: str = "",
    source: Source = no_source,
) -> tuple[Drafted, ...]:
    """Write what is to be said of a reviewed series into the outbox of a transaction.

    moot  why nothing is to be said of the series any more: it was applied, a newer one came
    Raises LorelintError for a time that is none.
    """
    clerk = _Clerk(session, report, series, policy, now, help, moot, source)
    return tuple(clerk.draft(patch) for patch in report.series.patches) if report.series else ()


class _Clerk:
    def __init__(
        self,
        session: Session,
        report: Report,
        series: SeriesRow,
        policy: Policy,
        now: str,
        help: Help,
        moot: str,
        source: Source,
    ) -> None:
        self.session = session
        self.report = report
        self.series = series
        self.policy = policy
        self.now = now
        self.help = help
        self.moot = moot
        self.source = source
        self.silent = silent(session.findings.of_series(series.id), now) | self._told_before()
        self.standing = standing(session, policy, now)

    def draft(self, patch: Patch) -> Drafted:
        done = self._draft(patch)
        if done.check is None:
            stands.nothing(self.session, patch.msgid, self.now)
        return done

    def _draft(self, patch: Patch) -> Drafted:
        matter = matter_of(self.session, patch, self.series, self.help.people, self.moot)
        worth = self._worth(patch)
        if not worth:
            return self._clean(matter)
        decision = decide(matter, [self._say(each) for each in worth], self.policy, self.standing)
        if not decision.allowed:
            return Drafted(patch.msgid, decision)
        check = self._check(patch, decision, worth)
        if not decision.to:
            return Drafted(patch.msgid, decision, check=check)
        answered = self._answered(patch.msgid)
        if answered:
            return Drafted(patch.msgid, decision, check=check, why=answered)
        reply = self._reply(patch, decision)
        if reply is None:
            return Drafted(patch.msgid, decision, check=check, why="what may be said is not worth a mail")
        letter = self._letter(patch, decision, reply)
        if not self.session.outbox.add(letter):
            return Drafted(patch.msgid, decision, check=check, why="the patch has a letter")
        return Drafted(patch.msgid, decision, self.session.outbox.of_patch(patch.msgid), check)

    # -- what there is to say ---------------------------------------------------------------------------------

    def _worth(self, patch: Patch) -> list[Judged]:
        """Findings about a patch that a mail would name, and nobody wants to be silent."""
        report = self._without(self.silent)
        concerns = [each for each in prose.concerns(report) if each.patch == patch.seq and prose.deserves(each)]
        return list(dict.fromkeys(judged for concern in concerns for judged in prose.cited(concern)))

    def _say(self, judged: Judged) -> Say:
        finding = judged.finding
        return Say(
            fingerprint=finding.fingerprint,
            rule=finding.rule,
            stage=self.help.stage(finding.rule),
            severity=finding.severity,
            confidence=finding.confidence,
            grade=judged.grade,
            doubts=people.held([judged]),
        )

    def _without(self, fingerprints: Iterable[str], only: frozenset[str] | None = None) -> Report:
        """The report without some findings; of those that a mail would name it may have `only` these."""
        gone = set(fingerprints)

        def stays(judged: Judged) -> bool:
            named = judged.finding.fingerprint
            return named not in gone and (only is None or named in only or not prose.mailable(judged))

        concerns = (
            replace(each, findings=tuple(judged for judged in each.findings if stays(judged)))
            for each in self.report.concerns
        )
        return replace(
            self.report,
            findings=tuple(judged for judged in self.report.findings if stays(judged)),
            concerns=tuple(each for each in concerns if each.findings),
        )

    def _told_before(self) -> frozenset[str]:
        """Fingerprints that letters about earlier versions of the series hold."""
        if not self.series.key:
            return frozenset()
        others = [each for each in self.session.series.of_key(self.series.key) if each.id != self.series.id]
        letters = [letter for each in others[-VERSIONS:] for letter in self.session.outbox.of_series(each.id)]
        return frozenset(each for letter in letters if letter.state in TOLD for each in letter.fingerprints)

    def _answered(self, msgid: str) -> str:
        """The patch is one of an earlier version that was answered; "" where it is not."""
        for _ in range(VERSIONS):
            row = self.session.series.of_patch(msgid)
            found = [each for each in self.session.series.patches(row.id) if each.msgid == msgid] if row else []
            msgid = found[0].same_as if found else ""
            letter = self.session.outbox.of_patch(msgid) if msgid else None
            if letter is not None and letter.state in TOLD:
                return f"the same patch was answered as <{msgid}>"
            if not msgid:
                return ""
        return ""

    # -- what is written --------------------------------------------------------------------------------------

    def _reply(self, patch: Patch, decision: Decision) -> Reply | None:
        report = self._without(self.silent, only=frozenset(decision.findings))
        made = replies(report, self.source, self.policy.contact)
        return next((each for each in made if each.msgid == patch.msgid), None)

    def _letter(self, patch: Patch, decision: Decision, reply: Reply) -> LetterRow:
        named = [each for each in self._worth(patch) if each.finding.fingerprint in decision.findings]
        row = LetterRow(
            id=0,
            patch=patch.msgid,
            series=self.series.id,
            msgid=own_msgid(patch.msgid, self.policy.domain),
            state=Letter.HELD,
            why=(),
            subject=reply.subject,
            body=reply.body,
            to=_named(decision.to),
            cc=_named(decision.cc),
            references=_chain(patch),
            inboxes=decision.lists,
            automatic=decision.automatic,
            not_before=decision.not_before,
            ruleset=self.report.version,
            fingerprints=tuple(each.finding.fingerprint for each in named),
            rules=tuple(each.finding.rule for each in named),
            created_at=self.now,
        )
        why = tuple(dict.fromkeys((*decision.held, *reply.held, *self.help.gate(row))))
        if decision.automatic and not why:
            return replace(row, state=Letter.RELEASED, released_by="policy", released_at=self.now)
        return replace(row, why=why, automatic=False)

    # -- Patchwork --------------------------------------------------------------------------------------------

    def _clean(self, matter: Matter) -> Drafted:
        """Nothing is mailed; a Patchwork is told that nothing was found, where a finding could be told there."""
        refused = decide(matter, [], self.policy, self.standing)
        could = decide(matter, [ANYTHING], self.policy, self.standing)
        live = any(prose.counts(each) for each in self.report.findings)
        if not could.allowed or not could.patchwork or live:
            return Drafted(matter.patch, refused)
        text = f"nothing was found by {len(self.report.coverage.rules)} rules"
        check = stands.tell(self.session, matter.patch, could.patchwork, could.not_before, (), clean=text)
        return Drafted(matter.patch, refused, check=check)

    def _check(self, patch: Patch, decision: Decision, worth: Sequence[Judged]) -> CheckRow | None:
        """The check that tells of findings; it is pending where a person would have to look first."""
        if not decision.patchwork:
            return None
        told = [each.finding for each in worth if each.finding.fingerprint in decision.findings]
        said = [(each.fingerprint, each.severity, f"{each.rule}: {prose.statement(each)}") for each in told]
        url, at = decision.patchwork, decision.not_before
        return stands.tell(self.session, patch.msgid, url, at, said, held=bool(decision.held))


def silent(rows: Iterable[FindingRow], now: str) -> frozenset[str]:
    """Fingerprints of which nothing is to be said: a person decided so, said it himself, or it was said."""
    return frozenset(
        each.fingerprint
        for each in rows
        if each.state not in (State.NEW, State.CONFIRMED)
        and not (each.state is State.SNOOZED and "" < each.snoozed_until <= now)
    )


def told_since(session: Session, one: ListPolicy, when: str) -> int:
    """Letters over a list, and checks that told of something in its Patchwork, since a time."""
    checks = session.checks.told_since(when, one.patchwork) if one.patchwork else 0
    return session.outbox.sent_since(when, one.name) + checks


def standing(session: Session, policy: Policy, now: str) -> Standing:
    """What holds beside the policy: what went out today, who wants no mail, which rules are mute."""
    since = shown(moment(now) - timedelta(days=1))
    return Standing(
        now=now,
        sent={one.name: told_since(session, one, since) for one in policy.lists},
        opted_out=session.verdicts.opted_out(),
        muted={one.name: session.verdicts.muted(one.name) for one in policy.lists},
    )


def matter_of(
    session: Session,
    patch: Patch,
    series: SeriesRow,
    maintainers: Callable[[Sequence[str]], tuple[tuple[str, str], ...]],
    moot: str = "",
) -> Matter:
    """A patch as the policy sees it."""
    kept = session.mails.get(patch.msgid)
    paths = [path for diff in patch.diffs for path in dict.fromkeys((diff.old_path, diff.new_path)) if path]
    return Matter(
        patch=patch.msgid,
        author=patch.author,
        sender=(patch.mail.from_name, patch.mail.from_addr),
        to=patch.mail.to,
        cc=patch.mail.cc,
        inboxes=kept.inboxes if kept else (),
        posted=kept.at if kept else series.first_at,
        maintainers=maintainers(paths),
        moot=moot,
    )


def _named(people: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple((words(name), address) for name, address in people)


def _chain(patch: Patch) -> tuple[str, ...]:
    """What the letter's References name before the patch itself."""
    mail = patch.mail
    return tuple(dict.fromkeys(each for each in (*mail.references, mail.in_reply_to) if each and each != mail.msgid))
