"""What a user may set, and what the settings actor says of it. Nobody else reads files or the environment.

root       the file as a whole: top-level keys; each table below is one of its fields
provider   [model_providers.ID], with the dialect of a server
listen     [listen], the door
environment  [shell_environment_policy]
tools      [tools], what a model is offered
snapshot   the settings in force with the origin of each value, and how to ask for them

A new setting is a field with a default and a text below it that says what it does: reference, editor schema and
messages about wrong values are all made from these structs.
"""

from __future__ import annotations

from messages.settings.environment import EnvironmentPolicy as EnvironmentPolicy
from messages.settings.listen import ListenSettings as ListenSettings
from messages.settings.provider import Dialect as Dialect
from messages.settings.provider import ProviderSettings as ProviderSettings
from messages.settings.provider import WireApi as WireApi
from messages.settings.root import Durability as Durability
from messages.settings.root import Settings as Settings
from messages.settings.snapshot import GetSettings as GetSettings
from messages.settings.snapshot import Origin as Origin
from messages.settings.snapshot import SettingsSnapshot as SettingsSnapshot
from messages.settings.tools import ToolsSettings as ToolsSettings
