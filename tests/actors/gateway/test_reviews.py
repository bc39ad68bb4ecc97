"""A review is a turn that asks for one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from messages.client.item import TextInput
from messages.session import StartTurn
from tests.actors.gateway.stage import CallError, open_stage

pytestmark = pytest.mark.reference


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ({"type": "uncommittedChanges"}, "not committed"),
        ({"type": "baseBranch", "branch": "main"}, "the branch 'main'"),
        ({"type": "commit", "sha": "abc", "title": "Fix"}, "the commit abc (Fix)"),
        ({"type": "custom", "instructions": "the parser"}, "Review this: the parser"),
    ],
)
async def test_a_review_is_asked_for_in_words(tmp_path: Path, target: dict[str, Any], words: str) -> None:
    async with open_stage(tmp_path) as stage, stage.client() as client:
        session = stage.house.new("t")
        answer = await client.call("review/start", {"threadId": "t", "target": target, "delivery": "inline"})
        assert (answer["reviewThreadId"], answer["turn"]["status"]) == ("t", "inProgress")
        [asked] = [command for command in session.heard if isinstance(command, StartTurn)]
        [part] = asked.input
        assert isinstance(part, TextInput)
        assert words in part.text


async def test_a_review_elsewhere_is_refused(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage, stage.client() as client:
        stage.house.new("t")
        target = {"type": "uncommittedChanges"}
        with pytest.raises(CallError, match="there is no delivery"):
            await client.call("review/start", {"threadId": "t", "target": target, "delivery": "detached"})
