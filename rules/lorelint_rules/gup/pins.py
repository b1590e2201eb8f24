"""Pages from GUP as a resource: who pins, who releases, what only looks at them."""

from __future__ import annotations

from lorelint.rule import Analysis, Tokens, TreeView
from lorelint.rule.analyses.holding import Holding, Resource, Story, Take
from lorelint.rule.analyses.owners import RESULT

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
