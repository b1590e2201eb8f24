"""Where a mailed patch stands among commits, and what makes a check fail."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from lorelint.jobs.check import checked, fails, place_of
from lorelint.mail.patch import make_patch
from lorelint.model.base import Applied, Base, Grade
from lorelint.model.finding import Concern, Finding, Judged, Kind, Report, Severity, Status
from lorelint.model.mail import Message, Patch
from lorelint.model.work import Dismissal

DIFF = """---
diff --git a/a.c b/a.c
index 1111111..2222222 100644
--- a/a.c
+++ b/a.c
@@ -{at},3 +{at},3 @@ int f(void)
 one
-{old}
+{new}
 three
"""


def patch(seq: int, subject: str = "a", old: str = "two", new: str = "2", at: int = 10) -> Patch:
    body = DIFF.format(old=old, new=new, at=at)
    return make_patch(seq, Message(f"{seq}@x", subject, "A", "a@x", "", "", (), (), (), body), subject)


def test_line_numbers_and_blobs_do_not_count() -> None:
    mailed = patch(1, at=99)
    assert place_of(mailed, [patch(1, old="other"), patch(2, at=10)]) == 2


def test_another_change_is_another_patch() -> None:
    assert place_of(patch(1), [patch(1, new="3")]) == 0
    assert place_of(patch(1), []) == 0


def test_of_two_alike_the_subject_decides() -> None:
    among = [patch(1, "first"), patch(2, "second")]
    assert place_of(patch(9, "second"), among) == 2
    assert place_of(patch(9, "third"), among) == 1


def test_a_mail_without_a_change_is_none_of_them() -> None:
    empty = make_patch(1, Message("1@x", "a", "A", "a@x", "", "", (), (), (), "words\n"), "a")
    assert place_of(empty, [empty]) == 0


def judged(
    status: Status = Status.NEW, severity: Severity = Severity.WARNING, gone: int = 0, name: str = "f"
) -> Judged:
    finding = Finding("some-rule", "a.c", name, 3, "x", "a message", severity, 0.9, ())
    return Judged(finding, status, 1, Grade.EXACT, gone_in=gone)


@pytest.mark.parametrize(
    ("one", "least", "exposed", "said"),
    [
        (judged(), Severity.WARNING, False, True),
        (judged(severity=Severity.ERROR), Severity.WARNING, False, True),
        (judged(severity=Severity.NOTE), Severity.WARNING, False, False),
        (judged(severity=Severity.NOTE), Severity.NOTE, False, True),
        (judged(gone=3), Severity.NOTE, True, False),
        (judged(Status.EXPOSED), Severity.NOTE, False, False),
        (judged(Status.EXPOSED), Severity.NOTE, True, True),
        (judged(Status.BEFORE), Severity.NOTE, True, False),
        (judged(Status.FIXED), Severity.NOTE, True, False),
    ],
)
def test_what_fails(one: Judged, least: Severity, exposed: bool, said: bool) -> None:
    assert fails(one, least, exposed) is said
    remark = replace(one, finding=replace(one.finding, kind=Kind.REMARK))
    assert not fails(remark, least, exposed)


def test_what_is_dismissed_leaves_its_concern() -> None:
    one, other = judged(name="f"), judged(name="g")
    report = Report("x", None, None, (one, other), (Concern(1, (one, other)),))
    applied = Applied(Base("", "", Grade.EXACT, ()), ())
    gone = {one.finding.fingerprint: Dismissal(one.finding.fingerprint, "why")}
    done = checked(report, applied, gone)
    assert done.report.findings == (other,) and done.dismissed == (one,)
    assert done.report.concerns == (Concern(1, (other,)),)
    both = {each.finding.fingerprint: Dismissal(each.finding.fingerprint, "why") for each in (one, other)}
    assert checked(report, applied, both).report.concerns == ()


def test_what_was_there_before_need_not_be_dismissed() -> None:
    one = judged(Status.BEFORE)
    report = Report("x", None, None, (one,), ())
    gone = {one.finding.fingerprint: Dismissal(one.finding.fingerprint, "why")}
    assert checked(report, Applied(Base("", "", Grade.EXACT, ()), ()), gone).dismissed == ()
