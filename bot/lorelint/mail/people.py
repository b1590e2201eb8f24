"""Who speaks in a mail: a reviewer, the author of the series, or a robot. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from lorelint.model.comment import Role
from lorelint.model.mail import Message, Series
from lorelint.model.regex import regex

_HEAD = 64 << 10  # bytes of a mail in which its headers are looked for

# Words that only programs have in their names and addresses; whole words, since Talbot and shazbot.org are none.
_BOT = r"(?:[a-z]+[-_])?(?:robot|bot)|syzbot|lkp|0-?day|kernelci|buildbot|jenkins|patchwork|lorelint"
_NAMED = regex(rf"(?<![\w-])(?:{_BOT})(?![\w-])", re.IGNORECASE)
_LOCAL = regex(
    rf"(?<![a-z0-9])(?:{_BOT}|ci|autotest|no-?reply|do-?not-?reply|mailer-daemon|postmaster|notifications?)(?![a-z0-9])",
    re.IGNORECASE,
)
# Auto-Submitted (RFC 3834) and what test systems put into their mails. Precedence says nothing: lists set it too;
# people write X-Patchwork-Hint: comment.
_AUTOMATIC = regex(
    rb"^(?:Auto-Submitted:[ \t]*(?!no\b)\w|X-Patchwork-Hint:[ \t]*ignore"
    rb"|X-(?:Syzbot|KernelTest|Bot)[\w-]*:|X-Mailer:[^\n]*\bbot\b)",
    re.IGNORECASE | re.MULTILINE,
)


class People:
    """Tells the people of one thread apart; `series` are those whose authors count as such."""

    def __init__(self, series: Iterable[Series]) -> None:
        self._addresses: set[str] = set()
        self._names: set[frozenset[str]] = set()
        for each in series:
            mails = [patch.mail for patch in each.patches] + ([each.cover] if each.cover else [])
            for name, address in [each.author, *((mail.from_name, mail.from_addr) for mail in mails)]:
                self._addresses.add(address.lower())
                self._names.add(_parts(name))
        self._addresses.discard("")

    def role(self, message: Message) -> Role:
        """Robots first: an author's own test system is no author."""
        if robot(message):
            return Role.ROBOT
        if message.from_addr.lower() in self._addresses:
            return Role.AUTHOR
        # "Boone, Max" from work and "Max Boone via B4 Relay" are one person; a lone first name is nobody's.
        parts = _parts(message.from_name)
        return Role.AUTHOR if len(parts) > 1 and parts in self._names else Role.REVIEWER


def robot(message: Message) -> bool:
    """Whether a program wrote a mail."""
    if _LOCAL.search(message.from_addr.partition("@")[0][:200]) or _NAMED.search(message.from_name[:200]):
        return True
    head = message.raw[:_HEAD].replace(b"\r\n", b"\n").partition(b"\n\n")[0]
    return _AUTOMATIC.search(head) is not None


def _parts(name: str) -> frozenset[str]:
    name = re.sub(r"\s+via\s.*|\(.*?\)", "", name, flags=re.IGNORECASE)
    return frozenset(re.findall(r"\w+", name.lower()))
