"""What can be looked up, as Markdown made from what the code says: commands, keys, JSON, the rule door. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct


class Option(Struct, frozen=True):
    """names: `--tree TREE`; told: its help."""

    names: str
    told: str


class Command(Struct, frozen=True):
    """name: `store backup`; usage: what stands behind it; told: its help, paragraphs apart by blank lines."""

    name: str
    usage: str
    told: str
    options: tuple[Option, ...]


class Key(Struct, frozen=True):
    """One key of a file: what it wants, and what it is where nothing is said ("" for nothing)."""

    name: str
    wanted: str
    default: str = ""


class Thing(Struct, frozen=True):
    """A name of the rule door: what it is, where that is no class, what its docstring says, and what it has."""

    name: str
    signature: str
    told: str
    parts: tuple[tuple[str, str], ...] = ()


def commands(every: Sequence[Command]) -> str:
    """The page of the commands."""
    out = ["# Commands", "", "`lorelint COMMAND --help` says the same. Exit codes: 0 nothing found, 1 findings,"]
    out += ["2 the job could not be done, 130 interrupted."]
    for each in every:
        out += ["", f"## lorelint {each.name}", "", "```", f"lorelint {each.name} {each.usage}".rstrip(), "```", ""]
        out += [_prose(each.told)]
        if each.options:
            out += [
                "",
                "| option | |",
                "|---|---|",
                *(f"| `{_cell(o.names)}` | {_cell(o.told)} |" for o in each.options),
            ]
    return "\n".join(out) + "\n"


def keys(heading: str, told: str, every: Sequence[Key]) -> str:
    """The page of a file's keys."""
    rows = [
        f"| `{key.name}` | {_cell(key.wanted)} | {f'`{_cell(key.default)}`' if key.default else ''} |" for key in every
    ]
    return "\n".join([f"# {heading}", "", told, "", "| key | wants | else |", "|---|---|---|", *rows]) + "\n"


def schema(text: str) -> str:
    """The page of the JSON report: each key that is always there, and the schema itself."""
    told = json.loads(text)
    rows = [f"| `{key}` | {_cell(_kind(told['properties'][key]))} |" for key in told["required"]]
    for name, each in told.get("$defs", {}).items():
        rows += [
            f"| `{name}.{key}` | {_cell(_kind(each['properties'].get(key, {})))} |" for key in each.get("required", ())
        ]
    head = ["# The JSON report", "", told["description"], ""]
    head += ["These keys are always there; more may come without another `schema`.", "", "| key | is |", "|---|---|"]
    return "\n".join([*head, *rows, "", "## The schema", "", "```", text.rstrip("\n"), "```"]) + "\n"


def door(told: str, things: Sequence[Thing]) -> str:
    """The page of what a rule pack may import."""
    out = ["# The rule door", "", _prose(told)]
    for each in things:
        out += ["", f"## {each.name}", "", _prose(each.told)]
        if each.signature:
            out += ["", "```", each.signature, "```"]
        if each.parts:
            out += ["", "| | |", "|---|---|", *(f"| `{_cell(name)}` | {_cell(what)} |" for name, what in each.parts)]
    return "\n".join(out) + "\n"


def _kind(value: Mapping[str, Any]) -> str:
    if "const" in value:
        return f"`{value['const']}`"
    kind = (
        value.get("$ref", "").rpartition("/")[2]
        or value.get("type")
        or ", or ".join(map(_kind, value.get("oneOf", ())))
    )
    kind = ", or ".join(kind) if isinstance(kind, list) else str(kind)
    if kind == "array":
        kind = f"array of {_kind(value.get('items', {}))}"
    told = value.get("description", "")
    return f"{kind}: {told}" if told else kind


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _prose(text: str) -> str:
    """A docstring as Markdown: what is indented is code, the rest paragraphs."""
    out: list[str] = []
    for block in text.strip("\n").split("\n\n"):
        lines = [line for line in block.split("\n") if line.strip() != "\b"]
        if "  " in block.strip():  # columns, or lines that are set in
            out += ["```", *(line.removeprefix("    ") for line in lines), "```", ""]
        elif lines:
            out += [" ".join(line.strip() for line in lines), ""]
    return "\n".join(out).rstrip("\n")
