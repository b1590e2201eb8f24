"""The author's dismissals: a file of lines in the user's data folder, one finding a line, that can be handed on."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from msgspec.structs import asdict

from lorelint.model.errors import LorelintError
from lorelint.model.regex import regex
from lorelint.model.work import Dismissal

NAME = "dismissed.jsonl"
SEEN = "found.jsonl"  # findings that were shown lately: what a fingerprint stands for
MAX_BYTES = 32 << 20
MAX_SEEN = 2_000
_FINGERPRINT = regex(r"[0-9a-f]{16}\Z")
_FIELDS = Dismissal.__struct_fields__


def parse(raw: bytes, where: str) -> dict[str, Dismissal]:
    """Dismissals by fingerprint; of several the last. Raises LorelintError with the line that is none."""
    found: dict[str, Dismissal] = {}
    if len(raw) > MAX_BYTES:
        raise LorelintError(f"more than {MAX_BYTES >> 20} MiB", where=where, remedy="no list of dismissals is so long")
    for number, line in enumerate(raw.decode("utf-8", "replace").splitlines(), 1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
            one = Dismissal(**{name: str(values[name]) for name in _FIELDS if name in values})
            if not _FINGERPRINT.match(one.fingerprint):
                raise ValueError("the fingerprint is not 16 hex digits")
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            remedy = 'a line is {"fingerprint": "...", "reason": "..."}; mend or delete it'
            raise LorelintError(f"no dismissal: {error}", where=f"{where}:{number}", remedy=remedy) from error
        found[one.fingerprint] = one
    return found


def dump(many: Sequence[Dismissal]) -> str:
    """A line each, sorted: what is exported and imported."""
    return "".join(json.dumps(asdict(each)) + "\n" for each in sorted(many, key=lambda each: each.fingerprint))


class DismissalFile:
    """Read at once, written whole: a reader sees the file before or after a change, never between."""

    def __init__(self, folder: Path, name: str = NAME) -> None:
        self.path = folder / name

    def read(self) -> dict[str, Dismissal]:
        """Raises LorelintError where the file cannot be read."""
        try:
            with self.path.open("rb") as file:
                return parse(file.read(MAX_BYTES + 1), str(self.path))
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise self._cannot("read", error) from error

    def change(self, change: Callable[[dict[str, Dismissal]], None]) -> None:
        """Change all of them in one step; two processes take turns. Raises LorelintError where it cannot be written."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self._alone():
                known = self.read()
                change(known)
                self._write(dump(list(known.values())).encode())
        except OSError as error:
            raise self._cannot("written", error) from error

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        with self.path.with_suffix(".lock").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _write(self, content: bytes) -> None:
        handle, name = tempfile.mkstemp(prefix=f".{self.path.name}-", dir=self.path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(self.path)
        except BaseException:
            Path(name).unlink()
            raise

    def _cannot(self, what: str, error: OSError) -> LorelintError:
        reason = (error.strerror or str(error)).lower()
        return LorelintError(
            f"cannot be {what}: {reason}", where=str(self.path), remedy="check the folder and its owner"
        )


def remember(folder: Path, found: Sequence[Dismissal]) -> None:
    """Keep what the fingerprints of a check stand for, so that one can be dismissed by it. No harm where it cannot."""

    def add(known: dict[str, Dismissal]) -> None:
        for each in found:
            known.pop(each.fingerprint, None)
            known[each.fingerprint] = each
        for fingerprint in list(known)[: max(0, len(known) - MAX_SEEN)]:
            del known[fingerprint]

    with contextlib.suppress(LorelintError):
        file = DismissalFile(folder, SEEN)
        known = file.read() if found else {}
        if any(known.get(each.fingerprint) != each for each in found):
            file.change(add)
