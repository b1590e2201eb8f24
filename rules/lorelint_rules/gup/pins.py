"""Pages from GUP as a resource: who pins, who releases, what only looks at them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from lorelint.rule import Analysis, Finding, Tokens, TreeView, Verdict, ir
from lorelint.rule.analyses.owners import RESULT
from lorelint.rule.analyses.typestate import Holding, Resource, Story, Take

_PAGES_FOURTH = Take(3, "positive", 1)
TAKES = {
    "pin_user_pages": _PAGES_FOURTH,
    "pin_user_pages_fast": _PAGES_FOURTH,
    "pin_user_pages_fast_only": _PAGES_FOURTH,
    "pin_user_pages_locked": _PAGES_FOURTH,
    "pin_user_pages_remote": Take(4, "positive", 2),
    "pin_user_pages_unlocked": Take(2, "positive", 1),
    "memfd_pin_folios": Take(3, "positive", 4),
    "get_user_pages": _PAGES_FOURTH,
    "get_user_pages_fast": _PAGES_FOURTH,
    "get_user_pages_fast_only": _PAGES_FOURTH,
    "get_user_pages_locked": _PAGES_FOURTH,
    "get_user_pages_remote": Take(4, "positive", 2),
    "get_user_pages_unlocked": Take(2, "positive", 1),
    "get_user_page_fast_only": Take(2, "positive"),
    "get_user_page_vma_remote": Take(RESULT, "pointer"),
}
#: They are handed the address of memory: of the array in which the pages are named, say.
_BY_ADDRESS = frozenset({"free_page", "free_pages"})


def _holding(view: TreeView) -> Holding:
    know = view.know
    takes = {name: TAKES[name] for name in sorted(know.names("gup_pin", "gup_get") & TAKES.keys())}
    gives = dict.fromkeys(sorted(know.names("gup_unpin", "gup_put", "gup_wrong_release") - _BY_ADDRESS), (0,))
    return Holding(view.program, Resource("gup", takes, gives, know.names("gup_looks")))


PINS: Analysis[Holding] = Analysis("gup pins", _holding)

#: Words without which a function takes no pages.
TOKENS = Tokens((tuple(sorted(TAKES)),))
#: The same, or it calls a helper whose name says that it pins.
HELPED = Tokens(((*sorted(TAKES), "_pin_", "_pin("),))


def verdicts(view: TreeView, wanted: Callable[[Story], bool], judge: Callable[[Story], Verdict]) -> Iterator[Verdict]:
    """What a rule says of each place where pages are taken: of one place one finding, of each line one silence."""
    for fn in view.functions:
        said: dict[str, Verdict] = {}
        for story in view.of(PINS).stories(fn):
            if wanted(story):
                verdict = judge(story)
                key = f"{story.acquired.call.name}:{'.'.join(story.acquired.place)}"
                said.setdefault(key if isinstance(verdict, Finding) else f"{key}:{story.acquired.line}", verdict)
        yield from said.values()


def has_flags(story: Story) -> bool:
    """Whether the call is handed FOLL_ flags."""
    return story.acquired.call.name in FLAGS


def is_pin(view: TreeView, api: str) -> bool:
    """Whether a call takes pages with FOLL_PIN; else with FOLL_GET."""
    return view.know.has(api, "gup_pin")


def counterpart(view: TreeView, api: str) -> str:
    """The release that fits."""
    if "folio" in api:
        return "unpin_folios"
    return "unpin_user_pages" if is_pin(view, api) else "put_page"


def verb(view: TreeView, story: Story) -> str:
    return "pinned" if is_pin(view, story.acquired.call.name) else "taken"


#: Argument (from 0) that holds the FOLL_ flags.
FLAGS = {
    "pin_user_pages": 2,
    "pin_user_pages_fast": 2,
    "pin_user_pages_locked": 2,
    "pin_user_pages_remote": 3,
    "pin_user_pages_unlocked": 3,
    "get_user_pages": 2,
    "get_user_pages_fast": 2,
    "get_user_pages_locked": 2,
    "get_user_pages_remote": 3,
    "get_user_pages_unlocked": 3,
}
#: Among the flags: some of them come from a parameter or a field.
ELSEWHERE = "elsewhere"


def flags(story: Story) -> frozenset[str]:
    """Names of the FOLL_ flags that a call is given on some path; `ELSEWHERE` where not all are in sight."""
    at = FLAGS.get(story.acquired.call.name)
    args = story.acquired.call.args
    if at is None or at >= len(args):
        return frozenset({ELSEWHERE})
    scope, found = story.thing.scope, set[str]()
    todo, seen = [args[at]], set[str]()
    while todo:
        for each in ir.walk(todo.pop()):
            if isinstance(each, ir.Member):
                found.add(ELSEWHERE)
            if not isinstance(each, ir.Name) or each.name in seen:
                continue
            seen.add(each.name)
            if each.name.isupper():
                found.add(each.name)
            else:
                found |= {ELSEWHERE} if each.name in scope.params or not scope.local(each.name) else set()
                for value in scope.values(each.name):
                    todo.append(value.value if isinstance(value, ir.Assign) else value)
    return frozenset(found)
