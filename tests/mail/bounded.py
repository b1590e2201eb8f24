"""Attacks of great size, each in a process of its own: ``python -m tests.mail.bounded`` prints what each came to.

A line of JSON for each: name, answer, seconds of CPU, megabytes that it took more than a mail that says nothing.
"""

from __future__ import annotations

import base64
import gzip
import json
import os
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.mail.attacks import ANN, MARIA, Listing, answer, diff, mail, parts, patch, read, text_part

ASK = "lorelint: false-positive retry-no-resched\n"
BIG = 1 << 20
Taken = Callable[[Listing], list[str]]


def taken(make: Callable[[], bytes]) -> Taken:
    """What comes to the list, and is read."""

    def run(listing: Listing) -> list[str]:
        raw = make()
        return listing.post(raw) + listing.series() + read(raw)

    return run


def obeyed(make: Callable[[], bytes]) -> Taken:
    def run(listing: Listing) -> list[str]:
        listing.post(patch())
        listing.reviewed()
        return listing.obeyed(make())

    return run


def _nested(depth: int) -> bytes:
    inner = "".join(f'Content-Type: multipart/mixed; boundary="b{at}"\n\n--b{at}\n' for at in range(1, depth))
    return mail(f"--b0\n{inner}Content-Type: text/plain\n\nx\n", extra='Content-Type: multipart/mixed; boundary="b0"\n')


def _handed_on(depth: int) -> bytes:
    body = "Content-Type: message/rfc822\n\n" * depth + "Subject: x\n\nx\n"
    return mail(body, extra="Content-Type: message/rfc822\n")


def _many_parts(count: int) -> bytes:
    extra, body = parts(*[text_part("x\n")] * count)
    return mail(body, extra=extra)


def _bomb() -> bytes:
    packed = base64.encodebytes(gzip.compress(b"\0" * (100 * BIG))).decode()
    extra, body = parts(
        text_part("See below.\n"),
        'Content-Type: application/gzip; name="p.patch.gz"\nContent-Transfer-Encoding: base64\n\n' + packed,
    )
    return mail(body, extra=extra, subject="[PATCH] ring: again", writer=ANN)


def _thread_of(count: int) -> Taken:
    """Mails that all answer each other, every one with references to all."""

    def run(listing: Listing) -> list[str]:
        names = [f"r{at}@stranger.example" for at in range(count)]
        every = "References: " + "\n ".join(f"<{name}>" for name in names) + "\n"
        told = listing.post(patch(), *(mail(msgid=name, extra=every) for name in names))
        return [f"{len(told)} mails", *dict.fromkeys(told)]

    return run


