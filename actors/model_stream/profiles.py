"""The providers we know: where each is, which wire it speaks, where its key comes from, and its habits. Data.

A provider in the settings gets the habits of a profile: the one it names (`profile`), else the one of its own id, else
the one whose host its base URL has; else it is taken for a plain compatible server. docs/providers.md tells what stands
behind each entry and which of them were tried.

Rejected: asking a server who it is (a gateway answers for many), and habits that depend on the model alone (the same
weights take `reasoning_content` at one host and refuse it at another).
"""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import urlsplit

import msgspec

from actors.model_stream.chat.dialect import layered
from messages.settings import Dialect, ProviderSettings, WireApi


class ModelHabits(msgspec.Struct, frozen=True, kw_only=True):
    """What differs for some models of a provider."""

    models: str
    """A regular expression, searched in the model's name without regard to case."""
    dialect: Dialect


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """One provider."""

    id: str
    name: str
    base_url: str = ""
    """Empty: everybody has their own (Azure, vLLM), so it is a provider only once the settings say where."""
    wire_api: WireApi = "chat"
    env_key: str | None = None
    key_header: str | None = None
    hosts: tuple[str, ...] = ()
    """Host names, with the port where that tells it; one that begins with a dot stands for all below it."""
    dialect: Dialect = Dialect()
    by_model: tuple[ModelHabits, ...] = ()
    """In order; all that match apply, a later one over an earlier one."""
    responses_freeform: bool = False
    """On the Responses wire, where it speaks that, it has tools of the type `custom`."""


_OPENAI_REASONING = r"(?:^|/)(?:o[1-9]|gpt-[5-9]|codex)"

_OPENAI_MODELS = (
    ModelHabits(
        models=_OPENAI_REASONING,
        dialect=Dialect(system_role="developer", later_system_role="developer", stop_sequences=0),
    ),
    ModelHabits(
        models=r"(?:^|/)gpt-[5-9]",
        dialect=Dialect(freeform_tools=True, verbosity=True),
    ),
    ModelHabits(
        models=r"(?:^|/)o1-(?:mini|preview)",
        dialect=Dialect(system_role="user", later_system_role="user", parallel_flag=False),
    ),
    ModelHabits(models=r"(?:^|/)o[1-9]", dialect=Dialect(parallel_flag=False)),
)
"""OpenAI's models, also behind Azure: `stop` and the older token field are 400s on those that reason."""

_OPENAI = Dialect(
    later_system_role="system", max_tokens_field="max_completion_tokens", cache_key=True, call_ids="openai"
)

_MISTRAL = Dialect(
    parallel_flag=True,
    call_ids="nine",
    user_after_tool=False,
    tool_images=True,
    reasoning_echo="thinking",
    effort_field="none",
)

_LOCAL_MODELS = (
    ModelHabits(
        models=r"mistral|ministral|devstral|magistral|codestral",
        dialect=Dialect(call_ids="nine", user_after_tool=False, merge_users=True),
    ),
    ModelHabits(models=r"gemma", dialect=Dialect(merge_users=True)),
    ModelHabits(models=r"kimi-k2|deepseek-v[3-9]", dialect=Dialect(reasoning_echo="field")),
)
"""Models one runs oneself: their chat templates have opinions about whose turn it is."""

