"""What is taken over from another program's file, and what is said of the rest."""

from __future__ import annotations

import pytest

from actors.settings.borrowing import borrow

CODEX = b"""\
model = "gpt-5.5"
model_verbosity = "medium"
model_reasoning_summary = "shouted"
thread_unload_delay_secs = 30
profile = "fast"
made_up = 1

[tui]
theme = "dark"

[projects."/w/x"]
trust_level = "trusted"

[model_providers.mine]
name = "Mine"
base_url = "http://127.0.0.1:8000/v1"
env_key = "MINE_KEY"
experimental_bearer_token = "sk-secret-1"
stream_max_retries = 3
http_headers = { "x-key" = "sk-secret-2" }

[model_providers.half]
name = "no address"

[profiles.fast]
model = "x"
"""


def test_what_is_valid_here_is_taken_and_everything_else_is_named() -> None:
    borrowed = borrow(CODEX, {"model": "already"})
    assert {edit.key_path: edit.value for edit in borrowed.edits} == {
        "model_verbosity": "medium",
        "thread_unload_delay_seconds": 30,
        "tui.theme": "dark",
        'projects."/w/x".trust_level': "trusted",
        "model_providers.mine.name": "Mine",
        "model_providers.mine.base_url": "http://127.0.0.1:8000/v1",
        "model_providers.mine.env_key": "MINE_KEY",
    }
    assert sorted(borrowed.left) == [
        "made_up",
        "model",
        "model_providers.half",
        "model_providers.mine.experimental_bearer_token",
        "model_providers.mine.http_headers",
        "model_providers.mine.stream_max_retries",
        "model_reasoning_summary",
        "profile",
        "profiles",
    ]
    assert "set here already" in borrowed.left["model"]
    assert "accepted: 'auto'" in borrowed.left["model_reasoning_summary"]
    assert "base_url is missing" in borrowed.left["model_providers.half"]
    assert "sk-secret" not in str(borrowed)


def test_what_is_no_toml_is_refused() -> None:
    with pytest.raises(ValueError, match="line 1"):
        borrow(b"model = \n", {})
