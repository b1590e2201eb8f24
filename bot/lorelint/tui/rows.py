"""Lines of lists: series in the queue, findings, letters, mails. Strangers' words are cleaned."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from textual.content import Content

from lorelint.model.queue import Entry
from lorelint.model.store import CheckRow, FindingRow, Kept, Letter, LetterRow, SeriesRow, State
from lorelint.report.patchwork import standing
from lorelint.report.text import clean, cut, many, width, words

WIDE = 120  # columns from which there is room for more than the subject
_MARK = {"error": ("E", "$text-error bold"), "warning": ("W", "$text-warning bold"), "note": ("N", "$text-accent bold")}
_STATE = {
    State.NEW: "bold",
    State.CONFIRMED: "$text-success bold",
    State.SENT: "$text-success",
    State.FIXED: "$text-success",
}
_SHORT = {State.FALSE: "false"}
_LETTER = {Letter.HELD: "$text-warning", Letter.RELEASED: "$text-success", Letter.BOUNCED: "$text-error"}
_CHECK = {"success": "$text-success", "warning": "$text-warning", "fail": "$text-error bold"}
_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
Part = str | tuple[str, str]


def fit(text: str, columns: int) -> str:
    """Text that takes exactly so many columns."""
    text = cut(text, columns) if columns > 3 else text[:columns]
    return text + " " * max(0, columns - width(text))


def line(*parts: Part) -> Content:
    return Content.assemble(*parts)


def day(at: str) -> str:
    """``Nov 02``."""
    month = at[5:7]
    return f"{_MONTHS[int(month) - 1]} {at[8:10]}" if month.isdigit() and 1 <= int(month) <= 12 else "      "


def heading(text: str, columns: int) -> Content:
    shown = cut(text, columns - 4)
    return line((f" {shown} ", "bold $text-accent"), ("─" * max(0, columns - width(shown) - 3), "$foreground 30%"))


def _mark(severity: str) -> Part:
    return _MARK.get(severity, ("-", "$foreground 60%"))


# -- the queue


def queue_head(columns: int) -> Content:
    wide = columns >= WIDE
    head = f"    wait  last    {fit('list', 11)} {fit('author', 20 if wide else 14)} "
    room = columns - len(head) - (44 if wide else 0)
    return line((fit(head + fit("series", room) + (fit("  rules", 44) if wide else ""), columns), "$foreground 60%"))


def queue(entry: Entry, columns: int, tagged: bool) -> Content:
    wide = columns >= WIDE
    author = entry.author[0] or entry.author[1]
    parts: list[Part] = [
        ("*" if tagged else " ", "bold $text-accent"),
        " ",
        _mark(entry.grave),
        f" {entry.waits or '-':>4}  ",
        (day(entry.at), "$foreground 70%"),
        "  ",
        (fit(clean(entry.inboxes[0]) if entry.inboxes else "", 11), "$foreground 70%"),
        f" {fit(words(author), 20 if wide else 14)} ",
    ]
    rules = 44 if wide else 0
    room = columns - _length(parts) - rules
    subject = (f"v{entry.version} " if entry.version > 1 else "") + (words(entry.subject) or "(no subject)")
    parts.append((fit(subject, room), "bold" if entry.waits else "$foreground 70%"))
    if wide:
        parts.append(("  " + fit(_counted(entry.rules), rules - 2), "$foreground 70%"))
    return line(*parts)


def peek(entry: Entry, columns: int) -> Iterator[str]:
    """What a series is about: why it is here, and whose it is."""
    yield cut(f"{_counted(entry.rules) or 'nothing was found'} ─ {_counted(entry.states)}", columns - 2)
    yield cut(", ".join(words(each) for each in entry.subsystems), columns - 2)


def _counted(pairs: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{clean(name)}{f' x{count}' if count > 1 else ''}" for name, count in pairs)


def _length(parts: Sequence[Part]) -> int:
    return sum(width(each if isinstance(each, str) else each[0]) for each in parts)


# -- a series


def finding(row: FindingRow, columns: int, tagged: bool) -> Content:
    wide = columns >= WIDE
    parts: list[Part] = [
        ("*" if tagged else " ", "bold $text-accent"),
        " ",
        _mark(row.severity),
        " ",
        (
            fit(row.state.value if wide else _SHORT.get(row.state, row.state.value), 14 if wide else 9),
            _STATE.get(row.state, "$foreground 70%"),
        ),
        f" {fit(clean(row.rule), 24 if wide else 22)} ",
    ]
    room = columns - _length(parts)
    where = f"{words(row.function)}()" if row.function else ""
    if wide:
        parts += [fit(where, 28), "  ", fit(f"{clean(row.path)}:{row.line}", 34), "  "]
        parts.append((fit(words(row.message), columns - _length(parts)), "$foreground 70%"))
    else:
        file = clean(row.path.rpartition("/")[2])
        parts.append(fit(f"{where}  {file}:{row.line}" if where else f"{file}:{row.line}", room))
    return line(*parts)


def letter(row: LetterRow, columns: int) -> Content:
    state = (fit(row.state.value, 9), _LETTER.get(row.state, "$foreground 70%"))
    to = ", ".join(words(name) or clean(address) for name, address in (*row.to, *row.cc))
    parts: list[Part] = ["  @ ", state, f" {row.id:>4}  "]
    half = (columns - _length(parts)) * 3 // 5
    parts += [
        fit(words(row.subject), half),
        ("  to " + cut(to, columns - _length(parts) - half - 6), "$foreground 70%"),
    ]
    return line(*parts)


def check(row: CheckRow, columns: int) -> Content:
    """What Patchwork is told of a patch, and whether it was told."""
    stands = standing(row)
    parts: list[Part] = ["  # ", (fit(row.state, 9), _CHECK.get(row.state, "")), f" {fit(clean(row.context), 14)} "]
    told = f"{words(row.description)} ─ {words(stands.text)} {day(stands.at)}"
    return line(*parts, (cut(told, columns - _length(parts)), "" if stands.done else "$text-warning"))


def version(row: SeriesRow, findings: Sequence[FindingRow], columns: int, here: bool) -> Content:
    states: dict[str, int] = {}
    for each in findings:
        states[each.state.value] = states.get(each.state.value, 0) + 1
    told = ", ".join(f"{count} {state}" for state, count in states.items()) or "no findings"
    mark = ">" if here else " "
    text = f"  {mark} v{row.version:<3} {day(row.last_at)}  {fit(row.life.value, 10)} {told}"
    return line((cut(text, columns), "bold" if here else ""))


def compared(versions: Sequence[tuple[SeriesRow, Sequence[FindingRow]]], columns: int) -> Iterator[Content]:
    """Findings over versions, side by side: what is new, what is gone, what is still there."""
    rows = {row.fingerprint: row for _, findings in versions for row in findings}
    shown = versions[-6:]
    name = min(56, columns - 10 * len(shown) - 6)
    yield line(
        ("      " + fit("", name) + "".join(fit(f"v{each.version}", 10) for each, _ in shown), "$foreground 60%")
    )
    for fingerprint, row in rows.items():
        cells: list[Part] = []
        before = False
        for _, findings in shown:
            there = next((each for each in findings if each.fingerprint == fingerprint), None)
            gone = there is None or there.state is State.FIXED
            text = ("fixed" if before else "-") if gone or there is None else ("still" if before else "first")
            if there is not None and there.state.dismissed:
                text = "dismissed"
            style = {"first": "$text-warning", "still": "$text-error", "fixed": "$text-success"}.get(text, "")
            cells.append((fit(text, 10), style))
            before = before if gone else True
        yield line("      ", fit(f"{clean(row.rule)}  {words(row.function)}()", name), *cells)


def mail(kept: Kept, columns: int, depth: int) -> Content:
    author = kept.author[0] or kept.author[1]
    parts: list[Part] = ["    ", (day(kept.at), "$foreground 70%"), f"  {fit(words(author), 20)} "]
    indent = "  " * min(depth, 6) + ("└ " if depth else "")
    parts += [(indent, "$foreground 40%"), cut(words(kept.subject), columns - _length(parts) - len(indent))]
    return line(*parts)


def depths(mails: Sequence[Kept]) -> dict[str, int]:
    """How deep each mail stands in its thread."""
    found: dict[str, int] = {}
    for each in mails:  # the oldest first: what is answered came before, or counts as the root
        found[each.msgid] = found[each.parent] + 1 if each.parent in found else 0
    return found


def letters_told(rows: Sequence[LetterRow]) -> str:
    return many(len(rows), "letter") if rows else "no letter"
