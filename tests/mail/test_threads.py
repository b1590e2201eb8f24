"""Which mails belong together."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from lorelint.mail.threads import Node, acyclic_parents, part_lanes, part_threads


def node(msgid: str, parent: str = "", **more: Any) -> Node:
    plain: dict[str, Any] = {"references": (), "author": "a@x", "time": 1.0, "posted": True}
    return Node(msgid=msgid, parent=parent, **{**plain, **more})


def patch(msgid: str, parent: str, counter: int, expected: int, version: int = 1, **more: Any) -> Node:
    numbered = {"counter": counter, "expected": expected, "version": version, "unnumbered": False}
    return node(msgid, parent, unversioned=version == 1, **numbered, **more)


def reply(msgid: str, parent: str, **more: Any) -> Node:
    return node(msgid, parent, posted=False, reply=True, **more)


def lanes(*nodes: Node) -> list[str]:
    parent, _ = acyclic_parents(nodes)
    return ["".join(each.msgid for each in lane) for lane in part_lanes(nodes, parent)]


def threads(*nodes: Node) -> list[str]:
    return ["".join(each.msgid for each in thread) for thread in part_threads(nodes)]


def test_threads_by_reference() -> None:
    assert threads(node("a"), node("b"), reply("c", "a"), reply("d", "c")) == ["acd", "b"]
    assert threads(node("a"), reply("b", "", references=("z", "a"))) == ["ab"]


def test_threads_hang_together_by_a_mail_that_is_not_here() -> None:
    assert threads(patch("a", "z", 1, 2), patch("b", "z", 2, 2), node("c")) == ["ab", "c"]


def test_series_posted_without_threading() -> None:
    first, second = patch("a", "", 1, 2), patch("b", "", 2, 2)
    assert threads(first, second) == ["ab"]
    assert threads(first, patch("b", "", 2, 3)) == ["a", "b"]
    assert threads(first, patch("b", "", 2, 2, author="other@x")) == ["a", "b"]
    assert threads(first, patch("b", "", 1, 2)) == ["a", "b"]
    assert threads(first, patch("b", "", 2, 2, time=1e7)) == ["a", "b"]
    assert threads(first, second, patch("c", "", 1, 2), patch("d", "", 2, 2)) == ["ab", "cd"]


def test_lone_patches_stay_alone() -> None:
    assert threads(node("a"), node("b")) == ["a", "b"]


def test_loops_are_cut() -> None:
    parent, broken = acyclic_parents([reply("a", "b"), reply("b", "a"), reply("c", "a"), reply("d", "d")])
    assert len(broken) == 2
    for start in "abcd":
        steps = 0
        while start:
            start, steps = parent.get(start, ""), steps + 1
            assert steps < 5


def test_versions_of_one_work_share_a_lane() -> None:
    assert lanes(
        patch("0", "", 0, 2),
        patch("1", "0", 1, 2),
        patch("2", "0", 2, 2),
        reply("r", "1"),
        patch("3", "0", 0, 2, version=2),
        patch("4", "3", 1, 2, version=2),
    ) == ["012r34"]


def test_two_second_versions_are_two() -> None:
    first = [patch("0", "", 0, 1), patch("1", "0", 1, 1)]
    second = [patch("2", "0", 0, 1, version=2), patch("3", "2", 1, 1, version=2)]
    third = [patch("4", "0", 0, 1, version=2, author="b@x"), patch("5", "4", 1, 1, version=2, author="b@x")]
    assert lanes(*first, *second, *third) == ["0123", "45"]


def test_alternative_patch_in_a_series() -> None:
    series = [patch("0", "", 0, 2), patch("1", "0", 1, 2), patch("2", "0", 2, 2), reply("r", "2")]
    assert lanes(*series, node("x", "r", author="b@x")) == ["012r", "rx"]


def test_alternative_under_a_later_version_does_not_take_its_place() -> None:
    series = [patch("0", "", 0, 1, version=2), patch("1", "0", 1, 1, version=2)]
    assert lanes(*series, node("x", "0", author="b@x")) == ["01", "x"]


def test_partial_reroll_goes_with_what_it_replaces() -> None:
    series = [patch("1", "", 1, 2), patch("2", "1", 2, 2)]
    assert lanes(*series, patch("3", "2", 2, 2, version=2)) == ["123"]


def test_unnumbered_versions_of_one_author() -> None:
    assert lanes(node("1"), node("2", "1", time=2.0), node("3", "2", time=3.0)) == ["123"]
    assert lanes(node("1"), node("2", "1", time=2.0, author="b@x")) == ["1", "2"]
    assert lanes(node("1"), node("2", "1", time=2.0, resend=True)) == ["1", "2"]


def test_discussion_above_a_patch_is_kept_with_it() -> None:
    assert lanes(reply("q", "", author="b@x"), reply("r", "q"), node("p", "r")) == ["qrp"]


IDS = st.sampled_from("abcdefgh")


@given(
    st.lists(
        st.tuples(
            IDS, st.one_of(st.just(""), IDS), st.booleans(), st.integers(0, 3), st.integers(0, 3), st.integers(1, 3)
        ),
        max_size=8,
        unique_by=lambda each: each[0],
    )
)
def test_no_mail_is_lost_and_none_posted_twice(rows: list[tuple[str, str, bool, int, int, int]]) -> None:
    nodes = [
        node(
            msgid,
            parent,
            posted=posted,
            reply=not posted,
            counter=counter,
            expected=expected,
            version=version,
            unnumbered=expected == 0,
        )
        for msgid, parent, posted, counter, expected, version in rows
    ]
    parted = part_threads(nodes)
    assert sorted(each.msgid for thread in parted for each in thread) == sorted(each.msgid for each in nodes)
    parent, _ = acyclic_parents(nodes)
    for thread in parted:
        inside = [each.msgid for lane in part_lanes(thread, parent) for each in lane if each.posted]
        assert sorted(inside) == sorted(each.msgid for each in thread if each.posted)
