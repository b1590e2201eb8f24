"""Mails to threads, series and patches. The mails here are our own."""

from __future__ import annotations

import email.utils
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import b4
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lorelint.edge.b4.threads import read_threads
from lorelint.edge.mailbox import Mail
from lorelint.model.mail import Change, Series, Thread

DIFF = (
    "diff --git a/mm/x.c b/mm/x.c\nindex 123456789abc..cba987654321 100644\n"
    "--- a/mm/x.c\n+++ b/mm/x.c\n@@ -1 +1 @@\n-a\n+b\n"
)
COVER = "What it is about.\n\nA (1):\n  do it\n\n mm/x.c | 2 +-\n 1 file changed, 1 insertion(+), 1 deletion(-)\n"
PATCH = (
    f"Why.\n\nSigned-off-by: A <a@x.org>\n---\n mm/x.c | 2 +-\n 1 file changed, 1 insertion(+), 1 deletion(-)\n\n{DIFF}"
)


def mail(msgid: str, subject: str, body: str = PATCH, to: str = "", at: int = 0, **more: Any) -> Mail:
    headers = {
        "From": more.pop("sender", "A <a@x.org>"),
        "Subject": subject,
        "Date": email.utils.formatdate(1_750_000_000 + at),
        "Message-ID": f"<{msgid}@x>",
        **({"In-Reply-To": f"<{to}@x>"} if to else {}),
        **{name.replace("_", "-"): value for name, value in more.items()},
    }
    head = "".join(f"{name}: {value}\n" for name, value in headers.items() if value is not None)
    return Mail(f"{head}\n{body}".encode())


def thread(*mails: Mail, named: str = "") -> Thread:
    (found,) = read_threads(mails, "source", named)
    return found


def shape(series: Sequence[Series]) -> list[tuple[int, list[str], int]]:
    return [
        (each.version, [patch.msgid.removesuffix("@x") for patch in each.patches], each.expected) for each in series
    ]


def kinds(values: Sequence[Any]) -> list[str]:
    return [trouble.kind for trouble in values]


def series_of(version: int, count: int, to: str = "", name: str = "v", **more: Any) -> list[Mail]:
    tag = f"PATCH v{version}" if version > 1 else "PATCH"
    root = f"{name}{version}.0"
    at = version * 100
    mails = [mail(root, f"[{tag} 0/{count}] work", COVER, to, at, **more)]
    return mails + [
        mail(f"{name}{version}.{n}", f"[{tag} {n}/{count}] step {n}", PATCH, root, at + n, **more)
        for n in range(1, count + 1)
    ]


# One series


def test_a_patch() -> None:
    found = thread(mail("1", "[PATCH] mm: do it", To="L <l@x>, m@x", Cc='"N, O" <n@x>'))
    (series,) = found.series
    (patch,) = series.patches
    assert (series.key, series.version, series.subject, series.expected) == ("1@x", 1, "mm: do it", 1)
    assert series.complete and series.cover is None and series.troubles == ()
    assert (patch.seq, patch.msgid, patch.subject, patch.author) == (1, "1@x", "mm: do it", ("A", "a@x.org"))
    assert patch.message == "Why.\n\nSigned-off-by: A <a@x.org>"
    assert patch.body == PATCH == patch.mail.body
    assert patch.mail.date == "2025-06-15T15:06:40Z"
    assert patch.mail.to == (("L", "l@x"), ("", "m@x"))
    assert patch.mail.cc == (("N, O", "n@x"),)
    assert patch.troubles == () and found.troubles == ()
    assert patch.diffs[0].path == "mm/x.c"


def test_a_series_in_any_order() -> None:
    mails = series_of(1, 3)
    (series,) = thread(*reversed(mails)).series
    assert shape([series]) == [(1, ["v1.1", "v1.2", "v1.3"], 3)]
    assert series.cover is not None and series.cover.msgid == "v1.0@x"
    assert (series.key, series.subject) == ("v1.0@x", "work")
    assert [patch.seq for patch in series.patches] == [1, 2, 3]


def test_missing_patches_are_named() -> None:
    mails = series_of(1, 7)
    (series,) = thread(mails[0], mails[3], mails[7]).series
    assert (series.expected, [patch.seq for patch in series.patches], series.complete) == (7, [3, 7], False)
    (trouble,) = series.troubles
    assert trouble.kind == "incomplete-series"
    assert trouble.text == "5 of 7 patches are missing: 1-2, 4-6"


