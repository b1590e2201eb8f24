"""patatt: whether a mail's writer has signed it with a key in a keyring of ours; the only place that knows patatt.

A signature counts where its identity is the address in From, its key is in a keyring named in the settings (never in
somebody's own GnuPG keyring), and it covers From, Subject and Message-ID. patatt runs git, gpg and ssh-keygen, so it is
asked only where such a key is there.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lorelint.edge.signed import Head
from lorelint.model.proof import How, Proof
from lorelint.model.regex import regex

if TYPE_CHECKING:
    from patatt import DevsigHeader, PatattMessage

NOT_SIGNED = "no X-Developer-Signature"
MAX_SIGNATURES = 4
MAX_SIGNATURE = 16 << 10
# What becomes a path in a keyring: no part of it may climb.
_NAME = regex(r"[a-z0-9][a-z0-9_+-]*(?:\.[a-z0-9_+-]+)*", re.IGNORECASE)
_KINDS = ("ed25519", "openpgp", "openssh")


def prove(raw: bytes, head: Head, keyrings: Sequence[str]) -> Proof:
    """What the X-Developer-Signature fields prove, by keyrings as patatt names them. Never raises for what is in
    the mail."""
    signatures = head.values(b"x-developer-signature")
    if not signatures:
        return Proof(How.NONE, "", NOT_SIGNED)
    if not keyrings:
        return Proof(How.NONE, "", "no keyring is named in the settings")
    if not head.clear():
        return Proof(How.NONE, "", "signed by patatt, but the text is not plain")
    if any(len(value) > MAX_SIGNATURE for value in signatures) or len(signatures) > MAX_SIGNATURES:
        return Proof(How.NONE, "", "signatures that are too long, or too many")
    return _checked(raw, head.writer, keyrings)


def _checked(raw: bytes, writer: str, keyrings: Sequence[str]) -> Proof:
    import patatt

    logging.getLogger("patatt").disabled = True
    local, _, domain = writer.partition("@")
    if not (_NAME.fullmatch(local) and _NAME.fullmatch(domain)):
        return Proof(How.NONE, "", "an address that no keyring can have")
    refused: list[str] = []
    try:
        mail = patatt.PatattMessage(raw)
        for signature in mail.get_sigs():
            reason = _wrong(mail, signature, writer, keyrings)
            if not reason:
                return Proof(How.PATATT, writer, f"signed by a key of {writer}")
            refused.append(reason)
    except Exception as error:  # patatt promises nothing of what it raises for a stranger's bytes
        refused.append(f"the signature cannot be read ({type(error).__name__})")
    wrong = any(each == _BROKEN for each in refused)
    return Proof(How.FAIL if wrong else How.NONE, "", "; ".join(dict.fromkeys(refused)))


_BROKEN = "the developer signature does not hold: the mail was changed, or it is forged"


def _wrong(mail: PatattMessage, signature: DevsigHeader, writer: str, keyrings: Sequence[str]) -> str:
    """Why one signature proves nothing, "" where it holds."""
    import patatt

    fields = {name: signature.get_field_as_str(name) or "" for name in ("a", "i", "s", "h")}
    kind = next((each for each in _KINDS if fields["a"].startswith(each)), "")
    selector = fields["s"] or "default"
    if fields["i"].lower() != writer:
        return "the developer signature is not of the address in From"
    if not kind or not _NAME.fullmatch(selector):
        return "no key that can be looked up"
    if "message-id" not in fields["h"].lower().split(":"):
        return "Message-ID is not signed, so it may be of another thread"
    key = _key(keyrings, kind, writer, selector)
    if key is None:
        return f"no key of {writer} is in the keyrings"
    single = patatt.PatattMessage(mail.as_bytes())
    single.sigs = [signature]  # it would check the first of this identity, whichever that is
    try:
        single.validate(fields["i"], key)
    except patatt.ValidationError:
        return _BROKEN
    return ""


def _key(keyrings: Sequence[str], kind: str, writer: str, selector: str) -> bytes | None:
    """The public key, out of the first keyring that has it."""
    import patatt

    for keyring in keyrings:
        try:
            key, _ = patatt.get_public_key(keyring, kind, writer, selector)
        except (KeyError, OSError, patatt.Error):
            continue
        if isinstance(key, bytes) and key:
            return key
    return None
