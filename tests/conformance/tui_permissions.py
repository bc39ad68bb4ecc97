"""The real TUI in a sandbox: a command that was denied something, and a model that asks for more rights."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from tests.conformance.clients import CODEX
from tests.conformance.stage import ANSWERED, COMPOSER, Flow, Stage
from tests.conformance.terminal import Terminal
from tests.conformance.tui import APPROVAL
from tests.system.model import Exchange

FLOWS: list[Flow] = []

SWITCHES = "sandbox_approval=true,rules=true,mcp_elicitations=true,request_permissions=true"
READING = ("-c", f"approval_policy={{granular={{{SWITCHES}}}}}", "--sandbox", "read-only")
"""Arguments of a TUI whose threads may only read, and may ask."""


def flow(run: Callable[[Stage], Awaitable[None]]) -> Callable[[Stage], Awaitable[None]]:
    """A flow of the TUI, called like its function."""
    FLOWS.append(Flow(name="tui_" + run.__name__, client=CODEX, run=run))
    return run


def rights(exchange: Exchange) -> None:
    """A play: ask for the right to write in the folder, then use it."""
    folder = exchange.user.partition(" ")[2]
    if exchange.round == 0:
        permissions = {"file_system": {"write": [folder]}}
        arguments = {"permissions": permissions, "reason": "Results are kept there."}
        exchange.call("request_permissions", arguments, f"call_{exchange.serial}")
    elif exchange.round == 1:
        exchange.run(f"touch {folder}/made.txt", f"call_{exchange.serial}")
    else:
        exchange.say(ANSWERED)
    exchange.complete()


async def reading_tui(stage: Stage) -> Terminal:
    """A TUI whose threads may only read."""
    stage.model.on("rights", rights)
    stage.trust()
    await stage.start_daemon()
    window = await stage.tui(*READING)
    await window.shows(COMPOSER)
    return window


@flow
async def denied_command_retried(stage: Stage) -> None:
    """A command that its sandbox denied something is asked about, and on a yes run again without it."""
    window = await reading_tui(stage)
    await window.enter("run touch made.txt")
    await window.shows(APPROVAL)
    await window.shows(r"command failed; retry without sandbox\?")
    assert not (stage.work / "made.txt").exists()
    await window.key("y")
    await window.shows(ANSWERED)
    await stage.turn_ended(1)
    assert (stage.work / "made.txt").exists()
    [item] = stage.items("commandExecution")
    assert (item["status"], item["exitCode"]) == ("completed", 0)


@flow
async def rights_granted(stage: Stage) -> None:
    """A model asks for the right to write: for the turn, for the session, and declined; its next command may, or not."""
    window = await reading_tui(stage)
    made = stage.work / "made.txt"
    for turn, (key, more) in enumerate((("y", False), ("d", False), ("a", True)), 1):
        await window.enter(f"rights {stage.work}")
        await window.shows(r"Would you like to grant these permissions\?")
        await window.shows(r"Reason: Results are kept there\.")
        await window.shows(r"Permission rule: write `/")
        await window.key(key)
        if key == "d":  # so its sandbox denies the command that follows, and that is asked about
            await window.shows(APPROVAL)
            await window.key("Escape")
        await stage.turn_ended(turn)
        assert made.exists() == (key != "d")
        made.unlink(missing_ok=True)
        granted = [
            frame["params"]["threadSettings"]["sandboxPolicy"].get("callboard")
            for frame in stage.recording.told("thread/settings/updated")
        ]
        assert bool(granted and granted[-1]) == more
    await window.enter("run touch made.txt")
    await stage.turn_ended(4)
    assert made.exists(), "what was granted for the session is not asked about again"
