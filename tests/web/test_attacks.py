"""Attempts on the web face and on who sits before it. Each must fail; what each would win is in its name.

Stored text is tried twice: in the pages as they are sent, and in a real browser, where whatever ran would be seen.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest
from msgspec.structs import replace
from tests.jobs.listing import AT, NOW, Listing, mail_of
from tests.web.conftest import HOST, SERVE, TOKENS, Browser, Small, ask, free_port, served

from lorelint.jobs.outbox import mark
from lorelint.jobs.triage import By, Move, decide
from lorelint.model.feed import Nature
from lorelint.model.store import Letter, LetterRow, Life, PatchRow, ReviewRow, SeriesRow

SCRIPT = "<script>window.owned=1</script>"
QUOTE = "\"'><img src=x onerror=window.owned=1><svg onload=window.owned=1>"
LINK = "javascript:window.owned=1"
TEMPLATE = "{{ 7*191 }}{% raw %}${7*191}#{7*191}"
BIDI = "a\u202eb\u2066c\u200bd\x07e\x1b[31m"
HOSTILE = f"{SCRIPT}{QUOTE}{TEMPLATE}{BIDI}"
# What strangers can write: where it comes from, and the pages it is shown on.
PLACES = (
    "subject", "author", "address", "body", "path", "function", "anchor", "message", "step", "fact", "advice",
    "evidence", "sibling", "source", "fix", "graph", "comment", "quote", "raised", "trouble", "base", "reason",
    "letter", "recipient", "subsystem", "list",
)  # fmt: skip
SHOWN = (
    "/queue?state=all", "/series/1", "/finding/1", "/message?id=hostile@x.example", "/outbox", "/letter/1", "/trail",
    "/status", "/area", "/rule/retry-no-resched", "/queue?q=" + "%3Cscript%3Ewindow.owned%3D1%3C/script%3E",
    "/queue?inbox=%22%3E%3Cscript%3E", "/trail?about=%3Cscript%3Ewindow.owned%3D1%3C/script%3E",
)  # fmt: skip


def at(place: str, where: str) -> str:
    """The text of one place: hostile where that is tried, harmless elsewhere."""
    return HOSTILE if where in (place, "everywhere") else f"plain {place}"


def plant(small: Small, where: str) -> None:
    """A reviewed series, its finding, a letter and a decision, hostile in one place or everywhere."""

    def text(place: str) -> str:
        return at(place, where)

    listing = small.listing
    raw = mail_of("hostile@x.example", "[PATCH] x", text("body"), writer="Ann <ann@author.example>")
    kept = listing.message(raw, Nature.PATCH, inbox=text("list") if where in ("list", "everywhere") else "ring")
    with listing.store.begin() as session:
        row = SeriesRow(
            0, kept.msgid, "key", 1, text("subject"), (text("author"), text("address")), kept.msgid, 1, 1,
            Life.REVIEWED, "", AT, AT, "",
        )  # fmt: skip
        row = replace(row, root=session.mails.root_of(kept.msgid))
        series = session.series.put(row, [PatchRow(kept.msgid, 0, 1, text("subject"), "f" * 40)])
        name = "f" * 16
        session.series.reviewed(
            ReviewRow(
                0, series, AT, "1", text("base"), "c" * 40, "exact", ((text("base"), text("base")),), 1.0,
                report=json.dumps(report(text, kept.msgid, name)).encode(), subsystems=(text("subsystem"),),
                exhibits=((name, json.dumps(exhibit(text, name)).encode()),),
            )
        )  # fmt: skip
        listing.numbers["p"], listing.reviews = series, {"p": 1}
    _decided(listing, text, kept.msgid)


def _decided(listing: Listing, text: Callable[[str], str], msgid: str) -> None:
    (found,) = listing.found("p", "retry-no-resched")
    from lorelint.edge.store import schema

    with listing.store.transaction(writes=True) as connection:
        values = {name: text(name) for name in ("path", "function", "anchor", "message")}
        values |= {"fingerprint": "f" * 16, "patch": msgid}
        connection.execute(schema.FINDINGS.update().where(schema.FINDINGS.c.id == found.id).values(values))
    with listing.store.begin() as session:
        session.outbox.add(
            LetterRow(
                0, msgid, listing.numbers["p"], "letter@bot.example", Letter.HELD, (text("letter"),), text("letter"),
                f"{text('letter')}\n", ((text("recipient"), "ann@author.example"),), (), (), ("ring",), False, AT,
                "1", ("f" * 16,), ("retry-no-resched",), created_at=AT,
            )
        )  # fmt: skip
        decide(session, [found.id], Move.WONTFIX, By("odile"), NOW, reason=text("reason"))
        decide(session, [found.id], Move.REOPEN, By("odile"), NOW, reason=text("reason"))


def report(text: Callable[[str], str], msgid: str, name: str) -> dict[str, Any]:
    about = {"function": text("function"), "path": text("path"), "quote": text("quote")}
    return {
        "findings": [{**finding(text, name), "raised": [{**raised(text), "in": msgid}]}],
        "base": {
            "tree": text("base"), "commit": "c" * 40, "grade": "exact",
            "steps": [{"rung": text("base"), "tried": text("base"), "taken": True, "text": text("base")}],
        },
        "comments": [
            {"in": msgid, "name": text("author"), "role": "reviewer", "text": text("comment"), "about": about}
        ],
        "troubles": [{"kind": text("trouble"), "where": text("path"), "text": text("trouble")}],
        "failures": [{"rule": "r", "path": text("path"), "function": text("function"), "text": text("trouble")}],
        "unseen": [{"kind": "skipped", "path": text("path"), "line": 1, "text": text("trouble")}],
        "coverage": {"files": 1, "functions": 1, "degraded": 0, "rules": ["r"]},
    }  # fmt: skip


def raised(text: Callable[[str], str]) -> dict[str, Any]:
    return {"in": "x@y", "name": text("raised"), "sure": True, "words": [text("raised")]}


def finding(text: Callable[[str], str], name: str) -> dict[str, Any]:
    return {
        "fingerprint": name, "rule": "retry-no-resched", "because": text("evidence"),
        "steps": [{"path": text("path"), "line": 3, "text": text("step")}], "facts": [text("fact")],
        "advice": text("advice"), "evidence": [text("evidence")], "raised": [raised(text)],
        "siblings": [{"path": text("path"), "line": 1, "function": text("function"), "text": text("sibling")}],
        "fix": {"path": text("path"), "text": text("fix"), "edits": [{"line": 3, "lines": [text("fix")]}]},
    }  # fmt: skip


def exhibit(text: Callable[[str], str], name: str) -> dict[str, Any]:
    nodes = [
        {
            "id": f"{at}", "kind": text("graph") if at else "function", "name": text("graph"), "path": text("graph"),
            "line": 1, "part": "", "root": not at, "api": "", "entry": text("graph"), "note": text("graph"),
        }
        for at in range(2)
    ]  # fmt: skip
    edge = {"source": "0", "target": "1", "kind": "bind", "path": text("graph"), "line": 1, "count": 1}
    curve = [[0, 0], [1, 1], [2, 2], [3, 3]]
    return {
        "finding": finding(text, name),
        "pieces": [{"path": text("path"), "lines": [["+", 3, text("source")], ["-", 0, text("source")]]}],
        "graph": {
            "title": text("graph"), "nodes": nodes, "edges": [{**edge, "label": text("graph"), "sure": True}],
            "cuts": [{"node": "0", "text": text("graph")}],
            "layout": {"size": [100, 100], "spots": [[10, 10, 5, 5], [50, 50, 5, 5]], "curves": [curve]},
        },
    }  # fmt: skip


class Seen(HTMLParser):
    """All that a browser would act on."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.scripts = 0
        self.handlers: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        named = dict(attrs)
        self.scripts += tag == "script" and "src" not in named
        self.handlers += [name for name in named if name.startswith("on") or name == "style"]
        self.addresses += [named[name] or "" for name in ("href", "src", "action", "formaction") if name in named]


