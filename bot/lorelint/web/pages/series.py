"""One series: its versions side by side, what was found in each, the base, the thread with what people said in it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct, field
from starlette.responses import Response

from lorelint.model.store import CheckRow, FindingRow, Kept, LetterRow, ReviewRow, SeriesRow, Session
from lorelint.report.patchwork import Standing, standing
from lorelint.web.source import mail_lines
from lorelint.web.visit import NotFound, Visit

VERSIONS = 8  # side by side, the latest
HEADS = 300  # mails of a thread
_MAIL = 400_000  # characters of a mail that are shown


class Row(Struct, frozen=True):
    """One finding over the versions: what there is in each, None for nothing."""

    first: FindingRow
    cells: tuple[tuple[str, FindingRow | None], ...]  # (what is said, the finding)


class Post(Struct):
    """One mail of the thread, what was found in it where it is a patch, what was said in it where it is an answer."""

    kept: Kept
    depth: int = 0
    findings: list[FindingRow] = field(default_factory=list)
    comments: list[Mapping[str, Any]] = field(default_factory=list)
    raised: list[tuple[FindingRow, bool]] = field(default_factory=list)  # what it says too, and whether surely
    letter: LetterRow | None = None


def show(visit: Visit) -> Response:
    """The page itself."""
    with visit.look() as session:
        series = session.series.get(visit.number())
        if series is None:
            raise NotFound
        versions = session.series.of_key(series.key)[-VERSIONS:] if series.key else (series,)
        review = _last(session.series.reviews(series.id))
        report = json.loads(review.report) if review and review.report else {}
        findings = session.findings.of_series(series.id)
        letters = session.outbox.of_series(series.id)
        return visit.show(
            session,
            "series.html",
            series=series,
            versions=versions,
            review=review,
            base=report.get("base"),
            troubles=report.get("troubles", ()),
            failures=report.get("failures", ()),
            unseen=report.get("unseen", ()),
            coverage=report.get("coverage"),
            rows=_rows(versions, session.findings.of_key(series.key), session),
            findings=findings,
            letters=letters,
            posts=_posts(session, series, findings, letters, report),
            checks=_checks(session, series),
            waits=sum(each.state.value == "new" for each in findings),
        )


class Check(Struct, frozen=True):
    """A check of ours in a Patchwork: of which patch, and how it stands there."""

    row: CheckRow
    subject: str
    standing: Standing


def _checks(session: Session, series: SeriesRow) -> list[Check]:
    patches = session.series.patches(series.id)
    return [
        Check(row, patch.subject, standing(row)) for patch in patches for row in session.checks.of_patch(patch.msgid)
    ]


def _last(reviews: Sequence[ReviewRow]) -> ReviewRow | None:
    """The last that was done, else the last."""
    done = [each for each in reviews if not each.failure]
    return (done or list(reviews))[-1] if reviews else None


def _rows(versions: Sequence[SeriesRow], found: Sequence[FindingRow], session: Session) -> list[Row]:
    """Each finding once, in the order in which it came up, and what each version has to say of it."""
    by_name: dict[str, dict[int, FindingRow]] = {}
    for each in found:
        by_name.setdefault(each.fingerprint, {})[each.series] = each
    reviewed = {each.id: session.series.reviewed_once(each.id) for each in versions}
    rows = []
    for there in by_name.values():
        cells: list[tuple[str, FindingRow | None]] = []
        seen = False
        for version in versions:
            here = there.get(version.id)
            if here is not None:
                seen = True
                cells.append(("new" if here.since >= version.version else "still there", here))
            elif not reviewed[version.id]:
                cells.append(("not reviewed", None))
            else:
                cells.append(("fixed" if seen else "", None))
        if any(here for _, here in cells):
            rows.append(Row(next(iter(there.values())), tuple(cells)))
    return rows


def _posts(
    session: Session,
    series: SeriesRow,
    findings: Sequence[FindingRow],
    letters: Sequence[LetterRow],
    report: Mapping[str, Any],
) -> list[Post]:
    """The thread in the order of its mails, each below what it answers."""
    posts: dict[str, Post] = {}
    for kept in session.sights.heads(series.root, HEADS):
        above = posts.get(kept.parent)
        posts[kept.msgid] = Post(kept, depth=min(above.depth + 1, 4) if above else 0)
    for each in findings:
        if each.patch in posts:
            posts[each.patch].findings.append(each)
    for letter in letters:
        if letter.patch in posts:
            posts[letter.patch].letter = letter
    for comment in report.get("comments", ()):
        if comment["in"] in posts:
            posts[comment["in"]].comments.append(comment)
    named = {each.fingerprint: each for each in findings}
    for said in report.get("findings", ()):
        for raised in said["raised"]:
            post, row = posts.get(raised["in"]), named.get(said["fingerprint"])
            if post is not None and row is not None and all(each is not row for each, _ in post.raised):
                post.raised.append((row, raised["sure"]))
    return list(posts.values())


def message(visit: Visit) -> Response:
    """One mail as a reader shows it. It is looked up by its Message-ID in the store, and nowhere else."""
    msgid = visit.asked.get("id", "")
    with visit.look() as session:
        kept = session.mails.get(msgid)
        if kept is None:
            raise NotFound
        series = session.series.of_patch(msgid)
        mail = visit.outpost.mail(kept.raw)
        return visit.show(
            session,
            "message.html",
            kept=kept,
            mail=mail,
            lines=mail_lines(mail.body[:_MAIL]),
            cut=len(mail.body) > _MAIL,
            series=series,
        )
