"""Subtraction over a series: what is new, what was there, what moved, what went."""

from __future__ import annotations

from types import SimpleNamespace

from msgspec.structs import replace

from lorelint.model.base import Applied, Base, FileBase, Grade, Snapshot
from lorelint.model.finding import Judged, Kind, Need, Severity, Status
from lorelint.model.mail import Change, FileDiff
from lorelint.rule.delta import Delta
from lorelint.rule.door import Rule

OLD = "int old(void)\n{\n\tbad();\n\treturn 0;\n}\n"
FRESH = "int fresh(void)\n{\n\tbad();\n\treturn 0;\n}\n"
FINE = "int fine(void)\n{\n\tgood();\n\treturn 0;\n}\n"


def told(result: Delta) -> list[tuple[int, str, str]]:
    return [(each.patch, each.finding.function, each.status.value) for each in result.judged]


def only(result: Delta) -> Judged:
    assert len(result.judged) == 1, told(result)
    return result.judged[0]


def test_new_speaks_and_the_untouched_old_one_does_not(bench: SimpleNamespace) -> None:
    result = bench.run(bench.applied([{"a.c": OLD}, {"a.c": OLD + FRESH + FINE}]), bench.BAD)
    assert told(result) == [(1, "fresh", "new")]
    assert only(result).finding.line == 8
    assert only(result).mailable
    assert [each.function for each in result.silences] == ["fine"]


def test_touched_for_another_reason_is_there_before(bench: SimpleNamespace) -> None:
    after = OLD.replace("return 0", "return 1")
    result = bench.run(bench.applied([{"a.c": OLD}, {"a.c": after}]), bench.BAD)
    assert told(result) == [(1, "old", "there-before")]
    assert not only(result).mailable


def test_fixed(bench: SimpleNamespace) -> None:
    result = bench.run(bench.applied([{"a.c": OLD}, {"a.c": OLD.replace("bad", "good")}]), bench.BAD)
    assert told(result) == [(1, "old", "fixed")]


def test_fixed_when_the_function_or_the_file_goes(bench: SimpleNamespace) -> None:
    for after in ({"a.c": FINE}, {"a.c": None}):
        assert told(bench.run(bench.applied([{"a.c": OLD + FINE}, after]), bench.BAD)) == [(1, "old", "fixed")]


def test_the_second_of_two_in_one_function_is_new(bench: SimpleNamespace) -> None:
    after = OLD.replace("\tbad();\n", "\tbad();\n\tbad();\n")
    result = bench.run(bench.applied([{"a.c": OLD}, {"a.c": after}]), bench.BAD)
    assert [each[2] for each in told(result)] == ["there-before", "new"]


def test_unknown_before_is_uncertain(bench: SimpleNamespace) -> None:
    before = OLD.replace("bad();", "bad(); shaky();")
    result = bench.run(bench.applied([{"a.c": before}, {"a.c": OLD}]), bench.BAD)
    assert told(result) == [(1, "old", "uncertain")]
    assert only(result).because == "before: shaky() was not seen"
    assert not only(result).mailable


def test_unknown_after_neither_speaks_nor_counts_as_fixed(bench: SimpleNamespace) -> None:
    after = OLD.replace("bad();", "bad(); shaky();")
    result = bench.run(bench.applied([{"a.c": OLD}, {"a.c": after}]), bench.BAD)
    assert told(result) == []
    assert [each.reason for each in result.doubts] == ["shaky() was not seen"]


def test_a_rename_of_the_function_is_followed(bench: SimpleNamespace) -> None:
    result = bench.run(bench.applied([{"a.c": OLD}, {"a.c": OLD.replace("old", "renamed")}]), bench.BAD)
    assert told(result) == [(1, "renamed", "moved")]


def test_a_rename_of_the_file_is_followed(bench: SimpleNamespace) -> None:
    applied = bench.applied([{"a.c": OLD, "b.c": None}, {"a.c": None, "b.c": OLD}], renames={"b.c": "a.c"})
    result = bench.run(applied, bench.BAD)
    assert told(result) == [(1, "old", "moved")]
    assert only(result).finding.path == "b.c"