@pytest.mark.parametrize("where", PLACES)
def test_stored_text_stays_text(small: Small, where: str) -> None:
    plant(small, where)
    me = small.as_("releaser")
    met = 0
    for path in SHOWN:
        answer = me.get(path)
        assert answer.status_code == 200, (path, answer.text[-300:])
        seen = Seen()
        seen.feed(answer.text)
        assert not seen.scripts and not seen.handlers and "img" not in seen.tags, (path, where)
        assert all(re.match(r"/(?!/)|#|\?", each) for each in seen.addresses), (path, seen.addresses)
        assert "1337" not in answer.text, (path, where)  # 7 * 191: a template was worked out
        # Whatever is no input shows bidi and control characters instead of obeying them.
        shown = re.sub(r"(?s)<textarea.*?</textarea>", "", answer.text)
        assert not re.search("[\u202e\u2066\u200b\x07\x1b]", shown), (path, where)
        met += "&lt;script&gt;window.owned=1" in answer.text.replace(html.escape("'"), "'")
    assert met, f"nothing of {where} was shown: it was not tried"


def test_nothing_of_it_runs_in_a_browser(small: Small, chromium: Any) -> None:
    plant(small, "everywhere")
    port = free_port()
    with served(small.face(hosts=frozenset({f"127.0.0.1:{port}"}), alone="odile"), port) as base:
        context = chromium.new_context()
        page = context.new_page()
        told: list[str] = []
        page.on("console", lambda message: told.append(message.text))
        page.goto(f"{base}/login")
        page.fill("#token", "r" * 30)
        page.click("button")
        for path in SHOWN:
            page.goto(base + path)
            assert page.evaluate("window.owned") is None, path
            assert page.locator("h1").count() >= 1, path
        assert not [each for each in told if "Content Security Policy" in each], told
        # And were a template to forget it all, the browser would not run it either.
        page.evaluate("document.body.append(Object.assign(document.createElement('script'), {text: 'window.owned=1'}))")
        page.evaluate("document.querySelector('h1').setAttribute('onclick', 'window.owned=1')")
        page.locator("h1").first.click()
        assert page.evaluate("window.owned") is None
        assert len([each for each in told if "Content Security Policy" in each]) >= 2, told
        context.close()


