"""``lorelint serve``."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lorelint.cli import CLEAN
from lorelint.cli.clock import now, who
from lorelint.cli.common import note, outpost
from lorelint.cli.logs import LOG, log, with_libraries
from lorelint.model.errors import LorelintError

if TYPE_CHECKING:
    from lorelint.config import ServeConfig
    from lorelint.web.guard import Door

LISTEN = "127.0.0.1:8080"


@click.command("serve")
@click.option("--listen", metavar="HOST:PORT", default=LISTEN, help=f"Where to wait for browsers. [default: {LISTEN}]")
@click.option("--token-file", metavar="FILE", default="", help="Lines NAME TOKEN: who may come in with what.")
@click.option("--identity-header", metavar="NAME", default="", help="The header in which a proxy says who it is.")
@click.option("--behind-proxy", is_flag=True, help="Nobody reaches this but through that proxy.")
@click.option("--config", metavar="FILE", default="", help="Settings to use instead of the user's.")
@LOG
def command(listen: str, token_file: str, identity_header: str, behind_proxy: bool, config: str, form: str) -> int:
    """Show the queue, findings and letters in a browser, and take decisions there.

    By itself it waits on this machine alone and prints an address with a token: whoever opens it may everything. With
    --token-file each has a token of his own, and with --identity-header X-Remote-User --behind-proxy a proxy that has
    asked for a password says who somebody is; what he may then stands in [serve] of the settings. No page can send
    mail: `lorelint send` does, and reads what was released here.

    /healthz and /readyz tell anybody whether it lives and whether the store answers; /metrics has numbers for
    Prometheus, for whoever may look (Authorization: Bearer TOKEN). Each request is told on stderr, one line each.
    """
    _there()
    host, port = _address(listen)
    every = outpost(config)
    settings = every.config.serve
    door = _door(settings, host, port, token_file, identity_header, behind_proxy)
    import uvicorn

    from lorelint.web.app import application

    every.store.close()  # what is wrong with it is told before anybody waits
    place = f"http://{_shown(host)}:{port}"
    note(f"on {place}/login?token={next(iter(door.tokens))}" if door.alone else f"on {place}/")
    say = log(form)
    with_libraries(say, "uvicorn", "uvicorn.error", "asyncio")
    app = application(every, door, now, say)
    say("start", address=place)
    uvicorn.run(app, host=host, port=port, log_config=None, access_log=False, proxy_headers=False, server_header=False)
    say("end")
    every.close()
    return CLEAN


def _there() -> None:
    """Raises LorelintError where what the face stands on is not installed."""
    try:
        for name in ("starlette", "uvicorn", "jinja2", "pygments"):
            importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise LorelintError(
            f"what the web face stands on is missing ({error.name})", where="serve", remedy="install lorelint[web]"
        ) from None


def _address(listen: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise LorelintError("is no HOST:PORT", where=listen, remedy=f"name an address and a port, as {LISTEN}")
    return host, int(port)


def _door(settings: ServeConfig, host: str, port: int, token_file: str, header: str, proxied: bool) -> Door:
    """How people come in. Raises LorelintError for a way that would let anybody in."""
    import secrets
    from urllib.parse import urlsplit

    from lorelint.web.guard import Door
    from lorelint.web.people import parse_tokens, somebody

    if bool(header) != proxied:
        remedy = "give both: --identity-header NAME --behind-proxy, and let nobody but the proxy reach this"
        raise LorelintError("a header says who somebody is only behind a proxy", where="serve", remedy=remedy)
    if header and token_file:
        raise LorelintError("either a proxy says who it is, or a token", where="serve", remedy="leave one of them out")
    if not _loopback(host) and not header and not token_file:
        remedy = "add --token-file FILE, or --identity-header NAME --behind-proxy"
        raise LorelintError("others can reach this address", where=host, remedy=remedy)
    if (header or token_file) and not list(somebody(settings)):
        remedy = "name people in viewers, triagers or releasers of [serve] in the settings"
        raise LorelintError("nobody may do anything", where="serve", remedy=remedy)
    hosts = {f"{_shown(host)}:{port}", f"localhost:{port}", f"127.0.0.1:{port}", f"[::1]:{port}"}
    url = urlsplit(settings.url)
    hosts |= {url.netloc.lower()} if url.netloc else set()
    secure = url.scheme == "https"
    if header:
        return Door(frozenset(hosts), settings, header=header.lower(), secure=secure)
    if token_file:
        return Door(frozenset(hosts), settings, tokens=parse_tokens(_private(token_file), token_file), secure=secure)
    alone = who()
    return Door(frozenset(hosts), settings, tokens={secrets.token_urlsafe(32): alone}, alone=alone, secure=secure)


def _private(name: str) -> str:
    """A file that nobody else may read. Raises LorelintError."""
    from lorelint.edge.private import others_may_read
    from lorelint.wire import read

    path = Path(name).expanduser()
    text = read(str(path)).decode("utf-8", "replace")
    if others_may_read(path.stat()):
        raise LorelintError("others may read the tokens", where=name, remedy=f"chmod 600 {name}")
    return text


def _loopback(host: str) -> bool:
    import ipaddress

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host
