"""Requests for rights on the wire, and what a client's answer to a question comes to."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from actors.gateway.notifications import approval_request
from actors.gateway.resolution import resolution
from actors.gateway.rights import permissions_of, rights_body
from actors.gateway.rpc import read_message
from actors.gateway.views import sandbox_body
from messages.approval import ApprovalDecision, PermissionNeed
from messages.base import CallId, ItemId, ThreadId, TurnId
from messages.permissions import PermissionGrant, Permissions
from messages.session import Approval, ResolveApproval, ThreadSettings
from tests.protocol_schema import check_server_frame

WANTED = Permissions(read=("/etc/app",), write=("/data",), network=True)
NO = ResolveApproval(approval_id="q", decision="decline", by="me")


def said(result: Any) -> ResolveApproval:
    """What this answer of a client comes to."""
    return resolution(read_message(json.dumps({"id": "q", "result": result})), "q", by="me")


def granted(permissions: Permissions, scope: Any = "turn") -> ResolveApproval:
    grant = PermissionGrant(permissions=permissions, scope=scope)
    return ResolveApproval(approval_id="q", decision="accept", granted=grant, by="me")


@pytest.mark.reference
def test_a_request_for_rights_is_one_that_clients_know() -> None:
    approval = Approval(
        id="q",
        turn_id=TurnId("t"),
        item_id=ItemId("i"),
        call_id=CallId("c"),
        need=PermissionNeed(cwd="/w", permissions=WANTED),
        asked_at=2.5,
        reason="to keep results",
    )
    frame = json.loads(approval_request(ThreadId("thread"), approval))
    check_server_frame(frame)
    assert (frame["id"], frame["method"]) == ("q", "item/permissions/requestApproval")
    assert frame["params"] == {
        "threadId": "thread",
        "turnId": "t",
        "itemId": "i",
        "startedAtMs": 2500,
        "environmentId": "local",
        "cwd": "/w",
        "reason": "to keep results",
        "permissions": {
            "fileSystem": {
                "read": ["/etc/app"],
                "write": ["/data"],
                "entries": [
                    {"path": {"type": "path", "path": "/etc/app"}, "access": "read"},
                    {"path": {"type": "path", "path": "/data"}, "access": "write"},
                ],
            },
            "network": {"enabled": True},
        },
    }


def test_a_client_that_sends_back_what_it_was_asked_grants_all_of_it() -> None:
    asked = json.loads(msgspec.json.encode(rights_body(WANTED)))
    answer = said({"permissions": asked, "scope": "session"})
    assert answer.granted is not None
    given = answer.granted.permissions
    assert (set(given.read), set(given.write), given.network) == ({"/etc/app"}, {"/data"}, True)
    assert answer.granted.scope == "session"


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ({"permissions": {"fileSystem": {"write": ["/data"]}}}, granted(Permissions(write=("/data",)))),
        (
            {"permissions": {"network": {"enabled": True}}, "scope": "session"},
            granted(Permissions(network=True), "session"),
        ),
        (
            {
                "permissions": {
                    "fileSystem": {
                        "entries": [
                            {"path": {"type": "path", "path": "/r"}, "access": "read"},
                            {"path": {"type": "special", "value": {"kind": "root"}}, "access": "write"},
                            {"path": {"type": "path", "path": "/d"}, "access": "deny"},
                        ]
                    }
                },
                "strictAutoReview": None,
            },
            granted(Permissions(read=("/r",))),
        ),
        (
            {"permissions": {"network": {"enabled": True}}, "strictAutoReview": True},
            ResolveApproval(
                approval_id="q",
                decision="accept",
                granted=PermissionGrant(permissions=Permissions(network=True), scope="turn", strict=True),
                by="me",
            ),
        ),
        ({"permissions": {}}, NO),
        ({"permissions": {"network": {"enabled": False}, "fileSystem": None}}, NO),
        ({"permissions": {"network": 3}}, NO),
        ({"permissions": {}, "scope": "for ever"}, NO),
        ({"decision": "perhaps"}, NO),
        ({}, NO),
    ],
)
def test_what_an_answer_grants(result: Any, expected: ResolveApproval) -> None:
    assert said(result) == expected


@pytest.mark.parametrize("word", ["accept", "acceptForSession", "decline", "cancel"])
def test_the_plain_words_are_understood_as_well(word: ApprovalDecision) -> None:
    assert said({"decision": word}) == ResolveApproval(approval_id="q", decision=word, by="me")


def test_what_was_granted_for_the_session_is_shown_with_the_sandbox() -> None:
    settings = ThreadSettings(provider="p", model="m", cwd="/w", sandbox_mode="read-only")
    assert sandbox_body(settings).callboard is None
    shown = json.loads(
        msgspec.json.encode(
            sandbox_body(ThreadSettings(provider="p", model="m", cwd="/w", sandbox_mode="read-only", granted=WANTED))
        )
    )
    assert shown["callboard"] == {"granted": json.loads(msgspec.json.encode(rights_body(WANTED)))}
    assert permissions_of(rights_body(Permissions(write=("/x",)))).write == ("/x", "/x")
