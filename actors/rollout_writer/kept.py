"""How a rollout keeps thread items: Codex's persisted turn items, with a field of ours where they say less.

`shown` converts. Source of the shapes: codex-rs `protocol/src/items.rs`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from messages.client.item import ByteRange, FileUpdateChange, ImageContentItem, ScriptEnd, TextContentItem


class Kept(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of what a rollout keeps of an item."""

    id: str
    started_at_ms: int | None = None
    completed_at_ms: int | None = None


# --- parts of items ---------------------------------------------------------------------------------------------


class KeptElement(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    byte_range: ByteRange
    placeholder: str | None = None


class KeptText(msgspec.Struct, frozen=True, kw_only=True, tag="text"):
    text: str
    text_elements: tuple[KeptElement, ...] = ()


class KeptImage(msgspec.Struct, frozen=True, kw_only=True, tag="image", omit_defaults=True):
    image_url: str
    detail: str | None = None


class KeptLocalImage(msgspec.Struct, frozen=True, kw_only=True, tag="local_image", omit_defaults=True):
    path: str
    detail: str | None = None


class KeptSkill(msgspec.Struct, frozen=True, kw_only=True, tag="skill"):
    name: str
    path: str


class KeptMention(msgspec.Struct, frozen=True, kw_only=True, tag="mention"):
    name: str
    path: str


class KeptWords(msgspec.Struct, frozen=True, kw_only=True, tag="Text"):
    """One piece of an agent's message."""

    text: str


class KeptRead(msgspec.Struct, frozen=True, kw_only=True, tag="read"):
    cmd: str
    name: str
    path: str = ""


class KeptListFiles(msgspec.Struct, frozen=True, kw_only=True, tag="list_files", omit_defaults=True):
    cmd: str
    path: str | None = None


class KeptSearch(msgspec.Struct, frozen=True, kw_only=True, tag="search", omit_defaults=True):
    cmd: str
    query: str | None = None
    path: str | None = None


class KeptUnknown(msgspec.Struct, frozen=True, kw_only=True, tag="unknown"):
    cmd: str


class KeptDuration(msgspec.Struct, frozen=True, kw_only=True):
    secs: int
    nanos: int


class KeptAdd(msgspec.Struct, frozen=True, kw_only=True, tag="add"):
    content: str


class KeptDelete(msgspec.Struct, frozen=True, kw_only=True, tag="delete"):
    content: str = ""


class KeptUpdate(msgspec.Struct, frozen=True, kw_only=True, tag="update", omit_defaults=True):
    unified_diff: str
    move_path: str | None = None


KeptInput = KeptText | KeptImage | KeptLocalImage | KeptSkill | KeptMention
KeptAction = KeptRead | KeptListFiles | KeptSearch | KeptUnknown
KeptChange = KeptAdd | KeptDelete | KeptUpdate


# --- items ------------------------------------------------------------------------------------------------------


class KeptUserMessage(Kept, frozen=True, kw_only=True, tag="UserMessage"):
    content: tuple[KeptInput, ...]
    client_id: str | None = None


class KeptAgentMessage(Kept, frozen=True, kw_only=True, tag="AgentMessage"):
    content: tuple[KeptWords, ...]
    phase: str | None = None


class KeptReasoning(Kept, frozen=True, kw_only=True, omit_defaults=False, tag="Reasoning"):
    summary_text: tuple[str, ...] = ()
    raw_content: tuple[str, ...] = ()


class KeptPlan(Kept, frozen=True, kw_only=True, tag="Plan"):
    text: str


class KeptCommand(Kept, frozen=True, kw_only=True, tag="CommandExecution"):
    command: tuple[str, ...]
    cwd: str
    parsed_cmd: tuple[KeptAction, ...]
    source: str
    status: str
    process_id: str | None = None
    aggregated_output: str | None = None
    exit_code: int | None = None
    duration: KeptDuration | None = None
    callboard_no_source: bool = False
    """Their form demands a source; this item had none."""


class KeptFileChange(Kept, frozen=True, kw_only=True, tag="FileChange"):
    changes: dict[str, KeptChange]
    status: str | None = None
    callboard_changes: tuple[FileUpdateChange, ...] = ()
    """Set where a map cannot say it: one path changed twice."""


class KeptToolCall(Kept, frozen=True, kw_only=True, tag="DynamicToolCall"):
    tool: str
    arguments: Any
    status: str
    namespace: str | None = None
    content_items: tuple[TextContentItem | ImageContentItem, ...] | None = None
    success: bool | None = None
    duration: KeptDuration | None = None
    callboard_end: ScriptEnd | None = None
    """Of a script: theirs have none."""


class KeptImageView(Kept, frozen=True, kw_only=True, tag="ImageView"):
    path: str


class KeptCompaction(Kept, frozen=True, kw_only=True, tag="ContextCompaction"):
    pass


class KeptMcpCall(Kept, frozen=True, kw_only=True, tag="McpToolCall"):
    """Read only: ours are DynamicToolCall."""

    server: str
    tool: str
    arguments: Any = None
    status: str = "completed"
    result: Any = None
    error: Any = None
    duration: KeptDuration | None = None


class KeptWebSearch(Kept, frozen=True, kw_only=True, tag="WebSearch"):
    query: str = ""
    action: Any = None
    """In snake_case, as everything in a rollout; see `shown`."""


KeptItem = (
    KeptUserMessage
    | KeptAgentMessage
    | KeptReasoning
    | KeptPlan
    | KeptCommand
    | KeptFileChange
    | KeptToolCall
    | KeptImageView
    | KeptCompaction
    | KeptMcpCall
    | KeptWebSearch
)
