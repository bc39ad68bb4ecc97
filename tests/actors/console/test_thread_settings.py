"""What ``-p`` and ``-c`` come to: flags for a daemon of our own, or settings for one thread of a daemon that runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.console.thread_settings import ThreadFlags, for_resumed
from actors.settings.layers import SettingsError

WORK = 'model = "of-work"\nsandbox_mode = "read-only"\n[listen]\nauth = false\n'


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "work.config.toml").write_text(WORK)
    return tmp_path


def test_a_thread_takes_the_profile_and_above_it_what_was_said_and_not_what_is_the_daemons(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ThreadFlags(profile="work", overrides=("model=said", "web_search=live"))
    assert flags.config(home) == {"model": "said", "sandbox_mode": "read-only", "web_search": "live"}
    assert capsys.readouterr().err == "callboard: the daemon that runs has its own listen; not used\n"
    assert ThreadFlags().config(home) == {}


def test_a_daemon_of_our_own_takes_all_of_it_as_flags() -> None:
    flags = ThreadFlags(profile="work", overrides=("a=1", "b=2"), strict=True)
    assert flags.flags == ("-c", "a=1", "-c", "b=2", "-p", "work", "--strict-config")
    assert ThreadFlags().flags == ()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (ThreadFlags(profile="none"), "none.config.toml: there is no profile 'none': this file does not exist"),
        (
            ThreadFlags(overrides=("model_verbosity=shrill",)),
            "-c model_verbosity: model_verbosity: 'shrill' is not acc",
        ),
        (ThreadFlags(overrides=("modle=x",), strict=True), "-c modle: unknown setting 'modle'; did you mean 'model'?"),
    ],
)
def test_what_is_wrong_is_said_before_a_thread_begins(home: Path, flags: ThreadFlags, said: str) -> None:
    with pytest.raises(SettingsError) as refused:
        flags.config(home)
    assert said in str(refused.value)


def test_an_unknown_name_is_told_of(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ThreadFlags(overrides=("modle=x",)).config(home) == {"modle": "x"}
    assert capsys.readouterr().err == (
        "callboard: -c modle: unknown setting 'modle'; did you mean 'model'? (ignored)\n"
    )


def test_a_thread_that_exists_takes_what_can_still_change(capsys: pytest.CaptureFixture[str]) -> None:
    config = {"model": "m", "approval_policy": "never", "sandbox_mode": "read-only", "web_search": "live"}
    assert for_resumed(config) == {"model": "m", "approvalPolicy": "never", "sandbox": "read-only"}
    assert capsys.readouterr().err == "callboard: only a new thread takes web_search; not used\n"
