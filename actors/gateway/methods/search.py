"""thread/search: threads found by words in their name, their first message or their folder."""

from __future__ import annotations

from typing import Final

from actors.gateway.caller import Caller
from actors.gateway.methods import threads
from actors.gateway.rpc import RpcError, method
from messages.client.envelope import INVALID_PARAMS
from messages.client.search import ThreadFound, ThreadSearchParams, ThreadSearchResponse
from messages.client.thread import ThreadBody, ThreadListParams

SNIPPET_CHARS: Final = 120
"""Of the text around what was found: one line of a list."""

BEFORE_CHARS: Final = 30
"""Of them before it."""


async def search(caller: Caller, params: ThreadSearchParams) -> ThreadSearchResponse:
    words = params.search_term.split()
    if not words:
        raise RpcError(INVALID_PARAMS, "thread/search: searchTerm is empty")
    found = await threads.list_(
        caller,
        ThreadListParams(
            search_term=params.search_term,
            cursor=params.cursor,
            limit=params.limit,
            sort_key=params.sort_key,
            sort_direction=params.sort_direction,
            source_kinds=params.source_kinds,
            archived=params.archived,
        ),
    )
    return ThreadSearchResponse(
        data=tuple(ThreadFound(thread=thread, snippet=snippet(thread, words[0])) for thread in found.data),
        next_cursor=found.next_cursor,
        backwards_cursor=found.backwards_cursor,
    )


def snippet(thread: ThreadBody, word: str) -> str:
    """The line around the first place where the word is; the beginning of the first message if it is nowhere."""
    texts = [" ".join(text.split()) for text in (thread.name or "", thread.preview, thread.cwd)]
    for text in texts:
        at = text.lower().find(word.lower())
        if at >= 0:
            begin = max(at - BEFORE_CHARS, 0)
            shown = text[begin : begin + SNIPPET_CHARS]
            return f"{'…' if begin else ''}{shown}{'…' if begin + SNIPPET_CHARS < len(text) else ''}"
    return texts[1][:SNIPPET_CHARS]


METHODS = (method("thread/search", ThreadSearchParams, search),)
