"""What is taken over of another program's `auth.json`."""

from __future__ import annotations

import pytest

from actors.credentials.foreign import FILE_BYTES_MAX, ForeignError, read

NO_FILE = "it is no auth.json: a JSON object with OPENAI_API_KEY is expected"


def found(data: bytes) -> tuple[str | None, tuple[str, str | None] | None]:
    had = read(data)
    login = None if had.login is None else (had.login.token.reveal(), had.login.account_id)
    return None if had.key is None else had.key.reveal(), login


def test_the_key_and_the_access_token_are_found_and_never_what_renews_it() -> None:
    assert found(b'{"auth_mode":"apikey","OPENAI_API_KEY":" sk-mine-123 "}') == ("sk-mine-123", None)
    tokens = b'"tokens":{"id_token":"it","access_token":" at ","refresh_token":"rt","account_id":"acc-1"}'
    assert found(b'{"OPENAI_API_KEY":"sk-mine-123",' + tokens + b"}") == ("sk-mine-123", ("at", "acc-1"))
    assert found(b'{"auth_mode":"chatgpt","OPENAI_API_KEY":null,' + tokens + b"}") == (None, ("at", "acc-1"))
    assert "rt" not in repr(read(b'{"OPENAI_API_KEY":null,' + tokens + b"}"))


@pytest.mark.parametrize("data", [b"{}", b'{"OPENAI_API_KEY":"  "}', b'{"tokens":{"access_token":""}}'])
def test_a_file_that_holds_nothing_holds_nothing(data: bytes) -> None:
    assert found(data) == (None, None)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b'{"OPENAI_API_KEY":["sk-secret"]}', NO_FILE),
        (b'{"OPENAI_API_KEY":"sk-sec', NO_FILE),
        (b'"\xff"', NO_FILE),
        (b" " * (FILE_BYTES_MAX + 1), f"it is larger than {FILE_BYTES_MAX} bytes"),
    ],
)
def test_what_is_no_such_file_says_why_and_quotes_nothing(data: bytes, why: str) -> None:
    with pytest.raises(ForeignError) as refused:
        read(data)
    assert str(refused.value) == why
