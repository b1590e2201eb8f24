"""What persons made of findings, on its way from a list to a measurement."""

from __future__ import annotations

from tests.jobs.listing import AT, RULES, Listing

from lorelint.jobs.measure.judged import judgements
from lorelint.model.store import State


def test_status_prints_what_measure_reads(cli, tmp_path):
    assert cli("status", "--verdicts").out == ""
    listing = Listing(tmp_path / "data" / "lorelint")
    listing.series()
    (row,) = listing.found("p1", RULES[0])
    with listing.store.begin() as session:
        session.findings.change(row.id, State.FALSE, who="ann@author.example", at=AT, reason="it sleeps")
    done = cli("status", "--verdicts")
    assert done.code == 0 and done.err == ""
    (found,) = judgements(done.out)
    assert (found.rule, found.tree, found.function, found.verdict) == (RULES[0], "linux-6.12", "ring", "false")
