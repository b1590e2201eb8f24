"""A mail server in a process of its own: it keeps what it is handed, and gives to the list what is for the list.

    python -m tests.e2e.postoffice FOLDER ADDRESS [PORT]     prints its port on the first line

Every mail is a file of FOLDER, on disk before its 250; two that are the same are two files. What is for ADDRESS goes
on to public-inbox-mda, with a List-Id as a list would give it, unless FOLDER holds a file "closed": then the archive
never gets it. FOLDER/slow holds the seconds between the mail and its 250.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from aiosmtpd.controller import UnthreadedController


class Office:
    """Keeps mails, and passes them on."""

    def __init__(self, folder: Path, address: str) -> None:
        self.folder, self.address = folder, address

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self._keep(envelope.content)
        if self.address in envelope.rcpt_tos and not (self.folder / "closed").exists():
            self._deliver(envelope.content)
        if (self.folder / "slow").exists():
            await asyncio.sleep(float((self.folder / "slow").read_text()))
        return "250 taken"

    def _keep(self, content: bytes) -> None:
        for number in itertools.count(1):
            try:
                file = os.open(self.folder / f"{number}.eml", os.O_WRONLY | os.O_CREAT | os.O_EXCL)
            except FileExistsError:
                continue
            with os.fdopen(file, "wb") as out:
                out.write(content)
                out.flush()
                os.fsync(out.fileno())
            return

    def _deliver(self, content: bytes) -> None:
        name = self.address.replace("@", ".")
        mail = f"List-Id: <{name}>\n".encode() + content.replace(b"\r\n", b"\n")
        subprocess.run(["public-inbox-mda", "--no-precheck"], input=mail, check=True)


def main(folder: str, address: str, port: str = "0") -> None:
    loop = asyncio.new_event_loop()
    controller = UnthreadedController(Office(Path(folder), address), hostname="127.0.0.1", port=int(port), loop=loop)
    controller.begin()
    assert controller.server is not None
    print(controller.server.sockets[0].getsockname()[1], flush=True)
    loop.add_signal_handler(signal.SIGTERM, loop.stop)
    loop.run_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
