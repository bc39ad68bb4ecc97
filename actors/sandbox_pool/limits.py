"""What a script may use. Every number here is enforced outside the script's own reach, or says where it is not.

`ScriptLimits` (in `messages.script`) holds those that a host may lower for one script; these are the defaults, and the
rest.
"""

from __future__ import annotations

SOURCE_BYTES = 20 * 1024
"""Of a script's text. Ten times what models write; longer ones carry the contents of whole files."""

MEMORY_BYTES = 96 * 1024 * 1024
"""Of the engine's heap."""

STACK_BYTES = 512 * 1024
"""Of the engine's stack: some thousand calls deep."""

WALL_SECONDS = 30.0
"""From start to end, approvals excluded. Kept by the daemon, which kills: nothing inside stops a native loop."""

CPU_SECONDS = 5.0
"""Kept by the engine between bytecodes, and by the kernel a second later, in native loops as well."""

CALLS_MAX = 100
"""Per script."""

CALLS_AT_ONCE = 8
"""Others wait their turn: eight processes of a tool fill any developer's machine."""

ORPHAN_GRACE_SECONDS = 0.25
"""What a call has left when its script has ended without it."""

RETURN_BYTES = 128 * 1024
"""Of the returned value as JSON: it is told to the model. A larger one is kept, and a handle told in its place."""

RETURN_KEPT_BYTES = 2 * 1024 * 1024
"""Of a returned value that is kept; a larger one is an error. What a script computes is small beside what it reads."""

ARGUMENT_BYTES = 256 * 1024
"""Of one call's arguments as JSON. A patch of a large file fits."""

RESULT_BYTES = 1024 * 1024
"""Of one call's result as JSON, so that some dozens fit into the script's memory at once. Of a larger one the large
parts are kept, with handles in their place."""

PART_BYTES = 16 * 1024
"""A part of a too large result that is shorter than this stays in it: a handle would save nothing."""

SHOWN_IMAGES = 8
"""Images of a script's calls that are put behind its report: as many as can be looked at together with profit."""

SHOWN_IMAGE_CHARACTERS = 8 * 1024 * 1024
"""All of them together, as URLs: with the conversation they stay in a request that every provider takes, and in a frame
that every client takes."""

PROGRESS_EVENTS = 50
PROGRESS_INTERVAL_SECONDS = 0.5
"""At most one in this time, the latest; nobody reads faster."""

CONSOLE_LINES = 50
CONSOLE_BYTES = 8 * 1024
"""All lines together. They are shown to the model, which pays for them."""

TIMERS_MAX = 1000
"""Per script: `setTimeout` in a loop is a way of waiting, not of computing."""

PUMP_BYTES = 1024 * 1024
"""All that a script may ask for between two awaits, in UTF-16 units: one is one to three bytes of a frame."""

FRAME_BYTES = 10 * 1024 * 1024
"""The longest frame believed to be honest: PUMP_BYTES and RETURN_KEPT_BYTES as UTF-16 units, each at most three bytes,
and the wrapping. Longer: killed."""

SPAWNS_MAX = 8
"""Spawned calls of one thread that run at once: work beside the conversation, not a cluster."""

APPROVAL_SECONDS = 600.0
"""How long one waits for an answer inside a script; the script's clock stands still meanwhile."""

QUEUE_SECONDS = 30.0
"""How long a script waits for a worker."""

WORKERS_PER_CORE = 2
"""Scripts mostly wait for tools."""

MIN_WARM = 1
"""Spares that are forked and confined ahead: it saves 1.3 ms of a script's start."""

FORKS_PER_ZYGOTE = 2000
"""Then it is replaced: it never runs anybody's code, so this only bounds what a leak of ours could cost."""
