"""What watches the face: whether it lives, whether it can answer, numbers for Prometheus, and a line for each request.

Outermost, before anybody is asked who he is. `/healthz` and `/readyz` tell nothing but yes or no. `/metrics` takes the
token of somebody who may look (`Authorization: Bearer TOKEN`); a browser that has come in sees it as a page.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lorelint import __version__
from lorelint.model.errors import LorelintError
from lorelint.web.people import Role, holder

if TYPE_CHECKING:
    from lorelint.web.guard import Door
    from lorelint.web.visit import Place, Visit

Say = Callable[..., None]
LIVES, READY, METRICS = "/healthz", "/readyz", "/metrics"
QUIET = (LIVES, READY, METRICS, "/static/")  # paths that are asked all day, and told of where they fail
_FORMAT = "text/plain; version=0.0.4; charset=utf-8"
_HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


class Watched:
    """The application, watched. `say` takes a line of the log, as ``say(event, name=value, ...)``."""

    def __init__(self, app: ASGIApp, place: Place, say: Say) -> None:
        self.app = app
        self.place = place
        self.say = say
        self.requests = Requests()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start, code = time.monotonic(), [500]

        async def answered(message: Message) -> None:
            if message["type"] == "http.response.start":
                code[0] = message["status"]
            await send(message)

        scope.setdefault("state", {})["requests"] = self.requests
        try:
            own = await self._own(scope)
            await (own or self.app)(scope, receive, answered)
        finally:
            self._told(scope, code[0], time.monotonic() - start)

    async def _own(self, scope: Scope) -> Response | None:
        """The answers that no page gives."""
        if scope["method"] not in ("GET", "HEAD"):
            return None
        if scope["path"] == LIVES:
            return PlainTextResponse("yes\n", headers=_HEADERS)
        if scope["path"] == READY:
            return await run_in_threadpool(self._ready)
        if scope["path"] == METRICS and _bearer(scope, self.place.door):
            return await run_in_threadpool(metrics_of, self.place, self.requests)
        return None

    def _ready(self) -> Response:
        try:
            with self.place.outpost.store.look() as session:
                session.notes.get("ready")
        except LorelintError as error:
            self.say("error", text=str(error))
            return PlainTextResponse("no\n", 503, headers=_HEADERS)
        return PlainTextResponse("yes\n", headers=_HEADERS)

    def _told(self, scope: Scope, code: int, seconds: float) -> None:
        self.requests.count(scope["method"], code, seconds)
        if code < 500 and scope["path"].startswith(QUIET):
            return
        session = scope["state"].get("session")
        who = session.user.name if session else ""
        path = scope["path"][:300]  # and not what is asked of it: a token may stand there
        took = round(seconds, 3)
        self.say("request", ok=code < 500, method=scope["method"], path=path, status=code, seconds=took, who=who)


def show(visit: Visit) -> Response:
    """The numbers, for whoever may look."""
    return metrics_of(visit.place, visit.requests)


def metrics_of(place: Place, requests: Requests | None) -> Response:
    """The store's numbers, as they were at most a minute ago, and this process's own."""
    try:
        from lorelint.report.metrics import exposition

        text = exposition(place.status(), __version__) + (requests.text() if requests is not None else "")
    except ModuleNotFoundError:
        return PlainTextResponse("what metrics stand on is missing: install lorelint[metrics]\n", 501)
    except LorelintError as error:
        return PlainTextResponse(f"the store fails: {error}\n", 503, headers=_HEADERS)
    return PlainTextResponse(text, headers={**_HEADERS, "content-type": _FORMAT})


def _bearer(scope: Scope, door: Door) -> bool:
    """Whether the request has the token of somebody who may look."""
    kind, _, token = Headers(scope=scope).get("authorization", "").partition(" ")
    name = holder(token.strip()[:1_000], door.tokens) if kind.lower() == "bearer" and token.strip() else ""
    return bool(name) and door.role(name) >= Role.VIEWER


class Requests:
    """Requests counted, and what this process takes; nothing where prometheus_client is not installed."""

    def __init__(self) -> None:
        self._count: Any = None
        try:
            from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
        except ModuleNotFoundError:
            return
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        labels = ("method", "status")
        self._count = Counter("lorelint_http_requests", "Requests of browsers.", labels, registry=self._registry)
        self._took = Histogram("lorelint_http_seconds", "What they took.", registry=self._registry)

    def count(self, method: str, code: int, seconds: float) -> None:
        if self._count is not None:
            known = method if method in ("GET", "HEAD", "POST") else "other"
            self._count.labels(known, str(code)).inc()
            self._took.observe(seconds)

    def text(self) -> str:
        from prometheus_client import generate_latest

        return generate_latest(self._registry).decode()
