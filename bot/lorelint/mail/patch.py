"""One patch mail as a value."""

from __future__ import annotations

from collections.abc import Sequence

from lorelint.mail.body import odd_characters, read_head
from lorelint.mail.diff import parse_diff
from lorelint.model.mail import Message, Patch
from lorelint.model.trouble import Trouble


def make_patch(
    seq: int, message: Message, subject: str, troubles: tuple[Trouble, ...] = (), followups: tuple[str, ...] = ()
) -> Patch:
    """The patch in a mail. `subject` is without prefix; `troubles` are those of the mail itself.

    An author or a subject in the body wins over the headers, as it does for git-am(1).
    """
    head = read_head(message.body)
    diffs = parse_diff(message.body, message.msgid)
    found = [*troubles, *diffs.troubles, *odd_characters(message.body, diffs.files, message.msgid)]
    if not diffs.files:
        found.append(Trouble("mangled", message.msgid, "looks like a patch, but no change of a file can be read"))
    elif not any(file.path.endswith((".c", ".h")) for file in diffs.files):
        found.append(Trouble("not-c", message.msgid, "touches no C file"))
    return Patch(
        seq=seq,
        msgid=message.msgid,
        subject=head.subject or subject,
        author=head.author if head.author[1] else (message.from_name, message.from_addr),
        message=head.message,
        body=message.body,
        diffs=diffs.files,
        mail=message,
        troubles=tuple(dict.fromkeys(found)),
        followups=followups,
    )


def ranges(numbers: Sequence[int]) -> str:
    """Ascending numbers as a person would write them: ``1-3, 7``."""
    out: list[list[int]] = []
    for number in numbers:
        if out and out[-1][-1] == number - 1:
            out[-1] = [out[-1][0], number]
        else:
            out.append([number])
    return ", ".join("-".join(str(each) for each in span) for span in out)
