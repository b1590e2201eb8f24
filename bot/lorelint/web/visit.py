"""One request: who asks, what he sent, the store, and the ways to answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from msgspec import Struct, field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from lorelint.model.errors import LorelintError
from lorelint.model.regex import regex
from lorelint.model.store import Letter
from lorelint.web import render
from lorelint.web.guard import LARGEST, LONGEST, Door, Guard, same
from lorelint.web.people import Role, User

if TYPE_CHECKING:
    from lorelint.model.status import Status
    from lorelint.model.store import Session
    from lorelint.outpost import Outpost
    from lorelint.web.watch import Requests

FIELDS = 2_000  # of one form
_HERE = regex(r"/(?:[A-Za-z0-9][A-Za-z0-9/_.-]*)?(?:\?[A-Za-z0-9%&=+._~*-]*)?")
_JUST = ("done",)  # of a query: what was just done is told once
_NUMBER = regex(r"[0-9]{1,9}")


class Place(Struct, frozen=True):
    """What all requests share. `now` is the time, RFC 3339 in UTC."""

    outpost: Outpost
    door: Door
    now: Callable[[], str]
    known: list[Status] = field(default_factory=list)  # how it stood a while ago

    def status(self) -> Status:
        """How it stands, or stood at most a minute ago: to count all mails takes too long for a page."""
        return self.known[0] if self.known else self.look_round()

    def look_round(self) -> Status:
        self.known[:] = [self.outpost.status(self.now())]
        return self.known[0]


class NotFound(Exception):
    """What was asked for is not there."""


class Refused(Exception):
    """It may not be done, and why."""


class Visit(Struct):
    """One request of somebody."""

    place: Place
    user: User
    csrf: str
    path: str
    asked: Mapping[str, str]  # the query, the last of each name
    names: Mapping[str, str]  # out of the path
    now: str
    leave: Callable[[], None]
    requests: Requests | None = None  # counted so far
    form: list[tuple[str, str]] = field(default_factory=list)

    @property
    def outpost(self) -> Outpost:
        return self.place.outpost

    def look(self) -> AbstractContextManager[Session]:
        return self.outpost.store.look()

    def begin(self) -> AbstractContextManager[Session]:
        return self.outpost.store.begin()

    @property
    def here(self) -> str:
        """The address of this page, with all that was asked of it but what was just done."""
        asked = render.query({key: value for key, value in self.asked.items() if key not in _JUST})
        return f"{self.path}?{asked}" if asked else self.path

    def number(self, name: str = "id") -> int:
        """A number out of the path."""
        text = self.names.get(name, "")
        if not _NUMBER.fullmatch(text):
            raise NotFound
        return int(text)

    def sent(self, name: str) -> str:
        """A field of the form, "" for none."""
        return next((value for key, value in self.form if key == name), "")

    def all_sent(self, name: str) -> list[int]:
        """Numbers of one name in the form."""
        return [int(value) for key, value in self.form if key == name and _NUMBER.fullmatch(value)]

    def may(self, role: Role) -> bool:
        return self.user.role >= role

    def show(self, session: Session | None, template: str, *, code: int = 200, **values: Any) -> Response:
        """A page. `session` tells what the head of each page counts; None: nothing is counted."""
        shared = {
            "me": self.user,
            "leaves": not self.place.door.header,  # a proxy lets people in, and out
            "csrf": self.csrf,
            "now": self.now,
            "path": self.path,
            "here": self.here,
            "triager": self.may(Role.TRIAGER),
            "releaser": self.may(Role.RELEASER),
            "badges": _badges(session) if session is not None else {},
            "flash": _flash(session, self) if session is not None else None,
        }
        return HTMLResponse(render.page(template, {**shared, **values}), code)

    def back(self, otherwise: str = "/queue", **more: object) -> Response:
        """To the page of ours that the form names, else to another of ours; `more` is added to its query."""
        to = local(self.sent("back"), otherwise)
        path, _, query = to.partition("?")
        values = {key: value for key, value in parse_qsl(query, max_num_fields=50) if key not in _JUST}
        query = render.query(values, **more)
        return RedirectResponse(f"{path}?{query}" if query else path, 303)


def local(to: str, otherwise: str) -> str:
    """A path of this place, and nothing that a browser could take for another's."""
    return to if len(to) < LONGEST and _HERE.fullmatch(to) and "//" not in to.partition("?")[0] else otherwise


def _badges(session: Session) -> dict[str, int]:
    """What waits: series in the queue, letters that are held."""
    states = {count.value: count.every for count in session.queue.counts("state")}
    held = dict(session.outbox.counts()).get(Letter.HELD.value, 0)
    return {"queue": states.get("open", 0), "outbox": held}


class Flash(Struct, frozen=True):
    """What was just done: told once, and taken back from there."""

    batch: int
    count: int
    move: str
    undone: str


def _flash(session: Session, visit: Visit) -> Flash | None:
    """The page is told a number alone; what it says stands in the store."""
    batch = visit.asked.get("done", "")
    if not _NUMBER.fullmatch(batch):
        return None
    changes = [change for change in session.steps.of_batch(int(batch)) if change.who == visit.user.name]
    if not changes:
        return None
    first = changes[0]
    return Flash(first.batch, len(changes), first.move, first.undone)


Page = Callable[[Visit], Response]


def asked(place: Place, page: Page, *, role: Role = Role.VIEWER) -> Callable[[Request], Awaitable[Response]]:
    """A page as Starlette asks for it: `role` may see it, and where it changes something, the form is looked at."""

    async def answer(request: Request) -> Response:
        session = request.state.session
        user = session.user if session else User("", Role.NOBODY)
        visit = Visit(
            place=place,
            user=user,
            csrf=session.csrf if session else "",
            path=request.url.path,
            asked=dict(request.query_params),
            names={key: str(value) for key, value in request.path_params.items()},
            now=place.now(),
            leave=lambda: guard_of(request).sessions.end(request.state.key),
            requests=getattr(request.state, "requests", None),
        )
        if user.role < role:
            return _wrong(visit, 403, f"this takes a {role.shown}; {user.name or 'nobody'} is a {user.role.shown}")
        if request.method == "POST":
            visit.form = await _form(request)
            if not same(visit.sent("csrf"), session):
                return _wrong(visit, 403, "the form is of another session: load the page again, and send it anew")
        return await run_in_threadpool(_answer, visit, page)

    return answer


def _answer(visit: Visit, page: Page) -> Response:
    try:
        return page(visit)
    except NotFound:
        return _wrong(visit, 404, "there is no such page")
    except Refused as refused:
        return _wrong(visit, 409, str(refused))
    except LorelintError as error:
        return _wrong(visit, 409, str(error))


def _wrong(visit: Visit, code: int, text: str) -> Response:
    return visit.show(None, "wrong.html", code=code, title=_TITLES.get(code, "It was not done"), text=text)


_TITLES = {403: "Not allowed", 404: "Not here", 409: "It was not done"}


async def _form(request: Request) -> list[tuple[str, str]]:
    """The fields of a form, in order; nothing for what is none, or is too large."""
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return []
    raw = bytearray()
    async for part in request.stream():
        raw += part
        if len(raw) > LARGEST:
            return []
    try:
        return parse_qsl(raw.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=FIELDS)
    except ValueError:
        return []


def guard_of(request: Request) -> Guard:
    found: Guard = request.state.guard
    return found