def test_a_function_moved_to_another_file(bench: SimpleNamespace) -> None:
    result = bench.run(bench.applied([{"a.c": OLD + FINE, "b.c": FINE}, {"a.c": FINE, "b.c": FINE + OLD}]), bench.BAD)
    assert told(result) == [(1, "old", "moved")]


def test_lines_that_moved_to_a_helper(bench: SimpleNamespace) -> None:
    long = "".join(f"\tstep{number}();\n" for number in range(12))
    before = f"int big(void)\n{{\n{long}\tbad();\n\treturn 0;\n}}\n"
    helper = "static void helper(void)\n{\n\tbad();\n}\n"
    after = helper + before.replace("bad", "helper")
    result = bench.run(bench.applied([{"a.c": before}, {"a.c": after}]), bench.BAD)
    assert told(result) == [(1, "helper", "moved")]
    assert only(result).because == "it was in big() before"


def test_worse_than_before_is_exposed(bench: SimpleNamespace) -> None:
    def run(view):  # type: ignore[no-untyped-def]
        for fn in view.functions:
            worse = Severity.ERROR if b"worse" in fn.text else Severity.NOTE
            yield bench.finding("bad-call", fn, fn.line, "bad", "bad", severity=worse)

    rule = replace(bench.BAD, run=run)
    result = bench.run(bench.applied([{"a.c": OLD}, {"a.c": OLD.replace("bad()", "bad(worse)")}]), rule)
    assert told(result) == [(1, "old", "exposed")]
    assert only(result).because == "it was a note before"


def test_a_new_way_in_exposes(bench: SimpleNamespace) -> None:
    entry = "int entry(void)\n{\n\treturn old();\n}\n"
    result = bench.run(bench.applied([{"a.c": OLD}, {"a.c": OLD + entry}]), bench.BAD)
    assert told(result) == [(1, "old", "exposed")]
    assert only(result).because == "entry() calls it now"


def test_a_comment_that_names_it_is_no_way_in(bench: SimpleNamespace) -> None:
    entry = 'int entry(void)\n{\n\t/* see old() */\n\treturn puts("old()");\n}\n'
    assert told(bench.run(bench.applied([{"a.c": OLD}, {"a.c": OLD + entry}]), bench.BAD)) == []


def test_a_table_that_leads_to_it_now_exposes(bench: SimpleNamespace) -> None:
    table = "static const struct ops ops = {\n\t.go = old,\n};\n"
    result = bench.run(bench.applied([{"a.c": OLD}, {"a.c": OLD + table}]), bench.BAD)
    assert told(result) == [(1, "old", "exposed")]
    assert only(result).because == ".go of ops leads to it now"


CALLEE = "static int callee(void)\n{\n\treturn quiet();\n}\n"
CALLER = "static int caller(void)\n{\n\treturn callee();\n}\n"


def test_an_untouched_caller_is_judged_again(bench: SimpleNamespace) -> None:
    before = {"a.c": CALLEE + CALLER}
    result = bench.run(bench.applied([before, {"a.c": CALLEE.replace("quiet", "loud") + CALLER}]), bench.LOUD)
    assert told(result) == [(1, "caller", "new")]
    assert only(result).because == "callee() changed"
    assert only(result).finding.path == "a.c"


def test_a_caller_in_another_file_is_judged_again(bench: SimpleNamespace) -> None:
    callee = CALLEE.replace("static ", "")
    before = {"x/a.c": callee, "y/b.c": CALLER}
    result = bench.run(bench.applied([before, {**before, "x/a.c": callee.replace("quiet", "loud")}]), bench.LOUD)
    assert told(result) == [(1, "caller", "new")]
    assert only(result).finding.path == "y/b.c"
    assert only(result).because == "callee() changed"


def test_added_to_a_table_an_untouched_function_is_judged_again(bench: SimpleNamespace) -> None:
    revoke = "void stop(void)\n{\n\trevoke();\n}\n"
    table = "static const struct ops my_ops = {\n\t.open = o,\n};\n"
    before = {"x/a.c": table, "x/b.c": revoke}
    after = {**before, "x/a.c": table.replace(".open = o,", ".open = o,\n\t.mmap = m,")}
    result = bench.run(bench.applied([before, after]), bench.TABLE)
    assert told(result) == [(1, "stop", "new")]
    assert only(result).because == ".mmap was added to my_ops"


