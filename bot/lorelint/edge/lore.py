"""Threads from lore.kernel.org and other public-inbox servers; the only place that knows liblore."""

from __future__ import annotations

import ipaddress
import re
import zlib
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote, urlsplit

import liblore
import requests
from liblore.node import LoreNode
from liblore.utils import split_and_dedupe_as_bytes

from lorelint.model.errors import LorelintError

DEFAULT_URL = "https://lore.kernel.org/all/"
MAX_BYTES = 64 << 20
MAX_MESSAGES = 5_000
LORE = "lore.kernel.org"
# Hosts that send a reader on to lore, where a message-id needs no list.
_REDIRECTORS = frozenset({"patch.msgid.link", "lkml.kernel.org", "msgid.link"})
# Below a message's address: the views of public-inbox (PublicInbox::WWW).
_VIEWS = frozenset({"", "t", "T", "raw", "t.mbox.gz", "t.mbox", "t.atom", "d", "flat"})


class _TooLarge(requests.RequestException):
    """The answer is over the bound. Not an error that liblore would try another host for."""


class _BoundedSession(requests.Session):
    """A session that stops reading, packed or unpacked, at MAX_BYTES."""

    def request(self, method: str | bytes, url: str | bytes, *args: Any, **kwargs: Any) -> requests.Response:
        kwargs["stream"] = True
        response = super().request(method, url, *args, **kwargs)
        content = bytearray()
        for chunk in response.iter_content(1 << 16):
            content += chunk
            if len(content) > MAX_BYTES:
                response.close()
                raise _TooLarge("answer too large")
        # What iter_content() has read is gone; liblore asks for .content again.
        response._content = bytes(content)
        if content.startswith(b"\x1f\x8b"):
            _check_unpacked(bytes(content))
        return response


def _check_unpacked(packed: bytes) -> None:
    size = 0
    while packed:
        unpacker = zlib.decompressobj(wbits=31)
        while packed and not unpacker.eof:
            size += len(unpacker.decompress(packed, 1 << 20))
            if size > MAX_BYTES:
                raise _TooLarge("answer too large when unpacked")
            packed = unpacker.unconsumed_tail
        packed = unpacker.unused_data


class LoreArchive:
    """A public-inbox archive; implements `lorelint.model.archive.Lore`.

    `url` is the address of a list or of ``/all/``; `timeout` is in seconds, for a stall while reading. One that is
    not lore's own stands for lore: what an address of lore names is looked for there first.
    """

    def __init__(self, url: str = DEFAULT_URL, *, timeout: float = 30.0) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise LorelintError(
                "not the address of an archive", where=url, remedy=f"set lore.url to one such as {DEFAULT_URL}"
            )
        self.url = url.rstrip("/") + "/"
        self.timeout = timeout

    def thread(self, source: str) -> tuple[bytes, ...]:
        """See `Lore.thread`. Raises LorelintError."""
        base, msgid = self.locate(source)
        mbox = self._mirrored(base, msgid)
        messages = _divided(mbox)
        if not messages:
            raise _missing(base, msgid)
        if len(messages) > MAX_MESSAGES:
            raise LorelintError(
                f"a thread of {len(messages)} messages, more than {MAX_MESSAGES}",
                where=f"{base}{msgid}/",
                remedy="save the part to be reviewed as a mailbox and name that",
            )
        return messages

    def between(self, start: str, end: str) -> tuple[bytes, ...] | None:
        """What the archive took in between two times (RFC 3339), in no order; None for too much at once.

        Raises LorelintError.
        """
        try:
            mbox = self._asked(self.url, lambda node: node.get_mbox_by_query(f"rt:{start}..{end}", nocache=True))
        except _TooMuch:
            return None
        except _None:
            return ()
        return _divided(mbox)

    def locate(self, source: str) -> tuple[str, str]:
        """The address of the list, with a slash at its end, and the message-id that a source names."""
        if "://" not in source:
            return self.url, bare_msgid(source)
        base, msgid = split_url(source)
        return base or self.url, msgid

    def _mirrored(self, base: str, msgid: str) -> bytes:
        """From the archive of the settings what lore is asked for; from lore what that one does not have."""
        if urlsplit(base).hostname != LORE or urlsplit(self.url).hostname == LORE:
            return self._fetch(base, msgid)
        try:
            return self._fetch(self.url, msgid)
        except LorelintError as here:
            try:
                return self._fetch(base, msgid)
            except LorelintError as there:
                what = f"{here.what}; {base}: {there.what}"
                raise LorelintError(what, where=here.where, remedy=here.remedy) from None

    def _fetch(self, base: str, msgid: str) -> bytes:
        try:
            return self._asked(base, lambda node: node.get_mbox_by_msgid(msgid, nocache=True))
        except _None:
            raise _missing(base, msgid) from None
        except _TooMuch:
            remedy = "save the part to be reviewed as a mailbox and name that"
            what = f"a thread over {MAX_BYTES >> 20} MiB"
            raise LorelintError(what, where=f"{base}{msgid}/", remedy=remedy) from None

    def _asked(self, base: str, ask: Callable[[LoreNode], bytes]) -> bytes:
        """One question. Raises _None and _TooMuch, which the caller knows how to tell, and LorelintError."""
        with LoreNode(base, request_timeout=(10.0, self.timeout), cache_dir=None, follow_upstream=False) as node:
            session = _BoundedSession()
            session.trust_env = not _is_loopback(base)  # a proxy is for the world outside
            node.set_user_agent("lorelint", "1")
            session.headers["User-Agent"] = "lorelint (+liblore)"
            node.set_requests_session(session)
            try:
                return ask(node)
            except liblore.RemoteError as error:
                raise _explained(error, base) from None
            except _TooLarge:
                raise _TooMuch from None
            except (requests.RequestException, liblore.LibloreError, OSError, EOFError, ValueError) as error:
                raise _unreachable(base, type(error).__name__) from None
            except zlib.error:
                raise _unreachable(base, "the answer is no valid gzip") from None
            finally:
                session.close()


