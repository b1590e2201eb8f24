"""What a caller does when a function fails, told from its text."""

from __future__ import annotations

import pytest

from lorelint.code.program import Program
from lorelint.code.shapes import Shapes, Use
from lorelint.kernel.load import knowledge
from lorelint.model.tree import EmptyTree, OverlayTree

MENDED = """\
	err = start(&args);
	if (err) {
		err = mend(&unlocked);
		if (unlocked)
			return -EAGAIN;
		if (err)
			return err;
		err = start(&args);
		if (err)
			return %s;
	}
"""
ASKS, HANDS, TURNS = (
    "or has its caller try again by -EAGAIN",
    "at last hands its error on",
    "at last turns it into -EAGAIN",
)


@pytest.mark.parametrize(
    ("body", "use", "told"),
    [
        (MENDED % "err" + "\treturn 0;\n", Use.AGAIN, (ASKS, HANDS)),
        (MENDED % "-EAGAIN" + "\treturn 0;\n", Use.AGAIN, (TURNS,)),
        # what the call stored is no failure of it
        (MENDED % "err" + "\tif (!args.writable)\n\t\terr = -EFAULT;\n\treturn err;\n", Use.AGAIN, (ASKS, HANDS)),
        ("\terr = start(&args);\n\tif (err)\n\t\treturn -EINVAL;\n\treturn 0;\n", Use.TURNS, ("into -EINVAL",)),
        ("\treturn start(&args);\n", Use.HANDS_ON, ()),
        ("\tstart(&args);\n\treturn 0;\n", Use.IGNORES, ()),
    ],
)
def test_shapes(body: str, use: Use, told: tuple[str, ...]) -> None:
    text = f"int f(void)\n{{\n\tstruct args args = {{}};\n\tbool unlocked = false;\n\tint err;\n\n{body}}}\n"
    program = Program(OverlayTree(EmptyTree("t"), {"a.c": text.encode()}), knowledge((6, 12)))
    fn = program.function("a.c", "f")
    assert fn is not None
    assert Shapes(program).of(fn, "start") == (use, told)
