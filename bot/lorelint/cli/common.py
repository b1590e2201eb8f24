"""What commands share: options, the settings, the page, the wait."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

import click
from msgspec import Struct

from lorelint.model.errors import LorelintError
from lorelint.wire import House

if TYPE_CHECKING:
    from lorelint.desk import Desk
    from lorelint.model.source import OpenTree
    from lorelint.outpost import Outpost

_SLOW = 3.0  # seconds after which a hint is in place
F = TypeVar("F", bound=Callable[..., Any])

TREE = click.option(
    "--tree",
    metavar="TREE",
    default="",
    help="Kernel source: directory, git repository (@REV for a revision), or a bare name that is looked for.",
)
RULE = click.option("--rule", "only", metavar="RULE", multiple=True, help="Only this rule; may be given again.")
STAGE = click.option(
    "--stage",
    type=click.Choice(["trial", "queue", "list"]),
    default=None,
    help="Rules that have come this far [default: queue]; those of --rule in any case.",
)
OVERLAY = click.option(
    "--overlay",
    "overlays",
    metavar="DIR",
    multiple=True,
    help="Files that stand in for the tree's; may be given again.",
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


class Page(Struct, frozen=True):
    """What is known of where text goes."""

    columns: int
    colour: bool


def common(command: F) -> F:
    """--config, --color and --width, on every command that prints for people."""
    command = click.option(
        "--config", metavar="FILE", default="", help="Settings [default: ~/.config/lorelint/config.toml]."
    )(command)
    command = click.option(
        "--color",
        type=click.Choice(["auto", "always", "never"]),
        default="auto",
        help="Colour; auto asks the terminal and NO_COLOR.",
    )(command)
    return click.option(
        "--width", type=click.IntRange(40, 400), default=None, help="Columns [default: the terminal's, else 80]."
    )(command)


def page(color: str, width: int | None) -> Page:
    """Columns and colour of standard output."""
    terminal = sys.stdout.isatty()
    if width is None:
        width = columns() if terminal else 80
    wanted = color == "always" or (
        color == "auto" and terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    )
    return Page(width, wanted)


def columns() -> int:
    """How wide the terminal is."""
    from shutil import get_terminal_size  # loads every kind of archive

    return get_terminal_size((80, 24)).columns


def house(config: str) -> House:
    """Everything real, by the settings of the user. Raises LorelintError for settings that are wrong."""
    settings, home = _settings(config), Path.home()
    cache = Path(settings.cache).expanduser() if settings.cache else _folder("XDG_CACHE_HOME", home / ".cache")
    return House(settings, cwd=Path.cwd(), cache=cache, say=note)


def desk(config: str, checkout: str, only: tuple[str, ...] = (), stage: str | None = None) -> Desk:
    """What an author's commands are built of, by the settings of the user. Raises LorelintError."""
    from lorelint.desk import Desk

    return Desk(house(config), data(), checkout, only, stage or "queue")


def outpost(config: str) -> Outpost:
    """What the commands for a list are built of, by the settings of the user. Raises LorelintError."""
    from lorelint.edge.hush import hush
    from lorelint.outpost import Outpost

    hush()
    every = house(config)
    beside = _settings_file(config)[0].parent
    policy = beside / Path(every.config.policy or "policy.toml").expanduser()
    return Outpost(every, data(), policy)


def data() -> Path:
    """The folder of the user's data that is ours."""
    return _folder("XDG_DATA_HOME", Path.home() / ".local" / "share")


def tree_of(every: House, spec: str, overlays: tuple[str, ...]) -> OpenTree:
    """The tree a command cannot do without. Raises LorelintError where there is none."""
    opened = every.tree(spec, overlays=overlays)
    if opened is None:
        raise LorelintError("no tree to look in", where=str(every.cwd), remedy="add --tree DIR")
    return opened


def unicode() -> bool:
    """Whether standard output can show lines of boxes."""
    try:
        "├┄◆".encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _settings(named: str) -> Any:
    from lorelint import wire
    from lorelint.config import Config, parse

    path, asked = _settings_file(named)
    if not asked and not path.is_file():
        return Config()
    return parse(wire.read(str(path)).decode("utf-8", "replace"), str(path))


def _settings_file(named: str) -> tuple[Path, bool]:
    """Where the settings are, and whether the user named the file."""
    named = named or os.environ.get("LORELINT_CONFIG", "")
    if named:
        return Path(named).expanduser(), True
    return _folder("XDG_CONFIG_HOME", Path.home() / ".config") / "config.toml", False


def _folder(variable: str, default: Path) -> Path:
    """Ours below one of the folders of the XDG base directory specification, which only knows absolute ones."""
    named = os.environ.get(variable, "")
    return (Path(named) if named.startswith("/") else default) / "lorelint"


def put(text: str) -> None:
    """Text as it is: colours were decided when it was made.

    A reader that has gone has seen enough: the job was done, and its exit code stands.
    """
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        # Python would complain once more when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def note(text: str) -> None:
    """One line for the user that is no part of the answer."""
    click.echo(f"lorelint: {text}", err=True)


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Says what is being done on stderr, if that is a terminal and it takes more than a second."""
    if not sys.stderr.isatty():
        yield
        return
    done = threading.Event()
    watcher = threading.Thread(target=_watch, args=(what, done), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


@contextmanager
def searching(every: House, opened: OpenTree, what: str) -> Iterator[None]:
    """A question about a whole tree: says what is being done, and what would have made it quick if it was not."""

    def hint() -> None:
        if not every.indexed(opened):
            note("the tree is searched for every name; `lorelint index` once makes such questions quick")

    timer = threading.Timer(_SLOW, hint)
    timer.daemon = True
    timer.start()
    try:
        with waiting(what):
            yield
    finally:
        timer.cancel()


def _watch(what: str, done: threading.Event) -> None:
    from lorelint.report.text import clean, cut

    start, shown = monotonic(), False
    while not done.wait(1.0):
        shown = True
        sys.stderr.write("\r" + cut(clean(f"{what} ... {monotonic() - start:.0f} s"), columns() - 1) + "\x1b[K")
        sys.stderr.flush()
    if shown:
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()
