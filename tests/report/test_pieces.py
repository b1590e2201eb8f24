"""The pieces a report is made of: text, chains, places, excerpts, quotes."""

from __future__ import annotations

import re
import shlex
from types import ModuleType
from typing import Any

import pytest
from b4.review import _review as b4_review
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from lorelint.model.base import Base, BaseStep, Grade
from lorelint.model.finding import Concern, Kind, Report, Severity, Sibling, Status, Step
from lorelint.report import chain, excerpt, prose, quote, text
from lorelint.report.place import PatchMap, causing_spot
from lorelint.report.reply import replies
from lorelint.report.terminal import terminal


@pytest.mark.parametrize(
    ("given_", "shown"),
    [
        ("plain", "plain"),
        ("é字", "é字"),
        ("a\tb", "a b"),
        ("\x1b[1m", "<U+001B>[1m"),
        ("\u202eevil", "<U+202E>evil"),
        ("\udce9", "<0xE9>"),
        ("\ud800", "<U+D800>"),
        ("\u2028", "<U+2028>"),
    ],
)
def test_clean(given_: str, shown: str) -> None:
    assert text.clean(given_) == shown


@given(st.text(max_size=300), st.integers(20, 120))
def test_wrapping_loses_no_word_and_fits(words: str, columns: int) -> None:
    lines = text.wrap(words, columns, first="* ", rest="  ", split=True)
    assert all(text.width(line) <= columns for line in lines)
    joined = "".join(line[2:] for line in lines).replace(" ", "")
    assert joined == text.words(words).replace(" ", "")


def test_a_line_does_not_begin_with_what_looks_like_a_trailer() -> None:
    lines = text.wrap("these are the calls that each pass is sure to run: f(), g() and h()", 46)
    assert lines == ["these are the calls that each pass is sure", "to run: f(), g() and h()"]


@pytest.mark.parametrize(
    ("clause", "sentence"),
    [
        ("nothing bounds it", "Nothing bounds it."),
        ("mmap_lock is held", "mmap_lock is held."),
        ("f() fails", "f() fails."),
        ("ret is lost", "ret is lost."),
        ("count == 3 there", "count == 3 there."),
        ("is it?", "Is it?"),
    ],
)
def test_sentence(clause: str, sentence: str) -> None:
    assert text.sentence(clause) == sentence


@pytest.mark.parametrize("tree", ["linux", "~/src/linux", "my tree", "a'b", "$(reboot)", ";"])
def test_a_command_can_be_pasted(tree: str) -> None:
    assert shlex.split(text.argument(tree).replace("~", "'~'")) == [tree]


def test_neighbours_that_say_the_same_are_one() -> None:
    steps = (Step("a.c", 1, "fails"), Step("a.c", 5, "fails"), Step("b.c", 5, "fails"), Step("a.c", 9, "other"))
    assert [(link.place, link.text) for link in chain.links(steps)] == [
        ("a.c:1, 5", "fails"),
        ("b.c:5", "fails"),
        ("a.c:9", "other"),
    ]


def test_two_proofs_are_one_walk() -> None:
    cause = [Step("a.c", 10, "tests"), Step("a.c", 11, "returns"), Step("b.c", 5, "fails"), Step("a.c", 40, "back")]
    loop = [Step("a.c", 30, "head"), Step("a.c", 35, "calls"), Step("a.c", 11, "gives"), Step("a.c", 40, "round")]
    walk = chain.merged([cause, loop])
    assert [step.line for step in walk] == [30, 35, 10, 11, 5, 40]
    assert [step.text for step in walk] == ["head", "calls", "tests", "returns", "fails", "back"]


def test_a_place_may_come_twice_in_one_proof() -> None:
    """The line that revokes, and at the end: no unmap on the way from that line."""
    proof = [Step("a.c", 13, "revokes"), Step("b.c", 3, "maps"), Step("a.c", 13, "no unmap on the way")]
    assert chain.merged([proof]) == proof
    more = Step("c.c", 1, "more")
    assert chain.merged([proof, [Step("a.c", 13, "again"), more]]) == [proof[0], more, *proof[1:]]