class _None(Exception):
    """The archive has no such thing."""


class _TooMuch(Exception):
    """The answer is over the bound."""


def _divided(mbox: bytes) -> tuple[bytes, ...]:
    # The blank line before the next separator belongs to the mailbox, not to the mail.
    messages = split_and_dedupe_as_bytes(mbox)
    return tuple(raw.removesuffix(b"\n") if raw.endswith(b"\n\n") else raw for raw in messages)


def bare_msgid(text: str) -> str:
    """A message-id without angle brackets or the prefixes people write before it."""
    msgid = re.sub(r"^(?:message-id|mid|id|rfc822msgid)\s*:\s*", "", text.strip(), flags=re.IGNORECASE)
    return msgid.strip().strip("<>")


def split_url(url: str) -> tuple[str, str]:
    """The list's address ("" where the address names none) and the message-id of a message's address.

    ``https://lore.kernel.org/kvm/ID/``, ``/r/ID``, ``/all/ID/T/#t``, ``/ID/raw``, with the ID quoted or not.
    """
    parts = urlsplit(url.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise LorelintError("only http and https addresses can be read", where=url, remedy="name a message on lore")
    chunks = [chunk for chunk in parts.path.split("/") if chunk]
    at = next((at for at in range(len(chunks) - 1, -1, -1) if "@" in unquote(chunks[at])), -1)
    if at < 0 or (at + 1 < len(chunks) and chunks[at + 1] not in _VIEWS):
        raise LorelintError(
            "the address names no message",
            where=url,
            remedy="it has to end with a message-id, as https://lore.kernel.org/all/MESSAGE-ID/",
        )
    msgid = bare_msgid(unquote(chunks[at]))
    folder = chunks[:at]
    origin = f"{parts.scheme}://{parts.netloc}/"
    if parts.hostname in _REDIRECTORS:
        return "", msgid
    if folder in ([], ["r"]):
        return f"{origin}all/", msgid
    return origin + "/".join(folder) + "/", msgid


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _missing(base: str, msgid: str) -> LorelintError:
    return LorelintError(
        "no such message in the archive",
        where=f"{base}{msgid}/",
        remedy="check the message-id, or name a mailbox file that holds the thread",
    )


def _unreachable(base: str, reason: str) -> LorelintError:
    return LorelintError(
        f"the archive cannot be reached: {reason}",
        where=base,
        remedy="check the network and lore.url, or name a mailbox file, which needs no network",
    )


def _explained(error: liblore.RemoteError, base: str) -> Exception:
    if error.status_code in (404, 410, 300):  # public-inbox says 300 for a partial match
        return _None()
    if error.status_code is None:
        return _unreachable(base, "no answer")
    return _unreachable(base, f"it answers with HTTP status {error.status_code}")
