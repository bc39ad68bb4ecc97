"""thread/*: threads are started, resumed, read, listed, left, named."""

from __future__ import annotations

import contextlib
import posixpath
from typing import Any, Final

import msgspec
import trio

from actors.gateway.caller import Caller
from actors.gateway.dynamic_tools import offered
from actors.gateway.instructions import base_instructions
from actors.gateway.notifications import settings_body
from actors.gateway.rpc import Answer, RpcError, method
from actors.gateway.sandbox import profile_patch, rules_of, sandbox_in_force
from actors.gateway.settings_patch import (
    configured_selection,
    patch_of,
    policy_of,
    selection_of,
)
from actors.gateway.views import active_profile, sandbox_body, summary_body, thread_body, workspace_roots
from actors.kernel import Address, KernelError
from actors.ports.processes import SpawnError
from actors.session.feed import Subscription
from actors.session.threads import NewThread, UnknownThreadError
from messages.base import ThreadId
from messages.client.envelope import INVALID_PARAMS, INVALID_REQUEST
from messages.client.listing import Nothing
from messages.client.sandbox import Enforcement
from messages.client.thread import (
    LoadedListParams,
    LoadedListResponse,
    SetNameParams,
    SettingsUpdateParams,
    Standing,
    ThreadIdParams,
    ThreadListParams,
    ThreadListResponse,
    ThreadOpened,
    ThreadReadParams,
    ThreadReadResponse,
    ThreadResumeParams,
    ThreadStartParams,
    UnsubscribeResponse,
)
from messages.log import ListThreads
from messages.session import (
    ReadThread,
    SessionCommand,
    SetThreadName,
    SettingsPatch,
    Subscribe,
    ThreadSettings,
    ThreadStatus,
    ThreadView,
    UpdateSettings,
)
from messages.settings import SandboxMode, Settings
from messages.tool_set import ToolSelection

DEFAULT_PAGE: Final = 25
MAX_PAGE: Final = 100
"""Threads in one answer: what a client shows at once."""

NAME_CHARS: Final = 200
"""Of a thread's name: one line."""

SOURCE: Final = "vscode"
"""What the original calls every thread started over the wire, whoever starts it; pickers of clients list only this."""

STATUS_SECONDS: Final = 0.5
"""A session answers in microseconds; a list is not held up by one that hangs."""

NOT_LOADED: Final = ThreadStatus(kind="notLoaded")


async def start(caller: Caller, params: ThreadStartParams) -> Answer:
    cwd = params.cwd or caller.house.cwd
    if not posixpath.isabs(cwd):
        raise RpcError(INVALID_PARAMS, f"thread/start: cwd must be an absolute path, not {cwd!r}")
    configured = await caller.gatehouse.configuration.of_thread(cwd, params.config)
    settings = configured.settings
    provider = params.model_provider or settings.model_provider
    known_providers = caller.house.providers
    if params.model_provider is not None and known_providers and params.model_provider not in known_providers:
        known = ", ".join(sorted(known_providers))
        raise RpcError(
            INVALID_PARAMS, f"thread/start: there is no model provider {params.model_provider!r}; known are {known}"
        )
    instructions = params.base_instructions
    if instructions is None:
        instructions = await base_instructions(settings, caller.house.ports, caller.house.home)
    if params.permissions is not None:
        sandbox = profile_patch(params.permissions, settings.permissions)
    elif params.sandbox is not None:
        sandbox = {"sandbox_mode": params.sandbox}
    else:
        sandbox = await sandbox_in_force(caller.house.ports.processes, settings, cwd)
    request = NewThread(
        settings=ThreadSettings(
            provider=provider,
            model=params.model or settings.model or await _default_model(caller),
            cwd=cwd,
            approval_policy=policy_of(params.approval_policy) or settings.approval_policy,
            **{**rules_of(settings), **sandbox},
            reasoning_effort=settings.model_reasoning_effort,
            reasoning_summary=settings.model_reasoning_summary,
            verbosity=settings.model_verbosity,
            show_reasoning=settings.show_reasoning,
            show_reasoning_chars=settings.show_reasoning_chars,
            base_instructions=instructions,
            developer_instructions=params.developer_instructions or settings.developer_instructions,
            ephemeral=bool(params.ephemeral),
            tools=_selection(settings, params),
            dynamic_tools=offered(params.dynamic_tools or (), caller.house.tool_names),
        ),
        source=SOURCE,
        originator=caller.client_name,
        thread_source=params.thread_source,
    )
    enforced = await enforcement(caller, request.settings.sandbox_mode)
    view, address = await caller.house.sessions.start_thread(request)
    subscription = await address.ask(Subscribe(include_turns=False), Subscription)

    def then() -> None:
        caller.house.everywhere.thread_started(view)
        caller.watched.watch(subscription)
        caller.warn_of_thread(configured)
        caller.works_in(view.settings.cwd)

    return Answer(_opened(subscription, enforced, include_turns=False), then)


