"""An author's commits, and what is not committed yet, as a series between trees. Nothing in the checkout is changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct, field
from msgspec.structs import replace

from lorelint.edge.git import MAX_OBJECT, Git, text
from lorelint.edge.repository import GitRepository
from lorelint.mail.patch import make_patch
from lorelint.model.base import Applied, Base, BaseStep, FileBase, Grade, Snapshot
from lorelint.model.errors import LorelintError
from lorelint.model.mail import BaseHint, Change, FileDiff, Message, Patch, Series
from lorelint.model.regex import regex
from lorelint.model.tree import OverlayTree, Tree, inside, is_source
from lorelint.model.trouble import Trouble
from lorelint.model.work import Span, Work

MAX_COMMITS = 500
#: Plumbing, so that no setting of the user's gives another form of diff.
_FORM = (
    "-r", "-p", "-M", "--full-index", "--no-color", "--no-ext-diff", "--no-textconv", "--ignore-submodules=all",
    "--src-prefix=a/", "--dst-prefix=b/",
)  # fmt: skip
_LAST = 253402300799  # seconds; the last that a date can tell, in the year 9999
#: What the reader of diffs would take for the beginning of one: a message may quote some.
_QUOTED = regex(r"(?m)^(?=diff |--- |\+\+\+ |---$|@@ |Index: |index |rename |similarity )")
_Reader = Callable[[FileDiff], bytes | None]
_PERSON = regex(rb"author (.*?) ?<([^>]*)> (\d+)")


class _Laid(Struct):
    """The files so far over one tree."""

    under: Tree
    over: dict[str, bytes | None] = field(default_factory=dict)

    def tree(self, name: str) -> OverlayTree:
        return OverlayTree(self.under, dict(self.over), name)


def lay_out(repository: GitRepository, span: Span, pending: str = "", index_file: str = "") -> Work:
    """A span as patches between trees.

    pending     what is not committed: "staged", "all" (every tracked file as it lies there) or "" for none of it
    index_file  another index than the repository's own (what git sets for its hooks)
    Raises LorelintError where the span is too long, or git cannot read it.
    """
    commits = _commits(repository, span)
    bodies = _diffs(repository, [commit for commit, _ in commits])
    laid = _Laid(repository.tree(span.base))
    at = span.base
    made: list[Snapshot] = []
    for seq, (commit, parent) in enumerate(commits, 1):
        if parent != at:
            laid = _Laid(repository.tree(parent))
        patch = _patch(repository, seq, commit, bodies.get(commit, ""))
        made.append(_snapshot(laid, patch, lambda diff: _committed(repository, diff)))
        at = commit
    if pending:
        body = _pending(repository, pending, index_file)
        if body:
            if at != span.tip:
                laid = _Laid(repository.tree(span.tip))
            staged = pending == "staged"
            patch = _uncommitted(len(made) + 1, body, staged)
            read = _committed if staged else _lying
            made.append(_snapshot(laid, patch, lambda diff: read(repository, diff)))
    steps = (BaseStep("commits", span.said, True, span.why or "as named"),)
    base = Base(repository.tree(span.base).name, span.base, Grade.EXACT, steps)
    return Work(span, _series(span, [each.patch for each in made]), Applied(base, tuple(made)))


def _commits(repository: GitRepository, span: Span) -> list[tuple[str, str]]:
    """(commit, its parent), oldest first. Merges change nothing themselves, and the cover letter is no patch."""
    limit = f"--max-count={MAX_COMMITS + 2}"
    done = repository.git.run("rev-list", "--topo-order", "--no-merges", limit, "--parents", span.tip, "^" + span.base)
    if done.code != 0:
        raise LorelintError(f"git cannot list the commits: {done.err[:200]}", where=span.said)
    rows = [line.split(" ") for line in text(done.out).splitlines()]
    found = [(row[0], row[1]) for row in reversed(rows) if len(row) > 1 and row[0] != span.cover]
    if len(found) > MAX_COMMITS:
        why = f"more than {MAX_COMMITS} commits"
        raise LorelintError(
            why, where=f"{span.said} ({span.why})", remedy="name a shorter range: lorelint check BASE.."
        )
    return found


def _diffs(repository: GitRepository, commits: Sequence[str]) -> dict[str, str]:
    """Commit -> the text of its diff, by one child for all of them."""
    if not commits:
        return {}
    names = "".join(f"{commit}\n" for commit in commits).encode()
    done = repository.git.run("diff-tree", "--stdin", "--always", *_FORM, stdin=names)
    if done.code != 0:
        raise LorelintError(f"git cannot show the commits: {done.err[:200]}", where=str(repository.path))
    whole = text(done.out)
    found: dict[str, str] = {}
    at = 0
    for commit, following in zip(commits, [*commits[1:], ""], strict=True):
        # a line of a diff begins with a sign or a word of git's, never with 40 digits
        begin = at + len(commit) + 1
        end = whole.find(f"\n{following}\n", begin - 1) + 1 if following else len(whole)
        found[commit] = whole[begin:end]
        at = end
    return found


def _pending(repository: GitRepository, pending: str, index_file: str) -> str:
    git = repository.git if not index_file else Git(repository.path, {"GIT_INDEX_FILE": index_file})
    cached = ("--cached",) if pending == "staged" else ()
    done = git.run("diff-index", *cached, *_FORM, "HEAD", "--")
    if done.code != 0:
        raise LorelintError(f"git cannot compare the work tree: {done.err[:200]}", where=str(repository.path))
    return text(done.out)


# -- patches ---------------------------------------------------------------------------------------------------


def _patch(repository: GitRepository, seq: int, commit: str, diff: str) -> Patch:
    found = repository.objects.get(commit)
    head, _, message = (found.data if found is not None else b"").partition(b"\n\n")
    who = _PERSON.search(head)
    name, address, date = (text(each) for each in who.groups()) if who else ("", "", "0")
    said = text(message).strip("\n")
    subject, _, rest = said.partition("\n")
    when = datetime.fromtimestamp(min(int(date), _LAST), UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if int(date) else ""
    return _mail(seq, commit, subject, (name, address), when, f"{_QUOTED.sub(' ', rest.strip())}\n---\n{diff}")


def _uncommitted(seq: int, diff: str, staged: bool) -> Patch:
    return _mail(seq, "", "staged changes" if staged else "uncommitted changes", ("", ""), "", f"---\n{diff}")


def _mail(seq: int, msgid: str, subject: str, author: tuple[str, str], date: str, body: str) -> Patch:
    """The patch as it would be mailed: what reads mails reads it, and says the same of it."""
    message = Message(msgid, subject, author[0], author[1], date, "", (), (), (), body)
    patch = make_patch(seq, message, subject)
    # that a commit touches no C is no trouble of the author's; and no line of a message is its header
    troubles = tuple(each for each in patch.troubles if each.kind not in ("not-c", "mangled"))
    return replace(patch, subject=subject, author=author, troubles=troubles)


def _series(span: Span, patches: Sequence[Patch]) -> Series:
    subject = patches[0].subject if len(patches) == 1 else span.said
    return Series(
        key=span.change_id or span.tip,
        version=span.version,
        subject=subject,
        author=patches[0].author if patches else ("", ""),
        expected=len(patches),
        patches=tuple(patches),
        cover=None,
        hint=BaseHint(base_commit=span.base, change_id=span.change_id),
    )


# -- trees -----------------------------------------------------------------------------------------------------


class _Unread(Exception):
    """Why the content of a file cannot be had."""


def _snapshot(laid: _Laid, patch: Patch, read: _Reader) -> Snapshot:
    short = patch.msgid[:12] or patch.subject
    before = laid.tree(f"before {short}")
    files: dict[str, FileBase] = {}
    troubles: list[Trouble] = []
    for diff in patch.diffs:
        files[diff.path] = FileBase(diff.path, Grade.EXACT, "as committed" if patch.msgid else "as it lies there")
        try:
            laid.over.update(_result(diff, before, read))
        except _Unread as why:
            files[diff.path] = FileBase(diff.path, Grade.FRAGMENTS, str(why))
            troubles.append(Trouble("missing-object", diff.path, f"{why}: the change of this file was not judged"))
    return Snapshot(patch, before, laid.tree(f"after {short}"), dict(sorted(files.items())), tuple(troubles))


def _result(diff: FileDiff, before: Tree, read: _Reader) -> dict[str, bytes | None]:
    """What the files of a diff are after it; None for none. Only source files are looked at. Raises _Unread."""
    found: dict[str, bytes | None] = {}
    if diff.old_path and is_source(diff.old_path) and diff.change in (Change.DELETE, Change.RENAME):
        found[diff.old_path] = None
    if diff.new_path and is_source(diff.new_path) and diff.change not in (Change.DELETE, Change.MODE):
        moved = diff.change in (Change.RENAME, Change.COPY) and not diff.hunks
        found[diff.new_path] = before.read(diff.old_path) if moved else read(diff)
    return found


def _committed(repository: GitRepository, diff: FileDiff) -> bytes | None:
    content = repository.blob(diff.new_blob) if diff.new_blob else None
    if content is None:
        raise _Unread(f"its content {diff.new_blob[:12] or '(git names none)'} is not in this clone, or is too large")
    return content


def _lying(repository: GitRepository, diff: FileDiff) -> bytes | None:
    """A file of the work tree; links are not followed."""
    path = Path(repository.path, diff.new_path)
    if not inside(diff.new_path) or path.is_symlink() or not path.is_file():
        return None
    try:
        with path.open("rb") as file:
            content = file.read(MAX_OBJECT + 1)
    except OSError as error:
        raise _Unread((error.strerror or "it cannot be read").lower()) from error
    if len(content) > MAX_OBJECT:
        raise _Unread("it is too large")
    return content