@given(st.lists(st.lists(st.integers(1, 9), max_size=8), max_size=4))
def test_a_walk_holds_every_place_once(chains: list[list[int]]) -> None:
    walk = chain.merged([[Step("a.c", line, "x") for line in lines] for lines in chains])
    assert sorted(step.line for step in walk) == sorted({line for lines in chains for line in lines})


@pytest.mark.parametrize("moved", [0, 7, -28, 400])
def test_a_hunk_is_found_where_it_stands(samples: ModuleType, moved: int) -> None:
    def source(patch: int, path: str, line: int) -> str | None:
        found: str | None = samples.source(patch, path, line - moved)
        return found

    patches = PatchMap(samples.patch(), source)
    assert patches.added(samples.PATH, 218 + moved) and patches.added(samples.PATH, 215 + moved)
    assert not patches.added(samples.PATH, 217 + moved) and not patches.added(samples.PATH, 219 + moved)
    assert patches.touches(samples.PATH, 200 + moved, 224 + moved)
    assert not patches.touches(samples.PATH, 226 + moved, 247 + moved)


def test_the_hunk_that_causes_it(samples: ModuleType) -> None:
    patches = PatchMap(samples.patch(), samples.source)
    on_the_path = causing_spot(patches, [(samples.PATH, 240), (samples.PATH, 218)], [])
    assert on_the_path is not None and on_the_path.line.text == "\t\t\treturn -EAGAIN;"
    elsewhere = causing_spot(
        PatchMap(samples.patch(samples.TABLE_DIFF), samples.source), [("x.c", 1)], ["`.mmap` was set"]
    )
    assert elsewhere is not None and "ringmap_mmap" in elsewhere.line.text


SHAPES = """\
int a(void)
{
again:
\tx();
\tif (y)
\t\tgoto again;
\tdo {
\t\tx();
\t} while (y);
\tfor (;;) {
\t\tif (z)
\t\t\tcontinue;
\t\tbreak;
\t}
\tgoto out;
out:
\treturn 0;
}
"""


@pytest.mark.parametrize(
    ("line", "loop"),
    [
        (3, (3, 6)),  # the label
        (5, (3, 6)),  # the condition of the jump
        (6, (3, 6)),  # the jump
        (7, (7, 9)),  # do
        (9, (7, 9)),  # its while
        (10, (10, 14)),  # for
        (12, (10, 12)),  # continue
        (4, None),
        (15, None),  # a jump forward
        (16, None),
    ],
)
def test_the_arrow_of_a_loop(line: int, loop: tuple[int, int] | None) -> None:
    lines = SHAPES.split("\n")
    found = excerpt.loop_at(line, lambda at: lines[at - 1] if 0 < at <= len(lines) else None)
    assert (found and (found.head, found.back)) == loop


def test_the_function_around_a_line(samples: ModuleType) -> None:
    assert excerpt.function_span(218, lambda at: samples.source(0, samples.PATH, at)) == (200, 224)
    assert excerpt.function_span(241, lambda at: samples.source(0, samples.PATH, at)) == (226, 247)


def test_a_long_hunk_is_trimmed_and_anchored_by_b4(samples: ModuleType) -> None:
    context = "".join(f" \tline{number}();\n" for number in range(40))
    head = f"diff --git a/{samples.PATH} b/{samples.PATH}\n--- a/{samples.PATH}\n+++ b/{samples.PATH}\n"
    diff = f"{head}@@ -1,41 +1,42 @@ int f(void)\n{context}+\tthe_place();\n \tlast();\n"
    patch = samples.patch(diff)
    patches = PatchMap(patch, lambda seq, path, line: None)
    spot = causing_spot(patches, [], ["the_place"])
    assert spot is not None
    lines = quote.quoted([spot])
    assert lines[2] == quote.TRIM and lines[-1] == "> +\tthe_place();" and len(lines) < 12
    comments = b4_review._extract_comments_from_quoted_reply("\n".join([*lines, "", "why?"]))
    b4_review._resolve_comment_positions(diff, comments)
    assert [(each["path"], each["line"], each["text"]) for each in comments] == [(f"b/{samples.PATH}", 41, "why?")]