def _selection(settings: Settings, params: ThreadStartParams) -> ToolSelection:
    if params.environments == ():
        return ToolSelection(only=())
    if params.callboard_tools is not None:
        return selection_of(params.callboard_tools)
    return configured_selection(settings)


async def _default_model(caller: Caller) -> str:
    models = await caller.house.models()
    return next((model.model for model in models if model.is_default), models[0].model if models else "")


async def resume(caller: Caller, params: ThreadResumeParams) -> Answer:
    patch = SettingsPatch(
        model=params.model,
        provider=params.model_provider,
        cwd=params.cwd,
        approval_policy=policy_of(params.approval_policy),
        base_instructions=params.base_instructions,
        developer_instructions=params.developer_instructions,
        **await asked_sandbox(caller, params),
    )
    if patch != SettingsPatch():
        await caller.ask(params.thread_id, UpdateSettings(settings=patch), ThreadSettings)
    include_turns = not params.exclude_turns
    behind = params.callboard
    subscription = await caller.subscribe(
        params.thread_id,
        Subscribe(
            include_turns=include_turns,
            after_seq=None if behind is None else behind.after_seq,
            epoch=None if behind is None else behind.epoch,
        ),
    )
    enforced = await enforcement(caller, subscription.view.settings.sandbox_mode)
    opened = _resumed(subscription, enforced, include_turns=include_turns)

    def then() -> None:
        caller.watched.watch(subscription)
        caller.works_in(subscription.view.settings.cwd)

    return Answer(opened, then)


async def asked_sandbox(caller: Caller, params: ThreadResumeParams) -> dict[str, Any]:
    """The sandbox that a client asks for, as fields of a `SettingsPatch`. Raises RpcError."""
    if params.permissions is not None:
        return profile_patch(params.permissions, await caller.profiles_for(params.permissions))
    return {} if params.sandbox is None else {"sandbox_mode": params.sandbox}


async def enforcement(caller: Caller, mode: SandboxMode) -> Enforcement | None:
    """What enforces a mode here, in the wire's words; None when nothing has to, or cannot be said now."""
    if mode == "danger-full-access":
        return None
    try:
        report = await caller.house.ports.processes.confinement()
    except SpawnError:
        return None
    return Enforcement(mechanism=report.mechanism, gaps=report.gaps)


def _resumed(subscription: Subscription, enforced: Enforcement | None, *, include_turns: bool) -> ThreadOpened:
    """With where to page back from, and the mode: a thread that begins has neither history nor a mode of its own."""
    view, settings = subscription.view, subscription.view.settings
    return msgspec.structs.replace(
        _opened(subscription, enforced, include_turns=include_turns),
        collaboration_mode=settings_body(settings).collaboration_mode,
        turns_backwards_cursor=str(view.turn_count - 1) if view.turn_count else None,
        items_backwards_cursor=str(view.item_count - 1) if view.item_count else None,
    )


def _opened(subscription: Subscription, enforced: Enforcement | None, *, include_turns: bool) -> ThreadOpened:
    view, cursor = subscription.view, subscription.cursor
    settings = view.settings
    return ThreadOpened(
        thread=thread_body(view, include_turns=include_turns),
        model=settings.model,
        model_provider=settings.provider,
        cwd=settings.cwd,
        approval_policy=settings.approval_policy,
        approvals_reviewer="user",
        sandbox=sandbox_body(settings, enforced),
        runtime_workspace_roots=workspace_roots(settings),
        active_permission_profile=active_profile(settings),
        reasoning_effort=settings.reasoning_effort,
        callboard=Standing(epoch=cursor.feed.epoch, seq=cursor.next_seq - 1, resumed=subscription.resumed),
    )


async def read(caller: Caller, params: ThreadReadParams) -> ThreadReadResponse:
    thread_id = ThreadId(params.thread_id)
    include_turns = bool(params.include_turns)
    if include_turns or thread_id in caller.house.sessions.loaded():
        view = await caller.ask(thread_id, ReadThread(include_turns=include_turns), ThreadView)
        return ThreadReadResponse(thread=thread_body(view, include_turns=include_turns))
    # Without its turns a thread is read from the list: no need to load it, and it stays as it is.
    summary = await caller.house.library.find(thread_id)
    if summary is None:
        raise UnknownThreadError(thread_id)
    return ThreadReadResponse(thread=summary_body(summary, NOT_LOADED))


