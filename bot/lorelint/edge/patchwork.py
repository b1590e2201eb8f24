"""A Patchwork over its REST API, version 1.2.

Written by its published schema (``docs/api/schemas/v1.2/patchwork.yaml`` of Patchwork: GET /patches/?msgid=,
POST /patches/{id}/checks/), and tested against a server of our own that holds to that schema, field by field, and to
what the application's own ``patchwork/api/check.py`` demands. It was never tried against a Patchwork that runs: the
application is in no package registry (``patchwork`` on PyPI is another program, Debian has the client ``git-pw``).
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import requests

from lorelint import __version__
from lorelint.model.errors import LorelintError
from lorelint.model.regex import regex

TIMEOUT = (10.0, 30.0)  # seconds to connect, and of silence
LARGEST = 4 << 20  # bytes of an answer
STATES = ("pending", "success", "warning", "fail")
_CONTEXT = regex(r"[-a-zA-Z0-9_]{1,255}")
_HERE = ("localhost", "127.0.0.1", "::1")


class PatchworkApi:
    """Implements `lorelint.model.patchwork.Patchwork`.

    url    of the site, as https://patchwork.example.org
    token  of an account that may add checks (``patchwork.add_check``, for the project or for all): to maintain the
           project was enough in older versions, and is not any more
    Raises LorelintError for an address that would show the token to everybody on the way.
    """

    def __init__(self, url: str, token: str) -> None:
        parts = urlsplit(url)
        if parts.scheme != "https" and parts.hostname not in _HERE:
            remedy = "write it with https://"
            raise LorelintError("the token would cross the network unencrypted", where=url, remedy=remedy)
        self._api = f"{url.rstrip('/')}/api/1.2"
        self._session = requests.Session()
        # Sites tell scrapers from tools by this.
        self._session.headers["User-Agent"] = f"lorelint/{__version__}"
        self._session.headers["Authorization"] = f"Token {token}"

    def patch(self, msgid: str) -> int:
        """See `Patchwork.patch`."""
        found = self._ask("GET", "/patches/", params={"msgid": msgid})
        if not isinstance(found, list):
            raise self._error("gives no list of patches")
        # A Patchwork that does not know the filter gives all patches it has.
        same = [each for each in found if isinstance(each, dict) and str(each.get("msgid", "")).strip("<>") == msgid]
        numbers = [each["id"] for each in same if isinstance(each.get("id"), int)]
        return numbers[0] if numbers else 0

    def set_check(self, patch: int, context: str, state: str, description: str, target_url: str = "") -> None:
        """See `Patchwork.set_check`."""
        if state not in STATES or not _CONTEXT.fullmatch(context):
            raise LorelintError("is no check", where=f"{context}: {state}", remedy=f"states are {', '.join(STATES)}")
        values = {"state": state, "context": context, "description": description}
        if target_url:
            values["target_url"] = target_url
        self._ask("POST", f"/patches/{patch}/checks/", json=values)

    def _ask(self, method: str, path: str, **more: Any) -> Any:
        try:
            # No redirects: they would carry the token elsewhere, or turn a POST into a GET.
            answer = self._session.request(
                method, self._api + path, timeout=TIMEOUT, allow_redirects=False, stream=True, **more
            )
            body = answer.raw.read(LARGEST + 1, decode_content=True)
        except (requests.RequestException, OSError) as error:
            raise self._error(f"does not answer: {type(error).__name__}") from error
        if answer.status_code not in (200, 201):
            said = " ".join(body[:200].decode("utf-8", "replace").split())
            shown = "".join(char if char.isprintable() else "?" for char in said)
            raise self._error(f"{method} {path} is answered with {answer.status_code}: {shown}")
        if len(body) > LARGEST:
            raise self._error("answers with more than can be read")
        return _json(body)

    def _error(self, what: str) -> LorelintError:
        return LorelintError(what, where=self._api, remedy="check the address and the token")


def _json(body: bytes) -> Any:
    import json

    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
