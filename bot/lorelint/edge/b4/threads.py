"""Mails to threads, series and patches.

What a revision is, which patch is which, the cover letter, partial rerolls, and trailers given in
replies are b4's (0.16) to say. It is fed stand-ins: the real mail's Message-ID, references, sender, date
and subject, cleaned, with only those lines of the body that b4 looks at. So nothing in a stranger's
mail can make it raise, ask the network, start a program, read the user's configuration (we never
call `b4.setup_config`), or spend time that grows with the square of a body's length.
"""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Container, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime

import b4
from msgspec import Struct
from msgspec.structs import replace

from lorelint.edge.letters import Letter, mail_parser, open_letter
from lorelint.edge.mailbox import Mail
from lorelint.mail.body import lines_of_transport, unflow
from lorelint.mail.choose import Found, in_order
from lorelint.mail.diff import Diffs, parse_diff
from lorelint.mail.patch import make_patch, ranges
from lorelint.mail.render import render
from lorelint.mail.threads import MAX_POSTINGS, Node, acyclic_parents, part_lanes, part_threads
from lorelint.model.mail import BaseHint, Message, Series, Thread
from lorelint.model.regex import regex
from lorelint.model.trouble import Trouble

MAX_BODY = 8 << 20  # characters of one body that are looked at
MAX_SUBJECT = 500
MAX_DEPTH = 20  # answers upon answers whose trailers count
MAX_ANSWERS = 2_000
MAX_REROLLS = 3  # newest revisions that may be partial rerolls; the older ones are not reviewed
_MAX_REPLY = 8 << 10  # characters of a reply in which b4 looks for trailers
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MARKS = regex(r"(?:base-commit|change-id|prerequisite-patch-id|prerequisite-base-commit):\s", re.IGNORECASE)
_TRAILER = regex(r"\s{0,8}\w\S{0,60}:\s+\S|<[^>]+>\s*$|\s*\[[^\]]+\]\s*$")
_LIST_TAG = regex(r"((?:\[[^\]]*\]\s*)+)((?:re|aw|fwd)(?:\[\d+\])?:\s*|\w{2,3}:\s*(?=\[))", re.IGNORECASE)
_COMMIT = regex(r"[0-9a-f]{7,64}")


class _Item(Struct):
    """A mail in all its forms."""

    letter: Letter
    message: Message
    subject: str  # as b4 is to see it
    has_diff: bool
    stand_in: EmailMessage | None = None
    node: Node | None = None


def read_threads(mails: Sequence[Mail], source: str, named: str = "") -> tuple[Thread, ...]:
    """The strict threads among some mails, in the order of their first mails.

    `named` is a message-id: only its thread is given, and its series comes last. Troubles of a mail
    that is a patch are on the patch, those of cover letters on the series, the rest on the thread.
    """
    with _quiet():
        items, troubles = _open(mails)
        nodes = [_node(item) for item in items.values()]
        threads = []
        for group in part_threads(nodes):
            if named and named not in {node.msgid for node in group}:
                continue
            threads.append(_thread([items[node.msgid] for node in group], source, named))
    if threads and troubles:
        threads[0] = replace(threads[0], troubles=(*troubles, *threads[0].troubles))
    return tuple(threads)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """No network, and b4's log kept off the user's terminal."""
    log = logging.getLogger("b4")
    before = (b4.can_network, log.propagate, log.disabled)
    b4.can_network, log.propagate, log.disabled = False, False, True
    try:
        yield
    finally:
        b4.can_network, log.propagate, log.disabled = before


# Mails, each for itself


def _open(mails: Sequence[Mail]) -> tuple[dict[str, _Item], tuple[Trouble, ...]]:
    """The mails by message-id, oldest first, each once."""
    items: dict[str, _Item] = {}
    troubles = []
    for mail in mails:
        item = _item(open_letter(mail))
        msgid = item.letter.msgid
        if msgid in items:
            if items[msgid].message.body != item.message.body:
                text = "two mails with this Message-ID differ; the first was read"
                troubles.append(Trouble("duplicate", msgid, text))
            continue
        items[msgid] = item
    ordered = list(items.values())
    _number_local(ordered)
    # Stable: what has no date, or was never mailed, stays where it stood.
    if not all(item.letter.local for item in ordered):
        ordered.sort(key=lambda item: item.letter.date or _EPOCH)
    return {item.letter.msgid: item for item in ordered}, tuple(troubles)