async def list_(caller: Caller, params: ThreadListParams) -> ThreadListResponse:
    if params.archived or any(
        (
            params.section_id,
            params.project_id,
            params.parent_thread_id,
            params.ancestor_thread_id,
            params.attached_to_thread_id,
        )
    ):
        return ThreadListResponse(data=())  # there are no archives, sections, projects or children, so none match
    cwds = params.cwd if isinstance(params.cwd, tuple) else ((params.cwd,) if params.cwd is not None else ())
    request = ListThreads(
        limit=min(max(params.limit or DEFAULT_PAGE, 1), MAX_PAGE),
        cursor=params.cursor,
        sort_by="created_at" if params.sort_key == "created_at" else "updated_at",
        ascending=params.sort_direction == "asc",
        cwd=cwds[0] if cwds else None,
        search=params.search_term,
        providers=params.model_providers or (),
        sources=params.source_kinds or (),
    )
    try:
        page = await caller.house.library.page(request)
    except ValueError as error:
        raise RpcError(INVALID_PARAMS, f"thread/list: {error}") from error
    statuses = await _statuses(caller, tuple(thread.id for thread in page.threads))
    excluded = frozenset(params.excluded_thread_ids or ())
    return ThreadListResponse(
        data=tuple(
            summary_body(thread, statuses.get(thread.id, NOT_LOADED))
            for thread in page.threads
            if thread.id not in excluded
        ),
        next_cursor=page.next_cursor,
        backwards_cursor=page.previous_cursor,
    )


async def _statuses(caller: Caller, ids: tuple[ThreadId, ...]) -> dict[ThreadId, ThreadStatus]:
    """How the loaded ones among these threads stand. One that ends meanwhile, or is too busy to say, is left out."""
    statuses: dict[ThreadId, ThreadStatus] = {}

    async def look(thread_id: ThreadId, address: Address[SessionCommand]) -> None:
        with contextlib.suppress(KernelError):
            view = await address.ask(ReadThread(include_turns=False), ThreadView)
            statuses[thread_id] = view.status

    loaded = caller.house.sessions.loaded()
    with trio.move_on_after(STATUS_SECONDS):
        async with trio.open_nursery() as nursery:
            for thread_id in ids:
                address = loaded.get(thread_id)
                if address is not None:
                    nursery.start_soon(look, thread_id, address)
    return statuses


async def loaded(caller: Caller, params: LoadedListParams) -> LoadedListResponse:
    ids = tuple(caller.house.sessions.loaded())
    start_at = _position(params.cursor, "thread/loaded/list")
    end = len(ids) if params.limit is None else start_at + max(params.limit, 1)
    return LoadedListResponse(data=ids[start_at:end], next_cursor=str(end) if end < len(ids) else None)


def _position(cursor: str | None, name: str) -> int:
    if cursor is None:
        return 0
    if not cursor.isascii() or not cursor.isdigit():
        raise RpcError(INVALID_PARAMS, f"{name}: invalid cursor: {cursor[:50]}")
    return int(cursor)


async def unsubscribe(caller: Caller, params: ThreadIdParams) -> UnsubscribeResponse:
    thread_id = ThreadId(params.thread_id)
    if caller.watched.leave(thread_id):
        return UnsubscribeResponse(status="unsubscribed")
    known = thread_id in caller.house.sessions.loaded()
    return UnsubscribeResponse(status="notSubscribed" if known else "notLoaded")


async def set_name(caller: Caller, params: SetNameParams) -> Nothing:
    name = " ".join(params.name.split())[:NAME_CHARS]
    if not name:
        raise RpcError(INVALID_PARAMS, "thread/name/set: name is empty")
    await caller.tell(params.thread_id, SetThreadName(name=name))
    return Nothing()


async def update_settings(caller: Caller, params: SettingsUpdateParams) -> Nothing:
    patch = patch_of(params, await caller.profiles_for(params.permissions))
    if patch is not None:
        await caller.ask(params.thread_id, UpdateSettings(settings=patch), ThreadSettings)
    elif ThreadId(params.thread_id) not in caller.house.sessions.loaded():
        raise RpcError(INVALID_REQUEST, f"thread not loaded: {params.thread_id}")
    return Nothing()


METHODS = (
    method("thread/start", ThreadStartParams, start),
    method("thread/resume", ThreadResumeParams, resume),
    method("thread/read", ThreadReadParams, read),
    method("thread/list", ThreadListParams, list_),
    method("thread/loaded/list", LoadedListParams, loaded),
    method("thread/unsubscribe", ThreadIdParams, unsubscribe),
    method("thread/name/set", SetNameParams, set_name),
    method("thread/settings/update", SettingsUpdateParams, update_settings),
)
