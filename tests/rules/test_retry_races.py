"""Retry loops whose "try again" ends by itself: a race, work done in part, a wish not to wait, another item."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Ask = Callable[..., Any]
UNBOUNDED, RESCHED, SIGNAL = "unbounded-retry", "retry-no-resched", "retry-no-fatal-signal"
LOOPS = (UNBOUNDED, RESCHED, SIGNAL)
BUSY = "static int attempt(struct s *s)\n{\n\tif (s->busy)\n\t\treturn -EAGAIN;\n\treturn 0;\n}\n"
CALLEE = "static int attempt(struct s *s)\n{\n%s\n}\n"


def f(body: str, before: str = BUSY, params: str = "struct s *s") -> str:
    return f"{before}\nint f({params})\n{{\n\tint ret;\n\n{body}\n}}\n"


def loop(again: str, callee: str = BUSY) -> str:
    """``again`` stands at the head of a goto loop on -EAGAIN."""
    return f(f"again:\n{again}\tret = attempt(s);\n\tif (ret == -EAGAIN)\n\t\tgoto again;\n\treturn ret;", callee)


#: name -> (text, words of the reason)
ENDS: dict[str, tuple[str, str]] = {
    "a compare-and-exchange by another name": (loop("", CALLEE % (
        "\tif (!state_try_cmpxchg(s, s->old, 1))\n\t\treturn -EAGAIN;\n\treturn 0;")), "sequence check"),
    "a walk that a resize has restarted": (f(
        "\tstruct e *e;\n\tdo {\n\t\trhashtable_walk_start(&s->i);\n"
        "\t\twhile ((e = rhashtable_walk_next(&s->i)) && !IS_ERR(e))\n\t\t\tdrop(e);\n"
        "\t\trhashtable_walk_stop(&s->i);\n\t} while (e == ERR_PTR(-EAGAIN));\n\treturn 0;", ""), "sequence check"),
    "a reading gone stale": (loop("", CALLEE % (
        "\tint gen = s->gen;\n\n\tspin_lock(&s->lock);\n\tif (s->gen != gen)\n\t\treturn -EAGAIN;\n"
        "\treturn 0;")), "read again"),
    "a page that was truncated": (loop("", CALLEE % (
        "\tfolio_lock(s->folio);\n\tif (s->folio->mapping != s->inode->i_mapping)\n\t\treturn -EAGAIN;\n"
        "\treturn 0;")), "read again"),
    "put right before it says so": (loop("", CALLEE % (
        "\tif (s->level < s->need) {\n\t\ts->level = s->need;\n\t\tdrop_all(s);\n\t\treturn -EAGAIN;\n\t}\n"
        "\treturn 0;")), "puts right"),
    "a part of the work": (f(
        "again:\n\tret = attempt(s, &at);\n\tif (ret == -EAGAIN)\n\t\tgoto again;\n\treturn ret;",
        "static int attempt(struct s *s, long *at)\n{\n\t*at += work(s);\n\tif (s->more)\n\t\treturn -EAGAIN;\n"
        "\treturn 0;\n}\n", "struct s *s, long at"), "a part of the work"),
    "asked not to wait": (loop("", CALLEE % (
        "\tif (s->nowait) {\n\t\tif (!down_read_trylock(&s->sem))\n\t\t\treturn -EAGAIN;\n\t} else {\n"
        "\t\tdown_read(&s->sem);\n\t}\n\treturn 0;")), "asked not to wait"),
    "a clock in the callee": (loop("", CALLEE % (
        "\tif (time_after(jiffies, s->end))\n\t\treturn -ETIMEDOUT;\n\tif (s->busy)\n\t\treturn -EAGAIN;\n"
        "\treturn 0;")), "looks at a clock"),
    "a fault that was repaired": (f(
        "\tint v;\nagain:\n\tret = read_atomic(s, &v);\n\tif (ret) {\n\t\tif (get_user(v, s->u))\n"
        "\t\t\treturn -EFAULT;\n\t\tgoto again;\n\t}\n\treturn v;"), "had succeeded"),
    "the next item by the condition": (f(
        "\tstruct e *e;\n\twhile (!s->stop &&\n\t       (e = take(s)) != NULL) {\n\t\tret = attempt(s);\n"
        "\t\tif (ret == -EBUSY)\n\t\t\tret = 0;\n\t\telse if (ret)\n\t\t\tbreak;\n\t}\n\treturn 0;",
        BUSY.replace("EAGAIN", "EBUSY")), ""),
    "another question each time": (f(
        "\twhile ((ret = elsewhere(s, *seq))) {\n\t\tif (ret != -ENOENT)\n\t\t\treturn ret;\n\t\t(*seq)++;\n"
        "\t}\n\treturn 0;", "", "struct s *s, u64 *seq"), "about another *seq"),
    "raised to what it is compared with": (f(
        "\twhile ((ret = elsewhere(s, *seq))) {\n\t\tlow = first(s);\n\t\tif (*seq < low)\n\t\t\t*seq = low;\n"
        "\t\telse\n\t\t\treturn ret;\n\t}\n\treturn 0;", "", "struct s *s, u64 *seq, u64 low"),
        "about another *seq"),
    "what a compare-and-exchange found": (loop("", CALLEE % (
        "\tu32 curval, uval = s->val;\n\n\tif (exchange(s, &curval, uval))\n\t\treturn -EFAULT;\n"
        "\tif ((curval & SOME_MASK) != uval)\n\t\treturn -EAGAIN;\n\treturn 0;")), "read again"),
    "the lock of the caller dropped and taken again": (loop("", CALLEE % (
        "\tif (s->n < s->room)\n\t\treturn 0;\n\tspin_unlock(&s->lock);\n\tgrow(s);\n\tspin_lock(&s->lock);\n"
        "\treturn -EAGAIN;")), "dropped a lock meanwhile"),
    "a compare-and-exchange in a comparison": (loop("", CALLEE % (
        "\tif (atomic_cmpxchg(&s->id, 1, 2) != 1)\n\t\treturn -EAGAIN;\n\treturn 0;")), "sequence check"),
    "what the caller had read is there no more": (f(
        "again:\n\tret = attempt(s, READ_ONCE(s->link));\n\tif (ret == -EAGAIN)\n\t\tgoto again;\n\treturn ret;",
        "static int attempt(struct s *s, struct l *was)\n{\n\tstruct l *now;\n\n\tnow = rcu_dereference(s->link);\n"
        "\tif (now != was)\n\t\treturn -EAGAIN;\n\treturn 0;\n}\n"), "read again"),
    "a version read by a call": (loop("", CALLEE % (
        "\tif (atomic_read(&s->node.version) != s->ft_version)\n\t\treturn -EAGAIN;\n\treturn 0;")), "read again"),
    "room made through a local": (loop("", CALLEE % (
        "\tu32 tail = s->tail;\n\n\tif (tail + s->len > s->size) {\n\t\ts->tail = 0;\n\t\treturn -EAGAIN;\n\t}\n"
        "\treturn 0;")), "puts right"),
    "the callee counts": (loop("", CALLEE % (
        "\tif (++s->retries <= s->allowed)\n\t\treturn -EAGAIN;\n\treturn 0;")), "puts right"),
    "the callee says that it has changed something": (loop("", CALLEE % (
        "\tif (limits_changed(s))\n\t\treturn -EAGAIN;\n\treturn 0;")), "read again"),
    "the callee consumes": (loop("", CALLEE % (
        "\tif (s->odd) {\n\t\tring_consume(s);\n\t\treturn -EAGAIN;\n\t}\n\treturn 0;")), "a part of the work"),
    "the next buffer": (f(
        "\tdo {\n\t\tret = elsewhere(s, buf);\n\t\tif (ret == -EAGAIN)\n\t\t\tswap_buffers(s, &buf);\n"
        "\t} while (ret == -EAGAIN);\n\treturn ret;", "", "struct s *s, struct b *buf"), "about another buf"),
    "an item from a queue": (f(
        "\twhile (1) {\n\t\tstruct e *e = dequeue(s);\n\n\t\tif (!e)\n\t\t\tbreak;\n\t\tret = elsewhere(e);\n"
        "\t\tif (ret)\n\t\t\tcontinue;\n\t\treturn 0;\n\t}\n\treturn 0;", ""), "about another e"),
    "tries that lead to another way": (f(
        "again:\n\tif (!retries)\n\t\tslow(s);\n\tret = attempt(s);\n\tif (ret == -EAGAIN) {\n\t\tretries--;\n"
        "\t\tgoto again;\n\t}\n\treturn ret;", BUSY, "struct s *s, int retries"), "bounded: retries"),
    "a bound that is counted on some of the ways": (f(
        "\tdo {\n\t\tret = attempt(s);\n\t\tif (s->slow)\n\t\t\tn++;\n\t} while (ret == -EAGAIN && n < 9);\n"
        "\treturn ret;", BUSY, "struct s *s, int n"), "bounded: n"),
    "a way back of its own": (f(
        "again:\n\tsend(s);\n\tdo {\n\t\tret = attempt(s);\n\t\tif (ret == -EBUSY && n++ < 3)\n\t\t\tgoto again;\n"
        "\t} while (more(s));\n\treturn ret;", BUSY.replace("EAGAIN", "EBUSY"), "struct s *s, int n"), ""),
    "time that is left": (f(
        "\tfor (;;) {\n\t\tret = attempt(s);\n\t\tif (ret != -EAGAIN)\n\t\t\tbreak;\n\t\tif (!left)\n"
        "\t\t\treturn -ETIMEDOUT;\n\t\tleft = wait_woken(&s->w, 0, left);\n\t}\n\treturn ret;", BUSY,
        "struct s *s, long left"), "bounded: left"),
    "a ring whose index the loop reads again": (f(
        "\tint i = s->cons;\n\n\twhile (i != end) {\n\t\tret = elsewhere(s);\n\t\tif (ret) {\n\t\t\ti = s->cons;\n"
        "\t\t\tcontinue;\n\t\t}\n\t\tbreak;\n\t}\n\treturn 0;", "", "struct s *s, int end"), "i was set anew"),
    "killed, and why it fails is not known": (f(
        "\tdo {\n\t\tret = elsewhere(s);\n\t\tif (signal_pending(current))\n\t\t\treturn -EINTR;\n"
        "\t} while (ret == -EAGAIN);\n\treturn ret;", ""), "a signal ends it"),
    "a page table entry": (loop("", CALLEE % (
        "\tif (!pmd_present(*s->pmd))\n\t\treturn -EAGAIN;\n\treturn 0;")), "read again"),
    "an object that goes away": (loop("", CALLEE % (
        "\tif (!kref_get_unless_zero(&s->ref))\n\t\treturn -EAGAIN;\n\treturn 0;")), "read again"),
    "a larger buffer": (loop("", CALLEE % (
        "\tif (s->n < s->room)\n\t\treturn 0;\n\ts->buf = kvmalloc(s->room <<= 1, GFP_KERNEL);\n\tif (s->buf)\n"
        "\t\treturn -EAGAIN;\n\treturn -ENOMEM;")), "puts right"),
    "the time a wait leaves": (f(
        "\tdo {\n\t\tret = elsewhere(s);\n\t\tif (ret != -EAGAIN)\n\t\t\tbreak;\n"
        "\t} while (timeo && !wait_for_more(s, &timeo));\n\treturn ret;", "", "struct s *s, long timeo"), "bounded: timeo"),
    "another byte order": (f(
        "again:\n\tif (le16_to_cpu(s->code) == -EAGAIN)\n\t\tgoto again;\n\treturn 0;", ""), ""),
    "entered in the middle": (f(
        "\tif (s->hint)\n\t\tgoto have;\n\tfor (;;) {\n\t\ts->n = pick(s);\nhave:\n\t\tret = attempt(s);\n"
        "\t\tif (ret == -EAGAIN)\n\t\t\tcontinue;\n\t\tbreak;\n\t}\n\treturn ret;"), "beside its head"),
    "a helper that waits if there is anything to wait for": (f(
        "\tdo {\n\t\tret = attempt(s);\n\t\tif (ret == -EBUSY)\n\t\t\twait_current(s);\n"
        "\t} while (ret == -EBUSY);\n"
        "\treturn ret;", BUSY.replace("EAGAIN", "EBUSY") + "static void wait_current(struct s *s)\n{\n"
        "\tif (s->busy)\n\t\twait_event(s->wq, !s->busy);\n}\n"), ""),
    "a yield and a signal check by other names": (loop(
        "\tpause_a_while();\n\tif (should_cancel(s))\n\t\treturn -EINTR;\n", BUSY +
        "static inline void pause_a_while(void)\n{\n\tschedule_timeout_uninterruptible(1);\n}\n"
        "static inline int should_cancel(struct s *s)\n{\n\treturn signal_pending(current);\n}\n"), ""),
}  # fmt: skip


@pytest.mark.parametrize("rule", LOOPS)
@pytest.mark.parametrize("name", ENDS)
def test_what_ends_by_itself(ask: Ask, rule: str, name: str) -> None:
    text, reason = ENDS[name]
    said = ask(rule, text)
    assert not said.fires, said.outcome.defects[0].message
    assert reason in said.reasons, said.reasons


PINS = "pin_user_pages_fast(s->addr, n, 0, s->pages)"


@pytest.mark.parametrize(
    "room",
    ["if (at == MAX_SKB_FRAGS)\n\t\t\treturn -EMSGSIZE;", "left = most - at;\n\t\tif (left <= 0)\n\t\t\treturn 0;"],
)
def test_pages_up_to_a_limit_of_the_loops_own(ask: Ask, room: str) -> None:
    body = f"\twhile (n) {{\n\t\t{room}\n\t\tret = {PINS};\n\t\tif (ret < 1)\n\t\t\treturn ret;\n\t\tat++;\n"
    body += "\t\tn -= ret;\n\t}\n\treturn 0;"
    text = f(body, "", "struct s *s, unsigned long n, int at, int most, int left")
    assert not ask(RESCHED, text).fires
    assert ask(RESCHED, text.replace(room, "note(s);")).fires
