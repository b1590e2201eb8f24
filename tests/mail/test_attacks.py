"""Hostile mails, and the one clear answer that each gets. What is of great size is in test_attacks_bounds.py.

Four tables by where the attack is aimed at: what is taken in, what is read of a patch, who is obeyed, what we write.
"""

# ruff: noqa: E501
from __future__ import annotations

from email import message_from_bytes
from email.utils import getaddresses

import pytest
from msgspec.structs import replace
from tests.edge.signing import dns_server, signed
from tests.mail.attacks import (
    ANN,
    DOMAIN,
    LETTER,
    MARIA,
    SVEN,
    ZONE,
    Listing,
    answer,
    diff,
    encoded,
    mail,
    parts,
    patch,
    read,
    text_part,
)
from tests.report import samples

from lorelint.edge.b4.trailers import harvested
from lorelint.jobs.gate import gate
from lorelint.mail.compose import compose, own_msgid
from lorelint.model.errors import LorelintError
from lorelint.model.policy import Policy
from lorelint.model.store import Letter, LetterRow
from lorelint.report.reply import replies

BIDI, ESCAPE = "\u202e", "\x1b"
ANN_V1 = "v1 1/1 by ann@author.example: ready"
ANN_GONE = "v1 1/1 by ann@author.example: superseded"
SVEN_V2 = "v2 1/1 by sven@stranger.example: ready"
PATCH = "patch: 1/1"


@pytest.fixture(scope="module")
def zone():
    with dns_server(ZONE) as found:
        yield found


@pytest.fixture
def listing(tmp_path, zone):
    made = Listing(tmp_path, zone[0])
    yield made
    made.close()


# -- what comes to the list: what each mail is taken for, the series there are then, what was noted

V2 = {"subject": "[PATCH v2] ring: again", "msgid": "p2@stranger.example", "writer": SVEN}
UNDER = {"parent": "p1@author.example"}
ONE, TWO = {"subject": "[PATCH 1/2] ring: a"}, {"subject": "[PATCH 2/2] ring: b"}
CHANGE = "---\nchange-id: 20260101-ring-0123456789ab\n"
CONFLICT = "conflict p1@author.example: another mail with this Message-ID came over ring; the first is kept"

