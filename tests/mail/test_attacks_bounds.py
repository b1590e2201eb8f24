"""Attacks of great size: each has its clear answer, and costs no more than it may. In processes of their own, since
what a process has once taken of memory cannot be told from what it takes now.
"""

from __future__ import annotations

import pytest
from tests import bounded
from tests.edge.signing import dns_server
from tests.mail.attacks import ZONE

SECONDS, MEGABYTES = 20.0, 120  # of CPU, on a machine that is busy with other things; above what a small mail takes
NO_PATCH = "no-patch: no mail of this thread holds a patch"
TALK = ["reply: Re:", NO_PATCH]
CUT = "too-large: only the first 8388608 characters of the body were read"
NO_TEXT = ["reply: Re:", "no-body: the mail has no plain text to read: no text", NO_PATCH]
ANN = "v1 1/1 by ann@author.example: ready"
RING = "1/1 of v1: drivers/ring/ring.c"
BURIED = "buried: a diff in a mail that announces no patch"
WHO = "false-positive by ann@author.example: "
UNPROVEN = "it is not proven who wrote it: "

ANSWERS = {
    "nothing": TALK,
    "a mail of 100 MB": ["broken: 100 MiB, more than are read"],
    "a line of 15 MB": ["reply: Re:", CUT, NO_PATCH],
    "4 MB of empty lines": TALK,
    "8 MB of base64": TALK,
    "a gzip bomb": ["talk: announced as a patch, and no diff is in it", NO_PATCH],
    "parts nested three thousand deep": NO_TEXT,
    "mails in mails, three thousand deep": NO_TEXT,
    "fifty thousand parts": TALK,
    "a header of a megabyte": TALK,
    "a hundred thousand headers": TALK,
    "twenty thousand encoded words": TALK,
    "a name of encoded words": TALK,
    "comments twenty thousand deep": ["broken: no sender that can be read", NO_PATCH],
    "quotes that never end": TALK,
    "ten thousand recipients": ["patch: 1/1", ANN, RING],
    "a hundred thousand references": TALK,
    "a hundred mails that all refer to all": ["101 mails", "patch: 1/1", "reply: Re:"],
    "a patch of a hundred thousand lines": ["patch: 1/1", ANN, RING],
    "ten thousand files": [
        "patch: 1/1",
        ANN,
        "1/1 of v1: drivers/ring/r0.c, drivers/ring/r1.c, drivers/ring/r10.c",
        "too-large: only the first 5000 files of the patch were read",
    ],
    "ten thousand hunks": ["patch: 1/1", ANN, RING],
    "brackets in a subject": [BURIED, RING],
    "prefixes in a subject": [BURIED, RING],
    "answers to answers in a subject": TALK,
    "two megabytes of blanks": TALK,
    "a quote a million deep": TALK,
    "two hundred thousand quotes": TALK,
    "somebody who wrote for ever": TALK,
    "a hundred thousand trailers": TALK,
    "diffstats without end": ["patch: 1/1", ANN, RING],
    "a hundred thousand commands": [f"{WHO}{UNPROVEN}the mail is over 2 MiB"] * 3 + ["new"],
    "a command and a million blanks": [
        f"mute by maria@rings.example: {UNPROVEN}more than 4000 blanks in a row",
        "new",
    ],
    "a reason of a megabyte": [f"{WHO}obeyed", "false-positive"],
    "a hundred signatures": [f"{WHO}{UNPROVEN}the body was changed after it was signed", "new"],
    "a signature of blanks": [f"{WHO}{UNPROVEN}more than 4000 blanks in a row", "new"],
}
# What is read is kept, decoded, packed and split in lines: so many times its size may be taken.
ROOM = {"a mail of 100 MB": 300, "a line of 15 MB": 320, "8 MB of base64": 240, "a gzip bomb": 240}


@pytest.fixture(scope="module")
def measured(root):
    """Name -> what it came to."""
    with dns_server(ZONE) as (dns, _):
        return bounded.measured(root, "tests.mail.bounded", dns, *ANSWERS)


@pytest.mark.parametrize("name", ANSWERS)
def test_it_is_answered_and_costs_no_more_than_it_may(measured, name):
    found = measured[name]
    assert found["told"] == ANSWERS[name]
    assert found["seconds"] < SECONDS
    assert found["megabytes"] < ROOM.get(name, MEGABYTES)
