"""Rule packs: packages that hold modules with a RULE, found by the entry-point group ``lorelint.rules``.

Ours comes in by the same door as a stranger's. A rule that is not complete is refused with its file
and the reason: a silent half rule is worse than none.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from lorelint.model.errors import LorelintError
from lorelint.model.regex import regex
from lorelint.rule.door import Analysis, Rule, Vocabulary
from lorelint.rule.explain import HEADINGS, sections
from lorelint.rule.installed import distributions
from lorelint.rule.vocabulary import derived, read_words

if TYPE_CHECKING:
    from lorelint.rule.ledger import Entry

GROUP = "lorelint.rules"
WORDS = "words.toml"  # of a pack: what people call the defects of its rules
_NAME = regex(r"[a-z]+(-[a-z]+)*\Z")


class Pack(Struct, frozen=True):
    """A package of rules as it was declared: its entry-point name, the package, the version of its distribution."""

    name: str
    package: str
    version: str
    rules: tuple[Rule, ...]


class _Declared(Struct, frozen=True):
    name: str
    package: str
    version: str


def packs(only: Sequence[str] = ()) -> tuple[Pack, ...]:
    """All packs with their rules, or those of their rules that are named in `only`, sorted by name.

    Raises LorelintError for a pack that cannot be imported, for a rule that is not complete, and for
    two rules of one name.
    """
    found = tuple(
        Pack(each.name, each.package, each.version, package_rules(each.package, each.name, only))
        for each in _declared()
    )
    owners: dict[str, Rule] = {}
    for rule in (rule for pack in found for rule in pack.rules):
        if rule.name in owners:
            what = f"the name {rule.name} is taken by {owners[rule.name].module}"
            raise LorelintError(what, where=rule.module, remedy="rename one of them")
        owners[rule.name] = rule
    return found


def load(only: Sequence[str] = ()) -> tuple[Rule, ...]:
    """The rules of all packs sorted by name, or those named.

    Raises LorelintError as `packs` does, and for a name in `only` that no rule has.
    """
    rules = {rule.name: rule for pack in packs(only) for rule in pack.rules}
    for name in only:
        if name not in rules:
            import difflib

            near = difflib.get_close_matches(name, [rule.name for pack in packs() for rule in pack.rules], n=1)
            remedy = f"did you mean {near[0]}?" if near else "`lorelint rules` lists them"
            raise LorelintError("no rule of that name", where=name, remedy=remedy)
    return tuple(rules[name] for name in sorted(set(only) or rules))


def version() -> str:
    """Lorelint and its packs with their versions, as a report names them."""
    parts = [f"lorelint {_version('lorelint') or _project().get('version', '')}"]
    parts += [f"{pack.package} {pack.version}" for pack in _declared()]
    return "; ".join(parts)


def folders() -> tuple[Path, ...]:
    """Where the code of the packs lies. A pack that is not there is told by `packs`."""
    found = []
    for each in _declared():
        try:
            spec = importlib.util.find_spec(each.package)
        except (ImportError, ValueError):
            continue
        if spec is not None:
            found += spec.submodule_search_locations or ([spec.origin] if spec.origin else [])
    return tuple(Path(each) for each in found)


def ledger() -> dict[str, Entry]:
    """What the rules of all packs have earned, by rule: ``ledger.toml`` in a pack, or in the checkout it lies in.

    Raises LorelintError for a ledger that cannot be read.
    """
    from lorelint.rule.ledger import parse

    found: dict[str, Entry] = {}
    for folder in folders():
        for path in (folder / "ledger.toml", folder.parent.parent / "corpora" / "ledger.toml"):
            if path.is_file():
                found.update(parse(path.read_text("utf-8"), str(path)))
                break
    return found


# -- where packs are declared ------------------------------------------------------------------


@cache  # what is installed does not change while we run
def _declared() -> tuple[_Declared, ...]:
    found = {
        (name, value): _Declared(name, value, each.version)
        for each in distributions(GROUP)
        for _, name, value in each.points
    }
    if not _version("lorelint"):
        for each in _checkout():
            found.setdefault((each.name, each.package), each)
    return tuple(found[key] for key in sorted(found))


def _project() -> dict[str, Any]:
    """The `project` table of the checkout this file lies in, {} where it lies in none."""
    import tomli

    file = Path(__file__).resolve().parents[3] / "pyproject.toml"
    if not file.is_file():
        return {}
    project = tomli.loads(file.read_text("utf-8")).get("project", {})
    return dict(project) if project.get("name") == "lorelint" else {}


def _checkout() -> Iterable[_Declared]:
    """A checkout that is not installed declares its entry points where an installer would read them."""
    project = _project()
    for name, package in sorted(project.get("entry-points", {}).get(GROUP, {}).items()):
        yield _Declared(name, package, project.get("version", ""))


def _version(distribution: str) -> str:
    """That of a distribution that is installed, "" where it is not."""
    return next((each.version for each in distributions(GROUP) if each.name == distribution), "")


# -- one package -------------------------------------------------------------------------------


def package_rules(package: str, origin: str = "", only: Sequence[str] = ()) -> tuple[Rule, ...]:
    """The rules of one package, sorted by name, or those of them in `only`. Raises LorelintError as `packs` does."""
    rules: list[Rule] = []
    words: dict[str, Vocabulary] = {}
    for module in _modules(package, frozenset(map(_stem, only))):
        if module.__name__ == package:
            words = _words(module)
        rule = getattr(module, "RULE", None)
        if rule is not None:
            rules.append(_spoken_of(_complete(module, rule, origin or package), words))
    return tuple(sorted(rules, key=lambda rule: rule.name))


def _words(top: ModuleType) -> dict[str, Vocabulary]:
    """The words of a pack's rules; none where it brings no such file. Raises LorelintError where it is damaged."""
    file = Path(top.__file__ or "").parent / WORDS
    if top.__file__ is None or not file.is_file():
        return {}
    try:
        return read_words(file.read_text("utf-8"))
    except ValueError as error:  # TOML and UTF-8 that are none, too
        raise LorelintError(f"cannot be read: {error}", where=f"{top.__name__} ({WORDS})", remedy="mend it") from error


