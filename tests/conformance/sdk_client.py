"""What a program that uses the Python SDK does; run by the SDK's own interpreter, with nothing of ours in reach.

    python sdk_client.py BINARY FOLDER WHAT [THREAD]

Prints one JSON object about what it saw. ``openai_codex`` is not installed where this file is checked.
"""
# mypy: ignore-errors

from __future__ import annotations

import json
import sys
import time

from openai_codex import Codex, CodexConfig


def main(binary: str, folder: str, what: str, thread_id: str = "") -> dict:
    """See the module."""
    with Codex(CodexConfig(codex_bin=binary, cwd=folder)) as codex:
        if what == "turn":
            thread = codex.thread_start(cwd=folder)
            first = thread.run("ask touch made.txt")
            second = thread.run("answer me")
            return {
                "server": codex.metadata.serverInfo.version,
                "thread": thread.id,
                "first": _told(first),
                "second": _told(second),
            }
        if what == "interrupt":
            thread = codex.thread_start(cwd=folder)
            turn = thread.turn("stream 400")
            seen = []
            for event in turn.stream():
                seen.append(event.method)
                if event.method == "item/agentMessage/delta" and "interrupting" not in seen:
                    seen.append("interrupting")
                    turn.interrupt()
                    interrupted_at = time.monotonic()
                last = event
            return {
                "thread": thread.id,
                "methods": seen,
                "status": last.payload.turn.status.value,
                "seconds": time.monotonic() - interrupted_at,
            }
        if what == "resume":
            thread = codex.thread_resume(thread_id)
            before = thread.read(include_turns=True)
            turn = thread.run("answer me again")
            return {
                "thread": thread.id,
                "turns_before": len(before.thread.turns),
                "listed": [each.id for each in codex.thread_list().data],
                "turn": _told(turn),
            }
    raise ValueError(what)


def _told(result) -> dict:
    return {
        "status": result.status.value,
        "final": result.final_response,
        "items": [item.root.type for item in result.items],
    }


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
