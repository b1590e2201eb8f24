"""Reports that a letter did not arrive."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorelint.mail.bounce import Bounce, bounce

REPORT = b"""\
From: MAILER-DAEMON@mx.example.org (Mail Delivery System)
To: bot@bot.example.org
Subject: Undelivered Mail Returned to Sender
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

I am sorry.

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.org

Final-Recipient: rfc822; ida@example.org
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 no such user

--b
Content-Type: message/rfc822

From: bot@bot.example.org
Message-ID: <lorelint-1234@bot.example.org>
Subject: Re: [PATCH] ring

text
--b--
"""


def test_a_report() -> None:
    assert bounce(REPORT) == Bounce(
        "lorelint-1234@bot.example.org", "ida@example.org", "5.1.1 smtp; 550 5.1.1 no such user"
    )


def test_a_report_with_the_headers_only() -> None:
    found = bounce(REPORT.replace(b"message/rfc822", b"text/rfc822-headers"))
    assert found is not None and found.msgid == "lorelint-1234@bot.example.org"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        REPORT.replace(b"Action: failed", b"Action: delayed"),
        REPORT.replace(b"multipart/report", b"multipart/mixed"),
        REPORT.replace(b"Message-ID: <", b"X-Id: <"),
        REPORT.replace(b"message/delivery-status", b"text/plain"),
        b"Content-Type: multipart/report; boundary=b\n\n" + b"--b\n" * 5000,
    ],
)
def test_no_reports(raw: bytes) -> None:
    assert bounce(raw) is None


@given(st.binary(max_size=400), st.integers(0, len(REPORT)))
def test_any_bytes(noise: bytes, at: int) -> None:
    bounce(noise)
    bounce(REPORT[:at] + noise + REPORT[at:])
