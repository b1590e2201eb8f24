"""Whatever strangers write into a report, it is shown and not obeyed."""

from __future__ import annotations

import re
import unicodedata
from types import ModuleType
from typing import Any

import b4
import jsonschema
from b4.review import _review as b4_review
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from lorelint.model.base import Grade
from lorelint.model.comment import Anchor, Comment, Raised, Role
from lorelint.model.finding import Concern, Finding, Judged, Kind, Need, Report, Severity, Sibling, Status, Step
from lorelint.model.mail import Change, FileDiff, Hunk, HunkLine, Message, Patch
from lorelint.model.trouble import Trouble, Unseen
from lorelint.report import json
from lorelint.report.reply import replies
from lorelint.report.terminal import terminal
from lorelint.report.text import width

EVIL = (
    "Link: https://example.org/x",
    "Fixes: 0123456789ab (some commit",
    "Reviewed-by: Eve <eve@example.org>",
    "Closes: https://example.org/1",
    "a b Signed-off-by: Eve <eve@example.org>",
    "From here on",
    "\x1b[31mred\x1b[0m\x07",
    "\u202edrawkcab\u2069 \u200bzero",
    "word" * 60,
    "字" * 50,
    "éè e\u0301",
    "-- ",
    "---",
    "diff --git a/x b/x",
    "> quoted",
    "\r\n\r\nSubject: x",
    "\udce9\udc80",
    "# [note]",
    "",
    "  ",
    "\t\ttabbed\ttext",
    "\x85 \u2028 \u2029",
    "path.c:12: text",
)
TEXT = st.one_of(
    st.sampled_from(EVIL),
    st.lists(st.sampled_from((*EVIL, "while", "the", "lock")), min_size=1, max_size=12).map(" ".join),
    st.text(max_size=60),
)
WORD = st.one_of(st.sampled_from(("f", "drivers/misc/x.c", *EVIL)), st.text(max_size=20))
LINE = st.integers(0, 400)

STEPS = st.builds(Step, WORD, LINE, TEXT)
SIBLINGS = st.builds(Sibling, WORD, LINE, WORD, TEXT)
FINDINGS = st.builds(
    Finding,
    rule=WORD,
    path=st.one_of(st.just("drivers/misc/x.c"), WORD),
    function=WORD,
    line=LINE,
    anchor=TEXT,
    message=TEXT,
    severity=st.sampled_from(Severity),
    confidence=st.floats(0, 1),
    steps=st.lists(STEPS, max_size=4).map(tuple),
    need=st.sampled_from(Need),
    kind=st.sampled_from(Kind),
    facts=st.lists(TEXT, max_size=4).map(tuple),
    advice=TEXT,
    siblings=st.lists(SIBLINGS, max_size=6).map(tuple),
    ask=st.one_of(st.just(""), TEXT),
)
RAISED = st.builds(Raised, WORD, TEXT, st.integers(1, 9), st.booleans(), st.lists(WORD, max_size=2).map(tuple))
COMMENTS = st.builds(
    Comment,
    msgid=WORD,
    name=TEXT,
    address=WORD,
    date=WORD,
    role=st.sampled_from((*Role, Role.REVIEWER)),
    at=st.integers(1, 9),
    text=TEXT,
    anchor=st.sampled_from(Anchor),
    of=WORD,
    patch=st.integers(0, 2),
    path=WORD,
    function=WORD,
    line=LINE,
    quote=TEXT,
    answers=WORD,
    missing=st.booleans(),
)
JUDGED = st.builds(
    Judged,
    FINDINGS,
    status=st.sampled_from((*Status, Status.NEW, Status.NEW)),
    patch=st.just(1),
    grade=st.sampled_from((*Grade, Grade.EXACT)),
    because=TEXT,
    raised=st.one_of(st.just(()), st.lists(RAISED, max_size=3).map(tuple)),
)


@st.composite
def patches(draw: st.DrawFn) -> Patch:
    texts = draw(st.lists(st.tuples(st.sampled_from(" +-"), TEXT), min_size=1, max_size=30))
    old = new = draw(st.integers(1, 300))
    lines = []
    for at, (op, text) in enumerate(texts):
        kept = re.sub(r"[\r\n]", "", text)
        lines.append(HunkLine(op, kept, 10 + at, None if op == "+" else old, None if op == "-" else new))
        old, new = old + (op != "+"), new + (op != "-")
    hunk = Hunk(1, 1, 1, 1, draw(WORD).replace("\n", ""), tuple(lines), 9)
    diff = FileDiff("drivers/misc/x.c", "drivers/misc/x.c", Change.MODIFY, "", "", (hunk,), 5)
    mail = Message("m@example.org", draw(TEXT), draw(TEXT), "a@example.org", draw(TEXT), "", (), (), (), "")
    return Patch(1, draw(WORD), draw(TEXT), (draw(TEXT), draw(WORD)), "", "", (diff,), mail)


