"""Our letters as bytes, and the gate before them."""

from __future__ import annotations

from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from email.utils import getaddresses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from lorelint.edge.b4.trailers import harvested
from lorelint.mail.compose import CHAIN, compose, own_msgid
from lorelint.mail.gate import faults
from lorelint.model.errors import LorelintError
from lorelint.model.policy import Policy
from lorelint.model.store import Letter, LetterRow

POLICY = Policy(sender="bot@bot.example.org", domain="bot.example.org", contact="human@bot.example.org")
DATE = "2026-11-03T10:00:00Z"
BODY = """\
This is an automated review by lorelint, a static checker.

On Mon, 2 Nov 2026 09:15:30 +0000, Ida Example wrote:
> diff --git a/drivers/ring/ring.c b/drivers/ring/ring.c
> @@ -1,3 +1,4 @@ int ring(void)
> +\treturn -EAGAIN;

Can the loop in ring() end?

If this is wrong, "lorelint: false-positive unbounded-retry" says so; "lorelint: stop" ends it.
-- \x20
lorelint 0.1.0
""".replace("-- \x20", "-- ").replace("says so; ", "says so;\n")
ROW = LetterRow(
    id=1,
    patch="20261102-ring-1@example.org",
    series=1,
    msgid=own_msgid("20261102-ring-1@example.org", "bot.example.org"),
    state=Letter.HELD,
    why=(),
    subject="Re: [PATCH 1/2] ring: Try again",
    body=BODY,
    to=(("Ida Example", "ida@example.org"),),
    cc=(("", "ring@lists.example.org"),),
    references=("20261102-ring-0@example.org",),
    inboxes=("ring",),
    automatic=False,
    not_before="",
    ruleset="lorelint 0.1.0, lorelint-rules 0.1.0",
    fingerprints=("635d2a7fa7f05efc",),
    rules=("unbounded-retry",),
)


def read(raw: bytes) -> EmailMessage:
    parsed = message_from_bytes(raw, policy=default)
    assert isinstance(parsed, EmailMessage)
    return parsed


def wrong(row: LetterRow, raw: bytes | None = None) -> str:
    return "; ".join(faults(compose(row, POLICY, DATE) if raw is None else raw, row, POLICY))


def test_a_letter_as_its_reader_gets_it() -> None:
    mail = read(compose(ROW, POLICY, DATE))
    assert mail["From"] == "lorelint <bot@bot.example.org>"
    assert mail["To"] == "Ida Example <ida@example.org>" and mail["Cc"] == "ring@lists.example.org"
    assert mail["In-Reply-To"] == f"<{ROW.patch}>"
    assert mail["References"].split() == ["<20261102-ring-0@example.org>", f"<{ROW.patch}>"]
    assert mail["Message-ID"] == f"<{ROW.msgid}>" and ROW.msgid.endswith("@bot.example.org")
    assert mail["Date"] == "Tue, 03 Nov 2026 10:00:00 +0000"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert "mailto:human@bot.example.org" in mail["List-Unsubscribe"]
    assert "unbounded-retry=635d2a7fa7f05efc" in mail["X-Lorelint"]
    assert mail.get_content() == BODY
    assert wrong(ROW) == "" and harvested(compose(ROW, POLICY, DATE)) == ()


def test_the_same_letter_is_the_same_bytes_and_one_patch_has_one_id() -> None:
    assert compose(ROW, POLICY, DATE) == compose(ROW, POLICY, DATE)
    assert own_msgid("a@b", "x.example") == own_msgid("a@b", "x.example") != own_msgid("a@c", "x.example")


@pytest.mark.parametrize("eight_bit", [True, False])
def test_text_beyond_ascii(eight_bit: bool) -> None:
    row = replace(ROW, body=BODY.replace("Ida", "Ída Øst 李"), subject="Re: [PATCH] ring: größer als zuvor " * 4)
    raw = compose(row, POLICY, DATE, eight_bit=eight_bit)
    assert read(raw).get_content() == row.body
    assert " ".join(read(raw)["Subject"].split()) == row.subject.strip()
    assert raw.isascii() is not eight_bit
    assert faults(raw, row, POLICY) == ()


def test_a_line_that_is_too_long_for_mail_is_encoded() -> None:
    row = replace(ROW, body=BODY.replace("> +\treturn", "> +\t" + "x" * 2000 + " return"))
    raw = compose(row, POLICY, DATE)
    assert max(map(len, raw.split(b"\n"))) <= 998
    assert read(raw).get_content() == row.body


def test_references_of_a_long_thread_keep_their_ends() -> None:
    ids = tuple(f"{number}@example.org" for number in range(100))
    named = read(compose(replace(ROW, references=ids), POLICY, DATE))["References"].split()
    assert (
        len(named) == CHAIN and named[0] == "<0@example.org>" and named[-2:] == ["<99@example.org>", f"<{ROW.patch}>"]
    )


def test_long_message_ids_stay_what_they_are() -> None:
    """The library's own folding would make encoded words of them."""
    row = replace(ROW, patch="x" * 200 + "@example.org", references=("y" * 200 + "@example.org",))
    mail = read(compose(row, POLICY, DATE))
    assert mail["In-Reply-To"] == f"<{row.patch}>" and mail["References"].split()[-1] == f"<{row.patch}>"


NAMES = [
    'A "B" C',
    "Ida, Example (TI)",
    "=?utf-8?q?Max?= <x@y.example>",
    "a\\b",
    "Ída",
    "a; b:",
    "x\r\nBcc: e@x.example",
    "\u202eabc",
]