def test_a_cover_letter_alone() -> None:
    found = thread(series_of(1, 3)[0])
    assert found.series == ()
    (trouble,) = found.troubles
    assert (trouble.kind, trouble.text) == ("no-patch", "a cover letter only (0/3: work)")


def test_base_and_identity_of_the_cover() -> None:
    marks = "\nbase-commit: 1F97d9dcf53649c41c33227b345a36902cbb08ad\nprerequisite-patch-id: aaaaaaaaaa\n"
    marks += "prerequisite-patch-id: bbbbbbbbbb\nchange-id: 20260317-work-0123456789ab\n"
    mails = series_of(1, 1)
    mails[0] = mail("v1.0", "[PATCH 0/1] work", COVER + marks)
    (series,) = thread(*mails).series
    assert series.hint.base_commit == "1f97d9dcf53649c41c33227b345a36902cbb08ad"
    assert series.hint.prerequisites == ("aaaaaaaaaa", "bbbbbbbbbb")
    assert series.hint.change_id == series.key == "20260317-work-0123456789ab"


def test_base_of_a_lone_patch_and_a_base_that_is_none() -> None:
    (series,) = thread(mail("1", "[PATCH] x", PATCH + "\nbase-commit: 1f97d9dcf536\n-- \n2.43\n")).series
    assert series.hint.base_commit == "1f97d9dcf536"
    (series,) = thread(mail("1", "[PATCH] x", PATCH + "\nbase-commit: v6.12\n")).series
    assert series.hint.base_commit == ""
    assert kinds(series.troubles) == ["mangled"]


def test_in_body_author_wins() -> None:
    body = f"From: Real Author <real@x>\n\n{PATCH}"
    (series,) = thread(mail("1", "[PATCH] x", body, sender="Relay <relay@x>")).series
    assert series.patches[0].author == series.author == ("Real Author", "real@x")
    assert series.patches[0].message.startswith("Why.")
    assert series.patches[0].mail.from_addr == "relay@x"


def test_trailers_of_replies_are_b4s() -> None:
    mails = series_of(1, 2)
    mails.append(
        mail(
            "r1", "Re: [PATCH 1/2] step 1", "> quoted\n\nReviewed-by: R <r@x.org>\n", "v1.1", 200, sender="R <r@x.org>"
        )
    )
    mails.append(
        mail("r2", "Re: [PATCH 2/2] step 2", "Acked-by: Somebody Else <s@x.org>\n", "v1.2", 201, sender="T <t@x.org>")
    )
    (series,) = thread(*mails).series
    assert [patch.followups for patch in series.patches] == [("Reviewed-by: R <r@x.org>",), ()]


# Several series


def test_newer_versions_come_last() -> None:
    found = thread(*series_of(1, 2), *series_of(2, 2, "v1.0"), *series_of(10, 2, "v2.0"))
    assert [each.version for each in found.series] == [1, 2, 10]


def test_two_second_versions_are_not_merged() -> None:
    found = thread(*series_of(1, 2), *series_of(2, 2, "v1.0"), *series_of(2, 3, "v1.0", "w", sender="B <b@x.org>"))
    assert sorted(shape(found.series)) == [
        (1, ["v1.1", "v1.2"], 2),
        (2, ["v2.1", "v2.2"], 2),
        (2, ["w2.1", "w2.2", "w2.3"], 3),
    ]
    assert found.series[-1].author == ("A", "a@x.org")


def test_series_in_two_threads_are_two_threads() -> None:
    found = read_threads([*series_of(2, 2), *series_of(2, 2, "", "w", sender="B <b@x.org>")], "m")
    assert [shape(each.series) for each in found] == [
        [(2, ["v2.1", "v2.2"], 2)],
        [(2, ["w2.1", "w2.2"], 2)],
    ]


def test_an_alternative_patch_does_not_disturb_the_series() -> None:
    series = series_of(2, 2)
    found = thread(*series, mail("alt", "[PATCH] mm: try this instead", PATCH, "v2.1", 900, sender="B <b@x.org>"))
    assert shape(found.series) == [(1, ["alt"], 1), (2, ["v2.1", "v2.2"], 2)]


def test_the_named_mail_decides() -> None:
    mails = [*series_of(2, 2), mail("alt", "[PATCH] mm: try this", PATCH, "v2.1", 900, sender="B <b@x.org>")]
    mails.append(mail("r", "Re: [PATCH] mm: try this", "Yes.", "alt", 901))
    assert shape(thread(*mails, named="r@x").series)[-1] == (1, ["alt"], 1)
    assert shape(thread(*mails, named="v2.1@x").series)[-1] == (2, ["v2.1", "v2.2"], 2)