def _item(letter: Letter) -> _Item:
    body = _body(letter)
    message = Message(
        msgid=letter.msgid,
        subject=letter.subject,
        from_name=letter.sender[0],
        from_addr=letter.sender[1],
        date="" if letter.date is None else letter.date.strftime("%Y-%m-%dT%H:%M:%SZ"),
        in_reply_to=letter.in_reply_to,
        references=letter.references,
        to=letter.to,
        cc=letter.cc,
        body=body,
        raw=letter.raw,
    )
    # A list that tags subjects puts its tag before "Re:", where b4 does not see the reply any more.
    subject = letter.subject[:MAX_SUBJECT]
    tagged = _LIST_TAG.match(subject)
    if tagged and not re.search(r"patch|rfc|\bv\d", tagged.group(1), re.IGNORECASE):
        subject = tagged.group(2) + subject[tagged.end() :]
    return _Item(letter, message, subject, b4.DIFF_RE.search(body) is not None)


def _body(letter: Letter) -> str:
    try:
        text, _ = b4.LoreMessage.get_payload(letter.parsed)
    except (RecursionError, ValueError, LookupError, TypeError, AttributeError, AssertionError) as error:
        letter.trouble("unreadable", f"the body cannot be decoded: {type(error).__name__}")
        return ""
    if len(text) > MAX_BODY:
        letter.trouble("too-large", f"only the first {MAX_BODY} characters of the body were read")
        text = text[:MAX_BODY]
    text, changed = lines_of_transport(text)
    if changed and letter.bare_lines:
        letter.trouble("mangled", "lines ended in CR LF; the CR was dropped")
    _attached(letter, text)
    if letter.flowed and b4.DIFF_RE.search(text):
        text = _unflowed(letter, text)
    return text


def _attached(letter: Letter, text: str) -> None:
    """b4 prefers the last part that holds a diff; say so where that hides something."""
    if len(letter.diff_parts) > 1:
        letter.trouble("attachment", f"{len(letter.diff_parts)} parts hold a diff; only the last was read")
    elif letter.diff_parts and letter.diff_parts[0]:
        letter.trouble("attachment", f"the diff was taken from an attached file: {letter.diff_parts[0]}")


def _unflowed(letter: Letter, text: str) -> str:
    """Many mails say format=flowed and are not. Undo it only where the diff is whole after it, or the better for it.

    Where the mail is not flowed, undoing takes the mark from every context line and so breaks the diff.
    """
    undone = unflow(text, letter.delsp)
    before, after = parse_diff(text), parse_diff(undone)
    if len(after.files) < len(before.files) or render(after.files) == render(before.files):
        return text
    if _damage(after) and _damage(after) >= _damage(before):
        return text
    letter.trouble("mangled", "sent as format=flowed; undone")
    return undone


def _damage(diffs: Diffs) -> int:
    return sum(trouble.kind == "mangled" for trouble in diffs.troubles)


def _number_local(items: Sequence[_Item]) -> None:
    """Patch files without numbers (git format-patch -N), given together, are a series in that order."""
    patches = [item for item in items if item.letter.local and item.has_diff]
    if len(patches) < 2 or any(re.match(r"\[[^\]]*\d+/\d+[^\]]*\]", item.subject) for item in patches):
        return
    for at, item in enumerate(patches, 1):
        bare = re.sub(r"^\s*(?:\[[^\]]*\]\s*)+", "", item.subject)
        item.subject = f"[PATCH {at}/{len(patches)}] {bare}"


# What b4 and the threading see of a mail


def _stand_in(item: _Item, in_reply_to: str) -> EmailMessage:
    """The mail as b4 is to see it."""
    head = b"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n"
    message = mail_parser().parsebytes(head + _reduced(item).encode("utf-8", "replace"))
    letter = item.letter
    # What still looks like an encoded word could not be decoded; b4 would try, and raise.
    name = re.sub(r'[\\"\r\n]|=\?', " ", letter.sender[0])
    address = re.sub(r"[<>\s]|=\?", "", letter.sender[1])
    message["Message-Id"] = f"<{letter.msgid}>"
    message["Subject"] = item.subject.replace("=?", "= ?")
    message["From"] = f'"{name}" <{address}>'
    message["Date"] = format_datetime(letter.date or _EPOCH)
    if in_reply_to:
        message["In-Reply-To"] = f"<{in_reply_to}>"
    references = [f"<{each}>" for each in letter.references[-MAX_SUBJECT:] if "=?" not in each]
    if references:
        message["References"] = " ".join(references)
    return message


