"""What people said of a series, at the place they said it of."""

from __future__ import annotations

import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lorelint.mail import comments as module
from lorelint.mail.comments import comments
from lorelint.mail.patch import make_patch
from lorelint.mail.people import robot
from lorelint.model.comment import Anchor, Comment, Role
from lorelint.model.mail import BaseHint, Message, Series, Thread

DIFF = """\
The walk may fail, so say so.

Signed-off-by: Tomas Lindqvist <tomas@example.org>
---
 drivers/misc/x.c | 3 ++-

diff --git a/drivers/misc/x.c b/drivers/misc/x.c
index 111111111111..222222222222 100644
--- a/drivers/misc/x.c
+++ b/drivers/misc/x.c
@@ -10,5 +10,6 @@ static int x_walk(struct x *x)
 \tint err;
\x20
 \terr = x_start(x);
+\t/* lost a race */
 \tif (err)
-\t\treturn err;
+\t\treturn -EAGAIN;
--\x20
2.43.0
"""
RETURN = 1 + DIFF.split("\n").index("+\t\treturn -EAGAIN;")


def mail(msgid: str, body: str, to: str = "", who: str = "Odile Brandt", **more: object) -> Message:
    address = f"{who.partition(' ')[0].lower()}@example.org"
    fields: dict[str, object] = {
        "msgid": msgid,
        "subject": "Re: [PATCH] x: say so",
        "from_name": who,
        "from_addr": address,
        "date": "2026-04-02T08:00:00Z",
        "in_reply_to": to,
        "references": (to,) if to else (),
        "to": (),
        "cc": (),
        "body": body,
    }
    return Message(**{**fields, **more})  # type: ignore[arg-type]


def thread(*replies: Message, cover: Message | None = None) -> Thread:
    patch = make_patch(1, mail("patch@x", DIFF, who="Tomas Lindqvist"), "x: say so")
    series = Series("x", 1, "x: say so", patch.author, 1, (patch,), cover, BaseHint())
    return Thread("x", (*([cover] if cover else []), patch.mail, *replies), (series,))


def quote(body: str) -> str:
    return "".join(f"> {line}".rstrip() + "\n" for line in body.split("\n"))


def heard(*replies: Message, cover: Message | None = None) -> tuple[Comment, ...]:
    return comments(thread(*replies, cover=cover)).comments


def test_a_comment_stands_at_the_line_quoted_above_it() -> None:
    (comment,) = heard(mail("1@x", quote(DIFF.partition("-- \n")[0].rstrip("\n")) + "\nThat loops.\n", "patch@x"))
    assert (comment.anchor, comment.path, comment.mail_line) == (Anchor.LINE, "drivers/misc/x.c", RETURN)
    assert comment.quote == "+\t\treturn -EAGAIN;" and comment.role is Role.REVIEWER


def test_the_rest_of_a_full_quote_is_nobodys_place() -> None:
    body = "Nice, but it loops.\n\nOn Thu, 2 Apr 2026 10:00, Tomas Lindqvist wrote:\n" + quote(DIFF)
    (comment,) = heard(mail("1@x", body, "patch@x"))
    assert (comment.anchor, comment.patch, comment.path) == (Anchor.PATCH, 1, "")


@pytest.mark.parametrize(
    ("line", "anchor"),
    [
        ("The walk may fail, so say so.", Anchor.MESSAGE),
        ("+++ b/drivers/misc/x.c", Anchor.FILE),
        ("@@ -10,5 +10,6 @@ static int x_walk(struct x *x)", Anchor.FILE),
        ("something nobody wrote", Anchor.PATCH),
    ],
)
def test_other_places(line: str, anchor: Anchor) -> None:
    (comment,) = heard(mail("1@x", f"> {line}\n\nHow so?\n", "patch@x"))
    assert comment.anchor is anchor


def test_an_answer_to_a_comment_has_its_place() -> None:
    one = mail("1@x", "> +\t\treturn -EAGAIN;\n\nThat loops.\n", "patch@x")
    two = mail("2@x", "> > +\t\treturn -EAGAIN;\n>\n> That loops.\n\nDoes it?\n", "1@x", "Tomas Lindqvist")
    three = mail("3@x", "> Does it?\n\nIt never yields either.\n", "2@x", "Ines Marchetti")
    found = heard(one, two, three)
    assert [each.mail_line for each in found] == [RETURN] * 3
    assert [each.role for each in found] == [Role.REVIEWER, Role.AUTHOR, Role.REVIEWER]
    assert [each.answers for each in found] == ["", "1@x", "2@x"]


def test_marks_that_a_mailer_has_lost() -> None:
    one = mail("1@x", "> +\t\treturn -EAGAIN;\n\nThat loops.\n", "patch@x")
    two = mail("2@x", ">+ return -EAGAIN;\n>That\n>loops.\n\nIt does.\n", "1@x", "Ines Marchetti")
    assert heard(one, two)[1].mail_line == RETURN


