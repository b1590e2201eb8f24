"""Coming in with a token, and leaving."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from lorelint.web import render
from lorelint.web.guard import cookie, gone
from lorelint.web.people import Role, User, holder
from lorelint.web.visit import Place, Visit, guard_of

PAUSE = 0.5  # seconds after a wrong token
_MOST = 4_096  # bytes of the form


def come_in(place: Place) -> Callable[[Request], Awaitable[Response]]:
    """The page that takes tokens. In an address it takes only that of who started this, as the command prints it."""

    async def answer(request: Request) -> Response:
        token = ""
        if request.method == "POST":
            raw = (await request.body())[:_MOST].decode("utf-8", "replace")
            token = dict(parse_qsl(raw, max_num_fields=10)).get("token", "").strip()
        elif place.door.alone:
            token = request.query_params.get("token", "")
        if not token:
            return _page(200, "")
        name = holder(token, place.door.tokens)
        role = place.door.role(name) if name else Role.NOBODY
        if role is Role.NOBODY:
            await asyncio.sleep(PAUSE)
            return _page(403, "This is nobody's token." if not name else f"{name} may not look.")
        guard = guard_of(request)
        guard.sessions.end(request.state.key)
        key = guard.sessions.start(User(name, role), guard.clock())
        return RedirectResponse("/queue", 303, {"set-cookie": cookie(key, place.door.secure)})

    return answer


def _page(code: int, wrong: str) -> Response:
    return HTMLResponse(render.page("login.html", {"wrong": wrong}), code)


def leave(visit: Visit) -> Response:
    """End the session of this browser."""
    visit.leave()
    return RedirectResponse("/login", 303, {"set-cookie": gone(visit.place.door.secure)})
