"""Reports made by hand, about a driver that does not exist.

`ringmap` has the shape that matters: a callee that turns every failure into -EAGAIN, and a caller the
patch does not touch that goes round on it with mmap_lock held.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from lorelint.model.answer import WhyNot, WhyNotAt
from lorelint.model.base import Base, BaseStep, Grade
from lorelint.model.comment import Anchor, Comment, Raised, Role
from lorelint.model.finding import (
    Concern,
    Coverage,
    Doubt,
    Finding,
    Judged,
    Kind,
    Need,
    Report,
    Severity,
    Sibling,
    Silence,
    Status,
    Step,
)
from lorelint.model.mail import BaseHint, Change, FileDiff, Hunk, HunkLine, Message, Patch, Series
from lorelint.model.trouble import Failure, Trouble, Unseen

PATH = "drivers/misc/ringmap/ringmap_pin.c"
START = 200  # the line the text below begins at

AFTER = """\
static int ringmap_frame(struct ringmap_area *area, unsigned long addr, unsigned long *frame)
{
\tstruct ringmap_walk walk = { .vma = area->vma, .addr = addr };
\tint err;

\terr = ringmap_walk_start(&walk);
\tif (err) {
\t\tbool unlocked = false;

\t\terr = fixup_user_fault(area->mm, addr, FAULT_FLAG_REMOTE, &unlocked);
\t\tif (unlocked)
\t\t\treturn -EAGAIN;
\t\tif (err)
\t\t\treturn err;

\t\t/* The frame may have been taken away again in between. */
\t\terr = ringmap_walk_start(&walk);
\t\tif (err)
\t\t\treturn -EAGAIN;
\t}

\t*frame = walk.frame;
\tringmap_walk_end(&walk);
\treturn 0;
}

static long ringmap_pin_area(struct ringmap *map, struct ringmap_area *area, unsigned long addr)
{
\tunsigned long frame;
\tlong err;

\tmmap_read_lock(area->mm);
retry:
\tarea->vma = vma_lookup(area->mm, addr);
\tif (!area->vma) {
\t\terr = -EFAULT;
\t\tgoto out;
\t}

\terr = ringmap_frame(area, addr, &frame);
\tif (err == -EAGAIN)
\t\tgoto retry;
\tif (!err)
\t\terr = ringmap_store(map, frame);
out:
\tmmap_read_unlock(area->mm);
\treturn err;
}
"""

DIFF = """\
diff --git a/PATH b/PATH
index 4f0c1d2aa9b1..8e21d07c55f0 100644
--- a/PATH
+++ b/PATH
@@ -212,9 +212,10 @@ static int ringmap_frame(struct ringmap_area *area, unsigned long addr, unsigned
 \t\tif (err)
 \t\t\treturn err;
\x20
+\t\t/* The frame may have been taken away again in between. */
 \t\terr = ringmap_walk_start(&walk);
 \t\tif (err)
-\t\t\treturn err;
+\t\t\treturn -EAGAIN;
 \t}
\x20
 \t*frame = walk.frame;
""".replace("PATH", PATH)

LOG = """\
From: Ida Example <ida@example.org>

A frame can be taken away between the fault and the second walk. Try again
then, as the first walk does.

Signed-off-by: Ida Example <ida@example.org>
---
 drivers/misc/ringmap/ringmap_pin.c | 3 ++-
 1 file changed, 2 insertions(+), 1 deletion(-)

