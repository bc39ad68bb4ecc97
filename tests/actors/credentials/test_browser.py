"""The browser login in a real browser: headless Chromium follows the redirects and shows the page that ends it.

Needs Chromium (Debian: ``apt install chromium``); skipped with that word where there is none.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.actors.credentials.authority import Authority
from tests.actors.credentials.test_logins import desk, server
from tests.actors.gateway.test_browser import CHROMIUM, document

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt install chromium")

__all__ = ["server"]


@pytest.mark.parametrize("provider", ["claude", "chatgpt"])
async def test_a_browser_logs_in_by_the_loopback_redirect_and_shows_no_secret(
    provider: str,
    server: Authority,  # the fixture
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with desk(server, tmp_path, monkeypatch) as house:
        started = await house.start(provider, "browser")
        shown = await document(started.url, tmp_path / "profile")
        assert "Logged in" in shown
        assert await house.ended(started) is None
        assert (await house.headers(provider))["authorization"] == f"Bearer {server.current}"
        assert server.current not in shown


async def test_a_browser_whose_person_says_no_is_told_that_nobody_is_logged_in(
    server: Authority,  # the fixture
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server.deny = True
    async with desk(server, tmp_path, monkeypatch) as house:
        started = await house.start("claude", "browser")
        assert "Logged in" not in await document(started.url, tmp_path / "profile")
        assert await house.ended(started) == "the login was not granted (access_denied: no)"