def test_gone_in_a_later_patch(bench: SimpleNamespace) -> None:
    states = [{"a.c": FINE}, {"a.c": FINE + FRESH}, {"a.c": FINE + FRESH, "b.c": FINE}, {"a.c": FINE}]
    result = bench.run(bench.applied(states), bench.BAD)
    assert told(result) == [(1, "fresh", "new")]
    assert only(result).gone_in == 3
    assert not only(result).mailable


def test_gone_by_a_change_elsewhere(bench: SimpleNamespace) -> None:
    callee, caller = CALLEE.replace("static ", ""), CALLER
    states = [{"x/a.c": callee, "y/b.c": caller}]
    states.append({**states[0], "x/a.c": callee.replace("quiet", "loud")})
    states.append(states[0])
    result = bench.run(bench.applied(states), bench.LOUD)
    assert told(result) == [(1, "caller", "new")]
    assert only(result).gone_in == 2


def test_moved_later_it_is_still_one_finding_and_can_go(bench: SimpleNamespace) -> None:
    states = [{"a.c": FINE}, {"a.c": FINE + FRESH}, {"a.c": FINE + FRESH.replace("fresh", "other")}, {"a.c": FINE}]
    result = bench.run(bench.applied(states), bench.BAD)
    assert (1, "fresh", "new") in told(result)
    assert [each.gone_in for each in result.judged if each.status is Status.NEW] == [3]
    assert not [each for each in result.judged if each.status is Status.FIXED]


def test_there_before_is_said_once_over_a_series(bench: SimpleNamespace) -> None:
    states = [{"a.c": OLD.replace("return 0", f"return {number}")} for number in range(4)]
    assert told(bench.run(bench.applied(states), bench.BAD)) == [(1, "old", "there-before")]


def test_a_raising_rule_is_a_failure_and_the_others_go_on(bench: SimpleNamespace) -> None:
    result = bench.run(bench.applied([{"a.c": FINE}, {"a.c": FINE + FRESH}]), bench.RAISES, bench.BAD)
    assert told(result) == [(1, "fresh", "new")]
    assert [(each.rule, each.function, each.text) for each in result.failures] == [
        ("raises", "fresh", "ValueError: cannot read fresh at all")
    ]


def test_a_missing_patch_makes_it_uncertain_unless_the_blobs_are_named(bench: SimpleNamespace) -> None:
    states = [{"a.c": FINE}, {"a.c": FINE + FRESH}]
    clean = bench.applied(states, seqs=[2], grades={"a.c": Grade.CLEAN})
    result = bench.run(clean, bench.BAD, missing=frozenset({1}))
    assert told(result) == [(2, "fresh", "uncertain")]
    assert only(result).because == "patch 1 of the series did not come"
    assert told(bench.run(clean, bench.BAD, missing=frozenset({3}))) == [(2, "fresh", "new")]
    exact = bench.applied(states, seqs=[2])
    assert told(bench.run(exact, bench.BAD, missing=frozenset({1}))) == [(2, "fresh", "new")]


def test_grades_are_per_finding(bench: SimpleNamespace) -> None:
    before = {"a.c": FINE, "b.c": FINE}
    after = {"a.c": FINE + FRESH, "b.c": FINE + FRESH.replace("fresh", "other")}
    result = bench.run(bench.applied([before, after], grades={"b.c": Grade.APPROXIMATE}), bench.BAD)
    assert [(each.finding.path, each.grade) for each in result.judged] == [
        ("a.c", Grade.EXACT),
        ("b.c", Grade.APPROXIMATE),
    ]


def test_a_fuzzed_region_on_the_path_is_approximate(bench: SimpleNamespace) -> None:
    states = [{"a.c": FINE}, {"a.c": FINE + FRESH}]
    result = bench.run(bench.applied(states, fuzzed={"a.c": ((8, 8),)}), bench.BAD)
    assert only(result).grade is Grade.APPROXIMATE
    result = bench.run(bench.applied(states, fuzzed={"a.c": ((1, 2),)}), bench.BAD)
    assert only(result).grade is Grade.EXACT


