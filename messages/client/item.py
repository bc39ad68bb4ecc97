"""Thread items as clients see them (Codex app-server v2 `ThreadItem`), and as the log keeps them.

Field names are camelCase on the wire. An item is shown once when it starts and once, whole, when it completes.
Source: reference/protocol PROTOCOL §5 and its JSON schema.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

CommandStatus = Literal["inProgress", "completed", "failed", "declined"]
PatchStatus = Literal["inProgress", "completed", "failed", "declined"]
CallStatus = Literal["inProgress", "completed", "failed"]


class Wire(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Base of wire structs: camelCase, defaults left out, unknown fields of a client ignored."""


class ByteRange(Wire, frozen=True, kw_only=True):
    start: int
    end: int


class TextElement(Wire, frozen=True, kw_only=True):
    """A marked span of the user's text (a mention, a pasted block)."""

    byte_range: ByteRange
    placeholder: str | None = None


class TextInput(Wire, frozen=True, kw_only=True, tag="text"):
    text: str
    text_elements: tuple[TextElement, ...] = msgspec.field(default=(), name="text_elements")


class ImageInput(Wire, frozen=True, kw_only=True, tag="image"):
    url: str
    detail: str | None = None


class LocalImageInput(Wire, frozen=True, kw_only=True, tag="localImage"):
    path: str
    detail: str | None = None


class SkillInput(Wire, frozen=True, kw_only=True, tag="skill"):
    name: str
    path: str


class MentionInput(Wire, frozen=True, kw_only=True, tag="mention"):
    name: str
    path: str


UserInput = TextInput | ImageInput | LocalImageInput | SkillInput | MentionInput


class ReadAction(Wire, frozen=True, kw_only=True, tag="read"):
    command: str
    name: str
    path: str


class ListFilesAction(Wire, frozen=True, kw_only=True, tag="listFiles"):
    command: str
    path: str | None = None


class SearchAction(Wire, frozen=True, kw_only=True, tag="search"):
    command: str
    query: str | None = None
    path: str | None = None


class UnknownAction(Wire, frozen=True, kw_only=True, tag="unknown"):
    command: str


CommandAction = ReadAction | ListFilesAction | SearchAction | UnknownAction


class AddChange(Wire, frozen=True, kw_only=True, tag="add"):
    pass


class DeleteChange(Wire, frozen=True, kw_only=True, tag="delete"):
    pass


class UpdateChange(Wire, frozen=True, kw_only=True, tag="update"):
    move_path: str | None = msgspec.field(default=None, name="move_path")


class FileUpdateChange(Wire, frozen=True, kw_only=True):
    """``diff`` is the raw content of an added file and unified hunks otherwise; ``path`` is absolute."""

    path: str
    kind: AddChange | DeleteChange | UpdateChange
    diff: str


class PlanStep(Wire, frozen=True, kw_only=True):
    step: str
    status: Literal["pending", "inProgress", "completed"]


class TextContentItem(Wire, frozen=True, kw_only=True, tag="inputText"):
    text: str


class ImageContentItem(Wire, frozen=True, kw_only=True, tag="inputImage"):
    image_url: str


class UserMessage(Wire, frozen=True, kw_only=True, tag="userMessage"):
    id: str
    content: tuple[UserInput, ...]
    client_id: str | None = None
    started_at_ms: int | None = None
    completed_at_ms: int | None = None


class AgentMessage(Wire, frozen=True, kw_only=True, tag="agentMessage"):
    id: str
    text: str
    phase: str | None = None
    started_at_ms: int | None = None
    completed_at_ms: int | None = None


class Reasoning(Wire, frozen=True, kw_only=True, tag="reasoning"):
    id: str
    summary: tuple[str, ...] = ()
    content: tuple[str, ...] = ()
    started_at_ms: int | None = None
    completed_at_ms: int | None = None


class Plan(Wire, frozen=True, kw_only=True, tag="plan"):
    id: str
    text: str
    started_at_ms: int | None = None
    completed_at_ms: int | None = None