# -- changes that somebody else asks for


FORMS = (
    ("/finding/1", {"move": "confirm"}),
    ("/queue/decide", {"move": "confirm", "series": "1"}),
    ("/undo", {}),
    ("/views", {"name": "x", "query": "state=sent"}),
    ("/area", {"own": "ring"}),
    ("/letter/1/edit", {"body": "x"}),
    ("/letter/1/release", {}),
    ("/letter/1/drop", {"reason": "x"}),
    ("/logout", {}),
)


@pytest.fixture
def filled(small: Small) -> Small:
    small.listing.series("p1")
    small.listing.found("p1", "retry-no-resched")
    small.listing.letter("p1", Letter.HELD)
    return small


def everything(small: Small) -> str:
    """The whole store, to see that nothing of it changed."""
    from lorelint.edge.store.schema import METADATA

    with small.listing.store.transaction() as connection:
        return "\n".join(str(row) for table in METADATA.sorted_tables for row in connection.execute(table.select()))


@pytest.mark.parametrize(("path", "fields"), FORMS)
@pytest.mark.parametrize(
    "how", ["no word", "wrong word", "word of another", "elsewhere", "other site", "no form", "GET"]
)
def test_forged_requests_change_nothing(filled: Small, path: str, fields: dict[str, str], how: str) -> None:
    me = filled.as_("releaser")
    csrf, other = me.csrf(), filled.as_("releaser").csrf()
    before = everything(filled)
    sent: dict[str, Any] = {"data": {"csrf": csrf, **fields}}
    headers: dict[str, str] = {}
    match how:
        case "no word":
            sent = {"data": fields}
        case "wrong word":
            sent = {"data": {"csrf": csrf[:-1] + "x", **fields}}
        case "word of another":
            sent = {"data": {"csrf": other, **fields}}
        case "elsewhere":
            headers = {"origin": "https://evil.example"}
        case "other site":
            headers = {"sec-fetch-site": "cross-site"}
        case "no form":
            sent = {"json": {"csrf": csrf, **fields}}
        case "GET":
            answer = me.ask("GET", path, params={"csrf": csrf, **fields})
            assert everything(filled) == before and answer.status_code in (200, 405)
            return
    answer = me.ask("POST", path, headers=headers, **sent)
    assert answer.status_code == 403 and everything(filled) == before
    # The very same request with nothing wrong about it is heard.
    assert me.ask("POST", path, data={"csrf": csrf, **fields}).status_code != 403


