"""Mails signed with keys of our own, and a DNS on the loopback that has them."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import dkim
from dnslib import QTYPE, RR, TXT
from dnslib.server import BaseResolver, DNSLogger, DNSServer
from nacl.signing import SigningKey

SEED = bytes(range(32))
KEY = SigningKey(SEED)
SECRET = base64.b64encode(SEED)
PUBLIC = base64.b64encode(KEY.verify_key.encode()).decode()
RECORD = f"v=DKIM1; k=ed25519; p={PUBLIC}"
SIGNED = [b"from", b"to", b"subject", b"date", b"message-id", b"in-reply-to"]


class _Zone(BaseResolver):
    def __init__(self, records: Mapping[str, str]) -> None:
        self.records = records
        self.asked: list[str] = []

    def resolve(self, request, handler):
        name = str(request.q.qname).rstrip(".")
        self.asked.append(name)
        reply = request.reply()
        text = self.records.get(name)
        if text is not None and request.q.qtype == QTYPE.TXT:
            pieces = [text[at : at + 200].encode() for at in range(0, len(text), 200)]
            reply.add_answer(RR(request.q.qname, QTYPE.TXT, rdata=TXT(pieces)))
        return reply


@contextmanager
def dns_server(records: Mapping[str, str]) -> Iterator[tuple[str, list[str]]]:
    """Its address, and the names it was asked for."""
    zone = _Zone(records)
    server = DNSServer(zone, address="127.0.0.1", port=0, logger=DNSLogger(log="-request,-reply", prefix=False))
    server.start_thread()
    try:
        yield f"127.0.0.1:{server.server.server_address[1]}", zone.asked
    finally:
        server.stop()
        server.server.server_close()


def mail(
    body: str = "lorelint: false-positive retry-no-resched it ends\n",
    *,
    writer: str = "Ann Author <ann@author.example>",
    subject: str = "Re: [PATCH] drivers: try again",
    msgid: str = "answer-1@author.example",
    parent: str = "letter-1@lorelint.example",
    extra: str = "",
) -> bytes:
    head = (
        f"From: {writer}\nTo: list@lists.example\nSubject: {subject}\n"
        f"Date: Mon, 02 Feb 2026 10:00:00 +0000\nMessage-ID: <{msgid}>\n"
    )
    return f"{head}{f'In-Reply-To: <{parent}>{chr(10)}' if parent else ''}{extra}\n{body}".encode()


def signed(
    raw: bytes, domain: str = "author.example", *, headers: list[bytes] | None = None, selector: bytes = b"sel", **more
) -> bytes:
    """The mail with a DKIM signature on top; `length` puts an l= into it, a selector with a ";" in it other tags."""
    signature = dkim.sign(
        raw,
        selector,
        domain.encode(),
        SECRET,
        signature_algorithm=b"ed25519-sha256",
        canonicalize=(b"relaxed", b"relaxed"),
        include_headers=headers or SIGNED,
        **more,
    )
    return signature.replace(b"\r\n", b"\n") + raw