PROFILES: tuple[Profile, ...] = (
    Profile(
        id="openai",
        name="OpenAI",
        base_url="https://api.openai.com/v1",
        wire_api="responses",
        env_key="OPENAI_API_KEY",
        hosts=("api.openai.com",),
        dialect=_OPENAI,
        by_model=_OPENAI_MODELS,
        responses_freeform=True,
    ),
    Profile(
        id="azure",
        name="Azure OpenAI",
        env_key="AZURE_OPENAI_API_KEY",
        key_header="api-key",
        hosts=(".openai.azure.com", ".services.ai.azure.com", ".cognitiveservices.azure.com"),
        dialect=_OPENAI,
        by_model=(
            *_OPENAI_MODELS,
            ModelHabits(
                models=r"grok|deepseek|llama|mistral|phi",
                dialect=Dialect(max_tokens_field="max_tokens", cache_key=False),
            ),
        ),
        responses_freeform=True,
    ),
    Profile(
        id="openrouter",
        name="OpenRouter",
        base_url="https://openrouter.ai/api/v1",
        env_key="OPENROUTER_API_KEY",
        hosts=("openrouter.ai",),
        dialect=Dialect(
            later_system_role="system",
            reasoning_echo="details",
            reasoning_echo_on="all",
            effort_field="reasoning",
            verbosity=True,
        ),
        by_model=(ModelHabits(models=r"mistral|devstral", dialect=Dialect(call_ids="nine", user_after_tool=False)),),
    ),
    Profile(
        id="deepseek",
        name="DeepSeek",
        base_url="https://api.deepseek.com",
        env_key="DEEPSEEK_API_KEY",
        hosts=("api.deepseek.com",),
        dialect=Dialect(
            later_system_role="system",
            reasoning_echo="field",
            parallel_flag=False,
            stop_sequences=16,
            json_schema=False,
            effort_field="thinking",
        ),
        by_model=(ModelHabits(models=r"reasoner|v[4-9]", dialect=Dialect(reasoning_required=True)),),
    ),
    Profile(
        id="xai",
        name="xAI",
        base_url="https://api.x.ai/v1",
        env_key="XAI_API_KEY",
        hosts=("api.x.ai",),
        dialect=Dialect(later_system_role="system"),
        by_model=(
            ModelHabits(models=r"grok-4|reasoning", dialect=Dialect(stop_sequences=0)),
            ModelHabits(models=r"grok-4(?:-|$)|non-reasoning", dialect=Dialect(effort_field="none")),
        ),
    ),
    Profile(
        id="groq",
        name="Groq",
        base_url="https://api.groq.com/openai/v1",
        env_key="GROQ_API_KEY",
        hosts=("api.groq.com",),
        dialect=Dialect(later_system_role="system", max_tokens_field="max_completion_tokens"),
        by_model=(
            ModelHabits(models=r"gpt-oss|qwen|deepseek", dialect=Dialect(reasoning_echo="field")),
            ModelHabits(models=r"qwen|deepseek", dialect=Dialect(extra_body={"reasoning_format": "parsed"})),
        ),
    ),
    Profile(
        id="mistral",
        name="Mistral",
        base_url="https://api.mistral.ai/v1",
        env_key="MISTRAL_API_KEY",
        hosts=("api.mistral.ai",),
        dialect=_MISTRAL,
    ),
    Profile(
        id="cerebras",
        name="Cerebras",
        base_url="https://api.cerebras.ai/v1",
        env_key="CEREBRAS_API_KEY",
        hosts=("api.cerebras.ai",),
        dialect=Dialect(later_system_role="system", max_tokens_field="max_completion_tokens"),
        by_model=(ModelHabits(models=r"gpt-oss|glm", dialect=Dialect(reasoning_echo="field")),),
    ),
    Profile(
        id="gemini",
        name="Gemini",
        base_url="https://generativelanguage.googleapis.com/v1beta/openai",
        env_key="GEMINI_API_KEY",
        hosts=("generativelanguage.googleapis.com",),
        dialect=Dialect(parallel_flag=False, stop_sequences=5),
        by_model=(ModelHabits(models=r"gemini-[3-9]", dialect=Dialect(signed_calls=True)),),
    ),
    Profile(
        id="moonshot",
        name="Moonshot",
        base_url="https://api.moonshot.ai/v1",
        env_key="MOONSHOT_API_KEY",
        hosts=("api.moonshot.ai", "api.moonshot.cn", "api.kimi.com"),
        dialect=Dialect(
            later_system_role="system",
            parallel_flag=False,
            stop_sequences=5,
            cache_key=True,
            reasoning_echo="field",
            effort_field="thinking",
        ),
        by_model=(
            ModelHabits(
                models=r"thinking|k2\.[5-9]|k[3-9]|kimi-for-coding",
                dialect=Dialect(reasoning_required=True, reasoning_echo_on="all"),
            ),
        ),
    ),
    Profile(
        id="qwen",
        name="Qwen (Alibaba)",
        base_url="https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
        env_key="DASHSCOPE_API_KEY",
        hosts=("dashscope-intl.aliyuncs.com", "dashscope.aliyuncs.com", "dashscope-us.aliyuncs.com"),
        dialect=Dialect(effort_field="enable_thinking", json_schema=False),
    ),
    Profile(
        id="vllm",
        name="vLLM",
        hosts=("localhost:8000", "127.0.0.1:8000"),
        dialect=Dialect(cache_key=False),
        by_model=_LOCAL_MODELS,
    ),
    Profile(
        id="llamacpp",
        name="llama.cpp",
        base_url="http://127.0.0.1:8080/v1",
        hosts=("localhost:8080", "127.0.0.1:8080"),
        dialect=Dialect(cache_key=False, effort_field="none"),
        by_model=_LOCAL_MODELS,
    ),
    Profile(
        id="ollama",
        name="Ollama",
        base_url="http://127.0.0.1:11434/v1",
        hosts=("localhost:11434", "127.0.0.1:11434", "ollama.com"),
        dialect=Dialect(parallel_flag=False),
        by_model=_LOCAL_MODELS,
    ),
    Profile(
        id="lmstudio",
        name="LM Studio",
        base_url="http://127.0.0.1:1234/v1",
        hosts=("localhost:1234", "127.0.0.1:1234"),
        dialect=Dialect(parallel_flag=False),
        by_model=_LOCAL_MODELS,
    ),
)
"""In the order in which they are told. Beside them, any base URL is a plain compatible server."""

