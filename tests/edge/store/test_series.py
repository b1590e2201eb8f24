"""Series, reviews and findings come back as they were put; what is asked for by value is found."""

from __future__ import annotations

from types import SimpleNamespace

from msgspec.structs import replace

from lorelint.edge.store.database import Database
from lorelint.model.store import Life, Note, State


def test_a_series_comes_back_as_it_was(store: Database, make: SimpleNamespace) -> None:
    row = make.series("1@x", key="change-1", version=3, expected=2, have=1, why="waits", due_at=make.time(5))
    with store.begin() as session:
        number = session.series.put(row, [make.patch("1@x", 1, "aa"), make.patch("2@x", 2, "bb", "old@x")])
        stored = replace(row, id=number)
        assert session.series.get(number) == stored and session.series.get(number + 1) is None
        assert session.series.of_root("1@x") == session.series.of_key("change-1") == (stored,)
        assert session.series.of_patch("2@x") == stored and session.series.of_patch("3@x") is None
        assert [each.msgid for each in session.series.patches(number)] == ["1@x", "2@x"]
        assert session.series.patches(number)[1] == replace(make.patch("2@x", 2, "bb", "old@x"), series=number)


def test_put_again_changes_the_row(store: Database, make: SimpleNamespace) -> None:
    with store.begin() as session:
        number = session.series.put(make.series("1@x"), [make.patch("1@x")])
        assert session.series.put(make.series("1@x", have=2), [make.patch("2@x", 2)]) == number
        assert session.series.put(make.series("0@x", id=number), []) == number
        row = session.series.get(number)
        assert row is not None and (row.first, len(session.series.patches(number))) == ("0@x", 2)
        assert session.series.counts() == [("ready", 1)]


def test_versions_are_found_the_earliest_first(store: Database, make: SimpleNamespace) -> None:
    with store.begin() as session:
        for version, subject in ((2, "A: change"), (1, "a:  change"), (3, "a: something else")):
            session.series.put(make.series(f"v{version}@x", key="k", version=version, subject=subject), [])
        assert [row.version for row in session.series.of_author("ANN@example.org", "[PATCH v4] A: Change")] == [1, 2]
        assert [row.version for row in session.series.of_key("k")] == [1, 2, 3]
        assert session.series.of_author("bob@example.org", "a: change") == ()


def test_patches_are_found_by_what_they_change(store: Database, make: SimpleNamespace) -> None:
    with store.begin() as session:
        for name in ("1@x", "2@x"):
            session.series.put(make.series(name), [make.patch(name, 1, "same"), make.patch("0" + name, 2, "")])
        found = session.series.patch_ids(["", "same", *map(str, range(1200))])
        assert [each.msgid for each in found] == ["1@x", "2@x"]


def test_what_is_due(store: Database, make: SimpleNamespace) -> None:
    now = make.time(10)
    rows = {
        "ready": make.series("1@x", first_at=make.time(3)),
        "again": make.series("2@x", due_at=make.time(10), first_at=make.time(2)),
        "later": make.series("3@x", due_at=make.time(11)),
        "waited": make.series("4@x", life=Life.WAITING, due_at=make.time(9), first_at=make.time(1)),
        "waits": make.series("5@x", life=Life.WAITING, due_at=make.time(11)),
        "for ever": make.series("6@x", life=Life.WAITING),
        "muted": make.series("7@x", life=Life.MUTED),
    }
    with store.begin() as session:
        numbers = {session.series.put(row, []): name for name, row in rows.items()}
        assert [numbers[row.id] for row in session.series.due(now)] == ["waited", "again", "ready"]
        assert [numbers[row.id] for row in session.series.due(now, 1)] == ["waited"]
        for row in session.series.due(now):
            session.series.move(row.id, Life.SUPERSEDED, "v2 came", 99)
        assert session.series.due(now) == ()
        moved = session.series.of_patch("1@x")
        assert moved is not None and (moved.life, moved.why, moved.superseded_by) == (Life.SUPERSEDED, "v2 came", 99)


def test_reviews_and_what_failed(store: Database, make: SimpleNamespace) -> None:
    with store.begin() as session:
        number = session.series.put(make.series("1@x"), [])
        done = make.review(number, report=b'{"findings": []}' * 1000)
        first = session.series.reviewed(done)
        session.series.reviewed(make.review(number, failure="out of memory"))
        assert session.series.reviews(number)[0] == replace(done, id=first)
        assert [each.failure for each in session.series.reviews(number)] == ["", "out of memory"]
        row = session.series.get(number)
        assert row is not None and row.attempts == 1


def test_findings_are_those_of_the_last_review(store: Database, make: SimpleNamespace) -> None:
    with store.begin() as session:
        number = session.series.put(make.series("1@x", key="k"), [])
        first = session.series.reviewed(make.review(number))
        session.findings.add([make.finding(first, number, "a" * 16), make.finding(first, number, "b" * 16)])
        before = session.findings.of_series(number)
        assert before[1] == replace(make.finding(first, number, "b" * 16), id=before[1].id)
        session.series.reviewed(make.review(number, failure="out of memory"))
        assert session.findings.of_series(number) == before
        last = session.series.reviewed(make.review(number))
        assert session.findings.of_series(number) == ()
        session.findings.add([make.finding(last, number, "b" * 16)])
        session.findings.add([])
        assert [each.fingerprint for each in session.findings.of_key("k")] == ["b" * 16]
        assert session.findings.get(before[0].id) == before[0]


def test_findings_of_all_versions(store: Database, make: SimpleNamespace) -> None:
    with store.begin() as session:
        for version in (2, 1):
            number = session.series.put(make.series(f"v{version}@x", key="k", version=version), [])
            session.findings.add([make.finding(session.series.reviewed(make.review(number)), number, since=version)])
        assert [each.since for each in session.findings.of_key("k")] == [1, 2]
        found = session.findings.of_key("k")[0]
        session.findings.change(found.id, State.FALSE, who="bob@x", at=make.time(1), reason="no", fixed_in=0)
        changed = session.findings.get(found.id)
        wanted = replace(found, state=State.FALSE, who="bob@x", changed_at=make.time(1), reason="no")
        assert changed == wanted


def test_notes(store: Database, make: SimpleNamespace) -> None:
    with store.begin() as session:
        session.notes.say(Note("send", make.time(1), True, "well"))
        session.notes.say(Note("inbox:kvm", make.time(2), True, "well"))
        session.notes.say(Note("send", make.time(3), False, "no"))
        assert session.notes.all() == (
            Note("inbox:kvm", make.time(2), True, "well"),
            Note("send", make.time(3), False, "no"),
        )
        for number in range(3):
            session.notes.audit(make.time(number), "bob", "released", f"letter:{number % 2}", str(number))
        assert [each[4] for each in session.notes.trail()] == ["2", "1", "0"]
        assert [each[4] for each in session.notes.trail("letter:0", 1)] == ["2"]
        assert session.notes.get("key") == ""
        session.notes.set("key", "1")
        session.notes.set("key", "2")
        assert session.notes.get("key") == "2"
