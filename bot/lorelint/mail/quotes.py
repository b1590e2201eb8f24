"""The body of a reply, taken apart: what its writer said, and which quoted lines each piece stands under. Pure.

Signatures, attribution lines, greetings, trailers, patches that are offered and marks of what was left out are no
speech; what stands below "Original Message" is a quote without marks. Time grows with the length of the body.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from msgspec import Struct, field

from lorelint.model.regex import regex

MAX_LINES = 20_000  # of one body
MAX_LINE = 1_000  # characters of one line that are looked at
MAX_TEXT = 6_000  # characters of one passage that are kept
MAX_PASSAGES = 500  # of one body
MAX_NAMES = 10  # depths of quotes whose writers are looked for
MAX_TOLD = 300  # characters of the line that names one

A_DIFF = "[a diff]"

_QUOTE = regex(r"[ \t]?(?:[A-Z]{2,3}(?=> ))?>(?:[ \t]{0,2}>)*")
_TRIM = regex(r"[\[(<{]*\s*(?:\.\.+|\u2026|(?:big |lots )?(?:snip|snipped|trim|trimmed|cut)\b.{0,40}?)\s*[\])>}]*")
_ORIGINAL = regex(
    r"\s*-{2,}\s*(?:Original|Forwarded) [Mm]essage\s*-{2,}\s*|_{16,}\s*|Begin forwarded message:\s*", re.IGNORECASE
)
_HEADER = regex(r"\*?(?:From|Sent|Date|To|Cc|Subject):\*?\s")
_TRAILER = regex(r"\s{0,8}[A-Z][\w-]{0,40}-by:\s.*|(?:Fixes|Link|Closes|Cc|Message-I[Dd]):\s.*")
_DIFF = regex(r"diff --git |--- a/|@@ -\d+")
_IN_DIFF = regex(r"[ +\-@\\]|diff |index |new file |deleted file |old mode |new mode |rename |similarity |\s*\Z")
_GREETING = regex(
    r"(?i:hi|hello|hey|dear|good (?:morning|day))\b[\s,]*"
    r"(?:(?:all|everyone|folks|there|and|&|\+|[A-Z\u00c0-\u00de][\w.'-]{0,30})[\s,]*){0,6}[:!.]?"
)
_CLOSING = regex(
    r"(?:many |best |kind |warm |with )*(?:thanks|thank you|thx|regards|cheers|best|br|sincerely|yours)\b"
    r"(?: a lot| in advance| again| very much| for(?: \w+){1,5})?[\s,.!-]*",
    re.IGNORECASE,
)
_WROTE = regex(
    r"(?:\b(?:wrote|writes|said|schrieb|a \u00e9crit|escribi\u00f3|ha scritto)|\u5199\u9053|\u5beb\u9053)"
    r"(?: am [^:]{0,40}|\s*\.\.\.)?\s*[:\uff1a]\s*\Z"
)
_OPENS = regex(r"(?:On|Am|Le|El|Il|Em|At|Op|\u5728|W dniu)\s|\d{4}[-/]\d\d?[-/]\d\d?")
_WHEN = r"\d{1,2}:\d\d(?::\d\d)?\s*(?:[AaPp][Mm])?(?:\s*[+-]\d{4})?(?:\s*\([A-Z]{1,5}\))?"
_DATED = rf"(?:.*{_WHEN}[\s,]+|(?:On|Am|Le)\s(?:.*\d{{4}}[\s,]+)?)?"
_NAME = regex(rf"{_DATED}(?P<name>[^<>]*?)\s*(?:<(?P<address>[^<>]*)>)?")


class Quoted(Struct, frozen=True):
    """A quoted line: its place in the body, how many marks stood before it, and what stood behind them."""

    at: int  # 1-based
    depth: int
    text: str


class Passage(Struct, frozen=True):
    """What was said in one go. `above` are the numbers, in `Reading.quoted`, of the lines it stands under."""

    at: int  # 1-based line of the body
    text: str
    lines: tuple[int, ...]  # 1-based, those that are speech
    above: range


class Reading(Struct, frozen=True):
    """One body. `names` are those in the attribution lines: depth of the quote -> (name, address)."""

    passages: tuple[Passage, ...]
    quoted: tuple[Quoted, ...]
    names: dict[int, tuple[str, str]]
    cut: bool = False  # something was too long to be read whole


class _Row(Struct):
    at: int
    depth: int  # 0: not quoted
    text: str
    speech: bool = False


class _State(Struct):
    rows: list[_Row] = field(default_factory=list)
    names: dict[int, tuple[str, str]] = field(default_factory=dict)


def read(body: str, name: str = "") -> Reading:
    """Take a body apart. `name` is its writer's: a line that holds but that is no speech."""
    lines = body.split("\n")
    state = _State([_row(at, line[:MAX_LINE]) for at, line in enumerate(lines[:MAX_LINES], 1)])
    _unmarked_quote(state.rows)
    _attributions(state)
    _speech(state.rows, name)
    passages, quoted = _passages(state.rows)
    return Reading(passages[:MAX_PASSAGES], quoted, state.names, len(lines) > MAX_LINES or len(passages) > MAX_PASSAGES)