def test_a_diff_in_a_discussion_comes_after_a_patch() -> None:
    talk = mail("0", "is this broken?", "Perhaps:\n\n" + DIFF)
    assert shape(thread(talk).series) == [(1, ["0"], 1)]
    found = thread(talk, mail("1", "[PATCH] mm: mend it", PATCH, "0", 1, sender="B <b@x.org>"))
    assert shape(found.series) == [(1, ["0"], 1), (1, ["1"], 1)]


def test_the_newest_version_of_what_was_named() -> None:
    mails = [
        *series_of(1, 2),
        *series_of(2, 2, "v1.0"),
        mail("alt", "[PATCH v3] other", PATCH, "v1.1", 900, sender="B <b@x.org>"),
    ]
    assert shape(thread(*mails, named="v1.2@x").series)[-1] == (2, ["v2.1", "v2.2"], 2)


def test_partial_reroll() -> None:
    first = series_of(1, 2)
    again = mail("n2", "[PATCH v2 2/2] step 2", PATCH.replace("+b", "+c"), "v1.2", 500)
    found = thread(*first, again)
    assert shape(found.series) == [(1, ["v1.1", "v1.2"], 2), (2, ["v1.1", "n2"], 2)]
    assert kinds(found.series[1].troubles) == ["partial-reroll"]
    assert found.series[1].troubles[0].text == "taken from version 1: 1"


def test_patch_files_are_one_series() -> None:
    plain = [mail("x", f"[PATCH {n}/2] step {n}", Message_ID=None, sender=f"{n} <{n}@x>").raw for n in (1, 2)]
    local = [Mail(raw.replace(b"Message-ID: <x@x>\n", b""), local=True) for raw in plain]
    (series,) = thread(*local).series
    assert [patch.subject for patch in series.patches] == ["step 1", "step 2"]
    assert series.complete and series.troubles == ()
    assert [patch.troubles for patch in series.patches] == [(), ()]
    unnumbered = [Mail(each.raw.replace(b" %d/2]" % n, b"]"), local=True) for n, each in enumerate(local, 1)]
    (series,) = thread(*unnumbered).series
    assert [(patch.seq, patch.subject) for patch in series.patches] == [(1, "step 1"), (2, "step 2")]


# What is no patch


def test_diffs_in_replies_are_no_patches() -> None:
    quoted = "".join(f"> {line}\n" for line in PATCH.split("\n"))
    found = thread(
        mail("1", "[PATCH] x"),
        mail("r", "Re: [PATCH] x", quoted, "1", 1),
        mail("s", "Re: [PATCH] x", "Like this:\n\n" + DIFF, "1", 2),
        mail("t", "[some-list] Re: [PATCH] x", "Or this:\n\n" + DIFF, "1", 3),
        mail("u", "[some-list] \u7b54\u590d: [External][PATCH] x", PATCH, "1", 4),
    )
    assert shape(found.series) == [(1, ["1"], 1)]
    assert [(trouble.kind, trouble.where) for trouble in found.troubles] == [
        ("diff-in-reply", "s@x"),
        ("diff-in-reply", "t@x"),
        ("diff-in-reply", "u@x"),
    ]


def test_a_discussion() -> None:
    found = thread(mail("1", "a question", "How?"), mail("2", "Re: a question", "So.", "1"))
    assert found.series == () and len(found.messages) == 2
    assert kinds(found.troubles) == ["no-patch"]


def test_a_patch_that_is_not_c() -> None:
    (series,) = thread(mail("1", "[PATCH] x", PATCH.replace("mm/x.c", "mm/Kconfig"))).series
    assert kinds(series.patches[0].troubles) == ["not-c"]


# Odd mail


def test_no_message_id() -> None:
    one = mail("1", "[PATCH] x", Message_ID=None)
    bare = Mail(one.raw.replace(b"Message-ID: <1@x>\n", b""))
    first, second = (thread(Mail(bare.raw + tail)).series[0].patches[0] for tail in (b"", b"\n\n"))
    assert first.msgid == second.msgid
    assert first.msgid.endswith("@no-message-id.invalid")
    assert kinds(first.troubles) == ["no-message-id"]


