"""Who wrote a mail: signatures that hold, and everything that makes one say nothing."""

from __future__ import annotations

import base64
import time

import patatt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.edge.signing import PUBLIC, RECORD, SECRET, SIGNED, dns_server, mail, signed

from lorelint.edge.dns import TextRecords
from lorelint.edge.proof import MailProver
from lorelint.edge.signed import head_of
from lorelint.model.errors import LorelintError
from lorelint.model.proof import How

AT = "2026-02-02T10:01:00Z"
ZONE = {
    "sel._domainkey.author.example": RECORD,
    "sel._domainkey.example": RECORD,
    "sel._domainkey.stranger.example": RECORD,
    "sel._domainkey.testing.example": RECORD + "; t=y",
    "sel._domainkey.revoked.example": "v=DKIM1; k=ed25519; p=",
    "sel._domainkey.strict.example": RECORD + "; t=s",
    "sel._domainkey.noise.example": "\x00\xff;;==p=p=p",
}


@pytest.fixture(scope="module")
def zone():
    with dns_server(ZONE) as found:
        yield found


@pytest.fixture
def prove(zone):
    prover = MailProver(TextRecords(zone[0], lifetime=2.0))
    return lambda raw, at=AT: prover.prove(raw, at)


def test_the_writers_own_domain_has_signed_it(prove):
    proof = prove(signed(mail()))
    assert (proof.how, proof.identity, proof.holds) == (How.DKIM, "ann@author.example", True)
    assert proof.reason == "signed by author.example"


def test_a_domain_above_the_writers_may_sign_and_one_below_may_not(prove):
    above = mail(writer="Ann <ann@desk.author.example>")
    assert prove(signed(above)).how is How.DKIM
    below = mail(writer="Ann <ann@example.org>")
    assert prove(signed(below, "author.example")).how is How.NONE


def test_what_mailers_do_to_a_mail_on_its_way_breaks_nothing(prove):
    raw = signed(mail(body="lorelint: rerun  \n\n\n"))
    assert prove(raw.replace(b"\n", b"\r\n")).holds
    assert prove(b"Received: from a by b\n\twith c\nList-Id: <x.lists.example>\n" + raw).holds
    assert prove(b"From mboxrd@z Thu Jan  1 00:00:00 1970\n" + raw).holds
    assert prove(signed(raw, "stranger.example")).holds  # a list has signed it too


BROKEN = {
    "a changed body": (lambda raw: raw.replace(b"false-positive", b"mute"), "body was changed"),
    "a footer of a list": (lambda raw: raw + b"_______\nlist footer\n", "body was changed"),
    "a subject tag of a list": (lambda raw: raw.replace(b"Subject: ", b"Subject: [list] "), "does not hold"),
    "another writer": (lambda raw: raw.replace(b"ann@author", b"bob@author"), "does not hold"),
    "another thread": (lambda raw: raw.replace(b"letter-1@", b"letter-2@"), "does not hold"),
    "another key": (lambda raw: raw.replace(b"\n b=", b"\n b=AAAA", 1), ""),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_mail_that_was_changed_is_proven_by_nothing(prove, name):
    change, said = BROKEN[name]
    raw = signed(mail())
    changed = change(raw)
    assert changed != raw
    proof = prove(changed)
    assert (proof.how, proof.identity) == (How.FAIL, "")
    assert said in proof.reason


def _without(*names):
    return [each for each in SIGNED if each not in names]


UNFIT = {
    "no signature": (mail, "not signed"),
    "signed by somebody else": (lambda: signed(mail(), "stranger.example"), "no DKIM signature is of author.example"),
    "a part of the body": (lambda: signed(mail(), length=True), "l="),
    "no subject": (lambda: signed(mail(), headers=_without(b"subject")), "Subject is not signed"),
    "no thread": (lambda: signed(mail(), headers=_without(b"message-id", b"in-reply-to")), "another thread"),
    "a top domain": (lambda: signed(mail(), "example"), "no DKIM signature is of author.example"),
    "two writers": (lambda: signed(mail(extra="From: Bob <bob@author.example>\n")), "2 From fields"),
    "two writers in one": (lambda: signed(mail(writer="ann@author.example, bob@author.example")), "or several"),
    "two subjects": (lambda: b"Subject: other\n" + signed(mail()), "2 Subject fields"),
    "two threads": (lambda: b"In-Reply-To: <x@y>\n" + signed(mail()), "2 In-Reply-To fields"),
    "a tested key": (lambda: signed(mail(writer="a@testing.example"), "testing.example"), "tests its key"),
    "no writer": (lambda: signed(mail(writer="Ann")), "From names nobody"),
    "other words by base64": (
        lambda: b"Content-Transfer-Encoding: base64\n" + signed(mail(body=base64.b64encode(b"x").decode())),
        "Content-Type is not signed",
    ),
    "other words by UTF-7": (
        lambda: b"Content-Type: text/plain; charset=utf-7\n" + signed(mail()),
        "Content-Type is not signed",
    ),
    "other words by a boundary": (
        lambda: b"Content-Type: multipart/mixed; boundary=x\n" + signed(mail()),
        "Content-Type is not signed",
    ),
    "a header that is none": (lambda: b"what is this\n" + signed(mail()), "is no field"),
    "a selector that climbs": (
        lambda: signed(mail()).replace(b"s=sel;", b"s=../sel;"),
        "no selector",
    ),
    "tags that stand twice": (lambda: signed(mail()).replace(b"d=author", b"d=x.example; d=author", 1), "no DKIM"),
}


@pytest.mark.parametrize("name", UNFIT)
def test_a_signature_that_says_too_little_proves_nothing(prove, name):
    make, said = UNFIT[name]
    proof = prove(make())
    assert (proof.how, proof.identity, proof.holds) == (How.NONE, "", False), proof
    assert said in proof.reason


def test_what_had_expired_when_the_archive_took_it_proves_nothing(prove):
    until = int(time.time()) + 3_000
    raw = signed(mail(), selector=f"sel; x={until}".encode())
    later = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(until + 60))
    assert prove(raw).holds
    assert (prove(raw, later).how, prove(raw, later).reason) == (How.NONE, "the signature had expired")


