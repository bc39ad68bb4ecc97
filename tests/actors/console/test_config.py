"""``callboard config``, on files."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from actors.console.main import main
from actors.console.serve_options import ServeOptions
from messages.settings import Features


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for variable in [name for name in os.environ if name.startswith("CALLBOARD_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("CALLBOARD_HOME", str(tmp_path / "home"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "home"


def no_daemon(_: ServeOptions) -> int:
    raise AssertionError("this needs no daemon")


def config(*words: str) -> int:
    return main(["config", *words], no_daemon)


def test_a_setting_is_set_read_listed_with_its_place_and_unset(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert config("set", "model", "4") == 0  # a text, though it looks like a number
    assert config("set", "listen.max_connections", "5") == 0
    assert config("set", "project_root_markers", '[".hg"]') == 0
    capsys.readouterr()
    assert (config("get", "model"), config("get", "listen.max_connections")) == (0, 0)
    assert capsys.readouterr().out == "4\n5\n"
    assert config("list", "--origins") == 0
    told = capsys.readouterr().out
    assert f"{home}/config.toml:1" in told
    assert '[".hg"]' in told
    monkeypatch.setenv("CALLBOARD_MODEL", "b")
    assert config("set", "model", "c") == 0
    assert "model stays as CALLBOARD_MODEL sets it" in capsys.readouterr().err
    assert config("get", "model", "--origins") == 0
    assert capsys.readouterr() == ("b\n", "  from CALLBOARD_MODEL\n")
    assert config("unset", "listen.max_connections") == 0
    assert "max_connections" not in (home / "config.toml").read_text()
    assert (home / "config.toml").stat().st_mode & 0o777 == 0o600


def test_what_is_no_good_is_not_written(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert config("set", "model_verbosity", "shrill") == 1
    assert config("set", "a..b", "1") == 1
    assert config("get", "no.such.thing") == 1
    assert "accepted: 'low', 'medium', 'high'" in capsys.readouterr().err
    assert not (home / "config.toml").exists()


def test_check_names_everything_that_is_wrong_with_its_place(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert config("check") == 0
    home.mkdir()
    file = home / "config.toml"
    file.write_text("modle = 'a'\n")
    assert config("check") == 0
    assert f"warning: {file}:1:1: unknown setting 'modle'; did you mean 'model'?" in capsys.readouterr().out
    assert config("check", "--strict-config") == 1
    file.write_text("model_verbosity = 'shrill'\n[listen]\nauth = 'no'\n")
    assert config("check") == 1
    told = capsys.readouterr().err
    assert f"{file}:1:1: model_verbosity" in told
    assert f"{file}:3:1: listen.auth" in told
    file.write_text("model_provider = 'nobody'\n")
    assert config("check") == 1
    assert "there is no such provider" in capsys.readouterr().err


def test_a_profile_is_a_file_of_its_own(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert config("set", "model", "a") == 0
    assert config("get", "-p", "work", "model") == 1  # it is not there yet
    assert config("set", "-p", "work", "model", "b") == 0
    capsys.readouterr()
    assert (config("get", "model"), config("get", "-p", "work", "model")) == (0, 0)
    assert capsys.readouterr().out == "a\nb\n"
    assert (home / "work.config.toml").read_text() == 'model = "b"\n'


def test_an_import_says_what_it_takes_and_what_not(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "codex").mkdir()
    (tmp_path / "codex" / "config.toml").write_text('model = "a"\nsomething_else = 1\n')
    monkeypatch.setenv("CODEX_HOME", str(tmp_path / "codex"))
    assert config("import", "--dry-run") == 0
    assert not home.exists()
    assert config("import") == 0
    told = capsys.readouterr().out
    assert 'model = "a"' in told
    assert "not taken: something_else" in told
    assert (home / "config.toml").read_text() == 'model = "a"\n'


def test_edit_opens_the_editor_and_checks_what_it_left(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\necho "model_verbosity = \'shrill\'" > "$1"\n')
    editor.chmod(0o755)
    monkeypatch.setenv("VISUAL", str(editor))
    assert config("edit") == 1
    assert f"{home}/config.toml:1:1" in capsys.readouterr().err


def test_secrets_are_not_listed(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home.mkdir()
    (home / "config.toml").write_text(
        "[model_providers.x]\nbase_url = 'http://x'\nhttp_headers = { k = 'sk-secret' }\n"
    )
    assert config("list", "--json") == 0
    told = capsys.readouterr().out
    assert json.loads(told)["model_providers.x.http_headers.k"]["value"] == "…"


def test_what_may_be_a_secret_is_printed_only_on_demand(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert config("set", "model_providers.a.base_url", "https://me:s3cret@host.example/v1") == 0
    assert config("set", "model_providers.a.http_headers", '{ x-team = "s3cret" }') == 0
    capsys.readouterr()
    for words in (["list"], ["list", "--all", "--json"], ["get", "model_providers"], ["get", "model_providers.a"]):
        assert config(*words) == 0
        assert "s3cret" not in "".join(capsys.readouterr())
    assert config("get", "model_providers.a.http_headers") == 0
    assert capsys.readouterr() == ('{"x-team":"…"}\n', "what may be a secret is left out; --show-secrets shows it\n")
    assert config("get", "model_providers.a.http_headers", "--show-secrets") == 0
    assert capsys.readouterr() == ('{"x-team":"s3cret"}\n', "")


def test_a_check_names_wrong_values_and_unknown_names_together_for_a_file_is_corrected_once(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home.mkdir()
    (home / "config.toml").write_text('modle = "x"\napproval_policy = "sometimes"\n')
    assert config("check") == 1
    wrong, unknown = capsys.readouterr().err.splitlines()
    assert wrong.startswith(f"callboard config: {home}/config.toml:2:1: approval_policy: 'sometimes' is not accepted")
    assert unknown == f"{home}/config.toml:1:1: unknown setting 'modle'; did you mean 'model'?"


def test_features_are_listed_with_what_they_do_and_switched(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def features(*words: str) -> int:
        return main(["features", *words], no_daemon)

    assert features("disable", "live_reload") == 0
    capsys.readouterr()
    assert features("list", "--json") == 0
    found = {each["name"]: each for each in json.loads(capsys.readouterr().out)}
    assert list(found) == sorted(Features.__struct_fields__)
    live = found["live_reload"]
    assert (live["enabled"], live["from"], live["stage"]) == (False, f"{home}/config.toml", "stable")
    assert live["description"].startswith("Files that change are read again while the daemon runs.")
    assert features() == 0
    assert f"live_reload       off  stable  {home}/config.toml\n    Files that change" in capsys.readouterr().out
    assert features("enable", "live_relod") == 1
    assert capsys.readouterr().err == (
        "callboard features: there is no feature live_relod; did you mean live_reload?\n"
    )


def test_flags_before_the_verb_count_as_those_behind_it(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home.mkdir()
    (home / "work.config.toml").write_text('model = "of-work"\nunheard = 1\n')
    assert main(["-p", "work", "-c", "drain_seconds=3", "config", "list"], no_daemon) == 0
    told = capsys.readouterr().out
    assert "of-work" in told
    assert "drain_seconds" in told
    assert main(["-p", "work", "--strict-config", "config", "list"], no_daemon) == 1
    assert f"{home}/work.config.toml:2:1: unknown setting 'unheard'" in capsys.readouterr().err
