"""From where a function is entered."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lorelint.code.entries import Entries
from lorelint.code.program import Program

Small = Callable[..., Program]
TARGET = "static void target(struct s *s)\n{\n\thw(s);\n}\n"
WORK = TARGET + "static void work(struct work_struct *w)\n{\n\ttarget(container_of(w, struct s, w));\n}\n"


def asked(small: Small, text: str, name: str = "target") -> tuple[bool, set[str]]:
    program = small(text)
    fn = program.function("a.c", name)
    assert fn is not None
    entries = Entries(program)
    return entries.only_kernel(fn), {entry.kind for entry in entries.of(fn)}


@pytest.mark.parametrize(
    ("how", "kind"),
    [
        ("INIT_WORK(&s->w, work);", "work item"),
        ("INIT_DELAYED_WORK(&s->w, work);", "work item"),
        ("s->t = kthread_run(work, s, \"w\");", "kthread"),
        ("request_threaded_irq(s->irq, NULL, work, 0, \"w\", s);", "interrupt"),
        ("request_irq(s->irq, work, 0, \"w\", s);", "atomic context"),
        ("netif_napi_add(s->dev, &s->napi, work);", "atomic context"),
    ],
)  # fmt: skip
def test_only_the_kernel(small: Small, how: str, kind: str) -> None:
    assert asked(small, WORK + f"void init(struct s *s)\n{{\n\t{how}\n}}\n") == (True, {kind})


@pytest.mark.parametrize(
    "more",
    [
        "static const struct file_operations ops = {\n\t.release = work,\n};\n",
        "void init(struct s *s)\n{\n\tregister_it(s, work);\n}\n",
        "void init(struct s *s)\n{\n\ts->run = work;\n}\n",
        "void init(struct s *s)\n{\n\twork(&s->w);\n}\n",
        "",  # nobody: then it is not known
    ],
)
def test_perhaps_a_user(small: Small, more: str) -> None:
    alone, _ = asked(small, WORK + more)
    assert not alone
    both, kinds = asked(small, WORK + more + "void other(struct s *s)\n{\n\tINIT_WORK(&s->w, work);\n}\n")
    assert not both or not more, "one way in of a user is enough"
    assert "work item" in kinds


def test_what_is_not_static_may_come_from_anywhere(small: Small) -> None:
    text = WORK.replace("static void target", "void target") + "void i(struct s *s)\n{\n\tINIT_WORK(&s->w, work);\n}\n"
    assert asked(small, text) == (False, {"unknown"})


def test_too_far_up_is_not_known(small: Small) -> None:
    links = "".join(f"static void c{i}(struct s *s)\n{{\n\tc{i - 1}(s);\n}}\n" for i in range(1, 7))
    text = TARGET.replace("target", "c0") + links + "void init(struct s *s)\n{\n\tINIT_WORK(&s->w, c6);\n}\n"
    assert asked(small, text, "c5") == (True, {"work item"})
    assert asked(small, text, "c0") == (False, {"unknown"})


def test_recursion_ends(small: Small) -> None:
    text = (
        "static void target(struct s *s)\n{\n\ttarget(s);\n}\nvoid i(struct s *s)\n{\n\tINIT_WORK(&s->w, target);\n}\n"
    )
    assert asked(small, text) == (True, {"work item"})


@pytest.mark.parametrize(
    ("table", "reached"),
    [("file_operations ops = {\n\t.unlocked_ioctl", True), ("file_operations ops = {\n\t.read", False),
     ("drm_driver ops = {\n\t.ioctl", True)],
)  # fmt: skip
def test_reached_from_an_ioctl(small: Small, table: str, reached: bool) -> None:
    text = TARGET + "static long go(struct s *s)\n{\n\ttarget(s);\n\treturn 0;\n}\n"
    program = small(text + f"static const struct {table} = go,\n}};\n")
    fn = program.function("a.c", "target")
    assert fn is not None
    assert Entries(program).from_ioctl(fn) is reached
