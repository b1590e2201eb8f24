"""Whether a message is in an archive, asked by its Message-ID over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

import requests

TIMEOUT = (10.0, 30.0)  # seconds to connect, and of silence


def archived(urls: Sequence[str], msgid: str) -> bool | None:
    """True where one of the public-inboxes has it, False where all say that they have not, None for anything else."""
    told = [_has(url, msgid) for url in urls]
    if True in told:
        return True
    return False if told and None not in told else None


def _has(url: str, msgid: str) -> bool | None:
    if not url.startswith(("http://", "https://")):
        return None
    try:
        answer = requests.head(f"{url.rstrip('/')}/{quote(msgid, safe='@')}/", timeout=TIMEOUT, allow_redirects=True)
    except requests.RequestException:
        return None
    # 300: none has it, and some have a name like it.
    return {200: True, 404: False, 300: False}.get(answer.status_code)