TAKEN = {
    "a header in an encoded subject": ([mail(subject="=?utf-8?q?Re:_x=0ABcc:_e@x.example?=")], ["reply: Re:"]),
    "a subject folded five thousand times": ([mail(subject="Re: x\n" + " y\n" * 5000 + " z")], ["reply: Re:"]),
    "a second Subject that makes it a patch": ([mail(extra="Subject: [PATCH] other\n")], ["reply: Re:"]),
    "a header that is none": ([mail(head="what is this\n")], ["broken: no sender that can be read"]),
    "no sender": ([mail(writer="")], ["broken: no sender that can be read"]),
    "NUL in header and text": ([mail(b"a\0b\n", subject="Re: a\0b")], ["reply: Re:"]),
    "no Message-ID": ([mail(msgid="")], ["reply: Re:"]),
    "a Message-ID longer than any index": ([mail(msgid="a" * 950 + "@x")], ["broken: its Message-ID is too long"]),
    "a mail that answers itself": ([mail(parent="m@stranger.example")], ["reply: Re:"]),
    "nothing at all": ([b"\n\n"], ["broken: empty"]),
    "a date after the calendar": ([patch(date="Fri, 31 Dec 9999 23:59:59 -2359")], [PATCH, ANN_V1]),
    "a date before all mail": ([patch(date="Mon, 01 Jan 1900 00:00:00 +0000")], [PATCH, ANN_V1]),
    "versions that answer each other": (
        [patch(parent="p2@author.example"), patch(**{**V2, "writer": ANN, "msgid": "p2@author.example"}, **UNDER)],
        [PATCH, PATCH, ANN_GONE, "v2 1/1 by ann@author.example: ready"],
    ),
    "a version beyond all numbers": (
        [patch(subject="[PATCH v99999999999999999999] ring: again")],
        [PATCH, "v99999 1/1 by ann@author.example: ready"],
    ),
    "a thousand million patches": ([patch(subject="[PATCH 1/999999999] ring: a")], [PATCH, ANN_V1]),
    "our own mail comes back": (
        [mail(msgid="lorelint-1@lorelint.example", writer="lorelint <bot@lorelint.example>")],
        ["ours: its Message-ID is of our domain"],
    ),
    "a patch that claims to be our mail": (
        [patch(msgid="x@Lorelint.example", writer=SVEN)],
        ["ours: its Message-ID is of our domain"],
    ),
    "an automatic answer to our mail": (
        [mail("Out of office.\n", extra="Auto-Submitted: auto-replied\n")],
        ["robot: a program wrote it"],
    ),
    "a newer version by a stranger in the thread": ([patch(), patch(**V2, **UNDER)], [PATCH, PATCH, ANN_V1, SVEN_V2]),
    "a newer version by a stranger with the change-id": (
        [patch(diff() + CHANGE), patch(diff("drivers/ring/other.c") + CHANGE, **V2)],
        [PATCH, PATCH, ANN_V1, SVEN_V2],
    ),
    "a newer version by a stranger with the very patch": ([patch(), patch(**V2)], [PATCH, PATCH, ANN_V1, SVEN_V2]),
    "a newer version by a stranger who names the author in the text": (
        [patch(), patch(message=f"From: {ANN}\n\nBetter.", **V2)],
        [PATCH, PATCH, ANN_V1, "v2 1/1 by ann@author.example: ready"],
    ),
    "a patch of a series by a stranger": (
        [
            patch(**ONE),
            patch(diff("drivers/ring/evil.c"), writer=SVEN, msgid="evil@stranger.example", **TWO, **UNDER),
            patch(diff("drivers/ring/real.c"), msgid="p2@author.example", **TWO, **UNDER),
        ],
        [
            "patch: 1/2", "patch: 2/2", "patch: 2/2",
            "v1 2/2 by ann@author.example: ready", "v1 1/2 by sven@stranger.example: waiting",
        ],
    ),
    "another mail with a Message-ID that is known": (
        [patch(), patch(diff("drivers/ring/evil.c"), writer=SVEN)],
        [PATCH, PATCH, ANN_V1, CONFLICT],
    ),
    "a pile of references into another's thread": (
        [patch(), mail(extra="References: <p1@author.example> <a@b> <p1@author.example>\n")],
        [PATCH, "reply: Re:", ANN_V1],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TAKEN)
def test_what_comes_to_the_list(listing, name):
    mails, told = TAKEN[name]
    assert listing.post(*mails) + listing.series() + listing.audited() == told


# -- what is read of a patch: files and troubles

RING = "1/1 of v1: drivers/ring/ring.c"
NO_FILE = "1/1 of v1: no file"
NOTHING = "mangled: looks like a patch, but no change of a file can be read"
NOT_C = "not-c: touches no C file"


def _unsafe(path: str, why: str) -> tuple[list[bytes], list[str]]:
    return [patch(diff(path))], [NO_FILE, f"unsafe-path: left out, {why}: {ascii(path)[1:-1]}", NOTHING]


LEAVES, ABSOLUTE, GIT = "a name that leaves its folder", "an absolute name", "a name inside .git"
_LINK = (
    "diff --git a/drivers/ring/l.c b/drivers/ring/l.c\nnew file mode 120000\nindex 0000000..1111111\n"
    "--- /dev/null\n+++ b/drivers/ring/l.c\n@@ -0,0 +1 @@\n+/etc/passwd\n\\ No newline at end of file\n"
)
_MODULE = (
    "diff --git a/sub b/sub\nnew file mode 160000\nindex 0000000..1111111\n--- /dev/null\n+++ b/sub\n"
    f"@@ -0,0 +1 @@\n+Subproject commit {'1' * 40}\n"
)
_RENAME = (
    "diff --git a/drivers/ring/ring.c b/../../x.c\nsimilarity index 100%\nrename from drivers/ring/ring.c\n"
    "rename to ../../x.c\n"
)
_BINARY = (
    "diff --git a/x.bin b/x.bin\nnew file mode 100644\nindex 0000000..1111111\nGIT binary patch\nliteral 4294967295\n"
)
_HANDED_ON = parts(text_part("See below.\n"), "Content-Type: application/gzip\n\nx\n", text_part(diff()))

READ = {
    "a path out of the tree": _unsafe("../../etc/passwd", LEAVES),
    "a path out of the tree, by way of it": _unsafe("drivers/../../x.c", LEAVES),
    "a path with an empty part": _unsafe("drivers//x.c", LEAVES),
    "an absolute path": _unsafe("/etc/passwd", ABSOLUTE),
    "an absolute path of another system": ([patch(diff("C:\\x.c"))], [NO_FILE, "unsafe-path: left out, an absolute name: C:\\\\x.c", NOTHING]),
    "a hook of git": _unsafe(".git/hooks/post-checkout", GIT),
    "a hook of git, in capitals": _unsafe("drivers/.GIT/config", GIT),
    "a file moved out of the tree": (
        [patch(_RENAME)],
        [NO_FILE, "unsafe-path: left out, a name that leaves its folder: ../../x.c", NOTHING],
    ),
    "a line feed in a path": (
        [patch(diff().replace("a/drivers/ring/ring.c", '"a/drivers/ring/r\\ning.c"')
               .replace("b/drivers/ring/ring.c", '"b/drivers/ring/r\\ning.c"'))],
        [NO_FILE, "unsafe-path: left out, control characters in a name: drivers/ring/r\\ning.c", NOTHING],
    ),
    "a path that reads backwards": (
        [patch(diff(f"drivers/ring/{BIDI}c.gnir"))],
        [f"1/1 of v1: drivers/ring/{BIDI}c.gnir", "unicode: U+202E right-to-left override in the mail", NOT_C],
    ),
    "a symbolic link": ([patch(_LINK)], ["1/1 of v1: drivers/ring/l.c"]),
    "a submodule": ([patch(_MODULE)], ["1/1 of v1: sub", NOT_C]),
    "a binary file of four gigabytes": ([patch(_BINARY + ("z" + "c" * 65 + "\n") * 50)], ["1/1 of v1: x.bin", NOT_C]),
    "code that reads backwards": (
        [patch(diff("drivers/ring/ring.c", f"\tif (x) /* {BIDI} }} */"))],
        [RING, "unicode: U+202E right-to-left override in an added line"],
    ),
    "NUL in code": (
        [patch(diff("drivers/ring/ring.c", "a\0b"))],
        [RING, "unicode: U+0000 control character in an added line"],
    ),
    "a hunk that lies about its size": (
        [patch(diff().replace("@@ -1,2 +1,3 @@", "@@ -1,999999999 +1,99999999999999999999 @@"))],
        [RING, "mangled: no hunk for drivers/ring/ring.c"],
    ),
    "a character set nobody knows": (
        [patch(extra="Content-Type: text/plain; charset=x-evil\n")],
        [RING, "charset: unknown character set x-evil, read as utf-8"],
    ),
    "UTF-7": (
        [patch(extra="Content-Type: text/plain; charset=utf-7\n")],
        [RING, "charset: not valid utf-7, read as utf-8"],
    ),
    "base64 that is none": (
        [patch(extra="Content-Transfer-Encoding: base64\n")],
        ["no-patch: no mail of this thread holds a patch"],
    ),
    "two diffs in one mail": (
        [mail(parts(text_part(diff()), text_part(diff("drivers/ring/evil.c")))[1],
              extra=parts()[0], subject="[PATCH] ring: again", writer=ANN)],
        ["1/1 of v1: drivers/ring/evil.c", "attachment: 2 parts hold a diff; only the last was read"],
    ),
    "a web page only": (
        [mail("<pre>" + diff() + "</pre>", extra="Content-Type: text/html\n", subject="[PATCH] ring: again")],
        ["no-body: the mail has no plain text to read: an HTML part only", "no-patch: no mail of this thread holds a patch"],
    ),
    "versions that answer each other": (
        [patch(parent="p2@author.example"), patch(**{**V2, "writer": ANN, "msgid": "p2@author.example"}, **UNDER)],
        ["reference-loop: its references go in a circle", RING, "1/1 of v2: drivers/ring/ring.c"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", READ)
def test_what_is_read_of_a_patch(name):
    mails, told = READ[name]
    assert read(*mails) == told


# -- who is obeyed: what is asked and why it is not done; what the finding is then

ASK = "lorelint: false-positive retry-no-resched it ends\n"
MUTE = "lorelint: mute retry-no-resched\n"
WHO = "false-positive by ann@author.example: "
UNPROVEN = WHO + "it is not proven who wrote it: "
ONLY = "only the author of the series, or a maintainer of the files it touches is obeyed"
SVENS = f"false-positive by sven@stranger.example: {ONLY}"
TALK = ["reply: Re:", "new"]
KEYS = [b"from", b"subject", b"message-id", b"content-type"]
_ATTACHED = parts(text_part("Hi.\n"), text_part(ASK, extra='Content-Disposition: attachment; filename="x.txt"\n'))
_ATTACHED_FIRST = parts(text_part(ASK, extra="Content-Disposition: attachment\n"), text_part("Hi.\n"))
_HTML = parts(text_part("Hi.\n"), text_part(f"<p>\n{ASK}</p>\n", kind="text/html"), kind="alternative")
_FORWARDED = parts("Content-Type: message/rfc822\n\n" + mail(ASK, writer=SVEN).decode())
_PLAIN = "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n"

OBEYED = {
    "nobody's attack: an author": (answer(ASK, sign="author.example"), [WHO + "obeyed", "false-positive"]),
    "nobody's attack: a maintainer": (
        answer(MUTE, writer=MARIA, sign="rings.example"),
        ["mute by maria@rings.example: obeyed", "new", "retry-no-resched is mute"],
    ),
    "quoted": (answer(f"> {ASK}", sign="author.example"), TALK),
    "below a signature": (answer(f"Hi.\n-- \n{ASK}", sign="author.example"), TALK),
    "forwarded in the text": (
        answer(f"---------- Forwarded message ---------\nFrom: x\n\n{ASK}", sign="author.example"),
        TALK,
    ),
    "forwarded as it came": (signed(answer(_FORWARDED[1], extra=_FORWARDED[0]), "author.example", headers=KEYS), TALK),
    "in a diff": (
        answer(f"diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1,2 @@\n x\n+{ASK}", sign="author.example"),
        ["buried: a diff within a reply", "new"],
    ),
    "in an attached file": (signed(answer(_ATTACHED[1], extra=_ATTACHED[0]), "author.example", headers=KEYS), TALK),
    "in an attached file that comes first": (
        signed(answer(_ATTACHED_FIRST[1], extra=_ATTACHED_FIRST[0]), "author.example", headers=KEYS),
        TALK,
    ),
    "in a web page": (signed(answer(_HTML[1], extra=_HTML[0]), "author.example", headers=KEYS), TALK),
    "in a subject": (
        signed(mail("Hi.\n", subject=MUTE.strip(), writer=MARIA, parent=LETTER), "rings.example"),
        ["reply: it answers another mail", "new"],
    ),
    "in the text of a patch": (
        patch(message=ASK, **{**V2, "writer": ANN, "msgid": "p2@author.example"}, **UNDER),
        ["patch: 1/1", "new"],
    ),
    "with a letter that is not seen": (answer("lorelint\u200b: mute retry-no-resched\n", sign="author.example"), TALK),
    "by a stranger": (answer(ASK, writer=SVEN, sign="stranger.example"), [SVENS, "new"]),
    "by a stranger with the author's name": (
        answer(ASK, writer='"ann@author.example" <sven@stranger.example>', sign="stranger.example"),
        [SVENS, "new"],
    ),
    "by a stranger who names the author elsewhere": (
        answer(f"From: {ANN}\n\n{ASK}", writer=SVEN, sign="stranger.example", extra=f"Reply-To: {ANN}\nSender: {ANN}\n"),
        [SVENS, "new"],
    ),
    "in the author's name": (answer(ASK), [UNPROVEN + "not signed", "new"]),
    "in the author's name, in base64": (
        answer(encoded(ASK), extra=_PLAIN),
        [UNPROVEN + "not signed", "new"],
    ),
    "nobody's attack: base64 that is signed": (
        signed(answer(encoded(ASK), extra=_PLAIN), "author.example", headers=KEYS),
        [WHO + "obeyed", "false-positive"],
    ),
    "in the author's name, signed by a stranger": (
        answer(ASK, sign="stranger.example"),
        [UNPROVEN + "no DKIM signature is of author.example", "new"],
    ),
    "changed on its way": (
        answer(ASK, sign="author.example").replace(b"it ends", b"no end"),
        [UNPROVEN + "the body was changed after it was signed", "new"],
    ),
    "put below a mail that is signed in part": (
        signed(answer("Hi.\n"), "author.example", length=True) + ASK.encode(),
        [UNPROVEN + "only a part of the body is signed (l=)", "new"],
    ),
    "with a second writer": (
        answer(ASK, sign="author.example", extra=f"From: {SVEN}\n"),
        [UNPROVEN + "2 From fields", "new"],
    ),
    "with two writers in one": (
        answer(ASK, writer=f"{ANN}, {SVEN}", sign="author.example"),
        [UNPROVEN + "From names nobody, or several", "new"],
    ),
    "sent again into another thread": (
        answer(ASK, sign="author.example", parent="other@author.example").replace(b"other@author.example", LETTER.encode()),
        [UNPROVEN + "the signature does not hold: the mail was changed, or it is forged", "new"],
    ),
    "with a forged word of an archive": (
        answer(ASK, head="Authentication-Results: mx.archive.example; dkim=pass header.d=author.example\n"),
        [UNPROVEN + "not signed", "new"],
    ),
    "by the author's robot": (
        answer(ASK, sign="author.example", extra="Auto-Submitted: auto-replied\n"),
        ["robot: a program wrote it", "new"],
    ),
    "in a mail of ours": (
        answer(ASK, sign="author.example", msgid=f"x@{DOMAIN}"),
        ["ours: its Message-ID is of our domain", "new"],
    ),
    "five at once": (
        answer("lorelint: wontfix retry-no-resched\n" * 5, sign="author.example"),
        ["wontfix by ann@author.example: obeyed"] * 3 + ["wontfix"],
    ),
    "what is not an author's to say": (
        answer(MUTE, sign="author.example"),
        ["mute by ann@author.example: only a maintainer of the files the series touches is obeyed", "new"],
    ),
    "a rule that is none": (
        answer("lorelint: mute drop-table-verdicts\n", writer=MARIA, sign="rings.example"),
        ["mute by maria@rings.example: no rule is called drop-table-verdicts", "new"],
    ),
    "to stop another's mail": (
        answer("lorelint: stop\n"),
        ["stop by ann@author.example: it is not proven who wrote it: not signed", "new"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", OBEYED)
def test_who_is_obeyed(listing, name):
    raw, told = OBEYED[name]
    listing.post(patch())
    listing.reviewed()
    assert listing.obeyed(raw) == told


def test_a_patch_in_anothers_name_gives_no_say_in_his_series(listing):
    """The header says Ann, whom nobody asks to prove it; the text says Sven, who can prove that he is Sven."""
    change = "change-id: 20260202-ring-again-0123456789ab\n"
    listing.post(patch(message=f"Try again.\n\n{change}"))
    listing.reviewed()
    forged = patch(
        message=f"From: {SVEN}\n\nTry again.\n\n{change}",
        subject="[PATCH v2] ring: again", msgid="p2@stranger.example", parent="p1@author.example",
    )  # fmt: skip
    listing.post(forged)
    assert listing.series() == [
        "v1 1/1 by ann@author.example: ready",
        "v2 1/1 by sven@stranger.example: ready",
    ]
    told = listing.obeyed(answer(ASK, writer=SVEN, sign="stranger.example"))
    assert told == ["false-positive by sven@stranger.example: only the author of the series, or a maintainer of the files "
                    "it touches is obeyed", "new"]  # fmt: skip


def test_a_reason_is_kept_as_text_alone(listing):
    listing.post(patch())
    listing.reviewed()
    listing.obeyed(answer(f"lorelint: wontfix retry-no-resched {BIDI}evil{ESCAPE}[31m red\n", sign="author.example"))
    with listing.store.look() as session:
        assert [row.reason for row in session.verdicts.of_mail("a@author.example")] == ["evil [31m red"]


# -- what we write: letters about hostile patches. What is wrong with the mail, and what b4 would take out of it

POLICY = Policy(sender="bot@lorelint.example", domain=DOMAIN, contact="people@lorelint.example")
TAG = "Reviewed-by: Mallory <mallory@evil.example>"


def _letter(subject: str = "misc: ringmap: x", name: str = "Ann", address: str = "ann@author.example", added: str = ""):
    """The letter about a patch with these words in it."""
    report = samples.retry()
    one = report.series.patches[0]
    body = one.body
    if added:  # what the patch adds to the line that the letter quotes
        diffs = tuple(
            replace(file, hunks=tuple(
                replace(hunk, lines=tuple(replace(line, text=line.text + added) if line.op == "+" else line for line in hunk.lines))
                for hunk in file.hunks
            ))
            for file in one.diffs
        )  # fmt: skip
        one = replace(one, diffs=diffs)
    message = replace(one.mail, subject=subject, from_name=name, from_addr=address)
    one = replace(one, subject=subject, author=(name, address), mail=message, body=body)
    (reply,) = replies(replace(report, series=replace(report.series, patches=(one,))), samples.source, POLICY.contact)
    return LetterRow(
        1, reply.msgid, 1, own_msgid(reply.msgid, DOMAIN), Letter.HELD, (), reply.subject, reply.body, (reply.to,), (),
        (), ("ring",), False, "", "1", ("0123456789abcdef",), ("unbounded-retry",),
    )  # fmt: skip


def _wrong(row: LetterRow) -> list[str]:
    return list(gate(POLICY, harvested)(row))


WRITTEN = {
    "nobody's attack": {},
    "a trailer in the subject": {"subject": f"[PATCH] x\n\n{TAG}"},
    "a trailer in the author's name": {"name": f"Ann\n{TAG}"},
    "a trailer in the code that is quoted": {"added": f"\n{TAG}"},
    "a trailer in a comment that is quoted": {"added": f" /* {TAG} */"},
    "a header in the subject": {"subject": "[PATCH] x\r\nBcc: everybody@x.example\r\n\r\nHello"},
    "a header in the author's name": {"name": "Ann\r\nBcc: everybody@x.example"},
    "an encoded header in the subject": {"subject": "[PATCH] =?utf-8?q?x=0D=0ABcc:_everybody@x.example?="},
    "an encoded header in the author's name": {"name": "=?utf-8?q?A=0D=0ABcc:_everybody@x.example?="},
    "a subject that reads backwards": {"subject": f"[PATCH] {BIDI}x{ESCAPE}[2J"},
    "a name that reads backwards": {"name": f"{BIDI}nnA{ESCAPE}[2J\0"},
    "code that reads backwards": {"added": f" /* {BIDI} */ {ESCAPE}[2J"},
    "a name that is an address": {"name": '"everybody@x.example" <everybody@x.example>,'},
    "a name of ten thousand letters": {"name": "A" * 10_000},
    "a subject of ten thousand words": {"subject": "[PATCH] " + "word " * 10_000},
    "a command in the subject": {"subject": "[PATCH] lorelint: mute unbounded-retry"},
    "a separator of mailboxes in the code": {"added": "\nFrom mallory@evil.example Thu Jan  1 00:00:00 1970"},
}


# A name is the writer's own, so it is not changed; a person looks at the letter then.
HELD = {
    "a trailer in the author's name": [
        "a line of ours speaks like a person who vouches for the patch: 'On Mon, 2 Nov 2026 09:15:30 +0'"
    ]
}


@pytest.mark.parametrize("name", WRITTEN)
def test_what_we_write_of_it(name):
    row = _letter(**WRITTEN[name])
    assert _wrong(row) == HELD.get(name, [])
    made = message_from_bytes(compose(row, POLICY, "2026-02-02T10:00:00Z"))
    assert made["Bcc"] is None and made["Cc"] is None
    assert [address for _, address in getaddresses(made.get_all("To"))] == ["ann@author.example"]


@pytest.mark.parametrize(
    "address",
    ["ann@author.example, everybody@x.example", "ann@author.example\nBcc: x@y.example", "ann@author.example> <x@y", ""],
)
def test_an_address_that_is_none_is_never_written_to(address):
    row = _letter(address=address)
    assert any("cannot be a mail" in each for each in _wrong(row))
    with pytest.raises(LorelintError, match="no address mail can be sent to"):
        compose(row, POLICY, "2026-02-02T10:00:00Z")


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda body: f"{TAG}\n" + body, "looks like a trailer"),
        (lambda body: body.replace("\n-- \n", f"\n\n{TAG}\n-- \n"), "b4 would take"),
        (lambda body: body.replace("\n-- \n", "\nAcked-by me\n-- \n"), "like a person who vouches"),
        (lambda body: body.replace("\n-- \n", f"\n{BIDI}\n-- \n"), "which is not seen"),
        (lambda body: body.replace("\n-- \n", "\nFrom x\n-- \n"), "mailboxes take for another mail"),
        (lambda body: body.replace("> ", ""), "quotes no line"),
    ],
)
def test_what_a_person_writes_into_a_letter_passes_the_same_gate(edit, said):
    row = _letter()
    assert any(said in each for each in _wrong(replace(row, body=edit(row.body))))


def test_there_are_forty_and_more():
    assert len(TAKEN) + len(READ) + len(OBEYED) + len(WRITTEN) > 80
