"""A store with very many findings, made up: names, subjects, letters and verdicts as a busy year would leave them."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from lorelint.edge.store import schema
from lorelint.edge.store.database import Database
from lorelint.edge.store.derive import rebuild
from lorelint.edge.store.rows import pack
from lorelint.model.queue import Filter
from lorelint.model.store import State

RULES = (
    "errno-collapsed-to-retry", "retry-no-resched", "unbounded-retry", "retry-unkillable", "gup-pin-leak",
    "revoke-without-unmap", "pfn-without-notifier", "dmabuf-unpinned-map", "vma-use-after-unlock", "mmap-no-size-check",
    "errno-lost", "pfnmap-cow", "longterm-missing", "unpin-not-dirty", "fence-leak",
)  # fmt: skip
SUBSYSTEMS = tuple(f"{name} DRIVER" for name in (
    "VFIO", "IOMMUFD", "DMAMAP", "APERTURE", "WINVIEW", "RINGMAP", "BARPEEK", "HABANALABS", "AMDGPU", "RDMA", "TEE",
    "VHOST", "XEN", "NOUVEAU", "MSM", "PANFROST", "ETNAVIV", "LIMA", "TEGRA", "XILINX", "UIO", "VIDEOBUF", "IO URING",
    "MEMORY MANAGEMENT", "HUGETLB", "USERFAULTFD", "S390 PCI", "POWERPC VAS", "INTEL SGX", "HYPER-V",
))  # fmt: skip
LISTS = ("kvm", "linux-mm", "iommu", "dri-devel", "linux-rdma", "linux-media")
STATES = (
    (State.NEW, 30), (State.SENT, 14), (State.FALSE, 14), (State.CONFIRMED, 8), (State.FIXED, 16),
    (State.WONTFIX, 6), (State.RAISED, 6), (State.SNOOZED, 4), (State.NOT_OURS, 2),
)  # fmt: skip
PEOPLE = ("Tomas Lindqvist", "Renske Aalto", "Ines Marchetti", "Jorge Amaral", "Odile Brandt", "Pavel Okonkwo")
SOME = 2_000  # series that are written at once


def fill(store: Database, findings: int, seed: int = 7) -> None:
    """So many findings in a third as many series, each of one message."""
    chance = random.Random(seed)
    with store.transaction(writes=True) as connection:
        made = 0
        number = 0
        while made < findings:
            rows: dict[Any, list[dict[str, Any]]] = {}
            for _ in range(SOME):
                number += 1
                count = min(chance.choice((1, 1, 2, 3, 3, 4, 7)), findings - made)
                for table, values in _series(number, count, chance):
                    rows.setdefault(table, []).append(values)
                made += count
                if made >= findings:
                    break
            for table in _ORDER:
                if rows.get(table):
                    connection.execute(sa.insert(table), rows[table])
        rebuild(connection)
        if connection.dialect.name == "postgresql":
            for name in ("series", "reviews", "findings", "letters", "verdicts"):
                top = f"SELECT setval(pg_get_serial_sequence('{name}', 'id'), (SELECT max(id) FROM {name}))"
                connection.execute(sa.text(top))
    with store.transaction(writes=True) as connection:
        connection.execute(sa.text("ANALYZE"))


_ORDER = (
    schema.MESSAGES, schema.SIGHTINGS, schema.SERIES, schema.PATCHES, schema.REVIEWS, schema.EXHIBITS, schema.FINDINGS,
    schema.LETTERS, schema.VERDICTS,
)  # fmt: skip


def _series(number: int, count: int, chance: random.Random) -> Iterator[tuple[Any, dict[str, Any]]]:
    msgid = f"{number}-patch@example.org"
    at = f"2026-{chance.randint(1, 4):02}-{chance.randint(1, 28):02}T{chance.randint(0, 23):02}:{number % 60:02}:00Z"
    name = chance.choice(PEOPLE)
    address = f"{name.split()[0].lower()}@example.org"
    inbox, subsystem = chance.choice(LISTS), chance.choice(SUBSYSTEMS)
    subject = (
        f"{subsystem.lower().split()[0]}: {chance.choice(('map', 'pin', 'retry', 'revoke'))} the window, part {number}"
    )
    version = chance.choice((1, 1, 1, 2, 2, 3, 5))
    raw = pack(f"From: {address}\nMessage-ID: <{msgid}>\nSubject: {subject}\n\ntext\n".encode())
    yield schema.MESSAGES, {
        "msgid": msgid, "root": msgid, "at": at, "date": at, "name": name, "address": address, "subject": subject,
        "nature": "patch", "raw": raw,
    }  # fmt: skip
    yield schema.SIGHTINGS, {"msgid": msgid, "inbox": inbox, "at": at}
    yield schema.SERIES, {
        "id": number, "root": msgid, "key": f"key-{number}", "version": version, "subject": subject, "name": name,
        "address": address, "first": msgid, "expected": 1, "have": 1, "first_at": at, "last_at": at,
        "life": "superseded" if chance.random() < 0.15 else "reviewed",
    }  # fmt: skip
    yield schema.PATCHES, {"msgid": msgid, "series": number, "seq": 1, "subject": subject}
    yield schema.REVIEWS, {
        "id": number, "series": number, "at": at, "tree": "mainline", "commit_id": "c" * 40, "grade": "exact",
        "seconds": 1.0, "report": pack(b"{}"), "subsystems": json.dumps([subsystem]),
        "people": json.dumps([["Odile Brandt", "odile@example.org"]] if subsystem in SUBSYSTEMS[:3] else []),
    }  # fmt: skip
    found = [_finding(number, msgid, at, version, place, chance) for place in range(count)]
    for each in found:
        yield schema.FINDINGS, each
        yield schema.EXHIBITS, {"review": number, "fingerprint": each["fingerprint"], "shown": _shown(each)}
    if chance.random() < 0.4:
        state = chance.choice(("held", "sent", "sent", "cancelled", "dropped"))
        yield schema.LETTERS, _letter(number, msgid, at, state, subject, address, inbox, found)
    for each in found:
        if each["state"] in ("false-positive", "wontfix", "confirmed"):
            yield schema.VERDICTS, {
                "verdict": each["state"], "rule": each["rule"], "fingerprint": each["fingerprint"],
                "series_key": f"key-{number}", "inbox": inbox, "who": "odile", "weight": "operator", "proof": "local",
                "reason": "looked at", "at": at, "obeyed": 1,
            }  # fmt: skip


def _finding(series: int, msgid: str, at: str, version: int, place: int, chance: random.Random) -> dict[str, Any]:
    state = chance.choices([each for each, _ in STATES], [weight for _, weight in STATES])[0]
    rule = chance.choices(RULES, range(len(RULES), 0, -1))[0]
    return {
        "id": series * 8 + place, "review": series, "series": series, "patch": msgid,
        "fingerprint": f"{series:012x}{place:04x}", "rule": rule, "path": f"drivers/misc/window/part{series % 900}.c",
        "function": f"window_{series % 5000}_map", "line": 40 + place, "anchor": "again", "status": "new",
        "message": f"'goto again' in window_{series % 5000}_map() has a way round that never ends",
        "severity": chance.choices(("error", "warning", "note"), (2, 6, 2))[0], "confidence": 0.9, "grade": "exact",
        "mailable": 1, "state": state.value, "since": version,
        "who": "odile" if state not in (State.NEW, State.FIXED) else "", "changed_at": at,
        "snoozed_until": "2027-01-01T00:00:00Z" if state is State.SNOOZED else "",
    }  # fmt: skip


def _letter(
    series: int, msgid: str, at: str, state: str, subject: str, address: str, inbox: str, found: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "patch": msgid, "series": series, "msgid": f"letter-{series}@example.org", "state": state,
        "subject": f"Re: [PATCH] {subject}", "body": "> the line\n\nIs it so?\n-- \nlorelint\n",
        "to_addresses": json.dumps([["", address]]), "inboxes": json.dumps([inbox]), "created_at": at,
        "fingerprints": json.dumps([each["fingerprint"] for each in found]),
        "rules": json.dumps([each["rule"] for each in found]), "sent_at": at if state == "sent" else "",
    }  # fmt: skip


_BODY = """static int {0}(struct window *win, unsigned long addr)
{{
	struct follow_pfnmap_args walk = {{ .vma = win->vma, .address = addr }};
	int err;

again:
	mmap_read_lock(win->mm);
	err = follow_pfnmap_start(&walk);
	mmap_read_unlock(win->mm);
	if (err == -EAGAIN)
		goto again;
	return err;
}}"""


def _shown(finding: dict[str, Any]) -> bytes:
    """Source as long as a function that is kept whole."""
    lines = _BODY.format(finding["function"]).split("\n") + [f"/* line {at} of the window */" for at in range(110)]
    steps = [{"path": finding["path"], "line": at, "text": f"step {at}"} for at in (6, 8, 10, 11)]
    document = {
        "finding": {
            **{key: finding[key] for key in ("rule", "path", "function", "line", "message", "fingerprint", "anchor")},
            "steps": steps, "facts": [], "advice": "count the rounds", "fix": None, "siblings": [], "raised": [],
            "evidence": [], "because": "",
        },
        "pieces": [{"path": finding["path"], "lines": [[" ", at, text] for at, text in enumerate(lines, 1)]}],
        "graph": None,
    }  # fmt: skip
    return pack(json.dumps(document).encode())


QUESTIONS = {
    "open": Filter(),
    "a list": Filter(inbox="kvm"),
    "list and subsystem": Filter(inbox="kvm", subsystem="VFIO DRIVER"),
    "four at once": Filter(inbox="iommu", subsystem="XEN DRIVER", rule="fence-leak", severity="error"),
    "sent": Filter(state="sent"),
    "named": Filter(mine=(), me="odile.brandt"),
    "mine": Filter(mine=("VFIO DRIVER", "XEN DRIVER", "RDMA DRIVER", "kvm")),
    "text": Filter(text="window_4321_map"),
    "text that is nowhere": Filter(text="no such words", state="all"),
}
