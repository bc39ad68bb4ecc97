"""The methods, one file per resource. Each file ends in ``METHODS``; here they become one table.

threads    start, resume, read, list, leave, name, settings
history    a thread's turns and items, page by page
terminals  commands that go on beyond their turn
turns      start, steer, interrupt
reviews    changes looked at by the model
settings   config, models, features: what clients ask at start-up
account    who is logged in, logging in and out
commands   command/exec
listings   what there is none of yet
offers     what there is to choose from
backend    limits, account and tasks of a ChatGPT login
files      files read, listed and found
search     threads found by words
callboard  our own additions
handles    large values that scripts left
"""

from __future__ import annotations

from typing import Any, Final

from actors.gateway.methods import (
    account,
    backend,
    callboard,
    commands,
    files,
    handles,
    history,
    listings,
    offers,
    reviews,
    scripts,
    search,
    settings,
    terminals,
    threads,
    turns,
)
from actors.gateway.rpc import Method

ALL: Final[dict[str, Method[Any]]] = {
    each.name: each
    for resource in (
        threads,
        history,
        search,
        terminals,
        turns,
        scripts,
        reviews,
        settings,
        account,
        offers,
        backend,
        commands,
        files,
        listings,
        callboard,
        handles,
    )
    for each in resource.METHODS
}
"""By name."""
