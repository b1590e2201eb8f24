"""``lorelint dismiss``."""

from __future__ import annotations

from datetime import date

import click

from lorelint.cli import CLEAN
from lorelint.cli.common import JSON, common, desk, note, put


@click.command("dismiss")
@click.argument("fingerprints", metavar="[FINGERPRINT...]", nargs=-1)
@click.option("--reason", default="", help="Why it may stand; needed.")
@click.option("--remove", is_flag=True, help="Count these findings again.")
@click.option("--export", "export", is_flag=True, help="Print all dismissals, to hand them on.")
@click.option("--import", "file", metavar="FILE", default="", help="Take over the dismissals of a file.")
@JSON
@common
def command(
    fingerprints: tuple[str, ...],
    reason: str,
    remove: bool,
    export: bool,
    file: str,
    as_json: bool,
    config: str,
    color: str,
    width: int | None,
) -> int:
    """Let a finding stand, with a reason. Without an argument: list what was dismissed.

    FINGERPRINT is what `lorelint check` prints, or its first digits. Dismissals are kept in your data folder, not in
    the kernel; --export and --import hand them on.
    """
    from lorelint.edge.dismissals import dump
    from lorelint.model.work import Dismissal

    every = desk(config, "")
    if file:
        from lorelint.edge.dismissals import parse
        from lorelint.wire import read

        taken = parse(read(file), file)
        every.dismissed.change(lambda known: known.update(taken))
        note(f"dismissals taken over: {len(taken)}")
        return CLEAN
    if not fingerprints:
        known: list[Dismissal] = sorted(every.dismissed.read().values(), key=lambda each: (each.path, each.rule))
        put(dump(known) if export or as_json else "".join(_line(each) for each in known))
        if not known and not export:
            note("nothing was dismissed")
        return CLEAN
    if remove:
        for each in fingerprints:
            every.restore(each)
        return CLEAN
    if not reason.strip():
        raise click.UsageError('say why: --reason "..."')
    for each in fingerprints:
        one = every.dismiss(each, reason.strip(), date.today().isoformat())
        note(f"dismissed {one.fingerprint}: {one.rule} in {one.function or one.path}")
    return CLEAN


def _line(each: object) -> str:
    from lorelint.model.work import Dismissal
    from lorelint.report.text import words

    assert isinstance(each, Dismissal)
    where = f"{each.path}: {each.function}()" if each.function else each.path
    return words(f"{each.fingerprint}  {each.date}  {where} [{each.rule}] ({each.by}): {each.reason}") + "\n"