def _reduced(item: _Item) -> str:
    """The lines of the body that b4 looks at: signs of a diff and a diffstat, base, identity, trailers."""
    lines = item.message.body.split("\n")
    out = ["", *(line for line in lines if _MARKS.match(line))][:200]
    if any(b4.DIFFSTAT_RE.match(line) for line in lines if len(line) < 200 and "file" in line):
        out.append(" 1 file changed, 1 insertion(+)")
    if item.has_diff:
        # Trailers count in replies only, and those of the patch itself are in its message.
        return "\n".join([*out, "diff --git a/x b/x", ""])
    own = [
        line[:400] for line in lines if line[:1] not in (">", "|") and _TRAILER.match(line) and not _MARKS.match(line)
    ]
    text = "\n".join(own[:200])
    return "\n".join([*out, text[:_MAX_REPLY], ""])


def _node(item: _Item, in_reply_to: str | None = None) -> Node:
    """b4's reading of the subject, and where the mail stands."""
    letter = item.letter
    item.stand_in = _stand_in(item, letter.in_reply_to if in_reply_to is None else in_reply_to)
    read = b4.LoreMessage(item.stand_in)
    cover = read.counter == 0 and (not read.counters_inferred or read.has_diffstat)
    item.node = Node(
        msgid=letter.msgid,
        parent=letter.in_reply_to if in_reply_to is None else in_reply_to,
        references=letter.references,
        author="local" if letter.local else letter.sender[1].lower(),
        time=0.0 if letter.date is None else letter.date.timestamp(),
        posted=not read.reply and (cover or read.has_diff),
        reply=read.reply,
        version=read.revision,
        counter=read.counter,
        expected=read.lsubject.expected,
        unversioned=read.revision_inferred,
        unnumbered=read.counters_inferred,
        resend=read.lsubject.resend,
    )
    return item.node


# Threads and series


def _thread(items: Sequence[_Item], source: str, named: str) -> Thread:
    by_id = {item.letter.msgid: item for item in items}
    parent, broken = acyclic_parents([item.node for item in items if item.node])
    troubles = [Trouble("reference-loop", msgid, "its references go in a circle") for msgid in broken]
    for msgid in broken:
        _node(by_id[msgid], "")
    nodes = [item.node for item in items if item.node]
    found: list[Found] = []
    covers: list[str] = []
    for at, lane in enumerate(part_lanes(nodes, parent)):
        series, lonely = _lane([by_id[node.msgid] for node in lane], troubles)
        found += [Found(at, each, frozenset(node.msgid for node in lane)) for each in series]
        covers += lonely
    series_of_thread = in_order(found, named, parent)
    in_series = {patch.msgid for each in series_of_thread for patch in each.patches}
    in_series |= {each.cover.msgid for each in series_of_thread if each.cover}
    troubles += _left_out(items, in_series)
    if not series_of_thread:
        reason = f"a cover letter only ({covers[0]})" if covers else "no mail of this thread holds a patch"
        troubles.append(Trouble("no-patch", items[0].letter.msgid, reason))
    messages = tuple(item.message for item in items)
    return Thread(source, messages, series_of_thread, tuple(troubles))


def _left_out(items: Sequence[_Item], in_series: Container[str]) -> Iterator[Trouble]:
    """What is worth telling of mails that are in no series."""
    patches = posted = 0
    for item in items:
        posted += item.node is not None and item.node.posted
        if item.letter.msgid in in_series:
            continue
        yield from (each for each in item.letter.troubles if each.kind not in ("charset", "mangled", "attachment"))
        if item.has_diff and item.node is not None and item.node.posted:
            patches += item.node.counter > 0
        elif item.has_diff:
            yield Trouble("diff-in-reply", item.letter.msgid, "a reply holds a diff, which is not reviewed")
    if patches:
        text = f"patches that are in no series that can be made out, not reviewed: {patches}"
        yield Trouble("too-large" if posted > MAX_POSTINGS else "unreadable", items[0].letter.msgid, text)


def _lane(items: Sequence[_Item], troubles: list[Trouble]) -> tuple[list[Series], list[str]]:
    """The series b4 makes of one lane, and its cover letters without a patch."""
    by_id = {item.letter.msgid: item for item in items}
    box = _box(items)
    series = []
    for version in sorted(box.series):
        assembled = _assembled(box, version, items)
        if assembled is None:
            troubles.append(Trouble("unreadable", items[0].letter.msgid, f"b4 cannot assemble version {version}"))
            continue
        made = _series(assembled, by_id)
        if made is not None:
            series.append(made)
    alone = [cover for version, cover in sorted(box.covers.items()) if version not in box.series]
    lonely = [f"0/{cover.expected}: {_shown(cover.subject)}" for cover in alone]
    return series, lonely


