"""The outbox for a terminal: what waits, why, to whom; one letter as it would look; what a pass of sending did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from lorelint.model.policy import Policy
from lorelint.model.store import Letter, LetterRow
from lorelint.report.ink import Ink
from lorelint.report.text import clean, cut, listed, many, words, wrap

PEOPLE = 3  # recipients that are named before the rest is counted
_SAYS = {
    Letter.HELD: "held: a person has to look",
    Letter.RELEASED: "released: goes when it is its turn",
    Letter.SENDING: "sending: handed to the mail server, not confirmed",
    Letter.SENT: "sent",
    Letter.REFUSED: "refused by the mail server",
    Letter.BOUNCED: "bounced",
    Letter.DROPPED: "dropped by a person",
    Letter.CANCELLED: "cancelled: what they speak of is no more",
}
_STYLE = {Letter.HELD: "warning", Letter.RELEASED: "good", Letter.REFUSED: "error", Letter.BOUNCED: "error"}


def table(rows: Sequence[LetterRow], counts: Sequence[tuple[str, int]], *, columns: int, colour: bool = False) -> str:
    """Letters by state, each with why it waits and to whom it goes; `counts` are those of all letters there are."""
    ink = Ink(colour)
    lines: list[str] = []
    for state in Letter:
        mine = [row for row in rows if row.state is state]
        if mine:
            lines += ([""] if lines else []) + [ink(_SAYS[state], _STYLE.get(state, "title"))]
            for row in mine:
                lines += _entry(row, columns, ink)
    if not lines:
        lines.append("nothing waits")
    lines += ["", _counted(rows, counts)]
    return "\n".join(lines) + "\n"


def _counted(rows: Sequence[LetterRow], counts: Sequence[tuple[str, int]]) -> str:
    known = dict(counts)
    every = [f"{known[state]} {state}" for state in Letter if known.get(state)]
    if not every:
        return "no letter was ever written"
    hidden = sum(known.values()) > len(rows)
    more = "; --all shows those that ended" if hidden else "; `lorelint outbox show N` shows one"
    return listed(every) + more


def _entry(row: LetterRow, columns: int, ink: Ink) -> Iterator[str]:
    number = f"{row.id:>4}  "
    hang = " " * len(number)
    yield number + ink(cut(words(row.subject), columns - len(number)), "bold")
    yield from wrap(f"to {_people(row)}", columns, first=hang, rest=hang + "   ")
    lists = listed([clean(each) for each in row.inboxes])
    named = Counter(words(each) for each in row.rules)
    rules = [rule if number == 1 else f"{rule} ({number} times)" for rule, number in named.items()]
    about = f"{listed(rules) or 'no rule'}; over {lists}"
    yield from (ink(each, "dim") for each in wrap(about, columns, first=hang, rest=hang))
    for each in _reasons(row):
        yield from wrap(each, columns, first=hang + "- ", rest=hang + "  ")


def _reasons(row: LetterRow) -> Iterator[str]:
    """Why it is where it is."""
    yield from row.why
    if row.state in (Letter.HELD, Letter.RELEASED) and row.not_before > row.created_at:
        yield f"not before {when(row.not_before)}"
    if row.state is Letter.HELD and not row.why:
        yield "the policy leaves it to a person"
    if row.state is Letter.RELEASED:
        yield f"released by {words(row.released_by)}, {when(row.released_at)}"
    if row.error:
        yield f"not taken, {many(row.attempts, 'attempt')}: {row.error}"
    if row.state is Letter.SENDING:
        yield f"since {when(row.sending_at)}"
    if row.state in (Letter.SENT, Letter.BOUNCED):
        yield when(row.sent_at)


def when(time: str) -> str:
    """``2026-11-02 09:15 UTC``."""
    return f"{time[:10]} {time[11:16]} UTC" if len(time) >= 16 else "no time"


def _people(row: LetterRow) -> str:
    everybody = [person(each) for each in (*row.to, *row.cc)]
    if len(everybody) <= PEOPLE + 1:
        return listed(everybody) or "nobody"
    return listed([*everybody[:PEOPLE], f"{len(everybody) - PEOPLE} more"])


def person(who: tuple[str, str]) -> str:
    return f"{words(who[0])} <{clean(who[1])}>" if who[0].strip() else clean(who[1])


def letter(row: LetterRow, policy: Policy, faults: Sequence[str], *, columns: int, colour: bool = False) -> str:
    """One letter: where it stands, then the mail as its reader will see it."""
    ink = Ink(colour)
    lines = [ink(f"letter {row.id}, {_SAYS[row.state]}", _STYLE.get(row.state, "title"))]
    for each in _reasons(row):
        lines += wrap(each, columns, first="  - ", rest="    ")
    for each in faults:
        lines += [ink(line, "error") for line in wrap(f"cannot go: {each}", columns, first="  - ", rest="    ")]
    lines.append("")
    headers = [
        ("From", person((policy.sender_name, policy.sender)) if policy.sender else "(the policy names no sender)"),
        ("To", ", ".join(map(person, row.to))),
        ("Cc", ", ".join(map(person, row.cc))),
        ("Subject", words(row.subject)),
        ("Message-ID", f"<{clean(row.msgid)}>"),
        ("In-Reply-To", f"<{clean(row.patch)}>"),
    ]
    for name, value in headers:
        if value:
            told = wrap(value, columns, first=f"{name}: ", rest="  ")
            lines += [ink(f"{name}:", "dim") + told[0][len(name) + 1 :], *told[1:]]
    lines.append("")
    lines += [ink(shown, "place") if line.startswith(">") else shown for line, shown in _body(row.body)]
    return "\n".join(lines) + "\n"


def _body(body: str) -> Iterator[tuple[str, str]]:
    for line in body.rstrip("\n").split("\n"):
        yield line, clean(line, tabs=True).expandtabs(8)


def document(rows: Iterable[LetterRow]) -> dict[str, Any]:
    """Letters as plain values."""
    return {"letters": [_document(row) for row in rows]}


def _document(row: LetterRow) -> dict[str, Any]:
    return {
        "letter": row.id,
        "state": row.state.value,
        "why": list(row.why),
        "in_reply_to": row.patch,
        "message_id": row.msgid,
        "subject": row.subject,
        "to": [{"name": name, "address": address} for name, address in row.to],
        "cc": [{"name": name, "address": address} for name, address in row.cc],
        "lists": list(row.inboxes),
        "rules": list(row.rules),
        "fingerprints": list(row.fingerprints),
        "automatic": row.automatic,
        "not_before": row.not_before,
        "created_at": row.created_at,
        "released_by": row.released_by,
        "released_at": row.released_at,
        "sending_at": row.sending_at,
        "sent_at": row.sent_at,
        "attempts": row.attempts,
        "error": row.error,
        "version": row.ruleset,
        "body": row.body,
    }


def step(what: str, row: LetterRow, text: str, *, columns: int, colour: bool = False) -> str:
    """What became of one letter in a pass of sending."""
    style = {"sent": "good", "found": "good", "would go": "good", "waits": "dim", "later": "warning", "held": "warning"}
    ink = Ink(colour)
    head = f"{row.id:>4}  "
    rest = " " * len(head)
    lines = [
        head + ink(what, style.get(what, "error")) + "  " + cut(words(row.subject), columns - len(head + what) - 2)
    ]
    lines += wrap(f"to {_people(row)}", columns, first=rest, rest=rest + "   ")
    if text:
        lines += wrap(text, columns, first=rest, rest=rest)
    return "\n".join(lines) + "\n"
