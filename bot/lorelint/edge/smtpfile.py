"""The file with the mail server of its own, which only `lorelint send` reads.

host = "mail.example.org"
port = 587
security = "starttls"          # "starttls", "tls", or "none" for a server on this machine
user = "bot"
password = "..."               # then nobody but the user may read the file
envelope_from = ""             # where bounces go [default: the policy's sender]
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tomli

from lorelint.edge.private import others_may_read
from lorelint.edge.smtp import Settings
from lorelint.model.errors import LorelintError

_KEYS = {"host": str, "port": int, "security": str, "user": str, "password": str, "envelope_from": str}
_SECURITY = ("none", "starttls", "tls")
_HERE = ("localhost", "127.0.0.1", "::1")


def smtp_file(path: Path) -> Settings:
    """The settings of a file. Raises LorelintError for one that is no such file, or that others may read."""
    try:
        there = path.stat()
        values = tomli.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        said = getattr(error, "strerror", None) or str(error)
        raise LorelintError(f"no settings of a mail server: {said}", where=str(path), remedy="mend the file") from error
    for key, value in values.items():
        _check(key, value, path)
    settings = Settings(**values) if values.get("host") else None
    if settings is None:
        raise LorelintError("names no mail server", where=str(path), remedy='write host = "mail.example.org"')
    if settings.password and others_may_read(there):
        raise LorelintError("others may read the password in it", where=str(path), remedy=f"chmod 600 {path}")
    if settings.user and settings.security == "none" and settings.host not in _HERE:
        what = "the password would cross the network unencrypted"
        raise LorelintError(what, where=str(path), remedy='write security = "starttls" or "tls"')
    return settings


def _check(key: str, value: Any, path: Path) -> None:
    if key not in _KEYS:
        raise LorelintError(f"unknown key {key!a}", where=str(path), remedy=f"the keys are {', '.join(_KEYS)}")
    wanted = _KEYS[key]
    if not isinstance(value, wanted) or isinstance(value, bool):
        kind = "a whole number" if wanted is int else "text"
        raise LorelintError(f"{key} is not {kind}", where=str(path), remedy=f"write {kind}")
    if key == "security" and value not in _SECURITY:
        known = ", ".join(f'"{each}"' for each in _SECURITY)
        raise LorelintError(f"{value!a} is no security", where=str(path), remedy=f"write one of {known}")
    if isinstance(value, int) and not 0 <= value <= 65_535:
        raise LorelintError("port is none", where=str(path), remedy="write a whole number up to 65535")
