"""Where servers and models of the Chat Completions wire differ in what they take. Data: what is done about it stands
in `messages` and `request`.

A dialect is put together from layers, low to high: what any compatible server takes (`PLAIN`), what a provider's
profile says, what the profile says of the model, what the user's settings say. A field that is None says nothing.

Rejected: asking a server what it takes by trying (a request that is refused costs a round trip and, with some, money).
"""

from __future__ import annotations

import msgspec

from messages.settings import Dialect

PLAIN = Dialect(
    system_role="system",
    later_system_role="user",
    max_tokens_field="max_tokens",
    reasoning_echo="none",
    reasoning_echo_on="calls",
    reasoning_required=False,
    effort_field="reasoning_effort",
    freeform_tools=False,
    parallel_flag=True,
    stop_sequences=4,
    stream_usage=True,
    cache_key=False,
    json_schema=True,
    verbosity=False,
    tool_images=False,
    user_after_tool=True,
    merge_users=False,
    call_ids="any",
    signed_calls=False,
    extra_body={},
)
"""What every server that calls itself compatible was seen to take. Instructions that come later are said by the user,
because many chat templates take a system message at the beginning only."""


def layered(*layers: Dialect) -> Dialect:
    """The last layer that says something of a field decides; `extra_body` is merged."""
    said: dict[str, object] = {}
    extra: dict[str, object] = {}
    for layer in (PLAIN, *layers):
        for field in Dialect.__struct_fields__:
            value = getattr(layer, field)
            if value is not None:
                said[field] = value
        extra |= layer.extra_body or {}
    return msgspec.structs.replace(PLAIN, **{**said, "extra_body": extra})
