"""The credentials actor. The environment is captured once, by whoever starts the daemon, and never leaves here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

import trio

from actors.credentials import core
from actors.kernel import Context, Mailbox, Service
from messages.credentials import CredentialsRequest, GetCredentialState, GetHeaders
from messages.settings import ProviderSettings

CREDENTIALS: Service[CredentialsRequest] = Service("credentials")


async def run(
    ctx: Context,
    providers: Mapping[str, ProviderSettings],
    environment: Mapping[str, str],
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Answer until cancelled."""
    mailbox: Mailbox[CredentialsRequest] = ctx.open_mailbox()
    ctx.publish(CREDENTIALS, mailbox.address)
    ctx.state = "serving"
    task_status.started()
    while True:
        for message, reply in await mailbox.receive():
            if reply is None:
                continue
            match message:
                case GetHeaders(provider=name):
                    reply.answer(core.headers(name, providers.get(name), environment))
                case GetCredentialState(provider=name):
                    reply.answer(core.state(name, providers.get(name), environment))
                case never:
                    assert_never(never)
