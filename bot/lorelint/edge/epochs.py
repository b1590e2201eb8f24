"""Follow a list by the git epochs of its public-inbox (version 2).

A commit is a message, in the file ``m``; a commit with ``d`` takes one out. An epoch lies at ``URL/0``, ``URL/1`` and
so on and is mirrored in the data folder; those of a folder on this machine (``DIR/git/0.git``) are read where they
are. The places of one list are copies of one archive: their commits are the same. What has to be read again after an
archive was rewritten is known by the blobs of the messages.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct

from lorelint.edge.git import Objects, text
from lorelint.edge.letters import open_letter
from lorelint.edge.mailbox import MAX_MAIL, Mail
from lorelint.edge.mirror import FIRST, TIMEOUT, Absent, Mirror, listed
from lorelint.model.errors import LorelintError
from lorelint.model.feed import Arrival, Cursor

TIP = "refs/lorelint/tip"
MAX_EPOCHS = 500
SLACK = 1_000  # commits in a row that are older: archives take late mail in too, so dates are not in order
REMEMBERED = 1_000  # messages by which a rewritten history is known again
HEAD = 1 << 20  # bytes of a mail over the bound that are given on


class _Epoch(Struct, frozen=True):
    number: int
    repository: Mirror
    ref: str

    @property
    def tip(self) -> str:
        return self.repository.resolve(self.ref)


class EpochFeed:
    """Implements `lorelint.model.feed.Feed`.

    inbox   name of the list in the settings
    places  URLs or folders, asked in turn until one answers
    folder  where mirrors lie
    """

    def __init__(self, inbox: str, places: Sequence[str], folder: Path) -> None:
        self.inbox = inbox
        self.places = tuple(place.rstrip("/") for place in places)
        self.folder = folder
        self._local: Path | None = None  # where epochs are read in place; that which answered last

    def refresh(self) -> None:
        """See `Feed.refresh`."""
        self._answered(None)

    def start(self, since: str) -> tuple[Cursor, ...]:
        """See `Feed.start`. Of an archive that is not mirrored yet, only what came since is fetched."""
        self._answered(since)
        cursors: list[Cursor] = []
        for epoch in reversed(self._epochs()):
            tip = epoch.tip
            behind = tip if not since or not tip else _behind(epoch.repository, tip, since)[0]
            cursors.insert(0, Cursor(self.inbox, epoch.number, behind))
            if behind:
                break
        return tuple(cursors) or (Cursor(self.inbox, 0, ""),)

    def arrivals(self, cursors: tuple[Cursor, ...]) -> Iterator[Arrival]:
        """See `Feed.arrivals`."""
        known = {each.epoch: each.commit for each in cursors if each.inbox == self.inbox}
        first = min(known, default=0)
        for epoch in self._whole(first):
            after = known.get(epoch.number, "")
            if epoch.number < max(known, default=0) and epoch.number not in known:
                continue
            self._complete(epoch, after)
            tip = epoch.tip
            if tip and tip != after:
                yield from self._messages(epoch, _resume(epoch.repository, after, tip), tip)

    # -- places -----------------------------------------------------------------------------------------------

    def _answered(self, since: str | None) -> None:
        """Bring what is new from the first place that answers."""
        errors = []
        for place in self.places:
            try:
                self._from(place, since)
                return
            except LorelintError as error:
                errors.append(error)
        if len(errors) == 1:
            raise errors[0]
        told = "; ".join(f"{error.where}: {error.what}" for error in errors)
        raise LorelintError(f"no place of it answers: {told}", where=self.inbox, remedy="check the network")

    def _from(self, place: str, since: str | None) -> None:
        local = _folder(place)
        if local is not None:
            if not (local / "git").is_dir():
                remedy = "name the folder that public-inbox-init -V2 made, or the URL of an archive"
                raise LorelintError("not a public-inbox of version 2", where=place, remedy=remedy)
            self._local = local
            return
        self._local = None
        known = [epoch.number for epoch in self._epochs()]
        if not known:
            self._first(place, since)
            return
        # The newest but one may have been ended after it was read last.
        for number in known[-2:]:
            self._fetch(place, number)
        for number in range(known[-1] + 1, MAX_EPOCHS):
            try:
                self._fetch(place, number, timeout=FIRST)
            except Absent:
                break

    def _first(self, place: str, since: str | None) -> None:
        """Mirror the newest epoch, and of the older ones as many as hold something `since`; nothing older."""
        for number in range(self._newest(place), -1, -1):
            depth = 2 * SLACK if since else 1
            while self._cut(place, number, depth) and since:
                epoch = _Epoch(number, self._mirror(number), TIP)
                behind, older = _behind(epoch.repository, epoch.tip, since)
                if behind and older >= SLACK:
                    return
                depth *= 4
            if not since or _behind(self._mirror(number), TIP, since)[0]:
                return

    def _cut(self, place: str, number: int, depth: int) -> bool:
        """Fetch the newest commits of an epoch; whether there are older ones."""
        try:
            self._fetch(place, number, (f"--depth={depth}",), FIRST)
        except Absent:
            raise
        except LorelintError:
            self._fetch(place, number, (), FIRST)  # a server of plain files cannot cut a history
        return self._mirror(number).shallow

    def _newest(self, place: str) -> int:
        for number in range(MAX_EPOCHS):
            try:
                listed(f"{place}/{number}")
            except Absent:
                if number == 0:
                    remedy = "the address is that of a list: https://lore.kernel.org/kvm"
                    raise LorelintError("no public-inbox with git epochs", where=place, remedy=remedy) from None
                return number - 1
        return MAX_EPOCHS - 1

    def _fetch(self, place: str, number: int, options: tuple[str, ...] = (), timeout: int = TIMEOUT) -> None:
        mirror, url = self._mirror(number), f"{place}/{number}"
        there = listed(url).get("HEAD", "")
        was = mirror.resolve(TIP)
        if not there or (there == was and not options):
            return  # no message at all, or none that is new
        kept = f"refs/lorelint/was/{was}"
        if was:
            mirror.keep(kept, was)
        mirror.fetch(url, f"+HEAD:{TIP}", options=options, timeout=timeout)
        if was and mirror.holds(was, TIP):
            mirror.drop(kept)
        mirror.tidy()

    def _mirror(self, number: int) -> Mirror:
        return Mirror(self.folder / f"{number}.git")

    def _epochs(self) -> list[_Epoch]:
        """Those that are here, oldest first."""
        folder = self.folder if self._local is None else self._local / "git"
        names = [path.name for path in folder.glob("*.git")] if folder.is_dir() else []
        numbers = sorted(int(name[:-4]) for name in names if name[:-4].isdigit())
        ref = TIP if self._local is None else "HEAD"
        return [_Epoch(number, Mirror(folder / f"{number}.git"), ref) for number in numbers[:MAX_EPOCHS]]

    def _whole(self, first: int) -> list[_Epoch]:
        """The epochs from one on; where mirrors were lost, they are fetched again."""
        here = self._epochs()
        numbers = {epoch.number for epoch in here}
        newest = max(numbers, default=first)
        for number in range(first, newest):
            if number not in numbers and self._local is None:
                self._again(number)
        return [epoch for epoch in self._epochs() if epoch.number >= first]

    def _complete(self, epoch: _Epoch, after: str) -> None:
        """A mirror that was cut behind what is to be read now is made whole."""
        mirror = epoch.repository
        if self._local is None and mirror.shallow and not (after and mirror.resolve(after)):
            self._again(epoch.number, ("--unshallow",))

    def _again(self, number: int, options: tuple[str, ...] = ()) -> None:
        error = LorelintError("no place of it has the epoch", where=f"{self.inbox}/{number}")
        for place in self.places:
            if _folder(place) is None:
                try:
                    self._fetch(place, number, options, FIRST)
                    return
                except LorelintError as failed:
                    error = failed
        raise error

    # -- messages ---------------------------------------------------------------------------------------------

    def _messages(self, epoch: _Epoch, after: str, tip: str) -> Iterator[Arrival]:
        """What the commits behind `after` brought, oldest first."""
        span = [tip, f"^{after}"] if after else [tip]
        objects = Objects(epoch.repository.git)
        command = ("rev-list", "--reverse", "--timestamp", "--first-parent", *span)
        try:
            with _listing(epoch.repository, *command) as lines:
                for line in lines:
                    stamp, _, commit = line.partition(" ")
                    cursor = Cursor(self.inbox, epoch.number, commit)
                    arrival = _arrival(epoch.repository, objects, cursor, _time(int(stamp)))
                    if arrival is not None:
                        yield arrival
        finally:
            objects.close()


def _behind(repository: Mirror, tip: str, since: str) -> tuple[str, int]:
    """The commit behind which everything since a time lies, "" where that is all there is; and how many older ones
    in a row were seen."""
    wanted, behind, older = _seconds(since), "", 0
    if not repository.resolve(tip):
        return "", 0
    with _listing(repository, "rev-list", "--timestamp", "--first-parent", tip) as lines:
        for line in lines:
            stamp, _, commit = line.partition(" ")
            if int(stamp) >= wanted:
                behind, older = "", 0
                continue
            behind, older = behind or commit, older + 1
            if older >= SLACK:
                break
    return behind, older


def _arrival(repository: Mirror, objects: Objects, cursor: Cursor, at: str) -> Arrival | None:
    """The message of a commit; None where it has none. Raises LorelintError where it has one that cannot be read."""
    tree = objects.get(f"{cursor.commit}^{{tree}}")
    if tree is None or tree.kind != "tree":
        raise _damaged(repository, cursor.commit)
    names = _names(tree.data, len(tree.id) // 2)
    name = "m" if "m" in names else "d"
    if name not in names:
        return None
    found = objects.get(names[name], MAX_MAIL)
    if found is not None and not found.data:
        return None  # what public-inbox-purge(1) leaves of a message
    raw = found.data if found is not None else _first_bytes(repository, names[name])
    if name == "m":
        return Arrival(raw, cursor, at, names[name])
    return Arrival(b"", cursor, at, names[name], gone=True, msgid=open_letter(Mail(raw)).msgid)


def _names(tree: bytes, width: int) -> dict[str, str]:
    """Files of a tree object, and their ids of `width` bytes."""
    names: dict[str, str] = {}
    at = 0
    while (end := tree.find(b"\0", at)) >= 0:
        names[text(tree[at:end]).partition(" ")[2]] = tree[end + 1 : end + 1 + width].hex()
        at = end + 1 + width
    return names


def _first_bytes(repository: Mirror, blob: str) -> bytes:
    """The start of a message that is too large to be read whole."""
    command = repository.git.command("cat-file", "blob", blob)
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    with child:
        assert child.stdout is not None
        raw = child.stdout.read(HEAD)
        child.kill()
    if not raw:
        raise _damaged(repository, blob)
    return raw


def _damaged(repository: Mirror, what: str) -> LorelintError:
    remedy = "git fsck tells more; a mirror may be deleted, it is made again"
    return LorelintError(f"the archive is damaged: {what} cannot be read", where=str(repository.path), remedy=remedy)


def _resume(repository: Mirror, after: str, tip: str) -> str:
    """Where to go on: after the commit that was read last, or, in a history that was rewritten, after the newest
    message of it that was read already. "" is its beginning."""
    if not after or repository.holds(after, tip):
        return after
    if not repository.resolve(after):
        return ""  # nothing is known of what was read: all of it comes again
    read = {blob for _, blob in _changes(repository, after, REMEMBERED)}
    newest = ""
    for commit, blob in _changes(repository, tip):
        if blob not in read:
            newest = ""
        elif newest:
            return newest  # two in a row: a message that came twice is no sign
        else:
            newest = commit
    return newest


def _changes(repository: Mirror, tip: str, most: int = -1) -> Iterator[tuple[str, str]]:
    """(commit, blob of its message), newest first."""
    options = ("--root", "--raw", "--no-abbrev", "--no-renames", "--first-parent", f"--max-count={most}")
    commit = ""
    with _listing(repository, "log", "--format=%H", *options, tip) as lines:
        for line in lines:
            if not line.startswith(":"):
                commit = line or commit
            elif line.endswith(("\tm", "\td")):
                yield commit, line.split(" ")[3]


@contextmanager
def _listing(repository: Mirror, *arguments: str) -> Iterator[Iterator[str]]:
    """The lines that git prints, as they come. Raises LorelintError where it fails; it is ended with the block."""
    child = subprocess.Popen(
        repository.git.command(*arguments, "--"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    with child:
        try:
            assert child.stdout is not None
            yield (text(line).rstrip("\n") for line in child.stdout)
            if child.stdout.read(1) == b"" and child.wait() != 0:
                raise _damaged(repository, arguments[-1])
        finally:
            child.kill()


def _folder(place: str) -> Path | None:
    """The folder on this machine that a place names, None for what is fetched."""
    if place.startswith("file://"):
        place = place.removeprefix("file://")
    return None if "://" in place else Path(place)


def _seconds(when: str) -> float:
    """A day or a time in RFC 3339."""
    moment = datetime.fromisoformat(when)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(min(max(seconds, 0), 253402300799), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