def test_cookies_are_for_nobody_else(filled: Small) -> None:
    answer = Browser(filled.app).ask("POST", "/login", data={"token": "r" * 30})
    kept = answer.headers["set-cookie"]
    assert "HttpOnly" in kept and "SameSite=Lax" in kept and "Path=/" in kept and "Domain" not in kept
    assert "Secure" not in kept
    behind = Browser(filled.face(secure=True)).ask("POST", "/login", data={"token": "r" * 30})
    assert "Secure" in behind.headers["set-cookie"]


def test_session_fixation(filled: Small) -> None:
    """A key that somebody else has put into the browser is not the one that is let in."""
    victim = Browser(filled.app)
    victim.cookies = {"lorelint": "planted-by-somebody-else-000000000000000"}
    victim.enter("releaser")
    assert victim.cookies["lorelint"] != "planted-by-somebody-else-000000000000000"
    attacker = Browser(filled.app)
    attacker.cookies = {"lorelint": "planted-by-somebody-else-000000000000000"}
    assert attacker.get("/queue").status_code == 303
    # Neither is one that was somebody's own: who comes in gets a new one, and the old one is nobody's.
    low = filled.as_("viewer")
    old = dict(low.cookies)
    low.enter("releaser")
    assert low.cookies != old
    low.cookies = old
    assert low.get("/queue").status_code == 303


AWAY = (
    "https://evil.example/", "//evil.example/", "/\\evil.example", "\\\\evil.example", "/%2f/evil.example",
    "javascript:alert(1)", " /queue", "/queue\r\nSet-Cookie: a=b", "/queue\nx: y", "http:evil.example", "/./\t/evil",
    "/queue//evil.example", "//127.0.0.1:8080@evil.example/", "/" + "a" * 5_000, "///evil.example", "/@evil.example",
)  # fmt: skip


@pytest.mark.parametrize("back", AWAY)
def test_open_redirect(filled: Small, back: str) -> None:
    answer = filled.as_("triager").post("/finding/1", move="confirm", back=back)
    assert answer.status_code == 303
    assert re.fullmatch(r"/(queue|finding/1)\?done=\d+", answer.headers["location"]), answer.headers["location"]


@pytest.mark.parametrize("to", AWAY)
def test_open_redirect_at_the_door(filled: Small, to: str) -> None:
    """Coming in leads to no other place, whether the address or the form says where."""
    stranger = Browser(filled.app)
    page = stranger.ask("GET", "/login", params={"next": to})
    assert re.findall(r'name="next" value="([^"]*)"', page.text) == ["/queue"]
    answer = stranger.ask("POST", "/login", data={"token": TOKENS["viewer"], "next": to})
    assert (answer.status_code, answer.headers["location"]) == (303, "/queue")
    alone = Browser(filled.face(tokens={"a" * 30: "odile"}, alone="odile"))
    answer = alone.ask("GET", "/login", params={"token": "a" * 30, "next": to})
    assert (answer.status_code, answer.headers["location"]) == (303, "/queue")


