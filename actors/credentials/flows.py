"""How a person logs in: by browser with a loopback redirect, by a code typed in elsewhere, or by pasting one here.

Each flow says what the person has to do, then waits, then gives tokens. Leaving it, also by cancellation, closes its
listener. Sources: RFC 8252 §7.3 (loopback), RFC 8628 (device), WIRE §8.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec
import trio

from actors.credentials import oauth, services
from actors.credentials.entries import TokenEntry
from actors.credentials.keeping import Posts
from actors.credentials.oauth import Asked, Authorization, OAuthError
from actors.credentials.redirect import RedirectListener
from actors.credentials.services import Service
from actors.ports import Ports
from messages.credentials import LoginStarted, SecretValue

BROWSER_SECONDS = 10 * 60.0
"""For a person to find the page, the password and the second factor."""

Tell = Callable[[LoginStarted], None]


class Flow:
    """One login under way."""

    def __init__(self, ports: Ports, posts: Posts, service: Service, login_id: str, tell: Tell) -> None:
        self._ports = ports
        self._posts = posts
        self._service = service
        self._login_id = login_id
        self._tell = tell
        self._pasted: SecretValue | None = None
        self._has_pasted = trio.Event()

    def paste(self, code: SecretValue) -> None:
        """What the person brought back."""
        self._pasted = code
        self._has_pasted.set()

    async def browser(self) -> TokenEntry:
        """A browser on this machine. Raises OAuthError, UnknownServiceError."""
        service = self._service
        services.client_id(service)
        async with RedirectListener.opened(self._ports, service.redirect_ports, service.redirect_path) as listener:
            redirect = f"http://{service.redirect_host}:{listener.port}{service.redirect_path}"
            made = self._authorization(redirect)
            self._tell(LoginStarted(login_id=self._login_id, url=made.url))
            with trio.move_on_after(BROWSER_SECONDS):
                return await listener.serve(lambda query: self._redeem(made, oauth.code_of(query, made.state)))
        raise OAuthError(f"nobody came back from the browser within {BROWSER_SECONDS / 60:g} minutes")

    async def paste_back(self) -> TokenEntry:
        """A browser anywhere, whose last page shows a code. Raises OAuthError, UnknownServiceError."""
        service = self._service
        if service.manual_redirect_uri is None:
            raise OAuthError(f"{service.title} has no page that shows a code; log in with a browser or a device code")
        made = self._authorization(service.manual_redirect_uri)
        url = f"{made.url}&{urlencode({'code': 'true'})}" if service.state_in_exchange else made.url
        self._tell(LoginStarted(login_id=self._login_id, url=url))
        with trio.move_on_after(BROWSER_SECONDS):
            await self._has_pasted.wait()
            assert self._pasted is not None
            return await self._redeem(made, oauth.pasted_code(self._pasted.reveal(), made.state))
        raise OAuthError(f"no code was pasted within {BROWSER_SECONDS / 60:g} minutes")

    async def device(self) -> TokenEntry:
        """A browser anywhere, in which a code is typed. Raises OAuthError, UnknownServiceError."""
        service = self._service
        client = services.client_id(service)
        if service.device_code_url is None or service.device_token_url is None:
            raise OAuthError(f"{service.title} has no device codes; log in with a browser")
        if service.device_style == "two_step":
            return await self._two_step(client, service.device_code_url, service.device_token_url)
        fields = {"client_id": client, **({"scope": " ".join(service.scopes)} if service.scopes else {})}
        began = _object(await self._posts.post(_form(service.device_code_url, fields)), service)
        device_code, user_code = str(began["device_code"]), str(began["user_code"])
        page = str(began.get("verification_uri_complete") or began.get("verification_uri") or service.device_page_url)
        self._tell(LoginStarted(login_id=self._login_id, url=page, user_code=user_code))
        poll = {
            "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
            "device_code": device_code,
            "client_id": client,
        }
        interval = _seconds(began.get("interval"), oauth.POLL_SECONDS)
        with trio.move_on_after(_seconds(began.get("expires_in"), oauth.DEVICE_SECONDS)):
            while True:
                await trio.sleep(interval)
                status, body = await self._posts.post(_form(service.device_token_url, poll))
                if status == 200:
                    return oauth.tokens(service, status=status, body=body, now=self._ports.clock.now())
                refused = oauth.refused(service, status, body)
                if refused.error == "slow_down":
                    interval += oauth.SLOWER_SECONDS
                elif refused.error != "authorization_pending":
                    raise refused
        raise OAuthError("the device code ran out before it was typed in; start the login again")

    async def _two_step(self, client: str, code_url: str, token_url: str) -> TokenEntry:
        """The poll gives a code and its verifier; these are exchanged as a browser's would be."""
        service = self._service
        began = _object(await self._posts.post(_json(code_url, {"client_id": client})), service)
        device_id, user_code = str(began["device_auth_id"]), str(began["user_code"])
        page = service.device_page_url or service.authorize_url
        self._tell(LoginStarted(login_id=self._login_id, url=page, user_code=user_code))
        poll = _json(token_url, {"device_auth_id": device_id, "user_code": user_code})
        interval = _seconds(began.get("interval"), oauth.POLL_SECONDS)
        with trio.move_on_after(oauth.DEVICE_SECONDS):
            while True:
                await trio.sleep(interval)
                status, body = await self._posts.post(poll)
                if status == 200:
                    break
                if status == 429:
                    interval += oauth.SLOWER_SECONDS
                elif status not in (403, 404):
                    raise oauth.refused(service, status, body)
            found = _object((status, body), service)
            made = Authorization(
                url="",
                state=SecretValue(""),
                verifier=SecretValue(str(found["code_verifier"])),
                redirect_uri=service.device_redirect_uri or "",
            )
            return await self._redeem(made, SecretValue(str(found["authorization_code"])))
        raise OAuthError("the device code ran out before it was typed in; start the login again")

    def _authorization(self, redirect_uri: str) -> Authorization:
        entropy = self._ports.entropy
        verifier, state = entropy.token(oauth.VERIFIER_BYTES), entropy.token(oauth.STATE_BYTES)
        return oauth.authorization(self._service, redirect_uri, verifier=verifier, state=state)

    async def _redeem(self, made: Authorization, code: SecretValue) -> TokenEntry:
        status, body = await self._posts.post(oauth.exchange(self._service, made, code))
        return oauth.tokens(self._service, status=status, body=body, now=self._ports.clock.now())


def _form(url: str, fields: dict[str, str]) -> Asked:
    return Asked(url=url, body=urlencode(fields).encode(), content_type="application/x-www-form-urlencoded")


def _json(url: str, fields: dict[str, str]) -> Asked:
    return Asked(url=url, body=msgspec.json.encode(fields), content_type="application/json")


class _Answer(dict[str, Any]):
    """A JSON object whose missing members are an error of the server's."""

    def __init__(self, values: dict[str, Any], title: str) -> None:
        super().__init__(values)
        self._title = title

    def __missing__(self, key: str) -> Any:
        raise OAuthError(f"the answer of {self._title} lacks {key}")


def _object(answer: tuple[int, bytes], service: Service) -> _Answer:
    status, body = answer
    if status != 200:
        raise oauth.refused(service, status, body)
    try:
        found = msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise OAuthError(f"{urlsplit(service.token_url).hostname} answered with something unreadable") from None
    return _Answer(found, service.title)


def _seconds(value: Any, default: float) -> float:
    """A number of seconds, which one server sends as text."""
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        return default
    return seconds if 0 < seconds < 3600 else default
