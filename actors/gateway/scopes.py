"""What a client must be allowed to do for each method. Pure.

    observe   see: threads, their turns as they happen, models, settings (which hold no secret when clients read them)
    drive     work: begin threads and turns, steer, interrupt; read files of this machine, as a file picker does
    approve   answer what waits for a person, and choose a policy under which less waits
    admin     everything, and what no approval stands before: commands of one's own, settings, tokens

A scope keeps an honest client from doing by mistake what it was not meant to do. It does not make a program harmless
that may drive: a model it instructs runs commands with the daemon's rights, as far as policy and sandbox let it. Seeing
is different: `observe` gives no way to change or run anything.
"""

from __future__ import annotations

from typing import Any

from messages.access import Identity, Scope

OBSERVE = frozenset(
    {
        "account/bedrock/checkGovCloudRequirements",
        "account/rateLimits/read",
        "account/read",
        "callboard/handle/read",
        "callboard/status",
        "collaborationMode/list",
        "config/read",
        "configRequirements/read",
        "experimentalFeature/list",
        "getAuthStatus",
        "hooks/list",
        "mcpServerStatus/list",
        "model/list",
        "modelProvider/capabilities/read",
        "modelProvider/list",
        "permissionProfile/list",
        "plugin/installed",
        "skills/list",
        "thread/backgroundTerminals/list",
        "thread/items/list",
        "thread/list",
        "thread/loaded/list",
        "thread/read",
        "thread/resume",
        "thread/search",
        "thread/turns/list",
        "thread/unsubscribe",
    }
)

DRIVE = frozenset(
    {
        "callboard/script/run",
        "callboard/tasks/list",
        "callboard/tasks/read",
        "callboard/thread/undo",
        "callboard/toolCall/cancel",
        "fs/getMetadata",
        "fs/readDirectory",
        "fs/readFile",
        "fuzzyFileSearch",
        "fuzzyFileSearch/sessionStart",
        "fuzzyFileSearch/sessionStop",
        "fuzzyFileSearch/sessionUpdate",
        "thread/backgroundTerminals/clean",
        "thread/backgroundTerminals/terminate",
        "thread/compact/start",
        "thread/name/set",
        "thread/settings/update",
        "thread/start",
        "review/start",
        "turn/interrupt",
        "turn/start",
        "turn/steer",
    }
)

LOOSENING = ("approval_policy", "approvals_reviewer", "sandbox", "sandbox_policy", "permissions", "config")
"""Params that may decide what waits for a person: whoever may not approve must not choose that nobody has to."""

CHANGING = ("model", "model_provider", "cwd")
"""Params with which `thread/resume` changes a thread, instead of only watching it."""


def needed(method: str, params: Any) -> frozenset[Scope]:
    """All that a client must be allowed for this request. What is not known here needs `admin`."""
    base: Scope = "observe" if method in OBSERVE else "drive" if method in DRIVE else "admin"
    more: set[Scope] = {base}
    if base != "admin" and any(getattr(params, name, None) for name in LOOSENING):
        more |= {"drive", "approve"}
    if method == "thread/resume" and any(getattr(params, name, None) for name in CHANGING):
        more.add("drive")
    return frozenset(more)


def missing(identity: Identity, method: str, params: Any) -> Scope | None:
    """What the client is not allowed and would have to be; None if it may go on."""
    return next((scope for scope in sorted(needed(method, params)) if not identity.may(scope)), None)
