"""The daemon's parts, plugged together: what each needs of the others, decided in one place.

Actors get their neighbours as arguments and reach the world through ports, so everything that could be a global is a
local here. `root` puts the parts under supervision.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from types import NoneType

import msgspec
import trio

from actors.credentials.actor import CREDENTIALS
from actors.gateway.house import House
from actors.gateway.notifications import WireEncoder
from actors.kernel import Node, ServiceAddress, System
from actors.model_stream import catalogue
from actors.model_stream.models import Models
from actors.model_stream.providers import REHEARSAL, Choice, choose, known_providers
from actors.ports import Ports
from actors.rehearsal.actor import Stage
from actors.rollout_writer import reader
from actors.rollout_writer.actor import ROLLOUT_WRITER, WriterOptions
from actors.rollout_writer.checkpoints import TextCheckpoints
from actors.session.actor import Means
from actors.session.global_feed import GlobalFeed
from actors.session.host import SessionHost
from actors.session.project_docs import DocRules
from actors.session.retelling import UNTOLD_RECORDS
from actors.settings.actor import SETTINGS
from actors.tool_worker.environment import inherited
from actors.tool_worker.snapshots.keeping import Snapshots
from actors.tool_worker.tools import all_tools
from messages.base import ThreadId
from messages.client.model import ModelEntry
from messages.log import FindThread, ListThreads, LogRequest, Record, ThreadPage
from messages.session import ThreadSummary
from messages.settings import GetSettings, ProviderSettings, Settings, SettingsSnapshot
from supervisors.crew import make_crew
from supervisors.dynamic import DynamicSupervisor

SESSION_RESTARTS, SESSION_PERIOD_SECONDS = 3, 60.0
"""A session that crashes more often is no accident; its thread becomes `systemError` and stays readable."""

SESSION_SHUTDOWN_SECONDS = 8.0
"""500 ms of grace for processes, then the disk."""


class Library:
    """The threads on disk, as the gateway asks for them."""

    def __init__(self, ports: Ports, log: ServiceAddress[LogRequest]) -> None:
        self._ports = ports
        self._log = log

    async def page(self, request: ListThreads) -> ThreadPage:
        """One page of the list. Raises BadCursorError."""
        return await self._log.ask(request, ThreadPage)

    async def find(self, thread_id: ThreadId) -> ThreadSummary | None:
        """One thread; None if there is no rollout of that id."""
        return await self._log.ask(FindThread(thread_id=thread_id), (ThreadSummary, NoneType))

    async def records(self, thread_id: ThreadId, *, first_ordinal: int, limit: int) -> tuple[tuple[int, Record], ...]:
        """Records of a thread's log, with their ordinals. Raises OSError."""
        found = await self.find(thread_id)
        if found is None or found.path is None:
            return ()
        return await reader.read_records(self._ports, found.path, first_ordinal=first_ordinal, limit=limit)


@dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    """Everything that is put under supervision."""

    ports: Ports
    system: System
    snapshot: SettingsSnapshot
    environment: Mapping[str, str]
    providers: Mapping[str, ProviderSettings]
    stage: Stage | None
    """The rehearsed model, when it is the one in use."""
    models: Models
    writer: WriterOptions
    checkpoints: TextCheckpoints
    sessions: DynamicSupervisor
    host: SessionHost
    house: House


