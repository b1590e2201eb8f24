"""A policy in words: what it lets out, and what becomes of one patch by which of its lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from lorelint.model.policy import Audience, Decision, ListPolicy, Policy
from lorelint.model.store import US, FindingRow, State
from lorelint.report.ink import Ink
from lorelint.report.outbox import person, when
from lorelint.report.text import clean, cut, many, words, wrap

_READERS = {
    Audience.DASHBOARD: "nobody gets mail",
    Audience.AUTHOR: "mail to the patch's author",
    Audience.MAINTAINERS: "mail to the author, and to whom MAINTAINERS names for the files",
    Audience.LIST: "mail to the author, to whom MAINTAINERS names for the files, and to the list",
}


def summary(policy: Policy, *, columns: int, colour: bool = False) -> str:
    """What a policy lets out."""
    ink = Ink(colour)
    loud = [one for one in policy.lists if one.audience is not Audience.DASHBOARD]
    lines = [ink(f"{clean(policy.where) or 'no policy'}: {_gist(policy, loud)}", "good" if not loud else "bold")]
    if policy.sender:
        text = f"mail is from {person((policy.sender_name, policy.sender))}, at most {policy.hourly_cap} an hour"
        text += f"; {clean(policy.contact)} answers for it" if policy.contact else ""
        lines += wrap(text, columns, first="  ", rest="  ")
    if policy.stop_file:
        lines += wrap(f"nothing is sent while {words(policy.stop_file)} exists", columns, first="  ", rest="  ")
    silent = len(policy.ignored_authors), len(policy.opted_out)
    if any(silent):
        text = f"{many(silent[0], 'author')} ignored, {many(silent[1], 'address', 'addresses')} opted out"
        lines += wrap(text, columns, first="  ", rest="  ")
    for one in policy.lists:
        lines += ["", ink(f"{one.name} <{one.address}>", "bold") + ink(f"  line {one.line}", "dim")]
        lines += [line for text in _list(one) for line in wrap(text, columns, first="  ", rest="    ")]
    return "\n".join(lines) + "\n"


def _gist(policy: Policy, loud: Sequence[ListPolicy]) -> str:
    if not loud:
        return "well formed; nothing leaves"
    said = f"well formed; {many(len(loud), 'list')} of {len(policy.lists)} may get mail"
    return f"{said}, and dry_run is on: none is sent" if policy.dry_run else said


def _list(one: ListPolicy) -> Iterator[str]:
    if one.audience is Audience.DASHBOARD:
        yield _READERS[one.audience]
        return
    yield _READERS[one.audience] if not one.patchwork else f"checks in {one.patchwork} instead of mail"
    yield f"asked for by {words(one.asked_by)} on {one.asked_on}"
    if one.also_to:
        yield f"also to {', '.join(one.also_to)}"
    who = "a person releases each" if one.release == "person" else "goes out by itself"
    yield f"{who}, {one.embargo_hours:g} h after the patch at the earliest; at most {one.daily_cap} a day"
    yield f'of patches up to {one.max_age_days:g} days old, by rules that have come to "{one.stage}"'
    sure = f"less than {one.minimum_confidence:g} sure, less than a {one.minimum_severity}"
    yield f"a person looks first at what is {sure}, or on a base worse than {one.base}"


def explained(
    subject: str,
    about: Sequence[str],
    supposed: bool,
    decision: Decision,
    where: str,
    *,
    columns: int,
    colour: bool = False,
) -> str:
    """What becomes of one patch.

    about     what is known of it, a line each
    supposed  nothing was found in it: it is told what a sure finding would bring about
    """
    ink = Ink(colour)
    lines = [ink(cut(words(subject), columns), "bold")]
    lines += [line for each in about for line in wrap(each, columns, first="  ", rest="    ")]
    if supposed:
        text = "there is nothing to say of it; so it would be with a sure finding on an exact base:"
        lines += ["", *wrap(text, columns)]
    lines += ["", *_outcome(decision, columns, ink), "", ink(f"by {clean(where) or 'no policy'}, line", "title")]
    for ruling in decision.rulings:
        first = f"{ruling.line or '-':>6}  "
        told = wrap(ruling.text, columns, first=first, rest=" " * 8)
        lines += [ink(line, "error") if ruling.refuses else line for line in told]
    return "\n".join(lines) + "\n"


def _outcome(decision: Decision, columns: int, ink: Ink) -> Iterator[str]:
    if not decision.allowed:
        yield ink("nobody gets anything", "bold")
        return
    if decision.patchwork:
        yield from wrap(f"a check is set in {clean(decision.patchwork)}", columns)
    if not decision.to:
        return
    turn = "goes out by itself" if decision.automatic else "waits for a person"
    yield ink(f"a letter is written, and {turn}; not before {when(decision.not_before)}", "bold")
    for name, people in (("to", decision.to), ("cc", decision.cc)):
        for each in people:
            yield from wrap(person(each), columns, first=f"  {name}  ", rest="      ")
    for reason in decision.held:
        yield from (ink(line, "warning") for line in wrap(f"held: {reason}", columns, first="  ", rest="    "))


def unsaid(row: FindingRow) -> str:
    """What was found and is not said, and why."""
    if row.state is State.SENT:
        return f"{row.rule} in {row.function}() is not said again: it was in {row.reason}"
    why = row.state.value if row.state is not State.NEW else row.status
    who = f" by {row.who}" if row.who and row.who != US else ""
    return f"{row.rule} in {row.function}() is not said: {why}{who}" + (f" ({row.reason})" if row.reason else "")


def document(
    subject: str, supposed: bool, decision: Decision, where: str, held_back: Sequence[FindingRow] = ()
) -> dict[str, Any]:
    """The same as plain values."""
    return {
        "unsaid": [unsaid(each) for each in held_back],
        "policy": where,
        "subject": subject,
        "supposed": supposed,
        "allowed": decision.allowed,
        "to": [{"name": name, "address": address} for name, address in decision.to],
        "cc": [{"name": name, "address": address} for name, address in decision.cc],
        "lists": list(decision.lists),
        "patchwork": decision.patchwork,
        "automatic": decision.automatic,
        "not_before": decision.not_before,
        "held": list(decision.held),
        "rulings": [{"line": each.line, "text": each.text, "refuses": each.refuses} for each in decision.rulings],
    }
