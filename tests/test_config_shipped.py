"""The settings that are shipped: well formed as they stand, and what is commented out in them stands at its default."""

from __future__ import annotations

import re
from pathlib import Path

from lorelint.config import AnswersConfig, InboxConfig, ListenConfig, StoreConfig, parse


def test_the_shipped_settings(root: Path) -> None:
    text = (root / "deploy" / "config.toml").read_text()
    made = parse(text, "deploy/config.toml")
    assert [each.name for each in made.inboxes] == ["kvm"] and [each.name for each in made.trees] == ["mainline"]
    whole = parse(re.sub(r"^# (\[|[a-z_]+ = )", r"\1", text, flags=re.MULTILINE), "deploy/config.toml")
    assert whole.inboxes == made.inboxes and whole.trees[0] == made.trees[0]
    assert (whole.listen, whole.store, whole.answers) == (ListenConfig(), StoreConfig(), AnswersConfig())
    named = set(re.findall(r"^(?:# )?([a-z_]+) = ", text, flags=re.MULTILINE))
    assert named >= {*ListenConfig.__slots__, *AnswersConfig.__slots__, *InboxConfig.__slots__} - {"name"}
