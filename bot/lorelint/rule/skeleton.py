"""What ``lorelint new rule family/name`` writes: a rule that loads, with what it still lacks said in words. Pure."""

from __future__ import annotations

from lorelint.model.errors import LorelintError
from lorelint.model.regex import regex

_PLACE = regex(r"([a-z]+)/([a-z]+(?:-[a-z]+)*)\Z")

_RULE = '''"""{name}: say the defect in one line

What it sees       the shape of the code, in the kernel's words
Why it hurts       what breaks, for whom, and who can make it happen
When it is silent  each must-not, one by one
Do this instead    the idiom, by the name of the API
References         commits, documents, threads
"""

from __future__ import annotations

from collections.abc import Iterator

from lorelint.rule import Finding, Need, Rule, Severity, Step, Tokens, TreeView, Verdict, ir


def run(view: TreeView) -> Iterator[Verdict]:
    for fn in view.functions:
        for node in view.program.cfg(fn).nodes:
            for call in ir.calls(node.expr):
                if call.name == "{api}":
                    message = f"{{call.name}}() stands in {{fn.name}}()"
                    yield Finding(
                        rule=RULE.name,
                        path=fn.path,
                        function=fn.name,
                        line=call.line,
                        anchor=call.name,
                        message=message,
                        severity=Severity.NOTE,
                        confidence=0.5,
                        steps=(Step(fn.path, call.line, message),),
                        need=Need.PATCH,
                    )


RULE = Rule("{name}", run=run, since="{since}", tokens=Tokens((("{api}",),)))
'''

_EXAMPLE = """\
--- a/drivers/example/example.c
+++ b/drivers/example/example.c
 int old_wrong(void)
 {{
 \t{api}();
 \treturn 0;
 }}

+int new_wrong(void)
+{{
+\t{api}();\t/* want: {api}() stands in new_wrong() */
+\treturn 0;
+}}
+
+int near_miss(void)
+{{
+\treturn {api}_of_another_kind();
+}}
"""


def skeleton(place: str, since: str = "0.1") -> dict[str, str]:
    """The files of a new rule: path below the pack's package -> text; the family's ``__init__.py`` may be there.

    place   ``family/rule-name``
    Raises LorelintError when the place is no such pair of lower-case words.
    """
    match = _PLACE.match(place)
    if not match:
        remedy = "family/name, lower-case words joined by hyphens: mmap/range-unchecked"
        raise LorelintError("is no place for a rule", where=place, remedy=remedy)
    family, name = match.groups()
    stem = name.replace("-", "_")
    names = {"name": name, "api": f"api_of_{stem}", "since": since}
    return {
        f"{family}/__init__.py": f'"""Rules about {family}."""\n',
        f"{family}/{stem}.diff": _EXAMPLE.format(**names),
        f"{family}/{stem}.py": _RULE.format(**names),
    }
