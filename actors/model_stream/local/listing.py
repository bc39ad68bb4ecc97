"""A provider's list of models, read for what it tells beyond names.

``GET {base_url}/models`` is OpenAI's; nearly all answer it, and many add what OpenAI leaves out, each in its own words:
OpenRouter ``context_length``, ``supported_parameters`` and ``architecture``, vLLM ``max_model_len``, Groq
``context_window``, Mistral ``max_context_length`` and ``capabilities``, Anthropic ``max_input_tokens``.
"""

from __future__ import annotations

from typing import Any

import msgspec

CONTEXT_FIELDS = (
    "context_window",
    "context_length",
    "max_context_length",
    "max_model_len",
    "max_input_tokens",
    "inputTokenLimit",
)
"""Where servers say how much a model takes."""


class ListedModel(msgspec.Struct, frozen=True, kw_only=True):
    """One model as its server describes it. None: it does not say."""

    id: str
    context_window: int | None = None
    tools: bool | None = None
    images: bool | None = None
    reasoning: bool | None = None
    size_bytes: int | None = None
    detail: str = ""
    """Parameters and quantization, for local models."""
    loaded: bool | None = None
    """Whether it is in memory."""


class ListingError(Exception):
    """What came is no list of models; the text says what it is."""


def openai_models(value: Any) -> tuple[ListedModel, ...]:
    """The models in an answer to ``GET /models``. Raises ListingError."""
    entries = value.get("data") if isinstance(value, dict) else value
    if not isinstance(entries, list):
        raise ListingError("the answer holds no list of models")
    return tuple(_model(entry) for entry in entries if isinstance(entry, dict) and isinstance(entry.get("id"), str))


def count(value: Any) -> int | None:
    """A number of tokens or bytes, if it is one."""
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) and value > 0 else None


def _model(entry: dict[str, Any]) -> ListedModel:
    capabilities = entry.get("capabilities")
    parameters = entry.get("supported_parameters")
    architecture = entry.get("architecture")
    modalities = architecture.get("input_modalities") if isinstance(architecture, dict) else None
    said = capabilities if isinstance(capabilities, dict) else {}
    return ListedModel(
        id=str(entry["id"]).removeprefix("models/"),
        context_window=next((n for name in CONTEXT_FIELDS if (n := count(entry.get(name))) is not None), None),
        tools=_one_of(said.get("function_calling"), "tools" in parameters if isinstance(parameters, list) else None),
        images=_one_of(said.get("vision"), "image" in modalities if isinstance(modalities, list) else None),
        reasoning=_one_of(said.get("reasoning"), "reasoning" in parameters if isinstance(parameters, list) else None),
    )


def _one_of(*values: object) -> bool | None:
    return next((value for value in values if isinstance(value, bool)), None)
