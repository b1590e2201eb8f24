"""Templates: what stands in them is markup, whatever is put into them is text.

Every value is escaped where it is put in, and before that what cannot be seen in it (control and bidi characters) is
spelt out: no template can forget either. `verbatim` alone leaves characters as they are, for what is edited.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from importlib import resources
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from lorelint.model.regex import regex
from lorelint.report.status import ago
from lorelint.report.text import clean, many

TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
_SEVERITIES = {"error": "error", "warning": "warning", "note": "note"}


def shown(value: object) -> object:
    """What is put into a template: text with the invisible spelt out, line ends and tabs kept."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return value if value.isascii() and value.isprintable() else _spelt(value)
    return "" if value is None else value


def _spelt(text: str) -> str:
    return "\n".join(clean(line.removesuffix("\r"), tabs=True) for line in text.split("\n"))


def verbatim(text: str) -> Markup:
    """Text for an input: escaped, otherwise to the character."""
    return escape(str(text))


def query(values: Mapping[str, object], **changes: object) -> str:
    """The query of a link: without what is empty."""
    merged = {**values, **changes}
    return urlencode({key: str(value) for key, value in merged.items() if value not in ("", None, 0, False)})


_KEPT_WHOLE = regex(r"[\w.>-]*\w\(\)|-E[A-Z0-9]{2,}\b")


def told(text: str) -> Markup:
    """A sentence about code: names of functions and error codes are not broken over two lines."""
    parts, at = [], 0
    text = str(shown(text))
    for found in _KEPT_WHOLE.finditer(text):
        parts += [escape(text[at : found.start()]), Markup('<span class="nb">{}</span>').format(found[0])]
        at = found.end()
    return Markup("").join([*parts, escape(text[at:])])


def brief(number: int) -> str:
    """A number in little room: 987, 16k."""
    return str(number) if number < 1_000 else f"{number // 1_000}k"


def when(at: str) -> str:
    """A time for the eye: day and minute."""
    return at[:16].replace("T", " ")


def since(at: str, now: str) -> str:
    """How long ago."""
    try:
        seconds = (datetime.fromisoformat(now) - datetime.fromisoformat(at)).total_seconds()
    except (ValueError, TypeError):
        return when(at)
    return ago(seconds) if seconds >= 0 else when(at)


@lru_cache(maxsize=1)
def static() -> dict[str, tuple[bytes, str]]:
    """Files that are served as they are: name -> (bytes, type)."""
    folder = resources.files("lorelint.web").joinpath("static")
    found = sorted((each.name, each.read_bytes()) for each in folder.iterdir() if each.is_file())
    return {name: (raw, TYPES[name.rpartition(".")[2]]) for name, raw in found if name.rpartition(".")[2] in TYPES}


@lru_cache(maxsize=16)
def asset(name: str) -> str:
    """The address of such a file; another content has another one, so a browser may keep it for ever."""
    return f"/static/{name}?{hashlib.sha256(static()[name][0]).hexdigest()[:12]}"


@lru_cache(maxsize=1)
def environment() -> Environment:
    made = Environment(
        loader=PackageLoader("lorelint.web", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=shown,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters |= {"when": when, "since": since, "verbatim": verbatim, "told": told, "brief": brief, "grave": _grave}
    made.globals |= {"asset": asset, "query": query, "many": many}
    return made


def _grave(severity: str) -> str:
    """A class for a severity: nothing but one of ours."""
    return _SEVERITIES.get(severity, "none")


def page(template: str, values: Mapping[str, Any]) -> str:
    return environment().get_template(template).render(values)
