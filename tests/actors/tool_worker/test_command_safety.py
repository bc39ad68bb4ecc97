"""What may run without asking, and what is dangerous. A wrong "safe" is a hole; a wrong "unknown" is a question."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.tool_worker.command_safety import is_dangerous, is_known_safe
from actors.tool_worker.needs import command_need
from actors.tool_worker.plain_words import plain_words
from actors.tool_worker.shell_parse import plain_commands


def script(text: str) -> tuple[str, ...]:
    return ("/bin/bash", "-lc", text)


@pytest.mark.parametrize(
    "text",
    [
        "ls",
        "ls -la src",
        "cd src && cat main.py | head -n 20; wc -l main.py",
        "cat 'a file' \"another $(not\"".replace("$(", "("),
        "grep -n 'a|b' file || true",
        "/usr/bin/ls\npwd",
        "sed -n 1,20p file",
        "sed -n 7p",
        "find . -name '*.py' -type f",
        "rg --hidden -n pattern src",
        "base64 file",
        "uniq -c file",
        "echo caf\u00e9 a=b",
    ],
)
def test_scripts_of_harmless_commands_are_safe(text: str) -> None:
    assert is_known_safe(script(text))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "make test",
        "ls; make",
        "git status",
        # anything a shell would have to work out
        "ls $HOME",
        "ls `pwd`",
        "ls $(pwd)",
        "ls <(pwd)",
        "ls > out",
        "ls 2>&1",
        "cat < in",
        "cat <<E\nx\nE",
        "cat <<< x",
        "(ls)",
        "{ ls; }",
        "ls &",
        "ls |& cat",
        "! ls",
        "A=1 ls",
        "A=1",
        "if true; then ls; fi",
        "ls *.py",
        "rg x *",
        "cat a?",
        "cat [ab]",
        "cat {a,b}",
        "cat ~/x",
        "ls # comment",
        "echo $'a'",
        'echo $"a"',
        'echo "$a"',
        "echo =ls",
        # what does not parse
        "ls 'x",
        'ls "x',
        "ls &&",
        "ls ;; ls",
        "&& ls",
        # what readers and shells see differently
        "ls\rrm x",
        "ls a\\\nb",
        "ls \x00",
        "ls '\x1b[8m'",
        "ls\u00a0x",
        "ls 'a\u202eb'",
        "ls \ud800",
        # options and operands that write or run
        "find . -delete",
        "find . -exec rm {} +",
        "find . -fprintf out x",
        "find . -okdir x",
        "rg --pre ./x y",
        "rg --pre=./x y",
        "rg --hostname-bin=./x y",
        "rg -nz y",
        "rg --search-zip y",
        "base64 -o out in",
        "base64 --output=out in",
        "uniq in out",
        "uniq -- in out",
        "sed -n 1,5w",
        "sed -i 1p file",
        "sed -n 1p -fevil",
        "sed -n 1p file -i",
        "sed -n 1p a b",
        "sed p file",
        # programs that only have a harmless name
        "./ls",
        "bin/ls",
        "/tmp/ls",
        "/usr/bin/../../tmp/ls",
        "''",
    ],
)
def test_everything_else_is_not(text: str) -> None:
    assert not is_known_safe(script(text))


def test_an_argv_without_a_shell_is_taken_as_it_is() -> None:
    assert is_known_safe(("cat", "*; rm -rf $HOME"))
    assert not is_known_safe(("python3", "x.py"))
    assert not is_known_safe(())
    assert not is_known_safe(("bash", "-x", "ls"))
    assert not is_known_safe(("bash", "-lc", "ls", "extra"))


@pytest.mark.parametrize("shell", ["bash", "zsh", "sh", "/bin/sh", "/usr/bin/zsh"])
def test_the_usual_shells_are_trusted(shell: str) -> None:
    assert is_known_safe((shell, "-c", "ls"))


@pytest.mark.parametrize("shell", ["./bash", "/tmp/bash", "fish", "/home/x/bin/zsh"])
def test_a_shell_from_anywhere_else_is_not(shell: str) -> None:
    assert not is_known_safe((shell, "-c", "ls"))


SHELL_TEXT = st.text(alphabet="ls cat'\"\\$`*?[]{}()<>|&;\n\r\t~!#=-/.\u00e9", max_size=25)


@given(SHELL_TEXT)
def test_outside_single_quotes_a_safe_script_holds_nothing_that_a_shell_expands(text: str) -> None:
    if is_known_safe(script(text)):
        outside = "".join(text.split("'")[::2]) if '"' not in text and "\\" not in text else ""
        assert not set(outside) & set("$`*?[]{}()<>~!#\r")


RECORDER = 'command_not_found_handle() { printf "%s\\0" "$#" "$@" >> "$OUT"; return 0; }; PATH=/nonexistent; '
"""With it, bash records the words of each command instead of running it; none of the names below is a builtin."""

WORDS = st.text(alphabet="x1 '\"\\-=.:a\u00e9", min_size=1, max_size=12).map(lambda text: "x1 " + text)
SCRIPTS = st.lists(WORDS, min_size=1, max_size=3).flatmap(
    lambda parts: st.lists(st.sampled_from(["; ", " && ", "\n"]), min_size=len(parts) - 1, max_size=len(parts) - 1).map(
        lambda joins: "".join(part + join for part, join in zip(parts, [*joins, ""], strict=True))
    )
)


@pytest.mark.skipif(shutil.which("bash") is None, reason="compares with a real bash")
def test_what_both_readers_agree_on_is_what_bash_runs(tmp_path: Path) -> None:
    bash = shutil.which("bash")
    assert bash is not None
    seen = tmp_path / "seen"

    @settings(max_examples=60, deadline=None)
    @given(SCRIPTS)
    def compare(text: str) -> None:
        commands = plain_commands(text)
        if commands is None:
            return
        seen.write_bytes(b"")
        subprocess.run([bash, "-c", RECORDER + text], env={"OUT": str(seen), "LC_ALL": "C.UTF-8"}, check=False)
        fields = iter(seen.read_bytes().decode().split("\0")[:-1])
        ran = tuple(tuple(next(fields) for _ in range(int(count))) for count in fields)
        assert ran == commands

    compare()


@given(st.lists(st.lists(st.text(max_size=8), min_size=1, max_size=4), min_size=1, max_size=3))
def test_words_in_single_quotes_are_read_back_as_they_were_or_refused(commands: list[list[str]]) -> None:
    def quoted(word: str) -> str:
        return "'" + word.replace("'", "'\\''") + "'"

    text = "; ".join(" ".join(map(quoted, command)) for command in commands)
    assert plain_words(text) in (None, tuple(map(tuple, commands)))


@pytest.mark.parametrize(
    "text",
    [
        "rm -f x",
        "rm -rf /",
        "rm -rfv x",
        "rm -r --force x",
        "rm x --fo",
        "/bin/rm -f x",
        "sudo rm -f x",
        "sudo -u root -n rm -fr x",
        "sudo A=1 rm -f x",
        "ls && rm -f x",
        "if true; then rm -f x; fi",
        "for f in a b; do rm -f $f; done",
        "(cd /; rm -f x)",
        "echo $(rm -f x)",
        "echo `rm -f x`",
        'echo "$(rm -f x)"',
        "rm -f x > log 2>&1",
        "> log rm -f x",
        "A=1 rm -f x",
        "r\\m -f x",
        "'rm' \"-f\" x",
        "rm -f *.o",
        "f() { rm -f x; }",
        # behind what runs another program
        "env -i A=1 rm -f x",
        "env -S 'rm -f x'",
        "nohup nice -n 5 rm -f x &",
        "timeout -k 1 5 rm -f x",
        "xargs -n 1 rm -f < list",
        "find . -name '*.o' -exec rm -f {} +",
        "command rm -f x",
        "exec rm -f x",
        "busybox rm -f x",
        # scripts within the script
        "bash -c 'rm -f x'",
        "sh -ec 'cd /; sudo bash -lc \"rm -f x\"'",
        "eval 'rm -f' x",
        "bash <<'E'\nrm -f x\nE",
        "bash -s <<E | cat\nls && rm -f x\nE",
        "cat <<E\n$(rm -f x)\nE",
        'cat <<< "$(rm -f x)"',
        "diff <(rm -f x) y",
        "case a in a) rm -f x;; esac",
        "while read l; do rm -f $l; done",
        "[[ -f x ]] && rm -f x",
        "! rm -f x",
        "coproc rm -f x",
    ],
)
def test_a_forced_removal_is_found_anywhere_in_a_script(text: str) -> None:
    assert is_dangerous(script(text))
    assert command_need(script(text), "/p").risk == "forced_removal"


@pytest.mark.parametrize(
    "text",
    [
        *(
            "rm x",
            "rm -r x",
            "rm -- -f",
            "echo rm -f x",
            "echo 'rm -f x'",
            "grep -f x",
            "cmd=rm; $cmd -f x",
            "sudo ls",
            "",
        ),
        *(
            "cat <<'E'\nrm -f x\nE",
            "bash -c 'echo rm -f x'",
            "bash script -c 'rm -f x'",
            "env",
            "timeout 5",
            "find . -exec",
        ),
        *("bash -c", "sudo -u rm -f x", "eval"),
    ],
)
def test_what_is_only_data_or_unknown_is_not_called_a_forced_removal(text: str) -> None:
    assert not is_dangerous(script(text))


def test_a_forced_removal_without_a_shell_is_found_too() -> None:
    assert is_dangerous(("rm", "-f", "x"))
    assert is_dangerous(("sudo", "--", "rm", "-f", "x"))
    assert command_need(("rm", "x"), "/p").risk == "unknown"
    assert command_need(("ls",), "/p").risk == "known_safe"


def test_a_script_too_large_to_look_into_is_unknown() -> None:
    assert command_need(script("ls " + "a" * 200_000), "/p").risk == "unknown"
