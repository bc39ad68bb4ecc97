"""The daemon's parts, plugged together: what each needs of the others, decided in one place.

Actors get their neighbours as arguments and reach the world through ports, so everything that could be a global is a
local here. `root` puts the parts under supervision.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import partial
from types import NoneType

import msgspec
import trio

from actors.credentials.actor import CREDENTIALS, means_of
from actors.credentials.actor import Means as CredentialMeans
from actors.credentials.posting import Poster
from actors.gateway.house import House
from actors.gateway.notifications import WireEncoder
from actors.hooks.runner import Hooks
from actors.kernel import Node, ServiceAddress, System
from actors.model_stream import catalogue
from actors.model_stream.models import Models
from actors.model_stream.providers import REHEARSAL, is_rehearsed, known_providers
from actors.ports import Ports
from actors.ports.scripts import ScriptEngine
from actors.rehearsal.actor import Stage
from actors.rollout_writer import reader
from actors.rollout_writer.actor import ROLLOUT_WRITER, WriterOptions
from actors.rollout_writer.checkpoints import TextCheckpoints
from actors.sandbox_pool.pool import ScriptPool
from actors.session.actor import Means
from actors.session.children import Crew
from actors.session.global_feed import GlobalFeed
from actors.session.host import SessionHost
from actors.session.project_docs import DocRules
from actors.session.retelling import UNTOLD_RECORDS
from actors.settings.actor import SETTINGS
from actors.settings.core import State
from actors.settings.secrets import is_secret_variable
from actors.tool_worker.environment import inherited
from actors.tool_worker.rules.actor import RULES
from actors.tool_worker.rules.book import RuleBook
from actors.tool_worker.shell_snapshot import ShellSnapshots
from actors.tool_worker.snapshots.keeping import Snapshots
from actors.tool_worker.tools import all_tools
from actors.tool_worker.workshop import LoginRules
from messages.base import ThreadId
from messages.client.model import ModelEntry
from messages.credentials import StoreChoice
from messages.log import FindThread, ListThreads, LogRequest, Record, ThreadPage
from messages.session import ThreadSummary
from messages.settings import GetSettings, ProviderSettings, Settings, SettingsRequest, SettingsSnapshot
from supervisors.crew import make_crew
from supervisors.dynamic import DynamicSupervisor
from supervisors.live import Chooser, LiveSettings, Now
from supervisors.model_lists import ModelLists
from supervisors.scripts import NoEngine, make_pool, script_offer
from supervisors.surroundings import Surroundings

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


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is put under supervision."""

    ports: Ports
    system: System
    settings: State
    """What the settings actor begins with."""
    live: LiveSettings
    environment: Mapping[str, str]
    providers: Mapping[str, ProviderSettings]
    stage: Stage | None
    """The rehearsed model, when it is the one in use."""
    models: Models
    refresh_models: Callable[[], Awaitable[None]]
    """Ask the provider in use what its models are, if nobody has done so today."""
    credentials: CredentialMeans
    writer: WriterOptions
    checkpoints: TextCheckpoints
    sessions: DynamicSupervisor
    host: SessionHost
    house: House
    pool: ScriptPool


def assemble(
    *,
    ports: Ports,
    system: System,
    state: State,
    chooser: Chooser,
    environment: Mapping[str, str],
    cwd: str,
    version: str,
    tree: Callable[[], Node],
    index_path: str | None = None,
    engine: ScriptEngine | None = None,
    unconfined: tuple[str, ...] = (),
) -> Parts:
    """Make the parts; nothing runs yet. ``tree`` is the live tree, for whoever asks; ``chooser`` what has completed the
    settings; ``engine`` runs scripts, confined but for the layers named in ``unconfined``."""
    snapshot = state.current
    settings = snapshot.settings
    stage = Stage(ports) if settings.model_provider == REHEARSAL else None
    chooser.rehearsing = stage is not None
    log = system.directory.address(ROLLOUT_WRITER)
    system.directory.expect(ROLLOUT_WRITER)
    system.directory.expect(SETTINGS)
    system.directory.expect(CREDENTIALS)
    system.directory.expect(RULES)
    checkpoints = TextCheckpoints()
    lists = ModelLists(ports, snapshot.home)
    lists.load(known_providers(settings, ""))
    models = Models(
        ports,
        system.directory.address(CREDENTIALS),
        _Providers(settings, stage, lists),
        undelivered_limit=settings.undelivered_text_bytes,
    )
    rules = RuleBook(system.directory.address(RULES), lambda: live.snapshot.settings.projects)
    pool = make_pool(ports, engine or NoEngine(), settings.scripts)
    tools = _Tools(environment, models, rules, snapshot.home, pool, ("engine",) if engine is None else unconfined)
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
            crew=tools.crew(snapshot),
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

    def take(changed: SettingsSnapshot) -> None:
        models.providers = _Providers(changed.settings, stage, lists)
        host.adopt(tools.crew(changed), unload_delay_seconds=changed.settings.thread_unload_delay_seconds)

    async def refresh() -> None:
        current = live.snapshot
        if await lists.refresh(models, current.settings.model_provider):
            take(live.snapshot)

    live = LiveSettings(system.directory.address(SETTINGS), snapshot, take)
    return Parts(
        ports=ports,
        system=system,
        settings=state,
        live=live,
        environment=environment,
        providers=Now(lambda: models.providers),
        stage=stage,
        models=models,
        refresh_models=refresh,
        credentials=means_of(
            ports,
            home=snapshot.home,
            providers=Now(lambda: models.providers),
            oauth_settings=lambda: live.snapshot.settings.oauth,
            environment=environment,
            choice=partial(_store_choice, system.directory.address(SETTINGS)),
            posts=Poster(ports),
        ),
        writer=WriterOptions(home=snapshot.home, durability=settings.durability, index_path=index_path),
        checkpoints=checkpoints,
        sessions=sessions,
        host=host,
        pool=pool,
        house=House(
            ports=ports,
            sessions=host,
            library=Library(ports, log),
            everywhere=everywhere,
            settings=system.directory.address(SETTINGS),
            rules=rules,
            models=partial(_models, live, models),
            credentials=system.directory.address(CREDENTIALS),
            tree=tree,
            home=snapshot.home,
            cwd=cwd,
            version=version,
            environment=Now(lambda: tools.environment),
            providers=Now(lambda: models.providers),
            tool_names=tools.names,
        ),
    )