def test_b4_review_puts_the_reply_on_the_line(samples: ModuleType) -> None:
    (reply,) = replies(samples.retry(), samples.source)
    comments = b4_review._extract_comments_from_quoted_reply(reply.body)
    b4_review._resolve_comment_positions(samples.DIFF, comments)
    assert len(comments) == 1
    assert comments[0]["path"] == f"b/{samples.PATH}" and comments[0]["line"] == 218
    assert comments[0]["text"].startswith("Should every failure")


def test_at_most_two_findings_of_a_concern_are_named(samples: ModuleType) -> None:
    (reply,) = replies(samples.retry(), samples.source)
    assert "errno-collapsed-to-retry" in reply.body and "unbounded-retry" in reply.body
    assert "retry-no-resched" not in reply.body and "retry-no-fatal-signal" not in reply.body
    told = " ".join(reply.body.split())
    assert "Nothing on the way round must give up the CPU." in told
    assert "fixup_user_fault() with &unlocked is killable, so SIGKILL ends the loop with -EINTR." in told


def test_who_deserves_a_mail(samples: ModuleType) -> None:
    def letters(**changes: object) -> int:
        judged = replace(samples.judged(samples.LOOP), **changes)
        report = replace(samples.retry(), findings=(judged,), concerns=(Concern(1, (judged,)),))
        return len(replies(report, samples.source))

    assert letters() == 1
    assert letters(finding=replace(samples.LOOP, severity=Severity.NOTE)) == 0
    assert letters(finding=replace(samples.LOOP, kind=Kind.REMARK)) == 0
    assert [letters(status=status) for status in Status] == [1, 0, 0, 0, 0, 0]
    assert letters(gone_in=3) == 0
    assert not replies(samples.fragments(), samples.source)
    assert not replies(samples.clean_run(), samples.source)
    assert not replies(samples.scan(), samples.source)


def test_what_counts(samples: ModuleType) -> None:
    assert prose.found(samples.retry()) == 3
    assert prose.found(samples.clean_run()) == 0
    live = [prose.counts(samples.judged(samples.LOOP, status)) for status in Status]
    assert live == [True, True, True, False, False, False]


def test_what_a_mail_has_shown_it_does_not_show_again(samples: ModuleType) -> None:
    """Two concerns that share steps and advice: the second says only what is its own."""
    first = replace(samples.judged(samples.REVOKE), patch=1)
    second = replace(
        first,
        finding=replace(
            samples.REVOKE,
            function="ringmap_detach",
            steps=(*samples.REVOKE.steps[:1], Step("drivers/misc/ringmap/ringmap_revoke.c", 99, "the device goes")),
        ),
    )
    report = replace(
        samples.untouched_cause(), findings=(first, second), concerns=(Concern(1, (first,)), Concern(1, (second,)))
    )
    (reply,) = replies(report, samples.source)
    assert reply.body.count("Would it work to") == 1
    assert reply.body.count("lets user space map the area") == 1
    assert "1. as above\n  2. the device goes\n" in reply.body


def one_loop(samples: ModuleType, **changes: Any) -> Report:
    judged = replace(samples.judged(replace(samples.LOOP, **changes)))
    report: Report = replace(samples.retry(), findings=(judged,), concerns=(Concern(1, (judged,)),))
    return report


def test_where_the_like_is_done(samples: ModuleType) -> None:
    """A file is named once, one sentence for what is the same; the fifth file is only counted."""
    like = "hands the error of walk() on"
    others = (
        *(Sibling("arch/s390/pci/io.c", line, name, like) for line, name in ((7, "peek"), (9, "poke"))),
        Sibling("arch/x86/mm/pat.c", 3, "phys", "returns -EINVAL when walk() fails"),
        Sibling("drivers/virt/mm.c", 4, "ram_map", like),
        Sibling("virt/kvm/main.c", 5, "remapped", like),
    )
    (reply,) = replies(one_loop(samples, siblings=others), samples.source)
    told = " ".join(reply.body.split())
    assert (
        "Elsewhere, each of peek() and poke() (arch/s390/pci/io.c:7, 9), ram_map() (drivers/virt/mm.c:4) and "
        "remapped() (virt/kvm/main.c:5) hands the error of walk() on. phys() (arch/x86/mm/pat.c:3) returns -EINVAL "
        "when walk() fails. "
    ) in told
    more = (*others, *(Sibling("z.c", line, f"z{line}", like) for line in (1, 2)))
    (reply,) = replies(one_loop(samples, siblings=more), samples.source)
    assert "when walk() fails. There are 2 more places." in " ".join(reply.body.split())


