"""Threads from an archive: a real public-inbox on the loopback."""

from __future__ import annotations

import gzip
import http.server
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import quote

import pytest

from lorelint.edge import lore
from lorelint.edge.lore import DEFAULT_URL, LoreArchive, bare_msgid, split_url
from lorelint.model.errors import LorelintError

SEED = "20260226202211.929005-4-mattev@meta.com"  # 3/7 of seed 003
SPECIAL = "0-v1-64bed2430cdb+31b-iommufd_dmabuf_jgg@nvidia.com"  # a plus sign in it


@pytest.mark.needs_shared
def test_a_message_brings_its_thread(lore_url: str) -> None:
    messages = LoreArchive(lore_url).thread(SEED)
    assert len(messages) == 23
    assert all(not raw.startswith(b"From ") for raw in messages)
    assert len(LoreArchive(lore_url).thread(SPECIAL)) == 12


@pytest.mark.needs_shared
@pytest.mark.parametrize("form", ["{}", "<{}>", "id:{}", "mid:<{}>", " {} "])
def test_forms_of_a_message_id(lore_url: str, form: str) -> None:
    assert len(LoreArchive(lore_url).thread(form.format(SEED))) == 23


@pytest.mark.needs_shared
@pytest.mark.parametrize("tail", ["", "/", "/T/", "/T/#u", "/t/#m1", "/raw", "/t.mbox.gz", "/#r"])
def test_an_address_overrides_the_archive(lore_url: str, tail: str) -> None:
    elsewhere = LoreArchive("http://127.0.0.1:9/nothing/")
    for msgid in (SEED, SPECIAL, quote(SPECIAL, safe=""), SEED.replace("@", "%40")):
        assert len(elsewhere.thread(f"{lore_url}{msgid}{tail}")) in (12, 23)


