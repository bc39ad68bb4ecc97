"""The credentials actor. The environment is captured once, by whoever starts the daemon, and never leaves here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

import trio

from actors.credentials import core
from actors.kernel import Context, Mailbox
from messages.credentials import CredentialsRequest, GetCredentialState, GetHeaders
from messages.settings import ProviderSettings


async def run(
    mailbox: Mailbox[CredentialsRequest],
    ctx: Context,
    providers: Mapping[str, ProviderSettings],
    environment: Mapping[str, str],
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Answer until the mailbox closes."""
    ctx.state = "serving"
    task_status.started()
    while True:
        for envelope in await mailbox.receive():
            if envelope.reply is None:
                continue
            match envelope.message:
                case GetHeaders(provider=name):
                    envelope.reply(core.headers(name, providers.get(name), environment))
                case GetCredentialState(provider=name):
                    envelope.reply(core.state(name, providers.get(name), environment))
                case never:
                    assert_never(never)
