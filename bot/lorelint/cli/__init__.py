"""The command line: the only reader of the environment, the only caller of exit.

Exit codes: 0 nothing found, 1 findings, 2 the job could not be done, 130 interrupted. `lorelint --help` imports
click and nothing else; each command brings what it needs when it runs.
"""

from __future__ import annotations

import gc
import importlib
import sys
from typing import Any

import click

from lorelint import __version__

CLEAN, FINDINGS, UNDONE, INTERRUPTED = 0, 1, 2, 130

# name -> (module of lorelint.cli, one line for the overview). The modules are imported when a command is run.
_COMMANDS = {
    "review": ("review", "Review a thread: what its newest series introduces, with proof."),
    "check": ("check", "Check commits before they are sent: what they introduce, with proof."),
    "dismiss": ("dismiss", "Let a finding of a check stand, with a reason."),
    "baseline": ("baseline", "Accept what stands: only new findings count from here."),
    "install-hook": ("install_hook", "Run the check from git or b4."),
    "scan": ("scan", "Judge every function of files or folders as if it were new."),
    "why-not": ("why_not", "Tell what made a rule silent on a function."),
    "graph": ("graph", "Draw who calls a function, what it calls, and where the kernel is entered."),
    "path": ("path", "Tell how one function comes to call another."),
    "siblings": ("siblings", "Group the callers of a function by what they do when it fails."),
    "rules": ("rules", "List the rules."),
    "explain": ("explain", "Tell all about one rule."),
    "new": ("new", "Write the skeleton of a new rule."),
    "index": ("index", "Read a whole kernel into the index: later answers come at once."),
    "docs": ("docs", "Write the pages about the rules."),
    "listen": ("listen", "Follow the lists: take mail in, review series, write what may be said into the outbox."),
    "status": ("status", "How it stands: lists, trees, series, what waits, what failed."),
    "triage": ("triage", "Work through the queue in a terminal: confirm, dismiss, release."),
    "serve": ("serve", "The queue, findings and letters in a browser."),
    "outbox": ("outbox", "What waits to be sent: show, release, drop, edit."),
    "send": ("send", "Send what is released; the only command with a mail server."),
    "policy": ("policy", "Check the policy, or explain it for one patch."),
    "sweep": ("sweep", "Review whole archives, on this machine or on a cluster."),
    "measure": ("measure", "Precision and recall of the rules over labelled functions."),
    "store": ("store", "Look after the store: upgrade, backup, restore, check."),
}
_HIDDEN = {"hook": ("hook", "What the hooks run that install-hook writes.")}


class _Lazy(click.Group):
    """A group that imports a command when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        found = {**_COMMANDS, **_HIDDEN}.get(cmd_name)
        if found is None:
            return None
        module = importlib.import_module(f"lorelint.cli.{found[0]}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, told) for name, (_, told) in _COMMANDS.items()])


@click.group(
    cls=_Lazy,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 nothing found, 1 findings, 2 the job could not be done.",
)
@click.version_option(__version__, prog_name="lorelint", message="%(prog)s %(version)s")
def lorelint() -> None:
    """Review kernel patch series from the mailing lists, and prove what is said.

    \b
    lorelint review MESSAGE-ID --tree ~/linux     a thread, from the archive
    lorelint review thread.mbox --tree ~/linux    a mailbox, patch files, - for stdin
    lorelint scan drivers/vfio --tree ~/linux     code as it is
    """


def main(arguments: list[str] | None = None) -> None:
    """The program. Ends the process."""
    # Nearly all that an analysis makes lives as long as it does: to look through it for rubbish takes a tenth of it.
    gc.set_threshold(100_000, 20, 50)
    code = run(arguments)
    gc.freeze()  # all of it goes with the process: Python would look through it once more, for a twelfth of a check
    sys.exit(code)


def run(arguments: list[str] | None = None) -> int:
    """The program, returning its exit code: every failure is one clear line on stderr."""
    _plain_streams()
    try:
        code = lorelint.main(args=arguments, prog_name="lorelint", standalone_mode=False)
        return code if isinstance(code, int) else CLEAN
    except click.ClickException as error:
        error.show()
        return UNDONE
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except Exception as error:
        return _failed(error)


def _failed(error: Exception) -> int:
    """A failure that has a remedy is one line; any other is a bug of ours, and must not look like findings."""
    from lorelint.model.errors import LorelintError
    from lorelint.report.text import words

    if isinstance(error, LorelintError):
        click.echo(f"lorelint: {words(str(error))}", err=True)
        return UNDONE
    import traceback

    traceback.print_exception(error)
    click.echo("lorelint: this is a bug in lorelint (report it with the lines above)", err=True)
    return UNDONE


def _plain_streams() -> None:
    """A character the terminal has no code for is spelt out; it never ends the run."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure: Any = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