FILES = (
    "/static/../people.py", "/static/..%2fpeople.py", "/static/%2e%2e/%2e%2e/config.py", "/static//etc/passwd",
    "/static/....//people.py", "/static/app.css/../../people.py", "/static/%00app.css", "/static/..\\people.py",
    "/static/", "/static/app.css%00.js", "/static/../../../../../../etc/passwd", "/rule/../../etc/passwd",
    "/rule/..%2f..%2fetc%2fpasswd", "/rule/%2fetc%2fpasswd", "/letter/../status", "/finding/1%2f..%2f..",
    "/message?id=../../../../etc/passwd", "/message?id=%00", "/message?id=/etc/passwd",
)  # fmt: skip


@pytest.mark.parametrize("path", FILES)
def test_path_traversal(filled: Small, path: str) -> None:
    answer = filled.as_("viewer").get(path)
    if answer.status_code == 200:
        assert path == "/letter/../status" and "<h1>Status" in answer.text  # a path of ours, spelt in a roundabout way
        return
    assert answer.status_code in (303, 404)
    assert "root:" not in answer.text and "import " not in answer.text


INSIDE = (
    "http://127.0.0.1:{port}/secret",
    "//127.0.0.1:{port}/secret",
    "file:///etc/passwd",
    "gopher://127.0.0.1:{port}/",
)


@pytest.mark.parametrize("address", INSIDE)
def test_ssrf(filled: Small, address: str) -> None:
    """Whatever field an address stands in, nothing here goes and asks: no connection is made."""
    import socket

    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listening.settimeout(0.2)
        address = address.format(port=listening.getsockname()[1])
        me = filled.as_("releaser")
        for path in ("/message", "/queue", "/trail", "/outbox"):
            for name in ("id", "q", "about", "after", "before", "inbox", "rule", "state", "url"):
                answer = me.get(path, params={name: address})
                assert answer.status_code in (200, 404) and "root:" not in answer.text
        me.post("/finding/1", move="wontfix", reason=address, back=address)
        me.post("/views", name=address, query=address)
        me.post("/area", own=address)
        me.post("/letter/1/edit", seen=mark("body"), body=f"> x\n\n{address}\n")
        me.post("/letter/1/drop", reason=address)
        for path in ("/finding/1", "/letter/1", "/queue", "/trail", "/area", "/letter/1/raw"):
            assert address not in re.findall(r'(?:src|href)="([^"]*)"', me.get(path).text)
        with pytest.raises(TimeoutError):
            listening.accept()


def test_addresses_in_mails_are_shown_and_lead_nowhere(small: Small) -> None:
    raw = mail_of(
        "m@x.example", "[PATCH] x", "see https://evil.example/login and javascript:x", writer="A <a@x.example>"
    )
    small.listing.message(raw, Nature.PATCH)
    page = small.as_("viewer").get("/message?id=m@x.example").text
    assert "https://evil.example/login" in page and "evil.example" not in "".join(re.findall(r'href="[^"]*"', page))


# -- whom it listens to


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1:9999", "127.0.0.1", "", "localhost.evil.example:8080"])
def test_names_that_lead_here_and_are_not_ours(filled: Small, host: str) -> None:
    """DNS rebinding: a page elsewhere whose name was made to mean this machine."""
    me = filled.as_("releaser")
    assert me.get("/queue", headers={"host": host}).status_code == 421
    assert me.ask("POST", "/finding/1", headers={"host": host}, data={"csrf": "x"}).status_code == 421