class CommandExecution(Wire, frozen=True, kw_only=True, tag="commandExecution"):
    """``command`` is a display string such as ``/bin/bash -lc 'make test'``; a non-zero exit is `failed`."""

    id: str
    command: str
    cwd: str
    status: CommandStatus
    command_actions: tuple[CommandAction, ...]
    process_id: str | None = None
    source: Literal["agent", "userShell", "unifiedExecStartup", "unifiedExecInteraction"] | None = None
    aggregated_output: str | None = None
    exit_code: int | None = None
    duration_ms: int | None = None
    started_at_ms: int | None = None
    completed_at_ms: int | None = None


class FileChange(Wire, frozen=True, kw_only=True, tag="fileChange"):
    id: str
    changes: tuple[FileUpdateChange, ...]
    status: PatchStatus
    started_at_ms: int | None = None
    completed_at_ms: int | None = None


class ScriptCallEnd(Wire, frozen=True, kw_only=True):
    """One call of a script that has ended."""

    number: int
    name: str
    line: int
    column: int
    outcome: str
    started: bool
    orphaned: bool = False
    """It still ran, or had not begun, when the script had ended."""
    seconds: float
    code: str | None = None
    message: str | None = None
    """Of its error."""


class ScriptProblem(Wire, frozen=True, kw_only=True):
    """Why a script did not return."""

    kind: str
    code: str
    message: str
    name: str | None = None
    """Of the exception's class."""
    line: int | None = None
    column: int | None = None
    call: int | None = None
    """The number of the call whose error it was."""


class ScriptEnd(Wire, frozen=True, kw_only=True):
    """What a script came to, as data: its item's ``callboard`` once it has ended."""

    status: str
    value: str | None = None
    """What it returned, as JSON text."""
    failure: ScriptProblem | None = None
    calls: tuple[ScriptCallEnd, ...] = ()
    seconds: float = 0.0
    """Of its own clock: without waiting for people."""


class DynamicToolCall(Wire, frozen=True, kw_only=True, tag="dynamicToolCall"):
    """A call of any tool without an item type of its own: reading, listing and searching of ours among them."""

    id: str
    tool: str
    arguments: Any
    status: CallStatus
    namespace: str | None = None
    content_items: tuple[TextContentItem | ImageContentItem, ...] | None = None
    success: bool | None = None
    duration_ms: int | None = None
    callboard: ScriptEnd | None = None
    """Of a script."""
    started_at_ms: int | None = None
    completed_at_ms: int | None = None


class ImageView(Wire, frozen=True, kw_only=True, tag="imageView"):
    id: str
    path: str
    started_at_ms: int | None = None
    completed_at_ms: int | None = None


class WebQuery(Wire, frozen=True, kw_only=True, tag="search"):
    query: str | None = None
    queries: tuple[str, ...] | None = None


class OpenPage(Wire, frozen=True, kw_only=True, tag="openPage"):
    url: str | None = None


class FindInPage(Wire, frozen=True, kw_only=True, tag="findInPage"):
    url: str | None = None
    pattern: str | None = None


class OtherWebAction(Wire, frozen=True, kw_only=True, tag="other"):
    pass


WebAction = WebQuery | OpenPage | FindInPage | OtherWebAction


class WebSearch(Wire, frozen=True, kw_only=True, tag="webSearch"):
    """A search that the provider made; ``query`` is empty until it is known, or if it never is."""

    id: str
    query: str
    action: WebAction | None = None
    started_at_ms: int | None = None
    completed_at_ms: int | None = None


class ContextCompaction(Wire, frozen=True, kw_only=True, tag="contextCompaction"):
    id: str
    started_at_ms: int | None = None
    completed_at_ms: int | None = None


ThreadItem = (
    UserMessage
    | AgentMessage
    | Reasoning
    | Plan
    | CommandExecution
    | FileChange
    | DynamicToolCall
    | ImageView
    | WebSearch
    | ContextCompaction
)
