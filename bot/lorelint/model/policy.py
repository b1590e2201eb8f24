"""Who may get which words: the policy as a value. Without one, nobody gets any."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from lorelint.model.base import Grade
from lorelint.model.finding import Severity


class Audience(StrEnum):
    """How far the words of a list's policy go, each with those before it."""

    DASHBOARD = "dashboard"  # nobody gets mail
    AUTHOR = "author"  # the patch's author alone
    MAINTAINERS = "maintainers"  # and those whom MAINTAINERS names for the files
    LIST = "list"  # and the list


class ListPolicy(Struct, frozen=True):
    """What may be said about patches that came over one list.

    asked_by, asked_on  who of the list wanted it, and when (ISO date): no audience but the dashboard without
    release             "person": somebody lets each mail out; "automatic": the embargo's end does
    """

    name: str  # as in the settings
    address: str  # of the list
    line: int  # of the policy file, where its table starts
    lines: tuple[tuple[str, int], ...] = ()  # key -> line of the file, for `policy explain`
    asked_by: str = ""
    asked_on: str = ""
    audience: Audience = Audience.DASHBOARD
    stage: str = "list"  # rules must have come this far
    release: str = "person"
    minimum_confidence: float = 0.9
    minimum_severity: Severity = Severity.WARNING
    base: Grade = Grade.EXACT  # the worst grade of base that may be mailed about
    embargo_hours: float = 24.0
    daily_cap: int = 3
    max_age_days: float = 7.0
    floor: float = 0.8  # a rule that persons find right less often than this on the list is muted there by itself
    also_to: tuple[str, ...] = ()  # addresses that get every mail too
    patchwork: str = ""  # address of a Patchwork whose checks are set instead of mail, "" for mail


class Policy(Struct, frozen=True):
    """All of a policy file. The default lets nothing out."""

    where: str = ""  # the file, "" where there is none
    sender: str = ""  # the address mails are from, "" = none can be sent
    sender_name: str = "lorelint"
    domain: str = ""  # of our Message-IDs
    contact: str = ""  # where a person answers about the bot
    dry_run: bool = True
    hourly_cap: int = 10
    stop_file: str = ""  # nothing is sent while it exists
    ignored_authors: tuple[str, ...] = ()  # addresses, or @domain
    opted_out: tuple[str, ...] = ()
    lists: tuple[ListPolicy, ...] = ()
    lines: tuple[tuple[str, int], ...] = ()

    def of(self, name: str) -> ListPolicy | None:
        """The policy of a list by its name in the settings, or its address."""
        wanted = name.lower()
        return next((each for each in self.lists if wanted in (each.name.lower(), each.address.lower())), None)


class Ruling(Struct, frozen=True):
    """What the policy says of one line of it: `line` of `where` decided `text`."""

    text: str
    line: int = 0
    refuses: bool = False


class Decision(Struct, frozen=True):
    """What becomes of what there is to say about one patch.

    to, cc     addresses as they stand in the mail; both together are the envelope
    not_before RFC 3339; the embargo's end
    automatic  goes out by itself then; else a person releases it
    findings   fingerprints of what may be said: no list that it goes to mutes or holds back one of them
    """

    allowed: bool
    to: tuple[tuple[str, str], ...] = ()
    cc: tuple[tuple[str, str], ...] = ()
    not_before: str = ""
    automatic: bool = False
    lists: tuple[str, ...] = ()  # names of the lists whose policies let it out
    findings: tuple[str, ...] = ()
    patchwork: str = ""  # address of the Patchwork whose checks are set instead of mail
    rulings: tuple[Ruling, ...] = ()
    held: tuple[str, ...] = ()  # reasons why a person has to look