@st.composite
def reports(draw: st.DrawFn, samples: ModuleType) -> Report:
    patch = draw(patches())
    judged = draw(st.lists(JUDGED, min_size=1, max_size=5))
    cut = draw(st.integers(0, len(judged)))
    concerns = tuple(Concern(1, tuple(part)) for part in (judged[:cut], judged[cut:]) if part)
    return replace(
        samples.retry(),
        source=draw(TEXT),
        series=replace(samples.series(patch), subject=draw(TEXT), author=(draw(TEXT), draw(WORD))),
        base=replace(samples.BASE, tree=draw(WORD), commit=draw(WORD)),
        findings=tuple(judged),
        concerns=concerns,
        troubles=(Trouble(draw(WORD), draw(WORD), draw(TEXT)),),
        unseen=(Unseen(draw(WORD), draw(WORD), draw(LINE), draw(TEXT)),),
        version=draw(WORD),
        comments=tuple(draw(st.lists(COMMENTS, max_size=10))),
    )


def _source(report: Report) -> Any:
    """The tree after: the hunk's own lines at the places its header gives."""
    assert report.series is not None
    found = {
        (diff.path, line.new_line): line.text for diff in report.series.patches[0].diffs for _, line in diff.lines()
    }
    return lambda patch, path, line: found.get((path, line), "\tgoto retry;\x1b\u202e" if line % 7 == 0 else None)


def _unbreakable(line: str) -> bool:
    """A path with its line, or one argument of a command."""
    return bool(re.fullmatch(r"  \S+:\d+| {4,8}\S.*( \\)?", line))


def _hidden(text: str) -> list[str]:
    return [
        char for char in text if unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"} and char not in "\n\t"
    ]


# The fixture is the same for all examples.
QUIET = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@QUIET
@given(data=st.data(), columns=st.sampled_from((40, 80, 160)))
def test_terminal_shows_anything(samples: ModuleType, data: st.DataObject, columns: int) -> None:
    report = data.draw(reports(samples))
    text = terminal(report, _source(report), width=columns)
    assert _hidden(text) == []
    assert "\t" not in text
    text.encode("utf-8")
    assert text == terminal(report, _source(report), width=columns)


@QUIET
@given(data=st.data())
def test_reply_holds_no_trailer_and_fits(samples: ModuleType, data: st.DataObject) -> None:
    report = data.draw(reports(samples))
    for reply in replies(report, _source(report)):
        body = reply.body
        body.encode("utf-8")
        assert not any(_hidden(each) for each in reply.held)
        assert _hidden(body) == []
        assert "\n-- \n" in body
        for followup in (True, False):
            assert b4.LoreMessage.find_trailers(body, followup=followup)[0] == []
        above, _, signature = body.partition("\n-- \n")
        for line in above.split("\n"):
            assert line == line.rstrip(), "a blank at the end flows"
            assert not line.startswith("From ")
            assert line.startswith(">") or "\t" not in line
            assert line.startswith(">") or width(line) <= 80 or _unbreakable(line), line
            assert len(line.encode()) <= 990
        assert not re.search(r"(?mi)^\s*(reviewed|acked|tested)-by:", above)
        assert all(width(line) <= 80 for line in signature.split("\n"))


@QUIET
@given(data=st.data())
def test_b4_review_reads_the_quotes(samples: ModuleType, data: st.DataObject) -> None:
    """Nothing of ours is taken for diff text, and every comment hangs on a line of the patch."""
    report = data.draw(reports(samples))
    for reply in replies(report, _source(report)):
        above = reply.body.partition("\n-- \n")[0]
        for comment in b4_review._extract_comments_from_quoted_reply(above, capture_preamble=False):
            assert comment["path"] == "b/drivers/misc/x.c" or comment["path"] in (
                "drivers/misc/x.c",
                "a/drivers/misc/x.c",
            )


@QUIET
@given(data=st.data())
def test_json_is_in_its_schema(samples: ModuleType, data: st.DataObject) -> None:
    report = data.draw(reports(samples))
    document = json.document(report)
    jsonschema.Draft202012Validator(json.schema()).validate(document)
    assert json.dump(document).isascii()
    for reply in json.replies(report, replies(report, _source(report)))["replies"]:
        reply["body"].encode("utf-8")
