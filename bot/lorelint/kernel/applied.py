"""What is known of the kernel that a series was put on."""

from __future__ import annotations

from lorelint.kernel.load import knowledge, known_versions
from lorelint.kernel.version import is_kernel, kernel_version
from lorelint.model.base import Applied
from lorelint.model.knowledge import Knowledge
from lorelint.model.source import OpenTree


def knowledge_of(applied: Applied, source: OpenTree | None) -> Knowledge:
    """The lists for the kernel that the series was put on; the newest we know where there is no tree."""
    if not applied.base.tree or not applied.snapshots:
        return knowledge(known_versions()[-1] if source is None else source.version)
    tree = applied.snapshots[0].before
    if is_kernel(tree):
        return knowledge(kernel_version(tree))
    return knowledge(known_versions()[-1] if source is None else source.version)
