"""Logins in a real Secret Service: GNOME's, on a D-Bus of its own.

Needs ``gnome-keyring-daemon`` and ``dbus-run-session`` (Debian: ``apt install gnome-keyring dbus-daemon``); what needs
them is skipped with that word where they are missing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from actors.credentials.entries import KeyEntry, Vault
from actors.credentials.stores import StoreError
from actors.credentials.stores.choosing import choose
from actors.credentials.stores.keyring import secret_service
from actors.ports.production.files import SystemFiles
from messages.credentials import SecretValue

MISSING = [name for name in ("gnome-keyring-daemon", "dbus-run-session") if shutil.which(name) is None]

needs_keyring = pytest.mark.skipif(
    bool(MISSING), reason=f"no {' and no '.join(MISSING)} here: apt install gnome-keyring dbus-daemon"
)

SECONDS = 60

KEY = "sk-keyring-0123456789"

STORE = dedent(
    """
    import sys
    from actors.credentials.entries import KeyEntry, Vault
    from actors.credentials.stores.choosing import choose
    from actors.credentials.stores.keyring import secret_service
    from actors.ports.production.files import SystemFiles
    from messages.credentials import SecretValue

    home, verb = sys.argv[1:3]
    chosen = choose("auto", SystemFiles(), home, secret_service)
    if verb == "save":
        chosen.store.save(Vault(entries={"openai": KeyEntry(key=SecretValue(sys.argv[3]), saved_at=1.0)}))
    entry = chosen.store.load().entries.get("openai")
    print(chosen.kind, "nothing" if entry is None else entry.key.reveal(), "|", chosen.why)
    """
)

MOVE = dedent(
    """
    import sys
    import trio
    from actors.credentials.entries import KeyEntry, Vault
    from actors.credentials.keeping import Keeper
    from actors.credentials.stores.choosing import choose
    from actors.credentials.stores.keyring import secret_service
    from actors.ports.production import production_ports
    from messages.credentials import SecretValue

    home, key = sys.argv[1:]
    ports = production_ports(None)
    file, keyring = (choose(kind, ports.files, home, secret_service).store for kind in ("file", "keyring"))

    def told(store):
        entry = store.load().entries.get("openai")
        return "nothing" if entry is None else entry.key.reveal()

    async def move(source, target):
        await Keeper(ports, source, home).move_to(target, (source,))
        print(told(file), told(keyring))

    file.save(Vault(entries={"openai": KeyEntry(key=SecretValue(key), saved_at=1.0)}))
    print(choose("auto", ports.files, home, secret_service).kind)
    trio.run(move, file, keyring)
    print(choose("auto", ports.files, home, secret_service).kind)
    trio.run(move, keyring, file)
    """
)

PLAIN_BACKEND = dedent(
    """
    from keyring.backend import KeyringBackend

    class Keyring(KeyringBackend):
        priority = 99

        def get_password(self, service, username):
            open(__file__ + ".used", "a").close()

        set_password = delete_password = get_password
    """
)


def in_a_desktop(tmp_path: Path, *commands: str) -> str:
    """What shell commands print on a D-Bus where GNOME's keyring has been unlocked."""
    unlock = "printf 'password\\n' | gnome-keyring-daemon --unlock --components=secrets > /dev/null"
    script = "; ".join(("set -e", unlock, *commands))
    finished = subprocess.run(
        ["dbus-run-session", "--", "sh", "-c", script],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def environment(tmp_path: Path) -> dict[str, str]:
    """Of a user whose keyrings are in ``tmp_path``, with no desktop of the outside."""
    hidden = ("DBUS_SESSION_BUS_ADDRESS", "DISPLAY", "WAYLAND_DISPLAY", "GNOME_KEYRING_CONTROL")
    kept = {name: value for name, value in os.environ.items() if name not in hidden}
    runtime = tmp_path / "runtime"
    runtime.mkdir(mode=0o700, exist_ok=True)
    return kept | {
        "HOME": str(tmp_path),
        "XDG_DATA_HOME": str(tmp_path / "data"),
        "XDG_RUNTIME_DIR": str(runtime),
        "SCRIPT": STORE,
        "MOVE": MOVE,
        "PYTHON": sys.executable,
    }


@needs_keyring
def test_a_secret_service_keeps_logins_for_the_next_process_and_homes_apart(tmp_path: Path) -> None:
    first, second, other = in_a_desktop(
        tmp_path,
        f'"$PYTHON" -c "$SCRIPT" /first save {KEY}',
        '"$PYTHON" -c "$SCRIPT" /first load',
        '"$PYTHON" -c "$SCRIPT" /other load',
    ).splitlines()
    why = "Logins are kept in the desktop's keyring (Secret Service)."
    assert (first, second, other) == (*[f"keyring {KEY} | {why}"] * 2, f"keyring nothing | {why}")
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert kept != []
    assert [path for path in kept if KEY.encode() in path.read_bytes()] == []


@needs_keyring
def test_logins_move_into_a_secret_service_and_out_of_it_and_auto_goes_along(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    told = in_a_desktop(tmp_path, f'"$PYTHON" -c "$MOVE" {home} {KEY}').splitlines()
    assert told == ["file", f"nothing {KEY}", "keyring", f"{KEY} nothing"]


def test_without_a_secret_service_auto_takes_the_file_and_says_so_though_a_plaintext_keyring_is_installed(
    tmp_path: Path,
) -> None:
    """As with `keyrings.alt`: the default backend of the `keyring` package would be a file in plain text."""
    (tmp_path / "plain_backend.py").write_text(PLAIN_BACKEND)
    home = tmp_path / "home"
    settings = environment(tmp_path) | {
        "DBUS_SESSION_BUS_ADDRESS": "unix:path=/nonexistent",
        "PYTHON_KEYRING_BACKEND": "plain_backend.Keyring",
        "PYTHONPATH": str(tmp_path),
    }

    def python(*arguments: str) -> str:
        return subprocess.run(
            [sys.executable, *arguments], env=settings, capture_output=True, text=True, timeout=SECONDS, check=True
        ).stdout

    # the counter-check: `keyring` itself would take it
    assert "plain_backend" in python("-c", "import keyring; print(type(keyring.get_keyring()).__module__)")
    assert python("-c", STORE, str(home), "save", KEY) == (
        f"file {KEY} | Logins are kept in the file {home}/credentials.json, because no Secret Service answers here.\n"
    )
    assert (home / "credentials.json").stat().st_mode & 0o777 == 0o600
    assert not (tmp_path / "plain_backend.py.used").exists()


def test_asked_for_by_name_a_keyring_that_is_not_there_is_an_error_and_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent")
    with pytest.raises(StoreError) as refused:
        choose("keyring", SystemFiles(), str(tmp_path), secret_service)
    assert str(refused.value) == (
        "no Secret Service answers here, so there is no keyring; start one, or keep logins in the file: "
        "callboard config set cli_auth_credentials_store file"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_keyring_that_breaks_says_so_and_not_what_it_was_given(tmp_path: Path) -> None:
    class Broken:
        def get_password(self, service: str, username: str) -> str | None:
            raise OSError("the collection is locked")

        def set_password(self, service: str, username: str, password: str) -> None:
            raise OSError("the collection is locked")

        def delete_password(self, service: str, username: str) -> None:
            raise OSError("the collection is locked")

    store = choose("keyring", SystemFiles(), str(tmp_path), Broken).store
    with pytest.raises(StoreError) as unread:
        store.load()
    with pytest.raises(StoreError) as unwritten:
        store.save(Vault(entries={"openai": KeyEntry(key=SecretValue(KEY), saved_at=1.0)}))
    where = "the desktop's keyring (Secret Service)"
    assert (str(unread.value), str(unwritten.value)) == (
        f"{where} cannot be read: OSError: the collection is locked",
        f"{where} cannot be written: OSError: the collection is locked; nothing was changed",
    )