"""


def numbered(text: str, path: str = PATH, first: int = START) -> dict[tuple[str, int], str]:
    return {(path, first + at): line for at, line in enumerate(text.split("\n"))}


LINES: dict[tuple[str, int], str] = {
    **numbered(AFTER.rstrip("\n")),
    ("drivers/misc/ringmap/ringmap_walk.c", 88): "\t\treturn -EINVAL;",
    ("drivers/misc/ringmap/ringmap_walk.c", 97): "\t\treturn -EINVAL;",
    ("mm/gup.c", 1533): "\t\tif (fatal_signal_pending(current))",
}


def source(patch: int, path: str, line: int) -> str | None:
    return LINES.get((path, line))


def hunks(diff: str, first_mail_line: int) -> FileDiff:
    """A parser good enough for the diffs of this file."""
    path = ""
    old = new = 0
    found: list[Hunk] = []
    lines: list[HunkLine] = []
    for at, text in enumerate(diff.split("\n")):
        if text.startswith("+++ b/"):
            path = text[6:]
        elif text.startswith("@@"):
            _, olds, news, rest = text.split(" ", 3)
            old, new = (int(part[1:].split(",")[0]) for part in (olds, news))
            sizes = [int(part.split(",")[1]) for part in (olds, news)]
            lines = []
            section = rest.removeprefix("@@").strip()
            found.append(Hunk(old, sizes[0], new, sizes[1], section, (), first_mail_line + at))
        elif found and text[:1] in {" ", "+", "-"}:
            op = text[0]
            mail = first_mail_line + at
            lines.append(HunkLine(op, text[1:], mail, None if op == "+" else old, None if op == "-" else new))
            old, new = old + (op != "+"), new + (op != "-")
            found[-1] = replace(found[-1], lines=tuple(lines))
    return FileDiff(path, path, Change.MODIFY, "4f0c1d2aa9b1", "8e21d07c55f0", tuple(found), first_mail_line)


def patch(diff: str = DIFF, seq: int = 1, subject: str = "misc: ringmap: Try again when a frame is gone") -> Patch:
    body = LOG + diff + "-- \n2.49.0\n"
    mail = Message(
        msgid=f"20261102-ringmap-again-v2-{seq}-5c1d@example.org",
        subject=f"[PATCH v2] {subject}",
        from_name="Ida Example",
        from_addr="ida@example.org",
        date="2026-11-02T09:15:30Z",
        in_reply_to="",
        references=(),
        to=(("Ringmap list", "ringmap@lists.example.org"),),
        cc=(("", "linux-kernel@vger.example.org"),),
        body=body,
    )
    diffs = (hunks(diff, 1 + LOG.count("\n")),)
    return Patch(seq, mail.msgid, subject, ("Ida Example", "ida@example.org"), LOG, body, diffs, mail)


def series(*patches: Patch, expected: int = 0) -> Series:
    every = patches or (patch(),)
    return Series(
        key=every[0].msgid,
        version=2,
        subject=every[0].subject,
        author=every[0].author,
        expected=expected or len(every),
        patches=every,
        cover=None,
        hint=BaseHint(base_commit="3d5f9a0c77e14b20a1b1a7a0c1dd7c52f60f9b11"),
    )


BASE = Base(
    tree="linux-source-7.2",
    commit="",
    grade=Grade.EXACT,
    steps=(
        BaseStep("base-commit", "3d5f9a0c77e1", False, "the tree is a directory without history"),
        BaseStep("blobs", "linux-source-7.2", True, "1 of 1 files is the blob the patch names"),
    ),
)

CAUSE = Finding(
    rule="errno-collapsed-to-retry",
    path=PATH,
    function="ringmap_frame",
    line=218,
    anchor="ringmap_walk_start",
    message="every failure of ringmap_walk_start() becomes -EAGAIN, which ringmap_pin_area() tries again",
    severity=Severity.WARNING,
    confidence=0.9,
    steps=(
        Step("drivers/misc/ringmap/ringmap_walk.c", 88, "ringmap_walk_start() fails where the VMA maps no frames"),
        Step("drivers/misc/ringmap/ringmap_walk.c", 97, "it fails the same way where no frame is present"),
        Step(PATH, 218, "both come out of ringmap_frame() as -EAGAIN"),
    ),
    concern="ringmap_pin_area:retry",
    facts=(
        "only a missing frame is the race that the log describes",
        "before the patch -EAGAIN meant that mmap_lock had been dropped, and nothing else",
    ),
    advice="have ringmap_walk_start() return -ENOENT where no frame is present, and try again on that alone",
    ask="should every failure of ringmap_walk_start() be tried again here?",
)

LOOP = Finding(
    rule="unbounded-retry",
    path=PATH,
    function="ringmap_pin_area",
    line=241,
    anchor="ringmap_frame",
    message="nothing bounds the way back to `retry` while ringmap_frame() returns -EAGAIN",
    severity=Severity.WARNING,
    confidence=0.85,
    steps=(
        Step(PATH, 239, "ringmap_frame() returns -EAGAIN"),
        Step(PATH, 218, "among others since its second walk failed for whatever reason"),
        Step(PATH, 241, "goes back to `retry`, with no count, no deadline and no latch on the way"),
    ),
    concern="ringmap_pin_area:retry",
    facts=("mmap_lock is held for reading from line 231 on, all the way round",),
    advice="bound the retries and return the error when the bound is reached",
    siblings=(
        Sibling("virt/example/pin_main.c", 3021, "example_pin_remapped", "tries again only when the lock was dropped"),
        Sibling(
            "arch/s390/example/ringmap_io.c", 187, "example_mmio_write", "calls the same walk and hands the error on"
        ),
    ),
    ask="can the loop in ringmap_pin_area() end if the walk keeps failing?",
)

YIELD = Finding(
    rule="retry-no-resched",
    path=PATH,
    function="ringmap_pin_area",
    line=241,
    anchor="ringmap_frame",
    message="nothing on the way round must give up the CPU",
    severity=Severity.NOTE,
    confidence=0.8,
    steps=(
        Step(PATH, 239, "ringmap_frame() can come back without a cond_resched()"),
        Step(PATH, 241, "the way back has none either"),
    ),
    concern="ringmap_pin_area:retry",
    facts=("from 7.2 on this costs latency only: PREEMPT_NONE is gone from this architecture",),
    advice="put a cond_resched() before the jump",
)

SIGNAL = Finding(
    rule="retry-no-fatal-signal",
    path=PATH,
    function="ringmap_pin_area",
    line=241,
    anchor="ringmap_frame",
    message="fixup_user_fault() with &unlocked is killable, so SIGKILL ends the loop with -EINTR",
    severity=Severity.NOTE,
    confidence=0.7,
    steps=(
        Step(PATH, 209, "fixup_user_fault() is called with &unlocked, which makes it killable"),
        Step("mm/gup.c", 1533, "it looks for a fatal signal before each fault and returns -EINTR"),
        Step(PATH, 240, "-EINTR is not -EAGAIN and leaves the loop"),
    ),
    kind=Kind.REMARK,
    concern="ringmap_pin_area:retry",
)

OLD = Finding(
    rule="single-vma-check",
    path=PATH,
    function="ringmap_check_range",
    line=57,
    anchor="vma_lookup",
    message="the flags of the first VMA decide for the whole range",
    severity=Severity.WARNING,
    confidence=0.8,
    steps=(Step(PATH, 57, "vma_lookup() finds the first VMA alone"),),
    need=Need.FILE,
)

BECAUSE = "ringmap_frame() returns -EAGAIN for other causes than before"


def judged(finding: Finding, status: Status = Status.NEW, because: str = "") -> Judged:
    return Judged(finding, status, patch=1, grade=Grade.EXACT, because=because)


def retry() -> Report:
    """The seed's shape in full: cause, loop, note, remark, an old finding and a fixed one."""
    concern = (judged(CAUSE), judged(LOOP, because=BECAUSE), judged(YIELD, because=BECAUSE), judged(SIGNAL))
    old = judged(OLD, Status.BEFORE)
    fixed = judged(replace(OLD, function="ringmap_old_check", line=31), Status.FIXED)
    return Report(
        source="20261102-ringmap-again-v2-1-5c1d@example.org",
        series=series(),
        base=BASE,
        findings=(*concern, old, fixed),
        concerns=(Concern(1, concern),),
        coverage=Coverage(files=3, functions=41, degraded=1, rules=("errno-collapsed-to-retry", "unbounded-retry")),
        unseen=(Unseen("unresolved", PATH, 243, "ringmap_store() is called through a table nothing sets"),),
        version="lorelint 0.1.0",
    )


