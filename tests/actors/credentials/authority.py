"""An authorization server that is strict about the RFCs: what a lax one would let pass is a complaint here.

Real HTTP on loopback, in a thread. It knows one client, takes a redirect only as registered (with any port on loopback,
RFC 8252 §7.3), wants PKCE with S256, gives each code once, rotates refresh tokens, and ends a whole login when one is
used twice. Device polling faster than the interval is told to slow down.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from actors.credentials.services import Service

CLIENT = "callboard-tests"
MANUAL_PATH = "/shown"


class Authority:
    """One server, and everything it was asked."""

    def __init__(self) -> None:
        self.complaints: list[str] = []
        self.refreshes = 0
        self.reused = 0
        self.revoked: list[str] = []
        self.polls = 0
        self.access_seconds = 3600
        self.approve_after_polls = 2
        self.drop_answers = 0
        """So many answers to refreshes are lost on the way."""
        self.deny = False
        self.mint: Callable[[str], str] = lambda kind: f"{kind}-{secrets.token_hex(8)}"
        """Makes codes and tokens, each another."""
        self.verifiers: list[str] = []
        """What clients proved themselves by (RFC 7636)."""
        self.current = ""
        """The access token that is good now."""
        self._codes: dict[str, dict[str, str]] = {}
        self._families: dict[str, str] = {}
        self._spent: set[str] = set()
        self._dead: set[str] = set()
        self._last_poll = 0.0
        self._lock = threading.Lock()
        authority = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                authority.get(self)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", "0")))
                with authority._lock:
                    authority.post(self, body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def service(self, name: str = "claude", **changes: Any) -> Service:
        """How a client is told of this server."""
        made: dict[str, Any] = {
            "name": name,
            "title": "The test authority",
            "client_id": CLIENT,
            "authorize_url": f"{self.url}/authorize",
            "token_url": f"{self.url}/token",
            "revoke_url": f"{self.url}/revoke",
            "device_code_url": f"{self.url}/device",
            "device_token_url": f"{self.url}/token",
            "device_page_url": f"{self.url}/activate",
            "device_redirect_uri": f"{self.url}/device/callback",
            "scopes": ("openid", "profile"),
            "redirect_path": "/callback",
            "manual_redirect_uri": f"{self.url}{MANUAL_PATH}",
        }
        return Service(**{**made, **changes})

    # --- the person's side ---

    def get(self, handler: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(handler.path)
        asked = {key: values[0] for key, values in parse_qs(parts.query).items()}
        if parts.path != "/authorize":
            self._answer(handler, 404, {})
            return
        redirect = asked.get("redirect_uri", "")
        target = urlsplit(redirect)
        loopback = target.hostname in ("127.0.0.1", "localhost") and target.path in ("/callback", "/auth/callback")
        for wrong, why in (
            (asked.get("response_type") != "code", "response_type is not code"),
            (asked.get("client_id") != CLIENT, "an unknown client"),
            (not loopback and redirect != f"{self.url}{MANUAL_PATH}", f"redirect {redirect!r} is not registered"),
            (asked.get("code_challenge_method") != "S256", "no S256"),
            (len(asked.get("code_challenge", "")) != 43, "no challenge"),
            (len(asked.get("state", "")) < 32, "no state worth the name"),
        ):
            if wrong:
                self.complaints.append(why)
                self._answer(handler, 400, {"error": why})
                return
        if self.deny:
            answer = {"error": "access_denied", "error_description": "no", "state": asked["state"]}
        else:
            code = self.mint("code")
            self._codes[code] = {"redirect": redirect, "challenge": asked["code_challenge"], "state": asked["state"]}
            answer = {"code": code, "state": asked["state"]}
        if redirect.endswith(MANUAL_PATH):
            self._answer(handler, 200, answer)
            return
        handler.send_response(302)
        handler.send_header("location", f"{redirect}?{urlencode(answer)}")
        handler.send_header("content-length", "0")
        handler.end_headers()

    # --- the program's side ---

    def post(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        kind = handler.headers.get("content-type", "")
        asked = json.loads(body) if "json" in kind else {k: v[0] for k, v in parse_qs(body.decode()).items()}
        if "callboard" not in handler.headers.get("user-agent", ""):
            self.complaints.append("somebody poses as another program")
        if handler.path == "/device/poll":  # the device's own id stands for the client
            self._poll_two_step(handler)
        elif asked.get("client_id") != CLIENT:
            self._answer(handler, 401, {"error": "invalid_client"})
        elif handler.path == "/revoke":
            self.revoked.append(asked["token"])
            self._answer(handler, 200, {})
        elif handler.path == "/device":
            self._answer(
                handler,
                200,
                {
                    "device_code": "dev",
                    "device_auth_id": "dev",
                    "user_code": "WXYZ-1234",
                    "verification_uri": f"{self.url}/activate",
                    "interval": 1,
                    "expires_in": 600,
                },
            )
        elif asked.get("grant_type") == "authorization_code":
            self._exchange(handler, asked)
        elif asked.get("grant_type") == "refresh_token":
            self._refresh(handler, asked)
        elif str(asked.get("grant_type")).endswith("device_code"):
            self._poll(handler)
        else:
            self.complaints.append(f"a request for {asked.get('grant_type')!r}")
            self._answer(handler, 400, {"error": "unsupported_grant_type"})

    def _exchange(self, handler: BaseHTTPRequestHandler, asked: dict[str, str]) -> None:
        known = self._codes.pop(asked.get("code", ""), None)
        verifier = asked.get("code_verifier", "")
        self.verifiers.append(verifier)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        if known is None or known["redirect"] != asked.get("redirect_uri") or known["challenge"] != challenge:
            self.complaints.append("a code that is unknown, used, for another redirect, or without its verifier")
            self._answer(handler, 400, {"error": "invalid_grant"})
            return
        self._give(handler, secrets.token_hex(4))

    def _refresh(self, handler: BaseHTTPRequestHandler, asked: dict[str, str]) -> None:
        token = asked.get("refresh_token", "")
        family = self._families.get(token)
        if family is None or family in self._dead:
            self._answer(handler, 400, {"error": "invalid_grant"})
        elif token in self._spent:
            self.reused += 1
            self._dead.add(family)
            self._answer(handler, 400, {"error": "refresh_token_reused"})
        else:
            self.refreshes += 1
            self._spent.add(token)
            if self.drop_answers:
                self.drop_answers -= 1
                self._token(family)
                handler.close_connection = True
                handler.connection.close()
                return
            self._give(handler, family)

    def _poll(self, handler: BaseHTTPRequestHandler) -> None:
        self.polls += 1
        now = time.monotonic()
        soon, self._last_poll = now - self._last_poll < 0.9, now
        if soon and self.polls > 1:
            self._answer(handler, 400, {"error": "slow_down"})
        elif self.polls <= self.approve_after_polls:
            self._answer(handler, 400, {"error": "slow_down" if self.polls == 1 else "authorization_pending"})
        else:
            self._give(handler, secrets.token_hex(4))

    def _poll_two_step(self, handler: BaseHTTPRequestHandler) -> None:
        self.polls += 1
        if self.polls <= self.approve_after_polls:
            self._answer(handler, 403, {})
            return
        verifier = secrets.token_urlsafe(48)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        code = self.mint("code")
        self._codes[code] = {"redirect": f"{self.url}/device/callback", "challenge": challenge, "state": ""}
        self._answer(handler, 200, {"authorization_code": code, "code_verifier": verifier, "code_challenge": challenge})

    def _token(self, family: str) -> str:
        token = self.mint("refresh")
        self._families[token] = family
        return token

    def _give(self, handler: BaseHTTPRequestHandler, family: str) -> None:
        claims = {
            "email": "ada@example.org",
            "https://api.openai.com/auth": {"chatgpt_account_id": "acc-1", "chatgpt_plan_type": "pro"},
        }
        self.current = self.mint("access")
        self._answer(
            handler,
            200,
            {
                "access_token": self.current,
                "refresh_token": self._token(family),
                "id_token": ".".join(("e30", _encoded(claims), self.mint("id"))),
                "expires_in": self.access_seconds,
                "token_type": "Bearer",
            },
        )

    def _answer(self, handler: BaseHTTPRequestHandler, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        handler.send_response(status)
        handler.send_header("content-type", "application/json")
        handler.send_header("content-length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)


def _encoded(claims: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()


@contextlib.contextmanager
def authority() -> Iterator[Authority]:
    made = Authority()
    try:
        yield made
    finally:
        made.close()
