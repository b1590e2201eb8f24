"""The application: which page answers what."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from lorelint.jobs.triage import wake
from lorelint.outpost import Outpost
from lorelint.web import render, watch
from lorelint.web.guard import Door, Guard, Proxied
from lorelint.web.pages import entrance, finding, outbox, queue, rules, series, status
from lorelint.web.people import Role
from lorelint.web.visit import Page, Place, asked
from lorelint.web.watch import Say, Watched

WAKE = 60.0  # seconds between two looks at what was put off

# (path, method, page, who may)
_PAGES: tuple[tuple[str, str, Page, Role], ...] = (
    ("/queue", "GET", queue.show, Role.VIEWER),
    ("/queue/decide", "POST", queue.decide, Role.TRIAGER),
    ("/views", "POST", queue.keep_view, Role.VIEWER),
    ("/area", "GET", queue.area, Role.VIEWER),
    ("/area", "POST", queue.set_area, Role.VIEWER),
    ("/series/{id}", "GET", series.show, Role.VIEWER),
    ("/message", "GET", series.message, Role.VIEWER),
    ("/finding/{id}", "GET", finding.show, Role.VIEWER),
    ("/finding/{id}", "POST", finding.decide, Role.TRIAGER),
    ("/undo", "POST", finding.undo, Role.TRIAGER),
    ("/outbox", "GET", outbox.show, Role.VIEWER),
    ("/letter/{id}", "GET", outbox.letter, Role.VIEWER),
    ("/letter/{id}/raw", "GET", outbox.raw, Role.VIEWER),
    ("/letter/{id}/edit", "POST", outbox.edit, Role.RELEASER),
    ("/letter/{id}/release", "POST", outbox.release, Role.RELEASER),
    ("/letter/{id}/drop", "POST", outbox.drop, Role.RELEASER),
    ("/rules", "GET", rules.index, Role.VIEWER),
    ("/rule/{name}", "GET", rules.show, Role.VIEWER),
    ("/lists", "GET", status.lists, Role.VIEWER),
    ("/status", "GET", status.show, Role.VIEWER),
    ("/trail", "GET", status.trail, Role.VIEWER),
    (watch.METRICS, "GET", watch.show, Role.VIEWER),
    ("/help", "GET", status.help, Role.VIEWER),
    ("/logout", "POST", entrance.leave, Role.VIEWER),
)


def application(
    outpost: Outpost, door: Door, now: Callable[[], str], say: Say = lambda event, **facts: None
) -> ASGIApp:
    """The whole face on a store, ready for a server. `say` takes a line of the log for each request."""
    place = Place(outpost, door, now)
    routes = [Route("/", _home), Route("/static/{name}", _static)]
    routes += [Route("/login", entrance.come_in(place), methods=["GET", "POST"])]
    routes += [Route(path, asked(place, page, role=role), methods=[method]) for path, method, page, role in _PAGES]
    if door.header:
        routes = [route for route in routes if route.path not in ("/login", "/logout")]

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        waker = asyncio.create_task(_wake(place))
        try:
            yield
        finally:
            waker.cancel()

    made = Starlette(routes=routes, lifespan=lifespan, exception_handlers={404: _missing, 405: _missing, 500: _broken})
    guarded: ASGIApp = Guard(made, door)
    outside = Proxied(guarded, door.settings.proxies) if door.header else guarded
    return Watched(outside, place, say)


async def _wake(place: Place) -> None:
    """What was put off is opened again when its time has come, and how it stands is looked at anew."""
    while True:
        with contextlib.suppress(Exception):  # the next look may do better; the status tells what is wrong
            await run_in_threadpool(_woken, place)
        await asyncio.sleep(WAKE)


def _woken(place: Place) -> None:
    now = place.now()
    place.look_round()
    with place.outpost.store.look() as session:
        due = session.steps.asleep(now, 1)
    if due:
        with place.outpost.store.begin() as session:
            wake(session, now)


async def _home(request: Request) -> Response:
    return RedirectResponse("/queue", 303)


async def _static(request: Request) -> Response:
    found = render.static().get(request.path_params["name"])
    if found is None:
        return PlainTextResponse("there is no such file\n", 404)
    return Response(
        found[0], headers={"content-type": found[1], "cache-control": "public, max-age=31536000, immutable"}
    )


async def _missing(request: Request, error: Exception) -> Response:
    return PlainTextResponse("there is no such page\n", getattr(error, "status_code", 404))


async def _broken(request: Request, error: Exception) -> Response:
    return PlainTextResponse("this is a bug in lorelint; what is wrong stands in its log\n", 500)
