"""The backend's limits, account and tasks as clients get them; every answer validates against its schema."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.credentials.entries import Entry, KeyEntry, TokenEntry, Vault
from messages.credentials import SecretValue
from tests.actors.backend.standin import ACCOUNT, TOKEN, USAGE, StandIn, listed, stand_in, task
from tests.actors.gateway.stage import CallError, Stage, open_stage

pytestmark = pytest.mark.reference

LOGIN = TokenEntry(
    service="chatgpt",
    client_id="ours",
    access_token=SecretValue(TOKEN),
    expires_at=9e9,
    obtained_at=1.0,
    account_id=ACCOUNT,
    email="ada@example.org",
)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[StandIn]:
    with stand_in() as made:
        (tmp_path / "config.toml").write_text(f'chatgpt_base_url = "{made.url}/backend-api/"\n')
        yield made


def keep(stage: Stage, entry: Entry) -> None:
    stage.house.logins.save(Vault(entries={"chatgpt": entry}))


async def test_limits_are_read_from_the_backend_in_the_vocabularys_shape(tmp_path: Path, server: StandIn) -> None:
    server.answers = {"/backend-api/wham/usage": USAGE}
    async with open_stage(tmp_path) as stage, stage.client() as client:
        keep(stage, LOGIN)
        answer = await client.call("account/rateLimits/read")
        main = {
            "limitId": "codex",
            "primary": {"usedPercent": 8, "windowDurationMins": 299, "resetsAt": 1_795_000_000},
            "secondary": {"usedPercent": 16, "windowDurationMins": 10_080, "resetsAt": 1_795_500_000},
            "credits": {"hasCredits": True, "unlimited": False, "balance": "12.5"},
            "planType": "prolite",
        }
        fast = {
            "limitId": "codex_fast",
            "limitName": "Fast",
            "primary": {"usedPercent": 100},
            "planType": "prolite",
            "rateLimitReachedType": "rate_limit_reached",
        }
        assert answer == {
            "rateLimits": main,
            "rateLimitsByLimitId": {"codex_fast": fast, "codex": main},
            "accountId": ACCOUNT,
            "ordinaryUsageAllowed": True,
        }
        pushed = await client.next("account/rateLimits/updated")
        assert pushed["params"] == {"rateLimits": main, "threadId": None}
        assert server.asked[0][1]["chatgpt-account-id"] == ACCOUNT
        assert await client.call("callboard/account") == {
            "accountId": ACCOUNT,
            "userId": "user-1",
            "email": "ada@example.org",
            "planType": "prolite",
        }
        server.answers = {"/backend-api/wham/usage": {"plan_type": "quorum"}}
        assert (await client.call("account/rateLimits/read"))["rateLimits"] == {
            "limitId": "codex",
            "planType": "unknown",
        }


async def test_tasks_are_listed_page_by_page_and_read_with_their_diff(tmp_path: Path, server: StandIn) -> None:
    server.answers = {
        "/backend-api/wham/tasks/list": {
            "items": [listed("t1", "One"), listed("t2", "Gone", archived=True), {"id": "t3"}],
            "cursor": "next",
        },
        "/backend-api/wham/tasks/t1": task("the diff\n"),
    }
    async with open_stage(tmp_path) as stage, stage.client() as client:
        keep(stage, LOGIN)
        page = await client.call("callboard/tasks/list", {"limit": 3})
        assert page["nextCursor"] == "next"
        first, bare = page["data"]
        assert first == {
            "id": "t1",
            "title": "One",
            "status": "completed",
            "environment": "tempo",
            "createdAt": None,
            "updatedAt": 1_760_690_304.25,
            "filesModified": 1,
            "linesAdded": 2,
            "linesRemoved": 1,
        }
        assert (bare["id"], bare["title"], bare["status"]) == ("t3", "", None)
        assert await client.call("callboard/tasks/read", {"taskId": "t1"}) == {
            "id": "t1",
            "title": "Mend it",
            "status": "completed",
            "prompt": "Mend\n\nthis",
            "messages": ["Done.", "Yes."],
            "error": None,
            "diff": "the diff\n",
        }
        for method, params in (
            ("callboard/tasks/list", {"limit": 0}),
            ("callboard/tasks/list", {"limit": 101}),
            ("callboard/tasks/read", {"taskId": "../usage"}),
        ):
            with pytest.raises(CallError) as caught:
                await client.call(method, params)
            assert caught.value.code == -32602


async def test_without_a_login_nothing_is_asked_and_no_key_is_sent(tmp_path: Path, server: StandIn) -> None:
    async with open_stage(tmp_path) as stage, stage.client() as client:
        keep(stage, KeyEntry(key=SecretValue(TOKEN), saved_at=1.0))
        for method, params in (
            ("account/rateLimits/read", None),
            ("callboard/account", None),
            ("callboard/tasks/list", {}),
            ("callboard/tasks/read", {"taskId": "t1"}),
        ):
            with pytest.raises(CallError, match="nobody is logged in") as caught:
                await client.call(method, params)
            assert caught.value.code == -32600
    assert server.asked == []


async def test_a_failure_of_the_backend_is_told_without_the_login(tmp_path: Path, server: StandIn) -> None:
    async with open_stage(tmp_path) as stage, stage.client() as client:
        keep(stage, LOGIN)
        server.replies = [(403, {"detail": f"Bearer {TOKEN} may not"}, {}), (429, {}, {"retry-after": "90"})]
        with pytest.raises(CallError, match="HTTP 403") as caught:
            await client.call("account/rateLimits/read")
        assert caught.value.code == -32600
        assert TOKEN not in str(caught.value)
        with pytest.raises(CallError, match="HTTP 429"):
            await client.call("account/rateLimits/read")
