"""One frozen tree of settings from one TOML file.

    tree  = "~/src/linux"                  # what `review` uses when it is given no --tree; or tables [tree.NAME]
    cache = "~/.cache/lorelint"            # kernel trees below trees/
    packs = ["lorelint"]                   # rule packs to take rules from; all that are installed when left out

    policy = "~/.config/lorelint/policy.toml"   # who may get which words; beside this file when left out

    [lore]
    url = "https://lore.kernel.org/all/"   # where message-ids are fetched; another one stands for lore

    [inbox.kvm]                            # a list that is followed; the name is free
    url = "https://lore.kernel.org/kvm"    # of a public-inbox, or the folder of a version 2 one
    mirrors = []                           # asked in turn where it does not answer
    address = "kvm@vger.kernel.org"        # of the list
    follow = "git"                         # its epochs; "http" where they cannot be cloned

    [tree.mainline]                        # a kernel to review against; of those with a path, `review` uses the first
    url = "https://git.kernel.org/pub/scm/linux/kernel/git/torvalds/linux.git"   # mirrored in the data folder, or
    path = ""                              # a clone or a folder of yours, taken as it is
    branch = ""                            # the one that is looked at first [default: HEAD]
    lists = []                             # names of the lists whose own tree it is
    fetch_hours = 6
    history_days = 400                     # older commits are not mirrored

    [store]
    url = ""                               # a file, or postgresql://USER@HOST/NAME [default: in the data folder]
    keep_days = 400                        # then the text of mails is let go on which nothing hangs [default: never]

    [listen]
    since = ""                             # the first start begins there [default: now]
    poll_seconds = 300
    wait_hours = 24                        # for patches that have not come
    max_age_days = 14                      # of a series that is still reviewed
    review_seconds = 900                   # for one series, then it is a failure
    review_megabytes = 4096
    trees_gigabytes = 20                   # for all mirrors of trees together

    [serve]                                # who may do what in the web face; "*" is everybody who has come in
    url = ""                               # where people find it, behind a proxy
    proxies = []                           # addresses of machines whose word is taken for who somebody is
    viewers = []                           # names: may look
    triagers = []                          # and decide about findings
    releasers = []                         # and let letters out, change and drop them

    [triage]
    mailer = ""                            # a mail reader, given a mailbox's name [default: $MAILER, mutt -f]

    [answers]                              # by what it is known who wrote one; DKIM is always looked at
    keyrings = []                          # of patatt: folders, or ref:REPOSITORY:REF:FOLDER
    archive = ""                           # name the archive checks mail under, where its word is taken
    dns = ""                               # the server that is asked [default: the machine's]

A key that is not known is an error with its file, line and name: a setting with a typo in it must not be
a setting that is quietly off.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import tomli
from msgspec import Struct

from lorelint.model.errors import LorelintError
from lorelint.model.regex import regex


class LoreConfig(Struct, frozen=True):
    """The archive that message-ids are looked up in."""

    url: str = "https://lore.kernel.org/all/"


class InboxConfig(Struct, frozen=True):
    """A list that is followed."""

    name: str
    url: str = ""
    mirrors: tuple[str, ...] = ()
    address: str = ""
    follow: str = "git"


class TreeConfig(Struct, frozen=True):
    """A kernel to review against: `url` is mirrored, `path` is taken as it is."""

    name: str
    url: str = ""
    path: str = ""
    branch: str = ""
    lists: tuple[str, ...] = ()
    fetch_hours: float = 6.0
    history_days: float = 400.0


class StoreConfig(Struct, frozen=True):
    """Where messages, findings and letters are kept; "" is a file in the data folder.

    keep_days  the text of mails on which nothing hangs; 0 for ever
    """

    url: str = ""
    keep_days: float = 0.0


class ListenConfig(Struct, frozen=True):
    """How the lists are followed."""

    since: str = ""
    poll_seconds: float = 300.0
    wait_hours: float = 24.0
    max_age_days: float = 14.0
    review_seconds: float = 900.0
    review_megabytes: float = 4096.0
    trees_gigabytes: float = 20.0


class AnswersConfig(Struct, frozen=True):
    """By what it is known who wrote an answer, beside DKIM."""

    keyrings: tuple[str, ...] = ()
    archive: str = ""
    dns: str = ""


class ServeConfig(Struct, frozen=True):
    """Who may do what in the web face, and where it is found."""

    url: str = ""
    proxies: tuple[str, ...] = ()
    viewers: tuple[str, ...] = ()
    triagers: tuple[str, ...] = ()
    releasers: tuple[str, ...] = ()


class TriageConfig(Struct, frozen=True):
    """The programs of the queue in a terminal."""

    mailer: str = ""


class Config(Struct, frozen=True):
    """All settings. Paths are as they were written: `~` is the command line's to expand."""

    lore: LoreConfig = LoreConfig()
    tree: str = ""  # what is reviewed against where nothing is said
    cache: str = ""
    packs: tuple[str, ...] = ()
    policy: str = ""
    inboxes: tuple[InboxConfig, ...] = ()
    trees: tuple[TreeConfig, ...] = ()
    store: StoreConfig = StoreConfig()
    listen: ListenConfig = ListenConfig()
    answers: AnswersConfig = AnswersConfig()
    triage: TriageConfig = TriageConfig()
    serve: ServeConfig = ServeConfig()


