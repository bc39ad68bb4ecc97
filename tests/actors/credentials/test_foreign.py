"""What is taken over of another program's `auth.json`."""

from __future__ import annotations

import pytest

from actors.credentials.foreign import FILE_BYTES_MAX, TOKENS_STAY, ForeignError, api_key


def test_an_api_key_is_taken_over_and_a_login_beside_it_is_left_with_a_word() -> None:
    key, word = api_key(b'{"auth_mode":"apikey","OPENAI_API_KEY":" sk-mine-123 "}')
    assert (key.reveal(), word) == ("sk-mine-123", None)
    key, word = api_key(b'{"OPENAI_API_KEY":"sk-mine-123","tokens":{"access_token":"at","refresh_token":"rt"}}')
    assert (key.reveal(), word) == ("sk-mine-123", TOKENS_STAY)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b'{"auth_mode":"chatgpt","OPENAI_API_KEY":null,"tokens":{"access_token":"at-secret"}}', TOKENS_STAY),
        (b"{}", "there is no API key in it"),
        (b'{"OPENAI_API_KEY":"  "}', "there is no API key in it"),
        (b'{"OPENAI_API_KEY":["sk-secret"]}', "it is no auth.json: a JSON object with OPENAI_API_KEY is expected"),
        (b'{"OPENAI_API_KEY":"sk-sec', "it is no auth.json: a JSON object with OPENAI_API_KEY is expected"),
        (b'"\xff"', "it is no auth.json: a JSON object with OPENAI_API_KEY is expected"),
        (b" " * (FILE_BYTES_MAX + 1), f"it is larger than {FILE_BYTES_MAX} bytes"),
    ],
)
def test_what_holds_no_key_says_why_and_quotes_nothing(data: bytes, why: str) -> None:
    with pytest.raises(ForeignError) as refused:
        api_key(data)
    assert str(refused.value) == why