@pytest.mark.parametrize("name", NAMES)
def test_names_of_strangers(name: str) -> None:
    row = replace(ROW, to=((name, "ida@example.org"),))
    raw = compose(row, POLICY, DATE)
    assert [address for _, address in getaddresses([str(read(raw)["To"])])] == ["ida@example.org"]
    assert sorted(read(raw).keys()) == sorted(read(compose(ROW, POLICY, DATE)).keys())
    assert wrong(row) == ""


@given(st.text(max_size=300), st.text(max_size=60))
def test_nothing_in_a_subject_or_a_name_starts_a_header(subject: str, name: str) -> None:
    row = replace(ROW, subject=f"Re: {subject}", to=((name, "ida@example.org"),))
    raw = compose(row, POLICY, DATE)
    assert b"\r" not in raw and b"\0" not in raw
    assert read(raw).keys() == read(compose(ROW, POLICY, DATE)).keys()
    assert max(map(len, raw.split(b"\n"))) <= 998


@pytest.mark.parametrize(
    "address", ["a b@example.org", "a@b\nBcc: c@d", "", "a@b>", "ü@example.org", "a,b@example.org"]
)
def test_addresses_that_are_none(address: str) -> None:
    with pytest.raises(LorelintError):
        compose(replace(ROW, to=(("", address),)), POLICY, DATE)


@pytest.mark.parametrize("msgid", ["a b@example.org", "a>\nX: y", "", "x" * 300, "ü@example.org"])
def test_message_ids_that_are_none(msgid: str) -> None:
    with pytest.raises(LorelintError):
        compose(replace(ROW, patch=msgid), POLICY, DATE)
    compose(replace(ROW, references=(msgid,)), POLICY, DATE)  # one of the thread is left out


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("Can the loop", "Reviewed-by: Bot <bot@bot.example.org>\nCan the loop", "like a trailer"),
        ("Can the loop", '  Fixes: 0123456789ab ("x")\nCan the loop', "like a trailer"),
        ("Can the loop", "Link: https://x.example/\nCan the loop", "like a trailer"),
        ("Can the loop", "This is Acked-by nobody. Can the loop", "vouches"),
        ("Can the loop", "From here on, can the loop", "mailboxes take for another mail"),
        ("Can the loop", "\u202eCan the loop", "U+202E"),
        ("Can the loop", "\x07Can the loop", "U+0007"),
        ("Can the loop", "Can\u200bthe loop", "U+200B"),
        ("Can the loop", "x" * 90 + " can the loop", "wider than 80"),
        ("in ring() end?", "in ring() end? ", "ends in a blank"),
        ("lorelint: false-positive", "lorelint: wrong", "how to answer"),
        ("lorelint: stop", "lorelint: hush", "no more mail"),
        ("-- \n", "", "signature"),
        ("-- \n", "-- \n-- \n", "signature"),
        ("-- \nlorelint 0.1.0\n", "-- \n\n", "signature"),
        ("> ", "| ", "quotes no line"),
        ("\n-- \n", "\n> the end\n-- \n", "ends with a quote"),
        ("Can the loop", "y" * 250_000, "bytes long"),
    ],
)
def test_texts_that_do_not_pass(old: str, new: str, says: str) -> None:
    assert says in wrong(replace(ROW, body=BODY.replace(old, new)))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (b"Auto-Submitted: auto-generated\n", b"", "headers Auto-Submitted, not one"),
        (b"Subject: Re: ", b"Subject: ", 'does not begin with "Re: "'),
        (b"Subject:", b"Bcc: eve@example.net\nSubject:", "a header that is not ours"),
        (b"Subject:", b"Subject: Re: other\nSubject:", "has 2 headers Subject"),
        (b"To: Ida", b"To: Eve <eve@example.net>, Ida", "not the people it was decided for"),
        (b"From: lorelint <bot@", b"From: lorelint <eve@", "not from the address of the policy"),
        (b"charset=utf-8", b"charset=utf-8; format=flowed", "flowed"),
        (b"text/plain", b"text/html", "not plain text"),
        (b"\nOn Mon", b"\n\0On Mon", "NUL"),
        (b"\nOn Mon", b"\r\nOn Mon", "carriage return"),
        (b"Date: Tue", b"Date: soon, Tue", "no date"),
    ],
)
def test_bytes_that_do_not_pass(old: bytes, new: bytes, says: str) -> None:
    raw = compose(ROW, POLICY, DATE)
    assert old in raw
    assert says in wrong(ROW, raw.replace(old, new, 1))


@pytest.mark.parametrize(
    ("header", "says"),
    [("In-Reply-To", "not name the patch"), ("References", "not end with the patch"), ("Message-ID", "its Message-ID")],
)
def test_threading_that_is_broken(header: str, says: str) -> None:
    lines = compose(ROW, POLICY, DATE).decode().split("\n")
    at = next(number for number, line in enumerate(lines) if line.startswith(header))
    lines[at] = f"{header}: <other@example.org>"
    if lines[at + 1].startswith(" "):
        del lines[at + 1]
    assert says in wrong(ROW, "\n".join(lines).encode())


def test_people_that_are_wrong() -> None:
    assert "to ourselves" in wrong(replace(ROW, cc=(("", POLICY.sender),)))
    assert "twice" in wrong(replace(ROW, cc=(("", "IDA@example.org"),)))


def test_what_b4_would_harvest() -> None:
    body = BODY.replace("Can the loop", "Tested-by: Bot <bot@bot.example.org>\nCan the loop")
    assert harvested(compose(replace(ROW, body=body), POLICY, DATE)) == ("Tested-by: Bot <bot@bot.example.org>",)
    with pytest.raises(LorelintError, match="b4 cannot read"):
        harvested(b"no mail at all")
