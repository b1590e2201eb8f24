"""Quoted lines are found again in what they were taken from."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lorelint.mail.align import Budget, Text

PATCH = """\
@@ -1,4 +1,6 @@ static int f(void)
 \tint err;
\x20
+\terr = g();
+\tif (err)
+\t\treturn -EAGAIN;
 \terr = h();
 \tif (err)
 \t\treturn err;
 }
""".split("\n")


def test_ambiguous_lines_follow_the_one_above() -> None:
    assert Text(PATCH).find(["+\terr = g();", "+\tif (err)"]) == [3, 4]
    assert Text(PATCH).find([" \terr = h();", " \tif (err)"]) == [6, 7]


def test_of_two_places_that_with_the_same_indentation() -> None:
    text = ["+\t\t\tunmap(x,", "+\t\t\t      0);", " \tdone();", "+\tunmap(x,", "+\t      0);"]
    assert Text(text).find(["+       unmap(x,", "+             0);"]) == [3, 4]
    assert Text(text).find(["+\t\t\tunmap(x,", "+\t\t\t      0);"]) == [0, 1]
    assert Text(text).find(["+ unmap(x,", "+ 0);"]) == [0, 1]


def test_white_space_does_not_matter() -> None:
    assert Text(PATCH).find(["+ err = g();", "+ if (err)", "+return -EAGAIN;"]) == [3, 4, 5]


def test_an_empty_line_is_that_below_the_last() -> None:
    assert Text(PATCH).find(["\tint err;", ""]) == [1, 2]


def test_wrapped_lines_are_put_together() -> None:
    text = ["+\tvma = find_vma_intersection(mm, start, end);", "+\tif (!vma)"]
    assert Text(text).find(["+\tvma = find_vma_intersection(mm,", "start, end);", "+\tif (!vma)"]) == [0, 0, 1]


def test_paragraphs_that_were_filled_anew() -> None:
    text = [
        "When a buffer is a linear piece of a BAR, the mapping should be redirected to the file that owns it.",
        "No.",
    ]
    quoted = [
        "When a buffer is a linear piece of a",
        "BAR, the mapping should be",
        "redirected to the file that owns it.",
    ]
    assert Text(text).find_prose(quoted, Budget(10_000)) == [0, 0, 0]
    assert Text(text).find_prose(quoted[1:2], Budget(0)) == [None], "the budget is spent"


def test_a_line_that_comes_out_of_order_gives_way_to_the_run() -> None:
    text = ["a one", "b two", "c three", "d four"]
    found = Text(text).find(["b two", "a one", "c three", "d four"])
    assert found[2:] == [2, 3] and found.count(None) == 1


LINES = st.lists(
    st.sampled_from(("+a", " b", "-c", "", "+\t}", "return err;", "unique one", "unique two")), max_size=30
)


@given(LINES, st.data())
def test_a_quote_that_was_only_trimmed_is_found_line_for_line_or_not_at_all(
    text: list[str], data: st.DataObject
) -> None:
    kept = sorted(data.draw(st.sets(st.integers(0, max(0, len(text) - 1))))) if text else []
    found = Text(text).find([text[at] for at in kept])
    for at, place in zip(kept, found, strict=True):
        assert place is None or text[place].split() == text[at].split()
    places = [place for place in found if place is not None]
    assert places == sorted(places)


@given(st.lists(st.text(max_size=30), max_size=20), st.lists(st.text(max_size=30), max_size=20))
def test_whatever_comes_in(text: list[str], quoted: list[str]) -> None:
    for found in (Text(text).find(quoted), Text(text).find_prose(quoted, Budget(1_000))):
        assert len(found) == len(quoted)
        assert all(place is None or 0 <= place < len(text) for place in found)
