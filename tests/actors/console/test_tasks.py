"""`callboard tasks` and `callboard apply` as processes: a real daemon with a login, the stand-in, a git repository."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.console.repository import make
from actors.credentials.entries import Vault, encode
from tests.actors.backend.standin import TOKEN, StandIn, listed, stand_in, task
from tests.actors.gateway.test_backend import LOGIN
from tests.system.daemon import CALLBOARD, clean_environment, daemon_process

DIFF = """\
diff --git a/README.md b/README.md
--- a/README.md
+++ b/README.md
@@ -1,3 +1,3 @@
-# tempo
+# Tempo
\x20
 Durations as people write them: `tempo.seconds("1h 30m")` is 5400.
"""


class Place:
    def __init__(self, home: Path, folder: Path, server: StandIn) -> None:
        self.home, self.folder, self.server = home, folder, server

    def run(self, *words: str) -> tuple[int, str, str]:
        done = subprocess.run(
            [str(CALLBOARD), *words],
            cwd=self.folder,
            env={**clean_environment(), "CALLBOARD_HOME": str(self.home), "COLUMNS": "120"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert TOKEN not in done.stdout + done.stderr
        return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("tasks")
    make(folder / "tempo")
    home = folder / "home"
    home.mkdir(mode=0o700)
    kept = home / "credentials.json"
    kept.write_bytes(encode(Vault(entries={"chatgpt": LOGIN})))
    kept.chmod(0o600)
    with stand_in() as server:
        (home / "config.toml").write_text(
            f'chatgpt_base_url = "{server.url}/backend-api"\ncli_auth_credentials_store = "file"\n'
        )
        with daemon_process(home) as daemon:
            yield Place(daemon.home, folder / "tempo", server)


def test_tasks_are_listed_and_shown(place: Place) -> None:
    place.server.answers = {
        "/backend-api/wham/tasks/list": {"items": [listed("task_e_1", "Mend \x1b[31mit")]},
        "/backend-api/wham/tasks/task_e_1": task(DIFF),
    }
    code, out, err = place.run("tasks")
    assert code == 0, err
    assert "task_e_1" in out
    assert "+2 -1" in out
    assert "Mend  [31mit" in out
    assert "\x1b" not in out
    code, out, err = place.run("tasks", "--json")
    assert code == 0
    assert [each["id"] for each in json.loads(out)] == ["task_e_1"]
    code, out, err = place.run("tasks", "https://chatgpt.com/codex/tasks/task_e_1")
    assert code == 0
    assert "Done." in out
    assert "callboard apply task_e_1" in out


def test_a_tasks_diff_is_applied_once_and_a_conflict_has_its_exit_code(place: Place) -> None:
    readme = place.folder / "README.md"
    before = readme.read_text()
    place.server.answers = {
        "/backend-api/wham/tasks/task_e_1": task(DIFF),
        "/backend-api/wham/tasks/task_e_2": task(None, error={"code": "setup", "message": "no network"}),
    }
    code, out, err = place.run("apply", "task_e_1")
    assert (code, err) == (0, "")
    assert out.endswith(":\n  README.md\n")
    assert readme.read_text() == before.replace("# tempo", "# Tempo")
    code, out, _ = place.run("apply", "task_e_1")
    assert code == 0
    assert "already" in out

    readme.write_text(before.replace("# tempo", "# mine"))
    code, out, err = place.run("apply", "task_e_1")
    assert (code, out) == (3, "")
    assert "README.md" in err
    assert "nothing was" in err
    assert readme.read_text() == before.replace("# tempo", "# mine")

    code, _, err = place.run("apply", "task_e_2")
    assert code == 1
    assert "task task_e_2 has no diff: setup: no network" in err
    code, _, err = place.run("apply", "task_e_3")
    assert code == 1
    assert "HTTP 404" in err
