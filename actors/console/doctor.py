"""``callboard doctor``: what works on this machine, what does not, and what to do about it.

Each check is a function that looks and says; none changes anything. The shape of the JSON is the one that tools of the
original read (reference/core CORE §9).
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec
import trio
from rich.console import Group
from rich.table import Table
from rich.text import Text

from actors.console import home as homes
from actors.console.client import NotReachableError, WireError, connect
from actors.console.screen import Screen
from actors.credentials import register
from actors.model_stream.providers import REHEARSAL, Choice, ChoiceError, choose, known_providers
from actors.ports.processes import LauncherLostError, SpawnError
from actors.ports.production import SystemFiles
from actors.ports.production.processes import confinement_report
from actors.ports.production.scripts import try_confinement
from actors.ports.scripts import Confinement, EngineUnavailableError
from actors.settings.layers import CONFIG_FILE, SettingsError, environment_layers, file_layer, merge
from actors.tool_worker.launcher import containment_report
from actors.tool_worker.rules.folders import RuleFolders, trusted_folders
from messages.credentials import Login
from messages.settings import ProviderSettings, Settings, SettingsSnapshot
from messages.version import VERSION

Status = Literal["ok", "warning", "fail"]

OK, FAILED = 0, 1

LOW_DISK_BYTES = 1024**3
NO_DISK_BYTES = 64 * 1024**2
"""Below it a day's rollouts may not fit; a full disk ends turns."""

TOOL_SECONDS = 5.0

WIDE = 10_000
"""Columns, where the output is no terminal: nothing is broken into lines for a program that reads it."""

MARKS: dict[Status, tuple[str, str]] = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "fail": ("✗", "bold red")}


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What a check came to."""

    status: Status
    summary: str
    details: dict[str, str] = {}
    remediation: str | None = None


class Check(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A finding with its name."""

    id: str
    category: str
    status: Status
    summary: str
    details: dict[str, str]
    remediation: str | None
    duration_ms: int


class Report(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """All of them."""

    schema_version: int
    generated_at: str
    overall_status: Status
    callboard_version: str
    checks: dict[str, Check]


def run(*, as_json: bool) -> int:
    """Look at everything and say so; the exit code: 1 if something that is needed fails."""
    report = examine(homes.home(), os.environ)
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(report), indent=2).decode())
    else:
        _print(report)
    return FAILED if report.overall_status == "fail" else OK


def examine(home: Path, environment: Mapping[str, str]) -> Report:
    """All checks, one after the other."""
    looks: list[tuple[str, Callable[[], Finding]]] = [
        ("installation", lambda: _installation()),
        ("home.folder", lambda: _folder(home)),
        ("config.load", lambda: _config(home, environment)),
        ("config.rules", lambda: rules_finding(home, environment)),
        ("auth.credentials", lambda: _credentials(home, environment)),
        ("daemon.status", lambda: _daemon(home)),
        ("containment", _containment),
        ("sandbox", _confinement),
        ("scripts", _scripts),
        ("runtime.search", lambda: _program("rg", _ripgrep(), "reinstall callboard's requirements: make clean test")),
        ("git.environment", lambda: _program("git", shutil.which("git"), "install git", needed=False)),
        ("system.disk", lambda: _disk(home)),
    ]
    checks = {}
    for id_, look in looks:
        began = time.perf_counter()
        found = look()
        checks[id_] = Check(
            id=id_,
            category=id_.partition(".")[0],
            status=found.status,
            summary=found.summary,
            details=found.details,
            remediation=found.remediation,
            duration_ms=round((time.perf_counter() - began) * 1000),
        )
    statuses = {check.status for check in checks.values()}
    return Report(
        schema_version=1,
        generated_at=datetime.now(UTC).isoformat(timespec="seconds"),
        overall_status="fail" if "fail" in statuses else "warning" if "warning" in statuses else "ok",
        callboard_version=VERSION,
        checks=checks,
    )


def _installation() -> Finding:
    python = ".".join(map(str, sys.version_info[:3]))
    details = {"version": VERSION, "python": python, "executable": sys.executable}
    return Finding(status="ok", summary=f"callboard {VERSION} on Python {python}", details=details)


