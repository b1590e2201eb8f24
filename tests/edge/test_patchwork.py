"""Checks in a Patchwork: over real HTTP, to a server that holds to the published schema (REST API 1.2)."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jsonschema
import pytest
from msgspec.structs import replace
from tests.jobs.outgoing import AUTOMATIC, LATER, MORE, NOW, POLICY, Room, policy
from tests.report import samples

from lorelint.edge.patchwork import PatchworkApi
from lorelint.jobs import life, stands
from lorelint.jobs.checks import Posted, post
from lorelint.jobs.life import Pace
from lorelint.jobs.triage import By, Move, decide, undo
from lorelint.model.errors import LorelintError
from lorelint.model.policy import Policy
from lorelint.model.store import CheckRow, Life, ReviewRow, SeriesRow, State, VerdictRow

# CheckCreate of docs/api/schemas/v1.2/patchwork.yaml: what may be sent, and of which kind.
CHECK = {
    "type": "object",
    "required": ["state"],
    "additionalProperties": False,
    "properties": {
        "state": {"enum": ["pending", "success", "warning", "fail"]},
        "target_url": {"type": ["string", "null"], "maxLength": 200, "pattern": "^https?://"},
        "context": {"type": "string", "maxLength": 255, "pattern": "^[-a-zA-Z0-9_]+$"},
        "description": {"type": ["string", "null"]},
    },
}
TOKEN = "0123456789abcdef"


class Site:
    """What the server knows and was told."""

    def __init__(self) -> None:
        self.patches: dict[str, int] = {}
        self.checks: list[tuple[int, dict[str, Any]]] = []
        self.knows_the_filter = True
        self.answer = 0
        self.url = ""


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()

    class Answer(BaseHTTPRequestHandler):
        def say(self, code: int, value: Any, **headers: str) -> None:
            body = json.dumps(value).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            for name, text in headers.items():
                self.send_header(name, text)
            self.end_headers()
            self.wfile.write(body)

        def refused(self) -> bool:
            if site.answer:
                self.say(site.answer, {"detail": "no\x07pe"}, Location="http://127.0.0.1:1/")
            elif self.headers["Authorization"] != f"Token {TOKEN}":
                self.say(401, {"detail": "Invalid token."})
            elif not self.headers["User-Agent"].startswith("lorelint/"):
                self.say(403, {"detail": "who are you?"})
            else:
                return False
            return True

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            if self.refused():
                return
            assert parts.path == "/api/1.2/patches/"
            wanted = parse_qs(parts.query)["msgid"][0]
            known = [{"id": id, "msgid": f"<{msgid}>"} for msgid, id in site.patches.items()]
            self.say(200, [each for each in known if not site.knows_the_filter or each["msgid"] == f"<{wanted}>"])

        def do_POST(self) -> None:
            if self.refused():
                return
            _, api, version, kind, number, what, end = self.path.split("/")
            assert (api, version, kind, what, end) == ("api", "1.2", "patches", "checks", "")
            value = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            jsonschema.validate(value, CHECK)
            site.checks.append((int(number), value))
            self.say(201, {"id": len(site.checks), **value})

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    site.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield site
    server.shutdown()
    server.server_close()


def test_a_check(site: Site) -> None:
    site.patches = {"a@example.org": 7, "b@example.org": 8}
    api = PatchworkApi(site.url, TOKEN)
    assert api.patch("b@example.org") == 8 and api.patch("c@example.org") == 0
    api.set_check(8, "lorelint", "warning", "a text", "https://example.org/1")
    api.set_check(8, "lorelint", "success", "")
    assert site.checks == [
        (
            8,
            {"state": "warning", "context": "lorelint", "description": "a text", "target_url": "https://example.org/1"},
        ),
        (8, {"state": "success", "context": "lorelint", "description": ""}),
    ]


def test_a_site_that_gives_all_patches(site: Site) -> None:
    """An older one does not know the filter, and the first patch it has is not ours."""
    site.patches, site.knows_the_filter = {"a@example.org": 7, "b@example.org": 8}, False
    assert PatchworkApi(site.url, TOKEN).patch("b@example.org") == 8
    assert PatchworkApi(site.url, TOKEN).patch("c@example.org") == 0


@pytest.mark.parametrize("answer", [302, 401, 404, 500])
def test_answers_that_are_none(site: Site, answer: int) -> None:
    site.answer = answer
    with pytest.raises(LorelintError, match=f"answered with {answer}") as caught:
        PatchworkApi(site.url, TOKEN).patch("a@example.org")
    assert TOKEN not in str(caught.value) and "\x07" not in str(caught.value)


def test_the_wrong_token(site: Site) -> None:
    with pytest.raises(LorelintError, match="401"):
        PatchworkApi(site.url, "other").set_check(1, "lorelint", "fail", "")


def test_no_site_and_no_state() -> None:
    with pytest.raises(LorelintError, match="does not answer"):
        PatchworkApi("http://127.0.0.1:1", TOKEN).patch("a@example.org")
    with pytest.raises(LorelintError, match="unencrypted"):
        PatchworkApi("http://patchwork.example.org", TOKEN)
    with pytest.raises(LorelintError, match="is no check"):
        PatchworkApi("http://127.0.0.1:1", TOKEN).set_check(1, "lorelint", "bad", "")


class Desk:
    def __init__(self, folder: Path, site: Site) -> None:
        self.room = Room(folder)
        self.site = site
        self.policy: Policy = policy(AUTOMATIC + f'patchwork = "{site.url}"\n')
        self.stopped = False

    def post(self, now: str = LATER, dry_run: bool = False, made: Policy | None = None) -> list[Posted]:
        return list(
            post(
                self.room.store,
                made or self.policy,
                lambda url: PatchworkApi(url, TOKEN),
                now,
                stopped=lambda: self.stopped,
                dry_run=dry_run,
            )
        )


@pytest.fixture
def desk(tmp_path: Path, site: Site) -> Desk:
    desk = Desk(tmp_path, site)
    row = desk.room.take(samples.retry())
    desk.room.draft(row, desk.policy)
    site.patches = {desk.room.report.series.patches[0].msgid: 41}  # type: ignore[union-attr]
    return desk


def test_a_finding_becomes_a_check_once(desk: Desk) -> None:
    assert desk.post(NOW) == []  # the embargo
    assert [each.what for each in desk.post()] == ["set"] and desk.post() == []
    ((number, value),) = desk.site.checks
    assert number == 41 and value["state"] == "warning" and value["context"] == "lorelint"


def test_what_is_not_to_be_set(desk: Desk) -> None:
    assert [each.what for each in desk.post(dry_run=True)] == ["would be set"]
    assert [each.what for each in desk.post(made=policy(AUTOMATIC))] == ["waits"]  # the policy names no Patchwork now
    desk.stopped = True
    assert [each.what for each in desk.post()] == ["waits"]
    assert desk.site.checks == []


def test_a_rule_that_was_muted_since_tells_nothing(desk: Desk) -> None:
    rule = desk.room.report.findings[0].finding.rule
    mute = VerdictRow(
        0, "mute", rule, "", "", "ring", "max@example.org", "maintainer", "noise", "dkim", "m@x", NOW, True
    )
    with desk.room.store.begin() as session:
        session.verdicts.add(mute)
    (waits,) = desk.post()
    assert waits.what == "waits" and f"{rule} is mute on ring" in waits.text and desk.site.checks == []


def test_another_list_of_the_same_patchwork_opens_nothing(desk: Desk) -> None:
    """The list of the patch became a dashboard; its Patchwork is that of another list, too."""
    opened = f'audience = "list"\nrelease = "automatic"\npatchwork = "{desk.site.url}"'
    other = MORE.replace('audience = "author"', opened)
    closed = POLICY.replace('audience = "list"', 'audience = "dashboard"')
    (waits,) = desk.post(made=policy(closed + other))
    assert waits.what == "waits" and "for ring" in waits.text and desk.site.checks == []


def test_a_failure_is_kept_and_tried_again(desk: Desk) -> None:
    desk.site.answer = 503
    (failed,) = desk.post()
    assert failed.what == "failed" and "503" in failed.text
    desk.site.answer, desk.site.patches = 0, {}
    assert "does not know the patch" in desk.post()[0].text
    with desk.room.store.look() as session:
        (row,) = session.checks.to_post()
    assert "does not know the patch" in row.error
    desk.site.patches = {row.patch: 3}
    assert desk.post()[0].what == "set" and len(desk.site.checks) == 1


def test_what_changes_while_it_is_set_is_set_then(desk: Desk) -> None:
    """A review ends while the site is told that it goes on: its own embargo holds, and its own words are told."""
    desk.site.patches["other@example.org"] = 42
    row = CheckRow(0, "other@example.org", desk.site.url, "lorelint", "warning", "one", at=NOW)
    with desk.room.store.begin() as session:
        session.checks.put(row)

    def opened(url: str) -> Any:
        with desk.room.store.begin() as session:
            session.checks.put(replace(row, description="another", at=LATER))
        return PatchworkApi(url, TOKEN)

    (done,) = post(desk.room.store, desk.policy, opened, NOW, stopped=lambda: False, dry_run=False)
    with desk.room.store.look() as session:
        (now_is,) = session.checks.of_patch(row.patch)
    assert done.what == "set"
    assert (now_is.posted, now_is.said, now_is.description, now_is.at) == ("warning", "one", "another", LATER)


def test_what_waits_stands_before_nobody(desk: Desk) -> None:
    """However many checks may not be set, those behind them are."""
    with desk.room.store.begin() as session:
        for number in range(120):
            where = f"https://closed.example.org/{number}"
            session.checks.put(CheckRow(0, f"{number}@example.org", where, "lorelint", "fail", "a text", at=NOW))
    assert [each.what for each in desk.post()].count("set") == 1 and len(desk.site.checks) == 1


# What stands there, from a review to the end of its series

SOON, MUCH_LATER = "2026-11-03T11:00:00Z", "2026-11-03T12:00:00Z"
ME = By("odile")


def said(desk: Desk) -> list[tuple[str, str]]:
    """What the site was told since it was last asked."""
    told = [(value["state"], value["description"]) for _, value in desk.site.checks]
    desk.site.checks.clear()
    return told


def series_of(desk: Desk) -> SeriesRow:
    with desk.room.store.look() as session:
        row = session.series.of_patch(desk.room.report.series.patches[0].msgid)  # type: ignore[union-attr]
    assert row is not None
    return row


def told_of(desk: Desk) -> list[int]:
    """Numbers of the findings that the check tells of."""
    with desk.room.store.look() as session:
        (check,) = session.checks.of_patch(desk.room.report.series.patches[0].msgid)  # type: ignore[union-attr]
        return [
            each.id for each in session.findings.of_series(series_of(desk).id) if each.fingerprint in check.fingerprints
        ]


def test_it_is_pending_while_it_waits_for_its_review(tmp_path: Path, site: Site) -> None:
    desk = Desk(tmp_path, site)
    row = desk.room.take(samples.retry())
    site.patches = {row.first: 41}
    with desk.room.store.begin() as session:
        stands.begin(session, row, policy(AUTOMATIC), NOW)  # a list that wants mail
        stands.begin(session, row, desk.policy, NOW)
    assert desk.post(NOW)[0].what == "set" and said(desk) == [("pending", "the review goes on")]
    desk.room.draft(row, desk.policy)
    assert desk.post(NOW) == []  # the embargo: nothing is told yet
    desk.post()
    ((state, text),) = said(desk)
    assert state == "warning" and text.startswith("errno-collapsed-to-retry: ")


def test_pending_ends_where_nothing_is_told(tmp_path: Path, site: Site) -> None:
    desk = Desk(tmp_path, site)
    row = desk.room.take(samples.retry())
    site.patches = {row.first: 41}
    for seen in (False, True):
        with desk.room.store.begin() as session:
            stands.begin(session, row, desk.policy, NOW)
        if seen:
            desk.post(NOW)
        desk.room.stages = {each.finding.rule: "trial" for each in desk.room.report.findings}  # not to be spoken of
        desk.room.draft(row, desk.policy)
        desk.post()
    assert said(desk) == [("pending", "the review goes on"), ("success", "nothing to tell of")]


def test_a_dismissal_puts_it_right_and_is_taken_back(desk: Desk) -> None:
    desk.post()
    ((state, text),) = said(desk)
    with desk.room.store.begin() as session:
        batch = decide(session, told_of(desk), Move.FALSE, ME, SOON, reason="the caller holds the lock").batch
    desk.post(SOON)
    assert said(desk) == [("success", "what was found is settled: false-positive")]
    with desk.room.store.begin() as session:
        undo(session, batch, ME, SOON)
    desk.post(SOON)
    assert said(desk) == [(state, text)]


def test_a_dismissal_before_it_was_set(desk: Desk) -> None:
    with desk.room.store.begin() as session:
        decide(session, told_of(desk), Move.WONTFIX, ME, NOW, reason="by design")
    desk.post()
    assert said(desk) == [("success", "what was found is settled: wontfix")]


def test_what_is_held_is_told_when_a_person_has_confirmed_it(tmp_path: Path, site: Site) -> None:
    desk = Desk(tmp_path, site)
    desk.room.draft(desk.room.take(samples.answered()), desk.policy)
    site.patches = {desk.room.report.series.patches[0].msgid: 41}  # type: ignore[union-attr]
    desk.post()
    assert said(desk) == [("pending", "the review goes on")]
    with desk.room.store.begin() as session:
        decide(session, told_of(desk), Move.CONFIRM, ME, SOON)
    desk.post(SOON)
    ((state, _),) = said(desk)
    assert state == "warning"


def test_what_was_sent_meanwhile_does_not_wait_for_a_person_again(tmp_path: Path, site: Site) -> None:
    desk = Desk(tmp_path, site)
    desk.room.draft(desk.room.take(samples.answered()), desk.policy)
    site.patches = {desk.room.report.series.patches[0].msgid: 41}  # type: ignore[union-attr]
    with desk.room.store.begin() as session:
        decide(session, told_of(desk), Move.CONFIRM, ME, NOW)
    desk.post()
    ((state, _),) = said(desk)
    assert state == "warning"
    with desk.room.store.begin() as session:
        for each in told_of(desk):
            session.findings.change(each, State.SENT, who="send", at=SOON)
        stands.corrected(session, series_of(desk).id, SOON)
    assert desk.post(SOON) == []


def test_a_newer_version_puts_it_right(desk: Desk) -> None:
    desk.post()
    said(desk)
    old = series_of(desk)
    with desk.room.store.begin() as session:
        newer = session.series.put(
            SeriesRow(
                0, "n@x", old.key, 3, old.subject, old.author, "n@x", 1, 1, Life.READY, "", SOON, SOON, "",
            ),
            (),
        )  # fmt: skip
        found = session.series.get(newer)
        assert found is not None
        life.supersede(session, old, found, frozenset(), SOON)
    desk.post(SOON)
    assert said(desk) == [("success", "v3 came")]
    with desk.room.store.begin() as session:  # a decision about the older one tells nobody anything
        decide(session, told_of(desk), Move.CONFIRM, ME, MUCH_LATER)
    assert desk.post(MUCH_LATER) == []


def test_a_newer_version_before_anything_was_set(desk: Desk) -> None:
    with desk.room.store.begin() as session:
        life.mute(session, series_of(desk), "applied already: mainline holds it", NOW)
    assert desk.post() == [] and desk.site.checks == []


def test_a_review_that_fails_for_good(tmp_path: Path, site: Site) -> None:
    desk = Desk(tmp_path, site)
    row = desk.room.take(samples.retry())
    site.patches = {row.first: 41}
    with desk.room.store.begin() as session:
        stands.begin(session, row, desk.policy, NOW)
    desk.post(NOW)
    with desk.room.store.begin() as session:
        failure = ReviewRow(0, row.id, NOW, "1", "", "", "", (), 0.0, "too long")
        life.failed(session, row, failure, pace=Pace(attempts=1), now=NOW)
    desk.post(NOW)
    assert said(desk) == [("pending", "the review goes on"), ("warning", "it could not be reviewed")]


@pytest.mark.parametrize(
    ("cap", "says"), [("hourly_cap = 0\n{}", "hourly_cap = 0"), ("{}daily_cap = 0\n", "list.ring.daily_cap = 0")]
)
def test_caps_hold_for_what_tells_of_something(desk: Desk, cap: str, says: str) -> None:
    tight = policy(cap.format(AUTOMATIC + f'patchwork = "{desk.site.url}"\n'))
    (waits,) = desk.post(made=tight)
    assert waits.what == "waits" and waits.text == f"{says} is reached" and said(desk) == []
    desk.post()
    said(desk)
    with desk.room.store.begin() as session:
        decide(session, told_of(desk), Move.FALSE, ME, SOON, reason="no")
    desk.post(SOON, made=tight)  # what puts it right waits for nothing
    assert [state for state, _ in said(desk)] == ["success"]


def test_checks_count_for_the_caps_as_letters_do(desk: Desk) -> None:
    one = policy(AUTOMATIC + f'patchwork = "{desk.site.url}"\ndaily_cap = 1\n')
    with desk.room.store.begin() as session:
        (check,) = session.checks.to_post()
        for number in (2, 3):
            other = CheckRow(0, f"other{number}@example.org", check.url, "lorelint", "fail", "a text", at=check.at)
            session.checks.put(other)
    desk.site.patches |= {"other2@example.org": 42, "other3@example.org": 43}
    assert sorted(each.what for each in desk.post(made=one)) == ["set", "waits", "waits"]
    assert {each.what for each in desk.post("2026-11-04T09:59:00Z", made=one)} == {"waits"}
    assert sorted(each.what for each in desk.post("2026-11-04T10:00:01Z", made=one)) == ["set", "waits"]
