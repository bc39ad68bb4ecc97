"""Thread items as a rollout keeps them, and back.

What clients were shown is kept in Codex's own persisted form (`item_completed`): PascalCase type names, snake_case
fields, argv instead of a display string, a map of changes, durations as {secs, nanos}. So their reader shows our
conversations and ours shows theirs. Where that form says less than we know, a field of ours with the prefix
``callboard_`` holds the difference, and only then; their reader ignores it. Source: codex-rs `protocol/src/items.rs`.

Kinds that we do not have are shown as what comes nearest: a call of an MCP tool or a web search as a tool call. What
has no near relative (a review mode, a sub-agent) is skipped and counted by the caller.

Rejected: keeping our wire items as they are (nobody else could read them), and both forms side by side (twice the
bytes of every command's output).
"""

from __future__ import annotations

import re
import shlex
from functools import lru_cache
from typing import Any, assert_never
from urllib.parse import quote, unquote

import msgspec

from actors.rollout_writer.kept import (
    KeptAction,
    KeptAdd,
    KeptAgentMessage,
    KeptChange,
    KeptCommand,
    KeptCompaction,
    KeptDelete,
    KeptDuration,
    KeptElement,
    KeptFileChange,
    KeptImage,
    KeptImageView,
    KeptInput,
    KeptItem,
    KeptListFiles,
    KeptLocalImage,
    KeptMcpCall,
    KeptMention,
    KeptPlan,
    KeptRead,
    KeptReasoning,
    KeptSearch,
    KeptSkill,
    KeptText,
    KeptToolCall,
    KeptUnknown,
    KeptUpdate,
    KeptUserMessage,
    KeptWebSearch,
    KeptWords,
)
from messages.client.item import (
    AddChange,
    AgentMessage,
    CallStatus,
    CommandAction,
    CommandExecution,
    ContextCompaction,
    DeleteChange,
    DynamicToolCall,
    FileChange,
    FileUpdateChange,
    ImageInput,
    ImageView,
    ListFilesAction,
    LocalImageInput,
    MentionInput,
    OtherWebAction,
    Plan,
    ReadAction,
    Reasoning,
    SearchAction,
    SkillInput,
    TextContentItem,
    TextElement,
    TextInput,
    ThreadItem,
    UnknownAction,
    UpdateChange,
    UserInput,
    UserMessage,
    WebAction,
    WebSearch,
)

# --- the small correspondences ----------------------------------------------------------------------------------

_SOURCES = {
    "agent": "agent",
    "userShell": "user_shell",
    "unifiedExecStartup": "unified_exec_startup",
    "unifiedExecInteraction": "unified_exec_interaction",
}
_SOURCES_BACK: dict[str, Any] = {kept: ours for ours, kept in _SOURCES.items()}

_STATUSES = {"inProgress": "in_progress"}
_STATUSES_BACK: dict[str, Any] = {
    "in_progress": "inProgress",
    "inProgress": "inProgress",
    "completed": "completed",
    "failed": "failed",
    "declined": "declined",
}
"""A status that we do not know is shown as failed: it did not complete as far as we can tell."""

_SHELL_CALL = re.compile(r"(\S+) (-l?c) (\S+|'.*')", re.DOTALL)
"""The only display string we take apart again; a general shell parser costs more than the rest of the line."""


def argv_of(command: str) -> tuple[str, ...]:
    """The argv whose `shlex.join` is ``command``, or the string itself as the only element."""
    match = _SHELL_CALL.fullmatch(command)
    if match is not None:
        shell, flag, script = match.groups()
        if script.startswith("'"):
            script = script[1:-1].replace("'\"'\"'", "'")
        argv = (shell, flag, script)
        if shlex.join(argv) == command:
            return argv
    return (command,)


def command_of(argv: tuple[str, ...]) -> str:
    """The display string of an argv; a single element is a display string already."""
    if len(argv) == 3:
        return f"{_quote_often(argv[0])} {_quote_often(argv[1])} {shlex.quote(argv[2])}"
    return argv[0] if len(argv) == 1 else shlex.join(argv)


_quote_often = lru_cache(maxsize=64)(shlex.quote)
"""Shells and their flags, of which a file names few and often."""


def _uri_of(path: str) -> str:
    return "file://" + quote(path) if path.startswith(("/", "file://")) else path


@lru_cache(maxsize=64)
def _path_of(uri: str) -> str:
    """Of working directories, mostly: a file names few and often."""
    if not uri.startswith("file://"):
        return uri
    return unquote(uri[7:]) if "%" in uri else uri[7:]


