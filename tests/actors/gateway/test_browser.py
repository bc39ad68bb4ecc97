"""A real browser with a hostile page in it, against a gateway that asks for no token: the page learns nothing.

Needs Chromium (Debian: ``apt install chromium``); skipped with that word where there is none.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio

from tests.actors.gateway.stage import open_stage

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt install chromium")

PAGE = """\
<!doctype html><title>evil</title><script>
const targets = %s, out = {};
const socket = (url) => new Promise((done) => {
  const ws = new WebSocket(url);
  ws.onopen = () => done("open");
  ws.onerror = () => done("refused");
});
const read = (url) => fetch(url).then((answer) => "read " + answer.status, () => "refused");
(async () => {
  for (const host of targets) {
    out["ws " + host] = await socket("ws://" + host + "/");
    out["read " + host] = await read("http://" + host + "/healthz");
  }
  await fetch("/told", {method: "POST", body: JSON.stringify(out)});
})();
</script>
"""


class Page:
    """A web server with one page that attacks ``targets`` and tells what came of it."""

    def __init__(self, targets: list[str]) -> None:
        self._body = (PAGE % json.dumps(targets)).encode()
        self._told = trio.Event()
        self._outcome: dict[str, str] = {}
        self.port = 0

    @asynccontextmanager
    async def open(self, port: int = 0) -> AsyncIterator[Page]:
        async with trio.open_nursery() as nursery:
            [listener] = await trio.open_tcp_listeners(port, host="127.0.0.1")
            self.port = listener.socket.getsockname()[1]
            nursery.start_soon(trio.serve_listeners, self._serve, [listener])
            yield self
            nursery.cancel_scope.cancel()

    async def outcome(self, host: str, profile: Path) -> dict[str, str]:
        """What the page could do when a browser opens it under the name ``host``."""
        command = [*BROWSER, f"--user-data-dir={profile}", f"http://{host}:{self.port}/"]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(
                partial(trio.run_process, command, capture_stdout=True, capture_stderr=True, check=False)
            )
            with trio.fail_after(60):
                await self._told.wait()
            nursery.cancel_scope.cancel()
        return self._outcome

    async def _serve(self, stream: trio.SocketStream) -> None:
        async with stream:
            request = b""
            while b"\r\n\r\n" not in request:
                more = await stream.receive_some()
                if not more:
                    return  # a browser opens connections it may need
                request += more
            head, _, body = request.partition(b"\r\n\r\n")
            if head.startswith(b"POST /told"):
                found = re.search(rb"(?i)content-length: (\d+)", head)
                assert found is not None
                while len(body) < int(found[1]):
                    body += await stream.receive_some()
                self._outcome = json.loads(body)
                self._told.set()
            answer = self._body if head.startswith(b"GET / ") else b""
            await stream.send_all(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b"
                % (len(answer), answer)
            )


BROWSER = (
    CHROMIUM or "chromium",
    "--headless=new",
    "--no-sandbox",  # the tests may run as root; the page is our own
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--host-resolver-rules=MAP *.example 127.0.0.1",  # whoever owns a name points it where they want
)


async def document(url: str, profile: Path) -> str:
    """What a browser shows of it."""
    command = [*BROWSER, f"--user-data-dir={profile}", "--dump-dom", url]
    with trio.fail_after(60):
        finished = await trio.run_process(command, capture_stdout=True, capture_stderr=True, check=False)
    return finished.stdout.decode(errors="replace")


async def test_a_page_of_another_site_and_a_name_pointed_here_get_nothing(tmp_path: Path) -> None:
    async with open_stage(tmp_path / "home") as stage:
        targets = [f"127.0.0.1:{stage.port}", f"localhost:{stage.port}", f"rebound.example:{stage.port}"]
        async with Page(targets).open() as page:
            told = await page.outcome("evil.example", tmp_path / "profile")
        assert told == {f"{way} {target}": "refused" for target in targets for way in ("ws", "read")}
        # the page itself from a name that was pointed at us: same origin, so only the Host gives it away
        shown = await document(f"http://rebound.example:{stage.port}/healthz", tmp_path / "other profile")
        assert "this Host is not known here" in shown
        assert stage.house.sessions == {}


async def test_a_page_whose_origin_is_on_the_list_is_let_in(tmp_path: Path) -> None:
    """The counter-check: what keeps the others out is the list, not a browser that does not work."""
    async with Page([]).open() as free:
        port = free.port
    async with open_stage(tmp_path / "home", allowed_origins=(f"http://good.example:{port}",)) as stage:
        target = f"127.0.0.1:{stage.port}"
        async with Page([target]).open(port) as page:
            told = await page.outcome("good.example", tmp_path / "profile")
        assert told == {f"ws {target}": "open", f"read {target}": "refused"}  # CORS: it may talk, not read
