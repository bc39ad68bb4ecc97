"""The file as a whole: every top-level key, with its default.

A table of its own has a struct in a file of its own beside this one, and one line here.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from messages.approval import ApprovalPolicy
from messages.settings.auth import OAuthSettings
from messages.settings.environment import EnvironmentPolicy
from messages.settings.features import Features
from messages.settings.hooks import HooksSettings
from messages.settings.listen import ListenSettings
from messages.settings.model import ModelSettings
from messages.settings.permission import PermissionSettings
from messages.settings.project import ProjectSettings
from messages.settings.provider import ProviderSettings
from messages.settings.sandbox import SandboxMode, WorkspaceWriteSettings
from messages.settings.scripts import ScriptsSettings
from messages.settings.tools import ToolsSettings

Durability = Literal["full", "relaxed"]


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything a user may set, with its default."""

    model: str = ""
    """Empty: the provider's rehearsed or default model."""
    model_provider: str = ""
    """Empty: OpenAI or Anthropic if its key is in the environment, else the latest login, else `rehearsal`, the
    embedded scripted model."""
    model_providers: dict[str, ProviderSettings] = {}
    """Where models are reached, by an id of your choice. An entry replaces the built-in one of its id."""
    models: dict[str, ModelSettings] = {}
    """What you know of models, by name, at every provider."""
    approval_policy: ApprovalPolicy = "on-request"
    """Before which tool calls a person is asked. `on-request`: whatever is not known to be harmless; `never`: none;
    `untrusted`: all of them; `{granular = {…}}`: as on-request, kind by kind (docs/approvals.md)."""
    sandbox_mode: SandboxMode | None = None
    """What commands may change: `read-only` nothing, `workspace-write` the workspace and temporary folders,
    `danger-full-access` all. Unset: `workspace-write` in a folder that is trusted, `read-only` in one that is
    untrusted, else `danger-full-access`."""
    sandbox_workspace_write: WorkspaceWriteSettings = WorkspaceWriteSettings()
    default_permissions: str | None = None
    """Instead of `sandbox_mode`, a permission profile: `:read-only`, `:workspace`, `:danger-full-access`, or the name
    of one of `[permissions]` (docs/containment.md)."""
    permissions: dict[str, PermissionSettings] = {}
    """Permission profiles of your own, by name."""
    model_reasoning_effort: str | None = None
    """How hard the model thinks, in the provider's words (low, medium, high …); unset: as the model does by default."""
    model_reasoning_summary: Literal["auto", "concise", "detailed", "none"] | None = None
    """How much of its reasoning a model that keeps it to itself tells."""
    show_reasoning: Literal["none", "readable", "raw"] = "readable"
    """What clients are shown of a model's reasoning: nothing; the summary a provider makes, or else the thoughts
    themselves; or everything that comes. A turn may choose otherwise."""
    show_reasoning_chars: int = 200_000
    """Of one text of reasoning, at most so many characters are shown; the model is sent back all of it."""
    model_verbosity: Literal["low", "medium", "high"] | None = None
    """How much the model says, where the provider lets one choose."""
    model_context_window: int | None = None
    """Tokens that fit into a request; unset: what the catalogue knows of the model."""
    tool_output_token_limit: int = 10_000
    """How much of one tool's output the model is shown, in tokens; of more, the beginning and the end."""
    durability: Durability = "full"
    """`relaxed` leaves barriers to the timer: faster on slow disks, and power loss may take the last second."""
    thread_unload_delay_seconds: float = 60.0
    """How long an idle thread without subscribers stays loaded."""
    undelivered_text_bytes: int = 8192
    """Decoded text per stream that its session has not taken yet; beyond it the upstream read waits."""
    drain_seconds: float = 30.0
    """How long running turns may finish after SIGTERM before they are interrupted."""
    web_search: Literal["disabled", "cached", "live"] = "cached"
    """Whether the model may search the web, where its provider does that for it; `live` also opens pages afresh."""
    listen: ListenSettings = ListenSettings()
    scripts: ScriptsSettings = ScriptsSettings()
    shell_environment_policy: EnvironmentPolicy = EnvironmentPolicy()
    allow_login_shell: bool = True
    """Whether commands run as a login shell, with what the user's profile sets."""
    shell_snapshot: bool = True
    """Read the user's profile once, not for every command; for bash."""
    instructions: str | None = None
    """Replaces our own system prompt in new threads."""
    model_instructions_file: str | None = None
    """The same, from a file; it wins over `instructions`. A relative path counts from the daemon's home."""
    developer_instructions: str | None = None
    """Said to the model at the start of a thread, behind the system prompt."""
    oauth: dict[str, OAuthSettings] = {}
    cli_auth_credentials_store: Literal["auto", "keyring", "file", "ephemeral"] = "auto"
    """Where logins are kept; `auto`: the desktop's keyring where there is one, else a file of the home. After a
    change `callboard login migrate` moves them."""
    chatgpt_base_url: str = "https://chatgpt.com/backend-api/"
    """The backend of a ChatGPT login: limits, account, tasks. With `/backend-api` its paths are `/wham/…`, without it
    `/api/codex/…`; the login is sent there, so https unless it is this machine."""
    hooks: HooksSettings = HooksSettings()
    hooks_bypass_trust: bool = False
    """true runs hooks that nobody has trusted: for machines that are thrown away."""
    notify: tuple[str, ...] = ()
    """A program and its arguments, run at the end of each turn with one more argument: what ended, as JSON."""
    ghost_snapshots: bool = True
    """Keep a git worktree as it was before each turn's first change, for `callboard undo`."""
    project_doc_max_bytes: int = 32 * 1024
    """Of a project's AGENTS.md files together; 0: they are not read."""
    project_doc_fallback_filenames: tuple[str, ...] = ()
    """Looked for in each folder that has no AGENTS.md."""
    project_root_markers: tuple[str, ...] = (".git",)
    """What the topmost folder of a project holds; its settings and AGENTS.md are looked for from there downwards."""
    tools: ToolsSettings = ToolsSettings()
    projects: dict[str, ProjectSettings] = {}
    """What you say of folders, by absolute path."""
    features: Features = Features()
    """Switches."""


PROJECT_MAY_SET: Final = frozenset(
    {
        "model",
        "model_reasoning_effort",
        "model_reasoning_summary",
        "model_verbosity",
    }
)
"""What the file of a trusted project decides for threads that work there. A list of what is allowed, because whoever
can commit to a repository should not become whoever can send your keys elsewhere, start programs or open the door."""

PROJECT_MAY_TIGHTEN: Final[dict[str, tuple[str, ...]]] = {
    "approval_policy": ("never", "on-request", "untrusted"),
    "sandbox_mode": ("danger-full-access", "workspace-write", "read-only"),
    "web_search": ("live", "cached", "disabled"),
}
"""Key -> its values from loose to strict: such a file may make these stricter than they are, never looser."""

NEEDS_RESTART: Final = frozenset(
    {
        "durability",
        "features.debuggable",
        "listen.address",
        "listen.auth",
        "listen.tls_certificate",
        "listen.tls_key",
        "undelivered_text_bytes",
    }
)
"""Dotted keys of what is decided once, when the daemon starts; a change is told, and in force at the next start."""
