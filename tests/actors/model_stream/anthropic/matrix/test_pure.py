"""The cases that need no network: requests, responses, streams, usage, most of tool calling."""

from __future__ import annotations

from collections.abc import Callable

from tests.actors.model_stream.anthropic.matrix import requests, responses, streams, tools
from tests.actors.model_stream.anthropic.matrix.registry import chapter

assert requests, responses  # they register their cases by being imported
assert streams, tools


@chapter("RF")
def test_request_formatting(check: Callable[[], None]) -> None:
    check()


@chapter("RP")
def test_whole_responses(check: Callable[[], None]) -> None:
    check()


@chapter("SE")
def test_streaming(check: Callable[[], None]) -> None:
    check()


@chapter("TU")
def test_token_usage(check: Callable[[], None]) -> None:
    check()


@chapter("TC", without="turns")
def test_tool_calling(check: Callable[[], None]) -> None:
    check()
