"""DKIM (RFC 6376): whether the domain of a mail's writer has signed it; the only place that knows dkimpy.

A signature counts where it is of the writer's own domain (or one above it), covers From, Subject and what ties the
mail to its thread, the whole body and not a part of it, and had not expired when the archive took the mail. A list that
adds a footer or a tag breaks it: that is said, and proves nothing.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from datetime import datetime

from lorelint.edge.dns import NoAnswer, TextRecords
from lorelint.edge.signed import Head
from lorelint.model.proof import How, Proof
from lorelint.model.regex import regex

NOT_SIGNED = "no DKIM signature"
MAX_SIGNATURES = 4  # of one mail that are checked; a list adds its own to the writer's
MAX_SIGNATURE = 4 << 10  # bytes of one
MIN_KEY = 1024  # bits of an RSA key
_ALGORITHMS = (b"rsa-sha256", b"ed25519-sha256")
_NAME = regex(rb"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63}){0,8}", re.IGNORECASE)
_TAGS = regex(rb"\s*([a-z][a-z0-9_]*)\s*=\s*(.*?)\s*\Z", re.IGNORECASE | re.DOTALL)
_TESTED = "the domain only tests its key"
_SILENT = logging.getLogger("lorelint.dkim")
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False

Tags = Mapping[bytes, bytes]


def prove(raw: bytes, head: Head, at: str, records: TextRecords) -> Proof:
    """What the DKIM signatures of a mail prove. Never raises for what is in the mail."""
    signatures = head.values(b"dkim-signature")
    if not signatures:
        return Proof(How.NONE, "", NOT_SIGNED)
    domain = head.writer.partition("@")[2].encode()
    refused: list[str] = []
    failed = again = False
    for number, value in list(_of_the_writer(signatures, domain))[:MAX_SIGNATURES]:
        tags = _tags(value)
        reason = _unfit(tags, head, at)
        if not reason:
            try:
                reason = _wrong(raw, number, tags, records)
            except NoAnswer:
                again, reason = True, f"the DNS of {domain.decode()} does not answer"
            else:
                failed |= reason not in ("", _TESTED)
        if not reason:
            return Proof(How.DKIM, head.writer, f"signed by {tags[b'd'].decode('ascii', 'replace').lower()}")
        refused.append(reason)
    if not refused:
        return Proof(How.NONE, "", f"no DKIM signature is of {domain.decode()}")
    return Proof(How.FAIL if failed else How.NONE, "", "; ".join(dict.fromkeys(refused)), again and not failed)


def _of_the_writer(signatures: tuple[bytes, ...], domain: bytes) -> Iterator[tuple[int, bytes]]:
    """Those whose domain is the writer's, or one above it that is no top domain."""
    for number, value in enumerate(signatures):
        signer = _tags(value).get(b"d", b"").lower() if len(value) <= MAX_SIGNATURE else b""
        if b"." in signer and (signer == domain or domain.endswith(b"." + signer)):
            yield number, value


def _tags(value: bytes) -> Tags:
    """The tags of a signature or a key; of one that stands there twice nothing can be said, so there are none."""
    found: dict[bytes, bytes] = {}
    for part in value.split(b";"):
        tag = _TAGS.match(part)
        if tag is None:
            continue
        if tag[1] in found:
            return {}
        found[tag[1]] = tag[2]
    return found


def _unfit(tags: Tags, head: Head, at: str) -> str:
    """Why a signature says too little, whether or not it holds; "" where it says enough."""
    covered = {name.strip().lower() for name in tags.get(b"h", b"").split(b":")}
    if tags.get(b"a", b"").lower() not in _ALGORITHMS:
        return "signed with an algorithm that is not trusted any more"
    if b"l" in tags:
        return "only a part of the body is signed (l=)"
    for name in (b"from", b"subject"):
        if name not in covered:
            return f"{name.decode().title()} is not signed"
    if b"message-id" not in covered and b"in-reply-to" not in covered:
        return "neither Message-Id nor In-Reply-To is signed, so it may be of another thread"
    if b"content-type" not in covered and not head.clear():
        return "Content-Type is not signed, and makes other words of the body"
    if any(not _NAME.fullmatch(tags.get(tag, b"")) for tag in (b"s", b"d")):
        return "no selector that can be asked for"
    expires, taken = tags.get(b"x", b""), _seconds(at)
    if expires and (not expires.isdigit() or len(expires) > 12 or int(expires) < taken):
        return "the signature had expired"
    return ""


def _seconds(at: str) -> float:
    try:
        return datetime.fromisoformat(at).timestamp()
    except (ValueError, OverflowError):
        return 0.0


def _wrong(raw: bytes, number: int, tags: Tags, records: TextRecords) -> str:
    """Why a signature does not hold, "" where it does. Raises NoAnswer."""
    import dkim

    kept: list[bytes] = []

    def record(name: bytes, timeout: float = 0) -> bytes:
        # dkimpy asks for what the signature names, and makes an error that is told of what is no key.
        kept.append(records.text(name.decode("ascii", "replace")) or b"")
        return kept[-1]

    try:
        checked = dkim.DKIM(raw, logger=_SILENT, minkey=MIN_KEY)
        holds = checked.verify(number, dnsfunc=record)
    except NoAnswer:
        raise
    except Exception as error:  # dkimpy promises nothing of what it raises for a stranger's bytes
        said = re.sub(r"[^ -~]", "?", str(error))[:80]
        return "the body was changed after it was signed" if "body hash" in said else f"no valid signature ({said})"
    key = _tags(kept[-1]) if kept else {}
    if not kept or not kept[-1]:
        return "the domain has no such key"
    if not holds:
        return "the signature does not hold: the mail was changed, or it is forged"
    flags = {flag.strip().lower() for flag in key.get(b"t", b"").split(b":")}
    if b"y" in flags:
        return _TESTED
    signer = tags.get(b"i", b"").rpartition(b"@")[2].lower()
    if b"s" in flags and signer and signer != tags[b"d"].lower():
        return "the key is not for domains below its own"
    return ""
