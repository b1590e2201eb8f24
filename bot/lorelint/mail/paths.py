"""File names as diffs spell them: quotes, prefixes, time stamps, and which of them may be used at all."""

from __future__ import annotations

import re

from lorelint.model.regex import regex

DEV_NULL = "/dev/null"
MAX_PATH = 4096  # PATH_MAX of Linux

# git quotes a name as C would (git: quote.c); these are the letters after the backslash.
_ESCAPES = {"a": 7, "b": 8, "t": 9, "n": 10, "v": 11, "f": 12, "r": 13, '"': 34, "\\": 92}
_ESCAPE = regex(r'\\([abtnvfr"\\]|[0-7]{3})')
_QUOTED = regex(r'"((?:[^"\\]|\\.)*)"')
# GNU diff, CVS, Subversion and quilt put a date or a revision after the name.
_STAMP = regex(r"(?:\s+(?:\d{4}-\d\d-\d\d|\d{1,2} \w{3} \d{4}|\w{3} \w{3} [ \d]\d|\(revision|\(working).*)$")
# `diff.mnemonicPrefix` of git: index, worktree, commit, object; 1 and 2 for --no-index.
_PREFIX = regex(r"[abciow12]/")


def unquote(name: str) -> str:
    """A name between double quotes with C escapes, octal ones being bytes of UTF-8, as plain text."""
    quoted = _QUOTED.fullmatch(name)
    if quoted is None:
        return name
    raw = bytearray()
    at = 0
    inner = quoted.group(1)
    for escape in _ESCAPE.finditer(inner):
        raw += inner[at : escape.start()].encode("utf-8", "replace")
        code = escape.group(1)
        raw.append(_ESCAPES[code] if code in _ESCAPES else int(code, 8) & 0xFF)
        at = escape.end()
    raw += inner[at:].encode("utf-8", "replace")
    return raw.decode("utf-8", "backslashreplace")


def quote(name: str) -> str:
    """A name as git prints it: quoted only where it must be."""
    raw = name.encode("utf-8", "replace")
    if all(32 <= byte < 127 and byte not in b'"\\' for byte in raw):
        return name
    named = {code: letter for letter, code in _ESCAPES.items()}
    out = []
    for byte in raw:
        if byte in named:
            out.append("\\" + named[byte])
        elif 32 <= byte < 127:
            out.append(chr(byte))
        else:
            out.append(f"\\{byte:03o}")
    return '"' + "".join(out) + '"'


def unstamped(name: str) -> str:
    """The name in a ``---`` or ``+++`` line, without what some tools print after it."""
    if name.startswith('"'):
        quoted = _QUOTED.match(name)
        if quoted:
            return unquote(quoted.group(0))
    bare, tab, _ = name.partition("\t")
    return bare if tab else _STAMP.sub("", name).rstrip()


def git_names(text: str) -> tuple[str, str]:
    """The two names of a ``diff --git`` line, prefixes kept; ("", "") where they cannot be told apart.

    Names with spaces are not quoted by git, so the line is ambiguous in general. It is not where both
    names are the same after their prefixes, and only there is the line all we have.
    """
    if text.startswith('"'):
        first = _QUOTED.match(text)
        if first is None:
            return "", ""
        return unquote(first.group(0)), unquote(text[first.end() :].strip())
    if text.endswith('"') and ' "' in text:
        old, _, new = text.partition(' "')
        return old, unquote('"' + new)
    middle = len(text) // 2
    if text[middle : middle + 1] == " ":
        old, new = text[:middle], text[middle + 1 :]
        if old == new or old.partition("/")[2] == new.partition("/")[2] != "":
            return old, new
    old, _, new = text.partition(" ")
    return (old, new) if new and " " not in new else ("", "")


def without_prefix(old: str, new: str) -> tuple[str, str]:
    """Both names less their first component where that is a prefix of the diff tool, "" for no file.

    ``a/x b/x`` and ``linux.orig/x linux/x`` lose it; ``x x`` (git's `diff.noprefix`, CVS) does not.
    """
    if old == new:
        both = _PREFIX.match(old) if old.startswith(("a/", "b/")) else None
        return (old[2:], new[2:]) if both else (old, new)
    if DEV_NULL in (old, new):
        return tuple("" if name == DEV_NULL else _less_one(name) for name in (old, new))  # type: ignore[return-value]
    if _PREFIX.match(old) and _PREFIX.match(new):
        return old[2:], new[2:]
    old_rest, new_rest = old.partition("/")[2], new.partition("/")[2]
    if old_rest and old_rest == new_rest:
        return old_rest, new_rest
    return old, new


def _less_one(name: str) -> str:
    if _PREFIX.match(name):
        return name[2:]
    first, _, rest = name.partition("/")
    return rest if rest and re.match(r"linux|.*\.(?:orig|old|new)$|.*-\d+\.\d+", first) else name


def unsafe(path: str) -> str:
    """Why a path must not be used, or "" where it may. It never is more than a name below a tree."""
    if not path:
        return "an empty name"
    if len(path) > MAX_PATH:
        return "a name that is too long"
    if path.startswith(("/", "~")) or re.match(r"[A-Za-z]:[\\/]", path):
        return "an absolute name"
    if any(ord(char) < 32 or ord(char) == 127 for char in path):
        return "control characters in a name"
    components = path.split("/")
    if ".." in components or "." in components or "" in components:
        return "a name that leaves its folder"
    if ".git" in (component.lower() for component in components):
        return "a name inside .git"
    return ""
