"""What a mail on a list is: each kind by an example, and near misses; and all mail of the corpora, counted."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorelint.edge.b4.single import read_mail
from lorelint.edge.mailbox import read_path
from lorelint.mail.nature import nature
from lorelint.model.errors import LorelintError
from lorelint.model.feed import Nature

ANN = "Ann <ann@example.org>"
GREG = "Greg Kroah-Hartman <gregkh@linuxfoundation.org>"


def diff(path: str = "drivers/foo/foo.c") -> str:
    return f"say why\n\n---\ndiff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n@@ -1 +1 @@\n-a\n+b\n"


def mail(subject: str, body: str = "", sender: str = ANN, to: str = "kvm@vger.kernel.org", more: str = "") -> bytes:
    head = f"From: {sender}\nTo: {to}\nSubject: {subject}\nMessage-ID: <1@example.org>\n"
    return f"{head}Date: Mon, 16 Mar 2026 10:00:00 +0000\n{more}\n{body or diff()}".encode()


def what(raw: bytes, domain: str = "bot.example.org") -> tuple[Nature, str]:
    return nature(*read_mail(raw), domain)


@pytest.mark.parametrize(
    "subject",
    [
        "[PATCH] foo: mend",
        "[PATCH v2 3/7] foo: mend",
        "[RFC PATCH] foo: mend",
        "[RFC v2] foo: mend",
        "[PATCH RESEND] foo: mend",
        "[PTACH v3] foo: mend",
        "[PATCH net-next 1/2] foo: mend",
        "[PATCH v2.1 2/3] foo: mend",
        "[PATCH for-6.20] foo: mend",
        "[PATCH 6.19-rc2] foo: mend",
        "[PATCH v6 1/3] foo: mend",
        "[kvm] [PATCH] foo: mend",
        "[PATCH linux-next] foo: mend",
        "[PATCH vfio/next] foo: mend",
    ],
)
def test_patches(subject: str) -> None:
    assert what(mail(subject))[0] is Nature.PATCH


@pytest.mark.parametrize(
    ("subject", "path", "to", "why"),
    [
        ("[kvm-unit-tests PATCH v2] x86: mend", "x86/vmx.c", "", "kvm-unit-tests"),
        ("[PATCH kvmtool] mend", "builtin-run.c", "", "kvmtool"),
        ("[PATCH iproute2-next 1/2] ip: mend", "ip/ip.c", "", "iproute2-next"),
        ("[PATCH b4] mend", "src/b4/mbox.py", "", "b4"),
        ("[PATCH dpdk 1/2] mend", "lib/kni/kni.c", "", "dpdk"),
        ("[PATCH v3 1/9] vfio: mend", "hw/vfio/pci.c", "qemu-devel@nongnu.org", "hw/vfio/pci.c"),
        ("[PATCH] target/i386: mend", "target/i386/kvm/kvm.c", "", "target/i386"),
        ("[PATCH] mend", "src/main.c", "", "src/main.c"),
    ],
)
def test_other_projects(subject: str, path: str, to: str, why: str) -> None:
    found = what(mail(subject, diff(path), to=to or "kvm@vger.kernel.org"))
    assert found[0] is Nature.FOREIGN and why in found[1]


@pytest.mark.parametrize(
    "path",
    ["tools/perf/builtin-top.c", "lib/iov_iter.c", "MAINTAINERS", ".mailmap", "scripts/checkpatch.pl", "samples/x.c"],
)
def test_a_patch_to_linux_that_goes_to_another_list_too(path: str) -> None:
    raw = mail("[PATCH] mend", diff(path), to="kvm@vger.kernel.org, qemu-devel@nongnu.org")
    assert what(raw)[0] is Nature.PATCH


def test_a_new_folder_of_linux_among_others() -> None:
    body = "".join(diff(path) for path in ("kernel/a.c", "include/linux/a.h", "lib/a.c", "new_folder/a.c"))
    assert what(mail("[PATCH] a new folder", body))[0] is Nature.PATCH


def test_cover_letters_by_their_diffstat() -> None:
    ours = (
        "what it is about\n\n drivers/vfio/vfio.c | 3 +++\n .../vfio.c | 12 ++++\n 2 files changed, 15 insertions(+)\n"
    )
    theirs = (
        "what it is about\n\n hw/vfio/pci.c    | 3 +++\n hw/vfio/trace.h | 3 +++\n 2 files changed, 6 insertions(+)\n"
    )
    assert what(mail("[PATCH 0/2] vfio", ours))[0] is Nature.COVER
    assert what(mail("[PATCH 0/2] vfio", theirs))[0] is Nature.FOREIGN
    assert what(mail("[PATCH 0/2] vfio", "no diffstat\n", to="qemu-devel@nongnu.org"))[0] is Nature.FOREIGN


@pytest.mark.parametrize(
    ("subject", "sender", "more"),
    [
        ("[PATCH 6.1 012/345] foo: mend", GREG, "X-stable: review\nX-Patchwork-Hint: ignore\n"),
        ("[PATCH 6.12 01/20] foo: mend", GREG, ""),
        ("[PATCH AUTOSEL 6.12 1/20] foo: mend", "Sasha Levin <sashal@kernel.org>", "X-stable-base: Linux 6.12.3\n"),
        ("[PATCH 5.10 40/90] foo: mend", ANN, ""),
    ],
)
def test_reviews_of_the_stable_team(subject: str, sender: str, more: str) -> None:
    assert what(mail(subject, sender=sender, more=more))[0] is Nature.STABLE


@pytest.mark.parametrize(
    ("subject", "body"),
    [
        ("[PATCH 5.10.y] foo: mend", ""),
        ("[PATCH 6.1] foo: mend", ""),
        ("[PATCH 6.6-stable 1/2] foo: mend", ""),
        ("[PATCH stable-5.15] foo: mend", ""),
        ("[PATCH v5.4.y] foo: mend", ""),
        ("[PATCH OLK-5.10] foo: mend", ""),
        ("[PATCH] foo: mend", "[ Upstream commit 0123456789abcdef0123456789abcdef01234567 ]\n\n" + diff()),
        ("[PATCH] foo: mend", "commit 0123456789abcdef0123456789abcdef01234567 upstream.\n\n" + diff()),
    ],
)
def test_patches_for_older_kernels(subject: str, body: str) -> None:
    assert what(mail(subject, body))[0] is Nature.BACKPORT


def test_greg_writes_patches_too() -> None:
    assert what(mail("[PATCH] foo: mend", sender=GREG))[0] is Nature.PATCH
    assert (
        what(mail("[PATCH] foo: mend", "this was commit 0123456789abcdef0123 upstream\n" + diff()))[0] is Nature.PATCH
    )


@pytest.mark.parametrize(
    ("subject", "body"),
    [
        (
            "[GIT PULL] kvm fixes",
            "The following changes ...\n\nare available in the Git repository at:\n\n  https://x\n",
        ),
        ("[PULL 03/28] vfio: mend", ""),
        ("kvm fixes for 6.20", "Hi,\n\nthese are available in the Git repository at:\n\n  https://x\n"),
    ],
)
def test_pull_requests(subject: str, body: str) -> None:
    assert what(mail(subject, body))[0] is Nature.PULL


@pytest.mark.parametrize(
    ("subject", "body", "sender"),
    [
        ("+ mm-mend.patch added to mm-unstable branch", "", "Andrew <akpm@linux-foundation.org>"),
        ("[merged mm-stable] mm-mend.patch removed from -mm tree", "", "Andrew <akpm@linux-foundation.org>"),
        ('Patch "foo: mend" has been added to the 6.12-stable tree', "gone in\n", GREG),
        ("Re: [PATCH] foo: mend", "On Monday, Ann wrote:\n> mend\n\nApplied, thanks!\n", "Bob <bob@example.org>"),
        ("Undelivered Mail Returned to Sender", "it was not\n", "Mail <mail@example.org>"),
    ],
)
def test_notices(subject: str, body: str, sender: str) -> None:
    assert what(mail(subject, body, sender))[0] is Nature.NOTICE


REPLY = "In-Reply-To: <0@example.org>\n"


def test_replies() -> None:
    body = (
        "On Monday, Ann wrote:\n> diff --git a/x b/x\n> --- a/x\n> +++ b/x\n\nThis is applied where it should not be.\n"
    )
    assert what(mail("Re: [PATCH] foo: mend", body, more=REPLY))[0] is Nature.REPLY
    assert what(mail("foo, was: bar", "what about this?\n", more=REPLY))[0] is Nature.REPLY
    assert what(mail("what about foo", "what about this?\n"))[0] is Nature.TALK


def test_a_diff_in_a_reply_is_no_patch() -> None:
    assert what(mail("Re: [PATCH] foo: mend", "Why not\n\n" + diff(), more=REPLY))[0] is Nature.BURIED
    assert what(mail("what I tried", diff()))[0] is Nature.BURIED
    assert what(mail("[PATCH v2] foo: mend", diff(), more=REPLY))[0] is Nature.PATCH


def test_robots() -> None:
    assert what(mail("Re: [PATCH] foo", "x\n", "kernel test robot <lkp@intel.com>", more=REPLY))[0] is Nature.ROBOT
    assert what(mail("[syzbot] KASAN", "x\n", "syzbot <syzbot+1@syzkaller.appspotmail.com>"))[0] is Nature.ROBOT
    hint = "X-Patchwork-Hint: comment\n"
    assert what(mail("Re: [PATCH] foo", "I think so.\n", more=REPLY + hint))[0] is Nature.REPLY


def test_our_own() -> None:
    ours = mail("Re: [PATCH] foo: mend", "can it end?\n", more=REPLY)
    assert what(ours)[0] is Nature.REPLY
    assert what(ours.replace(b"<1@example.org>", b"<1@bot.example.org>"))[0] is Nature.OURS
    assert what(mail("Re: [PATCH] foo", "can it end?\n", more="X-Lorelint: 1; retry\n"))[0] is Nature.OURS


def test_commands() -> None:
    asks = "> can it end?\n\nlorelint: false-positive unbounded-retry it ends\n"
    assert what(mail("Re: [PATCH] foo", asks, more=REPLY))[0] is Nature.ANSWER
    quoted = "> lorelint: false-positive unbounded-retry it ends\n\nnot true\n"
    assert what(mail("Re: [PATCH] foo", quoted, more=REPLY))[0] is Nature.REPLY
    assert what(mail("[PATCH] foo", "lorelint: mute unbounded-retry\n\n" + diff()))[0] is Nature.PATCH


def test_what_cannot_be_read() -> None:
    assert what(b"")[0] is Nature.BROKEN
    assert what(b"\xff\xfe\0\0")[0] is Nature.BROKEN
    assert what(mail("[PATCH 2/3] foo: mend", "the diff was lost\n"))[0] is Nature.TALK


@given(st.binary(max_size=400))
def test_any_bytes_have_a_nature(raw: bytes) -> None:
    found, why = what(raw)
    assert found in Nature and why


@given(st.text(max_size=80), st.text(max_size=200))
def test_any_mail_has_a_nature(subject: str, body: str) -> None:
    found, why = what(mail(subject.replace("\n", " "), body))
    assert found in Nature and why


# The mail of a whole kernel list, looked through by hand.
COUNTS = {
    "patch": 257,
    "cover": 22,
    "reply": 571,
    "stable": 21,
    "robot": 19,
    "notice": 19,
    "buried": 8,
    "talk": 2,
    "pull": 1,
}


@pytest.mark.needs_shared
def test_all_mail_of_a_kernel_list(shared: Path) -> None:
    counts: Counter[str] = Counter()
    for path in sorted((shared / "corpora" / "mail" / "linaro-mm-sig").rglob("*.mbox")):
        counts.update(what(each.raw)[0].value for each in read_path(path).mails)
    assert dict(counts) == COUNTS


@pytest.mark.needs_shared
def test_no_patch_of_another_project_is_taken_for_one_of_linux(shared: Path) -> None:
    taken = []
    for folder in ("patchew", "git", "b4", "emailthreads"):
        for path in sorted((shared / "corpora" / "mail" / folder).rglob("*")):
            try:
                mails = read_path(path).mails if path.is_file() else ()
            except LorelintError:
                continue
            taken += [path.name for each in mails if what(each.raw)[0].reviewed]
    assert taken == ["0036-patch-with-no-to-header.mbox"]  # that one is for Linux


@pytest.mark.needs_shared
def test_the_seeds_are_reviewed(shared: Path) -> None:
    for path in sorted((shared / "corpora" / "seeds").glob("*.mbox")):
        found = Counter(what(each.raw)[0] for each in read_path(path).mails)
        assert found[Nature.PATCH] and not found[Nature.FOREIGN] and not found[Nature.BROKEN], path.name
