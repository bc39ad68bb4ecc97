"""Running hooks: all programs of one event side by side, each contained, told on standard input, within its time.

Whether a hook is trusted is read from disk each time, so that trusting one takes effect at once. Secrets of the
daemon's providers are not in a hook's environment.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import trio

from actors.hooks.core import Hook, Reaction, configured, problem, react, together, wanted
from actors.ports import Files, Ports
from actors.ports.processes import SpawnError
from actors.tool_worker.programs import ProgramTimeoutError, run_program
from messages.base import TurnId
from messages.hooks import HookEntry, HookEvent, HookReported, HookRun, Verdict
from messages.settings.hooks import HooksSettings

TRUST_FILE = "trusted-hooks.json"

OUTPUT_BYTES_MAX = 256 * 1024
"""Of a program's output that is read."""

Tell = Callable[[HookReported], None]

_trusted = msgspec.json.Decoder(dict[str, str])


class Hooks:
    """All hooks of a daemon. ``environment`` is what their programs see."""

    def __init__(
        self,
        ports: Ports,
        settings: HooksSettings,
        *,
        home: str,
        environment: Mapping[str, str],
        bypass_trust: bool = False,
    ) -> None:
        self._ports = ports
        self._home = home
        self._environment = {**environment, "CALLBOARD_HOME": home}
        self._bypass_trust = bypass_trust
        self.all = configured(settings)
        self._usable = tuple(hook for hook in self.all if problem(hook) is None)

    @property
    def events(self) -> frozenset[HookEvent]:
        """Those somebody wants to hear of."""
        return frozenset(hook.event for hook in self._usable)

    async def run(
        self, event: HookEvent, name: str | None, told: dict[str, Any], *, turn_id: TurnId | None, tell: Tell
    ) -> Verdict:
        """Run the trusted programs of an event, and say what they came to. Their failures stop nothing."""
        hooks = wanted(self._usable, event, name)
        if not hooks:
            return Verdict()
        trusted = await self._ports.threads.run(read_trusted, self._ports.files, self._home)
        stdin = msgspec.json.encode(told)
        verdicts: dict[int, Verdict] = {}

        async def one(hook: Hook) -> None:
            verdicts[hook.order] = await self._one(hook, stdin, str(told["cwd"]), turn_id, tell)

        async with trio.open_nursery() as nursery:
            for hook in hooks:
                if self._bypass_trust or hook.hash in trusted:
                    nursery.start_soon(one, hook)
                else:
                    self._untrusted(hook, turn_id, tell)
        return together(verdicts[order] for order in sorted(verdicts))

    async def _one(self, hook: Hook, stdin: bytes, cwd: str, turn_id: TurnId | None, tell: Tell) -> Verdict:
        run = self._begun(hook)
        tell(HookReported(turn_id=turn_id, run=run))
        reaction = await self._reaction(hook, run.id, stdin, cwd)
        self._over(run, reaction, turn_id, tell)
        return reaction.verdict

    async def _reaction(self, hook: Hook, run_id: str, stdin: bytes, cwd: str) -> Reaction:
        try:
            ran = await run_program(
                self._ports.processes,
                ("/bin/sh", "-c", hook.command),
                cwd=cwd,
                environment=self._environment,
                seconds=hook.timeout,
                stdin=stdin,
                limit=OUTPUT_BYTES_MAX,
            )
        except (SpawnError, ProgramTimeoutError) as error:
            return Reaction(status="failed", entries=(HookEntry(kind="error", text=str(error)),))
        return react(
            hook,
            run_id,
            code=ran.code,
            output=ran.output.decode("utf-8", "replace"),
            complaint=ran.complaint.decode("utf-8", "replace"),
        )

    def _untrusted(self, hook: Hook, turn_id: TurnId | None, tell: Tell) -> None:
        text = f"not run, because it is not trusted: callboard hooks trust {hook.key}"
        reaction = Reaction(status="stopped", entries=(HookEntry(kind="warning", text=text),))
        self._over(self._begun(hook), reaction, turn_id, tell)

    def _begun(self, hook: Hook) -> HookRun:
        return HookRun(
            id=self._ports.entropy.uuid7(),
            event=hook.event,
            order=hook.order,
            source_path=posixpath.join(self._home, "config.toml"),
            status_message=hook.status_message,
            started_at_ms=round(self._ports.clock.now() * 1000),
        )

    def _over(self, run: HookRun, reaction: Reaction, turn_id: TurnId | None, tell: Tell) -> None:
        done = msgspec.structs.replace(
            run,
            status=reaction.status,
            entries=reaction.entries,
            completed_at_ms=round(self._ports.clock.now() * 1000),
        )
        tell(HookReported(turn_id=turn_id, run=done))


def read_trusted(files: Files, home: str) -> dict[str, str]:
    """Hash -> command of every trusted hook. Blocking. A file that cannot be read trusts nothing."""
    path = posixpath.join(home, TRUST_FILE)
    try:
        return _trusted.decode(files.read(path)) if files.stat(path) is not None else {}
    except (OSError, msgspec.MsgspecError):
        return {}


def write_trusted(files: Files, home: str, trusted: Mapping[str, str]) -> None:
    """Replace what is trusted. Blocking. Raises OSError."""
    files.write_atomic(posixpath.join(home, TRUST_FILE), msgspec.json.format(msgspec.json.encode(trusted)) + b"\n")
