"""A report as JSON, in the form `report.schema.json` beside this file publishes.

`schema` counts up when a field changes its meaning or goes away; new fields may come without that.
Text is as it came: JSON escapes what cannot be seen, so nothing is lost and nothing is obeyed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from lorelint.model.base import Base
from lorelint.model.comment import Comment, Raised
from lorelint.model.finding import Concern, Fix, Judged, Kind, Report, Silence, Status, Step
from lorelint.model.mail import Patch, Series
from lorelint.report import people, prose
from lorelint.report.reply import Reply

SCHEMA = 1

Document = dict[str, Any]


def schema() -> Document:
    """The published JSON Schema of a report."""
    text = files("lorelint.report").joinpath("report.schema.json").read_text("utf-8")
    loaded: Document = json.loads(text)
    return loaded


def document(report: Report) -> Document:
    """The report as plain values, ready for `dump`."""
    concerns = prose.concerns(report)
    number = {id(judged): at for at, concern in enumerate(concerns, 1) for judged in concern.findings}
    return {
        "schema": SCHEMA,
        "version": _text(report.version),
        "source": _text(report.source),
        "findings": [_finding(judged, number.get(id(judged), 0)) for judged in report.findings],
        "concerns": [_concern(at, concern) for at, concern in enumerate(concerns, 1)],
        "base": None if report.base is None else _base(report.base),
        "series": None if report.series is None else _series(report.series),
        "comments": [_comment(at, comment) for at, comment in enumerate(report.comments, 1)],
        "silences": [_silence(silence) for silence in report.silences],
        "troubles": [{"kind": _text(t.kind), "where": _text(t.where), "text": _text(t.text)} for t in report.troubles],
        "failures": [
            {"rule": _text(f.rule), "path": _text(f.path), "function": _text(f.function), "text": _text(f.text)}
            for f in report.failures
        ],
        "unseen": [
            {"kind": _text(u.kind), "path": _text(u.path), "line": u.line, "text": _text(u.text)} for u in report.unseen
        ],
        "coverage": {
            "files": report.coverage.files,
            "functions": report.coverage.functions,
            "degraded": report.coverage.degraded,
            "rules": [_text(rule) for rule in report.coverage.rules],
        },
    }


def replies(report: Report, made: Sequence[Reply]) -> Document:
    """Replies as plain values: which mail each answers, and its text."""
    return {
        "schema": SCHEMA,
        "version": _text(report.version),
        "source": _text(report.source),
        "replies": [
            {
                "patch": reply.patch,
                "in_reply_to": _text(reply.msgid),
                "subject": _text(reply.subject),
                "to": {"name": _text(reply.to[0]), "address": _text(reply.to[1])},
                "body": _text(reply.body),
                "held": [_text(each) for each in reply.held],
            }
            for reply in made
        ],
        "unmailed": [
            {
                "patch": judged.patch,
                "rule": _text(judged.finding.rule),
                "function": _text(judged.finding.function),
                "fingerprint": judged.finding.fingerprint,
                "raised": [_raised(each) for each in judged.raised],
            }
            for judged in people.unmailed(report)
        ],
    }


def dump(value: Mapping[str, Any]) -> str:
    """JSON text in ASCII, keys in the order they were put, a newline at the end."""
    return json.dumps(value, indent=2, ensure_ascii=True, allow_nan=False) + "\n"


def finding(judged: Judged) -> Document:
    """One finding outside any concern, as plain values."""
    return _finding(judged, 0)


def _finding(judged: Judged, concern: int) -> Document:
    finding = judged.finding
    return {
        "rule": _text(finding.rule),
        "path": _text(finding.path),
        "function": _text(finding.function),
        "line": finding.line,
        "severity": finding.severity.value,
        "confidence": finding.confidence,
        "message": _text(finding.message),
        "kind": finding.kind.value,
        "status": judged.status.value,
        "fires": finding.kind is Kind.DEFECT and judged.status is not Status.FIXED,
        "counts": prose.counts(judged),
        "mailable": prose.mailable(judged),
        "patch": judged.patch,
        "gone_in": judged.gone_in,
        "grade": judged.grade.value,
        "because": _text(judged.because),
        "concern": concern,
        "steps": [_step(step) for step in finding.steps],
        "facts": [_text(fact) for fact in finding.facts],
        "advice": _text(finding.advice),
        "ask": _text(finding.ask),
        "fix": None if finding.fix is None else _fix(finding.fix),
        "siblings": [
            {"path": _text(s.path), "line": s.line, "function": _text(s.function), "text": _text(s.text)}
            for s in finding.siblings
        ],
        "raised": [_raised(each) for each in judged.raised],
        "fingerprint": finding.fingerprint,
        "anchor": _text(finding.anchor),
        "need": finding.need.value,
        "evidence": [_text(each) for each in finding.evidence],
    }


def _fix(fix: Fix) -> Document:
    edits = [{"line": edit.line, "lines": [_text(line) for line in edit.lines]} for edit in fix.edits]
    return {"path": _text(fix.path), "text": _text(fix.text), "edits": edits}


def _step(step: Step) -> Document:
    return {"path": _text(step.path), "line": step.line, "text": _text(step.text)}


def _concern(number: int, concern: Concern) -> Document:
    return {
        "concern": number,
        "patch": concern.patch,
        "severity": prose.gravest(concern).value,
        "deserves_reply": prose.deserves(concern),
        "rules": list(dict.fromkeys(_text(judged.finding.rule) for judged in concern.findings)),
        "fingerprints": [judged.finding.fingerprint for judged in concern.findings],
    }


def _raised(raised: Raised) -> Document:
    return {
        "in": _text(raised.msgid),
        "line": raised.at,
        "name": _text(raised.name),
        "sure": raised.sure,
        "words": [_text(word) for word in raised.words],
    }


def _comment(number: int, comment: Comment) -> Document:
    return {
        "comment": number,
        "in": _text(comment.msgid),
        "line": comment.at,
        "name": _text(comment.name),
        "address": _text(comment.address),
        "date": _text(comment.date),
        "role": comment.role.value,
        "text": _text(comment.text),
        "anchor": comment.anchor.value,
        "about": {
            "msgid": _text(comment.of),
            "patch": comment.patch,
            "path": _text(comment.path),
            "function": _text(comment.function),
            "line": comment.line,
            "mail_line": comment.mail_line,
            "quote": _text(comment.quote),
        },
        "answers": _text(comment.answers),
        "missing": comment.missing,
    }


def _base(base: Base) -> Document:
    return {
        "tree": _text(base.tree),
        "commit": _text(base.commit),
        "grade": base.grade.value,
        "steps": [
            {"rung": _text(step.rung), "tried": _text(step.tried), "taken": step.taken, "text": _text(step.text)}
            for step in base.steps
        ],
    }


def _series(series: Series) -> Document:
    return {
        "key": _text(series.key),
        "version": series.version,
        "subject": _text(series.subject),
        "author": {"name": _text(series.author[0]), "address": _text(series.author[1])},
        "expected": series.expected,
        "complete": series.complete,
        "base_commit": _text(series.hint.base_commit),
        "change_id": _text(series.hint.change_id),
        "patches": [_patch(patch) for patch in series.patches],
    }


def _patch(patch: Patch) -> Document:
    return {
        "seq": patch.seq,
        "msgid": _text(patch.msgid),
        "subject": _text(patch.subject),
        "author": {"name": _text(patch.author[0]), "address": _text(patch.author[1])},
        "paths": [_text(diff.path) for diff in patch.diffs],
        "followups": [_text(each) for each in patch.followups],
    }


def _silence(silence: Silence) -> Document:
    return {
        "rule": _text(silence.rule),
        "path": _text(silence.path),
        "function": _text(silence.function),
        "line": silence.line,
        "reason": _text(silence.reason),
        "steps": [_step(step) for step in silence.steps],
    }


def _text(text: str) -> str:
    """Bytes that were no UTF-8 (surrogates in Python) become U+FFFD: JSON for other languages has no room for them."""
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace") if _surrogates(text) else text


def _surrogates(text: str) -> bool:
    return any("\ud800" <= char <= "\udfff" for char in text)
