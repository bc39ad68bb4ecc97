"""Saying a derived response on a model's exchange, piece by piece, no earlier than the clients had come to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from tests.conformance.deriving import Part, Piece, Response
from tests.system.model import Exchange, HangUp

Gate = Callable[[int], None]
"""Waits until the clients have sent so many frames."""


def speak(exchange: Exchange, response: Response, gate: Gate) -> None:
    """All of it, and its ending."""
    if response.status is not None:
        exchange.status(response.status, msgspec.json.encode(response.body))
        return
    calls = False
    for index, part in enumerate(response.parts):
        if not calls:
            gate(part.after)
        # The recorded server ran calls while the model still spoke, so that what clients said to them came before the
        # response's end. This one runs them afterwards: behind a call there is nothing to wait for.
        calls = calls or part.kind in ("call", "patch")
        unfinished = not part.whole and response.ending != "complete"
        match part.kind:
            case "message":
                _message(exchange, index, part, gate, finish=not unfinished)
            case "reasoning":
                _reasoning(exchange, index, part, gate, finish=not unfinished)
            case "call":
                exchange.call(part.name, part.arguments, part.id or f"call_{exchange.serial}_{index}")
            case "patch":
                exchange.patch(part.text, part.id)
            case "search":
                _search(exchange, index, part)
    if not calls:
        gate(response.after)
    if response.failed is not None:
        exchange.event("response.failed", response=_response(exchange, "failed", response.failed))
        exchange.end()
        return
    match response.ending:
        case "complete" if response.tokens is not None:
            exchange.complete(input_tokens=response.tokens[0], output_tokens=response.tokens[1])
        case "complete":
            exchange.complete()
        case "hang":
            exchange.hang()
        case "cut":
            exchange.raw(b": the connection breaks here\n\n")
            raise HangUp
        case "stop":
            exchange.end()


def _search(exchange: Exchange, index: int, part: Part) -> None:
    """One that the provider makes for its model."""
    action = {"type": "search", "query": part.text}
    item: dict[str, Any] = {"id": part.id, "type": "web_search_call", "status": "in_progress", "action": action}
    exchange.event("response.output_item.added", output_index=index, item=item)
    done = {**item, "status": "completed"}
    exchange.event("response.output_item.done", output_index=index, item=done)


def _message(exchange: Exchange, index: int, part: Part, gate: Gate, *, finish: bool) -> None:
    item: dict[str, Any] = {"id": part.id, "type": "message", "role": "assistant", "status": "in_progress"}
    if part.phase is not None:
        item["phase"] = part.phase
    at = {"output_index": index, "item_id": part.id, "content_index": 0}
    exchange.event("response.output_item.added", output_index=index, item={**item, "content": []})
    exchange.event("response.content_part.added", **at, part=_text_part(""))
    text = _pieces(exchange, part.pieces, gate, "response.output_text.delta", at)
    if finish:
        exchange.event("response.output_text.done", **at, text=text)
        exchange.event("response.content_part.done", **at, part=_text_part(text))
        done = {**item, "status": "completed", "content": [_text_part(text)]}
        exchange.event("response.output_item.done", output_index=index, item=done)


def _reasoning(exchange: Exchange, index: int, part: Part, gate: Gate, *, finish: bool) -> None:
    item: dict[str, Any] = {"id": part.id, "type": "reasoning", "summary": []}
    at: dict[str, Any] = {"output_index": index, "item_id": part.id}
    exchange.event("response.output_item.added", output_index=index, item=item)
    summaries = []
    for number, pieces in enumerate(part.summaries):
        place = {**at, "summary_index": number}
        exchange.event("response.reasoning_summary_part.added", **place, part={"type": "summary_text", "text": ""})
        text = _pieces(exchange, pieces, gate, "response.reasoning_summary_text.delta", place)
        summary = {"type": "summary_text", "text": text}
        if finish or number < len(part.summaries) - 1:
            exchange.event("response.reasoning_summary_text.done", **place, text=text)
            exchange.event("response.reasoning_summary_part.done", **place, part=summary)
            summaries.append(summary)
    content = []
    if part.pieces:
        place = {**at, "content_index": 0}
        text = _pieces(exchange, part.pieces, gate, "response.reasoning_text.delta", place)
        content = [{"type": "reasoning_text", "text": text}]
        exchange.event("response.reasoning_text.done", **place, text=text)
    if finish:
        done = {**item, "summary": summaries, "content": content, "encrypted_content": f"opaque-{part.id}"}
        exchange.event("response.output_item.done", output_index=index, item=done)


def _pieces(exchange: Exchange, pieces: list[Piece], gate: Gate, event: str, at: dict[str, Any]) -> str:
    for piece in pieces:
        gate(piece.after)
        exchange.event(event, **at, delta=piece.text)
    return "".join(piece.text for piece in pieces)


def _text_part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": []}


def _response(exchange: Exchange, status: str, error: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": f"resp_{exchange.serial}",
        "object": "response",
        "created_at": 0,
        "status": status,
        "error": error,
        "incomplete_details": None,
        "model": exchange.request.get("model"),
        "output": [],
        "usage": None,
    }
