"""What is held on each path: acquisitions, releases, hand-overs, in small functions of our own."""

from __future__ import annotations

import pytest

from lorelint.code.program import Program
from lorelint.kernel.load import knowledge
from lorelint.model.tree import EmptyTree, OverlayTree
from lorelint.rule.analyses.owners import RESULT
from lorelint.rule.analyses.typestate import HELD, KEPT, LOST, NONE, RELEASED, End, Holding, Resource, Story, Take

PATH = "drivers/demo/a.c"
RESOURCE = Resource(
    "test",
    {"take": Take(1, "positive", 0), "begin": Take(0, "zero"), "get": Take(RESULT, "pointer")},
    {"give": (0,), "end": (0,), "put": (0,)},
    frozenset({"look"}),
)


def _stories(text: str, name: str = "f", **more: str) -> tuple[Story, ...]:
    files = {PATH: text.encode(), **{path: body.encode() for path, body in more.items()}}
    program = Program(OverlayTree(EmptyTree("small"), files), knowledge((6, 12)))
    fn = program.function(PATH, name)
    assert fn is not None
    return Holding(program, RESOURCE).stories(fn)


def _story(text: str, name: str = "f") -> Story:
    (story,) = _stories(text, name)
    return story


def _holds(story: Story, *, fails: bool | None) -> set[str]:
    return {end.hold for end in story.ends if end.fails is fails}


def _left(text: str) -> tuple[End, ...]:
    return _story(text).left()


PLAIN = """
int f(struct ctx *c, int n)
{
	struct page *pages[4];
	int ret;

	ret = take(n, pages);
	if (ret < 0)
		return ret;
	if (check(c)) {
		%s
		return -EINVAL;
	}
	give(pages);
	return 0;
}
"""


def test_what_is_not_released_before_a_failing_return_is_held() -> None:
    (end,) = _left(PLAIN % ";")
    assert end.hold == HELD and end.line == 12
    assert [text for _, text in end.path] == ["ret >= 0", "check(c)"]
    assert not _left(PLAIN % "give(pages);")


def test_a_failed_call_holds_nothing() -> None:
    story = _story(PLAIN % "give(pages);")
    assert _holds(story, fails=True) == {NONE, RELEASED}


@pytest.mark.parametrize(
    ("test", "held"),
    [
        ("ret != n", {HELD}),  # fewer are some
        ("ret < n", {HELD}),
        ("ret <= 0", {NONE}),
        ("ret < 1", {NONE}),
        ("ret < 0", {NONE}),
        ("!ret", {NONE}),
    ],
)
def test_the_test_says_whether_something_is_had(test: str, held: set[str]) -> None:
    text = f"int f(int n) {{ struct page *p[4]; int ret = take(n, p); if ({test}) return -EFAULT; give(p); return 0; }}"
    assert _holds(_story(text), fails=True) == held


def test_of_one_all_or_nothing_is_had() -> None:
    text = "int f(void) { struct page *p; if (take(1, &p) != 1) return -EFAULT; give(p); return 0; }"
    assert _holds(_story(text), fails=True) == {NONE}


def test_an_errno_and_a_pointer() -> None:
    text = "int f(struct walk *w) { int r = begin(w); if (r) return r; if (bad()) return -EINVAL; end(w); return 0; }"
    assert [end.hold for end in _left(text)] == [HELD]
    text = (
        "int f(void) { struct buf *b = get(); if (IS_ERR(b)) return -EPERM; if (bad()) return -EIO; put(b); return 0; }"
    )
    assert [end.hold for end in _left(text)] == [HELD]
    assert not _left(text.replace("return -EIO", "{ put(b); return -EIO; }"))


def test_a_loop_over_all_pieces_releases_all() -> None:
    text = """
    int f(int n) {
        struct page *p[4]; int i, ret = take(n, p);
        if (ret < 0) return ret;
        if (bad()) { for (i = 0; i < ret; i++) give(p[i]); return -EIO; }
        while (ret--) give(p[ret]);
        return 0;
    }"""
    assert not _left(text)
    assert _left(text.replace("give(p[i])", "look(p[i])"))


def test_pieces_of_an_earlier_round_stay_when_a_later_one_fails() -> None:
    text = """
    int f(int n) {
        struct page *p[4]; int got, done = 0;
        while (done < n) {
            got = take(n - done, p + done);
            if (got <= 0) { %s return -EFAULT; }
            done += got;
        }
        give(p);
        return 0;
    }"""
    assert _left(text % "")
    assert not _left(text % "give(p);")


def test_a_count_that_is_tested_stands_for_what_was_had() -> None:
    text = """
    int f(int n) {
        struct page *p[4]; int got, done = 0, ret = -EFAULT;
        while (done < n) {
            got = take(n - done, p + done);
            if (got <= 0) goto out;
            done += got;
        }
        ret = use(p);
    out:
        if (done) give(p);
        return ret;
    }"""
    story = _story(text)
    assert not story.left()
    assert any(end.hold == KEPT and "stands under done" in end.why for end in story.ends)