def test_keys_that_are_none(prove):
    for domain, said in (
        ("revoked.example", "does not hold"),
        ("noise.example", "does not hold"),
        ("nokey.example", "no such key"),
    ):
        proof = prove(signed(mail(writer=f"a@{domain}"), domain))
        assert not proof.holds and not proof.again
        assert said in proof.reason
    strict = signed(mail(writer="a@sub.strict.example"), "strict.example", identity=b"@sub.strict.example")
    assert "not for domains below" in prove(strict).reason


def test_only_names_of_the_writers_domain_are_asked_for(zone, prove):
    zone[1].clear()
    raw = mail()
    for at in range(6):
        raw = signed(raw, f"s{at}.evil.example")
    prove(raw)
    assert zone[1] == []
    assert prove(signed(raw)).holds
    assert zone[1] == ["sel._domainkey.author.example"]


def test_a_dns_that_does_not_answer_may_be_asked_again():
    with dns_server({}) as (address, _):
        pass  # nobody is there any more
    prover = MailProver(TextRecords(address, lifetime=0.3))
    proof = prover.prove(signed(mail()), AT)
    assert (proof.how, proof.again) == (How.NONE, True)
    assert "author.example does not answer" in proof.reason
    started = time.monotonic()
    assert prover.prove(signed(mail()), AT).again  # it is let rest, and costs nothing
    assert time.monotonic() - started < 0.2


def test_an_address_that_is_none_is_told():
    with pytest.raises(LorelintError, match="no address of a resolver"):
        TextRecords("not an address")


@pytest.mark.parametrize(
    "raw",
    [
        signed(mail()).replace(b"v=1", b"v=1;" + b" " * 3_900),
        b"DKIM-Signature: d=author.example; b=" + b"A " * 2_000 + b"!\n" + mail(),
        b"DKIM-Signature: d=author.example;" + b" b" * 1_900 + b"\n" + mail(),
        signed(mail()) + b" " * (1 << 20),
        signed(mail()) + b" x" * (1 << 19),
        signed(mail()) + b"\n" * (1 << 20),
        signed(mail(extra="X: " + "a " * 70_000 + "\n")),
    ],
    ids=["blanks", "base64", "tags", "one-line", "words", "lines", "long-header"],
)
def test_no_mail_takes_long(prove, raw):
    started = time.process_time()
    assert not prove(raw).holds
    assert time.process_time() - started < 2.0


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300))
def test_no_bytes_make_it_raise(noise):
    prover = MailProver(TextRecords("127.0.0.1:9", lifetime=0.01))
    for raw in (noise, b"From: a@b.example\n" + noise, signed(mail())[:300] + noise):
        assert not prover.prove(raw, AT).holds


# -- the archive's word


def _archived(top: str, rest: str = "") -> bytes:
    return f"Received: from a by b\nAuthentication-Results: {top}\n{rest}".encode() + mail()


