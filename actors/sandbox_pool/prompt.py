"""What a model is told of scripts: how to write one, what it can use, what it gets back."""

from __future__ import annotations

from collections.abc import Sequence

from actors.rollout_writer.handle_store import SLICE_BYTES
from actors.sandbox_pool.declarations import declarations
from messages.script import ScriptLimits, ScriptMode, ScriptTool

_HOW = """\
Scripts
You can compose tools yourself: write one block of TypeScript in your text, each tag alone on its line and outside any \
code fence:

<tool-calls>
const files = ["a.py", "b.py"];
const texts = await Promise.all(files.map((file_path) => tools.readFile({{ file_path }})));
return texts.map((text) => text.length);
</tool-calls>

- It is run when your answer is complete, confined, as the body of an async function; its calls are real calls, with \
the same approvals as your own. What it returns comes back to you as the next message. Return what you need, not all \
you saw.
- Prefer it where calls depend on one another's results, where the same is done to many things, or where results would \
only be reduced: it spares round trips. For one or two independent calls, call them directly.
- Calls run in parallel, {at_once} at a time, if you do not await one before the next. Await all you start: {grace} \
after the script has ended what still runs is cancelled. Promise.all, allSettled, any and race work.
- A call that fails throws a ToolError with code (denied, expired, cancelled, unknown, tool_failed, ...), message and \
retryable; catch it where you can go on without. A call whose outcome is unknown may have taken effect: look first.
- There is nothing but the language, `tools`, `context`, `console`, `setTimeout`, `structuredClone`, `TextEncoder` and \
`TextDecoder`: no modules, no files, no network, no code from text. No enums, namespaces or decorators.
- A text over 1 MB comes as a Handle: read parts of it with `await handle.slice(from, to)` (in bytes; whole characters \
of text, base64 of bytes; at most {slice} KB at once). What you return over {returned} KB becomes one too; read_handle \
reads it in later turns. Images that calls give are put behind the result for you to see.
- Limits: {wall:g} s (approvals excluded), {calls} calls, {source} KB of source, {returned} KB returned. Commands end \
with the script.
- Tools that your provider runs itself cannot be called from scripts."""

_DRY = """
- Scripts are tried out only: calls are checked and listed but not run, and each returns {{ dryRun: true }}."""


def prompt(tools: Sequence[ScriptTool], mode: ScriptMode, limits: ScriptLimits) -> str:
    """The part of the system prompt that is about scripts."""
    how = _HOW.format(
        at_once=limits.calls_at_once,
        grace=f"{limits.orphan_grace_seconds * 1000:g} ms",
        wall=limits.wall_seconds,
        calls=limits.calls,
        source=limits.source_bytes // 1024,
        returned=limits.return_bytes // 1024,
        slice=SLICE_BYTES // 1024,
    )
    dry = _DRY.format() if mode == "dry-run" else ""
    return f"{how}{dry}\n\n```ts\n{declarations(tools)}\n```\n"
