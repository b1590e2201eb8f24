"""Reports made by hand, about a driver that does not exist.

`ringmap` has the shape that matters: a callee that turns every failure into -EAGAIN, and a caller the
patch does not touch that goes round on it with mmap_lock held.
"""

from __future__ import annotations

from dataclasses import replace

from lorelint.model.base import Base, BaseStep, Grade
from lorelint.model.finding import (
    Concern,
    Coverage,
    Finding,
    Judged,
    Kind,
    Need,
    Report,
    Severity,
    Sibling,
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
""".split("\n")

DIFF = """\
diff --git a/PATH b/PATH
index 4f0c1d2aa9b1..8e21d07c55f0 100644
--- a/PATH
+++ b/PATH
@@ -212,9 +212,10 @@ static int ringmap_frame(struct ringmap_area *area, unsigned long addr, unsigned
 \t\tif (err)
 \t\t\treturn err;
 
+\t\t/* The frame may have been taken away again in between. */
 \t\terr = ringmap_walk_start(&walk);
 \t\tif (err)
-\t\t\treturn err;
+\t\t\treturn -EAGAIN;
 \t}
 
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
    **numbered("\n".join(AFTER[:-1])),
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
        Sibling("arch/s390/example/ringmap_io.c", 187, "example_mmio_write", "calls the same walk and hands the error on"),
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
        troubles=(Trouble("incomplete-series", "20261102-ringmap-again-v2-0-5c1d@example.org", "2 of 3 patches are missing"),),
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
