"""What an importer acquires of a dma-buf, step by step: the reference, the attachment, the pin, the mapping."""

from __future__ import annotations

from collections.abc import Callable

from lorelint.rule import Analysis, Tokens, TreeView
from lorelint.rule.analyses.owners import RESULT
from lorelint.rule.analyses.typestate import Holding, Resource, Take

_MADE = Take(RESULT, "pointer")
#: What is had, how it is taken, and by which argument of which call it is given back.
STEPS: tuple[tuple[str, dict[str, Take], dict[str, tuple[int, ...]]], ...] = (
    (
        "reference",
        {"dma_buf_get": _MADE, "dma_buf_export": _MADE, "get_dma_buf": Take(0, "always")},
        {"dma_buf_put": (0,), "fput": (0,)},
    ),
    ("attachment", {"dma_buf_attach": _MADE, "dma_buf_dynamic_attach": _MADE}, {"dma_buf_detach": (1,)}),
    ("pin", {"dma_buf_pin": Take(0, "zero")}, {"dma_buf_unpin": (0,)}),
    (
        "mapping",
        {"dma_buf_map_attachment": _MADE, "dma_buf_map_attachment_unlocked": _MADE},
        {"dma_buf_unmap_attachment": (1,), "dma_buf_unmap_attachment_unlocked": (1,)},
    ),
)
_PASSES = {"dma_buf_fd": (0,)}  # the fd has the reference, where there is one
_LOOKS = frozenset(
    "dma_buf_attach dma_buf_dynamic_attach dma_buf_detach dma_buf_pin dma_buf_unpin dma_buf_map_attachment "
    "dma_buf_map_attachment_unlocked dma_buf_unmap_attachment dma_buf_unmap_attachment_unlocked dma_buf_vmap "
    "dma_buf_vunmap dma_buf_vmap_unlocked dma_buf_vunmap_unlocked dma_buf_begin_cpu_access dma_buf_end_cpu_access "
    "dma_buf_get get_dma_buf dma_buf_put dma_buf_move_notify dma_buf_invalidate_mappings dma_resv_lock "
    "dma_resv_lock_interruptible dma_resv_trylock dma_resv_unlock dma_resv_wait_timeout dma_resv_assert_held "
    "for_each_sg for_each_sgtable_sg for_each_sgtable_dma_sg for_each_sgtable_page for_each_sgtable_dma_page "
    "sg_phys sg_virt sg_page sg_next sg_dma_address sg_dma_len sg_nents".split()
)

#: What one step makes is no part of the step before: an attachment that is mapped is not in the table.
_MAKING = frozenset(name for _, takes, _ in STEPS for name, take in takes.items() if take.thing == RESULT)


def _analysis(
    name: str, takes: dict[str, Take], gives: dict[str, tuple[int, ...]]
) -> tuple[str, Analysis[Holding], dict[str, tuple[int, ...]]]:
    def make(view: TreeView) -> Holding:
        looks = _LOOKS - gives.keys()
        passes = _PASSES if name == "reference" else {}
        resource = Resource(f"dmabuf {name}", takes, gives, looks, _MAKING, numbered=False, passes=passes)
        return Holding(view.program, resource)

    run: Callable[[TreeView], Holding] = make
    return name, Analysis(f"dmabuf {name}", run), gives


#: (what is had, who holds it, what gives it back)
HOLDINGS = tuple(_analysis(*each) for each in STEPS)

#: Words without which a function takes nothing of a dma-buf.
TOKENS = Tokens((tuple(sorted(name for _, takes, _ in STEPS for name in takes)),))
