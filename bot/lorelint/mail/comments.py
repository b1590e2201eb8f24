"""What people said of a series in its thread, each thing at the line it stands under. Pure.

A reply quotes what it answers. Where that is the patch, the last quoted line that the patch has is the place; where it
is another reply, the place is that of what was said there; where nothing is quoted, the patch as a whole. A mail that
the archive lacks is read from the quotes in its answers. Nothing that was said is left out, save courtesies.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import Struct, field
from msgspec.structs import replace

from lorelint.mail.align import Budget, Text, squeezed
from lorelint.mail.people import People
from lorelint.mail.quotes import Passage, Quoted, Reading, read, unquoted
from lorelint.model.comment import Anchor, Comment, Role
from lorelint.model.mail import Message, Patch, Series, Thread
from lorelint.model.trouble import Trouble

SAYING = 4  # words; a quoted line of fewer, found nowhere, is "Thanks," or a name
MAX_MAILS = 2_000  # of one thread whose replies are read, oldest first
MAX_READ = 400_000  # lines of replies, in one thread
MAX_COMMENTS = 5_000
MAX_CLIMB = 12  # mails above a reply among which a quoted line is looked for
MAX_HEIGHT = 200  # mails above a reply among which its patch is looked for
MAX_SEARCHED = 50_000_000  # characters of replies that are searched for pieces of quotes, in one thread
MAX_ALIGNED = 20_000_000  # quoted lines that are looked for, each in every mail above it, in one thread


class Heard(Struct, frozen=True):
    """All comments, oldest mail first, and what was too much to be read."""

    comments: tuple[Comment, ...]
    troubles: tuple[Trouble, ...] = ()


class _Mail(Struct):
    message: Message
    reading: Reading
    role: Role
    missing: bool
    owner: list[int] = field(default_factory=list)  # for each line of its speech the number of its comment
    comments: list[Comment] = field(default_factory=list)
    text: Text | None = None  # its speech, once it was heard


class _Posted(Struct, frozen=True):
    """A mail of a series: a patch, or its cover letter."""

    msgid: str
    patch: Patch | None
    lines: tuple[str, ...]
    text: Text
    places: Mapping[int, str]  # mail line of each hunk line -> path


def comments(thread: Thread) -> Heard:
    """What was said of the series of a thread, of any revision."""
    ours = {msgid for series in thread.series for msgid in _mails(series)}
    replies = [each for each in thread.messages if each.msgid not in ours]
    if not replies:
        return Heard(())
    posted = dict(_posted(thread.series))
    known = {each.msgid: each for each in thread.messages}
    mails = _read(replies, known, People(thread.series))
    talk = _Talk(posted, mails)
    for msgid in _from_the_root(mails):
        talk.hear(mails[msgid])
    found = [comment for mail in mails.values() for comment in mail.comments]
    return Heard(tuple(found[:MAX_COMMENTS]), tuple(_too_much(thread, replies, mails, len(found))))


def _read(replies: Sequence[Message], known: Mapping[str, Message], people: People) -> dict[str, _Mail]:
    """The replies by message-id, each taken apart, those that are missing here before their answers."""
    mails: dict[str, _Mail] = {}
    room = Budget(MAX_READ)
    for message in replies[:MAX_MAILS]:
        if not room.take(message.body.count("\n") + 1):
            break
        reading = read(message.body, message.from_name)
        lost = _missing(message, reading) if message.in_reply_to not in known else None
        if lost is not None and lost.msgid not in mails:
            mails[lost.msgid] = _Mail(lost, read(lost.body, lost.from_name), people.role(lost), missing=True)
        mails[message.msgid] = _Mail(message, reading, people.role(message), missing=False)
    return mails


def _too_much(thread: Thread, replies: Sequence[Message], mails: Mapping[str, _Mail], found: int) -> Iterator[Trouble]:
    unread = sum(1 for each in replies if each.msgid not in mails)
    if unread:
        yield Trouble("too-large", thread.source, f"{unread} of {len(replies)} replies were not read")
    if found > MAX_COMMENTS:
        yield Trouble("too-large", thread.source, f"only the first {MAX_COMMENTS} of {found} comments are told")
    for mail in mails.values():
        if mail.reading.cut:
            yield Trouble("too-large", mail.message.msgid, "only the first part of this reply was read")


def _mails(series: Series) -> Iterator[str]:
    if series.cover is not None:
        yield series.cover.msgid
    yield from (patch.msgid for patch in series.patches)


def _posted(every: Iterable[Series]) -> Iterator[tuple[str, _Posted]]:
    for series in every:
        if series.cover is not None:
            lines = tuple(series.cover.body.split("\n"))
            yield series.cover.msgid, _Posted(series.cover.msgid, None, lines, Text(lines), {})
        for patch in series.patches:
            lines = tuple(patch.body.split("\n"))
            places = {line.mail_line: diff.path for diff in patch.diffs for _, line in diff.lines()}
            yield patch.msgid, _Posted(patch.msgid, patch, lines, Text(lines), places)


def _missing(message: Message, reading: Reading) -> Message | None:
    """The mail above, as its answer quotes it."""
    body = "\n".join(unquoted(reading))
    if not message.in_reply_to or not body.strip():
        return None
    name, address = reading.names.get(1, ("", ""))
    above = tuple(each for each in message.references if each not in (message.in_reply_to, message.msgid))
    return replace(
        message,
        msgid=message.in_reply_to,
        from_name=name,
        from_addr=address,
        date="",
        in_reply_to=above[-1] if above else "",
        references=above,
        body=body,
        raw=b"",
    )


def _from_the_root(mails: Mapping[str, _Mail]) -> Iterator[str]:
    """Message-ids so that a mail comes after the one it answers; circles are broken where they were entered."""
    done: set[str] = set()
    for first in mails:
        path: list[str] = []
        at = first
        on_path: set[str] = set()
        while at in mails and at not in done and at not in on_path:
            path.append(at)
            on_path.add(at)
            at = mails[at].message.in_reply_to
        for msgid in reversed(path):
            done.add(msgid)
            yield msgid


class _Talk:
    """Places what is said, mail after mail."""

    def __init__(self, posted: Mapping[str, _Posted], mails: Mapping[str, _Mail]) -> None:
        self.posted = posted
        self.mails = mails
        self.searched = Budget(MAX_SEARCHED)
        self.aligned = Budget(MAX_ALIGNED)

    def hear(self, mail: _Mail) -> None:
        """Makes the comments of one mail; those it answers must have been made."""
        above = self._above(mail)
        home = next((self.posted[each] for each in above if each in self.posted), None)
        look = _Look(mail.reading.quoted, home, [self.mails.get(each) for each in above[:MAX_CLIMB]], self)
        spoken: list[str] = []
        for passage in mail.reading.passages:
            comment = self._start(mail, passage.at, passage.text, home)
            placed = (look.placed(comment, number) for number in look.under(passage))
            mail.comments.append(next((each for each in placed if each is not None), comment))
            lines = passage.text.split("\n")
            spoken += lines
            mail.owner += [len(mail.comments) - 1] * len(lines)
        mail.text = Text(spoken)

    def _above(self, mail: _Mail) -> list[str]:
        """The mails above one, nearest first, up to the patch."""
        found: list[str] = []
        at = mail.message.in_reply_to
        fallback = list(mail.message.references)
        while at and at not in found and len(found) < MAX_HEIGHT:
            if at not in self.mails and at not in self.posted:
                at = next((each for each in reversed(fallback) if each in self.mails or each in self.posted), "")
                fallback = []
                continue
            found.append(at)
            if at in self.posted:
                break
            fallback = list(self.mails[at].message.references)
            at = self.mails[at].message.in_reply_to
        return found

    def _start(self, mail: _Mail, at: int, text: str, home: _Posted | None) -> Comment:
        """A comment that has no place yet but the mail it answers."""
        message = mail.message
        anchor = Anchor.NONE if home is None else Anchor.PATCH if home.patch else Anchor.SERIES
        return Comment(
            msgid=message.msgid,
            name=message.from_name,
            address=message.from_addr,
            date=message.date,
            role=mail.role,
            at=at,
            text=text,
            anchor=anchor,
            of=home.msgid if home else "",
            patch=home.patch.seq if home and home.patch else 0,
            answers=message.in_reply_to if message.in_reply_to in self.mails else "",
            missing=mail.missing,
        )


class _Look:
    """Where the quoted lines of one reply come from: the patch, or a reply above.

    chain   the replies above, nearest first; None for a mail that is none
    """

    def __init__(
        self, quoted: Sequence[Quoted], home: _Posted | None, chain: Sequence[_Mail | None], talk: _Talk
    ) -> None:
        self.quoted = quoted
        self.home = home
        self.chain = chain
        texts = [each.text for each in quoted]
        nothing: list[int | None] = [None] * len(quoted)
        self.in_patch = home.text.find(texts) if home and talk.aligned.take(len(texts)) else nothing
        self.in_reply = [nothing] * len(chain)
        for at, mail in enumerate(chain):
            if mail is not None and mail.text is not None and talk.aligned.take(len(texts)):
                self.in_reply[at] = mail.text.find_prose(texts, talk.searched)

    def under(self, passage: Passage) -> Iterator[int]:
        """The quoted lines a passage stands under, nearest first; those before them, where these are but a name."""
        yield from reversed(passage.above)
        if passage.above and all(len(self.quoted[number].text.split()) < SAYING for number in passage.above):
            yield from range(passage.above.start - 1, -1, -1)

    def placed(self, comment: Comment, number: int) -> Comment | None:
        """The comment under one quoted line, None where that line is nobody's here.

        The marks before a line tell whose it is; mailers lose some, so the others are asked as well.
        """
        own = self.quoted[number].depth - 1
        if own < len(self.chain) and (said := self._said(comment, own, number)) is not None:
            return said
        found = self.in_patch[number]
        if self.home is not None and found is not None and squeezed(self.quoted[number].text).strip("+-"):
            return _at_line(comment, self.home, found)
        order = sorted(range(len(self.chain)), key=lambda at: abs(at - own))
        answers = (self._said(comment, at, number) for at in order)
        return next((said for said in answers if said is not None), None)

    def _said(self, comment: Comment, at: int, number: int) -> Comment | None:
        """The place of what was said in a reply above, where the line is from there."""
        mail, found = self.chain[at], self.in_reply[at][number]
        if mail is None or found is None:
            return None
        said = mail.comments[mail.owner[found]]
        return replace(
            comment,
            anchor=said.anchor,
            of=said.of,
            patch=said.patch,
            path=said.path,
            mail_line=said.mail_line,
            quote=said.quote,
            answers=said.msgid,
        )


def _at_line(comment: Comment, home: _Posted, found: int) -> Comment:
    """Under a line of the posted mail, given by its index."""
    text = home.lines[found]
    under = replace(comment, mail_line=found + 1, quote=text, answers="")
    if home.patch is None:
        return replace(under, anchor=Anchor.MESSAGE)
    if found + 1 in home.places:
        return replace(under, anchor=Anchor.LINE, path=home.places[found + 1])
    for diff in reversed(home.patch.diffs):
        if diff.mail_line <= found + 1:
            return replace(under, anchor=Anchor.FILE, path=diff.path)
    return replace(under, anchor=Anchor.MESSAGE)