def test_a_test_is_no_excuse_where_both_arms_release() -> None:
    text = """
    int f(struct ctx *c, int n) {
        struct page *p[4]; int got = take(n, p);
        if (got < 0) return got;
        c->n = got;
        if (c->n) give(p); else end(p);
        return -EIO;
    }"""
    assert {end.hold for end in _story(text).ends if end.fails} >= {RELEASED} and not _story(text).left()
    assert not any(end.hold == KEPT for end in _story(text).ends)


def test_a_test_that_stands_twice_comes_out_alike() -> None:
    text = """
    int f(struct ctx *c, int n) {
        struct page *p[4]; int ret = 0;
        if (c->user) { ret = take(n, p); if (ret < 0) return ret; }
        ret = work(c);
        if (c->user) give(p);
        return ret ? -EIO : 0;
    }"""
    assert not _left(text)


def test_a_switch_takes_the_same_way_in_each_round() -> None:
    text = """
    int f(int cmd, int n) {
        struct page *p[4]; int i, got = 0;
        for (i = 0; i < n; i++) {
            switch (cmd) {
            case 1: got = take(1, p + i); break;
            default: return -EINVAL;
            }
            %s
        }
        give(p);
        return 0;
    }"""
    assert not _left(text % "")
    assert _left(text % "cmd = next();")


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ("c->pages = p;", "c->pages"),
        ("global = p;", "global"),
        ("unseen(c, p);", "unseen()"),
        ("c->ops->keep(p);", "c->ops->keep()"),
        ("store(c, p);", "c by store()"),
        ("o->p = p; list_add(&o->list, &c->list);", "c->list"),
    ],
)
def test_what_is_put_where_it_lasts_is_kept(what: str, why: str) -> None:
    text = f"""
    static void store(struct ctx *c, struct page **q) {{ c->pages = q; }}
    int f(struct ctx *c, int n) {{
        struct page **p = kmalloc(n, GFP_KERNEL); struct obj *o = kzalloc(8, GFP_KERNEL); int ret = take(n, p);
        if (ret < 0) return ret;
        {what}
        return -EIO;
    }}"""
    ends = [end for end in _story(text).ends if end.hold == KEPT]
    assert ends and all(why in end.why for end in ends)
    assert not _left(text)


def test_a_local_object_is_no_place_that_lasts() -> None:
    text = """
    int f(int n) {
        struct page *p[4]; struct obj o; int ret = take(n, p);
        if (ret < 0) return ret;
        o.p = p;
        if (bad(1)) return -EIO;
        put_all(&o);
        return 0;
    }
    static void put_all(struct obj *o) { int i; for (i = 0; i < 4; i++) give(o->p[i]); }
    """
    (end,) = _left(text)
    assert end.line == 6
    assert not _left(text.replace("if (bad(1))", "put_all(&o); if (bad(1))"))


def test_callees_release_what_lies_in_their_argument() -> None:
    text = """
    static void one(struct page *p) { give(p); }
    static void all(struct ctx *c) { struct page **v = c->pages; int i; for (i = 0; i < 4; i++) one(v[i]); }
    static void other(struct ctx *c) { one(c->page); }
    int f(struct ctx *c, int n) {
        int ret = take(n, c->pages);
        if (ret < 0) return ret;
        if (ret < n) { %s(c); return -EIO; }
        return 0;
    }"""
    story = _story(text % "all")
    assert not story.left() and story.outlives
    assert _story(text % "other").left()


def test_what_names_it_is_freed() -> None:
    text = """
    int f(struct ctx *c, int n) {
        int ret = take(n, c->pages);
        if (ret == n) return 0;
        %s kvfree(c->pages);
        return -EIO;
    }"""
    assert {end.hold for end in _left(text % "")} == {LOST}
    assert not _left(text % "if (ret > 0) give(c->pages);")


def test_the_end_of_a_scope_releases() -> None:
    text = "int f(int n) { struct page *p __free(give) = NULL; int r = take(n, &p); if (r < 0) return r; return -EIO; }"
    assert not _left(text)


def test_a_second_release_on_a_path_is_told() -> None:
    text = """
    int f(struct walk *w) {
        int r = begin(w);
        if (r) return r;
        if (bad()) { end(w); goto out; }
        return 0;
    out:
        end(w);
        return -EIO;
    }"""
    assert [line for line, _ in _story(text).again] == [8]
    assert not _story(text.replace("end(w); goto", "goto")).again


def test_many_paths_are_cut_and_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lorelint.rule.analyses.typestate.MAX_STATES", 10)
    assert _story(PLAIN % ";").cut
