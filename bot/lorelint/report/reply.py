"""The mail text that answers a patch: quoted lines, a question, the proof, what stands behind it.

One text per patch that deserves it. Body lines are at most 76 columns wide, quoted ones are as long as they
were. Nothing above the signature can be taken for a trailer (`b4 am` would put it into the commit), no line
ends in a blank (so nothing flows where format=flowed is assumed), none begins with ``From `` (mboxes escape it).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from msgspec import Struct

from lorelint.model.base import Grade
from lorelint.model.finding import Concern, Finding, Kind, Report, Sibling
from lorelint.model.mail import Patch
from lorelint.model.regex import regex
from lorelint.model.trouble import Unseen
from lorelint.report import people, prose
from lorelint.report.chain import Link, links, merged, span
from lorelint.report.place import PatchMap, Source, Spot, causing_spot, no_source
from lorelint.report.quote import quoted
from lorelint.report.text import argument, clause, cut, listed, many, once, sentence, shell, words, wrap

BODY = 76
NAMED = 4  # siblings, and things not seen, that are named before the rest is counted

_TRAILER = regex(r"^(\s*\w\S*?):(?=\s|\Z)")


class Reply(Struct, frozen=True):
    """One mail that would be sent; `body` ends with its signature.

    held  why it waits for a person, who perhaps finds that all of it was said: "perhaps raised by .. in <..>"
    """

    patch: int  # seq
    msgid: str  # of the mail it answers
    subject: str
    to: tuple[str, str]
    body: str
    held: tuple[str, ...] = ()


def replies(
    report: Report, source: Source = no_source, contact: str = "", overlays: Sequence[str] = ()
) -> tuple[Reply, ...]:
    """One reply for each patch with a concern that deserves it, in order.

    contact   the person who answers
    overlays  names of what lay over the tree, as they stand behind its name in the report
    """
    made: list[Reply] = []
    for patch in report.series.patches if report.series else ():
        concerns = [each for each in prose.concerns(report) if each.patch == patch.seq and prose.deserves(each)]
        if concerns:
            body = "\n".join(_safe(_Letter(report, patch, source, contact, overlays).lines(concerns))) + "\n"
            held = people.held([judged for concern in concerns for judged in prose.cited(concern)])
            made.append(Reply(patch.seq, patch.msgid, _subject(patch), patch.author, body, held))
    return tuple(made)


def _subject(patch: Patch) -> str:
    subject = words(patch.mail.subject)
    return subject if subject.lower().startswith("re:") else f"Re: {subject}"


class _Letter:
    def __init__(self, report: Report, patch: Patch, source: Source, contact: str, overlays: Sequence[str]) -> None:
        self.report = report
        self.patch = patch
        self.contact = contact
        self.overlays = overlays
        self.map = PatchMap(patch, source)
        self.shown: set[Link] = set()  # steps that a paragraph has shown
        self.said: set[str] = set()  # advice and siblings that were told

    def lines(self, concerns: list[Concern]) -> Iterator[str]:
        yield from _prose("This is an automated review by lorelint, a static checker.")
        yield ""
        yield _attribution(self.patch)
        before: Spot | None = None
        for concern, spots in sorted(self._placed(concerns), key=lambda each: each[1][-1].order if each[1] else (0, 0)):
            if spots and (before is None or spots[-1].line is not before.line):
                if before is not None:
                    yield ""
                yield from quoted(spots, before)
                before = spots[-1]
            yield ""
            yield from self._paragraph(concern)
        yield ""
        yield from self._standing(concerns)
        yield ""
        yield from self._commands(concerns)
        yield "-- "
        yield from self._signature(concerns)

    def _placed(self, concerns: list[Concern]) -> Iterator[tuple[Concern, list[Spot]]]:
        for concern in concerns:
            yield concern, self._spots(concern)

    def _spots(self, concern: Concern) -> list[Spot]:
        """The lines of the patch that a concern is about, in one hunk."""
        findings = [judged.finding for judged in prose.cited(concern)]
        places = [(step.path, step.line) for finding in findings for step in finding.steps]
        places = [(finding.path, finding.line) for finding in findings] + places
        hints = [text for j in prose.cited(concern) for text in (j.because, j.finding.anchor, j.finding.function)]
        cause = causing_spot(self.map, places, hints)
        if cause is None:
            return []
        others = [spot for spot in (self.map.spot(*each) for each in places) if spot and spot.hunk is cause.hunk]
        added = {id(spot.line): spot for spot in [*others, cause] if spot.line.op == "+" or spot is cause}
        return sorted(added.values(), key=lambda spot: spot.order)[-3:]

    # -- one concern ------------------------------------------------------------------------------------------

    def _paragraph(self, concern: Concern) -> Iterator[str]:
        cited = [judged.finding for judged in prose.cited(concern)]
        yield from _prose(" ".join(_questions(cited)))
        steps = links(merged([finding.steps for finding in cited]))
        if steps:
            yield ""
            yield from self._chain(steps)
        for told in (" ".join(self._told(concern, cited)), *self._last(concern, cited)):
            if told:
                yield ""
                yield from _prose(told)

    def _told(self, concern: Concern, cited: list[Finding]) -> Iterator[str]:
        """Facts of all findings as sentences, each said once.

        What a finding cited is about stands in the question above the proof, and is not told again.
        """
        facts = [fact for finding in cited for fact in finding.facts]
        for judged in concern.findings:
            finding = judged.finding
            if judged.said and prose.counts(judged):
                continue  # told below, by who raised it
            if finding not in cited and (prose.counts(judged) or finding.kind is Kind.REMARK):
                facts += [finding.message, *finding.facts]
        yield from (sentence(fact) for fact in once(facts))
        yield from people.sentences(concern.findings, prose.cited(concern))

    def _last(self, concern: Concern, cited: list[Finding]) -> list[str]:
        """Where the like is done, and what might end it; what a paragraph above has said is not said again."""
        siblings = {(s.path, s.function): s for j in concern.findings for s in j.finding.siblings}
        last = [_elsewhere(list(siblings.values()))] if siblings else []
        advice = next((clause(finding.advice) for finding in cited if finding.advice), "")
        last += [f"Would it work to {advice}?"] if advice else []
        fresh = [text for text in last if text not in self.said]
        self.said.update(last)
        return fresh

    def _chain(self, steps: list[Link]) -> Iterator[str]:
        """The proof, numbered: what is so, and where; what a paragraph above has shown is not shown again."""
        room = len(str(len(steps)))
        hang = " " * (room + 4)
        again: list[int] = []
        for number, step in enumerate(steps, 1):
            if step in self.shown:
                again.append(number)
                continue
            if again:
                yield f"  {span(again):>{room}}. as above"
                again = []
            yield from _prose(step.text, first=f"  {number:>{room}}. ", rest=hang)
            place = words(step.place)
            yield from [hang + place] if " " not in place else _prose(place, first=hang, rest=hang)
        if again:
            yield f"  {span(again):>{room}}. as above"
        self.shown.update(steps)

    # -- what stands behind it --------------------------------------------------------------------------------

    def _standing(self, concerns: list[Concern]) -> Iterator[str]:
        texts = [self._base(concerns)]
        texts += self._doubts(concerns)
        yield from _prose(" ".join(text for text in texts if text))

    def _base(self, concerns: list[Concern]) -> str:
        base = self.report.base
        if base is None or not base.tree:
            where = "It fits no tree that was tried" if base is not None and base.tried else "No tree was at hand"
            return f"{where}: only the lines of the patch were read."
        tree = f"{words(base.tree)}" + (
            f" ({base.commit[:12]})" if base.commit and base.commit[:12] not in base.tree else ""
        )
        grade = max((judged.grade for c in concerns for judged in c.findings), key=lambda g: g.rank, default=base.grade)
        said, rung = _GRADES[grade]
        which = [clause(step.text) for step in base.steps if step.taken and step.rung == rung]
        how = f" ({which[-1]})" if which else ""
        return f"Line numbers are those of {tree} with {self._applied()} applied. {said}{how}."

    def _applied(self) -> str:
        if self.patch.seq == 1:
            return "this patch"
        joined = "and" if self.patch.seq == 2 else "to"
        return f"patches 1 {joined} {self.patch.seq} of the series"

    def _doubts(self, concerns: list[Concern]) -> Iterator[str]:
        series = self.report.series
        if series is not None and not series.complete:
            were = "was" if len(series.patches) == 1 else "were"
            yield f"Only {len(series.patches)} of the {series.expected} patches of the series {were} at hand."
        paths = {step.path for c in concerns for j in c.findings for step in j.finding.steps}
        paths |= {judged.finding.path for c in concerns for judged in c.findings}
        near = [unseen for unseen in self.report.unseen if unseen.path in paths]
        if near:
            yield f"What could not be seen on the way is {_not_seen(near)}."

    def _commands(self, concerns: list[Concern]) -> Iterator[str]:
        rule = prose.cited(concerns[0])[0].finding.rule
        base = self.report.base
        name = base.tree.removesuffix("".join(f"+{each}" for each in self.overlays)) if base else ""
        tail = [f"--tree {argument(name)}", *(f"--overlay {argument(each)}" for each in self.overlays)] if name else []
        clone = ""
        if base and base.commit:
            clone = " and a clone of the tree in linux"
            tail = ["--tree linux", f"--base {argument(base.commit[:12])}"]
        yield from _prose(f"To see the same offline, with this thread saved as thread.mbox{clone}:")
        yield ""
        for line in shell(["lorelint", "review", "thread.mbox", *tail], BODY - 4):
            yield f"    {line}"
        yield ""
        yield from _prose(
            f'If this is wrong, an answer that says why is welcome; a line of its own with "lorelint: false-positive '
            f'{words(rule)}" marks it as such. A line "lorelint: stop" ends all mail from here to its writer.'
        )

    def _signature(self, concerns: list[Concern]) -> Iterator[str]:
        cited = [judged.finding for concern in concerns for judged in prose.cited(concern)]
        yield from _prose(self.report.version or "lorelint")
        for finding in dict.fromkeys(cited):
            yield from _prose(f"{finding.rule}, confidence {finding.confidence:.2f}, {finding.fingerprint}")
        if self.contact:
            yield from _prose(f"a person answers at {self.contact}")


# What a grade means, and the rung of the ladder whose step names the files it is about.
_GRADES = {
    Grade.EXACT: ("The files concerned are the very versions it was made on", ""),
    Grade.CLEAN: (
        "The hunks fit there with full context, but the files are not the versions that they were made on: "
        "what lies outside of the hunks may differ from what the author had",
        "",
    ),
    Grade.MERGED: ("It was merged into that tree, so lines may be off", "three-way"),
    Grade.APPROXIMATE: ("It applies there with fuzz only, so lines may be off", "fuzzy"),
    Grade.FRAGMENTS: ("It does not apply there to the files concerned, so only its own lines were read", "fragments"),
}


def _prose(text: str, first: str = "", rest: str | None = None) -> list[str]:
    """Lines of the body; a word wider than a line is broken, a path or an argument of a command never is."""
    return wrap(text, BODY, first=first, rest=rest, split=True)


def _questions(cited: list[Finding]) -> Iterator[str]:
    """What the rules would ask; what has no question of its own is asked about as it stands."""
    yield from once(sentence(finding.ask.rstrip(" ?.") + "?") for finding in cited if finding.ask)
    stated = once(clause(prose.statement(finding)) for finding in cited if not finding.ask)
    for number, message in enumerate(stated):
        yield f"And that {message}?" if number else f"Is it intended that {message}?"


def _elsewhere(siblings: Sequence[Sibling]) -> str:
    """Siblings as sentences, those of which the same is said in one; a file is named once, `NAMED` files at most."""
    files = dict.fromkeys(sibling.path for sibling in siblings)
    shown = [sibling for sibling in siblings if sibling.path in list(files)[:NAMED]]
    sentences = []
    for text in dict.fromkeys(sibling.text for sibling in shown):
        those = [sibling for sibling in shown if sibling.text == text]
        places = [_functions([each for each in those if each.path == path]) for path in files]
        named = listed([place for place in places if place])
        each_of = "each of " if len(those) > 1 else ""
        sentences.append(f"{each_of}{named} {clause(text)}" if text else f"see also {named}")
    if len(siblings) > len(shown):
        more = len(siblings) - len(shown)
        sentences.append(f"there {'is' if more == 1 else 'are'} {many(more, 'more place')}")
    return " ".join(sentence(each) for each in (f"elsewhere, {sentences[0]}", *sentences[1:]))


def _functions(siblings: Sequence[Sibling]) -> str:
    """``f() and g() (path:3, 7)``: some functions of one file."""
    if not siblings:
        return ""
    lines = ", ".join(str(each.line) for each in siblings)
    return f"{listed([f'{each.function}()' for each in siblings])} ({siblings[0].path}:{lines})"


def _not_seen(unseen: list[Unseen]) -> str:
    named = [f"{each.path}:{each.line} ({clause(each.text)})" for each in unseen[:NAMED]]
    if len(unseen) > NAMED:
        named.append(many(len(unseen) - NAMED, "more place"))
    return listed(named)


_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _attribution(patch: Patch) -> str:
    """``On .. wrote:`` on one line, as mail readers and b4 know it."""
    name = words(patch.author[0]) or words(patch.author[1]) or "the author"
    when = ""
    try:
        date = datetime.fromisoformat(patch.mail.date).astimezone(UTC)
        when = f"{_DAYS[date.weekday()]}, {date.day} {_MONTHS[date.month - 1]} {date.year} {date:%H:%M:%S} +0000, "
    except (ValueError, OverflowError):
        pass
    head = f"On {when or 'this patch, '}"
    return f"{head}{cut(name, BODY - len(head) - len(' wrote:'))} wrote:"


def _safe(lines: Iterable[str]) -> Iterator[str]:
    """The last gate: what stands above the signature is no trailer, no mbox separator, and ends in no blank."""
    above = True
    for line in lines:
        if line == "-- " and above:
            above = False
            yield line
            continue
        line = line.rstrip()
        if above and not line.startswith(">"):
            line = _TRAILER.sub(r"\1 :", line)
            if line.startswith("From "):
                line = f" {line}"
        yield "--" if line == "--" and not above else line
