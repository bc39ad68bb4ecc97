"""A stand-in for the backend: real HTTP on loopback, in a thread. It answers what it is told to, and holds what it was
asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "canary-token-of-the-login-0123456789"
ACCOUNT = "account-7"

USAGE = {
    "plan_type": "prolite",
    "account_id": ACCOUNT,
    "user_id": "user-1",
    "email": "ada@example.org",
    "rate_limit": {
        "allowed": True,
        "limit_reached": False,
        "primary_window": {"used_percent": 8, "limit_window_seconds": 17_940, "reset_at": 1_795_000_000},
        "secondary_window": {"used_percent": 15.6, "limit_window_seconds": 604_800, "reset_at": 1_795_500_000},
    },
    "additional_rate_limits": [
        {
            "limit_name": "Fast",
            "metered_feature": "codex_fast",
            "rate_limit": {"limit_reached": True, "primary_window": {"used_percent": 100}, "secondary_window": None},
        }
    ],
    "credits": {"has_credits": True, "unlimited": False, "balance": "12.5"},
}


def listed(id_: str, title: str, **more: Any) -> dict[str, Any]:
    """A task of the list."""
    latest = {
        "turn_status": "completed",
        "diff_stats": {"files_modified": 1, "lines_added": 2, "lines_removed": 1},
    }
    display = {"environment_label": "tempo", "latest_turn_status_display": latest}
    return {"id": id_, "title": title, "updated_at": 1_760_690_304.25, "task_status_display": display, **more}


def task(diff: str | None, **turn: Any) -> dict[str, Any]:
    """A task whole."""
    output: list[dict[str, Any]] = [{"type": "message", "content": [{"content_type": "text", "text": "Done."}, "Yes."]}]
    if diff is not None:
        output.append({"type": "pr", "output_diff": {"diff": diff}})
    return {
        "task": {"id": "task_e_1", "title": "Mend it"},
        "current_user_turn": {"input_items": [{"type": "message", "role": "user", "content": ["Mend", "this"]}]},
        "current_assistant_turn": {"turn_status": "completed", "output_items": output, **turn},
        "current_diff_task_turn": None,
    }


class Server(ThreadingHTTPServer):
    """Says nothing of clients that hang up: that is what some are here for."""

    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        pass


class StandIn:
    """``replies``: what comes first, each (status, body, headers) once; then ``answers`` by path. A body that is no
    bytes is sent as JSON."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.replies: list[tuple[int, Any, dict[str, str]]] = []
        self.answers: dict[str, Any] = {}
        self.silent = threading.Event()
        self.silent.set()
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                stand_in.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
                stand_in.silent.wait(5)
                if stand_in.replies:
                    status, body, headers = stand_in.replies.pop(0)
                else:
                    found = stand_in.answers.get(self.path.partition("?")[0])
                    status, body, headers = (404, {"detail": "Not Found"}, {}) if found is None else (200, found, {})
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                for name, value in {"content-length": str(len(data)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                try:
                    self.wfile.write(data)
                except OSError:
                    self.close_connection = True  # whoever asked had enough

            def log_message(self, *_: Any) -> None:
                pass

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self) -> None:
        self.silent.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.asked]


@contextmanager
def stand_in() -> Iterator[StandIn]:
    """One for the length of a block."""
    made = StandIn()
    try:
        yield made
    finally:
        made.close()