HELD = "mx.archive.example; spf=pass smtp.mailfrom=x@y; dkim=pass (2048-bit key) header.d=author.example header.s=sel"
ARCHIVED = {
    "it holds": (_archived(HELD), True),
    "it holds, folded": (_archived(HELD.replace("; ", ";\n\t")), True),
    "it holds, by whom it stands for": (_archived("mx.archive.example; dkim=pass header.i=@author.example"), True),
    "it does not hold": (_archived("mx.archive.example; dkim=fail header.d=author.example"), False),
    "of another domain": (_archived("mx.archive.example; dkim=pass header.d=stranger.example"), False),
    "of a domain that ends alike": (_archived("mx.archive.example; dkim=pass header.d=thor.example"), False),
    "another archive": (_archived(HELD.replace("mx.archive", "mx.evil")), False),
    "forged below": (_archived("mx.archive.example; dkim=none", f"Authentication-Results: {HELD}\n"), False),
    "forged below another's": (_archived("mx.other.example; dkim=none", f"Authentication-Results: {HELD}\n"), False),
    "in a comment": (_archived("mx.archive.example; dkim=none (; dkim=pass header.d=author.example)"), False),
    "in a comment that is open": (_archived("mx.archive.example; x=y (; dkim=pass header.d=author.example"), False),
    "in a quoted value": (
        _archived('mx.archive.example; dkim=none reason="; dkim=pass header.d=author.example"'),
        False,
    ),
    "spf alone": (_archived("mx.archive.example; spf=pass smtp.mailfrom=ann@author.example"), False),
    "two writers": (_archived(HELD, "From: other@author.example\n"), False),
}


@pytest.mark.parametrize("name", ARCHIVED)
def test_the_archives_word(name):
    raw, holds = ARCHIVED[name]
    records = TextRecords("127.0.0.1:9", lifetime=0.01)
    proof = MailProver(records, archive="MX.archive.example").prove(raw, AT)
    assert (proof.how is How.ARCHIVE, proof.identity) == (holds, "ann@author.example" if holds else "")
    assert not MailProver(records).prove(raw, AT).holds  # nobody's word is taken unless the settings say so


# -- patatt


@pytest.fixture
def keyring(tmp_path):
    folder = tmp_path / "keys" / "ed25519" / "author.example" / "ann"
    folder.mkdir(parents=True)
    (folder / "default").write_text(PUBLIC)
    return tmp_path / "keys"


def _by_patatt(raw: bytes, identity: str = "ann@author.example", selector: str | None = None) -> bytes:
    signing = patatt.PatattMessage(raw)
    signing.sign("ed25519", SECRET, identity, selector)
    return signing.as_bytes()


def test_a_key_in_a_keyring_of_ours(keyring):
    prover = MailProver(TextRecords("127.0.0.1:9", lifetime=0.01), keyrings=[str(keyring)])
    raw = _by_patatt(mail())
    assert prover.prove(raw, AT).how is How.PATATT
    assert prover.prove(raw, AT).identity == "ann@author.example"
    assert prover.prove(b"X-List: tagged\n" + raw, AT).holds
    for changed in (
        raw.replace(b"false-positive", b"mute"),
        raw.replace(b"answer-1@", b"answer-2@"),
        raw.replace(b"Ann Author", b"Bob Author"),
    ):
        assert changed != raw
        assert prover.prove(changed, AT).how is How.FAIL


def test_what_patatt_does_not_prove(keyring):
    prover = MailProver(TextRecords("127.0.0.1:9", lifetime=0.01), keyrings=[str(keyring)])
    stranger = mail(writer="Bob <bob@stranger.example>")
    unfit = {
        "not of the address in From": _by_patatt(stranger),
        "no key of bob@stranger.example": _by_patatt(stranger, "bob@stranger.example"),
        "no key of ann@author.example": _by_patatt(mail(), selector="other"),
        "no key that can be looked up": _by_patatt(mail(), selector=".."),
        "Message-ID is not signed": _by_patatt(mail().replace(b"Message-ID:", b"X-Id:")),
    }
    for said, raw in unfit.items():
        proof = prover.prove(raw, AT)
        assert not proof.holds and said in proof.reason, (said, proof)
    inside = _by_patatt(mail(body="From: Ann Author <ann@author.example>\n\nlorelint: rerun\n"))
    forged = inside.replace(b"From: Ann Author <ann@author.example>\nTo", b"From: Bob <bob@stranger.example>\nTo")
    assert forged != inside and not prover.prove(forged, AT).holds
    assert not MailProver(TextRecords("127.0.0.1:9", lifetime=0.01)).prove(_by_patatt(mail()), AT).holds


def test_the_head_of_a_mail_is_read_as_the_checks_read_it():
    head = head_of(b"From: Ann <A@B.example>\r\nX: 1\r\n 2\r\nx: 3\r\n\r\nbody: x\r\n")
    assert head.writer == "a@b.example"
    assert head.values(b"x") == (b" 1\r\n 2", b" 3")
    assert head.order == (b"from", b"x", b"x")
    assert head_of(b"a" * (3 << 20)).ambiguous == "the mail is over 2 MiB"
