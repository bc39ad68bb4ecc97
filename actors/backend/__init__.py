"""The backend behind a ChatGPT login: limits and use, the account, and tasks that ran elsewhere.

    core.py     which URL, what an answer means, what a failure is called (pure)
    client.py   one GET with the credentials actor's headers: renewed once, retried, bounded

There is no actor of its own: nothing is kept between two questions, so a client is made for each and asked by whoever
needs it. docs/backend.md says what of it people see.
"""
