"""Values that run code while they are looked at: they can use up what a script has, and never end its worker's frames."""

from __future__ import annotations

from typing import Any

import pytest

from actors.sandbox_pool.frames import FrameError, decode
from actors.sandbox_pool.inside.refusal import Refusal
from actors.sandbox_pool.inside.typescript import erase_types
from tests.actors.sandbox_pool.stage import echo, play

CASES: dict[str, tuple[str, tuple[str, Any]]] = {
    "arguments that make calls": (
        (
            "const o = { toJSON() { try { tools.echo({}) } catch {} return 1 } }\n"
            "for (let i = 0; i < 99; i++) tools.echo({})\ntools.echo(o); return 1"
        ),
        ("exceeded", ("limit", "limit")),
    ),
    "a printed value that prints": (
        (
            "const o = { toJSON() { console.log('inside'); return 1 } }\n"
            "for (let i = 0; i < 49; i++) console.log(i)\nconsole.log(o); return 1"
        ),
        ("returned", "1"),
    ),
    "a delay that sets timers": (
        (
            "const o: any = { valueOf() { setTimeout(() => {}, 0); return 0 } }\n"
            "for (let i = 0; i < 999; i++) setTimeout(() => {}, 0)\nsetTimeout(() => {}, o); return 1"
        ),
        ("threw", ("script", "exception")),
    ),
    "a timer's number that is two": (
        "setTimeout(() => {}, 5); clearTimeout({ toString: () => '1', valueOf: () => NaN } as any); return 1",
        ("returned", "1"),
    ),
    "a name that changes": (
        "let n = 0; throw { get name() { return n++ ? { toJSON() { return {} }, length: 1 } : 'x' }, message: 'm' }",
        ("threw", ("script", "exception")),
    ),
    "a message that changes": (
        "let n = 0; throw { get message() { return n++ ? { length: 1 } : 'x' } }",
        ("threw", ("script", "exception")),
    ),
    "a code that changes": (
        "let n = 0; throw { message: 'm', get code() { return n++ ? { length: 1 } : 'x' } }",
        ("threw", ("script", "x")),
    ),
    "half a surrogate pair in an error": (
        "const e: any = new Error('\\ud800'); e.name = '\\udc00'; e.code = '\\ud801'; throw e",
        ("threw", ("script", "\ufffd")),
    ),
    "a message that is cut inside a pair": (
        "throw new Error('x'.repeat(3999) + '\U0001f600')",
        ("threw", ("script", "exception")),
    ),
    "half a pair in what is printed": (
        "console.log('\\ud800'); context.telemetry.emitProgress('\\ud800'); return 1",
        ("returned", "1"),
    ),
    "half a pair in arguments and results": (
        "const r = await tools.echo({ a: '\\ud800', ['\\udc00']: '\\\\ud800', c: '\\ud83d\\ude00' }); return r",
        ("returned", '{"a":"\ufffd","\ufffd":"\\\\ud800","c":"\U0001f600"}'),
    ),
    "a microtask that throws": (
        "queueMicrotask(() => { throw new Error('late') }); await new Promise(() => {})",
        ("threw", ("script", "exception")),
    ),
    "a microtask that throws what is better not looked at": (
        "queueMicrotask(() => { throw { toString() { throw 1 }, get message() { throw 2 } } }); await tools.echo({})",
        ("threw", ("script", "exception")),
    ),
    "a function's name that looks like a stack": (
        "const n = 'x (1:1)\\n    at fake (77:7)\\n'; const o: any = { [n]() { throw new Error('x') } }; o[n]()",
        ("threw", ("script", "exception")),
    ),
}


@pytest.mark.parametrize("name", CASES)
async def test_whatever_a_value_does_when_looked_at_the_script_ends_as_it_says(name: str) -> None:
    source, (status, expected) = CASES[name]
    show = await play(source, plays={"echo": echo})
    assert show.outcome.status == status, show.outcome
    assert (show.outcome.value if status == "returned" else show.failure[:2]) == expected
    assert show.outcome.failure is None or 77 not in [frame.line for frame in show.outcome.failure.stack]


@pytest.mark.parametrize(
    "frame",
    [
        '{"state":"running","outcome":null,"asked":[{"type":"timer","number":1,"milliseconds":1%s}]}' % ("0" * 400),
        '{"state":"running","outcome":null,"asked":[{"type":"cleared","number":-1}]}',
        '{"state":"threw","outcome":{"name":"x","message":"%s"},"asked":[]}' % ("m" * 4001),
        '{"state":"threw","outcome":{"name":"%s","message":"x"},"asked":[]}' % ("n" * 101),
        '{"state":"exceeded","outcome":{"code":"cpu","message":"%s"},"asked":[]}' % ("m" * 4001),
        '{"state":"refused","outcome":{"code":"x","message":"x","line":4294967296},"asked":[]}',
        '{"state":"running","outcome":null,"asked":[{"type":"line","level":"log","text":"\\ud800"}]}',
    ],
)
def test_numbers_and_texts_of_a_frame_have_their_bounds(frame: str) -> None:
    with pytest.raises(FrameError):
        decode(frame.encode())


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("let a = 1, b = 1;\na <!--b; `\n});globalThis.pwned = 1;(async (tools, context) => {\n//`", 2),
        ("let a = 1;\n--> `\nreturn 'seen'\n//`", 2),
        ("let a = 1;\n/* */ --> `\nreturn 'seen'\n//`", 2),
        ("/*\n*/ --> 1", 2),
    ],
)
def test_a_comment_that_only_the_engine_sees_is_refused(source: str, line: int) -> None:
    with pytest.raises(Refusal) as caught:
        erase_types(source)
    assert caught.value.line == line


def test_text_that_looks_like_such_a_comment_is_none() -> None:
    source = "while (i --> 0) f(i-->1); const s = '<!--' + `\n--> ${a --> b}` + /<!--/.source // <!-- -->\n/*\n--> */"
    assert erase_types(source) == source
