"""A turn as JSON lines, in the shape of `codex exec --json` (reference/core CORE §9), for scripts that read it."""

from __future__ import annotations

from typing import Any

from actors.console.client import Incoming

STATUS = {"inProgress": "in_progress"}


class Lines:
    """Turns notifications into lines. Item ids are ``item_0``… in the order items start."""

    def __init__(self) -> None:
        self._ids: dict[str, str] = {}

    def line(self, message: Incoming) -> dict[str, Any] | None:
        """One line for a notification, None for those without one."""
        params = message.params
        match message.method:
            case "turn/started":
                return {"type": "turn.started"}
            case "item/started" | "item/completed":
                item = self._item(params["item"])
                return None if item is None else {"type": message.method.replace("/", "."), "item": item}
            case "turn/plan/updated":
                steps = [{"text": step["step"], "completed": step["status"] == "completed"} for step in params["plan"]]
                return {"type": "item.updated", "item": {"id": self._id("plan"), "type": "todo_list", "items": steps}}
            case "error":
                return {"type": "error", "message": params["error"]["message"]}
            case _:
                return None

    def _id(self, item_id: str) -> str:
        return self._ids.setdefault(item_id, f"item_{len(self._ids)}")

    def _item(self, item: dict[str, Any]) -> dict[str, Any] | None:
        status = STATUS.get(item.get("status", ""), item.get("status"))
        match item["type"]:
            case "userMessage":
                return None
            case "agentMessage":
                return {"id": self._id(item["id"]), "type": "agent_message", "text": item["text"]}
            case "reasoning":
                text = "\n\n".join(item.get("summary") or item.get("content") or ())
                return {"id": self._id(item["id"]), "type": "reasoning", "text": text}
            case "commandExecution":
                return {
                    "id": self._id(item["id"]),
                    "type": "command_execution",
                    "command": item["command"],
                    "aggregated_output": item.get("aggregatedOutput") or "",
                    "exit_code": item.get("exitCode"),
                    "status": status,
                }
            case "fileChange":
                changes = [{"path": change["path"], "kind": change["kind"]["type"]} for change in item["changes"]]
                return {"id": self._id(item["id"]), "type": "file_change", "changes": changes, "status": status}
            case "dynamicToolCall":
                return {
                    "id": self._id(item["id"]),
                    "type": "tool_call",
                    "tool": item["tool"],
                    "arguments": item.get("arguments"),
                    "status": status,
                }
            case "webSearch":
                return {
                    "id": self._id(item["id"]),
                    "type": "web_search",
                    "query": item["query"],
                    "action": item.get("action"),
                }
            case kind:
                return {"id": self._id(item["id"]), "type": kind}