def test_an_untouched_file_on_the_path_of_a_clean_base_is_clean(bench: SimpleNamespace) -> None:
    callee = CALLEE.replace("static ", "").replace("quiet", "loud")
    states = [{"x/a.c": callee, "y/b.c": FINE}, {"x/a.c": callee, "y/b.c": FINE + CALLER, "z.c": FINE}]
    result = bench.run(bench.applied(states, grades={"z.c": Grade.CLEAN}), bench.LOUD)
    assert only(result).grade is Grade.CLEAN
    assert only(bench.run(bench.applied(states), bench.LOUD)).grade is Grade.EXACT


def fragments(bench: SimpleNamespace, lines: list[str]) -> Applied:
    """One hunk at line 10 of a file that nobody has."""
    sides = {op: "\n" * 9 + "".join(f"{each[1:]}\n" for each in lines if each[0] in (" ", op)) for op in "-+"}
    diff = FileDiff("a.c", "a.c", Change.MODIFY, "", "", (bench.hunk(10, 10, lines),), 0)
    before, after = bench.tree({"a.c": sides["-"]}, ""), bench.tree({"a.c": sides["+"]}, "")
    files = {"a.c": FileBase("a.c", Grade.FRAGMENTS, "the hunks alone")}
    snapshot = Snapshot(bench.patch(1, [diff]), before, after, files)
    return Applied(Base("", "", Grade.FRAGMENTS, ()), (snapshot,))


def marked(op: str, text: str) -> list[str]:
    return [op + line for line in text.splitlines()]


def test_on_fragments_a_function_wholly_shown_speaks(bench: SimpleNamespace) -> None:
    result = bench.run(fragments(bench, marked("+", FRESH)), bench.BAD)
    assert told(result) == [(1, "fresh", "new")]
    assert only(result).grade is Grade.FRAGMENTS


def test_on_fragments_what_needs_more_is_a_doubt(bench: SimpleNamespace) -> None:
    def run(view):  # type: ignore[no-untyped-def]
        for fn in view.functions:
            assert not view.whole
            yield bench.finding("bad-call", fn, fn.line, "bad", "bad", need=Need.CALLS)

    result = bench.run(fragments(bench, marked("+", FRESH)), replace(bench.BAD, run=run))
    assert told(result) == []
    assert len(result.doubts) == 1


def test_on_fragments_a_function_that_was_there_wholly_is_subtracted(bench: SimpleNamespace) -> None:
    lines = marked(" ", OLD)
    lines[3:4] = ["-\treturn 0;", "+\treturn 1;"]
    assert told(bench.run(fragments(bench, lines), bench.BAD)) == [(1, "old", "there-before")]


def test_remarks_come_only_beside_a_defect_the_series_brings(bench: SimpleNamespace) -> None:
    def run(view):  # type: ignore[no-untyped-def]
        for fn in view.functions:
            yield bench.finding("remark", fn, fn.line, "bad", "it is killable", kind=Kind.REMARK)

    remark = replace(bench.BAD, name="remark", run=run)
    states = [{"a.c": OLD}, {"a.c": OLD.replace("return 0", "return 1") + FRESH + FINE}]
    result = bench.run(bench.applied(states), bench.BAD, remark)
    told_of = [(each.finding.rule, each.finding.function) for each in result.judged]
    assert told_of == [("bad-call", "old"), ("remark", "fresh"), ("bad-call", "fresh")]


def test_the_order_of_rules_and_runs_does_not_matter(bench: SimpleNamespace) -> None:
    states = [{"a.c": CALLEE + CALLER}, {"a.c": CALLEE.replace("quiet", "loud") + CALLER + FRESH}]
    one = bench.run(bench.applied(states), bench.LOUD, bench.BAD, bench.RAISES)
    other = bench.run(bench.applied(states), bench.RAISES, bench.BAD, bench.LOUD)
    assert one == other
    assert one.coverage.functions >= 2


