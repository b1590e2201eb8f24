"""A mail server over SMTP, or a program that takes mail as sendmail does.

Each step of SMTP is taken by itself, for it matters at which one a line breaks: before the end of the mail nothing was
taken, and it may be tried again; behind it the server may have the mail, and nobody knows but the archive.
"""

from __future__ import annotations

import smtplib
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from lorelint.model.errors import LorelintError
from lorelint.model.post import Fate, Handed

TIMEOUT = 60.0  # seconds of silence of a server; the end of a mail may take it longer
AFTER_DATA = 600.0  # seconds (RFC 5321 4.5.3.2.6)
_MOST = 300  # characters of what a server says that are kept
_AGAIN = 75  # EX_TEMPFAIL of sysexits.h


@dataclass(frozen=True, slots=True)
class Settings:
    """One server. security: "none", "starttls" or "tls"."""

    host: str
    port: int = 0
    security: str = "none"
    user: str = ""
    password: str = field(default="", repr=False)
    envelope_from: str = ""


class Smtp:
    """The way to a server; implements `lorelint.model.post.Post`."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @contextmanager
    def connect(self) -> Iterator[SmtpServer]:
        """See `Post.connect`. Raises LorelintError."""
        settings = self.settings
        where = f"{settings.host}:{settings.port}" if settings.port else settings.host
        try:
            line = _open(settings)
        except (OSError, smtplib.SMTPException) as error:
            said = _said(error)
            raise LorelintError(f"the mail server takes nothing: {said}", where=where, remedy="see to it") from error
        try:
            yield SmtpServer(line, settings.envelope_from)
        finally:
            with suppress(OSError, smtplib.SMTPException):
                line.quit()
            line.close()


def _open(settings: Settings) -> smtplib.SMTP:
    """A line that has said hello, is encrypted and has logged in as far as the settings want it."""
    import ssl

    if settings.security == "tls":
        context = ssl.create_default_context()
        line: smtplib.SMTP = smtplib.SMTP_SSL(settings.host, settings.port, timeout=TIMEOUT, context=context)
    else:
        line = smtplib.SMTP(settings.host, settings.port, timeout=TIMEOUT)
    try:
        line.ehlo_or_helo_if_needed()
        if settings.security == "starttls":
            line.starttls(context=ssl.create_default_context())
            line.ehlo()
        if settings.user:
            line.login(settings.user, settings.password)
    except BaseException:
        line.close()
        raise
    return line


class SmtpServer:
    """A server that is connected; implements `lorelint.model.post.Server`."""

    def __init__(self, line: smtplib.SMTP, envelope_from: str = "") -> None:
        self._line = line
        self._from = envelope_from
        line.ehlo_or_helo_if_needed()
        self.eight_bit = line.has_extn("8bitmime")

    def hand(self, sender: str, recipients: Sequence[str], raw: bytes) -> Handed:
        """See `Server.hand`."""
        line = self._line
        try:
            eight = ["BODY=8BITMIME"] if self.eight_bit and not raw.isascii() else []
            code, said = line.mail(self._from or sender, eight)
            if code != 250:
                return self._not_taken(code, said)
            refused = []
            for each in recipients:
                code, said = line.rcpt(each)
                if code not in (250, 251):
                    refused.append((each, code, _text(code, said)))
            if len(refused) == len(recipients):
                self._reset()
                later = all(400 <= code < 500 for _, code, _ in refused)
                told = "; ".join(f"{each}: {text}" for each, _, text in refused)
                return Handed(Fate.LATER if later else Fate.NEVER, told[:_MOST])
            code, said = line.docmd("DATA")
            if code != 354:
                return self._not_taken(code, said)
        except (OSError, smtplib.SMTPException) as error:
            return Handed(Fate.LATER, _said(error))
        return self._data(raw, tuple((each, text) for each, _, text in refused))

    def _data(self, raw: bytes, refused: tuple[tuple[str, str], ...]) -> Handed:
        """The mail itself. From its last line on, nobody can say any more that it was not taken."""
        line = self._line
        try:
            wire = raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n").replace(b"\r\n.", b"\r\n..")
            line.send(wire[1:] if wire.startswith(b"..") else wire)
            if line.sock is not None:
                line.sock.settimeout(AFTER_DATA)
            line.send(b".\r\n")
            code, said = line.getreply()
            if line.sock is not None:
                line.sock.settimeout(TIMEOUT)
        except (OSError, smtplib.SMTPException) as error:
            return Handed(Fate.UNKNOWN, f"the line broke at the end of the mail: {_said(error)}")
        if code == 250:
            return Handed(Fate.TAKEN, _text(code, said), refused)
        return self._not_taken(code, said)

    def _not_taken(self, code: int, said: bytes) -> Handed:
        self._reset()
        return Handed(Fate.LATER if 400 <= code < 500 else Fate.NEVER, _text(code, said))

    def _reset(self) -> None:
        with suppress(OSError, smtplib.SMTPException):
            self._line.rset()


class Sendmail:
    """A program that takes a mail on standard input; implements `Post` and `Server`.

    command  with its options; addresses are added behind ``--``
    """

    eight_bit = True

    def __init__(self, command: Sequence[str]) -> None:
        self._command = tuple(command)

    @contextmanager
    def connect(self) -> Iterator[Sendmail]:
        yield self

    def hand(self, sender: str, recipients: Sequence[str], raw: bytes) -> Handed:
        """See `Server.hand`."""
        try:
            done = subprocess.run(
                [*self._command, "--", *recipients], input=raw, capture_output=True, timeout=AFTER_DATA, check=False
            )
        except subprocess.TimeoutExpired:
            return Handed(Fate.UNKNOWN, f"{self._command[0]} did not end in {AFTER_DATA:.0f} s")
        except OSError as error:
            return Handed(Fate.LATER, f"{self._command[0]} cannot be run: {error.strerror}")
        said = _text(done.returncode, done.stderr or done.stdout)
        if done.returncode == 0:
            return Handed(Fate.TAKEN, said)
        if done.returncode < 0:  # killed: who knows how far it came
            return Handed(Fate.UNKNOWN, said)
        return Handed(Fate.LATER if done.returncode == _AGAIN else Fate.NEVER, said)


def _said(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        said = error.smtp_error
        return _text(error.smtp_code, said if isinstance(said, bytes) else str(said).encode())
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__)[:_MOST]


def _text(code: int, said: bytes) -> str:
    """What a server said, in one line that can be shown."""
    text = " ".join(said.decode("utf-8", "replace").split())
    shown = "".join(char if char.isprintable() else "?" for char in text)
    return f"{code} {shown}".strip()[:_MOST]