COMPATIBLE = Profile(id="compatible", name="a compatible server", by_model=_LOCAL_MODELS, responses_freeform=True)
"""Whoever is none of these. Behind an unknown Responses URL there is most often a gateway to OpenAI."""

REHEARSAL = Profile(
    id="rehearsal",
    name="the rehearsed model",
    dialect=Dialect(later_system_role="system", reasoning_echo="field"),
    responses_freeform=True,
)
"""Our own server, when it speaks this wire."""

_BY_ID = {profile.id: profile for profile in (*PROFILES, COMPATIBLE, REHEARSAL)}


def find(profile_id: str) -> Profile | None:
    """The profile of that name."""
    return _BY_ID.get(profile_id)


def profile_of(provider_id: str, provider: ProviderSettings) -> Profile:
    """Whose habits a provider has."""
    if provider.profile is not None:
        return _BY_ID.get(provider.profile, COMPATIBLE)
    return _BY_ID.get(provider_id) or _by_host(provider.base_url) or COMPATIBLE


def dialect_of(provider_id: str, provider: ProviderSettings, model: str) -> Dialect:
    """What the server takes for this model; no field is None."""
    profile = profile_of(provider_id, provider)
    fitting = (habits.dialect for habits in profile.by_model if re.search(habits.models, model, re.IGNORECASE))
    return layered(profile.dialect, *fitting, provider.dialect or Dialect())


def takes_freeform(provider_id: str, provider: ProviderSettings) -> bool:
    """Whether a server of the Responses wire has freeform tools; elsewhere they are functions of one string."""
    said = None if provider.dialect is None else provider.dialect.freeform_tools
    return profile_of(provider_id, provider).responses_freeform if said is None else said


def speaks_websocket(provider: ProviderSettings) -> bool:
    """Whether the Responses wire may be spoken over a line there."""
    if provider.wire_api != "responses":
        return False
    if provider.supports_websockets is not None:
        return provider.supports_websockets
    profile = _by_host(provider.base_url)
    return profile is not None and profile.id == "openai"


@lru_cache(maxsize=64)
def _by_host(base_url: str) -> Profile | None:
    try:
        parts = urlsplit(base_url)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        return None
    names = (host, f"{host}:{port}")
    for profile in PROFILES:
        for known in profile.hosts:
            if known in names or (known.startswith(".") and host.endswith(known)):
                return profile
    return None


def settings_of(profile: Profile) -> ProviderSettings:
    """A built-in provider as settings would give it."""
    return ProviderSettings(
        name=profile.name,
        base_url=profile.base_url,
        wire_api=profile.wire_api,
        env_key=profile.env_key,
        key_header=profile.key_header,
        profile=profile.id,
    )
