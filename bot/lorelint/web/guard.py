"""What every request has to pass, and what every answer carries: before any page is asked, and whatever it answers.

A browser is let in where the Host it names is ours (a name of somebody else's that leads here is not), and a change
is taken only with the word of a form of ours, from a page of ours. Answers forbid all that pages do not need.
"""

from __future__ import annotations

import hmac
import ipaddress
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

from msgspec import Struct, field
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lorelint.config import ServeConfig
from lorelint.web.people import Role, Session, Sessions, User, a_name, role_of

COOKIE = "lorelint"
OPEN = ("/login", "/static/")  # paths for those who have not come in
LARGEST = 512 * 1024  # bytes of a request's body
LONGEST = 2_000  # characters of an address that somebody is led back to
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


class Door(Struct, frozen=True):
    """How people come in.

    hosts     what a browser may call us, with the port
    tokens    token -> name
    header    in which a proxy says who somebody is, "" for none
    alone     the name of the one who may everything: whoever has started this and holds its token
    """

    hosts: frozenset[str]
    settings: ServeConfig = field(default_factory=ServeConfig)
    tokens: Mapping[str, str] = field(default_factory=dict)
    header: str = ""
    alone: str = ""
    secure: bool = False  # https, as far as the browser sees

    def role(self, name: str) -> Role:
        return Role.RELEASER if self.alone and name == self.alone else role_of(name, self.settings)


class Guard:
    """The outermost part of the application."""

    def __init__(self, app: ASGIApp, door: Door, clock: Callable[[], float] = time.monotonic) -> None:
        self.app = app
        self.door = door
        self.clock = clock
        self.sessions = Sessions()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        fresh = ""
        refused = self._refused(scope, headers)
        if refused is None:
            key = _cookie(headers)
            session = self.sessions.get(key, self.clock()) if key else None
            if self.door.header:
                session, fresh, refused = self._by_proxy(headers, session)
            scope.setdefault("state", {}).update(guard=self, session=session, key=fresh or key)
            if refused is None and session is None and not scope["path"].startswith(OPEN):
                refused = self._outside(scope)
        await (refused or self.app)(scope, receive, self._answered(scope, send, fresh))

    def _refused(self, scope: Scope, headers: Headers) -> Response | None:
        """What no page is asked about."""
        if headers.get("host", "").lower() not in self.door.hosts:
            return PlainTextResponse("this is not the name of this place\n", 421)
        if scope["method"] not in ("GET", "HEAD", "POST"):
            return PlainTextResponse("no such method\n", 405)
        if scope["method"] == "POST":
            if not _ours(headers, self.door.hosts):
                return PlainTextResponse("the request is from another place\n", 403)
            length = headers.get("content-length", "")
            if not length.isdigit() or int(length) > LARGEST:
                return PlainTextResponse("too much at once\n", 413)
        return None

    def _by_proxy(self, headers: Headers, session: Session | None) -> tuple[Session | None, str, Response | None]:
        """Who the proxy says it is, in each request anew: a session is his or it is none."""
        names = headers.getlist(self.door.header)
        if len(names) != 1 or not a_name(names[0]):
            return None, "", PlainTextResponse("the proxy does not say who this is\n", 403)
        user = User(names[0], self.door.role(names[0]))
        if user.role is Role.NOBODY:
            return None, "", PlainTextResponse(f"{user.name} may not look\n", 403)
        if session is not None and session.user == user:
            return session, "", None
        key = self.sessions.start(user, self.clock())
        return self.sessions.get(key, self.clock()), key, None

    def _outside(self, scope: Scope) -> Response:
        if scope["method"] == "POST":
            return PlainTextResponse("come in first: /login\n", 403)
        return RedirectResponse(f"/login{_next(scope)}", 303)

    def _answered(self, scope: Scope, send: Send, fresh: str) -> Send:
        kept = scope["path"].startswith("/static/")

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                if not kept or message["status"] != 200:
                    headers["cache-control"] = "no-store"
                if fresh:
                    headers.append("set-cookie", cookie(fresh, self.door.secure))
            await send(message)

        return answer


def trusted(peer: str, proxies: Collection[str]) -> bool:
    """Whether a machine's word is taken for who somebody is: this one's, and those that are named."""
    try:
        return ipaddress.ip_address(peer).is_loopback or peer in proxies
    except ValueError:
        return peer == ""  # a socket in the file system has no address


class Proxied:
    """Before the guard, where a proxy says who somebody is: nobody else is listened to."""

    def __init__(self, app: ASGIApp, proxies: Collection[str]) -> None:
        self.app = app
        self.proxies = frozenset(proxies)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = scope.get("client")
        if scope["type"] == "http" and not trusted(client[0] if client else "", self.proxies):
            await PlainTextResponse("only the proxy is listened to\n", 403)(scope, receive, send)
            return
        await self.app(scope, receive, send)


def _next(scope: Scope) -> str:
    """The page that was asked for, as the query of the page that lets people in; whether it is ours is asked there."""
    asked = scope.get("raw_path", b"") + (b"?" + scope["query_string"] if scope["query_string"] else b"")
    return "?" + urlencode({"next": asked.decode("latin-1")}) if 1 < len(asked) < LONGEST else ""


def cookie(key: str, secure: bool) -> str:
    """Of this place alone, out of the reach of scripts. A page elsewhere can have it sent along by a link that somebody
    follows (a mail with the address of a finding leads there), and by nothing that changes anything."""
    return f"{COOKIE}={key}; Path=/; HttpOnly; SameSite=Lax" + ("; Secure" if secure else "")


def gone(secure: bool) -> str:
    return cookie("", secure) + "; Max-Age=0"


def _cookie(headers: Headers) -> str:
    return cookie_parser(headers.get("cookie", "")[:4_096]).get(COOKIE, "")


def _ours(headers: Headers, hosts: Collection[str]) -> bool:
    """Whether a change is asked for by a page of ours, as far as the browser says.

    Our pages ask browsers to tell nobody where they come from, so they name no origin ("null") to us either.
    """
    site, origin = headers.get("sec-fetch-site", ""), headers.get("origin", "")
    if site:
        own = site in ("same-origin", "none")
        return own and (origin in ("", "null") or urlsplit(origin).netloc.lower() in hosts)
    return not origin or urlsplit(origin).netloc.lower() in hosts


def same(csrf: Any, session: Session | None) -> bool:
    """Whether a form holds the word of the session it is sent in."""
    return isinstance(csrf, str) and session is not None and hmac.compare_digest(session.csrf, csrf)
