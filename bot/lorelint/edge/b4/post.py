"""The mail server of `git send-email` and b4: what `git config sendemail.*` names, opened as b4 opens it."""

from __future__ import annotations

import smtplib
import socket
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import b4

from lorelint.edge.smtp import TIMEOUT, Sendmail, SmtpServer
from lorelint.model.errors import LorelintError


class GitPost:
    """Implements `lorelint.model.post.Post`.

    sender    the address that mail is from, whatever git names for the user's own
    identity  that of ``sendemail.<identity>.*``, "" for none
    """

    def __init__(self, sender: str, identity: str = "") -> None:
        self._sender = sender
        self._identity = identity

    @contextmanager
    def connect(self) -> Iterator[SmtpServer | Sendmail]:
        """See `Post.connect`. Raises LorelintError where git names no server, or it does not answer."""
        way = self._open()
        if isinstance(way, list):
            yield Sendmail(way)
            return
        try:
            yield SmtpServer(way)
        finally:
            try:
                way.quit()
            except (OSError, smtplib.SMTPException):
                way.close()

    def _open(self) -> Any:
        # b4 keeps its settings in the module and may end the process; this is the only place that lets it read them.
        before = socket.getdefaulttimeout()
        socket.setdefaulttimeout(TIMEOUT)  # b4 gives none
        try:
            asked = {"b4.sendemail-identity": self._identity} if self._identity else {}
            b4.setup_config(Namespace(config={"sendemail.from": self._sender, **asked}))
            if not {"smtpserver", "sendmailcmd"} & set(b4.get_sendemail_config()):
                remedy = "git config --global sendemail.smtpServer HOST, or name a file with --smtp-config"
                raise LorelintError("git names no mail server", where="sendemail.*", remedy=remedy)
            way, _ = b4.get_smtp()
        except LorelintError:
            raise
        except (Exception, SystemExit) as error:
            what = f"the mail server takes nothing: {str(error) or type(error).__name__}"
            raise LorelintError(what, where="git config sendemail.*", remedy="try `git send-email` with it") from error
        finally:
            socket.setdefaulttimeout(before)
        return way