def test_every_answer_forbids_what_pages_do_not_need(filled: Small) -> None:
    me = filled.as_("releaser")
    answers = [
        me.get(path) for path in ("/queue", "/nowhere", "/static/app.js", "/static/no", "/finding/77", "/letter/1/raw")
    ]
    answers += [Browser(filled.app).get("/login"), Browser(filled.app).get("/queue"), me.post("/undo", csrf="x")]
    answers += [me.get("/queue", headers={"host": "evil.example"}), me.ask("DELETE", "/queue"), me.post("/logout")]
    for answer in answers:
        policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
        assert policy["default-src"] == "'none'" and policy["frame-ancestors"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["form-action"] == "'self'"
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["x-content-type-options"] == "nosniff" and answer.headers["x-frame-options"] == "DENY"
        assert "server" not in answer.headers


class TestBehindAProxy:
    """The identity header is believed from the proxy alone, and is looked at in each request."""

    @pytest.fixture
    def face(self, filled: Small) -> Any:
        return filled.face(header="x-remote-user", tokens={}, settings=replace_settings(("10.9.8.7",)))

    def test_nobody_is_nobody(self, face: Any) -> None:
        me = Browser(face)
        assert me.get("/queue").status_code == 403
        assert me.get("/login").status_code == 403
        for name in ("", "somebody else", "a\u202eb", "../x", "x" * 200, "<script>", "nobody"):
            assert me.get("/queue", headers={"x-remote-user": name.encode()}).status_code == 403
        two = [("x-remote-user", "viewer"), ("x-remote-user", "releaser")]
        assert me.get("/queue", headers=two).status_code == 403

    def test_a_session_is_the_proxys_word(self, face: Any) -> None:
        me = Browser(face)
        assert me.get("/queue", headers={"x-remote-user": "releaser"}).status_code == 200
        shown = me.get("/area", headers={"x-remote-user": "releaser"}).text
        assert "/logout" not in shown  # it is not for us to let anybody out
        word = csrf_of(shown)
        # The same browser, and the proxy says it is another now: the session is not his, nor is its word.
        form = {"csrf": word, "move": "confirm"}
        assert me.ask("POST", "/finding/1", data=form, headers={"x-remote-user": "triager"}).status_code == 403
        assert me.get("/login", headers={"x-remote-user": "viewer"}).status_code == 404

    @pytest.mark.parametrize(("peer", "code"), [("10.9.8.7", 200), ("127.0.0.1", 200), ("10.9.8.8", 403), ("x", 403)])
    def test_only_the_proxy_is_listened_to(self, face: Any, peer: str, code: int) -> None:
        import httpx

        async def asked() -> int:
            transport = httpx.ASGITransport(face, client=(peer, 1))
            async with httpx.AsyncClient(transport=transport, base_url=f"http://{HOST}") as client:
                return (await client.get("/queue", headers={"x-remote-user": "viewer"})).status_code

        assert ask(asked()) == code


def replace_settings(proxies: tuple[str, ...]) -> Any:
    return replace(SERVE, proxies=proxies)


def csrf_of(page: str) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', page)
    assert found
    return found[1]


def test_too_much_at_once(filled: Small) -> None:
    me = filled.as_("releaser")
    assert me.post("/letter/1/edit", body="x" * 600_000).status_code == 413
    assert me.ask("POST", "/undo", data={"csrf": me.csrf(), **{f"a{n}": "" for n in range(3_000)}}).status_code == 403

    assert me.ask("POST", "/undo", content=achunks(), headers={"content-type": FORM}).status_code == 413


FORM = "application/x-www-form-urlencoded"


async def achunks():
    """A body that does not say how long it is."""
    yield b"csrf=x"


def test_a_bug_of_ours_tells_no_secrets(filled: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*given: object) -> None:
        raise RuntimeError("secret text")

    monkeypatch.setattr(filled.outpost, "rule_pages", broken)
    answer = filled.as_("viewer").get("/rules", raises=False)
    assert answer.status_code == 500 and "secret" not in answer.text and "Traceback" not in answer.text
    assert "content-security-policy" in answer.headers


def test_no_page_can_send(filled: Small) -> None:
    """Nothing of the face, nor of what it is built on for a page, knows a mail server: a released letter waits."""
    with filled.listing.store.begin() as session:
        session.outbox.change(1, Letter.RELEASED, was=Letter.HELD, at=NOW, who="releaser")
    me = filled.as_("releaser")
    before = everything(filled)
    for path in ("/letter/1/send", "/send", "/outbox/send"):
        assert me.get(path).status_code == 404 and me.post(path).status_code == 404
    assert everything(filled) == before
    with filled.listing.store.look() as session:
        assert session.outbox.get(1).state is Letter.RELEASED