def _row(at: int, line: str) -> _Row:
    line = line.rstrip("\r\n")
    mark = _QUOTE.match(line)
    if not mark:
        return _Row(at, 0, line)
    rest = line[mark.end() :]
    return _Row(at, mark.group().count(">"), rest[1:] if rest.startswith(" ") else rest)


def _unmarked_quote(rows: Sequence[_Row]) -> None:
    """What stands below "Original Message", or below the headers of a mail, is quoted, marked or not."""
    for number, row in enumerate(rows):
        if row.depth:
            continue
        heads = sum(1 for each in rows[number : number + 6] if not each.depth and _HEADER.match(each.text))
        if _ORIGINAL.fullmatch(row.text) or (row.text.startswith(("From:", "*From:")) and heads >= 3):
            for each in rows[number:]:
                each.depth += 1
            return


def _attributions(state: _State) -> None:
    """Lines that say who wrote what is quoted below them: taken for a quote, so that they are no speech."""
    rows = state.rows
    below = _depth_below(rows)
    for number, row in enumerate(rows):
        if below[number] <= row.depth or not _WROTE.search(row.text):
            continue
        first = number
        while not _OPENS.match(rows[first].text.lstrip("*")) and first > 0 and number - first < 3:
            if rows[first - 1].depth != row.depth or not rows[first - 1].text.strip():
                break
            first -= 1
        if not _OPENS.match(rows[first].text.lstrip("*")):
            first = number
        if row.depth + 1 not in state.names and row.depth < MAX_NAMES:
            told = " ".join(each.text.strip() for each in rows[first : number + 1])
            state.names[row.depth + 1] = _named(_WROTE.sub("", told)[:MAX_TOLD])
        for each in rows[first : number + 1]:
            each.depth, each.text = row.depth + 1, ""


def _depth_below(rows: Sequence[_Row]) -> list[int]:
    """For each line the depth of the next line that is not blank; 0 at the end."""
    below = [0] * len(rows)
    for number in range(len(rows) - 2, -1, -1):
        after = rows[number + 1]
        below[number] = after.depth if after.text.strip() else max(after.depth, below[number + 1])
    return below


def _named(told: str) -> tuple[str, str]:
    found = _NAME.fullmatch(told.strip())
    if not found:
        return "", ""
    return found["name"].strip(" ,\"'"), (found["address"] or "").strip()


def _speech(rows: Sequence[_Row], name: str) -> None:
    """Mark the lines that were said."""
    own = _words(name)
    in_diff = signed = False
    for row in rows:
        if row.depth:
            in_diff = False
            continue
        text = row.text.strip()
        if row.text.rstrip() == "--":
            signed = True
        if signed or (in_diff and _IN_DIFF.match(row.text)):
            continue
        in_diff = bool(_DIFF.match(row.text))
        if in_diff:
            row.text, row.speech = A_DIFF, True
            continue
        row.speech = bool(text) and not _courtesy(text) and not (own and _words(text) <= own)


def _courtesy(text: str) -> bool:
    return any(form.fullmatch(text) for form in (_TRIM, _TRAILER, _GREETING, _CLOSING))


def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", text.lower()))


def _passages(rows: Sequence[_Row]) -> tuple[tuple[Passage, ...], tuple[Quoted, ...]]:
    quoted: list[Quoted] = []
    passages: list[Passage] = []
    said: list[_Row] = []
    start = 0  # first quoted line that the next passage stands under

    def close() -> None:
        nonlocal start
        if any(row.speech for row in said):
            lines = tuple(row.at for row in said if row.speech)
            passages.append(Passage(lines[0], _text(said), lines, range(start, len(quoted))))
            start = len(quoted)
        said.clear()

    for row in rows:
        if row.depth:
            if row.text.strip():
                close()
                quoted.append(Quoted(row.at, row.depth, row.text))
        else:
            said.append(row)
    close()
    return tuple(passages), tuple(quoted)


def _text(said: Sequence[_Row]) -> str:
    """Paragraphs of speech, one empty line between, cut where it is very long."""
    out: list[str] = []
    for row in said:
        if row.speech:
            out.append(row.text.rstrip())
        elif not row.text.strip() and out and out[-1]:
            out.append("")
    text = "\n".join(out).strip("\n")
    return text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + " [...]"


def unquoted(reading: Reading, depth: int = 1) -> Iterator[str]:
    """The quoted mail as far as the quotes show it: lines with `depth` marks taken off."""
    for each in reading.quoted:
        if each.depth >= depth:
            marks = ">" * (each.depth - depth)
            yield f"{marks} {each.text}" if marks else each.text
