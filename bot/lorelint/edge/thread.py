"""One door for whatever a user names: a file, a mailbox, a message-id, an address, or standard input."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from msgspec.structs import replace

from lorelint.edge.b4.threads import read_threads
from lorelint.edge.hush import hush
from lorelint.edge.letters import open_letter
from lorelint.edge.lore import bare_msgid, split_url
from lorelint.edge.mailbox import Mail, Mailbox, read_path, read_paths, read_stream
from lorelint.model.archive import Lore
from lorelint.model.errors import LorelintError
from lorelint.model.mail import Thread
from lorelint.model.regex import regex
from lorelint.model.trouble import Trouble

_MSGID = regex(r"(?:(?:message-id|mid|id|rfc822msgid)\s*:\s*)?<?[^<>\s]+@[^<>\s]+>?", re.IGNORECASE)


def open_thread(source: str, stdin: BinaryIO | None = None, lore: Lore | None = None) -> tuple[Thread, ...]:
    """The strict threads that a source holds; of each, the last series is the one to review.

    `source` is a path (mbox, mboxrd, Maildir, mail, patch file, directory of those; gzipped or not),
    a message-id, the address of a message in an archive, or ``-``. On standard input one mail brings
    its whole thread from the archive, where there is one; several are a mailbox.
    Raises LorelintError: cannot be read, no mail in it, no such message, archive out of reach.
    """
    hush()
    if source == "-":
        if stdin is None:
            raise LorelintError("standard input is closed", remedy="pipe a mail or a mailbox into the command")
        return _piped(read_stream(stdin, "standard input"), lore)
    if "://" in source:
        return _fetched(source, split_url(source)[1], lore)
    path = Path(source)
    try:
        exists = path.exists()
    except (OSError, ValueError):
        exists = False
    if exists:
        return _threads(read_path(path), source)
    if _MSGID.fullmatch(source.strip()):
        return _fetched(source, bare_msgid(source), lore)
    raise LorelintError(
        "no such file, and not a message-id or address",
        where=ascii(source[:200])[1:-1],
        remedy="name a mailbox, a patch file, a message-id or https://lore.kernel.org/all/MESSAGE-ID/",
    )


def open_files(paths: Sequence[Path]) -> tuple[Thread, ...]:
    """Several mail or patch files as one mailbox. Raises LorelintError as `open_thread` does."""
    hush()
    return _threads(read_paths(paths), " ".join(str(path) for path in paths))


def _threads(box: Mailbox, source: str, named: str = "", extra: tuple[Trouble, ...] = ()) -> tuple[Thread, ...]:
    threads = read_threads(box.mails, source, named)
    troubles = (*box.troubles, *extra)
    if threads and troubles:
        threads = (replace(threads[0], troubles=(*troubles, *threads[0].troubles)), *threads[1:])
    return threads


def _fetched(source: str, msgid: str, lore: Lore | None) -> tuple[Thread, ...]:
    if lore is None:
        raise LorelintError("no archive to fetch it from", where=source, remedy="set lore.url, or name a mailbox file")
    messages = lore.thread(source)
    threads = _threads(Mailbox(tuple(Mail(raw) for raw in messages)), source, msgid)
    if not threads:
        raise LorelintError(
            "the archive's answer does not hold this message", where=source, remedy="check the message-id"
        )
    return threads


def _piped(box: Mailbox, lore: Lore | None) -> tuple[Thread, ...]:
    """One mail from a mail reader brings its thread; a patch that was never mailed has none."""
    if len(box.mails) > 1 or box.mails[0].local or lore is None:
        return _threads(box, "-")
    letter = open_letter(box.mails[0])
    if any(trouble.kind == "no-message-id" for trouble in letter.troubles):
        return _threads(box, "-")
    try:
        fetched = lore.thread(letter.msgid)
    except LorelintError as error:
        alone = _threads(box, "-")
        if not any(thread.series for thread in alone):
            raise
        return _threads(box, "-", extra=(Trouble("alone", letter.msgid, f"its thread was not fetched: {error.what}"),))
    # The archive's copy is preferred: what a list sent to a subscriber may have a footer under it.
    whole = tuple(Mail(raw) for raw in fetched)
    return _threads(Mailbox(whole), "-", letter.msgid) or _threads(Mailbox((*whole, *box.mails)), "-", letter.msgid)
