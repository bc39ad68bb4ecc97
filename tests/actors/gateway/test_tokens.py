"""The attack table on signed tokens: what was tried, and that it does not count."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.gateway import registry
from actors.gateway.failures import FREE, LONGEST_SECONDS, Failures
from actors.gateway.http_head import Door, Head, Refusal, judge
from actors.gateway.registry import TokenError
from actors.gateway.tokens import BadToken, Claims, sign, verify
from actors.ports import Ports
from messages.access import Identity
from tests.simulation import World

KEY = bytes(range(32))
NOW = 1_800_000_000.0
CLAIMS = Claims(iss="callboard", sub="ci", jti="3f", iat=int(NOW) - 10, exp=int(NOW) + 3600, scope="observe drive")
TOKEN = sign(CLAIMS, KEY)


def part(value: Any) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def forged(header: Any = None, claims: Any = None, *, key: bytes = KEY, digest: Any = hashlib.sha256) -> str:
    """Well signed, whatever it says: to see that what is signed is looked at, too."""
    given = {name: getattr(CLAIMS, name) for name in CLAIMS.__struct_fields__}
    signed = f"{part(header or {'alg': 'HS256', 'typ': 'JWT'})}.{part(given | (claims or {}))}"
    return f"{signed}.{part(hmac.new(key, signed.encode(), digest).digest())}"


def test_a_token_says_who_it_is() -> None:
    assert verify(TOKEN, KEY, NOW) == Identity(
        name="ci", scopes=frozenset({"observe", "drive"}), token_id="3f", expires_at=NOW + 3600
    )
    assert verify(forged(), KEY, NOW) == verify(TOKEN, KEY, NOW)  # what other libraries write is the same


HEADER, PAYLOAD, MAC = TOKEN.split(".")
WITHOUT_EXP = {name: getattr(CLAIMS, name) for name in CLAIMS.__struct_fields__ if name != "exp"}

ATTACKS = {
    "alg none, no signature": f"{part({'alg': 'none', 'typ': 'JWT'})}.{PAYLOAD}.",
    "alg None, no signature": f"{part({'alg': 'None'})}.{PAYLOAD}.",
    "alg none, old signature": f"{part({'alg': 'none'})}.{PAYLOAD}.{MAC}",
    "alg none, well signed": forged({"alg": "none", "typ": "JWT"}),
    "alg HS512": forged({"alg": "HS512", "typ": "JWT"}, digest=hashlib.sha512),
    "alg RS256, key as secret": forged({"alg": "RS256", "typ": "JWT"}),
    "a key of its own": forged(
        {"alg": "HS256", "typ": "JWT", "jwk": {"kty": "oct", "k": part(b"x" * 32)}}, key=b"x" * 32
    ),
    "a key by reference": forged({"alg": "HS256", "typ": "JWT", "kid": "../../dev/null"}, key=b""),
    "an empty key": forged(key=b""),
    "another key": sign(CLAIMS, bytes(32)),
    "crit": forged({"alg": "HS256", "typ": "JWT", "crit": ["exp"]}),
    "no signature": f"{HEADER}.{PAYLOAD}.",
    "truncated": TOKEN[:-1],
    "two parts": f"{HEADER}.{PAYLOAD}",
    "four parts": f"{TOKEN}.{MAC}",
    "padding": TOKEN + "=",
    "another spelling of the signature": TOKEN[:-1] + chr(ord(TOKEN[-1]) + 1),
    "a scope added": f"{HEADER}.{part({**WITHOUT_EXP, 'exp': CLAIMS.exp, 'scope': 'admin'})}.{MAC}",
    "expired": forged(claims={"exp": int(NOW) - 61}),
    "no end": f"{HEADER}.{part(WITHOUT_EXP)}."
    + part(hmac.new(KEY, f"{HEADER}.{part(WITHOUT_EXP)}".encode(), hashlib.sha256).digest()),
    "an end that is no number": forged(claims={"exp": "never"}),
    "an end that is null": forged(claims={"exp": None}),
    "for ever": forged(claims={"exp": int(NOW) + 10**9}),
    "from the future": forged(claims={"iat": int(NOW) + 61, "exp": int(NOW) + 100}),
    "another issuer": forged(claims={"iss": "codex"}),
    "no scope": forged(claims={"scope": ""}),
    "a scope nobody knows": forged(claims={"scope": "root"}),
    "nobody": forged(claims={"sub": ""}),
    "no id": forged(claims={"jti": ""}),
    "very long": TOKEN + "." * 5000,
    "not ASCII": TOKEN.replace("e", "é"),
    "empty": "",
    "dots": "..",
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_it_does_not_count(attack: str) -> None:
    assert isinstance(verify(ATTACKS[attack], KEY, NOW), BadToken)


def test_clocks_may_differ_a_little() -> None:
    assert isinstance(verify(TOKEN, KEY, CLAIMS.exp + 59), Identity)
    assert isinstance(verify(TOKEN, KEY, CLAIMS.exp + 60), BadToken)
    assert isinstance(verify(TOKEN, KEY, CLAIMS.iat - 59), Identity)


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda data: data.decode("latin-1")))
def test_no_text_counts_and_none_is_a_defect(text: str) -> None:
    assert isinstance(verify(text, KEY, NOW), BadToken)


@given(st.integers(0, len(TOKEN) - 1), st.characters())
def test_no_single_letter_can_be_changed(at: int, letter: str) -> None:
    changed = TOKEN[:at] + letter + TOKEN[at + 1 :]
    assert changed == TOKEN or isinstance(verify(changed, KEY, NOW), BadToken)


def test_whoever_guesses_is_told_nothing_the_log_is_told_why() -> None:
    door = Door(token="capability", key=KEY)
    upgrade = (
        ("host", "localhost"),
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA=="),
    )

    def answer(token: str) -> Any:
        return judge(Head("GET", "/", (*upgrade, ("authorization", f"Bearer {token}"))), door, NOW)

    refusals = [answer(token) for token in (TOKEN[:-1], forged(claims={"exp": 1}), "nonsense")]
    assert {refusal.body for refusal in refusals if isinstance(refusal, Refusal)} == {"invalid websocket bearer token"}
    assert [refusal.why for refusal in refusals] == ["its signature is not ours", "it has expired", ""]
    assert answer(TOKEN) == verify(TOKEN, KEY, NOW)


# --- the owner's list -----------------------------------------------------------------------------------------------

HOME = "/home"


def made(ports: Ports, **more: Any) -> tuple[registry.TokenEntry, str]:
    given: dict[str, Any] = {"name": "ci", "scopes": ("observe",), "seconds": 3600, "now": NOW} | more
    return registry.make(ports.files, ports.entropy, HOME, **given)


async def listed(ports: Ports) -> str:
    files = ports.files
    files.make_dirs(HOME)
    assert registry.load_key(files, HOME) is None
    entry, token = made(ports)
    key = registry.load_key(files, HOME)
    assert key is not None
    stat = files.stat(f"{HOME}/token.key")
    assert stat is not None
    assert stat.mode == 0o600
    assert isinstance(verify(token, key, NOW), Identity)
    assert registry.valid(files, HOME, entry.id)
    assert not registry.valid(files, HOME, "other")
    other, _ = made(ports, name="phone", scopes=("approve", "observe"))
    assert [each.name for each in registry.entries(files, HOME)] == ["ci", "phone"]
    assert registry.revoke(files, HOME, "phone", now=NOW + 1).revoked_at == int(NOW) + 1
    assert (registry.valid(files, HOME, other.id), registry.valid(files, HOME, entry.id)) == (False, True)
    for wrong in ({"name": ""}, {"name": "a\nb"}, {"seconds": 0}, {"seconds": 10**9}):
        with pytest.raises(TokenError):
            made(ports, **wrong)
    with pytest.raises(TokenError, match="there is no token"):
        registry.revoke(files, HOME, "nobody", now=NOW)
    made(ports)
    with pytest.raises(TokenError, match="several"):
        registry.revoke(files, HOME, "ci", now=NOW)
    files.write(f"{HOME}/tokens.json", b"[{")
    assert not registry.valid(files, HOME, entry.id)  # what cannot be read lets nobody in
    files.remove(f"{HOME}/tokens.json")
    assert not registry.valid(files, HOME, entry.id)
    files.write_atomic(f"{HOME}/token.key", b"00" * 32, mode=0o644)
    with pytest.raises(TokenError, match="others can read"):
        registry.load_key(files, HOME)
    return "done"


def test_a_token_counts_while_it_is_on_the_list() -> None:
    assert World(1).run(listed).result == "done"


def test_failures_cost_more_and_more_time_until_they_are_forgotten() -> None:
    failures = Failures()
    delays = [failures.note(0.0) for _ in range(FREE + 8)]
    assert delays[:FREE] == [0.0] * FREE
    assert delays[FREE : FREE + 3] == [0.1, 0.2, 0.4]
    assert delays[-1] == LONGEST_SECONDS
    assert failures.note(1e6) == 0.0
