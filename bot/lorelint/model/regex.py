"""Regular expressions that are compiled when they are first asked.

A command loads modules with some three hundred of them and needs a third: the others would be a tenth of its start.
"""

from __future__ import annotations

import re
from typing import Any, AnyStr, cast


def regex(pattern: AnyStr, flags: int | re.RegexFlag = 0) -> re.Pattern[AnyStr]:
    """What `re.compile` gives, later: a pattern that is none raises `re.error` when it is first used."""
    return cast("re.Pattern[AnyStr]", _Late(pattern, flags))


class _Late:
    """Stands for a pattern. Its slots are empty until one is asked for, and then hold the pattern's own methods."""

    _METHODS = ("findall", "finditer", "fullmatch", "match", "search", "split", "sub", "subn")
    __slots__ = ("_flags", "_pattern", *_METHODS)

    def __init__(self, pattern: str | bytes, flags: int | re.RegexFlag) -> None:
        self._pattern = pattern
        self._flags = flags

    def __getattr__(self, name: str) -> Any:  # only for what is not there yet
        made = re.compile(self._pattern, self._flags)
        for method in self._METHODS:
            setattr(self, method, getattr(made, method))
        return getattr(made, name)
