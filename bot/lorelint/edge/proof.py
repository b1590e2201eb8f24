"""Who really wrote a mail, by whatever the settings allow to prove it; implements `lorelint.model.proof.Prover`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from lorelint.edge import dkim, patatt
from lorelint.edge.dns import TextRecords
from lorelint.edge.signed import Head, head_of
from lorelint.model.proof import How, Proof
from lorelint.model.regex import regex

MAX_RESULTS = 4 << 10  # bytes of an Authentication-Results field
_COMMENT = regex(r"\([^()]*\)")
_SIGNER = regex(r"\bheader\.(d|i)\s*=\s*([^\s;]+)", re.IGNORECASE)


class MailProver:
    """keyrings   of patatt: folders, or ``ref:REPOSITORY:REF:FOLDER``
    archive    name that the archive checks mail under (authserv-id), "" where its word is not taken. It must take such
               fields of that name from the mails it gets: RFC 8601, section 5
    """

    def __init__(self, records: TextRecords, keyrings: Sequence[str] = (), archive: str = "") -> None:
        self._records = records
        self._keyrings = tuple(keyrings)
        self._archive = archive.lower()

    def prove(self, raw: bytes, at: str) -> Proof:
        """The first proof there is; else every reason why there is none."""
        head = head_of(raw)
        if not head.writer:
            return Proof(How.NONE, "", head.ambiguous)
        tried = [patatt.prove(raw, head, self._keyrings)]
        if not tried[-1].holds:
            tried.append(dkim.prove(raw, head, at, self._records))
        if not tried[-1].holds and self._archive:
            tried.append(archived(head, self._archive))
        if tried[-1].holds:
            return tried[-1]
        how = How.FAIL if any(each.how is How.FAIL for each in tried) else How.NONE
        said = [each.reason for each in tried if each.reason not in (patatt.NOT_SIGNED, dkim.NOT_SIGNED)]
        return Proof(how, "", "; ".join(said) or "not signed", any(each.again for each in tried))


def archived(head: Head, name: str) -> Proof:
    """What the archive of that name says; only the topmost field can be its own, those below came with the mail."""
    fields = head.values(b"authentication-results")
    if not fields:
        return Proof(How.NONE, "", "no Authentication-Results")
    if len(fields[0]) > MAX_RESULTS:
        return Proof(How.NONE, "", "Authentication-Results are too long")
    text = " ".join(fields[0].decode("latin-1").split())
    for _ in range(4):  # comments may stand in comments
        text = _COMMENT.sub(" ", text)
    server, *results = [part.strip() for part in text.split(";")]
    if '"' in text or "(" in text or not server or server.split()[0].lower() != name:
        return Proof(How.NONE, "", f"the topmost Authentication-Results are not of {name}")
    domain = head.writer.partition("@")[2]
    for result in results:
        verdict = result.split()[0].lower() if result.split() else ""
        if verdict == "dkim=pass" and _above(_signer(result), domain):
            return Proof(How.ARCHIVE, head.writer, f"{name} has found the signature of {domain} to hold")
    return Proof(How.NONE, "", f"{name} has found no signature of {domain} that holds")


def _signer(result: str) -> str:
    """The domain that a result names: that of the key, or of whom it stands for."""
    found = {tag.lower(): value for tag, value in _SIGNER.findall(result)}
    signer: str = found.get("d") or found.get("i", "")
    return signer.rpartition("@")[2].lower().rstrip(".")


def _above(signer: str, domain: str) -> bool:
    return "." in signer and (domain == signer or domain.endswith(f".{signer}"))
