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
from lorelint.web.visit import Place, Visit, guard_of, local

PAUSE = 0.5  # seconds after a wrong token
_MOST = 4_096  # bytes of the form


def come_in(place: Place) -> Callable[[Request], Awaitable[Response]]:
    """The page that takes tokens, and leads to the page that was asked for.

    In an address it takes only the token of who started this, as the command prints it.
    """

    async def answer(request: Request) -> Response:
        token, to = "", local(request.query_params.get("next", ""), "/queue")
        if request.method == "POST":
            raw = (await request.body())[:_MOST].decode("utf-8", "replace")
            form = dict(parse_qsl(raw, max_num_fields=10))
            token, to = form.get("token", "").strip(), local(form.get("next", ""), "/queue")
        elif place.door.alone:
            token = request.query_params.get("token", "")
        if not token:
            return _page(200, "", to)
        name = holder(token, place.door.tokens)
        role = place.door.role(name) if name else Role.NOBODY
        if role is Role.NOBODY:
            await asyncio.sleep(PAUSE)
            return _page(403, "This is nobody's token." if not name else f"{name} may not look.", to)
        guard = guard_of(request)
        guard.sessions.end(request.state.key)
        key = guard.sessions.start(User(name, role), guard.clock())
        return RedirectResponse(to, 303, {"set-cookie": cookie(key, place.door.secure)})

    return answer


def _page(code: int, wrong: str, to: str) -> Response:
    return HTMLResponse(render.page("login.html", {"wrong": wrong, "next": to}), code)


def leave(visit: Visit) -> Response:
    """End the session of this browser."""
    visit.leave()
    return RedirectResponse("/login", 303, {"set-cookie": gone(visit.place.door.secure)})