def _spoken_of(rule: Rule, words: dict[str, Vocabulary]) -> Rule:
    if rule.words != Vocabulary():
        return rule
    return replace(rule, words=words.get(rule.name) or derived(rule))


def _stem(rule: str) -> str:
    """What the file of a rule is called; see `_complete`."""
    return rule.replace("-", "_")


def _modules(package: str, only: frozenset[str]) -> Iterable[ModuleType]:
    """All modules of a package; with `only`, of those that are no packages the ones of such a name."""
    top = _import(package)
    yield top
    paths = list(getattr(top, "__path__", ()))
    for info in sorted(pkgutil.walk_packages(paths, f"{package}."), key=lambda info: info.name):
        if not only or info.ispkg or info.name.rpartition(".")[2] in only:
            yield _import(info.name)


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except Exception as error:  # whatever a pack's code raises ends the job with its name, not with a traceback
        what = f"cannot be imported: {type(error).__name__}: {error}"
        raise LorelintError(what, where=f"rule pack {name}", remedy="mend or uninstall it") from error


def _complete(module: ModuleType, rule: object, origin: str) -> Rule:
    """The rule with what stands beside it filled in. Raises LorelintError where something is missing."""
    file = Path(module.__file__ or module.__name__)
    where = f"{module.__name__} ({file.name})"

    def refuse(what: str, remedy: str) -> LorelintError:
        return LorelintError(what, where=where, remedy=remedy)

    if not isinstance(rule, Rule):
        raise refuse(f"RULE is a {type(rule).__name__}", "make it a lorelint.rule.Rule")
    if not _NAME.match(rule.name):
        raise refuse(f"the name {rule.name!r} is not lower-case words joined by hyphens", "rename it")
    if file.stem != _stem(rule.name):
        raise refuse(f"holds the rule {rule.name}", f"call the file {_stem(rule.name)}.py")
    doc = module.__doc__ or ""
    told = sections(doc)
    missing = [heading for heading in HEADINGS if not told.get(heading)]
    if missing:
        raise refuse(f"the docstring lacks {', '.join(repr(each) for each in missing)}", "write what belongs there")
    beside = file.with_suffix(".diff")
    if not beside.is_file():
        raise refuse(f"has no example {beside.name} beside it", "a rule is shown by a patch, near misses included")
    circle = _circle(rule.requires)
    if circle:
        raise refuse(f"its analyses require each other: {circle}", "break the circle")
    example = beside.read_text("utf-8")
    return replace(rule, doc=doc, module=module.__name__, example=example, origin=origin)


def _circle(requires: tuple[Analysis[Any], ...]) -> str:
    """Names along a circle of analyses, "" where there is none; two different ones of one name count too."""
    by_name: dict[str, Analysis[Any]] = {}
    done: set[int] = set()
    stack: list[tuple[Analysis[Any], tuple[str, ...]]] = [(each, ()) for each in requires]
    while stack:
        here, path = stack.pop()
        if here.name in path or by_name.setdefault(here.name, here) is not here:
            return " > ".join((*path, here.name))
        if id(here) not in done:
            done.add(id(here))
            stack += [(each, (*path, here.name)) for each in here.requires]
    return ""
