"""A mail server that encrypts and wants to know who one is: STARTTLS, TLS, login, certificates good and bad."""

from __future__ import annotations

import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword
from tests.mailserver import Handler

from lorelint.edge.smtp import Settings, Smtp
from lorelint.edge.smtpfile import smtp_file
from lorelint.model.errors import LorelintError
from lorelint.model.post import Fate

# aiosmtpd counts no line as encrypted that was so from the start.
pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
USER, PASSWORD = "bot", "correct horse"
MAIL = b"From: bot@bot.example\nTo: ida@example.org\nSubject: x\n\nwords\n"


@pytest.fixture(scope="session")
def certificate(program: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """One for "localhost", made by ourselves, and its key."""
    folder = tmp_path_factory.mktemp("certificate")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    command = [
        program("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
        "-keyout", str(key), "-out", str(certificate), "-days", "2", "-subj", "/CN=localhost",
        "-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:TRUE",
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key


@pytest.fixture
def trusted(certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine takes the word of our certificate: what OpenSSL is told by its own variable."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))


class Server:
    def __init__(self, handler: Handler, port: int) -> None:
        self.handler = handler
        self.port = port
        self.logins: list[tuple[str, str, bool]] = []  # who, with what, and whether the line was encrypted

    def settings(self, security: str, **more: Any) -> Settings:
        return Settings("localhost", self.port, security, **more)


@contextmanager
def serving(certificate: tuple[Path, Path], security: str, *, login: bool = False) -> Iterator[Server]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    handler = Handler()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = Server(handler, port)

    def authenticate(smtp: SMTP, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        encrypted = security == "tls" or session.ssl is not None
        server.logins.append((data.login.decode(), data.password.decode(), encrypted))
        good = (data.login, data.password) == (USER.encode(), PASSWORD.encode())
        return AuthResult(success=good, handled=good)

    more: dict[str, Any] = {"ssl_context": context} if security == "tls" else {}
    if security == "starttls":
        more |= {"tls_context": context, "require_starttls": True}
    if login:
        more |= {"authenticator": authenticate, "auth_required": True, "auth_require_tls": security == "starttls"}
    controller = Controller(handler, hostname="localhost", port=port, **more)
    controller.start()
    try:
        yield server
    finally:
        controller.stop()


def hand(settings: Settings) -> Fate:
    with Smtp(settings).connect() as line:
        return line.hand("bot@bot.example", ["ida@example.org"], MAIL).fate


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("login", [False, True])
@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_an_encrypted_line(certificate: tuple[Path, Path], security: str, login: bool) -> None:
    with serving(certificate, security, login=login) as server:
        who = {"user": USER, "password": PASSWORD} if login else {}
        assert hand(server.settings(security, **who)) is Fate.TAKEN
    assert [recipients for recipients, _ in server.handler.mails] == [["ida@example.org"]]
    assert server.logins == ([(USER, PASSWORD, True)] if login else [])


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_certificate_nobody_vouches_for(certificate: tuple[Path, Path], security: str) -> None:
    """Nothing is said to such a server: no password, no mail."""
    failed = pytest.raises(LorelintError, match=r"takes nothing.*certificate verify failed")
    with serving(certificate, security, login=True) as server, failed as caught:
        hand(server.settings(security, user=USER, password=PASSWORD))
    assert server.logins == [] and server.handler.mails == [] and PASSWORD not in str(caught.value)


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_certificate_of_another_host(certificate: tuple[Path, Path], security: str) -> None:
    with serving(certificate, security, login=True) as server:
        settings = Settings("127.0.0.1", server.port, security, USER, PASSWORD)
        with pytest.raises(LorelintError, match="IP address mismatch"):
            hand(settings)
    assert server.logins == [] and server.handler.mails == []


@pytest.mark.usefixtures("trusted")
def test_a_wrong_password(certificate: tuple[Path, Path]) -> None:
    failed = pytest.raises(LorelintError, match="535")
    with serving(certificate, "starttls", login=True) as server, failed as caught:
        hand(server.settings("starttls", user=USER, password="wrong horse"))
    assert "wrong horse" not in str(caught.value) and server.handler.mails == []


@pytest.mark.usefixtures("trusted")
def test_who_does_not_log_in_is_refused(certificate: tuple[Path, Path]) -> None:
    """The server says 530 to the mail: that is for good, and tells a person what to do."""
    with serving(certificate, "tls", login=True) as server, Smtp(server.settings("tls")).connect() as line:
        done = line.hand("bot@bot.example", ["ida@example.org"], MAIL)
    assert done.fate is Fate.NEVER and done.text.startswith("530")


def test_a_server_that_does_not_encrypt(certificate: tuple[Path, Path]) -> None:
    """Where STARTTLS is wanted and not offered (or was taken out on the way), nothing goes in the clear."""
    with serving(certificate, "none") as server, pytest.raises(LorelintError, match="takes nothing"):
        hand(server.settings("starttls", user=USER, password=PASSWORD))
    assert server.handler.mails == []


@pytest.mark.usefixtures("trusted")
def test_tls_to_a_server_that_speaks_plainly(certificate: tuple[Path, Path]) -> None:
    with serving(certificate, "none") as server, pytest.raises(LorelintError, match="takes nothing"):
        hand(server.settings("tls"))


@pytest.mark.usefixtures("trusted")
def test_by_the_file_of_the_settings(certificate: tuple[Path, Path], tmp_path: Path) -> None:
    with serving(certificate, "starttls", login=True) as server:
        path = tmp_path / "smtp.toml"
        path.write_text(
            f'host = "localhost"\nport = {server.port}\nsecurity = "starttls"\nuser = "{USER}"\n'
            f'password = "{PASSWORD}"\nenvelope_from = "bounces@bot.example"\n'
        )
        path.chmod(0o600)
        assert hand(smtp_file(path)) is Fate.TAKEN
    assert server.logins == [(USER, PASSWORD, True)]
