"""`callboard script run` as people use it: a real daemon of its own, real workers, real commands."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

from tests.system.daemon import CALLBOARD, MARK, clean_environment

SECONDS = 60.0
"""For a daemon's start and a script: a second on a quiet machine. More means that it hangs."""

COMPOSED = """\
const names: string[] = ["a", "b"];
console.log("starting");
const printed = await Promise.all(names.map((name) => tools.exec({ command: ["echo", name] })));
await tools.applyPatch({ patch: "*** Begin Patch\\n*** Add File: made.txt\\n+made\\n*** End Patch" });
return printed.map((each) => each.output);
"""

LONG = """\
await tools.exec({ command: ["true"] });
console.log("now");
await tools.exec({ command: ["sleep", "1000"] });
"""


def command(tmp_path: Path, file: Path, *flags: str) -> tuple[list[str], dict[str, str]]:
    """What to run, and its environment."""
    home, folder = tmp_path / "home", tmp_path / "work"
    home.mkdir(mode=0o700, exist_ok=True)
    folder.mkdir(exist_ok=True)
    arguments = [str(CALLBOARD), "script", "run", str(file), "-C", str(folder), *flags]
    return arguments, {**clean_environment(), "CALLBOARD_HOME": str(home), "COLUMNS": "200", MARK: "own-scripts"}


def run(tmp_path: Path, source: str, *flags: str) -> subprocess.CompletedProcess[str]:
    file = tmp_path / "script.ts"
    file.write_text(source)
    arguments, environment = command(tmp_path, file, *flags)
    return subprocess.run(
        arguments,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def test_a_script_is_run_in_the_folder_and_its_value_is_printed(tmp_path: Path) -> None:
    done = run(tmp_path, COMPOSED, "--approve-all")
    assert (done.returncode, done.stdout) == (0, '["a\\n","b\\n"]\n'), done.stderr
    assert (tmp_path / "work" / "made.txt").read_text() == "made\n"
    assert "starting" in done.stderr
    assert "✓✓ const printed" in done.stderr
    (rollout,) = (tmp_path / "home").rglob("rollout-*.jsonl")
    kinds = [json.loads(line)["type"] for line in rollout.read_text().splitlines()]
    assert "callboard_script_written" in kinds, "it is in a thread's log like any other"


def test_a_dry_run_as_json_lists_calls_and_makes_none(tmp_path: Path) -> None:
    done = run(tmp_path, COMPOSED.replace("each.output", "each"), "--dry-run", "--json")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "work" / "made.txt").exists()
    over = lines[-1]
    assert (over["type"], over["status"], over["value"]) == ("script.over", "returned", [{"dryRun": True}] * 2)
    assert [(call["name"], call["line"]) for call in over["calls"]] == [("exec", 3), ("exec", 3), ("applyPatch", 4)]
    assert [line["line"] for line in lines if line["type"] == "script.called"] == [3, 3, 4]


def test_a_mistake_is_told_as_a_compiler_does(tmp_path: Path) -> None:
    done = run(tmp_path, "const a = 1;\n  enum Color { Red }\nreturn a")
    assert (done.returncode, done.stdout) == (3, "")
    assert f"{tmp_path / 'script.ts'}:2:3: syntax error, typescript: " in done.stderr


def test_ctrl_c_cancels_it_and_says_what_became_of_each_call(tmp_path: Path) -> None:
    file = tmp_path / "script.ts"
    file.write_text(LONG)
    arguments, environment = command(tmp_path, file, "--approve-all")
    with subprocess.Popen(
        arguments, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "now" in line:
                break
        process.send_signal(signal.SIGINT)
        _, printed = process.communicate(timeout=SECONDS)
    assert process.returncode == 130, printed
    assert "script cancelled, 2 calls" in printed
    assert "#2 exec (line 3:13): cancelled" in printed
    assert "#1" not in printed.splitlines()[-1]
