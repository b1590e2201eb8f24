"""How large, how long, how dear: one list, all of lore today, all of lore since 2000. Prints the tables of CAPACITY.md.

Every figure comes from capacity.toml, where it says which were measured and which are assumptions.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
BEGIN, END = "<!-- computed by capacity.py -->\n", "<!-- end -->\n"
DAY, HOUR = 86_400, 3_600


@dataclass(frozen=True)
class Costs:
    """What one mail and one patch take."""

    raw: float  # bytes of a mail
    store: float
    patches: float  # of one mail
    read: float  # seconds of CPU of a mail, in one process
    review: float  # of a patch, on any
    slower: float
    worker: float  # bytes of memory
    index: float  # bytes of disk, for each machine
    core_hour: float
    gigabyte_month: float


@dataclass(frozen=True)
class Extent:
    name: str
    mails: float


def load() -> tuple[dict[str, float], dict[str, float], Costs]:
    told = tomllib.loads((HERE / "capacity.toml").read_text())
    measured, assumed = told["measured"], told["assumed"]
    costs = Costs(
        raw=measured["raw_bytes"] / measured["mails"],
        store=measured["store_bytes"] / measured["mails"],
        patches=measured["patches"] / measured["mails"],
        read=measured["read_cpu_ms"] / 1000,
        review=measured["review_cpu_s"],
        slower=assumed["slower"],
        worker=measured["worker_megabytes"] * 1e6,
        index=measured["index_megabytes"] * 1e6,
        core_hour=assumed["core_hour"],
        gigabyte_month=assumed["gigabyte_month"],
    )
    return measured, assumed, costs


def archives(measured: dict[str, float], assumed: dict[str, float], costs: Costs) -> list[str]:
    """Sweeps: everything that there is, once."""
    extents = (
        Extent("linaro-mm-sig, 2019 to July 2026", measured["list_mails"]),
        Extent("a list like kvm, ten years", assumed["busy_mails_a_day"] * 3650),
        Extent("all of lore, one year of today", assumed["lore_mails_a_day"] * 365),
        Extent("all of lore since 2000", assumed["lore_mails"]),
    )
    head = ["a sweep of", "mails", "patches", "mail", "store", "reading, one process", "reviews, cores x hours"]
    rows = [[*head, "with 2 cores", "with 16", "with 64", "EUR"]]
    for each in extents:
        patches, read = each.mails * costs.patches, each.mails * costs.read
        low = patches * costs.review
        high = low * costs.slower
        disk = each.mails * (costs.raw + costs.store) / 1e9
        money = (read + high) / HOUR * costs.core_hour + disk * costs.gigabyte_month
        rows.append(
            [
                each.name, number(each.mails), number(patches), size(each.mails * costs.raw),
                size(each.mails * costs.store), length(read), f"{hours(low)} to {hours(high)}",
                *(f"{length(read + low / cores)} to {length(read + high / cores)}" for cores in (2, 16, 64)),
                f"{money:,.2f}" if money < 10 else f"{money:,.0f}",
            ]
        )  # fmt: skip
    return table(rows)


def followed(measured: dict[str, float], assumed: dict[str, float], costs: Costs) -> list[str]:
    """Lists that are followed: what a day brings."""
    extents = (
        Extent("linaro-mm-sig", measured["list_mails"] / measured["list_days"]),
        Extent("a list like kvm", assumed["busy_mails_a_day"]),
        Extent("all of lore", assumed["lore_mails_a_day"]),
    )
    rows = [
        ["`listen` follows", "mails a day", "patches a day", "CPU a day", "of one core", "store a year", "EUR a year"]
    ]
    for each in extents:
        patches = each.mails * costs.patches
        busy = each.mails * costs.read + patches * costs.review * costs.slower
        disk = each.mails * 365 * costs.store / 1e9
        # A machine of one core is there all day, whatever it does.
        money = max(1.0, busy / DAY) * 24 * 365 * costs.core_hour + disk * 12 * costs.gigabyte_month
        rows.append(
            [
                each.name, number(each.mails), number(patches), length(busy), f"{100 * busy / DAY:.1f} %",
                size(disk * 1e9), f"{money:,.0f}",
            ]
        )  # fmt: skip
    return table(rows)


def limits(assumed: dict[str, float], costs: Costs) -> list[str]:
    """What runs into what first."""
    slow = costs.review * costs.slower
    mails = assumed["lore_mails"]
    a_year = assumed["lore_mails_a_day"] * 365
    least = costs.read / costs.patches
    cores = f"from {costs.review / least:.0f} to {slow / least:.0f} cores on"
    lore = assumed["lore_mails_a_day"] * costs.patches
    rows = [
        ["limit", "where"],
        [
            "one process reads the mail of a sweep",
            f"{1 / costs.read:.0f} mails a second; {cores}, reading takes as long as the reviews: "
            "cut by list or year, a sweep and a store each",
        ],
        ["one process reviews for `listen`", f"{DAY / slow:,.0f} patches a day; lore has {lore:,.0f}"],
        [
            "one SQLite file",
            f"{size(a_year * costs.store)} for a year of lore, {size(mails * costs.store)} since 2000: "
            "PostgreSQL, or a store a list",
        ],
        ["memory", f"{size(costs.worker)} for each worker; 64 of them {size(64 * costs.worker)}"],
        [
            "the index of a worker's machine",
            f"{size(costs.index)} for one kernel, once a machine where its workers share it",
        ],
    ]
    return table(rows)


def number(value: float) -> str:
    """With as many digits as are known."""
    if value < 100:
        return f"{value:.1f}" if value < 10 else f"{value:.0f}"
    step = 10 ** (len(str(int(value))) - 3)
    return f"{round(value / step) * step:,.0f}"


def size(value: float) -> str:
    for unit, name in ((1e12, "TB"), (1e9, "GB")):
        if value >= unit:
            return f"{value / unit:.1f} {name}"
    return f"{value / 1e6:.0f} MB"


def length(seconds: float) -> str:
    for unit, name in ((DAY, "d"), (HOUR, "h"), (60, "min")):
        if seconds >= 2 * unit:
            amount = seconds / unit
            return f"{amount:.1f} {name}" if amount < 10 else f"{amount:.0f} {name}"
    return f"{seconds:.0f} s"


def hours(seconds: float) -> str:
    value = seconds / HOUR
    return number(value) if value >= 1 else f"{value:.2f}"


def table(rows: list[list[str]]) -> list[str]:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return [lines[0], "|" + "---|" * len(rows[0]), *lines[1:]]


def computed() -> str:
    measured, assumed, costs = load()
    parts = (archives(measured, assumed, costs), followed(measured, assumed, costs), limits(assumed, costs))
    return "\n\n".join("\n".join(each) for each in parts) + "\n"


def page(text: str) -> str:
    """A page with its computed part as it is now."""
    before, _, rest = text.partition(BEGIN)
    return before + BEGIN + "\n" + computed() + "\n" + END + rest.partition(END)[2]


if __name__ == "__main__":
    print(computed(), end="")
