"""Shares that a measurement must hold: of all subjects as they are, of a sample as far as a sample can say."""

from __future__ import annotations

import os

from lorelint.model.measurement import wilson


def at_least(hits: int, of: int, share: float) -> bool:
    """Whether `share` of the subjects are hits. With LORELINT_SAMPLE: whether what was seen does not refute it.

    Eight subjects that hold a share of 90 % show seven hits as a rule: a sample fails where its whole interval of
    95 % (Wilson) lies below the share.
    """
    if not os.environ.get("LORELINT_SAMPLE"):
        return hits >= share * of
    interval = wilson(hits, of)
    return interval is not None and interval[1] >= share


def at_most(hits: int, of: int, share: float) -> bool:
    """As `at_least`, for a share that is not to be exceeded."""
    return at_least(of - hits, of, 1 - share)
