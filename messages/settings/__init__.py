"""What a user may set, and what the settings actor says of it. Nobody else reads files or the environment.

root       the file as a whole: top-level keys; each table below is one of its fields
provider   [model_providers.ID], with the dialect of a server
listen     [listen], the door
auth       [oauth.NAME], and a provider's auth command
environment  [shell_environment_policy]
tools      [tools], what a model is offered
project    [projects."/path"], trust
permission  [permissions.NAME], sandboxes of one's own
features   [features], switches
scripts    [scripts], what a model may compose itself
snapshot   the settings in force with the origin of each value; how to ask for them, wait for a change, write
hooks      [hooks]
sandbox    sandbox_mode and [sandbox_workspace_write]

A new setting is a field with a default and a text below it that says what it does: reference, editor schema and
messages about wrong values are all made from these structs (`actors/settings/reference.py`).
"""

from __future__ import annotations

from messages.settings.auth import AuthCommand as AuthCommand
from messages.settings.auth import OAuthSettings as OAuthSettings
from messages.settings.environment import EnvironmentPolicy as EnvironmentPolicy
from messages.settings.features import Features as Features
from messages.settings.features import FeatureStage as FeatureStage
from messages.settings.hooks import HookCommand as HookCommand
from messages.settings.hooks import HookGroup as HookGroup
from messages.settings.hooks import HooksSettings as HooksSettings
from messages.settings.listen import ListenSettings as ListenSettings
from messages.settings.model import ModelSettings as ModelSettings
from messages.settings.permission import PermissionSettings as PermissionSettings
from messages.settings.project import ProjectSettings as ProjectSettings
from messages.settings.provider import Dialect as Dialect
from messages.settings.provider import ProviderSettings as ProviderSettings
from messages.settings.provider import WireApi as WireApi
from messages.settings.root import NEEDS_RESTART as NEEDS_RESTART
from messages.settings.root import PROJECT_MAY_SET as PROJECT_MAY_SET
from messages.settings.root import PROJECT_MAY_TIGHTEN as PROJECT_MAY_TIGHTEN
from messages.settings.root import Durability as Durability
from messages.settings.root import Settings as Settings
from messages.settings.sandbox import SandboxMode as SandboxMode
from messages.settings.sandbox import WorkspaceWriteSettings as WorkspaceWriteSettings
from messages.settings.scripts import ScriptSettings as ScriptSettings
from messages.settings.scripts import ScriptsSettings as ScriptsSettings
from messages.settings.snapshot import AwaitSettings as AwaitSettings
from messages.settings.snapshot import GetSettings as GetSettings
from messages.settings.snapshot import LayerName as LayerName
from messages.settings.snapshot import LayerView as LayerView
from messages.settings.snapshot import Origin as Origin
from messages.settings.snapshot import Problem as Problem
from messages.settings.snapshot import SettingsEdit as SettingsEdit
from messages.settings.snapshot import SettingsRefused as SettingsRefused
from messages.settings.snapshot import SettingsReply as SettingsReply
from messages.settings.snapshot import SettingsRequest as SettingsRequest
from messages.settings.snapshot import SettingsSnapshot as SettingsSnapshot
from messages.settings.snapshot import SettingsWritten as SettingsWritten
from messages.settings.snapshot import WriteSettings as WriteSettings
from messages.settings.tools import ToolsSettings as ToolsSettings
