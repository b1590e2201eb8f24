"""What people said, beside what was found: who raised a finding, and what no finding is about."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct

from lorelint.model.comment import Anchor, Comment, Raised, Role
from lorelint.model.finding import Judged, Kind, Report
from lorelint.model.mail import Series
from lorelint.report import prose
from lorelint.report.ink import Ink
from lorelint.report.text import clause, clean, cut, listed, many, sentence, words, wrap

SHOWN = 8  # comments that are told at a terminal before the rest is only counted
TEXT = 2  # lines of a comment that are shown


class Said(Struct, frozen=True):
    """What one person said at one place, of which no finding speaks: the first comment, and how many more."""

    comment: Comment
    more: int


def by(raised: Raised, kind: Kind = Kind.DEFECT) -> str:
    """``raised by NAME in <message-id>``, with a "perhaps" where that is not sure; a remark answers what was said."""
    verb = "answers" if kind is Kind.REMARK else "raised by"
    return f"{'' if raised.sure else 'perhaps '}{verb} {_who(raised)}"


def _who(raised: Raised, verb: str = "in") -> str:
    return f"{words(raised.name) or 'somebody'} {verb} <{clean(raised.msgid)}>"


def raisers(judged: Judged) -> Iterator[str]:
    """Who raised a finding, each person once; where it was surely raised, only those who surely did."""
    told: set[str] = set()
    for each in judged.raised:
        if each.name not in told and (each.sure or not judged.said):
            told.add(each.name)
            yield by(each, judged.finding.kind)


def held(judged: Sequence[Judged]) -> tuple[str, ...]:
    """Why a mail about these findings waits for a person: perhaps somebody has said so already."""
    return tuple(dict.fromkeys(by(each) for one in judged if prose.mailable(one) for each in one.raised))


def sentences(findings: Sequence[Judged], cited: Sequence[Judged]) -> Iterator[str]:
    """What a mail says of those who spoke before: of findings it does not repeat, and of those it may repeat."""
    for judged in findings:
        if judged.said and prose.counts(judged):
            first = next(each for each in judged.raised if each.sure)
            yield sentence(f"{_who(first, 'has raised in')} that {clause(prose.statement(judged.finding))}")
    perhaps = list(dict.fromkeys(_who(each) for judged in cited for each in judged.raised))
    if perhaps:
        yield f"This may be what has been raised by {listed(perhaps)}."


def unmailed(report: Report) -> tuple[Judged, ...]:
    """Findings that would be worth a mail, had nobody raised them."""
    return tuple(each for each in report.findings if each.said and prose.would_be_mailed(each))


def unseen(report: Report) -> tuple[Said, ...]:
    """What reviewers said of the series and no finding is about, in the order it was said."""
    seen = {(each.msgid, each.at) for judged in report.findings for each in judged.raised}
    places: dict[tuple[object, ...], list[Comment]] = {}
    for comment in report.comments:
        if comment.role is Role.REVIEWER and (comment.msgid, comment.at) not in seen:
            key = (comment.name, comment.of, comment.anchor, comment.path, comment.mail_line)
            places.setdefault(key, []).append(comment)
    return tuple(Said(each[0], len(each) - 1) for each in places.values())


def place(comment: Comment, series: Series | None) -> str:
    """Where a comment stands in the series."""
    if series is not None and comment.of and comment.of not in _mails(series):
        return "on another version of the series"
    of = f" of patch {comment.patch}" if series is not None and series.expected > 1 and comment.patch else ""
    if comment.anchor in (Anchor.LINE, Anchor.FILE):
        where = comment.path + (f":{comment.line}" if comment.line else "")
        return where + (f", {comment.function}()" if comment.function else "") + (of if not comment.line else "")
    if comment.anchor is Anchor.MESSAGE:
        return f"commit message{of}" if comment.patch else "cover letter"
    whole = {Anchor.PATCH: f"patch{f' {comment.patch}' if of else ''} as a whole", Anchor.SERIES: "series as a whole"}
    return whole.get(comment.anchor, "about nothing that is here")


def _mails(series: Series) -> set[str]:
    return {patch.msgid for patch in series.patches} | ({series.cover.msgid} if series.cover else set())


def given(series: Series | None) -> Iterator[str]:
    """The trailers that people gave in answers (Reviewed-by, Acked-by, ...), each once, with the patches it is for."""
    patches = series.patches if series is not None else ()
    found: dict[str, list[str]] = {}
    for patch in patches:
        for trailer in patch.followups:
            found.setdefault(trailer, []).append(str(patch.seq))
    for trailer, numbers in found.items():
        of = (
            ""
            if len(numbers) == len(patches)
            else f" ({'patch' if len(numbers) == 1 else 'patches'} {listed(numbers)})"
        )
        yield f"{words(trailer)}{of}"


def section(report: Report, measure: int, ink: Ink) -> Iterator[str]:
    """What people gave, and what they said that no finding is about, for a terminal; nothing where there is nothing."""
    trailers = list(given(report.series))
    if trailers:
        yield ink("people gave, in answers:", "bold")
        yield from (line for each in trailers for line in wrap(each, measure, first="  ", rest="    "))
    every = unseen(report)
    if not every:
        return
    if trailers:
        yield ""
    yield ink("people said, and no finding is about it:", "bold")
    for said in every[:SHOWN]:
        comment = said.comment
        who = words(comment.name) or clean(comment.address) or "somebody"
        more = f" (and {many(said.more, 'more remark')} there)" if said.more else ""
        yield from wrap(f"{place(comment, report.series)}: {who}{more}", measure, first="  ", rest="    ")
        yield from wrap(f"<{comment.msgid}>", measure, first="    ")
        yield from (ink(line, "dim") for line in _excerpt(comment.text, measure))
    if len(every) > SHOWN:
        yield f"  and {len(every) - SHOWN} more (--json tells all)"


def _excerpt(text: str, measure: int) -> list[str]:
    """The first lines of what was said."""
    lines = wrap(f'"{text}"', measure, first="    ", rest="     ", split=True)
    if len(lines) <= TEXT:
        return lines
    return [*lines[: TEXT - 1], cut(lines[TEXT - 1] + " " * measure, measure - 1).rstrip(". ") + '..."']


def summary(report: Report) -> str:
    """The last line's part about people, "" where nobody spoke."""
    raised = sum(1 for judged in report.findings if prose.counts(judged) and judged.said)
    perhaps = sum(1 for judged in report.findings if prose.counts(judged) and judged.raised and not judged.said)
    other = len(unseen(report))
    parts = [f"{raised} raised by people already"] if raised else []
    parts += [f"{perhaps} perhaps raised by people"] if perhaps else []
    parts += [f"people said {many(other, 'other thing')}"] if other else []
    return "; ".join(parts)
