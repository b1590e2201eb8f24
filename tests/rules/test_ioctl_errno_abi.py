"""ioctl-errno-abi: what a patch must do to be spoken of, and what it may do in silence."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from lorelint.code.program import Cache, Program
from lorelint.kernel.load import knowledge
from lorelint.model.base import Applied, Base, BaseStep, FileBase, Grade, Snapshot
from lorelint.model.finding import Judged
from lorelint.model.mail import Change, FileDiff, Message, Patch
from lorelint.model.tree import EmptyTree, OverlayTree, Tree
from lorelint.rule.delta import delta
from lorelint.rule.door import Rule

RULE = "ioctl-errno-abi"
PATH = "drivers/demo/a.c"

DRIVER = """
static int helper(struct s *s)
{{
	if (s->gone)
		return -ENODEV;
	return s->n ? -EIO : 0;
}}
static long f(struct s *s, unsigned long arg)
{{
	int ret;
{body}
	return 0;
}}
static long demo_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{{
	{calls};
}}
static const struct {table} ops = {{ .{field} = demo_ioctl }};
"""


def driver(body: str, calls: str = "return f(file->private_data, arg)", table: str = "file_operations") -> str:
    field = "unlocked_ioctl" if table == "file_operations" else "run"
    return DRIVER.format(body=body, calls=calls, table=table, field=field)


def refuse(condition: str, code: str) -> str:
    return f"\tif ({condition})\n\t\treturn -{code};"


HANDED = "\tret = helper(s);\n\tif (ret)\n\t\treturn ret;"
FOLDED = "\tret = helper(s);\n\tif (ret)\n\t\treturn -{};"

SPOKEN = {
    "another code for a test": (refuse("!arg", "ENOENT"), refuse("!arg", "EINVAL"), "gave -ENOENT before"),
    "another code for a failing call": (FOLDED.format("EIO"), FOLDED.format("EFAULT"), "gave -EIO before"),
    "one code for all of a callee's": (HANDED, FOLDED.format("EFAULT"), "takes the place"),
    "a new test that decides": ("", refuse("special(arg)", "EOPNOTSUPP"), "not refused here before"),
    "a new busy": ("", refuse("s->count", "EBUSY"), "not refused here before"),
    "a code for the kernel": ("", refuse("!s->ready", "EPROBE_DEFER"), "for the kernel alone"),
}

SILENT = {
    "nothing changes": (refuse("!arg", "ENOENT"), refuse("!arg", "ENOENT") + "\n\tnote(s);"),
    "the callee's own code": (FOLDED.format("EIO"), HANDED),
    "malformed input": ("", refuse("arg & 7", "EINVAL")),
    "no right to": ("", refuse("!capable(CAP_SYS_ADMIN)", "EPERM")),
    "written otherwise": (refuse("s->count != 0", "EBUSY"), refuse("s->count > 0", "EBUSY")),
    "a new command": (
        "\tswitch (arg) {\n\tcase 1:\n\t\treturn helper(s);\n\t}",
        "\tswitch (arg) {\n\tcase 1:\n\t\treturn helper(s);\n\tcase 2:\n\t\tif (s->count)\n\t\t\treturn -EBUSY;\n"
        "\t\treturn 0;\n\t}",
    ),
    "a test that goes": (refuse("s->count", "EBUSY"), ""),
}


def tree(text: str | None) -> Tree:
    return OverlayTree(EmptyTree("small"), {} if text is None else {PATH: text.encode()})


def judge(rule: Rule, before: str | None, after: str) -> tuple[Judged, ...]:
    mail = Message("1@demo", "demo: change", "", "", "", "", (), (), (), "")
    patch = Patch(
        1, "1@demo", "demo: change", ("", ""), "", "", (FileDiff(PATH, PATH, Change.MODIFY, "", "", (), 0),), mail
    )
    snapshot = Snapshot(patch, tree(before), tree(after), {PATH: FileBase(PATH, Grade.EXACT, "ours")})
    base = Base("small", "", Grade.EXACT, (BaseStep("named", "small", True, ""),))
    know, cache = knowledge((6, 12)), Cache.empty()
    done = delta(Applied(base, (snapshot,)), (rule,), lambda each: Program(each, know, cache))
    assert not done.failures
    return done.judged


@pytest.mark.parametrize(("before", "after", "said"), SPOKEN.values(), ids=SPOKEN.keys())
def test_spoken_of(before: str, after: str, said: str, rules: dict[str, Rule]) -> None:
    (judged,) = judge(rules[RULE], driver(before), driver(after))
    assert said in judged.finding.message
    assert judged.status == "new" and judged.finding.severity == "note"
    assert any("unlocked_ioctl" in step.text for step in judged.finding.steps)


@pytest.mark.parametrize(("before", "after"), SILENT.values(), ids=SILENT.keys())
def test_silent(before: str, after: str, rules: dict[str, Rule]) -> None:
    assert not judge(rules[RULE], driver(before), driver(after))


def test_no_ioctl_above(rules: dict[str, Rule]) -> None:
    before, after = refuse("!arg", "ENOENT"), refuse("!arg", "EBUSY")
    assert judge(rules[RULE], driver(before), driver(after))
    assert not judge(rules[RULE], driver(before, table="demo_ops"), driver(after, table="demo_ops"))


def test_a_caller_that_gives_a_code_of_its_own(rules: dict[str, Rule]) -> None:
    calls = "if (f(file->private_data, arg))\n\t\treturn -EIO;\n\treturn 0"
    before, after = refuse("!arg", "ENOENT"), refuse("!arg", "EBUSY")
    assert not judge(rules[RULE], driver(before, calls), driver(after, calls))


def test_a_new_driver_has_promised_nothing(rules: dict[str, Rule]) -> None:
    assert not judge(rules[RULE], None, driver(refuse("s->count", "EBUSY")))


def test_a_new_driver_gives_no_code_of_the_kernels_own(rules: dict[str, Rule]) -> None:
    (judged,) = judge(rules[RULE], None, driver(refuse("s->count", "ENOTSUPP")))
    assert "an ioctl answers what user space cannot know" in judged.finding.message
    assert judged.finding.severity == "note"
    calls = "int ret = f(file->private_data, arg);\n\n\treturn ret == -ENOTSUPP ? -EOPNOTSUPP : ret"
    assert not judge(rules[RULE], None, driver(refuse("s->count", "ENOTSUPP"), calls))  # told in a code that it knows
    alone = driver(refuse("s->count", "ENOTSUPP"), table="demo_ops")
    assert not judge(rules[RULE], None, alone)


def test_one_tree_tells_nothing(desk: SimpleNamespace, rules: dict[str, Rule]) -> None:
    """The rule is about a change: of a tree alone it has nothing to say."""
    program = desk.program(driver(refuse("s->count", "EBUSY")))
    assert not desk.judge(program, rules[RULE], "f").outcome.verdicts
