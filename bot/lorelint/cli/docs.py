"""``lorelint docs``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from lorelint.cli import CLEAN, lorelint
from lorelint.cli.common import common, house, note

if TYPE_CHECKING:
    from lorelint.report.reference import Command, Key, Thing


@click.command("docs")
@click.argument("folder", metavar="DIR")
@click.option(
    "--judged", metavar="FILE|DIR", multiple=True, help="What persons made of findings, for the known limits."
)
@click.option(
    "--guide", "guides", metavar="FILE|DIR", multiple=True, help="Pages in Markdown that are to be among the others."
)
@common
def command(
    folder: str, judged: tuple[str, ...], guides: tuple[str, ...], config: str, color: str, width: int | None
) -> int:
    """Write the pages: one for each rule, commands, keys of the settings, the JSON report, the rule door, and guides.

    Plain files; open index.html.
    """
    from lorelint.wire_measure import write_docs

    count = write_docs(house(config), folder, judged, guides, tuple(_reference()))
    note(f"{count} files in {folder}")
    return CLEAN


def _reference() -> Iterator[tuple[str, str]]:
    """(name, Markdown) of the pages that the code itself is asked for."""
    from importlib import resources

    from lorelint import config, rule
    from lorelint.report import reference

    yield "commands", reference.commands(tuple(_commands()))
    example = (config.__doc__ or "").partition("\n\n")[2].rpartition("\n\n")[0]
    told = "All of them, with what they are for:\n\n```\n" + example.replace("\n    ", "\n").strip() + "\n```"
    yield "settings", reference.keys("Settings", told, tuple(_settings()))
    told = "Who may get which words. `deploy/policy.toml` says of each what it is for; `list.*` is a list's table."
    yield "policy", reference.keys("Policy", told, tuple(_policy()))
    schema = resources.files("lorelint.report").joinpath("report.schema.json").read_text("utf-8")
    yield "json", reference.schema(schema)
    yield "door", reference.door(rule.__doc__ or "", tuple(_door()))


def _commands() -> Iterator[Command]:
    """Every command, with what it says of itself."""
    import inspect

    from lorelint.report.reference import Command, Option

    above = click.Context(lorelint, info_name="lorelint")
    waiting = [(name, lorelint.get_command(above, name)) for name in lorelint.list_commands(above)]
    while waiting:
        name, each = waiting.pop(0)
        assert each is not None
        context = click.Context(each, info_name=name)
        options = [param.get_help_record(context) for param in each.params if isinstance(param, click.Option)]
        yield Command(
            name=name,
            usage=" ".join(each.collect_usage_pieces(context)),
            told=inspect.cleandoc(each.help or ""),
            options=tuple(Option(*record) for record in options if record),
        )
        if isinstance(each, click.Group):
            waiting[:0] = [(f"{name} {below}", inner) for below, inner in each.commands.items()]


def _settings() -> Iterator[Key]:
    from lorelint import config
    from lorelint.report.reference import Key

    for names, wanted in config._KNOWN.items():
        if wanted is not config._TABLE:
            yield Key(".".join(names), wanted)


def _policy() -> Iterator[Key]:
    from msgspec import NODEFAULT
    from msgspec.structs import fields

    from lorelint.jobs.policy import parse
    from lorelint.model.policy import ListPolicy, Policy
    from lorelint.report.reference import Key

    for before, kinds, made in (("", parse._HOUSE, Policy), ("list.*.", parse._LIST, ListPolicy)):
        defaults = {each.name: each.default for each in fields(made) if each.default not in (NODEFAULT, "", ())}
        for name, kind in kinds.items():
            yield Key(before + name, kind.wanted, str(defaults.get(name, "")))


def _door() -> Iterator[Thing]:
    """What a rule pack may import, as its own docstrings have it."""
    import enum
    import inspect

    from msgspec import Struct

    from lorelint import rule
    from lorelint.report.reference import Thing

    for name in rule.__all__:
        thing = getattr(rule, name)
        told = inspect.cleandoc(thing.__doc__ or "") if not isinstance(thing, type(int | str)) else str(thing)
        parts: list[tuple[str, str]] = []
        signature = ""
        if isinstance(thing, type) and issubclass(thing, Struct):
            parts = [(each, thing.__annotations__[each]) for each in thing.__struct_fields__]
        elif isinstance(thing, type) and issubclass(thing, enum.Enum):
            parts = [(each.name, str(each.value)) for each in thing]
        elif isinstance(thing, type):
            own = {each: value for each, value in vars(thing).items() if inspect.isfunction(value) and each[0] != "_"}
            parts = [(each, inspect.cleandoc(value.__doc__ or "")) for each, value in own.items()]
        elif inspect.ismodule(thing):
            signature = f"from lorelint.rule import {name}"
        yield Thing(name, signature, told, tuple(parts))