def test_the_part_with_the_diff_is_the_body() -> None:
    body = (
        "--b\nContent-Type: text/plain; charset=utf-8\n\nSee attachment.\n"
        '--b\nContent-Type: text/x-patch; charset=utf-8; name="x.patch"\n'
        f'Content-Disposition: attachment; filename="0001-x.patch"\n\n{PATCH}\n--b--\n'
    )
    for kind in ("text/x-patch; charset=utf-8", "application/octet-stream", "text/x-diff"):
        raw = body.replace("text/x-patch; charset=utf-8", kind)
        (series,) = thread(mail("1", "[PATCH] x", raw, Content_Type="multipart/mixed; boundary=b")).series
        (patch,) = series.patches
        assert patch.body == PATCH
        line = patch.diffs[0].hunks[0].lines[1]
        assert patch.body.split("\n")[line.mail_line - 1] == "+b"
        assert kinds(patch.troubles) == ["attachment"]
        assert "0001-x.patch" in patch.troubles[0].text


def test_html_only() -> None:
    found = thread(mail("1", "[PATCH] x", "<p>diff --git a/x b/x</p>", Content_Type="text/html"))
    assert found.series == ()
    assert kinds(found.troubles) == ["no-body", "no-patch"]


@pytest.mark.parametrize("charset", ["x-unknown", "y", "base64", "idna", "utf-8\\0", "undefined", "'", "rot13"])
def test_unknown_charsets(charset: str) -> None:
    body = PATCH.replace("Why.", "W\u00e4r.")
    (series,) = thread(mail("1", "[PATCH] x", body, Content_Type=f'text/plain; charset="{charset}"')).series
    assert series.patches[0].body == body
    assert kinds(series.patches[0].troubles) == ["charset"]


def test_bytes_that_are_not_of_the_charset() -> None:
    raw = mail("1", "[PATCH] x", PATCH.replace("Why.", "W\u00e4r."), Content_Type="text/plain; charset=utf-8").raw
    (series,) = thread(Mail(raw.replace("\u00e4".encode(), b"\xe4"))).series
    assert series.patches[0].message.startswith("W\u00e4r.")
    assert series.patches[0].troubles[0].text == "not valid utf-8, read as latin-1"


def test_transfer_encodings() -> None:
    import base64
    import quopri

    crlf = PATCH.replace("\n", "\r\n").encode()
    (series,) = thread(
        mail("1", "[PATCH] x", base64.encodebytes(crlf).decode(), Content_Transfer_Encoding="base64")
    ).series
    assert series.patches[0].body == PATCH and series.patches[0].troubles == ()
    coded = quopri.encodestring(PATCH.encode()).decode()
    (series,) = thread(mail("1", "[PATCH] x", coded, Content_Transfer_Encoding="quoted-printable")).series
    assert series.patches[0].body == PATCH


def test_format_flowed_is_undone_only_where_it_helps() -> None:
    claimed = PATCH.replace("@@ -1 +1 @@\n-a", "@@ -1,2 +1,2 @@\n \tcontext \n-a")
    stuffed = claimed.replace("\n ", "\n  ").replace("context ", "context")
    flowed = "text/plain; charset=utf-8; format=flowed"
    (series,) = thread(mail("1", "[PATCH] x", PATCH, Content_Type=flowed)).series
    assert series.patches[0].body == PATCH and series.patches[0].troubles == ()
    (series,) = thread(mail("1", "[PATCH] x", claimed, Content_Type=flowed)).series
    assert series.patches[0].body == claimed and series.patches[0].troubles == ()
    (series,) = thread(mail("1", "[PATCH] x", stuffed, Content_Type=flowed)).series
    assert series.patches[0].body == claimed.replace("context ", "context")
    long = "+\tcall(one_argument, another_argument, a_third_argument, \nfourth);\n"
    broken = PATCH.replace("+b\n", long)
    (series,) = thread(mail("1", "[PATCH] x", broken, Content_Type=flowed)).series
    (hunk,) = series.patches[0].diffs[0].hunks
    assert [line.op for line in hunk.lines] == ["-", "+"]
    assert hunk.lines[1].text.endswith("a_third_argument, fourth);")
    assert series.patches[0].troubles[0].text == "sent as format=flowed; undone"


def test_hidden_characters() -> None:
    (series,) = thread(mail("1", "[PATCH] x", PATCH.replace("+b", "+b\u200b\u202e"))).series
    assert kinds(series.patches[0].troubles) == ["unicode", "unicode"]