def test_a_mail_that_is_not_here_is_read_from_its_answer() -> None:
    body = "On Thu, 2 Apr 2026 10:00, Ines Marchetti wrote:\n> > +\t\treturn -EAGAIN;\n>\n> That loops.\n\nTrue.\n"
    answer = mail("2@x", body, "1@x", "Tomas Lindqvist", references=("patch@x", "1@x"))
    lost, true = heard(answer)
    assert (lost.msgid, lost.name, lost.text, lost.missing) == ("1@x", "Ines Marchetti", "That loops.", True)
    assert lost.mail_line == true.mail_line == RETURN


def test_an_answer_to_nothing_that_is_here_is_listed() -> None:
    (comment,) = heard(mail("1@x", "That loops.\n", "gone@x"))
    assert (comment.anchor, comment.patch, comment.of) == (Anchor.NONE, 0, "")


def test_the_cover_letter() -> None:
    cover = mail("cover@x", "A series about x.\n", who="Tomas Lindqvist")
    found = heard(
        mail("1@x", "> A series about x.\n\nWhy?\n", "cover@x"), mail("2@x", "Why?\n", "cover@x"), cover=cover
    )
    assert [(each.anchor, each.patch) for each in found] == [(Anchor.MESSAGE, 0), (Anchor.SERIES, 0)]


@pytest.mark.parametrize(
    ("name", "address", "raw", "is_robot"),
    [
        ("kernel test robot", "lkp@intel.example.org", b"", True),
        ("syzbot", "syzbot+1f2e@syzkaller.example.org", b"", True),
        ("", "patchwork-bot+netdevbpf@kernel.example.org", b"", True),
        ("bot+bpf-ci", "bot+bpf-ci@kernel.example.org", b"", True),
        ("Jo Example", "jo@example.org", b"Subject: x\nAuto-Submitted: auto-generated\n\nx", True),
        ("Jo Example", "jo@example.org", b"Subject: x\r\nAuto-Submitted: no\r\n\r\nx", False),
        ("Jo Example", "jo@example.org", b"Subject: x\n\nAuto-Submitted: auto-generated\n", False),
        ("Eve Talbot", "talbot@example.org", b"", False),
        ("Alex Example", "alex@shazbot.example.org", b"", False),
        ("Abbot Cicero", "cicero@example.org", b"", False),
    ],
)
def test_robots(name: str, address: str, raw: bytes, is_robot: bool) -> None:
    message = mail("1@x", "It loops.\n", "patch@x", from_name=name, from_addr=address, raw=raw)
    assert robot(message) is is_robot
    (comment,) = heard(message)
    assert (comment.role is Role.ROBOT) is is_robot


@pytest.mark.parametrize(
    ("name", "address", "role"),
    [
        ("Lindqvist, Tomas", "tomas.lindqvist@work.example.org", Role.AUTHOR),
        ("Tomas Lindqvist via Relay", "devnull@example.org", Role.AUTHOR),
        ("Tomas", "someone@example.org", Role.REVIEWER),
        ("", "TOMAS@example.org", Role.AUTHOR),
    ],
)
def test_authors(name: str, address: str, role: Role) -> None:
    (comment,) = heard(mail("1@x", "It loops.\n", "patch@x", from_name=name, from_addr=address))
    assert comment.role is role


PIECES = st.sampled_from(
    (
        *("> +\t\treturn -EAGAIN;", "> > That loops.", "> That loops.", "That loops.", "Again."),
        *("> " * 40, "", "-- ", "On x wrote:"),
    )
)
IDS = st.sampled_from(("a@x", "b@x", "c@x", "d@x", "patch@x", "gone@x", ""))


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.lists(PIECES, max_size=12), IDS, IDS), max_size=4))
def test_whatever_is_answered_in_whatever_order(parts: list[tuple[list[str], str, str]]) -> None:
    names = ("a@x", "b@x", "c@x", "d@x")
    replies = [
        mail(name, "\n".join(lines), to, references=(other, to))
        for name, (lines, to, other) in zip(names, parts, strict=False)
    ]
    found = heard(*replies)
    for comment in found:
        assert (comment.anchor is Anchor.LINE) == bool(comment.path and comment.mail_line == RETURN)
        assert (comment.anchor is Anchor.NONE) == (not comment.of)
    told = {(each.msgid, each.at) for each in found}
    assert len(told) == len(found)
    spoken = sum(line in ("That loops.", "Again.") for lines, _, _ in parts for line in lines)
    assert bool(found) or not spoken or any("-- " in lines or "On x wrote:" in lines for lines, _, _ in parts)


def test_a_thread_of_a_stranger_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every mail quotes all above it: what is looked for grows with the square, up to a limit that is told."""
    monkeypatch.setattr(module, "MAX_READ", 20_000)
    monkeypatch.setattr(module, "MAX_SEARCHED", 2_000_000)
    replies, said = [], ["said in mail number 0, which goes on and on"]
    for number in range(400):
        body = "".join(f"> {line}x\n" for line in said) + f"\nthis is {number}\n"
        replies.append(mail(f"{number}@x", body, f"{number - 1}@x" if number else "patch@x"))
        said.append(f"said in mail number {number}, which goes on and on")
    start = time.process_time()
    result = comments(thread(*replies))
    assert time.process_time() - start < 20
    assert any("were not read" in each.text for each in result.troubles)
    assert result.comments