def _folder(home: Path) -> Finding:
    details = {"path": str(home)}
    if not home.exists():
        return Finding(status="ok", summary=f"{home} does not exist yet; the first start makes it", details=details)
    if not home.is_dir() or not os.access(home, os.R_OK | os.W_OK | os.X_OK):
        fix = "make it a folder that you may write, or set CALLBOARD_HOME to one"
        return Finding(status="fail", summary=f"{home} cannot be written", details=details, remediation=fix)
    token = home / homes.TOKEN_FILE
    if token.exists() and stat.S_IMODE(token.stat().st_mode) & 0o077:
        fix = f"remove {token}: another is made at the next start; or, if nobody can have read it: chmod 600 {token}"
        return Finding(
            status="fail",
            summary="others can read the capability token, so the daemon does not start",
            details=details,
            remediation=fix,
        )
    return Finding(status="ok", summary=f"{home} is there and can be written", details=details)


def _snapshot(home: Path, environment: Mapping[str, str]) -> SettingsSnapshot:
    path = home / CONFIG_FILE
    layers = [file_layer(str(path), path.read_bytes())] if path.exists() else []
    return merge(str(home), (*layers, *environment_layers(environment)))


def _config(home: Path, environment: Mapping[str, str]) -> Finding:
    path = home / CONFIG_FILE
    details = {"file": str(path) if path.exists() else "none; the defaults are in force"}
    try:
        snapshot = _snapshot(home, environment)
    except (SettingsError, OSError) as error:
        return Finding(
            status="fail", summary=str(error), details=details, remediation="correct the value, or remove it"
        )
    if snapshot.warnings:
        return Finding(
            status="warning",
            summary=str(snapshot.warnings[0]),
            details={**details, **{f"warning {n}": str(each) for n, each in enumerate(snapshot.warnings[1:], start=2)}},
            remediation="correct the name, or remove it",
        )
    return Finding(status="ok", summary="the settings are valid", details=details)


def rules_finding(home: Path, environment: Mapping[str, str]) -> Finding:
    """Whether the rules in force in the current folder can be read: one that cannot makes every command a question."""
    try:
        projects = _snapshot(home, environment).settings.projects
    except (OSError, SettingsError):
        return Finding(status="warning", summary="not looked at: the settings cannot be read")
    found = RuleFolders(SystemFiles(), str(home)).read(trusted_folders(projects, os.getcwd()))
    details = _numbered(error=found.errors, warning=found.warnings)
    if found.errors:
        return Finding(
            status="fail",
            summary=f"the rules cannot be read: {found.errors[0]}",
            details=details,
            remediation="mend the file; until then every command is asked about, or refused where nobody may be asked",
        )
    if found.warnings:
        return Finding(status="warning", summary=found.warnings[0], details=details)
    return Finding(status="ok", summary=f"{len(found.rules)} rules are in force here")


def _credentials(home: Path, environment: Mapping[str, str]) -> Finding:
    try:
        settings = _snapshot(home, environment).settings
        logins = homes.logins(home)
        choice = choose(settings, environment, logins)
    except (SettingsError, OSError):
        return Finding(status="warning", summary="not looked at: the settings cannot be read")
    except ChoiceError as error:
        return Finding(status="fail", summary=str(error), remediation="name a provider and a model in config.toml")
    return credentials_finding(settings, choice, environment, logins)


