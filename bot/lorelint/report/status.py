"""How the lists stand, for a terminal and for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from lorelint.model.status import ListStatus, Status
from lorelint.model.store import Note
from lorelint.report.ink import Ink
from lorelint.report.text import clean, many, words, wrap

NATURES = 6  # that are named before the rest is counted


def table(status: Status, *, columns: int = 80, colour: bool = False) -> str:
    ink = Ink(colour)
    lines: list[str] = []
    for each in status.problems:
        lines += [ink(line, "error") for line in wrap(words(each), columns, first="! ", rest="  ")]
    if status.problems:
        lines.append("")
    lines.append(ink("lists", "title"))
    if not status.lists:
        lines.append("  none is followed")
    for one in status.lists:
        lines += _list(one, columns, ink)
    if status.trees:
        lines += ["", ink("trees", "title"), *_notes(status.trees, columns, ink)]
    lines += ["", ink("series", "title"), f"  {_counts(status.series) or 'none yet'}"]
    if status.due:
        lines.append(f"  {status.due} to be reviewed, the first since {when(status.oldest)}")
    lines += ["", ink("letters", "title"), f"  {_counts(status.letters) or 'none yet'}"]
    mode = "; dry run: nothing is sent" if status.dry_run else ""
    lines.append(f"  {status.hourly[0]} sent in the last hour, {status.hourly[1]} allowed{mode}")
    if status.others:
        lines += ["", ink("last", "title"), *_notes(status.others, columns, ink)]
    return "\n".join(lines) + "\n"


def _list(one: ListStatus, columns: int, ink: Ink) -> Iterator[str]:
    yield f"  {ink(clean(one.name), 'bold')}  {_lag(one)}"
    if one.note is not None:
        style = "dim" if one.note.ok else "error"
        yield from (ink(line, style) for line in wrap(words(one.note.text), columns, first="    ", rest="    "))
    for each in one.cursors:
        yield ink(f"    epoch {each.epoch} read to {clean(each.commit[:20]) or 'its beginning'}", "dim")
    if one.natures:
        shown = [f"{nature} {count}" for nature, count in one.natures[:NATURES]]
        rest = sum(count for _, count in one.natures[NATURES:])
        told = "in all: " + ", ".join(shown) + (f" and {rest} others" if rest else "")
        yield from wrap(told, columns, first="    ", rest="    ")
    if one.cap is not None:
        yield f"    audience {one.audience}; {one.cap[0]} of {one.cap[1]} letters sent in 24 hours"
    for rule, why in one.muted:
        yield from wrap(f"{words(rule)} is mute: {words(why)}", columns, first="    ", rest="      ")


def _lag(one: ListStatus) -> str:
    if one.lag is None:
        return "never read to its end"
    return f"read to its end {ago(one.lag)}"


def ago(seconds: float) -> str:
    if seconds < 120:
        return f"{max(seconds, 0):.0f} s ago"
    if seconds < 7200:
        return f"{seconds / 60:.0f} minutes ago"
    return f"{seconds / 3600:.0f} hours ago" if seconds < 172_800 else many(int(seconds // 86_400), "day") + " ago"


def when(time: str) -> str:
    return clean(time.replace("T", " ").removesuffix("Z"))


def _notes(notes: Sequence[Note], columns: int, ink: Ink) -> Iterator[str]:
    for note in notes:
        name = clean(note.name.rpartition(":")[2])
        told = wrap(f"{name}, {when(note.at)}: {words(note.text)}", columns, first="  ", rest="    ")
        yield from told if note.ok else (ink(line, "error") for line in told)


def _counts(counts: Sequence[tuple[str, int]]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts if count)


def document(status: Status) -> dict[str, Any]:
    """The same as plain values."""
    return {
        "at": status.at,
        "healthy": not status.problems,
        "problems": [words(each) for each in status.problems],
        "lists": [_one(each) for each in status.lists],
        "trees": [_note(each) for each in status.trees],
        "last": [_note(each) for each in status.others],
        "series": dict(status.series),
        "due": status.due,
        "oldest_due": status.oldest,
        "letters": dict(status.letters),
        "sent_last_hour": status.hourly[0],
        "hourly_cap": status.hourly[1],
        "dry_run": status.dry_run,
        "reviews": dict(zip(("done", "failed", "seconds"), status.reviews, strict=True)),
        "waits": dict(status.waits),
        "free_bytes": status.free,
    }


def _one(one: ListStatus) -> dict[str, Any]:
    return {
        "name": one.name,
        "read_at": one.read_at,
        "lag_seconds": one.lag,
        "note": _note(one.note) if one.note else None,
        "cursors": [{"epoch": each.epoch, "commit": each.commit} for each in one.cursors],
        "messages": dict(one.natures),
        "audience": one.audience,
        "sent_24_hours": one.cap[0] if one.cap else None,
        "daily_cap": one.cap[1] if one.cap else None,
        "muted": {words(rule): words(why) for rule, why in one.muted},
    }


def _note(note: Note) -> dict[str, Any]:
    return {"name": note.name, "at": note.at, "ok": note.ok, "text": words(note.text)}