def clean_run() -> Report:
    """A series with nothing to say about."""
    return replace(retry(), findings=(), concerns=(), unseen=())


def approximate() -> Report:
    """An incomplete series on a base that needed fuzz, a rule that failed, input that is odd."""
    base = replace(
        BASE,
        tree="linux-source-6.12",
        grade=Grade.APPROXIMATE,
        steps=(
            BaseStep("base-commit", "3d5f9a0c77e1", False, "not in this repository"),
            BaseStep("blobs", "linux-source-6.12", False, "0 of 1 files is the blob the patch names"),
            BaseStep("fuzzy", "linux-source-6.12", True, "hunk 1 placed with 1 line of context ignored"),
        ),
    )
    report = retry()
    loose = tuple(replace(each, grade=Grade.APPROXIMATE) for each in report.findings)
    return replace(
        report,
        base=base,
        series=replace(series(expected=3), subject="misc: ringmap: Three small repairs"),
        findings=loose,
        concerns=(Concern(1, loose[:4]),),
        troubles=(
            Trouble("incomplete-series", "20261102-ringmap-again-v2-0-5c1d@example.org", "2 of 3 patches are missing"),
        ),
        failures=(Failure("single-vma-check", PATH, "ringmap_check_range", "a range that ends before it begins"),),
    )