@pytest.mark.needs_shared
@pytest.mark.parametrize("address", ["https://lore.kernel.org/kvm/{}/", "https://lore.kernel.org/r/{}"])
def test_an_archive_of_the_settings_stands_for_lore(
    lore_url: str, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(LoreArchive(lore_url).thread(address.format(SEED))) == 23
    monkeypatch.setattr(lore, "LORE", "127.0.0.1")  # whatever is there and not in the mirror comes from lore itself
    with serving(sends(404, b"")) as mirror:
        mirror = mirror.replace("127.0.0.1", "localhost")
        assert len(LoreArchive(mirror).thread(f"{lore_url}{SEED}/")) == 23
        with pytest.raises(LorelintError, match=r"no such message in the archive; .*/all/: no such message") as caught:
            LoreArchive(mirror).thread(f"{lore_url}no-such-message@nowhere.invalid/")
    assert "localhost" in caught.value.where and caught.value.remedy


@pytest.mark.needs_shared
def test_addresses_without_a_list(lore_url: str) -> None:
    origin = lore_url.removesuffix("all/")
    for url in (f"{origin}r/{SEED}", f"{origin}{SEED}/", f"{origin}wrong-list/{SEED}/"):
        assert len(LoreArchive().thread(url)) == 23


@pytest.mark.needs_shared
def test_the_archive_may_be_named_without_its_list(lore_url: str) -> None:
    assert len(LoreArchive(lore_url.removesuffix("all/")).thread(SEED)) == 23


@pytest.mark.needs_shared
@pytest.mark.parametrize(
    "msgid", ["no-such-message@nowhere.invalid", "a b@x", "%00@x", "../../etc@x", "x@y?z=1#f", "\u00e4@x"]
)
def test_no_such_message(lore_url: str, msgid: str) -> None:
    with pytest.raises(LorelintError, match="no such message") as caught:
        LoreArchive(lore_url).thread(msgid)
    assert msgid in caught.value.where
    assert caught.value.remedy


def test_out_of_reach() -> None:
    with pytest.raises(LorelintError, match="cannot be reached: no answer") as caught:
        LoreArchive("http://127.0.0.1:9/all/").thread(SEED)
    assert caught.value.where == "http://127.0.0.1:9/all/"
    assert "mailbox file" in caught.value.remedy


def test_name_that_does_not_resolve() -> None:
    with pytest.raises(LorelintError, match="cannot be reached"):
        LoreArchive("http://lore.invalid/all/").thread(SEED)


@contextmanager
def serving(answer: Callable[[http.server.BaseHTTPRequestHandler], None]) -> Iterator[str]:
    """A server that is broken in one way: what public-inbox never is."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/all/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def sends(
    status: int, content: bytes, *, length: int | None = None
) -> Callable[[http.server.BaseHTTPRequestHandler], None]:
    def answer(request: http.server.BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        request.send_header("Content-Length", str(len(content) if length is None else length))
        request.end_headers()
        request.wfile.write(content)

    return answer


@pytest.mark.parametrize(
    ("status", "content", "reason"),
    [
        (500, b"", "cannot be reached"),
        (503, b"", "cannot be reached"),
        (403, b"", "HTTP status 403"),
        (404, b"", "no such message"),
        (200, b"no gzip", "cannot be reached"),
        (200, gzip.compress(b"From mboxrd", mtime=0)[:-9], "cannot be reached"),
        (200, gzip.compress(b"", mtime=0)[:10] + b"junk" * 9, "cannot be reached"),
        (200, gzip.compress(b"", mtime=0), "no such message"),
    ],
)
def test_broken_answers(status: int, content: bytes, reason: str) -> None:
    with serving(sends(status, content)) as url, pytest.raises(LorelintError, match=reason) as caught:
        LoreArchive(url).thread(SEED)
    assert caught.value.remedy


def test_an_answer_that_is_cut_off() -> None:
    with serving(sends(200, b"\x1f\x8b", length=100)) as url, pytest.raises(LorelintError, match="cannot be reached"):
        LoreArchive(url).thread(SEED)


def test_an_answer_that_never_comes() -> None:
    gate = threading.Event()
    with serving(lambda _: gate.wait(10) and None) as url:
        with pytest.raises(LorelintError, match="cannot be reached: no answer"):
            LoreArchive(url, timeout=0.2).thread(SEED)
        gate.set()


@pytest.mark.parametrize("content", [b"x" * 5000, gzip.compress(b"x" * 5000, mtime=0)])
def test_answers_are_bounded(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lore, "MAX_BYTES", 2000)
    with serving(sends(200, content)) as url, pytest.raises(LorelintError, match="a thread over"):
        LoreArchive(url).thread(SEED)


def test_threads_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lore, "MAX_MESSAGES", 1)
    mail = "From mboxrd@z Thu Jan  1 00:00:00 1970\nMessage-ID: <%d@x>\n\nx\n\n"
    content = gzip.compress((mail % 1 + mail % 2).encode())
    with serving(sends(200, content)) as url, pytest.raises(LorelintError, match="2 messages, more than 1"):
        LoreArchive(url).thread(SEED)


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("https://lore.kernel.org/kvm/1@x/", ("https://lore.kernel.org/kvm/", "1@x")),
        ("https://lore.kernel.org/all/1%402@x/T/#t", ("https://lore.kernel.org/all/", "1@2@x")),
        ("https://lore.kernel.org/all/a%2Fb@x/raw", ("https://lore.kernel.org/all/", "a/b@x")),
        ("https://lore.kernel.org/r/1@x", ("https://lore.kernel.org/all/", "1@x")),
        ("https://lore.kernel.org/1@x", ("https://lore.kernel.org/all/", "1@x")),
        ("https://patch.msgid.link/1@x", ("", "1@x")),
        ("https://lkml.kernel.org/r/1@x", ("", "1@x")),
        ("http://[::1]:80/a/b/1@x/", ("http://[::1]:80/a/b/", "1@x")),
    ],
)
def test_addresses(url: str, place: tuple[str, str]) -> None:
    assert split_url(url) == place


@pytest.mark.parametrize(
    "url", ["https://lore.kernel.org/kvm/", "ftp://x/1@x", "https:///1@x", "file:///1@x", "https://x/1@x/blob/y"]
)
def test_what_is_no_address_of_a_message(url: str) -> None:
    with pytest.raises(LorelintError) as caught:
        split_url(url)
    assert caught.value.where == url and caught.value.remedy


def test_the_default_archive() -> None:
    assert LoreArchive().locate("<1@x>") == (DEFAULT_URL, "1@x")
    assert bare_msgid("Message-ID: <1@x>") == "1@x"
    with pytest.raises(LorelintError, match="not the address of an archive"):
        LoreArchive("lore.kernel.org")
