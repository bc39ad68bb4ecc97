"""`callboard login`, `login status`, `login import` and `logout` as a script meets them: words and exit codes."""

from __future__ import annotations

from pathlib import Path

from tests.system.test_cli import callboard

KEY = "sk-abcde-0123456789-p1234"
FILE_STORE = 'cli_auth_credentials_store = "file"\n'


def test_a_key_is_kept_told_of_by_its_ends_only_and_forgotten(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    (home / "config.toml").write_text(FILE_STORE)
    out = callboard(home, "login", "status")
    assert (out.returncode, out.stdout) == (1, "Not logged in\n")
    out = callboard(home, "login", "--with-api-key", stdin=" \n")
    assert (out.returncode, out.stdout, out.stderr) == (1, "", "callboard: No API key provided via stdin.\n")
    assert not (home / "credentials.json").exists()
    out = callboard(home, "login", "--with-api-key", stdin=KEY + "\n")
    assert (out.returncode, out.stdout.splitlines()[0]) == (
        0,
        f"The key for openai is kept. Logins are kept in the file {home}/credentials.json, as the settings say.",
    )
    assert KEY not in out.stdout + out.stderr
    out = callboard(home, "login", "status")
    assert (out.returncode, out.stdout.splitlines()[0]) == (0, "openai: API key configured - sk-abcde***p1234")
    out = callboard(home, "logout")
    assert (out.returncode, out.stdout) == (0, "Successfully logged out of openai\n")
    out = callboard(home, "logout")
    assert (out.returncode, out.stdout) == (0, "Not logged in\n")
    kept = [path for path in home.rglob("*") if path.is_file()]
    assert [path for path in kept if KEY.encode() in path.read_bytes()] == []


def test_a_key_is_imported_and_what_cannot_be_says_why(tmp_path: Path) -> None:
    home, theirs = tmp_path / "home", tmp_path / "auth.json"
    home.mkdir(mode=0o700)
    (home / "config.toml").write_text(FILE_STORE)
    out = callboard(home, "login", "import", str(theirs))
    assert (out.returncode, out.stderr) == (1, f"callboard: {theirs} cannot be read: No such file or directory\n")
    theirs.write_text('{"OPENAI_API_KEY": null, "tokens": {"access_token": "at-secret"}}')
    out = callboard(home, "login", "import", str(theirs))
    assert (out.returncode, out.stdout) == (1, "")
    assert out.stderr.startswith(f"callboard: nothing is taken over from {theirs}: its ChatGPT login belongs to")
    theirs.write_text(f'{{"auth_mode": "apikey", "OPENAI_API_KEY": "{KEY}"}}')
    out = callboard(home, "login", "import", str(theirs))
    assert (out.returncode, KEY in out.stdout + out.stderr) == (0, False)
    assert callboard(home, "login", "status").stdout.startswith("openai: API key configured - sk-abcde***p1234\n")
    assert KEY in theirs.read_text()
