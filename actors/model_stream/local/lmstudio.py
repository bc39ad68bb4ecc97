"""What LM Studio answers (``/api/v1/models``, ``/api/v1/models/download`` and its status). Pure.

The native API exists from 0.4.0 on; an older one lists names under ``/v1/models`` and downloads with its own command.
"""

from __future__ import annotations

from typing import Any

from actors.model_stream.local.listing import ListedModel, ListingError, count
from actors.model_stream.local.progress import Layer, Progress, PullError

TOO_OLD = (
    "LM Studio at {url} has no native API, so it is older than 0.4.0: update it, or download with `lms get {model}`."
)


def models(value: Any) -> tuple[ListedModel, ...]:
    """The language models on the disk. Raises ListingError."""
    entries = value.get("models") if isinstance(value, dict) else None
    if not isinstance(entries, list):
        raise ListingError("the answer holds no list of models")
    return tuple(
        _model(entry)
        for entry in entries
        if isinstance(entry, dict) and isinstance(entry.get("key"), str) and entry.get("type") != "embedding"
    )


def _model(entry: dict[str, Any]) -> ListedModel:
    abilities = entry.get("capabilities")
    abilities = abilities if isinstance(abilities, dict) else {}
    quantization = entry.get("quantization")
    quantization = quantization.get("name") if isinstance(quantization, dict) else quantization
    instances = entry.get("loaded_instances")
    instances = instances if isinstance(instances, list) else []
    running = next((each.get("config") for each in instances if isinstance(each, dict)), None)
    loaded_with = count(running.get("context_length")) if isinstance(running, dict) else None
    return ListedModel(
        id=entry["key"],
        context_window=loaded_with or count(entry.get("max_context_length")),
        tools=_flag(abilities.get("trained_for_tool_use")),
        images=_flag(abilities.get("vision")),
        reasoning=None if "reasoning" not in abilities else bool(abilities["reasoning"]),
        size_bytes=count(entry.get("size_bytes")),
        detail=" ".join(str(part) for part in (entry.get("params_string"), quantization) if part),
        loaded=bool(instances),
    )


def progress(model: str, value: Any) -> Progress:
    """How far a download is, from its start or its status. Raises PullError."""
    status = value.get("status") if isinstance(value, dict) else None
    match status:
        case "already_downloaded":
            return Progress(status="already there", done=True)
        case "downloading" | "paused" | "completed":
            total = count(value.get("total_size_bytes")) or 0
            completed = total if status == "completed" else min(count(value.get("downloaded_bytes")) or 0, total)
            layer = Layer(digest=model, total=total, completed=completed)
            return Progress(status=status, layers=(layer,), done=status == "completed")
        case _:
            raise PullError(f"LM Studio could not download {model!r}: {_reason(value)}")


def _reason(value: Any) -> str:
    if not isinstance(value, dict):
        return "its answer is no JSON object"
    error = value.get("error")
    if isinstance(error, dict):
        error = error.get("message")
    return str(error or value.get("status") or value)


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None
