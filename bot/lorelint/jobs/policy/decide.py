"""What becomes of what there is to say about one patch: who may hear it, when, and which line of the policy says so.

A patch that came over several lists is decided list by list. Each opens the door to those of its own audience and to
nobody else, and what the one letter says is what every list that it goes to lets be said. Whatever no line allows is
refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from msgspec import Struct, field

from lorelint.jobs.policy.audience import Person, Reach, recipients
from lorelint.model.base import Grade
from lorelint.model.errors import LorelintError
from lorelint.model.finding import Severity
from lorelint.model.policy import Audience, Decision, ListPolicy, Policy, Ruling

_STAGES = ("trial", "queue", "list")


class Say(Struct, frozen=True):
    """One finding, as far as a policy cares.

    doubts  why a person may have said it already: "perhaps raised by .. in <..>"
    """

    fingerprint: str
    rule: str
    stage: str  # of the rule
    severity: Severity
    confidence: float
    grade: Grade
    doubts: tuple[str, ...] = ()


class Matter(Struct, frozen=True):
    """A patch: who sent it to whom, over which lists, when.

    sender       who sent the mail, where that is another than the patch's author: a relay, a maintainer
    posted       RFC 3339, when the first archive took it
    maintainers  whom MAINTAINERS names for the files it touches
    moot         why nothing is to be said about it any more: "applied as ..", "superseded by v3"; "" for it is not
    """

    patch: str  # message-id
    author: Person
    to: tuple[Person, ...]
    cc: tuple[Person, ...]
    inboxes: tuple[str, ...]
    posted: str
    maintainers: tuple[Person, ...] = ()
    moot: str = ""
    sender: Person = ("", "")


class Standing(Struct, frozen=True):
    """What holds beside the policy, at one time.

    sent       letters of the last 24 hours, by list
    muted      list -> rule -> who muted it and why
    """

    now: str  # RFC 3339
    sent: Mapping[str, int] = field(default_factory=dict)
    opted_out: frozenset[str] = frozenset()
    muted: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


class _Opinion(Struct):
    """One list's."""

    one: ListPolicy
    rulings: list[Ruling]
    held: list[str]
    says: list[Say]

    @property
    def refuses(self) -> bool:
        return any(each.refuses for each in self.rulings)


def decide(matter: Matter, says: Sequence[Say], policy: Policy, standing: Standing) -> Decision:
    """Who hears what of `says` about a patch. Raises LorelintError for a time that is none."""
    outright = list(_outright(matter, policy, standing))
    opinions = [_opinion(one, matter, says, standing) for one in _lists(matter, policy)]
    ready = [] if outright else [each for each in opinions if not each.refuses]
    willing = _agreeing(ready)
    rulings = outright + [
        Ruling(f"no table speaks of {name}: it opens the door to nobody", 0, True)
        for name in matter.inboxes or ("any list",)
        if policy.of(name) is None
    ]
    for opinion in opinions:
        rulings += opinion.rulings
        if opinion in ready and opinion not in willing:
            text = f"list.{opinion.one.name} and list.{willing[0].one.name} let nothing be said that both let be said"
            rulings.append(Ruling(text, opinion.one.line, True))
    if not willing:
        return Decision(False, rulings=tuple(rulings))
    return _allowed(matter, policy, standing, willing, rulings)


def _lists(matter: Matter, policy: Policy) -> list[ListPolicy]:
    """The policies of the lists a patch came over, each once, in the order of the lists."""
    found = (policy.of(name) for name in matter.inboxes)
    return list({each.name: each for each in found if each is not None}.values())


# -- what refuses it all


def _outright(matter: Matter, policy: Policy, standing: Standing) -> Iterator[Ruling]:
    lines = dict(policy.lines)
    if matter.moot:
        yield Ruling(matter.moot, 0, True)
    if not matter.author[1]:
        yield Ruling("nobody can be made out who sent it", 0, True)
    for address in dict.fromkeys(each.lower() for each in (matter.author[1], matter.sender[1]) if each):
        if matches(address, policy.ignored_authors):
            yield Ruling(f"{address} is among the ignored_authors", lines.get("ignored_authors", 0), True)
        if address in {each.lower() for each in policy.opted_out}:
            yield Ruling(f"{address} is among the opted_out", lines.get("opted_out", 0), True)
        elif address in {each.lower() for each in standing.opted_out}:
            yield Ruling(f"{address} has asked for no mail", 0, True)


def matches(address: str, named: Sequence[str]) -> bool:
    """Whether an address, or its domain (``@domain``), is named."""
    domain = "@" + address.rpartition("@")[2].lower()
    return any(each.lower() in (address.lower(), domain) for each in named)


def _wanting_none(policy: Policy, standing: Standing) -> set[str]:
    return {each.lower() for each in (*policy.opted_out, *standing.opted_out)}


# -- one list