def _box(items: Sequence[_Item]) -> b4.LoreMailbox:
    box = b4.LoreMailbox()
    for item in items:
        if item.stand_in is not None:
            box.add_message(item.stand_in)
    depth: dict[str, int] = {}
    for read in box.msgid_map.values():
        # b4 starts git for the patch-id of every patch, to carry trailers over from other
        # revisions. An empty one stops that; nothing here needs those.
        read._git_patch_id = ""
        # Every answer adds the trailers of all it answers: with no bound, that grows with the square.
        depth[read.msgid] = depth.get(read.in_reply_to or "", 0) + 1
        if depth[read.msgid] > MAX_DEPTH or len(depth) > MAX_ANSWERS:
            read.trailers = []
    return box


def _assembled(box: b4.LoreMailbox, version: int, items: Sequence[_Item]) -> b4.LoreSeries | None:
    """One revision, with what a partial reroll takes from the one before.

    `get_series` must be called once only for a revision: it puts the cover letter in again, and
    moves the patches. So a reroll, which asks for the older ones, works on a mailbox of its own.
    b4 makes no promise of what it raises, and may exit; then it is tried again without rerolls.
    """
    recent = version in sorted(box.series)[-MAX_REROLLS:]
    if recent and not box.series[version].complete and version - 1 in box.series:
        series = _asked(_box(items), version, reroll=True)
        if series is not None and series.partial_reroll:
            return series
    return _asked(box, version, reroll=False)


def _asked(box: b4.LoreMailbox, version: int, reroll: bool) -> b4.LoreSeries | None:
    try:
        series = box.get_series(version, reroll=reroll, codereview_trailers=False)
        if series is not None:
            series.add_cover_trailers()
    except (Exception, SystemExit):
        return None
    return series


def _series(assembled: b4.LoreSeries, by_id: Mapping[str, _Item]) -> Series | None:
    """b4's series as a value."""
    troubles: list[Trouble] = []
    patches = []
    for seq, read in enumerate(assembled.patches):
        if seq == 0 or read is None:
            continue
        item = by_id[read.msgid]
        trailers = tuple(dict.fromkeys(trailer.as_string() for trailer in read.followup_trailers))
        patches.append(make_patch(seq, item.message, read.subject, tuple(item.letter.troubles), trailers))
    if not patches:
        return None
    first = assembled.patches[0]
    cover = by_id[first.msgid] if first is not None and first.msgid in by_id else None
    key = cover.message if cover else patches[0].mail
    if cover:
        troubles += cover.letter.troubles
    hint = _hint(assembled, key.msgid, troubles)
    troubles += _gaps(assembled, key.msgid)
    return Series(
        key=hint.change_id or key.msgid,
        version=assembled.revision,
        subject=(first.subject if first is not None and cover else patches[0].subject),
        author=(cover.message.from_name, cover.message.from_addr) if cover else patches[0].author,
        expected=max(assembled.expected, len(patches)),
        patches=tuple(patches),
        cover=cover.message if cover else None,
        hint=hint,
        troubles=tuple(troubles),
    )


def _hint(assembled: b4.LoreSeries, where: str, troubles: list[Trouble]) -> BaseHint:
    base = (assembled.base_commit or "").lower()
    if base and not _COMMIT.fullmatch(base):
        troubles.append(Trouble("mangled", where, "the base-commit line holds no commit id"))
        base = ""
    prerequisites = tuple(each for each in assembled.prereq_patch_ids or () if _COMMIT.fullmatch(each))
    change_id = assembled.change_id or ""
    return BaseHint(base, prerequisites, change_id if re.fullmatch(r"[\w.+@:/-]{1,200}", change_id) else "")


def _gaps(assembled: b4.LoreSeries, where: str) -> Iterator[Trouble]:
    """What is missing, and what was taken from an older revision."""
    expected = assembled.expected
    missing = [at for at in range(1, expected + 1) if at >= len(assembled.patches) or assembled.patches[at] is None]
    if missing:
        text = f"{len(missing)} of {expected} patches are missing: {ranges(missing)}"
        yield Trouble("incomplete-series", where, text)
    older: dict[int, list[int]] = {}
    for at, read in enumerate(assembled.patches):
        version = getattr(read, "reroll_from_revision", None)
        if at and version is not None and version != assembled.revision:
            older.setdefault(version, []).append(at)
    for version, places in sorted(older.items()):
        yield Trouble("partial-reroll", where, f"taken from version {version}: {ranges(places)}")


def _shown(text: str) -> str:
    """A stranger's words, cut, with nothing in them that a terminal would obey."""
    return "".join(char if char.isprintable() else "?" for char in text[:80])
