"""Scene files, which one plays, and what it says. Pure."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from actors.rehearsal.actor import shipped_scenes
from actors.rehearsal.cast import cast
from actors.rehearsal.load import Load, LoadError, delta_text, read_load
from actors.rehearsal.play import Playing
from actors.rehearsal.prompt import NotAPromptError, Prompt, read_prompt
from actors.rehearsal.script import Scene, SceneError, read_scene, read_scenes
from tests.actors.model_stream.hearing import Heard, hear
from tests.actors.rehearsal.requests import ENVIRONMENT, body, called, prompt, round_of, user

SCENES = shipped_scenes()


def play(asked: Prompt, scenes: tuple[Scene, ...] = SCENES, attempt: int = 0) -> Heard:
    """The answer, as a client hears it."""
    playing = Playing(cast(scenes, asked, attempt), asked, serial="s", now=lambda: 1_800_000_000.0)
    return hear([beat for beat in playing.beats() if isinstance(beat, bytes)])


def seconds(asked: Prompt) -> float:
    playing = Playing(cast(SCENES, asked, 0), asked, serial="s", now=lambda: 0.0)
    return sum(beat for beat in playing.beats() if isinstance(beat, float))


def calls(heard: Heard) -> list[tuple[str, Any]]:
    items = [msgspec.json.decode(item.raw) for item in heard.items if item.call_id]
    return [
        (item["name"], msgspec.json.decode(item["arguments"]) if "arguments" in item else item["input"])
        for item in items
    ]


def said(heard: Heard) -> str:
    return "".join(text for _, channel, _, text in heard.texts if channel == "text")


# --- prompts ----------------------------------------------------------------------------------------------------------


def test_the_users_words_are_told_from_what_the_daemon_puts_around_them() -> None:
    asked = prompt(user(ENVIRONMENT), user("fix it"), user("<turn_aborted>\nstopped\n</turn_aborted>"))
    assert (asked.user, asked.cwd, asked.round) == ("fix it", "/work & play", 0)


def test_rounds_are_answers_with_calls_since_the_users_last_words() -> None:
    first = round_of(called("a", "1", "old"))
    second = round_of(called("b", "2", "x"), called("c", "3", "y"))
    third = round_of(called("apply_patch", "4", "z", custom=True))
    asked = prompt(user("one"), *first, user("two"), *second, *third)
    assert asked.round == 2
    assert [(call.tool, call.output, call.round) for call in asked.answered] == [
        ("b", "x", 1),
        ("c", "y", 1),
        ("apply_patch", "z", 2),
    ]


@pytest.mark.parametrize(
    "junk", [b"", b"[]", b"{}", b'{"model": 3}', b'{"model":"m","input":[1]}', b"\xff", b"[" * 9999]
)
def test_what_is_no_request_is_refused(junk: bytes) -> None:
    with pytest.raises(NotAPromptError):
        read_prompt(junk)


# --- scene files ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("name = ", "Invalid value"),
        ("name = 'x'\nsteps = []", "step"),
        ("name = 'x'\n[[step]]\nruond = 1", "ruond"),
        ("name = 'x'\n[[step]]\n[[step.then]]\ndo = 'dance'", "dance"),
        ("name = 'x'\n[when]\nuser = '('\n[[step]]", "no regular expression"),
        ("name = 'x'\n[[step]]\n[[step.then]]\ndo='cut'\n[[step.then]]\ndo='status'\ncode=500", "only come first"),
    ],
)
def test_a_scene_that_cannot_be_meant_is_refused_with_its_file_and_the_reason(text: str, complaint: str) -> None:
    with pytest.raises(SceneError, match=r"^bad\.toml: ") as raised:
        read_scene("bad.toml", text.encode())
    assert complaint in str(raised.value)


def test_two_scenes_of_one_name_are_refused() -> None:
    with pytest.raises(SceneError, match="two scenes are called 'x'"):
        read_scenes({"a.toml": b"name='x'\nstep=[]", "b.toml": b"name='x'\nstep=[]"})


def test_a_name_that_nothing_has_is_an_error_that_names_the_scene() -> None:
    scene = read_scene("x.toml", b"name='x'\n[[step]]\n[[step.then]]\ndo='say'\ntext='{{nobody}}'")
    with pytest.raises(SceneError, match=r"scene 'x': nothing is called \{\{nobody\}\}"):
        play(prompt(user("hi")), (scene,))


def test_a_let_without_a_match_is_an_error_unless_it_has_a_default() -> None:
    text = "name='x'\n[[step]]\n[step.let.n]\nof='user'\nmatch='\\d+'\n%s\n[[step.then]]\ndo='say'\ntext='{{n}}'"
    strict = read_scene("x.toml", (text % "").encode())
    mild = read_scene("x.toml", (text % "default='none'").encode())
    with pytest.raises(SceneError, match="'n': nothing in user matches"):
        play(prompt(user("hi")), (strict,))
    assert said(play(prompt(user("hi")), (mild,))) == "none"
    assert said(play(prompt(user("7 of 9")), (strict,))) == "7\n9"


# --- which scene ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "scene"),
    [
        ("hello there", "default"),
        ("The tests of this repository fail. Find the bug, fix it, and show me that the tests pass.", "demo"),
        ("please load deltas=3 rate=10", "load"),
        ("fault cut", "faults"),
        ("run: ls", "tools"),
    ],
)
def test_a_prompt_finds_its_scene(text: str, scene: str) -> None:
    assert cast(SCENES, prompt(user(ENVIRONMENT), user(text)), 0).scene == scene


def test_a_scene_can_be_asked_for_by_name_and_an_unknown_one_is_told_with_those_that_exist() -> None:
    assert cast(SCENES, prompt(user("hello"), model="rehearsal:demo"), 0).scene == "demo"
    with pytest.raises(SceneError, match=r"there is no scene 'nope'; there are: title, schema, load"):
        cast(SCENES, prompt(user("hello"), model="rehearsal:nope"), 0)


def test_a_schema_is_answered_with_json_that_follows_it() -> None:
    def form(schema: dict[str, Any]) -> dict[str, Any]:
        return {"format": {"type": "json_schema", "name": "x", "schema": schema}}

    title = prompt(user("fix the tests"), text=form({"type": "object", "properties": {"title": {"type": "string"}}}))
    assert set(msgspec.json.decode(said(play(title)))) == {"title"}
    schema = {
        "type": "object",
        "required": ["findings", "verdict", "score"],
        "properties": {
            "findings": {"type": "array", "items": {"type": "string"}},
            "verdict": {"enum": ["correct", "incorrect"]},
            "score": {"type": ["number", "null"]},
            "more": {"type": "object"},
        },
    }
    other = prompt(user("review"), text=form(schema))
    assert msgspec.json.decode(said(play(other))) == {"findings": [], "verdict": "correct", "score": 0}


# --- what is said -----------------------------------------------------------------------------------------------------


def test_the_default_scene_says_who_it_is_and_how_to_get_a_real_model() -> None:
    words = said(play(prompt(user("What is the meaning of life, the universe and everything?"))))
    assert "rehearsed model" in words
    assert '"What is the meaning of life"' in words
    assert "OPENAI_API_KEY" in words
    assert "--base-url" in words


def test_every_answer_is_one_that_a_client_takes_as_whole() -> None:
    heard = play(prompt(user("hello")))
    assert heard.failure is None
    assert heard.completed is not None
    assert heard.completed.usage.total == heard.completed.usage.input + heard.completed.usage.output > 0


LIST = "Absolute path: /work & play\nREADME.md\ntempo.py\ntest_tempo.py"
READ_MODULE = 'L1: import re\nL2: \nL3: UNITS = {"d": 86400, "h": 3600, "m": 6, "s": 1}\nL4: '
READ_TEST = "L1: import unittest\nL2: \nL3: import tempo\nL4: "
FAILING = "Chunk ID: abc\nWall time: 0.1 seconds\nProcess exited with code 1\nOutput:\nFAILED (failures=1)\n"
PASSING = "Chunk ID: abc\nWall time: 0.1 seconds\nProcess exited with code 0\nOutput:\nRan 3 tests in 0.001s\n\nOK\n"


def test_the_demo_looks_around_reads_patches_tests_and_reports() -> None:
    history = [user(ENVIRONMENT), user("The tests fail. Find the bug.")]

    looked = play(prompt(*history))
    assert [tool for tool, _ in calls(looked)] == ["list_dir", "grep_files", "grep_files"]
    assert calls(looked)[0] == ("list_dir", {"dir_path": "/work & play", "depth": 1})
    history += round_of(called("list_dir", "1", LIST), called("grep_files", "2", "/work & play/test_tempo.py"))

    read = play(prompt(*history))
    assert calls(read) == [
        ("read_file", {"file_path": "/work & play/tempo.py"}),
        ("read_file", {"file_path": "/work & play/test_tempo.py"}),
        ("exec_command", {"cmd": "python3 -m unittest", "workdir": "/work & play"}),
    ]
    history += round_of(
        called("read_file", "3", READ_MODULE), called("read_file", "4", READ_TEST), called("exec_command", "5", FAILING)
    )

    patched = play(prompt(*history))
    assert calls(patched) == [
        (
            "apply_patch",
            (
                "*** Begin Patch\n*** Update File: tempo.py\n@@\n"
                '-UNITS = {"d": 86400, "h": 3600, "m": 6, "s": 1}\n'
                '+UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}\n*** End Patch\n'
            ),
        )
    ]
    offered = play(prompt(*history, tools=[{"type": "function", "name": "apply_patch"}]))
    assert set(calls(offered)[0][1]) == {"input"}
    history += round_of(called("apply_patch", "6", "Success. Updated the following files:\nM tempo.py\n", custom=True))

    tested = play(prompt(*history))
    assert calls(tested) == [("exec_command", {"cmd": "python3 -m unittest -v", "workdir": "/work & play"})]
    history += round_of(called("exec_command", "7", PASSING))

    reported = play(prompt(*history))
    assert calls(reported) == []
    assert "all 3 of them" in said(reported)
    assert reported.completed is not None
    assert reported.completed.stop == "end"


def test_the_demo_takes_less_than_seven_seconds_of_talking() -> None:
    history = [user(ENVIRONMENT), user("The tests fail.")]
    rounds = (
        round_of(called("list_dir", "1", LIST)),
        round_of(called("read_file", "2", READ_MODULE + "\n" + READ_TEST), called("exec_command", "3", FAILING)),
        round_of(called("apply_patch", "4", "Success.", custom=True)),
        round_of(called("exec_command", "5", PASSING)),
    )
    spoken = seconds(prompt(*history))
    for items in rounds:
        history += items
        spoken += seconds(prompt(*history))
    assert 2.0 < spoken < 7.0


def test_in_another_repository_the_demo_says_honestly_that_it_does_not_know_it() -> None:
    history = [
        user(ENVIRONMENT),
        user("The tests fail."),
        *round_of(called("list_dir", "1", "Absolute path: /x\nmain.c")),
    ]
    heard = play(prompt(*history))
    assert calls(heard) == []
    assert "as far as I know my part" in said(heard)


# --- load -------------------------------------------------------------------------------------------------------------


def test_the_last_load_directive_counts_and_a_wrong_word_is_told() -> None:
    assert read_load("load deltas=1 ... load deltas=5 rate=2.5 chunk=2") == Load(deltas=5, rate=2.5, chunk=2)
    assert read_load("nothing of the kind") == Load()
    with pytest.raises(LoadError, match="known words: deltas, rate"):
        read_load("load detlas=5")
    with pytest.raises(LoadError, match="at most"):
        read_load("load deltas=99999999999")


def test_a_delta_tells_when_it_was_sent_and_which_it_is() -> None:
    text = delta_text(Load(size=30), 258, 1_800_000_000.5)
    assert len(text) == 30
    assert int(text[:14], 16) / 1e6 == 1_800_000_000.5
    assert int(text[14:20], 16) == 258


def test_load_asks_for_its_rounds_of_tools_before_it_talks() -> None:
    history = [user("load deltas=3 tools=2 rounds=2 sleep=0.5")]
    for round_ in range(2):
        heard = play(prompt(*history, tools=[{"type": "function", "name": "exec_command"}]))
        assert calls(heard) == [("exec_command", {"cmd": "sleep 0.5"})] * 2
        history += round_of(called("exec_command", f"a{round_}", ""), called("exec_command", f"b{round_}", ""))
    heard = play(prompt(*history))
    assert calls(heard) == []
    assert len(said(heard)) == 3 * 21


def test_load_is_paced() -> None:
    assert seconds(prompt(user("load deltas=100 rate=50 wait=500"))) == pytest.approx(2.5)
    assert seconds(prompt(user("load deltas=100 rate=50 chunk=10"))) == pytest.approx(2.0)
    assert seconds(prompt(user("load deltas=100"))) == 0


def test_a_body_of_the_simple_form_is_understood() -> None:
    asked = read_prompt(msgspec.json.encode({"model": "m", "input": "just words"}))
    assert (asked.user, asked.stream) == ("just words", False)
    assert body(user("x")) == body(user("x"))