def _opinion(one: ListPolicy, matter: Matter, says: Sequence[Say], standing: Standing) -> _Opinion:
    opinion = _Opinion(one, [], [], [])
    name = f"list.{one.name}"
    if one.audience is Audience.DASHBOARD:
        opinion.rulings.append(_by(one, "audience", f'nobody gets mail: {name}.audience = "dashboard"', True))
        return opinion
    age = moment(standing.now) - moment(matter.posted)
    if age > timedelta(days=one.max_age_days):
        text = f"posted {age.days} days ago, more than {name}.max_age_days = {one.max_age_days:g}"
        opinion.rulings.append(_by(one, "max_age_days", text, True))
    muted = standing.muted.get(one.name, {})
    for say in says:
        refusal = _unsaid(one, say, muted)
        if refusal is None:
            opinion.says.append(say)
        else:
            opinion.rulings.append(refusal)
    if not opinion.says:
        text = f"{name} lets nothing be said of it" if says else "there is nothing to say of it"
        opinion.rulings.append(Ruling(text, one.line, True))
        return opinion
    for ruling in _below(one, opinion.says):
        opinion.rulings.append(ruling)
        opinion.held.append(ruling.text)
    if standing.sent.get(one.name, 0) >= one.daily_cap:
        text = f"it waits for its turn: {name}.daily_cap = {one.daily_cap} is reached"
        opinion.rulings.append(_by(one, "daily_cap", text))
    return opinion


def _unsaid(one: ListPolicy, say: Say, muted: Mapping[str, str]) -> Ruling | None:
    """Why a list does not let a finding be said at all."""
    if say.rule in muted:
        return Ruling(f"{say.rule} is mute on {one.name}: {muted[say.rule]}")
    if _STAGES.index(say.stage) < _STAGES.index(one.stage):
        text = f'{say.rule} has come to "{say.stage}", not to list.{one.name}.stage = "{one.stage}"'
        return _by(one, "stage", text)
    return None


def _below(one: ListPolicy, says: Sequence[Say]) -> Iterator[Ruling]:
    """Why a person has to look at it first."""
    name = f"list.{one.name}"
    for say in says:
        if say.confidence < one.minimum_confidence:
            text = f"{say.rule} is {say.confidence:.2f} sure, below {name}.minimum_confidence = "
            yield _by(one, "minimum_confidence", f"{text}{one.minimum_confidence:g}")
        if _gravity(say.severity) > _gravity(one.minimum_severity):
            text = f'{say.rule} is a "{say.severity}", below {name}.minimum_severity = "{one.minimum_severity}"'
            yield _by(one, "minimum_severity", text)
        if say.grade.rank > one.base.rank:
            text = f'the base under {say.rule} is "{say.grade}", worse than {name}.base = "{one.base}"'
            yield _by(one, "base", text)
        yield from (Ruling(doubt) for doubt in say.doubts)


def _gravity(severity: Severity) -> int:
    return list(Severity).index(severity)


def _by(one: ListPolicy, key: str, text: str, refuses: bool = False) -> Ruling:
    """By a key of a list's table; by the table itself where the key is not written and its default holds."""
    line = dict(one.lines).get(key)
    return Ruling(text, line, refuses) if line else Ruling(f"{text}, by default", one.line, refuses)


# -- all of them


def _agreeing(opinions: Sequence[_Opinion]) -> list[_Opinion]:
    """The lists that one letter can go to, and in them only what each of them lets be said.

    Where there is nothing that all of them let be said, the first list alone is spoken to.
    """
    if not opinions:
        return []
    common = set.intersection(*({say.fingerprint for say in each.says} for each in opinions))
    if not common:
        return [opinions[0]]
    for each in opinions:
        each.says = [say for say in each.says if say.fingerprint in common]
    return list(opinions)


def _allowed(
    matter: Matter, policy: Policy, standing: Standing, willing: Sequence[_Opinion], rulings: list[Ruling]
) -> Decision:
    by_mail = [each.one for each in willing if not each.one.patchwork]
    checks = [each.one for each in willing if each.one.patchwork]
    reach = Reach(matter.author, matter.to, matter.cc, matter.maintainers)
    no_mail = {policy.sender.lower(), *_wanting_none(policy, standing)}
    to, cc, why = recipients(reach, by_mail, no_mail)
    rulings += why
    for one in checks:
        rulings.append(_by(one, "patchwork", f"list.{one.name}.patchwork: a check is set instead of mail"))
    held = tuple(dict.fromkeys(text for each in willing for text in each.held))
    embargo = max(willing, key=lambda each: each.one.embargo_hours).one
    not_before = shown(moment(matter.posted) + timedelta(hours=embargo.embargo_hours))
    if not_before > standing.now:
        text = f"not before {not_before}: list.{embargo.name}.embargo_hours = {embargo.embargo_hours:g}"
        rulings.append(_by(embargo, "embargo_hours", text))
    person = next((each.one for each in willing if each.one.release != "automatic"), None)
    if person is not None:
        rulings.append(_by(person, "release", f'a person lets it out: list.{person.name}.release = "person"'))
    return Decision(
        allowed=True,
        to=to,
        cc=cc,
        not_before=not_before,
        automatic=person is None and not held,
        lists=tuple(each.one.name for each in willing),
        findings=tuple(say.fingerprint for say in willing[0].says),
        patchwork=checks[0].patchwork if checks else "",
        rulings=tuple(rulings),
        held=held,
    )


def moment(text: str) -> datetime:
    """A time of the store. Raises LorelintError where it is none."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise LorelintError("is no time", where=ascii(text), remedy="times are written 2026-11-02T09:15:30Z") from error


def shown(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")
