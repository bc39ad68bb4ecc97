"""model_stream: one temporary actor per model request, a child of the session that asks.

    actor.py      the request through its attempts: `run`
    models.py     what all requests share: providers, HTTP client, credentials
    exchange.py   one attempt over HTTP; its answer is heard in the rounds
    outlet.py     structure on its way to the session, in order; when to hold up the stream
    core.py       pure: hearing an attempt, and what follows a failed one
    retry.py      pure: when to try again
    errors.py     pure: what a provider's error means
    providers.py  pure: which providers there are, and which is meant
    profiles.py   pure: the providers we know, and their habits
    catalogue.py  pure: which models there are
    report.py     pure: one recorded answer, told as JSON
    sse.py        pure: server-sent events
    limits.py     pure: what an answer's headers say of a key's limits
    rendering/    pure: what every wire needs to replay a history that others had a part in
    responses/    pure: the Responses wire; `request` makes bodies, `decode` hears streams
    chat/         pure: the Chat Completions wire, likewise, in each server's dialect
    anthropic/    pure: the Messages wire, likewise
    local/        model servers on this machine, for the command line
    http/         httpx2's transport of ours, whose bodies the rounds can read

A text delta's way: socket → `http.body` → `exchange.Listening` → `core.Hearing` (`sse`, then `responses.decode`) → the
open text, which the feed shows to the clients. No task wakes for it. Structure goes on from `Listening` through
`outlet` into the session's mailbox.
"""
