"""``lorelint store``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lorelint.cli import CLEAN, FINDINGS
from lorelint.cli.clock import now
from lorelint.cli.common import JSON, outpost, put

if TYPE_CHECKING:
    from lorelint.edge.store.upkeep import Upkeep

_NAMED = "lorelint-"  # how backups in a folder begin
_CONFIG = click.option(
    "--config", metavar="FILE", default="", help="Settings [default: ~/.config/lorelint/config.toml]."
)


@click.group("store", context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Look after the store: what is kept of the lists, the findings, the letters.

    It is an SQLite file in the user's data folder, or what [store] url of the settings names. A backup of either kind
    of store can be restored into either.
    """


def _done(text: str, as_json: bool, **values: Any) -> None:
    from lorelint.report import json

    put(json.dump(values) if as_json else text + "\n")


def _upkeep(config: str) -> Upkeep:
    return outpost(config).upkeep()


@command.command("upgrade")
@JSON
@_CONFIG
def upgrade(as_json: bool, config: str) -> int:
    """Bring the tables to this version's.

    Stop what runs on the store first; it is all or nothing, so whatever happens the store can be used.
    """
    before, after = _upkeep(config).upgrade()
    text = f"the tables are up to date ({after})" if before == after else f"the tables are now {after}"
    _done(text if before in ("", after) else f"{text}, and were {before}", as_json, before=before, after=after)
    return CLEAN


@command.command("downgrade")
@click.argument("revision", metavar="REVISION")
@JSON
@_CONFIG
def downgrade(revision: str, as_json: bool, config: str) -> int:
    """Take the tables back to an earlier REVISION, for an earlier lorelint.

    What only the later tables hold is lost: make a backup first.
    """
    before, after = _upkeep(config).downgrade(revision)
    _done(f"the tables are now {after}, and were {before}", as_json, before=before, after=after)
    return CLEAN


@command.command("backup")
@click.argument("path", metavar="FILE|FOLDER", type=click.Path(path_type=Path))
@click.option(
    "--keep", metavar="N", type=click.IntRange(1), default=None, help="In a FOLDER: the last N; older ones go."
)
@JSON
@_CONFIG
def backup(path: Path, keep: int | None, as_json: bool, config: str) -> int:
    """Write everything into a new FILE, while the rest goes on.

    In a FOLDER the file is called by the time; an older one goes when the new one is whole, and never before.
    """
    from lorelint.model.errors import LorelintError

    folder = path if path.is_dir() else None
    if keep and folder is None:
        raise LorelintError("is no folder", where=str(path), remedy="--keep is for a folder that is there")
    file = path if folder is None else folder / f"{_NAMED}{re.sub('[^0-9TZ]', '', now())}.sqlite"
    count = _upkeep(config).backup(file)
    size = file.stat().st_size
    gone = [] if folder is None or keep is None else sorted(folder.glob(f"{_NAMED}*.sqlite"))[:-keep]
    for old in gone:
        old.unlink()
    told = f"{file}: {count:,} rows, {size / 1e6:.1f} MB" + (f"; {len(gone)} older ones are gone" if gone else "")
    _done(told, as_json, file=str(file), rows=count, bytes=size, gone=[str(old) for old in gone])
    return CLEAN


@command.command("restore")
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
@JSON
@_CONFIG
def restore(path: Path, as_json: bool, config: str) -> int:
    """Fill an empty store from a backup in FILE.

    The way from SQLite to PostgreSQL too: make a backup, name the new store as url of [store], restore. Letters that
    waited when the backup was made are held: a person has to look whether they went out since.
    """
    count = _upkeep(config).restore(path)
    _done(f"{count:,} rows", as_json, file=str(path), rows=count)
    return CLEAN


@command.command("prune")
@click.option("--days", metavar="N", type=click.IntRange(1), default=None, help="Older ones [default: keep_days].")
@click.option("--dry-run", is_flag=True, help="Tell how many, and change nothing.")
@JSON
@_CONFIG
def prune(days: int | None, dry_run: bool, as_json: bool, config: str) -> int:
    """Let go the text of old mails on which nothing hangs.

    Threads with a finding, a letter, an answer to us, something newer or a series that waits stay whole. Of the others
    stays who wrote when, under what subject, in which thread. `lorelint listen` does it once a day where keep_days
    stands in [store]. The file of an SQLite store is not smaller after it: what is free in it is used again.
    """
    from lorelint.jobs.life import later
    from lorelint.jobs.prune import prune as let_go
    from lorelint.model.errors import LorelintError
    from lorelint.report.text import many

    every = outpost(config)
    wanted = days or every.config.store.keep_days
    if not wanted:
        remedy = "name --days N, or set keep_days in [store]"
        raise LorelintError("nothing says how long mails are kept", where="store.keep_days", remedy=remedy)
    before = later(now(), -24 * wanted)
    count = let_go(every.store, before, dry_run=dry_run)
    every.close()
    told = f"{many(count, 'mail', 'mails')} from before {before[:10]}"
    _done(f"{told} would be let go" if dry_run else f"{told}: the text is gone", as_json, mails=count, before=before)
    return CLEAN


@command.command("check")
@JSON
@_CONFIG
def check(as_json: bool, config: str) -> int:
    """Look through the store for damage.

    Exits with 1 where there is some; nothing is mended.
    """
    from lorelint.report.text import words

    health = _upkeep(config).check()
    if as_json:
        about = {"store": health.where, "revision": health.revision, "rows": dict(health.rows)}
        _done("", True, **about, faults=list(health.faults))
        return FINDINGS if health.faults else CLEAN
    rows = "".join(f"{count:>12,} {name}\n" for name, count in health.rows if count)
    put(f"{health.where}: revision {health.revision}\n{rows}")
    put("".join(f"fault: {words(fault)}\n" for fault in health.faults) or "no faults\n")
    return FINDINGS if health.faults else CLEAN