def assemble(
    *,
    ports: Ports,
    system: System,
    snapshot: SettingsSnapshot,
    environment: Mapping[str, str],
    cwd: str,
    version: str,
    tree: Callable[[], Node],
    index_path: str | None = None,
) -> Parts:
    """Make the parts; nothing runs yet. ``tree`` is the live tree, for whoever asks. Raises ChoiceError when no model
    can be chosen."""
    choice = choose(snapshot.settings, environment)
    settings = msgspec.structs.replace(snapshot.settings, model_provider=choice.provider, model=choice.model)
    snapshot = msgspec.structs.replace(snapshot, settings=settings)
    stage = Stage(ports) if choice.provider == REHEARSAL else None
    providers = _Providers(settings, stage)
    log = system.directory.address(ROLLOUT_WRITER)
    system.directory.expect(ROLLOUT_WRITER)
    system.directory.expect(SETTINGS)
    system.directory.expect(CREDENTIALS)
    checkpoints = TextCheckpoints()
    models = Models(
        ports,
        system.directory.address(CREDENTIALS),
        providers,
        undelivered_limit=settings.undelivered_text_bytes,
    )
    tools_environment = inherited(without_keys(environment, providers), settings.shell_environment_policy)
    crew = make_crew(
        ports=ports,
        models=models,
        registry=all_tools(),
        environment=tools_environment,
        output_tokens=settings.tool_output_token_limit,
        docs=DocRules(
            home=snapshot.home,
            max_bytes=settings.project_doc_max_bytes,
            fallback_names=settings.project_doc_fallback_filenames,
            root_markers=settings.project_root_markers,
        ),
        snapshots=Snapshots(ports, home=snapshot.home, environment=environment) if settings.ghost_snapshots else None,
        context_window=settings.model_context_window or catalogue.find(choice.provider, choice.model).context_window,
    )
    encoder = WireEncoder(lambda: round(ports.clock.now() * 1000))
    everywhere = GlobalFeed(encoder)
    sessions = DynamicSupervisor(
        restart="transient",
        shutdown=SESSION_SHUTDOWN_SECONDS,
        intensity=SESSION_RESTARTS,
        period=SESSION_PERIOD_SECONDS,
    )
    host = SessionHost(
        means=Means(
            ports=ports,
            log=log,
            load=partial(reader.load_thread, ports),
            records=partial(_records_from, ports),
            crew=crew,
            checkpoints=checkpoints,
        ),
        sessions=sessions,
        encoder=encoder,
        everywhere=everywhere,
        home=snapshot.home,
        version=version,
        unload_delay_seconds=settings.thread_unload_delay_seconds,
    )
    sessions.on_gave_up = host.gave_up
    return Parts(
        ports=ports,
        system=system,
        snapshot=snapshot,
        environment=environment,
        providers=providers,
        stage=stage,
        models=models,
        writer=WriterOptions(home=snapshot.home, durability=settings.durability, index_path=index_path),
        checkpoints=checkpoints,
        sessions=sessions,
        host=host,
        house=House(
            ports=ports,
            sessions=host,
            library=Library(ports, log),
            everywhere=everywhere,
            settings=partial(_settings, system.directory.address(SETTINGS)),
            models=partial(_models, choice),
            tree=tree,
            home=snapshot.home,
            cwd=cwd,
            version=version,
            environment=tools_environment,
            providers=tuple(providers),
        ),
    )


async def _settings(settings: ServiceAddress[GetSettings]) -> SettingsSnapshot:
    return await settings.ask(GetSettings(), SettingsSnapshot)


async def _records_from(ports: Ports, path: str, ordinal: int) -> tuple[Record, ...]:
    found = await reader.read_records(ports, path, first_ordinal=ordinal, limit=UNTOLD_RECORDS)
    return tuple(record for _, record in found)


async def _models(choice: Choice) -> tuple[ModelEntry, ...]:
    await trio.lowlevel.checkpoint()
    return catalogue.offered(choice.provider, choice.model)


def without_keys(environment: Mapping[str, str], providers: Mapping[str, ProviderSettings]) -> dict[str, str]:
    """The environment without the variables that hold providers' keys: tools have no use for them."""
    secret = {
        name
        for provider in providers.values()
        for name in (provider.env_key, *provider.env_http_headers.values())
        if name is not None
    }
    return {name: value for name, value in environment.items() if name not in secret}


class _Providers(Mapping[str, ProviderSettings]):
    """All providers by id; the rehearsed one is where its stage serves *now*."""

    def __init__(self, settings: Settings, stage: Stage | None) -> None:
        self._known = known_providers(settings, "")
        self._stage = stage

    def __getitem__(self, name: str) -> ProviderSettings:
        found = self._known[name]
        if name == REHEARSAL and self._stage is not None and not found.base_url:
            return msgspec.structs.replace(found, base_url=self._stage.base_url)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)