def test_encoded_headers() -> None:
    sender = "=?utf-8?B?SsO8cmcsIMOcbWLDpA==?= <j@x>"
    (series,) = thread(mail("1", "=?utf-8?q?=5BPATCH_2/2=5D_m=C3=A4p?=", sender=sender)).series
    assert (series.subject, series.author, series.expected) == ("m\u00e4p", ("J\u00fcrg, \u00dcmb\u00e4", "j@x"), 2)


def test_headers_that_cannot_be_decoded() -> None:
    broken = "=?utf-8?b?=AA?="
    one = mail("1", f"[PATCH] x {broken}", sender=f"{broken} <{broken}@x>", to=f"{broken}", References=f"<{broken}@x>")
    found = thread(one, mail(f"{broken}", f"{broken}", "words"))
    assert shape(found.series) == [(1, ["1"], 1)]
    assert len(found.messages) == 2


@pytest.mark.parametrize(
    "date",
    [
        "",
        "not a date",
        "Mon, 99 Foo 2020 99:99:99 +0000",
        "Sat, 1 Jan 99999999 00:00:00 +0000",
        "Thu, 1 Jan 1600 00:00:00",
    ],
)
def test_dates_that_are_none(date: str) -> None:
    found = thread(mail("1", "[PATCH] x", Date=date))
    assert found.messages[0].date == ""
    assert kinds(found.series[0].patches[0].troubles) == ["date"]


def test_wild_time_zones() -> None:
    assert (
        thread(mail("1", "[PATCH] x", Date="Thu, 01 Jan 2026 01:02:03 -9900")).messages[0].date
        == "2026-01-01T01:02:03Z"
    )


def test_reference_loops_end() -> None:
    found = thread(
        mail("a", "Re: [PATCH v2 1/2] x", "Reviewed-by: R <r@x.org>", "b"),
        mail("b", "Re: [PATCH v2 1/2] x", "Acked-by: R <r@x.org>", "a"),
        mail("p", "[PATCH v2 1/2] x", PATCH, "a"),
        mail("q", "[PATCH 1/3] x", PATCH, "b"),
    )
    assert sorted(each.version for each in found.series) == [1, 2]
    assert "reference-loop" in kinds(found.troubles)


def test_duplicates() -> None:
    one = mail("1", "[PATCH] x")
    assert thread(one, one).troubles == ()
    assert kinds(thread(one, Mail(one.raw + b"footer\n")).troubles) == ["duplicate"]


@pytest.mark.parametrize(
    "subject",
    [
        "[PATCH 0/0] x",
        "[PATCH 5/0] x",
        "[PATCH 6/5] x",
        "[PATCH 9999/9999] x",
        "[PATCH v99999999999 1/1] x",
        "[" * 3000,
        "[[PATCH]",
        "",
        "[PATCH v0] x",
        "[PATCH -1/2] x",
        "[PATCH " + "v" + "9" * 5000 + "] x",
    ],
)
def test_strange_subjects(subject: str) -> None:
    found = thread(mail("1", subject))
    assert len(found.messages) == 1
    assert found.series or found.troubles
    assert all(patch.seq >= 1 for series in found.series for patch in series.patches)


def nested(depth: int) -> bytes:
    head = b"From: A <a@x>\nSubject: [PATCH] x\nMessage-ID: <1@x>\n"
    parts = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (at, at) for at in range(depth))
    return head + parts + b"Content-Type: text/plain\n\n" + DIFF.encode()


def rfc822(depth: int) -> bytes:
    head = b"From: A <a@x>\nSubject: [PATCH] x\nMessage-ID: <1@x>\n"
    return head + b"Content-Type: message/rfc822\n\n" * depth + b"\n" + DIFF.encode()


HOSTILE = {
    "trailers": "a: \n" * 100_000,
    "trailers and brackets": "Signed-off-by: x\n" * 30_000,
    "blank lines": "\n" * 500_000,
    "hunk headers": "--- a/x\n+++ b/x\n" + "@@ -1 +1 @@\n" * 30_000,
    "one endless hunk": "--- a/x\n+++ b/x\n@@ -1,99999999 +1,99999999 @@\n" + " \n" * 200_000,
    "a hunk of unmarked lines": "--- a/x\n+++ b/x\n@@ -1,99999999 +1,99999999 @@\n" + ("x" * 80 + "\n +\n") * 50_000,
    "one endless line": "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-" + "x" * 2_000_000 + "\n+y\n",
    "headers": "--- a/x\n+++ b/x\n" * 50_000,
    "git headers": "diff --git a/x b/x\n" * 30_000,
    "backslashes": 'diff --git "' + "\\" * 100_001 + '" "b/x"\n',
    "spaces": DIFF + " " * 1_000_000,
    "file words": (" " * 150 + "1 file 1\n") * 20_000,
    "separators": "---\n" * 100_000 + DIFF,
}


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_hostile_bodies_end_soon(name: str) -> None:
    for body in (HOSTILE[name], DIFF + HOSTILE[name]):
        for subject in ("[PATCH] x", "Re: [PATCH] x"):
            start = time.process_time()
            found = thread(mail("1", subject, body))
            assert time.process_time() - start < 6
            assert len(found.messages) == 1


