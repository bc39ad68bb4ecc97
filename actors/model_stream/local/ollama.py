"""What Ollama answers (``/api/version``, ``/api/tags``, ``/api/show``, ``/api/pull``). Pure.

A pull answers HTTP 200 whatever happens, and then lines of JSON: statuses, layers with ``digest``, ``total`` and
``completed`` in any order, and at last ``success`` or an ``error``.
"""

from __future__ import annotations

from typing import Any

import msgspec

from actors.model_stream.local.listing import ListedModel, ListingError, count
from actors.model_stream.local.progress import Layer, Progress, PullError
from messages.settings import WireApi

OLDEST: dict[WireApi, tuple[int, int, int]] = {"chat": (0, 8, 0), "responses": (0, 13, 4), "messages": (0, 14, 0)}
"""From which version each wire can be used by an agent: with tools while streaming."""

_UNNUMBERED = (0, 0, 0)
"""What builds from source call themselves."""


def version(value: Any) -> tuple[int, int, int]:
    """``{"version": "0.13.4-rc1"}`` as numbers. Raises ListingError."""
    text = value.get("version") if isinstance(value, dict) else None
    if not isinstance(text, str):
        raise ListingError("the answer holds no version")
    numbers: list[int] = []
    for part in text.removeprefix("v").partition("-")[0].split(".")[:3]:
        if not part.isdecimal():
            break
        numbers.append(int(part))
    major, minor, patch = (*numbers, 0, 0, 0)[:3]
    return major, minor, patch


def advice(found: tuple[int, int, int], wire: WireApi) -> str | None:
    """What to do about a version that is too old for a wire; None if it is not."""
    oldest = OLDEST[wire]
    if found == _UNNUMBERED or found >= oldest:
        return None
    other = next((name for name in ("responses", "messages", "chat") if found >= OLDEST[name]), None)
    use = f', or set wire_api = "{other}"' if other else ""
    return (
        f"Ollama {_dotted(found)} is too old for the wire {wire!r}, which needs {_dotted(oldest)}: update Ollama{use}."
    )


def models(tags: Any, shown: dict[str, Any]) -> tuple[ListedModel, ...]:
    """The models on the disk. ``shown`` holds the answers of ``/api/show`` by name. Raises ListingError."""
    entries = tags.get("models") if isinstance(tags, dict) else None
    if not isinstance(entries, list):
        raise ListingError("the answer holds no list of models")
    found = []
    for entry in entries:
        name = entry.get("name") or entry.get("model") if isinstance(entry, dict) else None
        if isinstance(name, str):
            found.append(_model(name, entry, shown.get(name)))
    return tuple(found)


def _model(name: str, entry: dict[str, Any], shown: Any) -> ListedModel:
    details = entry.get("details")
    details = details if isinstance(details, dict) else {}
    shown = shown if isinstance(shown, dict) else {}
    abilities = shown.get("capabilities") or entry.get("capabilities")
    known = abilities if isinstance(abilities, list) else None
    return ListedModel(
        id=name,
        context_window=_context(shown.get("model_info")) or count(details.get("context_length")),
        tools=None if known is None else "tools" in known,
        images=None if known is None else "vision" in known,
        reasoning=None if known is None else "thinking" in known,
        size_bytes=count(entry.get("size")),
        detail=" ".join(str(details[key]) for key in ("parameter_size", "quantization_level") if details.get(key)),
    )


def _context(info: Any) -> int | None:
    """``{"qwen3.context_length": 40960}``: the key begins with the architecture."""
    if not isinstance(info, dict):
        return None
    return next((count(value) for key, value in info.items() if key.endswith(".context_length")), None)


class Pull:
    """One download, line by line."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._layers: dict[str, Layer] = {}
        self.progress = Progress(status="starting")

    def take(self, line: bytes) -> Progress:
        """How far it has come with this line. Raises PullError."""
        if not line.strip():
            return self.progress
        try:
            value = msgspec.json.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            said = line[:200].decode("utf-8", "replace")
            raise PullError(f"Ollama answered something that is no JSON: {said}") from error
        if not isinstance(value, dict):
            return self.progress
        if value.get("error"):
            raise PullError(f"Ollama could not pull {self._model!r}: {value['error']}")
        digest, total = value.get("digest"), count(value.get("total"))
        if isinstance(digest, str) and total is not None:
            completed = min(count(value.get("completed")) or 0, total)
            before = self._layers.get(digest)
            completed = max(completed, before.completed if before else 0)  # a retried chunk reports less
            self._layers[digest] = Layer(digest=digest, total=total, completed=completed)
        status = str(value.get("status") or self.progress.status)
        done = status == "success"
        if done:
            self._layers = {
                key: msgspec.structs.replace(layer, completed=layer.total) for key, layer in self._layers.items()
            }
        self.progress = Progress(status=status, layers=tuple(self._layers.values()), done=done)
        return self.progress

    def end(self) -> None:
        """The answer ended. Raises PullError if the download had not."""
        if not self.progress.done:
            raise PullError(
                f"Ollama broke off while pulling {self._model!r} ({self.progress.status}); "
                "run the command again, it goes on where it stopped."
            )


def _dotted(found: tuple[int, int, int]) -> str:
    return ".".join(map(str, found))
