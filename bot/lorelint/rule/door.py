"""The contract between rules and lorelint: values, views, and nothing else.

A rule is a value. It looks at one tree and yields verdicts about the functions it was handed:
a `Finding` where it fires, a `Silence` where it looked and has a reason not to, a `Doubt` where
what matters could not be seen. The engine runs it before and after a patch and subtracts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Any, Generic, TypeVar

from msgspec import Struct
from msgspec.structs import force_setattr

from lorelint.code.ir import Function
from lorelint.code.program import Program
from lorelint.model.errors import LorelintError
from lorelint.model.finding import Doubt, Edit, Finding, Fix, Kind, Need, Severity, Sibling, Silence, Step, Verdict
from lorelint.model.knowledge import Knowledge

T = TypeVar("T")

_UNDER_WAY = object()


class Stage(StrEnum):
    """How far a rule may go; it is promoted by its ledger."""

    TRIAL = "trial"  # corpora only
    QUEUE = "queue"  # a maintainer sees it
    LIST = "list"  # may be mailed

    def reaches(self, other: Stage) -> bool:
        """Whether a rule that is here may go where `other` is asked for."""
        order = list(Stage)
        return order.index(self) >= order.index(other)


class Analysis(Struct, Generic[T], frozen=True):
    """Something computed once per tree and used by many rules.

    `run` gets a view of the whole tree (and asks it, by `view.of`, for the analyses it requires) and
    returns a T, usually an object that answers per function. What it remembers it remembers through
    `view.program.memo`, which replays what was read: the engine does not judge again what read nothing
    that changed.
    """

    name: str
    run: Callable[[TreeView], T]
    requires: tuple[Analysis[Any], ...] = ()


class Tokens(Struct, frozen=True):
    """Words without which a rule cannot fire: every group must have at least one word in the text.

    Groups are tuples of plain words; text is skipped by them before anything is parsed.
    """

    groups: tuple[tuple[str, ...], ...] = ()
    _needles: tuple[tuple[bytes, ...], ...] = ()  # the groups as bytes

    def __post_init__(self) -> None:
        needles = tuple(tuple(word.encode() for word in group) for group in self.groups)
        force_setattr(self, "_needles", needles)

    def admit(self, text: bytes) -> bool:
        for group in self._needles:  # asked of every function for every rule: no generators here
            for word in group:
                if word in text:
                    break
            else:
                return False
        return True


class Vocabulary(Struct, frozen=True):
    """What a person calls a defect: lower-case words, ``*`` for the rest of one.

    names  phrases that name it
    near   words that go with it
    """

    names: tuple[str, ...] = ()
    near: tuple[str, ...] = ()


class TreeView:
    """One tree, as a rule sees it.

    functions   what is to be judged now
    program     the whole tree, looked up on demand; every look-up is recorded
    know        kernel knowledge for the tree's version
    whole       False when the tree is made of hunks only (fragments): calls out of sight are unknown
    """

    def __init__(
        self,
        program: Program,
        functions: tuple[Function, ...],
        *,
        whole: bool = True,
        shared: dict[str, Any] | None = None,
    ) -> None:
        self.program = program
        self.functions = functions
        self.whole = whole
        self._results: dict[str, Any] = {} if shared is None else shared

    @property
    def know(self) -> Knowledge:
        return self.program.know

    def of(self, analysis: Analysis[T]) -> T:
        """The analysis of this tree, computed on first use.

        Raises LorelintError for an analysis that needs itself.
        """
        if analysis.name not in self._results:
            self._results[analysis.name] = _UNDER_WAY
            try:
                self._results[analysis.name] = analysis.run(self.narrowed(()))
            except BaseException:
                del self._results[analysis.name]  # the next rule to ask gets the same error, not a half result
                raise
        if self._results[analysis.name] is _UNDER_WAY:
            raise LorelintError("needs itself", where=f"analysis {analysis.name}", remedy="break the circle")
        result: T = self._results[analysis.name]
        return result

    def narrowed(self, functions: tuple[Function, ...]) -> TreeView:
        """The same tree and results, other functions to judge."""
        return TreeView(self.program, functions, whole=self.whole, shared=self._results)


class ChangeView(TreeView):
    """The tree after a patch with the tree before it: for rules about what changes, rather than about one tree.

    functions   what is to be judged, of the tree after
    before      the tree before
    """

    def __init__(self, after: TreeView, before: TreeView, pairs: tuple[tuple[Function | None, Function], ...]) -> None:
        """`pairs`: each function to judge, with what it was before; None for a new one."""
        super().__init__(after.program, tuple(fn for _, fn in pairs), whole=after.whole, shared=after._results)
        self.before = before
        self._pairs = pairs

    def was(self, fn: Function) -> Function | None:
        """What a function was before, under whatever name; None for a new one."""
        return next((was for was, now in self._pairs if now is fn), None)


class Rule(Struct, frozen=True):
    """One defect, as a value; lives in a file of its own whose docstring has the five headings.

    name    lower-case words for the defect, joined by hyphens
    run     yields verdicts about `view.functions`, each on its own (the engine may hand over any subset)
    sees    the kind of view `run` gets: a `TreeView`, before and after a patch, whose verdicts the engine subtracts; or
            a `ChangeView`, once for each function a patch touches, whose findings are what is new
    tokens  the prefilter
    since   lorelint version that brought it
    cause_rank  order inside a concern: causes first (0), symptoms after
    """

    name: str
    run: Callable[[Any], Iterator[Verdict]]
    since: str
    stage: Stage = Stage.TRIAL
    tokens: Tokens = Tokens()
    requires: tuple[Analysis[Any], ...] = ()
    sees: type[TreeView] = TreeView
    need: Need = Need.CALLS
    cause_rank: int = 50
    words: Vocabulary = Vocabulary()  # where empty, filled by the loader: from the pack's words.toml, else derived
    doc: str = ""  # filled by the loader from the module's docstring
    module: str = ""  # likewise
    example: str = ""  # likewise: the text of the diff beside the module
    origin: str = ""  # likewise: the pack it came with


__all__ = [
    "Analysis",
    "ChangeView",
    "Doubt",
    "Edit",
    "Finding",
    "Fix",
    "Kind",
    "Need",
    "Rule",
    "Severity",
    "Sibling",
    "Silence",
    "Stage",
    "Step",
    "Tokens",
    "TreeView",
    "Verdict",
    "Vocabulary",
]
