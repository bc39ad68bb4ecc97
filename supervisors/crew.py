"""Who a session sets to work: model streams and tool workers, plugged into the shapes the session knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from functools import partial

import msgspec
import trio

from actors.hooks.runner import Hooks
from actors.kernel import Address, Context, Mailbox
from actors.model_stream import catalogue
from actors.model_stream.models import Models
from actors.model_stream.tool_abilities import tool_abilities
from actors.ports import Ports
from actors.rollout_writer.handle_store import HandleStore
from actors.sandbox_pool.pool import ScriptPool
from actors.sandbox_pool.worker import run_script
from actors.session import children
from actors.session.open_text import OpenText, TextTable
from actors.session.state import Offer, ScriptOffer
from actors.tool_worker.actor import run_call
from actors.tool_worker.registry import Registry
from actors.tool_worker.rules.book import RuleBook
from actors.tool_worker.snapshots.keeping import Snapshots
from actors.tool_worker.tool import Job
from actors.tool_worker.truncation import TruncationPolicy
from actors.tool_worker.workshop import LoginRules, Workshop, open_workshop, preferred_shell
from messages.base import ThreadId
from messages.model import SampleRequest, StreamEvent
from messages.script import ScriptJob, ScriptOrder, ScriptSaid
from messages.session import ThreadSettings
from messages.settings import ProviderSettings
from messages.tool_set import Abilities
from messages.tools import RunTool, TerminalEnded, ToolCall, ToolEvent, WorkerMessage
from supervisors.surroundings import Surroundings


def make_crew(
    *,
    ports: Ports,
    models: Models,
    registry: Registry,
    environment: Mapping[str, str],
    output_tokens: int,
    context_window: int | None,
    surroundings: Surroundings,
    snapshots: Snapshots | None,
    login: LoginRules,
    home: str,
    rules: RuleBook,
    pool: ScriptPool,
    scripts: ScriptOffer,
) -> children.Crew:
    """``environment`` is what tools inherit; ``home`` is what no sandboxed one changes; ``output_tokens`` is how much
    of one output a model is shown."""
    abilities = partial(_abilities, models.providers, scripts)
    truncation = TruncationPolicy(mode="tokens", limit=output_tokens)
    return children.Crew(
        offer=Offer(
            tools=registry.specs(),
            abilities=abilities,
            shell=preferred_shell(environment),
            context_window=context_window,
            windows=partial(_window, models.providers),
            gathers=True,
            hook_events=surroundings.hooks.events,
            scripts=scripts,
        ),
        sample=partial(_sample, models),
        work=_work,
        run_script=partial(_run_script, pool),
        expect_script=pool.wanted.set,
        gather=surroundings.gather,
        run_hooks=surroundings.run_hooks,
        turn_ended=surroundings.turn_ended,
        session_ended=surroundings.session_ended,
        open_workshop=partial(
            _open_workshop,
            ports,
            registry,
            abilities,
            environment,
            truncation,
            snapshots,
            surroundings.hooks,
            login,
            home,
            rules,
        ),
        amend_rules=rules.amend,
    )


def _abilities(providers: Mapping[str, ProviderSettings], scripts: ScriptOffer, provider: str, model: str) -> Abilities:
    known = providers.get(provider)
    able = Abilities() if known is None else tool_abilities(provider, known, model)
    chosen = scripts.by_provider.get(provider)
    mode = (None if chosen is None else chosen.mode) or scripts.choice.mode or "disabled"
    # Without scripts nothing is ever left under a handle.
    return able if mode != "disabled" else msgspec.structs.replace(able, lacks=(*able.lacks, "handles"))


def _window(providers: Mapping[str, ProviderSettings], provider: str, model: str) -> int | None:
    known = providers.get(provider)
    return catalogue.find(provider, model, {} if known is None else known.models).context_window


async def _sample(
    models: Models,
    ctx: Context,
    request: SampleRequest,
    texts: TextTable,
    report: Address[StreamEvent],
    /,
    *,
    task_status: trio.TaskStatus[None],
) -> None:
    # Three wires and an HTTP client are a third of what a start would import; `Models.warm` does it behind the door.
    await models.warm()
    from actors.model_stream import actor as model_stream

    await model_stream.run(ctx, request, texts, report, models, task_status=task_status)


async def _run_script(
    pool: ScriptPool,
    call: ToolCall,
    job: ScriptJob,
    orders: Mailbox[RunTool | ScriptOrder],
    report: Callable[[ToolEvent | ScriptSaid], None],
    handles: HandleStore | None,
    /,
) -> None:
    await run_script(call, job, pool, orders, report, handles)


async def _work(
    call: ToolCall,
    workshop: Workshop,
    output: OpenText,
    leave: Mailbox[WorkerMessage],
    report: Callable[[ToolEvent], None],
    /,
) -> None:
    await run_call(Job(call=call, output=output, report=report, workshop=workshop, inbox=leave))


def _open_workshop(
    ports: Ports,
    registry: Registry,
    abilities: Callable[[str, str], Abilities],
    environment: Mapping[str, str],
    truncation: TruncationPolicy,
    snapshots: Snapshots | None,
    hooks: Hooks,
    login: LoginRules,
    home: str,
    rules: RuleBook,
    thread_id: ThreadId,
    settings: ThreadSettings,
    report: Callable[[TerminalEnded], None],
    /,
) -> AbstractAsyncContextManager[Workshop]:
    return open_workshop(
        thread_id=thread_id,
        ports=ports,
        registry=registry,
        abilities=abilities,
        settings=settings,
        environment=environment,
        truncation=truncation,
        snapshots=snapshots,
        hooks=hooks,
        login=login,
        report=report,
        home=home,
        rules=rules.for_folder,
    )