def test_what_read_nothing_that_changed_is_judged_once(bench: SimpleNamespace) -> None:
    asked: list[str] = []

    def run(view):  # type: ignore[no-untyped-def]
        asked.extend(fn.name for fn in view.functions)
        yield from bench.LOUD.run(view)

    states = [{"a.c": CALLEE + CALLER + OLD}, {"a.c": CALLEE.replace("quiet", "loud") + CALLER + OLD}]
    states.append({**states[-1], "b.c": FINE})
    result = bench.run(bench.applied(states), replace(bench.LOUD, run=run))
    assert told(result) == [(1, "caller", "new")]
    # before, then after where it was changed, read what changed, or found something in a changed file; the tree after
    # patch 1 is the tree before patch 2
    assert sorted(asked) == ["callee", "callee", "caller", "caller", "fine", "old"]


def test_programs_beside_the_kernel_are_left_alone_and_said(bench: SimpleNamespace) -> None:
    result = bench.run(bench.applied([{}, {"tools/testing/x.c": FRESH}]), bench.BAD)
    assert told(result) == []
    assert [(each.kind, each.path) for each in result.unseen] == [("skipped", "tools/testing/x.c")]


def test_a_macro_in_a_header_that_turns_is_read_again(bench: SimpleNamespace) -> None:
    user = '#include "lib.h"\nint user(void)\n{\n\treturn LIMIT(1);\n}\n'
    before = {"x/lib.h": "#define LIMIT(x) 7\n", "x/b.c": user, "x/c.c": FINE}

    def run(view):  # type: ignore[no-untyped-def]
        for fn in view.functions:
            if any(macro.body.strip() == "0" for macro in view.program.macros("x/lib.h")):
                yield bench.finding("limit", fn, fn.line, "LIMIT", "LIMIT is nothing")

    rule = replace(bench.LOUD, name="limit", run=run)
    result = bench.run(bench.applied([before, {**before, "x/lib.h": "#define LIMIT(x) 0\n"}]), rule)
    assert told(result) == [(1, "user", "new")]
    assert only(result).because == "LIMIT() changed"


def _about(bench: SimpleNamespace, **more: object) -> Rule:
    """Speaks about the argument of bad(): the anchor is what it is."""

    def run(view):  # type: ignore[no-untyped-def]
        for fn in view.functions:
            for number, line in enumerate(fn.text.decode().splitlines()):
                if "bad(" in line:
                    what = line.partition("bad(")[2].partition(")")[0]
                    said = {key: str(value).format(what) for key, value in more.items()}
                    evidence = (said.pop("evidence"),) if "evidence" in said else ()
                    at = fn.first_line + number
                    yield bench.finding("bad-call", fn, at, what, f"bad({what})", evidence=evidence, **said)

    return replace(bench.BAD, run=run)


def test_an_old_defect_about_another_thing_now_is_no_news(bench: SimpleNamespace) -> None:
    one, other = OLD.replace("bad()", "bad(revoked)"), OLD.replace("bad()", "bad(status)")
    states = [{"a.c": one}, {"a.c": other}]
    for same in ({"concern": "the object"}, {"evidence": "flag {} of table"}):
        result = bench.run(bench.applied(states), _about(bench, **same))
        assert told(result) == [(1, "old", "exposed")]
        assert only(result).because == "it was about revoked before"
    result = bench.run(bench.applied(states), _about(bench, evidence="no name in it"))
    assert told(result) == [(1, "old", "exposed")]
    assert [each[2] for each in told(bench.run(bench.applied(states), _about(bench)))] == ["fixed", "new"]


def test_brought_by_the_series_it_stays_one_finding_under_another_name(bench: SimpleNamespace) -> None:
    one, other = OLD.replace("bad()", "bad(revoked)"), OLD.replace("bad()", "bad(status)")
    states = [{"a.c": FINE}, {"a.c": FINE + one}, {"a.c": FINE + other}, {"a.c": FINE}]
    rule = _about(bench, evidence="flag {} of table")
    result = bench.run(bench.applied(states[:3]), rule)
    assert told(result) == [(1, "old", "new")]
    assert only(result).gone_in == 0
    assert only(bench.run(bench.applied(states), rule)).gone_in == 3
