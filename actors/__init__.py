"""Who acts. Imports messages, never supervisors. Who sends what to whom:

    client ──JSON-RPC──▶ gateway.connection ──SessionCommand──▶ session
                                ▲                                 │ Append ──▶ rollout_writer ──Appended──▶ session
                                └────────────── feed ◀── Show ────┤
                                                                  │ SampleRequest ──▶ model_stream
                                                                  │      model_stream ──StreamEvent──▶ session
                                                                  │      model_stream ──text, in rounds──▶ open texts
                                                                  │ ToolCall, RunTool ──▶ tool_worker
                                                                  │      tool_worker ──ToolEvent──▶ session
                                                                  │      tool_worker ──output──▶ open texts
    model_stream ──GetHeaders──▶ credentials
    everybody ──GetSettings──▶ settings
    tool_worker ──spawn──▶ launcher (a process of its own, behind the processes port)
    model_stream ──HTTP──▶ rehearsal, when no other model is configured

    kernel          mailboxes, addresses, ask, watch, names: how they reach one another
    ports           how they reach the world
    session         one per loaded thread: turns, approvals, calls, history, feed
    model_stream    one per model request
    tool_worker     one per tool call; the tools, the launcher
    rollout_writer  the log: append, read, recover, index
    gateway         one connection per client
    credentials     keys; the only actor that sees a secret
    backend         what a ChatGPT login's backend knows: limits, tasks; a client, no actor
    settings        configuration layers
    rehearsal       a scripted model server
    console         the command line: a client that talks only the wire

Read on in `actors/session/core.py`.
"""

from __future__ import annotations

__distribution__ = "callboard"
