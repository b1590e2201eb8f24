"""A real SMTP server on the loopback that keeps what it is handed and never thinks two mails are one."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from aiosmtpd.controller import Controller

Answer = Callable[[str], str | None]


class Handler:
    """Keeps mails. `rcpt` and `data` may answer otherwise: given an address, or the mail's text."""

    def __init__(self) -> None:
        self.mails: list[tuple[list[str], bytes]] = []
        self.rcpt: Answer = lambda address: None
        self.data: Answer = lambda text: None
        self.mail: Answer = lambda address: None

    async def handle_MAIL(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        said = self.mail(address)
        if said:
            return said
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        said = self.rcpt(address)
        if said:
            return said
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        said = self.data(envelope.content.decode("utf-8", "replace"))
        if said is None or said.startswith("250"):
            self.mails.append((list(envelope.rcpt_tos), envelope.content))
        return said or "250 taken"


@contextmanager
def mailserver() -> Iterator[tuple[Handler, int]]:
    """The server's handler, and its port."""
    handler = Handler()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    controller = Controller(handler, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield handler, port
    finally:
        controller.stop()