def _surroundings(ports: Ports, snapshot: SettingsSnapshot, environment: Mapping[str, str]) -> Surroundings:
    settings, home = snapshot.settings, snapshot.home
    rules = DocRules(
        home=home,
        max_bytes=settings.project_doc_max_bytes,
        fallback_names=settings.project_doc_fallback_filenames,
        root_markers=settings.project_root_markers,
    )
    hooks = Hooks(ports, settings.hooks, home=home, environment=environment, bypass_trust=settings.hooks_bypass_trust)
    return Surroundings(ports, rules, hooks, notify=settings.notify, environment=environment)


async def _store_choice(settings: ServiceAddress[SettingsRequest]) -> StoreChoice:
    return (await settings.ask(GetSettings(fresh=True), SettingsSnapshot)).settings.cli_auth_credentials_store


async def _records_from(ports: Ports, path: str, ordinal: int) -> tuple[Record, ...]:
    found = await reader.read_records(ports, path, first_ordinal=ordinal, limit=UNTOLD_RECORDS)
    return tuple(record for _, record in found)


async def _models(live: LiveSettings, models: Models) -> tuple[ModelEntry, ...]:
    await trio.lowlevel.checkpoint()
    settings = live.snapshot.settings
    provider = models.providers.get(settings.model_provider)
    said = {} if provider is None else provider.models
    own = (*settings.models, *(settings.model_providers.get(settings.model_provider, provider) or _NO_MODELS).models)
    return catalogue.offered(settings.model_provider, settings.model, said, extra=own)


class _Tools:
    """What serves sessions, made anew for the settings of the time."""

    def __init__(
        self,
        environment: Mapping[str, str],
        models: Models,
        rules: RuleBook,
        home: str,
        pool: ScriptPool,
        unconfined: tuple[str, ...],
    ) -> None:
        self._rules = rules
        self._pool = pool
        self._unconfined = unconfined
        self._environment = environment
        self._snapshots = Snapshots(models.ports, home=home, environment=environment)
        self._models = models
        self._shells = ShellSnapshots(models.ports, home=home)
        self._registry = all_tools()
        self.environment: Mapping[str, str] = {}
        """What commands inherit."""

    @property
    def names(self) -> frozenset[str]:
        """What the tools are called."""
        return frozenset(spec.name for spec in self._registry.specs())

    def crew(self, snapshot: SettingsSnapshot) -> Crew:
        settings = snapshot.settings
        visible = without_keys(self._environment, self._models.providers)
        self.environment = inherited(visible, settings.shell_environment_policy)
        return make_crew(
            ports=self._models.ports,
            models=self._models,
            registry=self._registry,
            environment=self.environment,
            output_tokens=settings.tool_output_token_limit,
            surroundings=_surroundings(self._models.ports, snapshot, self.environment),
            snapshots=self._snapshots if settings.ghost_snapshots else None,
            login=LoginRules(
                allowed=settings.allow_login_shell,
                snapshots=self._shells if settings.shell_snapshot else None,
            ),
            home=snapshot.home,
            rules=self._rules,
            pool=self._pool,
            scripts=script_offer(settings.scripts, self._models.providers, missing=self._unconfined),
            context_window=settings.model_context_window,
        )


def without_keys(environment: Mapping[str, str], providers: Mapping[str, ProviderSettings]) -> dict[str, str]:
    """The environment without the variables that hold providers' keys and our own secrets: tools have no use for them,
    and whoever has the token of clients could answer what a tool has to ask."""
    secret = {
        name
        for provider in providers.values()
        for name in (provider.env_key, *provider.env_http_headers.values())
        if name is not None
    }
    return {name: value for name, value in environment.items() if name not in secret and not is_secret_variable(name)}


_NO_MODELS = ProviderSettings(base_url="")


class _Providers(Mapping[str, ProviderSettings]):
    """All providers by id; the rehearsed one is where its stage serves *now*."""

    def __init__(self, settings: Settings, stage: Stage | None, lists: ModelLists) -> None:
        self._known = known_providers(settings, "", lists.said)
        self._stage = stage

    def __getitem__(self, name: str) -> ProviderSettings:
        found = self._known[name]
        if is_rehearsed(name) and self._stage is not None and not found.base_url:
            return msgspec.structs.replace(found, base_url=self._stage.base_url)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)