def scan() -> Report:
    """Files judged as if new."""
    only = replace(judged(LOOP), patch=0)
    return Report(
        source="drivers/misc/ringmap",
        series=None,
        base=None,
        findings=(only,),
        concerns=(Concern(0, (only,)),),
        coverage=Coverage(files=2, functions=17, rules=("unbounded-retry",)),
        version="lorelint 0.1.0",
    )


TABLE = "drivers/misc/ringmap/ringmap_main.c"
TABLE_DIFF = """\
diff --git a/TABLE b/TABLE
index 77aa01bc3f21..0b5ce812ee07 100644
--- a/TABLE
+++ b/TABLE
@@ -301,6 +301,7 @@ static int ringmap_mmap(struct file *file, struct vm_area_struct *vma)
 static const struct file_operations ringmap_fops = {
 \t.owner\t\t= THIS_MODULE,
 \t.open\t\t= ringmap_open,
+\t.mmap\t\t= ringmap_mmap,
 \t.release\t= ringmap_release,
 };
\x20
""".replace("TABLE", TABLE)

REVOKE = Finding(
    rule="revoke-without-unmap",
    path="drivers/misc/ringmap/ringmap_revoke.c",
    function="ringmap_revoke",
    line=77,
    anchor="ringmap_area",
    message="ringmap_revoke() marks the area as gone and leaves what user space has mapped of it",
    severity=Severity.ERROR,
    confidence=0.85,
    steps=(
        Step(TABLE, 304, "`.mmap` lets user space map the area since this patch"),
        Step("drivers/misc/ringmap/ringmap_revoke.c", 77, "the area is marked as gone"),
        Step(
            "drivers/misc/ringmap/ringmap_revoke.c", 81, "the function ends, with no unmap_mapping_range() on the way"
        ),
    ),
    need=Need.CALLS,
    concern="ringmap_revoke:ringmap_area",
    facts=("a page that was touched before stays in the page tables, and reaches memory that has another owner",),
    advice="call unmap_mapping_range() on the device's mapping before the flag is set",
    ask="what takes the pages out of the page tables when ringmap_revoke() runs?",
)


def untouched_cause() -> Report:
    """A table gets `.mmap`, and a function in another file becomes wrong: the hunk to quote is the table's."""
    table = patch(TABLE_DIFF, subject="misc: ringmap: Let user space map the ring")
    one = judged(REVOKE, because="`.mmap` of struct file_operations ringmap_fops was set")
    return replace(
        retry(),
        series=series(table),
        findings=(one,),
        concerns=(Concern(1, (one,)),),
        unseen=(),
    )


def series_of_two() -> Report:
    """Two patches, a reply each, and trailers of two people; what the second brings is gone again in no later patch."""
    acked = "Acked-by: Kit Example <kit@example.org>"
    first_patch = replace(patch(), followups=("Reviewed-by: Oda Example <oda@example.org>", acked))
    second = patch(TABLE_DIFF, seq=2, subject="misc: ringmap: Let user space map the ring")
    second = replace(second, followups=(acked,))
    first = retry().concerns[0].findings
    one = replace(judged(REVOKE, because="`.mmap` of struct file_operations ringmap_fops was set"), patch=2)
    passing = replace(judged(OLD), gone_in=2)
    return replace(
        retry(),
        series=replace(series(first_patch, second), subject="misc: ringmap: Map the ring"),
        findings=(*first, passing, one),
        concerns=(Concern(1, first), Concern(1, (passing,)), Concern(2, (one,))),
    )


