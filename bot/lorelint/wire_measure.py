"""What `lorelint measure` needs, built: labels, mailboxes, trees by name, openers that other processes can call."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct, field

from lorelint.model.errors import LorelintError
from lorelint.wire import House, measured_tree, read

if TYPE_CHECKING:
    from lorelint.model.mail import Thread
    from lorelint.model.measurement import Judgement, Measurement
    from lorelint.model.source import OpenTree
    from lorelint.model.stated import Hearing
    from lorelint.model.tree import Tree
    from lorelint.rule.door import Rule


class Wanted(Struct, frozen=True):
    """What is to be measured.

    labels    files of labels
    trees     name as labels and judgements use it -> what `House.find` takes; the first one is what mail is put on
    overlays  folder of the labelled cases' overlays, "" for none
    mail      mailboxes, or folders of them
    between   pairs of names in `trees`
    mutate    folders of the first tree in whose functions checks are taken out
    sample    at most so many files of each pair and so many checks of each kind; 0 for all
    judged    files of judgements, or folders of them
    only      names of rules; all of them when empty
    """

    trees: Mapping[str, str] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    overlays: str = ""
    mail: tuple[str, ...] = ()
    between: tuple[tuple[str, str], ...] = ()
    mutate: tuple[str, ...] = ()
    sample: int = 0
    judged: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    processes: int = 1


def measure(house: House, wanted: Wanted) -> Measurement:
    """Everything that is wanted, in one value. Raises LorelintError for what is not there."""
    from lorelint.jobs.measure.judged import judged
    from lorelint.jobs.measure.pool import add
    from lorelint.model.measurement import Measurement

    rules = house.rules(wanted.only, "trial")
    known = {rule.name for rule in rules}
    said = said_of(wanted.judged)
    specs = {name: house.find(spec) for name, spec in wanted.trees.items()}
    total = Measurement(
        rules=tuple(sorted(known)),
        judgements=tuple(each for each in said if each.rule in known),
    )
    seconds: dict[str, float] = {}
    for part in _parts(house, wanted, specs, rules):
        add(seconds, part.seconds)
        total = replace(
            total,
            cases=total.cases + part.cases,
            skipped=total.skipped + part.skipped,
            noises=total.noises + tuple(judged(noise, said) for noise in part.noises),
            mutation=part.mutation or total.mutation,
        )
    return replace(total, seconds=seconds)


def said_of(paths: Sequence[str]) -> tuple[Judgement, ...]:
    """All judgements in some files, or in the files of folders. Raises LorelintError."""
    from lorelint.jobs.measure.judged import judgements

    said: tuple[Judgement, ...] = ()
    for path in _files(paths, "*.jsonl"):
        said += judgements(read(str(path)).decode("utf-8", "replace"), str(path))
    return said


def _parts(house: House, wanted: Wanted, specs: Mapping[str, str], rules: Sequence[Rule]) -> Iterator[Measurement]:
    for path in wanted.labels:
        yield _labels(path, wanted, specs, rules)
    for path in wanted.mail:
        yield _mail(house, path, wanted, specs, rules)
    for pair in wanted.between:
        yield _between(house, pair, wanted, specs, rules)
    if wanted.mutate:
        yield _mutate(house, wanted, specs, rules)


def _labels(path: str, wanted: Wanted, specs: Mapping[str, str], rules: Sequence[Rule]) -> Measurement:
    from lorelint.jobs.measure.labels import measure as over_labels

    folder = Path(wanted.overlays) if wanted.overlays else None
    if folder is not None and not folder.is_dir():
        raise LorelintError("no such folder", where=wanted.overlays, remedy="name the folder that holds the overlays")

    def overlay(case: str) -> str:
        return str(folder / case) if folder is not None and (folder / case).is_dir() else ""

    text = read(path).decode("utf-8", "replace")
    return over_labels(text, specs, measured_tree, rules, overlays=overlay, processes=wanted.processes, where=path)


def _mail(house: House, path: str, wanted: Wanted, specs: Mapping[str, str], rules: Sequence[Rule]) -> Measurement:
    from lorelint.edge.patch import GnuPatch
    from lorelint.jobs.measure.mail import mail
    from lorelint.model.measurement import Measurement

    name, opener = _first(house, specs)
    boxes = _boxes(Path(path))
    noise, seconds = mail(boxes, Path(path).name, name, open_box, opener, GnuPatch, rules, processes=wanted.processes)
    return Measurement(noises=(noise,), seconds=seconds)


def _between(
    house: House, pair: tuple[str, str], wanted: Wanted, specs: Mapping[str, str], rules: Sequence[Rule]
) -> Measurement:
    from lorelint.jobs.measure.between import between
    from lorelint.model.measurement import Measurement

    trees = partial(open_pair, str(house.cache), specs[pair[0]], specs[pair[1]])
    noise, seconds = between(pair, trees, rules, processes=wanted.processes, sample=wanted.sample)
    return Measurement(noises=(noise,), seconds=seconds)


def _mutate(house: House, wanted: Wanted, specs: Mapping[str, str], rules: Sequence[Rule]) -> Measurement:
    from lorelint.jobs.measure.mutate import mutate
    from lorelint.model.measurement import Measurement

    name, opener = _first(house, specs)
    done, seconds = mutate(wanted.mutate, name, opener, rules, processes=wanted.processes, sample=wanted.sample)
    return Measurement(mutation=done, seconds=seconds)


def _first(house: House, specs: Mapping[str, str]) -> tuple[str, Callable[[], OpenTree]]:
    """The first tree that was named, and how another process opens it."""
    if not specs:
        raise LorelintError("no tree to measure on", remedy="add --tree DIR")
    name = next(iter(specs))
    return name, partial(open_indexed, str(house.cache), specs[name])


def _boxes(path: Path) -> tuple[tuple[str, str], ...]:
    """(name, path) of each mailbox below a folder; the path itself where it is one."""
    below = sorted(path.rglob("*.mbox")) if path.is_dir() else []
    return tuple((each.relative_to(path).as_posix(), str(each)) for each in below) or ((path.name, str(path)),)


def _files(paths: Sequence[str], pattern: str) -> Iterator[Path]:
    for each in paths:
        path = Path(each)
        yield from sorted(path.rglob(pattern)) if path.is_dir() else [path]


# -- what other processes call: functions of the module ------------------------------------------


def open_box(path: str) -> tuple[Thread, ...]:
    from lorelint.edge.thread import open_thread

    return open_thread(path)


def open_indexed(cache: str, spec: str) -> OpenTree:
    """A tree with the index of a cache folder beside it, where it has one."""
    from lorelint.edge.beside import beside
    from lorelint.edge.index import NAME, IndexFile
    from lorelint.edge.trees import open_tree

    index = IndexFile(Path(cache) / NAME, lambda text: None)
    if not index.size():
        return open_tree(spec)
    return open_tree(spec, beside=lambda tree: beside(tree, index))


def open_pair(cache: str, one: str, other: str) -> tuple[Tree, Tree]:
    return open_indexed(cache, one).tree, open_indexed(cache, other).tree


def write_ledger(path: str, done: Measurement) -> None:
    """Write what was measured into a ledger, made where there is none. Raises LorelintError."""
    from lorelint.jobs.measure.ledger import entries, render
    from lorelint.rule.ledger import parse

    file = Path(path)
    try:
        old = parse(file.read_text("utf-8"), path) if file.exists() else {}
        file.write_text(render(entries(old, done)), "utf-8")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise LorelintError(f"cannot be written: {reason}", where=path, remedy="name another file") from error


def measure_concerns(
    house: House, folder: str, catalogue: str, trees: Mapping[str, str], overlays: str, only: Sequence[str] = ()
) -> Hearing:
    """What became of the concerns in ``labels.json`` of a folder of mailboxes. Raises LorelintError.

    A thread is put on the tree that is nearest to its base. An overlay ``base-NAME`` is tried where its files are those
    of the mailbox ``NAME-...``.
    """
    from lorelint.edge.patch import GnuPatch
    from lorelint.edge.thread import open_thread
    from lorelint.jobs.measure.concerns import Base, measure_concerns, read_stated

    def bases(thread: str) -> list[Base]:
        number = thread.partition("-")[0]
        over = [str(path) for path in sorted(Path(overlays).glob(f"base-*{number}"))] if overlays else []
        options = [(name, spec, [each]) for name, spec in trees.items() for each in over]
        options += [(name, spec, []) for name, spec in trees.items()]
        return [
            Base(
                " with ".join([name, *(Path(each).name for each in layers)]), partial(house.tree, spec, overlays=layers)
            )
            for name, spec, layers in options
        ]

    where = str(Path(folder) / "labels.json")
    stated = read_stated(
        read(where).decode("utf-8", "replace"),
        read(catalogue).decode("utf-8", "replace") if catalogue else "",
        where,
    )
    return measure_concerns(
        stated,
        lambda name: open_thread(str(Path(folder) / name))[0],
        bases,
        house.rules(only, "trial"),
        patcher=GnuPatch(),
    )


def write_docs(
    house: House,
    folder: str,
    judged: Sequence[str] = (),
    guides: Sequence[str] = (),
    reference: Sequence[tuple[str, str]] = (),
) -> int:
    """Write the site into a folder, made where it is not; how many files. Raises LorelintError.

    guides     Markdown files, and folders of them with their pictures
    reference  (name, Markdown) of pages that were made
    """
    from lorelint.jobs.docs import docs
    from lorelint.report.site import TextPage
    from lorelint.rule import packs

    found = [path for each in guides for path in _below(Path(each))]
    texts = [TextPage(_name(path), "Guides", _text(path)) for path in found if path.suffix == ".md"]
    texts += [TextPage(name, "Reference", text) for name, text in reference]
    pictures = {path.name: _text(path) for path in found if path.suffix == ".svg"}
    rules = house.rules(stage="trial")
    files = docs(rules, packs.ledger(), said_of(judged), house.version(), texts, pictures)
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            Path(folder, name).write_text(text, "utf-8")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise LorelintError(f"cannot be written: {reason}", where=folder, remedy="name another folder") from error
    return len(files)


def _below(path: Path) -> list[Path]:
    return sorted(path.iterdir()) if path.is_dir() else [path]


def _name(path: Path) -> str:
    """``2-maintainer.md`` and ``2`` in front are for the order alone."""
    return path.stem.lower().partition("-")[2] if path.stem[:1].isdigit() else path.stem.lower()


def _text(path: Path) -> str:
    return read(str(path)).decode("utf-8", "replace")