def credentials_finding(
    settings: Settings, choice: Choice, environment: Mapping[str, str], logins: Sequence[Login]
) -> Finding:
    """Which provider new threads use, why, and whether there is what it asks for. No store is opened for that."""
    details = {"provider": choice.provider, "model": choice.model, "because": choice.why}
    details |= {f"login {login.provider}": f"in {register.NAMES[login.store]}" for login in logins}
    store = settings.cli_auth_credentials_store
    lost = () if store == "auto" else register.elsewhere(logins, store)
    migrate = "callboard login migrate"
    if choice.provider == REHEARSAL:
        return Finding(
            status="warning",
            summary="no provider is set: the rehearsed model answers, from a script",
            details=details,
            remediation="callboard login, or set OPENAI_API_KEY, or a provider in config.toml",
        )
    provider = known_providers(settings, "")[choice.provider]
    if any(login.provider == choice.provider for login in lost) and not _has_other_key(provider, environment):
        return Finding(
            status="fail",
            summary=f'the login for {choice.provider} is not in the store that is set ("{store}")',
            details=details,
            remediation=migrate,
        )
    found = _source(choice.provider, provider, environment, logins)
    if found is None:
        ways = [f"callboard login --provider {choice.provider}" + (" --with-api-key" if provider.env_key else "")]
        ways += [f"export {provider.env_key}=… before you start the daemon"] if provider.env_key else []
        lacks = f"a key, and {provider.env_key} is not set" if provider.env_key else "a login, and there is none"
        return Finding(
            status="fail",
            summary=f"{choice.provider} needs {lacks}",
            details=details,
            remediation=", or ".join(ways),
        )
    if lost:
        return Finding(
            status="warning",
            summary=f'{found}; not in the store that is set ("{store}"): {", ".join(each.provider for each in lost)}',
            details=details,
            remediation=migrate,
        )
    return Finding(status="ok", summary=found, details=details)


def _has_other_key(provider: ProviderSettings, environment: Mapping[str, str]) -> bool:
    key = provider.env_key is not None and environment.get(provider.env_key, "").strip()
    return bool(key or provider.experimental_bearer_token or provider.auth)


def _source(
    id_: str, provider: ProviderSettings, environment: Mapping[str, str], logins: Sequence[Login]
) -> str | None:
    """Where what it asks for comes from; None if it is missing."""
    if provider.env_key is not None and environment.get(provider.env_key, "").strip():
        return f"{provider.env_key} is set for {id_}"
    if provider.experimental_bearer_token:
        return f"the settings hold a token for {id_}"
    if provider.auth is not None:
        return f"{provider.auth.command} is asked for the token of {id_}"
    kept = [login for login in logins if login.provider == id_]
    if kept:
        return f"a key for {id_} is kept" if kept[0].kind == "api_key" else f"there is a login for {id_}"
    return None if provider.env_key or provider.oauth else f"{id_} needs no key"


def _daemon(home: Path) -> Finding:
    found = homes.running(home)
    if found is None:
        return Finding(status="ok", summary="none runs; callboard serve starts one")
    details = {"address": found.address, "pid": str(found.pid), "version": found.version}

    answers = trio.run(_answers, found, homes.token(home))
    if not answers:
        return Finding(
            status="fail",
            summary=f"a daemon (pid {found.pid}) says that it listens on {found.address}, and does not answer",
            details=details,
            remediation=f"look at what it printed; end it with: kill {found.pid}",
        )
    if found.version != VERSION:
        return Finding(
            status="warning",
            summary=f"the daemon that runs is version {found.version}, this is {VERSION}",
            details=details,
            remediation="start it again",
        )
    return Finding(status="ok", summary=f"a daemon listens on {found.address} and answers", details=details)


async def _answers(found: homes.Running, token: str | None) -> bool:
    answered = False
    try:
        async with connect(found.address, token=token, name="callboard-doctor") as client:
            await client.request("callboard/status")
            answered = True
    except* (NotReachableError, WireError):
        pass
    return answered


def _containment() -> Finding:
    try:
        report = containment_report()
    except (OSError, RuntimeError, LauncherLostError) as error:
        return Finding(status="fail", summary=f"commands cannot be started: {error}")
    return Finding(
        status="warning" if report.mechanism == "subreaper" else "ok",
        summary=f"{report.mechanism}: {report.meaning}",
        details=_numbered(gap=report.gaps, refused=report.refused),
        remediation="allow user namespaces" if report.mechanism == "subreaper" else None,
    )