_STRING, _STRINGS, _TABLE = "a string", "a list of strings", "a table"
_NUMBER, _FOLLOW, _ADDRESS = "a number above 0", '"git" or "http"', "the address of a list"
_WHEN = "a day or a time in UTC, as 2026-03-17 or 2026-03-17T08:00:00Z"
_TREE = "a string or tables [tree.NAME]"
_NAME = regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_ANY = "*"  # stands for a name that is free
_KNOWN: Mapping[tuple[str, ...], str] = {
    ("tree",): _TREE,
    ("cache",): _STRING,
    ("packs",): _STRINGS,
    ("policy",): _STRING,
    ("lore",): _TABLE,
    ("lore", "url"): _STRING,
    ("inbox",): _TABLE,
    ("inbox", _ANY): _TABLE,
    ("inbox", _ANY, "url"): _STRING,
    ("inbox", _ANY, "mirrors"): _STRINGS,
    ("inbox", _ANY, "address"): _ADDRESS,
    ("inbox", _ANY, "follow"): _FOLLOW,
    ("tree", _ANY): _TABLE,
    ("tree", _ANY, "url"): _STRING,
    ("tree", _ANY, "path"): _STRING,
    ("tree", _ANY, "branch"): _STRING,
    ("tree", _ANY, "lists"): _STRINGS,
    ("tree", _ANY, "fetch_hours"): _NUMBER,
    ("tree", _ANY, "history_days"): _NUMBER,
    ("store",): _TABLE,
    ("store", "url"): _STRING,
    ("store", "keep_days"): _NUMBER,
    ("listen",): _TABLE,
    ("listen", "since"): _WHEN,
    ("listen", "poll_seconds"): _NUMBER,
    ("listen", "wait_hours"): _NUMBER,
    ("listen", "max_age_days"): _NUMBER,
    ("listen", "review_seconds"): _NUMBER,
    ("listen", "review_megabytes"): _NUMBER,
    ("listen", "trees_gigabytes"): _NUMBER,
    ("serve",): _TABLE,
    ("serve", "url"): _STRING,
    ("serve", "proxies"): _STRINGS,
    ("serve", "viewers"): _STRINGS,
    ("serve", "triagers"): _STRINGS,
    ("serve", "releasers"): _STRINGS,
    ("triage",): _TABLE,
    ("triage", "mailer"): _STRING,
    ("answers",): _TABLE,
    ("answers", "keyrings"): _STRINGS,
    ("answers", "archive"): _STRING,
    ("answers", "dns"): _STRING,
}


def parse(text: str, where: str) -> Config:
    """Settings from the text of a file called `where`.

    Raises LorelintError for text that is no TOML, a key that is not known, a value of the wrong kind.
    """
    try:
        values = tomli.loads(text)
    except (ValueError, RecursionError) as error:  # a number of too many digits is no TOMLDecodeError
        raise LorelintError(
            f"not TOML: {error}", where=where, remedy="mend the file, or name another with --config"
        ) from error
    for key, value in _walk(values):
        _check(key, value, text, where)
    inboxes = [InboxConfig(name, **_tuples(table)) for name, table in values.get("inbox", {}).items()]
    trees: tuple[TreeConfig, ...] = ()
    tree = values.get("tree", "")
    if isinstance(tree, dict):
        trees = tuple(TreeConfig(name, **_tuples(table)) for name, table in tree.items())
        tree = next((each.path for each in trees if each.path), "")
    for key, wrong in _incomplete(inboxes, trees):
        place = f"{where}:{_line(text, key)}"
        raise LorelintError(f"{'.'.join(key)} {wrong[0]}", where=place, remedy=wrong[1])
    return Config(
        lore=LoreConfig(**values.get("lore", {})),
        tree=tree,
        cache=values.get("cache", ""),
        packs=tuple(values.get("packs", ())),
        policy=values.get("policy", ""),
        inboxes=tuple(inboxes),
        trees=trees,
        store=StoreConfig(**values.get("store", {})),
        listen=ListenConfig(**values.get("listen", {})),
        answers=AnswersConfig(**_tuples(values.get("answers", {}))),
        triage=TriageConfig(**values.get("triage", {})),
        serve=ServeConfig(**_tuples(values.get("serve", {}))),
    )


