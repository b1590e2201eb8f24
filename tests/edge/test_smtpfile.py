"""The file with the mail server."""

from __future__ import annotations

from pathlib import Path

import pytest

from lorelint.edge.smtp import Settings
from lorelint.edge.smtpfile import smtp_file
from lorelint.model.errors import LorelintError


def write(path: Path, text: str, mode: int = 0o600) -> Path:
    file = path / "smtp.toml"
    file.write_text(text)
    file.chmod(mode)
    return file


def test_settings(tmp_path: Path) -> None:
    text = 'host = "mail.example.org"\nport = 587\nsecurity = "starttls"\nuser = "bot"\npassword = "secret"\n'
    assert smtp_file(write(tmp_path, text)) == Settings("mail.example.org", 587, "starttls", "bot", "secret")
    assert "secret" not in repr(smtp_file(write(tmp_path, text)))


@pytest.mark.parametrize(
    ("text", "mode", "says"),
    [
        ("", 0o600, "names no mail server"),
        ('hosts = "x"', 0o600, "unknown key 'hosts'"),
        ('host = "x"\nport = "25"', 0o600, "port is not a whole number"),
        ('host = "x"\nport = 70000', 0o600, "port is none"),
        ('host = "x"\nport = true', 0o600, "port is not a whole number"),
        ('host = "x"\nsecurity = "ssl"', 0o600, "is no security"),
        ('host = "x"\nsecurity = "tls"\npassword = "p"', 0o644, "others may read"),
        ('host = "x"\nuser = "u"\npassword = "p"', 0o600, "unencrypted"),
        ("host =", 0o600, "no settings of a mail server"),
    ],
)
def test_errors(tmp_path: Path, text: str, mode: int, says: str) -> None:
    with pytest.raises(LorelintError, match=says):
        smtp_file(write(tmp_path, text, mode))


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(LorelintError, match="no settings of a mail server"):
        smtp_file(tmp_path / "none")
