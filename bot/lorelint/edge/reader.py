"""The user's mail reader: mails are put into a mailbox of their own, which goes away when the reader ends."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from lorelint.mail.mboxrd import mboxrd
from lorelint.model.errors import LorelintError

READERS = ("mutt -f", "neomutt -f")  # taken where they are there and none is named


def reader(named: str) -> Callable[[Sequence[bytes]], None] | None:
    """Opens mails in a reader, that of the settings or one of `READERS`; None where there is none of those.

    named  a command with its options, "" for none; the mailbox is put behind it
    Raises LorelintError for one that is not there.
    """
    command = _split(named) if named else next((each.split() for each in READERS if shutil.which(each.split()[0])), [])
    if not command:
        return None
    if shutil.which(command[0]) is None:
        raise LorelintError("there is no such mail reader", where=named, remedy="mend mailer in [triage], or $MAILER")

    def read(mails: Sequence[bytes]) -> None:
        with TemporaryDirectory(prefix="lorelint-mail-") as folder:
            box = Path(folder) / "thread.mbox"
            box.write_bytes(mboxrd(("", each) for each in mails))
            try:
                subprocess.run([*command, str(box)], check=False)
            except OSError as error:
                raise LorelintError(
                    f"cannot be run: {error.strerror}", where=command[0], remedy="name another"
                ) from error

    return read


def _split(named: str) -> list[str]:
    try:
        return shlex.split(named)
    except ValueError as error:
        raise LorelintError(f"is no command: {error}", where=named, remedy="mend its quotes") from error
