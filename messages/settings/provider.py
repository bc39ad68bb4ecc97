"""Where models are reached: `[model_providers.ID]`."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from messages.settings.auth import AuthCommand
from messages.settings.model import ModelSettings
from messages.settings.scripts import ScriptSettings

WireApi = Literal["responses", "chat", "messages"]


class Dialect(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a server of the Chat Completions wire takes, where they differ. None: as its profile says.

    See `actors.model_stream.chat.dialect`, and docs/providers.md for what each profile says.
    """

    system_role: Literal["system", "developer", "user"] | None = None
    """In which role instructions are given."""
    later_system_role: Literal["system", "developer", "user"] | None = None
    """In which role those are given that come after the first message."""
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] | None = None
    """How the limit of an answer is called."""
    reasoning_echo: Literal["none", "field", "details", "thinking"] | None = None
    """How a model's own reasoning goes back: not at all, as text in the field it came in, as OpenRouter's
    `reasoning_details`, or as Mistral's `thinking` parts."""
    reasoning_echo_on: Literal["calls", "all"] | None = None
    """On which of the model's messages."""
    reasoning_required: bool | None = None
    """A message with calls but without reasoning is refused: one made elsewhere gets a blank for it."""
    effort_field: Literal["reasoning_effort", "reasoning", "enable_thinking", "thinking", "none"] | None = None
    """Where the reasoning effort goes; `none`: it is left out."""
    freeform_tools: bool | None = None
    """Tools of the type `custom` exist; elsewhere they are functions of one string."""
    parallel_flag: bool | None = None
    """`parallel_tool_calls` is taken."""
    stop_sequences: int | None = None
    """How many are taken; 0: none, and a request that has some is refused before it is sent."""
    stream_usage: bool | None = None
    """`stream_options.include_usage` is taken."""
    cache_key: bool | None = None
    """`prompt_cache_key` is taken."""
    json_schema: bool | None = None
    """`response_format` may hold a JSON schema; else the model is only told to write JSON."""
    verbosity: bool | None = None
    """`verbosity` is taken."""
    tool_images: bool | None = None
    """Images may stand in a tool's message; elsewhere they follow as the user's."""
    user_after_tool: bool | None = None
    """A user's message may follow a tool's; elsewhere a word of the model's is put between them."""
    merge_users: bool | None = None
    """Messages of the user that follow each other become one: for chat templates that insist on taking turns."""
    call_ids: Literal["any", "openai", "nine"] | None = None
    """Which ids of calls are accepted: nearly any, at most 40 letters, exactly nine letters and digits."""
    signed_calls: bool | None = None
    """Gemini 3: a call without a signature is refused; one made elsewhere gets the documented placeholder."""
    extra_body: dict[str, Any] | None = None
    """Fields that are added to every request as they are."""


class ProviderSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a model is reached: data, where a wire is code."""

    name: str = ""
    """For people."""
    base_url: str
    """Up to and without the last part: `https://api.openai.com/v1`."""
    wire_api: WireApi = "responses"
    """Which of the three model APIs is spoken there."""
    profile: str | None = None
    """The built-in provider whose habits this one has; None: the one of the same id, or else of the same host."""
    dialect: Dialect | None = None
    """Where this one differs from its profile."""
    env_key: str | None = None
    """Environment variable that holds the key; None: no key is sent."""
    experimental_bearer_token: str | None = None
    """A bearer token, written down here; better in the environment."""
    auth: AuthCommand | None = None
    """A program that prints the bearer token."""
    oauth: str | None = None
    """The login this provider needs: a name of `[oauth.NAME]`."""
    key_header: str | None = None
    """The header that carries the bare key (`x-api-key`, `api-key`); None: `authorization`, as a bearer token."""
    api_version: str | None = None
    """`anthropic-version` of the Messages wire; None: the one the model needs."""
    http_headers: dict[str, str] = {}
    """Sent with every request, as they are."""
    env_http_headers: dict[str, str] = {}
    """Header name -> environment variable; left out while the variable is unset or empty."""
    query_params: dict[str, str] = {}
    """Added to the URL of every request."""
    models: dict[str, ModelSettings] = {}
    """What you know of its models, by name."""
    web_search: bool | None = None
    """Whether it searches the web for its models, as OpenAI and Anthropic do; None: as its profile says."""
    supports_websockets: bool | None = None
    """Whether the Responses API is spoken over WebSocket there, with a connection kept per session; None: at OpenAI's
    own address only. Where the handshake is refused, requests go the ordinary way."""
    scripts: ScriptSettings | None = None
    """What is different for scripts of this provider's models."""
    request_max_retries: int = 5
    """After the first attempt: 6 attempts in all."""
    stream_idle_timeout_ms: int = 300_000
    """How long a stream may say nothing before the attempt counts as failed."""