def fragments() -> Report:
    """No tree at all: what needs more than the patch is told, and mailed to nobody."""
    base = Base("", "", Grade.FRAGMENTS, (BaseStep("fragments", "", True, "no tree was given"),))
    loose = tuple(replace(judged(each, Status.UNCERTAIN), grade=Grade.FRAGMENTS) for each in (CAUSE, LOOP))
    return replace(retry(), base=base, findings=loose, concerns=(Concern(1, loose),), unseen=())


IDA, ODA, KIT = "20261103-ida@example.org", "20261103-oda@example.org", "20261104-kit@example.org"


def comment(name: str, msgid: str, text: str, anchor: Anchor = Anchor.LINE, **more: Any) -> Comment:
    of = series().patches[0].msgid
    place = {"path": PATH, "function": "ringmap_frame", "line": 218, "mail_line": 26} if anchor is Anchor.LINE else {}
    address = f"{name.split(maxsplit=1)[0].lower()}@example.org"
    fields = {"of": of, "patch": 1, "quote": "+\t\t\treturn -EAGAIN;", **place, **more}
    return Comment(msgid, name, address, "2026-11-03T08:00:00Z", Role.REVIEWER, 12, text, anchor, **fields)


def answered() -> Report:
    """People have answered: the cause was raised, the loop perhaps, and they said more."""
    cause = Raised(ODA, "Oda Example", 12, True, ("masking all",))
    loop = Raised(KIT, "Kit Example", 12, False, ("retry", "eagain"))
    asked = Raised(KIT, "Kit Example", 20, True, ("fatal signal",))
    findings = (
        replace(judged(CAUSE), raised=(cause,)),
        replace(judged(LOOP, because=BECAUSE), raised=(loop,)),
        replace(judged(YIELD, because=BECAUSE)),
        replace(judged(SIGNAL), raised=(asked,)),
    )
    comments = (
        comment("Oda Example", ODA, "Masking all of its errors as -EAGAIN is a bet on what it may return."),
        comment("Kit Example", KIT, "We retry on -EAGAIN elsewhere as well, do we not?"),
        replace(comment("Kit Example", KIT, "And what about fatal signals?"), at=20),
        replace(comment("Kit Example", KIT, "This wants a test. " * 30, Anchor.PATCH), at=30),
        replace(comment("Kit Example", KIT, "As before."), at=40),
        replace(comment("Kit Example", KIT, "As before, again."), at=50),
        replace(comment("Ida Example", IDA, "Will do.", Anchor.PATCH), role=Role.AUTHOR),
        replace(comment("Rob Bot", IDA, "build failed", Anchor.PATCH), role=Role.ROBOT),
        replace(comment("Jo Example", "20261105-jo@example.org", "+1", Anchor.NONE), of="", patch=0),
        replace(comment("Jo Example", "20261101-jo@example.org", "How often does this happen?"), of="v1@example.org"),
    )
    return replace(retry(), findings=findings, concerns=(Concern(1, findings),), comments=comments)


def answer() -> WhyNot:
    """One definition where the rule is silent, one where it cannot tell, one that lacks the words."""
    return WhyNot(
        rule="unbounded-retry",
        function="ringmap_pin_area",
        tree="linux-source-7.2",
        notes=("3 definitions",),
        judged=(
            WhyNotAt(
                PATH,
                "ringmap_pin_area",
                226,
                silences=(
                    Silence(
                        "unbounded-retry",
                        PATH,
                        "ringmap_pin_area",
                        241,
                        "-EAGAIN of ringmap_frame() means that the lock was dropped, so each pass makes progress",
                        (Step(PATH, 211, "-EAGAIN is returned under `unlocked` alone"),),
                    ),
                ),
            ),
            WhyNotAt(
                "arch/s390/example/ringmap_io.c",
                "ringmap_pin_area",
                40,
                doubts=(
                    Doubt(
                        "unbounded-retry", PATH, "ringmap_pin_area", 44, "x", "the loop holds text that was not parsed"
                    ),
                ),
            ),
            WhyNotAt("lib/test_ringmap.c", "ringmap_pin_area", 9, missing=("EAGAIN | EBUSY | EINTR",)),
        ),
    )
