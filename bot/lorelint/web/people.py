"""Who somebody is and what he may do: roles by name, sessions in memory, tokens in a file."""

from __future__ import annotations

import hmac
import re
import secrets
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from enum import IntEnum

from msgspec import Struct, field

from lorelint.config import ServeConfig
from lorelint.model.errors import LorelintError
from lorelint.model.regex import regex

EVERYBODY = "*"
SESSIONS = 5_000  # that are kept at once; the one that was idle longest goes first
HOURS = 12.0  # idle, then one has to come in again
SHORTEST = 24  # characters of a token
_NAME = regex(r"[A-Za-z0-9][\w.@+-]{0,99}", re.ASCII)


class Role(IntEnum):
    """What somebody may do, each with what those before may."""

    NOBODY = 0
    VIEWER = 1
    TRIAGER = 2
    RELEASER = 3

    @property
    def shown(self) -> str:
        return self.name.lower()


class User(Struct, frozen=True):
    """Somebody who has come in."""

    name: str
    role: Role


class Session(Struct):
    """One browser of somebody. `csrf` stands in each form that changes something."""

    user: User
    csrf: str
    used: float  # seconds, of the clock that `Sessions` was given


class Sessions(Struct):
    """Who has come in. A key is made here and nowhere else: one that a browser brings along is known, or is nothing."""

    kept: OrderedDict[str, Session] = field(default_factory=OrderedDict)

    def start(self, user: User, now: float) -> str:
        """The key of a new session."""
        while len(self.kept) >= SESSIONS:
            self.kept.popitem(last=False)
        key = secrets.token_urlsafe(32)
        self.kept[key] = Session(user, secrets.token_urlsafe(32), now)
        return key

    def get(self, key: str, now: float) -> Session | None:
        found = self.kept.get(key)
        if found is None:
            return None
        if now - found.used > HOURS * 3600:
            del self.kept[key]
            return None
        found.used = now
        self.kept.move_to_end(key)
        return found

    def end(self, key: str) -> None:
        self.kept.pop(key, None)


def role_of(name: str, settings: ServeConfig) -> Role:
    """What somebody may do by the settings."""
    granted = ((Role.RELEASER, settings.releasers), (Role.TRIAGER, settings.triagers), (Role.VIEWER, settings.viewers))
    return next((role for role, names in granted if name in names or EVERYBODY in names), Role.NOBODY)


def a_name(text: str) -> bool:
    """Whether it can be the name of somebody: what a proxy says is looked at, too."""
    return _NAME.fullmatch(text) is not None


def parse_tokens(text: str, where: str) -> dict[str, str]:
    """Token -> name, from lines `NAME TOKEN`. Raises LorelintError for anything else."""
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        parts = line.split()
        place = f"{where}:{number}"
        if len(parts) != 2 or not a_name(parts[0]):
            raise LorelintError("not a name and a token", where=place, remedy="write NAME TOKEN, one a line")
        if len(parts[1]) < SHORTEST:
            remedy = "make one: openssl rand -base64 32"
            raise LorelintError(f"a token of less than {SHORTEST} characters", where=place, remedy=remedy)
        if parts[1] in found:
            raise LorelintError("the token is another's, too", where=place, remedy="give each his own")
        found[parts[1]] = parts[0]
    if not found:
        raise LorelintError("holds no token", where=where, remedy="write NAME TOKEN, one a line")
    return found


def holder(token: str, tokens: Mapping[str, str]) -> str:
    """Whose token it is, "" for nobody's; each is compared whole, so time tells nothing."""
    found = ""
    for known, name in tokens.items():
        if hmac.compare_digest(known.encode(), token.encode("utf-8", "replace")):
            found = name
    return found


def somebody(settings: ServeConfig) -> Iterable[str]:
    """All who may do anything."""
    return (*settings.viewers, *settings.triagers, *settings.releasers)
