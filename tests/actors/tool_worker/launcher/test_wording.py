"""Requests and reports as data: no process is started here."""

from __future__ import annotations

import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.ports.processes import LauncherLostError, SpawnError, SpawnRequest, TerminalSize
from actors.tool_worker.launcher.containment import GAPS, MEANING, ContainmentReport, read_hello
from actors.tool_worker.launcher.outside.wire import MECHANISMS, PROTOCOL, Specification
from actors.tool_worker.launcher.start import understand_hello
from actors.tool_worker.launcher.wording import explain, write_specification

words = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
names = words.filter(lambda name: name and "=" not in name)


@given(argv=st.lists(words, max_size=4), cwd=words, environment=st.dictionaries(names, words), terminal=st.booleans())
def test_a_request_reads_back_as_it_was_written(
    argv: list[str], cwd: str, environment: dict[str, str], terminal: bool
) -> None:
    size = TerminalSize() if terminal else None
    request = SpawnRequest(argv=("program", *argv), cwd=cwd, environment=environment, terminal=size)
    specification = Specification(
        write_specification(request, steps=("pin /a b", "undumpable"), command=("bwrap", "--"))
    )
    assert (specification.terminal, specification.cwd, specification.argv, specification.environment) == (
        terminal,
        cwd.encode(),
        [b"bwrap", b"--", *(word.encode() for word in request.argv)],
        {name.encode(): value.encode() for name, value in environment.items()},
    )
    assert (specification.steps, specification.program) == ([b"pin /a b", b"undumpable"], b"program")


def test_text_that_no_file_system_encodes_is_refused() -> None:
    request = SpawnRequest(argv=("program", "\ud800"), cwd="/", environment={})
    with pytest.raises(SpawnError, match="argument 1 of 'program' is not encodable text"):
        write_specification(request)


def test_a_script_in_the_place_of_a_program_is_not_repeated_whole() -> None:
    request = SpawnRequest(argv=("x" * 10_000,), cwd="/", environment={})
    assert len(explain("program", 2, request)) < 300


def test_the_report_names_what_holds_what_was_refused_and_what_does_not_hold() -> None:
    report = read_hello(("subreaper", "1", "7", "pidns", "1", "userns", "28"))
    assert report == ContainmentReport(
        mechanism="subreaper",
        own_proc=True,
        landlock=7,
        refused=("pidns: Operation not permitted", "userns: No space left on device"),
    )
    assert (report.meaning, report.gaps) == (MEANING["subreaper"], GAPS["subreaper"])
    foreign = msgspec.structs.replace(report, mechanism="pidns", own_proc=False)
    assert "shows the host's processes" in foreign.gaps[0]


def test_every_mechanism_has_its_meaning_and_its_gaps() -> None:
    assert set(MECHANISMS) == set(MEANING) == set(GAPS)


@pytest.mark.parametrize(
    ("packet", "text"),
    [
        (b"hello %d pidns 1" % (PROTOCOL + 1), "restart the daemon"),
        (b"hopeless userns 1", r"no container can be made here \(userns: Operation not permitted\)"),
        (b"", "its standard error says why"),
    ],
)
def test_a_launcher_that_cannot_work_says_why(packet: bytes, text: str) -> None:
    with pytest.raises(LauncherLostError, match=text):
        understand_hello(packet)


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"A": "1", "B": "a\0b"}, "the environment variable 'B' of 'true' contains a NUL character"),
        ({"A": "\0B=2"}, "the environment variable 'A' of 'true' contains a NUL character"),
        ({"A": "1", "B=": "2"}, "'B=' cannot be the name of an environment variable of 'true'"),
        ({"": "1"}, "'' cannot be the name of an environment variable of 'true'"),
        ({"A": "1", "B": "\ud800"}, "the environment variable 'B' of 'true' is not encodable text"),
    ],
)
def test_of_an_environment_that_cannot_be_passed_on_the_variable_is_named(
    environment: dict[str, str], words: str
) -> None:
    with pytest.raises(SpawnError, match=f"^{re.escape(words)}"):
        write_specification(SpawnRequest(argv=("true",), cwd="/", environment=environment))


def test_an_environment_that_is_no_text_is_passed_on_as_it_is() -> None:
    request = SpawnRequest(argv=("true",), cwd="/", environment={"A": "1", "B": "\udc80="})
    assert Specification(write_specification(request)).environment == {b"A": b"1", b"B": b"\x80="}