@pytest.mark.parametrize(
    "raw", [nested(80), nested(3000), rfc822(60), rfc822(3000)], ids=["80", "3000", "r60", "r3000"]
)
def test_nesting(raw: bytes) -> None:
    found = thread(Mail(raw))
    assert len(found.messages) == 1
    assert found.series or found.troubles


def test_long_chains_of_answers() -> None:
    mails = [mail("0", "[PATCH] x")]
    mails += [mail(f"{n}", "Re: [PATCH] x", "Acked-by: A <a@x.org>\n", f"{n - 1}", n) for n in range(1, 1500)]
    start = time.process_time()
    found = thread(*mails)
    assert time.process_time() - start < 30
    assert shape(found.series) == [(1, ["0"], 1)]


def test_long_chains_of_partial_versions() -> None:
    mails = [mail(f"{n}", f"[PATCH v{n} 1/9999] x", PATCH, f"{n - 1}" if n > 1 else "", n) for n in range(1, 400)]
    start = time.process_time()
    found = thread(*mails)
    assert time.process_time() - start < 30
    assert len(found.series) == 300
    assert kinds(found.troubles) == ["too-large"]


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                b"From: ",
                b"Subject: ",
                b"[PATCH 1/2]",
                b"Message-ID: <1@x>\n",
                b"Content-Type: multipart/mixed; boundary=b\n",
                b"Content-Type: text/plain; charset=\xff\n",
                b"Content-Transfer-Encoding: base64\n",
                b"References: <a@x> <\n",
                b"\n",
                b"--b\n",
                b"=?utf-8?b?=AA?=",
                b"\xff\x00",
                b"\r\n",
                b" ",
                DIFF.encode(),
                b"base-commit: \n",
                b"Date: x\n",
                b'((("<,;:',
            ]
        ),
        max_size=14,
    )
)
def test_any_bytes_make_a_thread(chunks: list[bytes]) -> None:
    (found,) = read_threads([Mail(b"".join(chunks))], "source")
    assert found.series or found.troubles
    assert len(found.messages) == 1


# The world outside


def test_the_users_configuration_and_programs_take_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither git nor ~/.gitconfig is there; the outcome is the same, the folder too, and b4's state is put back."""
    mails = [*series_of(1, 2), *series_of(2, 2, "v1.0")]
    expected = thread(*mails)
    (tmp_path / ".gitconfig").write_text(
        "[b4]\n\ttrailers-ignore-from = a@x.org\n\tmidmask = http://nowhere.invalid/%s\n"
    )
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("GIT_CONFIG_GLOBAL")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(os, "fork", lambda: pytest.fail("a program was started"))
    monkeypatch.setattr("subprocess.Popen", lambda *_, **__: pytest.fail("a program was started"))
    folder = Path.cwd()
    before = b4.can_network
    assert thread(*mails) == expected
    assert Path.cwd() == folder and b4.can_network is before
    assert not b4.MAIN_CONFIG


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    odd = [mail("d", "[PATCH 1/2] step 1", PATCH, "v1.0"), mail("e", "[PATCH 0/2] empty", Date="x")]
    read_threads([*series_of(1, 2), *odd, Mail(b"junk")], "source")
    assert capfd.readouterr() == ("", "")


def test_the_same_again() -> None:
    mails = [*series_of(1, 2), *series_of(2, 2, "v1.0"), mail("x", "[PATCH] y", Date="none")]
    assert read_threads(mails, "s") == read_threads(mails, "s")


def test_changes_of_the_seed_kinds() -> None:
    body = PATCH + "diff --git a/n.c b/n.c\nnew file mode 100644\nindex 0000000..e69de29\n"
    (series,) = thread(mail("1", "[PATCH] x", body)).series
    assert [file.change for file in series.patches[0].diffs] == [Change.MODIFY, Change.CREATE]