def _duration_of(milliseconds: int | None) -> KeptDuration | None:
    if milliseconds is None:
        return None
    return KeptDuration(secs=milliseconds // 1000, nanos=milliseconds % 1000 * 1_000_000)


def _milliseconds_of(duration: KeptDuration | None) -> int | None:
    return None if duration is None else duration.secs * 1000 + duration.nanos // 1_000_000


def _call_status(status: str) -> CallStatus:
    return "completed" if status == "completed" else "inProgress" if status == "inProgress" else "failed"


def _keep_input(part: UserInput) -> KeptInput:
    match part:
        case TextInput():
            elements = tuple(
                KeptElement(byte_range=e.byte_range, placeholder=e.placeholder) for e in part.text_elements
            )
            return KeptText(text=part.text, text_elements=elements)
        case ImageInput():
            return KeptImage(image_url=part.url, detail=part.detail)
        case LocalImageInput():
            return KeptLocalImage(path=part.path, detail=part.detail)
        case SkillInput():
            return KeptSkill(name=part.name, path=part.path)
        case MentionInput():
            return KeptMention(name=part.name, path=part.path)
        case _:
            assert_never(part)


def _show_input(part: KeptInput) -> UserInput:
    match part:
        case KeptText():
            elements = tuple(
                TextElement(byte_range=e.byte_range, placeholder=e.placeholder) for e in part.text_elements
            )
            return TextInput(text=part.text, text_elements=elements)
        case KeptImage():
            return ImageInput(url=part.image_url, detail=part.detail)
        case KeptLocalImage():
            return LocalImageInput(path=part.path, detail=part.detail)
        case KeptSkill():
            return SkillInput(name=part.name, path=part.path)
        case KeptMention():
            return MentionInput(name=part.name, path=part.path)
        case _:
            assert_never(part)


def _keep_action(action: CommandAction) -> KeptAction:
    match action:
        case ReadAction():
            return KeptRead(cmd=action.command, name=action.name, path=action.path)
        case ListFilesAction():
            return KeptListFiles(cmd=action.command, path=action.path)
        case SearchAction():
            return KeptSearch(cmd=action.command, query=action.query, path=action.path)
        case UnknownAction():
            return KeptUnknown(cmd=action.command)
        case _:
            assert_never(action)


def _show_action(action: KeptAction) -> CommandAction:
    match action:
        case KeptRead():
            return ReadAction(command=action.cmd, name=action.name, path=action.path)
        case KeptListFiles():
            return ListFilesAction(command=action.cmd, path=action.path)
        case KeptSearch():
            return SearchAction(command=action.cmd, query=action.query, path=action.path)
        case KeptUnknown():
            return UnknownAction(command=action.cmd)
        case _:
            assert_never(action)


def _keep_change(change: FileUpdateChange) -> KeptChange:
    match change.kind:
        case AddChange():
            return KeptAdd(content=change.diff)
        case DeleteChange():
            return KeptDelete(content=change.diff)
        case UpdateChange(move_path=move_path):
            return KeptUpdate(unified_diff=change.diff, move_path=move_path)
        case _:
            assert_never(change.kind)


def _show_change(path: str, change: KeptChange) -> FileUpdateChange:
    match change:
        case KeptAdd():
            return FileUpdateChange(path=path, kind=AddChange(), diff=change.content)
        case KeptDelete():
            return FileUpdateChange(path=path, kind=DeleteChange(), diff=change.content)
        case KeptUpdate():
            return FileUpdateChange(path=path, kind=UpdateChange(move_path=change.move_path), diff=change.unified_diff)
        case _:
            assert_never(change)


_WEB_TYPES = {"search": "search", "openPage": "open_page", "findInPage": "find_in_page", "other": "other"}
_WEB_TYPES_BACK = {kept: shown for shown, kept in _WEB_TYPES.items()}


def _keep_web_action(action: WebAction) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(action)
    return {**fields, "type": _WEB_TYPES[fields["type"]]}


def _show_web_action(kept: Any) -> WebAction | None:
    """None for what is no action; of kinds we do not know, that there was one."""
    if not isinstance(kept, dict):
        return None
    fields = {**kept, "type": _WEB_TYPES_BACK.get(str(kept.get("type")), "other")}
    try:
        action: WebAction = msgspec.convert(fields, WebAction)
    except (msgspec.ValidationError, TypeError):
        return OtherWebAction()
    return action


# --- there and back ---------------------------------------------------------------------------------------------


def keep(item: ThreadItem) -> KeptItem:
    """What a rollout holds of ``item``; `show` gives back the very same item."""
    started, completed = item.started_at_ms, item.completed_at_ms
    match item:
        case UserMessage():
            return KeptUserMessage(
                id=item.id,
                content=tuple(map(_keep_input, item.content)),
                client_id=item.client_id,
                started_at_ms=started,
                completed_at_ms=completed,
            )
        case AgentMessage():
            return KeptAgentMessage(
                id=item.id,
                content=(KeptWords(text=item.text),),
                phase=item.phase,
                started_at_ms=started,
                completed_at_ms=completed,
            )
        case Reasoning():
            return KeptReasoning(
                id=item.id,
                summary_text=item.summary,
                raw_content=item.content,
                started_at_ms=started,
                completed_at_ms=completed,
            )
        case Plan():
            return KeptPlan(id=item.id, text=item.text, started_at_ms=started, completed_at_ms=completed)
        case CommandExecution():
            return KeptCommand(
                id=item.id,
                command=argv_of(item.command),
                cwd=_uri_of(item.cwd),
                parsed_cmd=tuple(map(_keep_action, item.command_actions)),
                source=_SOURCES[item.source or "agent"],
                status=item.status,
                process_id=item.process_id,
                aggregated_output=item.aggregated_output,
                exit_code=item.exit_code,
                duration=_duration_of(item.duration_ms),
                callboard_no_source=item.source is None,
                started_at_ms=started,
                completed_at_ms=completed,
            )
        case FileChange():
            changes = {change.path: _keep_change(change) for change in item.changes}
            return KeptFileChange(
                id=item.id,
                changes=changes,
                status=_STATUSES.get(item.status, item.status),
                callboard_changes=item.changes if len(changes) < len(item.changes) else (),
                started_at_ms=started,
                completed_at_ms=completed,
            )
        case DynamicToolCall():
            return KeptToolCall(
                id=item.id,
                tool=item.tool,
                arguments=item.arguments,
                status=item.status,
                namespace=item.namespace,
                content_items=item.content_items,
                success=item.success,
                duration=_duration_of(item.duration_ms),
                callboard_end=item.callboard,
                started_at_ms=started,
                completed_at_ms=completed,
            )
        case ImageView():
            return KeptImageView(id=item.id, path=_uri_of(item.path), started_at_ms=started, completed_at_ms=completed)
        case WebSearch():
            return KeptWebSearch(
                id=item.id,
                query=item.query,
                action=None if item.action is None else _keep_web_action(item.action),
                started_at_ms=started,
                completed_at_ms=completed,
            )
        case ContextCompaction():
            return KeptCompaction(id=item.id, started_at_ms=started, completed_at_ms=completed)
        case _:
            assert_never(item)


def show(kept: KeptItem) -> ThreadItem:
    """The item as clients see it."""
    started, completed = kept.started_at_ms, kept.completed_at_ms
    match kept:
        case KeptUserMessage():
            return UserMessage(
                id=kept.id,
                content=tuple(map(_show_input, kept.content)),
                client_id=kept.client_id,
                started_at_ms=started,
                completed_at_ms=completed,
            )
        case KeptAgentMessage():
            return AgentMessage(
                id=kept.id,
                text="".join(piece.text for piece in kept.content),
                phase=kept.phase,
                started_at_ms=started,
                completed_at_ms=completed,
            )
        case KeptReasoning():
            return Reasoning(
                id=kept.id,
                summary=kept.summary_text,
                content=kept.raw_content,
                started_at_ms=started,
                completed_at_ms=completed,
            )
        case KeptPlan():
            return Plan(id=kept.id, text=kept.text, started_at_ms=started, completed_at_ms=completed)
        case KeptCommand():
            return CommandExecution(
                id=kept.id,
                command=command_of(kept.command) if kept.command else "",
                cwd=_path_of(kept.cwd),
                status=_STATUSES_BACK.get(kept.status, "failed"),
                command_actions=tuple(map(_show_action, kept.parsed_cmd)),
                process_id=kept.process_id,
                source=None if kept.callboard_no_source else _SOURCES_BACK.get(kept.source),
                aggregated_output=kept.aggregated_output,
                exit_code=kept.exit_code,
                duration_ms=_milliseconds_of(kept.duration),
                started_at_ms=started,
                completed_at_ms=completed,
            )
        case KeptFileChange():
            changes = kept.callboard_changes or tuple(_show_change(*change) for change in kept.changes.items())
            return FileChange(
                id=kept.id,
                changes=changes,
                status=_STATUSES_BACK.get(kept.status or "completed", "failed"),
                started_at_ms=started,
                completed_at_ms=completed,
            )
        case KeptToolCall():
            return DynamicToolCall(
                id=kept.id,
                tool=kept.tool,
                arguments=kept.arguments,
                status=_call_status(kept.status),
                namespace=kept.namespace,
                content_items=kept.content_items,
                success=kept.success,
                duration_ms=_milliseconds_of(kept.duration),
                callboard=kept.callboard_end,
                started_at_ms=started,
                completed_at_ms=completed,
            )
        case KeptImageView():
            return ImageView(id=kept.id, path=_path_of(kept.path), started_at_ms=started, completed_at_ms=completed)
        case KeptCompaction():
            return ContextCompaction(id=kept.id, started_at_ms=started, completed_at_ms=completed)
        case KeptMcpCall():
            return _show_mcp_call(kept)
        case KeptWebSearch():
            return WebSearch(
                id=kept.id,
                query=kept.query,
                action=_show_web_action(kept.action),
                started_at_ms=started,
                completed_at_ms=completed,
            )
        case _:
            assert_never(kept)


def _show_mcp_call(kept: KeptMcpCall) -> DynamicToolCall:
    outcome = kept.result if kept.error is None else kept.error
    text = outcome if isinstance(outcome, str) else msgspec.json.encode(outcome).decode()
    return DynamicToolCall(
        id=kept.id,
        tool=kept.tool,
        arguments=kept.arguments,
        status=_call_status(kept.status),
        namespace=kept.server,
        content_items=None if outcome is None else (TextContentItem(text=text),),
        success=kept.error is None,
        duration_ms=_milliseconds_of(kept.duration),
        started_at_ms=kept.started_at_ms,
        completed_at_ms=kept.completed_at_ms,
    )
