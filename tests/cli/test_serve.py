"""`lorelint serve`: a process that waits for browsers, and what it refuses to do."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from tests.web.conftest import free_port


@contextmanager
def serve(folder: Path, *more: str, config: str = "") -> Iterator[subprocess.Popen[str]]:
    (folder / "config.toml").write_text(config)
    there = {
        "XDG_DATA_HOME": str(folder / "data"),
        "XDG_CONFIG_HOME": str(folder),
        "LORELINT_CONFIG": str(folder / "config.toml"),
    }
    command = [sys.executable, "-m", "lorelint", "serve", *more]
    process = subprocess.Popen(
        command, env={**os.environ, **there}, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=30)


def told(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    return process.stderr.readline()


def answered(address: str) -> httpx.Response:
    for _ in range(200):
        try:
            return httpx.get(address, follow_redirects=False)
        except httpx.ConnectError:
            time.sleep(0.05)
    raise AssertionError(f"nobody answers at {address}")


def test_the_address_it_prints_lets_in_and_no_other_does(tmp_path: Path) -> None:
    port = free_port()
    with serve(tmp_path, "--listen", f"127.0.0.1:{port}") as process:
        found = re.search(r"on (http://127\.0\.0\.1:\d+/login\?token=[\w-]{40,})", told(process))
        assert found
        entered = answered(found[1])
        assert entered.headers["location"] == "/queue" and "HttpOnly" in entered.headers["set-cookie"]
        cookie = entered.headers["set-cookie"].split(";")[0]
        base = f"http://127.0.0.1:{port}"
        assert "Nothing is here" in httpx.get(f"{base}/queue", headers={"cookie": cookie}).text
        assert httpx.get(f"{base}/queue").headers["location"] == "/login?next=%2Fqueue"
        assert httpx.get(f"{base}/login?token={'x' * 43}").status_code == 403
        assert httpx.get(f"{base}/queue", headers={"host": "evil.example"}).status_code == 421
        assert httpx.get(f"http://localhost:{port}/login").status_code == 200


def test_a_token_each(tmp_path: Path) -> None:
    port = free_port()
    tokens = tmp_path / "tokens"
    tokens.write_text(f"# who\nodile {'o' * 30}\npavel {'p' * 30}\n")
    tokens.chmod(0o600)
    listen = ("--listen", f"127.0.0.1:{port}", "--token-file", str(tokens))
    with serve(tmp_path, *listen, config='[serve]\ntriagers = ["odile"]\n') as process:
        assert "token" not in told(process)
        base = f"http://127.0.0.1:{port}"
        assert answered(f"{base}/login").status_code == 200
        assert httpx.post(f"{base}/login", data={"token": "o" * 30}).headers["location"] == "/queue"
        assert httpx.post(f"{base}/login", data={"token": "p" * 30}).status_code == 403


@pytest.mark.parametrize(
    ("more", "config", "why"),
    [
        (("--listen", "0.0.0.0:8080"), "", "others can reach this address"),
        (("--listen", "192.0.2.7:8080"), "", "others can reach this address"),
        (("--listen", "8080"), "", "is no HOST:PORT"),
        (("--listen", "127.0.0.1:99999"), "", "is no HOST:PORT"),
        (("--identity-header", "X-Remote-User"), '[serve]\nviewers = ["*"]\n', "only behind a proxy"),
        (("--behind-proxy",), "", "only behind a proxy"),
        (("--identity-header", "X-Remote-User", "--behind-proxy"), "", "nobody may do anything"),
        (("--token-file", "{open}"), '[serve]\nviewers = ["*"]\n', "others may read the tokens"),
        (("--token-file", "{short}"), '[serve]\nviewers = ["*"]\n', "less than 24 characters"),
        (("--token-file", "{none}"), '[serve]\nviewers = ["*"]\n', "no such file"),
        (("--token-file", "{short}"), "", "nobody may do anything"),
        ((), '[serve]\nviewer = ["*"]\n', "unknown key 'serve.viewer'"),
    ],
)
def test_what_would_let_anybody_in_is_refused(tmp_path: Path, more: tuple[str, ...], config: str, why: str) -> None:
    files = {name: tmp_path / name for name in ("open", "short", "none")}
    files["open"].write_text(f"odile {'o' * 30}\n")
    files["short"].write_text("odile short\n")
    files["open"].chmod(0o644)
    files["short"].chmod(0o600)
    with serve(tmp_path, *(each.format(**files) for each in more), config=config) as process:
        _, err = process.communicate(timeout=60)
    assert process.returncode == 2 and why in err, err
