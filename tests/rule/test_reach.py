"""Who is asked again costs no more than there is to ask: a patch may change any number of tables and macros."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from lorelint.rule.admission import Admission


@pytest.mark.parametrize("kind", ["tables", "macros"])
def test_many_changes_do_not_look_through_a_folder_many_times(
    kind: str, bench: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    of = Admission.of

    def counted(self: Admission, text: bytes) -> frozenset[str]:
        asked.append(len(text))
        return of(self, text)

    monkeypatch.setattr(Admission, "of", counted)
    use = "\n".join(f"\tM{number}(bad);" for number in range(40))
    beside = {f"x/b{number}.c": f"int f{number}(void)\n{{\n{use}\n\treturn bad();\n}}\n" for number in range(10)}
    costs = []
    for count in (1, 40):
        tables = [f"static const struct ops o{number} = {{\n\t.go = A,\n}};\n" for number in range(count)]
        macros = [f"#define M{number}(x) (x + A)\n" for number in range(count)]
        path, text = ("x/a.c", "".join(tables)) if kind == "tables" else ("include/a.h", "".join(macros))
        before, after = {path: text, **beside}, {path: text.replace("A", "B"), **beside}
        asked.clear()
        bench.run(bench.applied([before, after]), bench.BAD)
        costs.append(len(asked))
    assert costs[1] <= costs[0] * 2, costs
