"""What takes the texts of strangers: for each, seeds that are right, words to put in, and what is done with it."""

from __future__ import annotations

import mailbox
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import ROOT, tree_path

Take = Callable[[bytes], object]
C_WORDS = rb"""
{ } ( ) ; , = == != & | ! * -> . [ ] ? : ++ -- << "x" ' '\'' 0 1 -EAGAIN if else for while do goto again: return break
continue switch case default: struct static int void unsigned const sizeof #if #ifdef #else #endif #define // /* */ \
__user __iomem __free(kfree) guard(mutex)(&a) scoped_guard cond_resched() mmap_read_lock(mm) mmap_read_unlock(mm)
follow_pfnmap_start(&a) pin_user_pages(a) list_for_each_entry(a,b,c) SYSCALL_DEFINE3(a,b,c) EXPORT_SYMBOL(a) ({ })
asm volatile typeof(a) .mmap=f __attribute__((x)) copy_to_user
""".split()
MAIL_WORDS = b"""
From: Subject: Date: Message-ID: In-Reply-To: References: Content-Type: multipart/mixed; boundary="b" --b --b--
Content-Transfer-Encoding: base64 quoted-printable =?utf-8?q?x?= =?utf-8?b?//8=?= [PATCH v2 3/7] diff --git a/x b/x
index 0..1 @@ -1,9 +1,9 @@ +++ --- -- > >> lorelint: false-positive mute stop base-commit: change-id: <a@b>
text/plain; charset=x
""".split()
MAIL_WORDS += [b"\x00", b"\xff", b"\xe2\x80\xae", b"\r\n"]
TOML_WORDS = rb"""
[list.kvm] [inbox.x] [tree.x] = " ' [ ] { } true false 1 -1 1e999 inf nan 2026-01-01 # audience release sender url path
dry_run hourly_cap \u0000 \U0010ffff
""".split()
PEOPLE = b"MEMORY\nM:\tIda <ida@example.org>\nL:\tlinux-mm@kvack.org\nF:\tmm/\nX:\tmm/x*\nK:\tgup\nN:\tfuzz\n\n"


def _lines(words: Sequence[bytes]) -> list[bytes]:
    return [each + end for each in words for end in (b" ", b"\n", b"")]


@dataclass(frozen=True, slots=True)
class Target:
    """`take` must come back, with a value or with a LorelintError."""

    name: str
    seeds: tuple[bytes, ...]
    words: tuple[bytes, ...]
    take: Take


def _mails() -> tuple[bytes, ...]:
    found = [
        mail.as_bytes() for path in sorted((ROOT / "corpora/threads").glob("*.mbox")) for mail in mailbox.mbox(path)
    ]
    return tuple(found)


def _sources() -> tuple[bytes, ...]:
    """C of our own tree, of our rules' examples, and of 6.12 where it is there."""
    small = sorted((ROOT / "corpora/trees/small/drivers").rglob("*.c"))
    examples = sorted((ROOT / "rules/lorelint_rules").rglob("*.diff"))
    own = [path.read_bytes() for path in small]
    own += [b"\n".join(line[1:] for line in path.read_bytes().split(b"\n")) for path in examples]
    tree = tree_path("6.12")
    names = ("mm/gup.c", "virt/kvm/pfncache.c", "drivers/vfio/vfio_main.c", "drivers/dma-buf/dma-resv.c", "mm/memory.c")
    kernel = [_part(tree / name) for name in names] if tree else []
    return tuple(own + kernel)


def _part(path: Path, most: int = 24_000) -> bytes:
    """The middle of a long file: an example is to take a moment."""
    text = path.read_bytes()
    at = max(0, len(text) // 2 - most // 2)
    return text[at : at + most]


# -- what is done ----------------------------------------------------------------------------------------------------


def _mail(raw: bytes) -> object:
    from lorelint.edge.b4.single import read_mail
    from lorelint.edge.b4.threads import read_threads
    from lorelint.edge.mailbox import Mail, read_bytes
    from lorelint.mail import bounce, commands, comments, quotes
    from lorelint.mail.nature import nature

    message, facts = read_mail(raw)
    found: list[object] = [nature(message, facts, "bot.example.org"), bounce.bounce(raw)]
    found += [quotes.read(message.body), commands.parse(message.body)]
    for thread in read_threads([Mail(raw), *read_bytes(raw, "fuzz").mails], "fuzz"):
        found.append(comments.comments(thread))
    return found


def _diff(raw: bytes) -> object:
    from lorelint.mail.apply import apply_diff, reverse
    from lorelint.mail.diff import parse_diff
    from lorelint.mail.patchid import patch_id

    text = raw.decode("utf-8", "surrogateescape")
    read = parse_diff(text)
    applied = [apply_diff(each, before) for each in read.files for before in (None, b"", b"a\nb\nc\n" * 50)]
    return applied, [reverse(each) for each in read.files], patch_id(text)


def _c(raw: bytes) -> object:
    from lorelint.code.functions import functions
    from lorelint.code.harvest import harvest
    from lorelint.code.loops import loops
    from lorelint.code.lower import lower

    return harvest(raw), [loops(lower(fn)) for fn in functions("drivers/fuzz/a.c", raw)]


def _rules(raw: bytes) -> object:
    from lorelint.jobs.scan import lone, scan
    from lorelint.report import json
    from lorelint.rule.packs import load

    report = scan(lone("a.c", raw), ["a.c"], load(), version=(6, 12))
    assert report.failures == (), report.failures[0]
    return json.document(report)


def _policy(raw: bytes) -> object:
    from lorelint.jobs.policy.parse import parse

    return parse(raw.decode("utf-8", "replace"), "policy.toml")


def _config(raw: bytes) -> object:
    from lorelint.config import parse

    return parse(raw.decode("utf-8", "replace"), "config.toml")


def _maintainers(raw: bytes) -> object:
    from lorelint.kernel.maintainers import parse

    return parse(raw.decode("utf-8", "replace")).of(["mm/gup.c", "drivers/fuzz/a.c"])


def targets() -> tuple[Target, ...]:
    deploy = ROOT / "deploy"
    policies = (deploy / "policy.toml", *sorted((deploy / "examples").glob("*.policy.toml")))
    configs = (deploy / "config.toml", *sorted((deploy / "examples").glob("*.config.toml")))
    open_ones = [path.read_bytes().replace(b"\n# ", b"\n") for path in policies]
    mails, sources = _mails(), _sources()
    c_words, mail_words, toml_words = (tuple(_lines(each)) for each in (C_WORDS, MAIL_WORDS, TOML_WORDS))
    return (
        Target("mail", mails, mail_words, _mail),
        Target("diff", mails, mail_words, _diff),
        Target("c", sources, c_words, _c),
        Target("rules", sources, c_words, _rules),
        Target("policy", (*(path.read_bytes() for path in policies), *open_ones), toml_words, _policy),
        Target("config", tuple(path.read_bytes() for path in configs), toml_words, _config),
        Target(
            "maintainers",
            (PEOPLE * 4,),
            (b"M:\t", b"F:\t", b"K:\t(", b"N:\t[", b"*", b"?", b"\n", b"<", b">"),
            _maintainers,
        ),
    )
