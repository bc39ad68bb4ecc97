"""`callboard login`, `login status|import|migrate` and `logout` as a script meets them: words and exit codes."""

from __future__ import annotations

import base64
import io
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import trio

from actors.console.borrowed import attached
from actors.console.main import main
from tests.system.daemon import SOON_OVER, DaemonProcess, daemon_process

KEY = "sk-abcde-0123456789-p1234"
FILE_STORE = 'cli_auth_credentials_store = "file"\n'
NOBODY = "New threads use rehearsal, model rehearsal (no provider is set, no key is in the environment, and "


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    home = tmp_path_factory.mktemp("login") / "home"
    home.mkdir(mode=0o700)
    (home / "config.toml").write_text(FILE_STORE)
    with daemon_process(home, SOON_OVER) as running:
        yield running


class Ran(NamedTuple):
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


class Callboard:
    """The command line, in this process: an interpreter's start for each word would be most of the time."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.home = home
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def __call__(self, *words: str, stdin: str = "") -> Ran:
        self._monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode()), encoding="utf-8"))
        code = main(words, lambda _: pytest.fail("a daemon was started"))
        return Ran(code, *self._capsys.readouterr())


@pytest.fixture
def callboard(
    daemon: DaemonProcess, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callboard]:
    """Of a daemon that runs, with nobody logged in."""
    monkeypatch.setenv("CALLBOARD_HOME", str(daemon.home))
    run = Callboard(daemon.home, monkeypatch, capsys)
    yield run
    run("logout")


def kept_in(home: Path) -> str:
    return f"Logins are kept in the file {home}/credentials.json, as the settings say."


def test_a_key_is_kept_told_of_by_its_ends_only_decides_what_new_threads_use_and_is_forgotten(
    callboard: Callboard,
) -> None:
    out = callboard("login", "status")
    assert (out.returncode, out.stdout.splitlines()) == (
        1,
        ["Not logged in", kept_in(callboard.home), f"{NOBODY}nobody is logged in)."],
    )
    out = callboard("login", "--with-api-key", stdin=" \n")
    assert (out.returncode, out.stdout, out.stderr) == (1, "", "callboard: No API key provided via stdin.\n")
    out = callboard("login", "--with-api-key", stdin=KEY + "\n")
    new_threads = "New threads use openai, model gpt-6.1-sol (a kept key)."
    assert (out.returncode, out.stderr, out.stdout.splitlines()) == (
        0,
        "",
        [f"The key for openai is kept. {kept_in(callboard.home)}", new_threads],
    )
    out = callboard("login", "status")
    assert (out.returncode, out.stdout.splitlines()) == (
        0,
        ["openai: API key configured - sk-abcde***p1234", kept_in(callboard.home), new_threads],
    )
    out = callboard("logout")
    assert (out.returncode, out.stdout) == (0, "Successfully logged out of openai\n")
    out = callboard("logout")
    assert (out.returncode, out.stdout) == (0, "Not logged in\n")
    kept = [path for path in callboard.home.rglob("*") if path.is_file()]
    assert [path for path in kept if KEY.encode() in path.read_bytes()] == []


def test_a_key_of_a_provider_without_known_models_is_kept_and_says_what_to_set(callboard: Callboard) -> None:
    out = callboard("login", "--with-api-key", "--provider", "groq", stdin=KEY)
    assert (out.returncode, out.stdout.splitlines()) == (
        0,
        [
            f"The key for groq is kept. {kept_in(callboard.home)}",
            f"{NOBODY}no login is to one whose models are known).",
            "To use groq: callboard config set model_provider groq",
            "and a model of its own: callboard config set model NAME (see callboard models --provider groq)",
        ],
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("status auth.json", "unrecognized arguments: auth.json"),
        ("--with-api-key status", "callboard login: status takes no --with-api-key"),
        ("--provider openai migrate", "callboard login: migrate takes no --provider; it is about all logins"),
        ("--with-api-key --token", "not allowed with argument --with-api-key"),
        ("migrate --to ephemeral", "invalid choice: 'ephemeral' (choose from 'keyring', 'file')"),
    ],
)
def test_what_means_nothing_is_wrong_usage_before_anything_starts(
    words: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code: object = main(["login", *words.split()], lambda _: pytest.fail("a daemon was started"))
    except SystemExit as ended:
        code = ended.code
    out = capsys.readouterr()
    assert (code, out.out, said in out.err) == (2, "", True), out.err


def test_what_cannot_be_done_says_why_and_keeps_nothing(callboard: Callboard) -> None:
    def refused(*words: str, stdin: str = "") -> str:
        out = callboard("login", *words, stdin=stdin)
        assert (out.returncode, out.stdout) == (1, "")
        assert "(-32" not in out.stderr, "a code of the wire says nothing to a person"
        return out.stderr

    before = (
        (callboard.home / "credentials.json").read_bytes() if (callboard.home / "credentials.json").exists() else None
    )
    assert refused("--with-api-key", "--provider", "nobody", stdin=KEY).startswith(
        "callboard: the key was not kept: there is no provider 'nobody'; known are anthropic, "
    )
    assert refused("--with-api-key", stdin=f"{KEY}\nand more") == (
        "callboard: the key was not kept: the key holds blanks or more than one line\n"
    )
    assert refused("--provider", "openai") == (
        "callboard: provider 'openai' takes a key, not a login: add --with-api-key\n"
    )
    assert 'set oauth.chatgpt.client_id = "…" in config.toml' in refused()
    assert refused("migrate", "--to", "keyring") == (
        'callboard: cli_auth_credentials_store is "file", so logins would not be found in the other place; nothing '
        "was moved. First: callboard config set cli_auth_credentials_store keyring\n"
    )
    assert before == (
        (callboard.home / "credentials.json").read_bytes() if (callboard.home / "credentials.json").exists() else None
    )


def jwt(**claims: object) -> str:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"eyJhbGciOiJub25lIn0.{body}.c2ln"


def auth_json(ends: float) -> str:
    """As the Codex CLI writes it."""
    auth = {"chatgpt_account_id": "acc-7", "chatgpt_plan_type": "plus"}
    profile = {"email": "ada@example.org"}
    claims = {"exp": ends, "https://api.openai.com/auth": auth, "https://api.openai.com/profile": profile}
    tokens = {
        "id_token": "it-secret",
        "access_token": jwt(**claims),
        "refresh_token": "rt-secret",
        "account_id": "acc-7",
    }
    return json.dumps({"auth_mode": "chatgpt", "OPENAI_API_KEY": None, "tokens": tokens})


def test_a_key_is_imported_and_what_cannot_be_says_why(callboard: Callboard, tmp_path: Path) -> None:
    theirs = tmp_path / "auth.json"
    out = callboard("login", "import", str(theirs))
    assert (out.returncode, out.stderr) == (1, f"callboard: {theirs} cannot be read: No such file or directory\n")
    theirs.write_text(auth_json(time.time() + 3600))
    out = callboard("login", "import", str(theirs))
    assert (out.returncode, out.stdout) == (1, "")
    assert out.stderr.startswith(f"callboard: nothing is taken over from {theirs}: its ChatGPT login belongs to")
    assert out.stderr.endswith("(callboard login import --borrow)\n")
    theirs.write_text(f'{{"auth_mode": "apikey", "OPENAI_API_KEY": "{KEY}"}}')
    out = callboard("login", "import", str(theirs))
    assert (out.returncode, KEY in out.stdout + out.stderr) == (0, False)
    assert callboard("login", "status").stdout.startswith("openai: API key configured - sk-abcde***p1234\n")
    assert KEY in theirs.read_text()


def test_a_login_of_another_program_is_borrowed_until_it_ends_and_never_what_renews_it(
    callboard: Callboard, tmp_path: Path
) -> None:
    theirs = tmp_path / "auth.json"
    theirs.write_text(auth_json(time.time() - 1))
    out = callboard("login", "import", "--borrow", str(theirs))
    assert (out.returncode, out.stderr) == (1, "callboard: the token was not kept: the token has ended already\n")
    before = auth_json(time.time() + 5 * 86400)
    theirs.write_text(before)
    out = callboard("login", "import", "--borrow", str(theirs))
    assert (out.returncode, out.stderr) == (0, "")
    assert "neither renewed\nnor revoked, which would log the other program out." in out.stdout
    out = callboard("login", "status")
    assert out.stdout.splitlines() == [
        "chatgpt: logged in as ada@example.org (plan plus, account acc-7), another program's token good for 5 days",
        kept_in(callboard.home),
        "New threads use chatgpt, model gpt-6.1-sol (a login).",
    ]
    vault = (callboard.home / "credentials.json").read_text()
    assert ("rt-secret" in vault, "it-secret" in vault) == (False, False)
    assert theirs.read_text() == before


def test_the_next_thread_of_a_running_daemon_uses_a_login_and_after_the_logout_no_longer(
    callboard: Callboard,
) -> None:
    async def begun_with() -> tuple[list[str], str]:
        async with attached(callboard.home) as client:
            thread = await client.request("thread/start", {"cwd": str(callboard.home)})
            models = (await client.request("model/list", {}))["data"]
            return [thread["modelProvider"], thread["model"]], next(
                each["model"] for each in models if each["isDefault"]
            )

    assert trio.run(begun_with) == (["rehearsal", "rehearsal"], "rehearsal")
    callboard("login", "--with-api-key", "--provider", "anthropic", stdin=KEY)
    assert trio.run(begun_with) == (["anthropic", "claude-opus-5-5"], "claude-opus-5-5")
    callboard("login", "--with-api-key", stdin=KEY)
    assert trio.run(begun_with) == (["openai", "gpt-6.1-sol"], "gpt-6.1-sol")
    callboard("logout")
    assert trio.run(begun_with)[0] == ["rehearsal", "rehearsal"]