def _confinement() -> Finding:
    try:
        report = confinement_report()
    except (OSError, RuntimeError, SpawnError) as error:
        return Finding(status="fail", summary=f"commands cannot be started: {error}")
    details = _numbered(gap=report.gaps, refused=report.refused)
    if report.landlock:
        details["landlock"] = f"version {report.landlock}"
    unprotected = report.mechanism == "landlock" and not report.own_mounts
    return Finding(
        status="ok" if report.mechanism != "none" and not unprotected else "warning",
        summary=f"{report.mechanism}: {report.meaning}",
        details=details,
        remediation=None
        if report.mechanism == "bubblewrap"
        else "install bubblewrap, and allow user namespaces"
        if unprotected or report.mechanism == "none"
        else "bubblewrap would close some of the gaps",
    )


def _scripts() -> Finding:
    """A worker is made and asked what holds: a kernel may know a layer and still refuse it."""
    try:
        confinement = trio.run(try_confinement)
    except EngineUnavailableError as error:
        return Finding(status="warning", summary=f"scripts cannot run: {error}", remediation="reinstall callboard")
    return scripts_finding(confinement)


def scripts_finding(confinement: Confinement) -> Finding:
    """What is said of the layers around a script."""
    held = ", ".join(
        f"{name} {level}" if level > 1 else name for name, level in confinement.layers.items() if level > 0
    )
    details = {name: os.strerror(-level) for name, level in confinement.layers.items() if level < 0}
    if not confinement.missing:
        return Finding(status="ok", summary=f"scripts are fully confined: {held}", details=details)
    return Finding(
        status="warning",
        summary=f"scripts are off: this kernel does not confine them (no {', '.join(confinement.missing)})",
        details={"held": held or "nothing", **details},
        remediation=(
            "use a kernel (and a container) that allows Landlock (Linux 5.13) and seccomp filters; or set "
            "`without_confinement = true` in [scripts], which leaves a process of their own and a clock around them "
            "(docs/scripts.md)"
        ),
    )


def _numbered(**kinds: tuple[str, ...]) -> dict[str, str]:
    return {f"{kind} {number}": text for kind, texts in kinds.items() for number, text in enumerate(texts, start=1)}


def _ripgrep() -> str | None:
    ours = Path(sys.executable).parent / "rg"
    return str(ours) if ours.exists() else None


def _program(name: str, path: str | None, remediation: str, *, needed: bool = True) -> Finding:
    missing: Status = "fail" if needed else "warning"
    if path is None:
        return Finding(status=missing, summary=f"there is no {name}", remediation=remediation)
    try:
        done = subprocess.run([path, "--version"], capture_output=True, timeout=TOOL_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        return Finding(status=missing, summary=f"{path} does not run: {error}", remediation=remediation)
    version = done.stdout.decode(errors="replace").partition("\n")[0].strip()
    return Finding(status="ok", summary=version, details={"path": path})


def _disk(home: Path) -> Finding:
    folder = next(folder for folder in (home, *home.parents) if folder.exists())
    free = shutil.disk_usage(folder).free
    status: Status = "fail" if free < NO_DISK_BYTES else "warning" if free < LOW_DISK_BYTES else "ok"
    return Finding(
        status=status,
        summary=f"{free / 1024**3:.1f} GiB are free below {folder}",
        remediation=None if status == "ok" else "make room: threads are written there",
    )


def _print(report: Report) -> None:
    terminal = Screen()
    console = terminal if terminal.is_terminal else Screen(width=WIDE)
    rows = Table.grid(padding=(0, 1))
    for check in report.checks.values():
        mark, style = MARKS[check.status]
        words = [Text(check.summary)]
        if check.id in ("containment", "sandbox", "scripts") or check.status != "ok":
            words += [Text(f"{name}: {text}", style="dim") for name, text in check.details.items()]
        if check.remediation:
            words.append(Text(f"→ {check.remediation}", style="cyan"))
        rows.add_row(Text(mark, style=style), Text(check.id, style="bold"), Group(*words))
    with console.capture() as drawn:
        console.print(rows)
    # Rows are filled up with blanks, which a program that reads this has no use for.
    terminal.file.write("".join(f"{line.rstrip()}\n" for line in drawn.get().splitlines()))