ATTACKS: dict[str, Taken] = {
    "nothing": taken(mail),
    "a mail of 100 MB": lambda listing: listing.post(mail(b"y" * (100 * BIG))),
    "a line of 15 MB": taken(lambda: mail(b"y" * (15 * BIG))),
    "4 MB of empty lines": taken(lambda: mail(b"\n" * (4 * BIG))),
    "8 MB of base64": taken(
        lambda: mail(base64.encodebytes(b"a b c\n" * BIG).decode(), extra="Content-Transfer-Encoding: base64\n")
    ),
    "a gzip bomb": taken(_bomb),
    "parts nested three thousand deep": taken(lambda: _nested(3_000)),
    "mails in mails, three thousand deep": taken(lambda: _handed_on(3_000)),
    "fifty thousand parts": taken(lambda: _many_parts(50_000)),
    "a header of a megabyte": taken(lambda: mail(head="X: " + "a" * BIG + "\n")),
    "a hundred thousand headers": taken(lambda: mail(extra="X: a\n" * 100_000)),
    "twenty thousand encoded words": taken(lambda: mail(subject="Re: " + " ".join(["=?utf-8?q?a?="] * 20_000))),
    "a name of encoded words": taken(lambda: mail(writer=" ".join(["=?utf-8?b?YQ==?="] * 20_000) + " <a@b.example>")),
    "comments twenty thousand deep": taken(lambda: mail(writer="(" * 20_000 + " a@b.example")),
    "quotes that never end": taken(lambda: mail(writer='"\\' * 20_000 + " <a@b.example>")),
    "ten thousand recipients": taken(
        lambda: patch(extra="Cc: " + ",\n ".join(f"a{at}@x.example" for at in range(10_000)) + "\n")
    ),
    "a hundred thousand references": taken(
        lambda: mail(extra="References: " + "\n ".join(f"<r{at}@x.example>" for at in range(100_000)) + "\n")
    ),
    "a hundred mails that all refer to all": _thread_of(100),
    "a patch of a hundred thousand lines": taken(lambda: patch(diff("drivers/ring/ring.c", *["\tx();"] * 100_000))),
    "ten thousand files": taken(lambda: patch("".join(diff(f"drivers/ring/r{at}.c") for at in range(10_000)))),
    "ten thousand hunks": taken(
        lambda: patch(diff() + "".join(f"@@ -{at},1 +{at},1 @@\n-a\n+b\n" for at in range(10, 100_010, 10)))
    ),
    "brackets in a subject": taken(lambda: patch(subject="[" * 20_000 + "PATCH" + "]" * 20_000)),
    "prefixes in a subject": taken(lambda: patch(subject="[PATCH " + "v1 " * 20_000 + "] x")),
    "answers to answers in a subject": taken(lambda: mail(subject="Re: " * 20_000)),
    "two megabytes of blanks": taken(lambda: mail(" " * (2 * BIG) + "x\n")),
    "a quote a million deep": taken(lambda: mail("> " * BIG + "x\n")),
    "two hundred thousand quotes": taken(lambda: mail("> x\n" * 200_000)),
    "somebody who wrote for ever": taken(lambda: mail("On Mon, " * 30_000 + " wrote:\n> x\n")),
    "a hundred thousand trailers": taken(lambda: mail("Acked-by: a <a@b.example>\n" * 100_000)),
    "diffstats without end": taken(lambda: patch(message=" a | 1 +\n" * 100_000)),
    "a hundred thousand commands": obeyed(lambda: answer(ASK * 100_000, sign="author.example")),
    "a command and a million blanks": obeyed(
        lambda: answer("Hi.\n", writer=MARIA, sign="rings.example") + b"lorelint:" + b" " * BIG + b"mute x\n"
    ),
    "a reason of a megabyte": obeyed(lambda: answer(ASK.strip() + " x" * (BIG // 2) + "\n", sign="author.example")),
    "a hundred signatures": obeyed(lambda: _signed_often(100)),
    "a signature of blanks": obeyed(
        lambda: answer(ASK, head="DKIM-Signature: d=author.example; b=" + " " * 60_000 + "\n")
    ),
}


def _signed_often(count: int) -> bytes:
    raw = answer(ASK, sign="author.example")
    signature = raw[: raw.index(b"From:")].replace(b"bh=", b"bh=AAAA")
    return signature * count + raw


def measured(name: str, dns: str) -> dict[str, object]:
    """One attack in a process of its own."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        started = time.process_time()
        try:
            with tempfile.TemporaryDirectory() as folder:
                told = ATTACKS[name](Listing(Path(folder), dns))
        except BaseException as error:
            told = [f"raised {type(error).__name__}: {str(error)[:200]}"]
        spent = time.process_time() - started
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10
        with os.fdopen(writing, "w") as pipe:
            json.dump({"name": name, "told": told[:6], "seconds": round(spent, 2), "megabytes": grown}, pipe)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    found: dict[str, object] = json.loads(text)
    return found


if __name__ == "__main__":
    import sys

    for each in sys.argv[2:] or ATTACKS:
        print(json.dumps(measured(each, sys.argv[1])), flush=True)