@pytest.mark.parametrize(
    ("grade", "said"),
    [
        (Grade.EXACT, "applied. The files concerned are the very versions it was made on. "),
        (Grade.CLEAN, "what lies outside of the hunks may differ from what the author had. "),
        (Grade.MERGED, "so lines may be off (m.c). "),
        (Grade.APPROXIMATE, "It applies there with fuzz only, so lines may be off (f.c). "),
    ],
)
def test_a_mail_says_how_sure_the_files_on_its_way_are(samples: ModuleType, grade: Grade, said: str) -> None:
    """Whatever became of other files of the series: each rung that was taken speaks of its own."""
    report = one_loop(samples)
    steps = [
        BaseStep(rung, "t", True, text) for rung, text in (("three-way", "m.c"), ("fuzzy", "f.c"), ("fragments", "x.c"))
    ]
    judged = replace(report.findings[0], grade=grade)
    report = replace(
        report,
        base=Base("t", "", Grade.FRAGMENTS, tuple(steps)),
        findings=(judged,),
        concerns=(Concern(1, (judged,)),),
    )
    (reply,) = replies(report, samples.source)
    assert said in " ".join(reply.body.split()) + " " and "x.c" not in reply.body


def test_commands_name_the_tree_as_it_can_be_opened(samples: ModuleType) -> None:
    """With what lay over it, and not by the name that a report gives to a revision."""
    report = replace(samples.retry(), base=replace(samples.retry().base, tree="linux-6.12++mine"))
    (reply,) = replies(report, samples.source, overlays=("mine",))
    assert "lorelint review thread.mbox --tree linux-6.12+ --overlay mine\n" in reply.body
    report = samples.retry()
    here = terminal(report, samples.source, tree=())
    assert "why-not" in here and "--tree" not in here
    named = terminal(report, samples.source, tree=("--tree a", "--overlay b"), width=160)
    assert "--tree a --overlay b --review" in named
    assert f"--tree {report.base.tree}" in terminal(report, samples.source, width=160)


def test_a_tree_on_which_nothing_applies_was_a_tree(samples: ModuleType) -> None:
    steps = (BaseStep("base-commit", "", False, "none"), BaseStep("named", "", False, "no tree was named"))
    report = replace(samples.fragments(), base=Base("", "", Grade.FRAGMENTS, steps))
    assert "base    no tree, fragments: the hunks alone were read" in terminal(report)
    tried = Base("", "", Grade.FRAGMENTS, (*steps, BaseStep("named", "linux", False, "1 file: 1 not at all")))
    assert "base    none of what was tried, fragments" in terminal(replace(report, base=tried))


def test_clean_is_one_line(samples: ModuleType) -> None:
    said = terminal(samples.clean_run(), samples.source)
    assert said.count("\n") == 1 and said.startswith("clean: 1 patch, 3 files, 41 functions")


def test_colour_changes_nothing_but_colour(samples: ModuleType) -> None:
    plain = terminal(samples.retry(), samples.source)
    assert re.sub(r"\x1b\[[0-9;]*m", "", terminal(samples.retry(), samples.source, colour=True)) == plain
    assert "\x1b" not in plain


@pytest.mark.parametrize("columns", [80, 160])
def test_lines_fit(samples: ModuleType, columns: int) -> None:
    for name in ("retry", "approximate", "series_of_two", "untouched_cause", "scan", "fragments"):
        said = terminal(getattr(samples, name)(), samples.source, width=columns)
        assert max(text.width(line) for line in said.split("\n")) <= columns
