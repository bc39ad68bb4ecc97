"""Logging in from a terminal: what is typed unseen, what is shown, Ctrl-C. The authorization server is a strict one."""

from __future__ import annotations

import json
import re
import termios
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.actors.credentials.authority import CLIENT, Authority, authority
from tests.system.daemon import SOON_OVER, DaemonProcess, daemon_process
from tests.system.terminal import Terminal

KEY = b"sk-typed-0123456789-q9876"

CORP = """\
cli_auth_credentials_store = "file"
[model_providers.corp]
base_url = "http://127.0.0.1:1/v1"
oauth = "corp"
[oauth.corp]
client_id = "{client}"
authorize_url = "{url}/authorize"
token_url = "{url}/token"
revoke_url = "{url}/revoke"
device_code_url = "{url}/device"
device_token_url = "{url}/token"
manual_redirect_uri = "{url}/shown"
"""

LOGGED_IN = "Logged in to corp. Logins are kept in the file"
STATUS = "corp: logged in as ada@example.org (plan pro, account acc-1), token good for 60 min"


@pytest.fixture(scope="module")
def server() -> Iterator[Authority]:
    with authority() as made:
        yield made


@pytest.fixture(scope="module")
def daemon(server: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    home = tmp_path_factory.mktemp("login") / "home"
    home.mkdir(mode=0o700)
    (home / "config.toml").write_text(CORP.format(client=CLIENT, url=server.url))
    with daemon_process(home, SOON_OVER) as running:
        yield running


@pytest.fixture
def no_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROWSER", "true")  # the program, which opens nothing


def login(daemon: DaemonProcess, *words: str) -> Terminal:
    return Terminal(daemon.home, "login", *words)


def address_shown(terminal: Terminal) -> str:
    """The page to open: the terminal may have broken the line, but a URL holds no blanks."""
    found = re.search(r"http://\S+/authorize\S+(?:\r\n\S+)*", terminal.shown)
    assert found is not None, terminal.shown
    return found.group().replace("\r\n", "")


def fetch(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=15) as page:
        body: bytes = page.read()
    return body


def vault(home: Path) -> str:
    path = home / "credentials.json"
    return path.read_text() if path.exists() else ""


def test_a_key_is_typed_unseen(daemon: DaemonProcess) -> None:
    with login(daemon, "--with-api-key") as terminal:
        terminal.until("API key for openai (not shown): ")
        terminal.press(KEY + b"\r")
        terminal.until("New threads use openai")
        assert terminal.ended() == 0
    assert KEY.decode() not in terminal.shown
    assert KEY.decode() in vault(daemon.home)


def test_ctrl_c_at_the_prompt_leaves_at_once_and_the_terminal_shows_again_what_is_typed(daemon: DaemonProcess) -> None:
    with login(daemon, "--with-api-key", "--provider", "anthropic") as terminal:
        terminal.until("API key for anthropic (not shown): ")
        terminal.press(KEY)
        terminal.press(b"\x03")
        assert terminal.ended() == 130
        assert termios.tcgetattr(terminal.keys)[3] & termios.ECHO
    assert (KEY.decode() in terminal.shown, "Traceback" in terminal.shown) == (False, False)
    assert "anthropic" not in vault(daemon.home)


def test_nothing_typed_is_no_key(daemon: DaemonProcess) -> None:
    with login(daemon, "--with-api-key", "--provider", "anthropic") as terminal:
        terminal.until("(not shown): ")
        terminal.press(b"\r")
        terminal.until("callboard: No API key typed.")
        assert terminal.ended() == 1


def test_a_device_code_is_shown_and_waited_for(daemon: DaemonProcess, server: Authority) -> None:
    with login(daemon, "--provider", "corp", "--device-auth") as terminal:
        terminal.until(f"Open {server.url}/activate on any device and type")
        terminal.until("WXYZ-1234")
        terminal.until(LOGGED_IN)
        assert terminal.ended() == 0
    with login(daemon, "status") as terminal:
        terminal.until(STATUS)
    assert server.complaints == []


def test_a_browser_of_this_machine_brings_the_code_back(
    daemon: DaemonProcess, server: Authority, no_browser: None
) -> None:
    with login(daemon, "--provider", "corp") as terminal:
        terminal.until("waiting for the login")
        assert b"logged in" in fetch(address_shown(terminal)).lower()
        terminal.until(LOGGED_IN)
        assert terminal.ended() == 0
    assert server.complaints == []


def test_a_code_is_pasted_unseen_and_one_of_another_login_is_refused(daemon: DaemonProcess, server: Authority) -> None:
    with login(daemon, "--provider", "corp", "--token") as terminal:
        terminal.until("Paste the code the page shows (not shown): ")
        terminal.press(b"a-code#of-another-login\r")
        terminal.until("callboard: not logged in: the pasted code belongs to another login; open the page again")
        assert terminal.ended() == 1
    with login(daemon, "--provider", "corp", "--token") as terminal:
        terminal.until("Paste the code the page shows (not shown): ")
        shown = json.loads(fetch(address_shown(terminal)))
        terminal.press(f"{shown['code']}#{shown['state']}\r".encode())
        terminal.until(LOGGED_IN)
        assert terminal.ended() == 0
    assert shown["code"] not in terminal.shown
    assert server.complaints == []


def test_a_login_that_is_given_up_frees_the_port_it_waited_on(daemon: DaemonProcess, no_browser: None) -> None:
    with login(daemon, "--provider", "corp") as terminal:
        terminal.until("waiting for the login")
        port = re.search(r"redirect_uri=http%3A%2F%2F127\.0\.0\.1%3A(\d+)%2F", address_shown(terminal))
        terminal.press(b"\x03")
        assert terminal.ended() == 130
    assert "Traceback" not in terminal.shown
    assert port is not None
    with pytest.raises(OSError, match="refused"):
        fetch(f"http://127.0.0.1:{port.group(1)}/")