def _tuples(table: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}


def _incomplete(
    inboxes: Sequence[InboxConfig], trees: Sequence[TreeConfig]
) -> Iterator[tuple[tuple[str, str], tuple[str, str]]]:
    """Tables in which something is missing: their key, what is wrong, what to do."""
    for inbox in inboxes:
        if not inbox.url or not inbox.address:
            yield ("inbox", inbox.name), ("names no url or no address", "give both: where it lies, and the list's own")
    for tree in trees:
        if bool(tree.url) == bool(tree.path):
            yield (
                ("tree", tree.name),
                ("needs a url or a path, and not both", "a url is mirrored, a path taken as it is"),
            )


def _walk(values: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """All keys, tables before what stands in them; what is in an unknown table is not walked."""
    queue: list[tuple[tuple[str, ...], Mapping[str, Any]]] = [((), values)]
    for outer, table in queue:
        for name, value in table.items():
            key = (*outer, name)
            yield key, value
            if isinstance(value, dict) and _row(key) is not None:
                queue.append((key, value))


def _row(key: tuple[str, ...]) -> str | None:
    """What kind of value a key wants; None for one that is not known."""
    free = (key[0], _ANY, *key[2:]) if len(key) > 1 else key
    return _KNOWN.get(key) or _KNOWN.get(free)


def _check(key: tuple[str, ...], value: Any, text: str, where: str) -> None:
    place = f"{where}:{_line(text, key)}"
    name = ".".join(key)
    wanted = _row(key)
    if wanted is None:
        known = ", ".join(".".join(each).replace(_ANY, "NAME") for each, kind in _KNOWN.items() if kind is not _TABLE)
        raise LorelintError(f"unknown key {name!a}", where=place, remedy=f"the keys are {known}")
    if len(key) == 2 and key not in _KNOWN and not _NAME.fullmatch(key[1]):
        raise LorelintError(f"{name!a} is no name", where=place, remedy="letters, digits, - and _ make one")
    if not _is(value, wanted):
        raise LorelintError(f"{name} is not {wanted}", where=place, remedy=f"write {wanted}")


def _is(value: Any, wanted: str) -> bool:
    if wanted is _STRINGS:
        return isinstance(value, list) and all(isinstance(each, str) for each in value)
    if wanted is _NUMBER:
        return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e9
    if wanted is _TABLE:
        return isinstance(value, dict)
    if wanted is _TREE and isinstance(value, dict):
        return True
    if not isinstance(value, str):
        return False
    pattern = {_FOLLOW: "git|http", _ADDRESS: r"[^\s<>@]+@[^\s<>@]+", _WHEN: r"|\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\dZ)?"}
    return wanted not in pattern or re.fullmatch(pattern[wanted], value) is not None


def _line(text: str, key: tuple[str, ...]) -> int:
    """Where a key stands, 1-based: tomli does not say. The first line that can be it."""
    quoted = [rf"[\"']?{re.escape(part)}[\"']?" for part in key]
    table = re.compile(rf"\s*\[\s*{'[ ]*[.][ ]*'.join(quoted)}\s*\]")
    dotted = re.compile(rf"\s*{'[ ]*[.][ ]*'.join(quoted)}\s*[=.]")
    last = re.compile(rf"\s*{quoted[-1]}\s*[=.]")
    inside = len(key) == 1
    for number, line in enumerate(text.splitlines(), 1):
        if table.match(line) or dotted.match(line):
            return number
        header = re.match(r"\s*\[+\s*([^\]]*?)\s*\]", line)
        if header:
            inside = re.sub("[\"' ]", "", header[1]) == ".".join(key[:-1]) and len(key) > 1
        elif inside and last.match(line):
            return number
    return 1
