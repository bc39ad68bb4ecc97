"""Types are erased in place, and whatever cannot be is refused with its line."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.sandbox_pool.inside.checks import prepare
from actors.sandbox_pool.inside.refusal import Refusal
from actors.sandbox_pool.inside.typescript import erase_types
from tests.actors.sandbox_pool.programs import PIECES, programs


def refusal(source: str | bytes) -> tuple[str, int, int]:
    with pytest.raises(Refusal) as caught:
        prepare(source if isinstance(source, bytes) else source.encode(), 20480)
    assert caught.value.message
    return caught.value.code, caught.value.line, caught.value.column


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("const a: number = 1", "const a         = 1"),
        ("let x = y as any;", "let x = y       ;"),
        ("a!.b", "a .b"),
        ("f<T>(a)", "f   (a)"),
        ("let y: any\n[0]", "let y     \n[0]"),
        ("type\nA = 5 as B", "type\nA = 5     "),
        ("class A { readonly\n b = 1 }", "class A { readonly\n b = 1 }"),
        ("x = 1\ntype A = {\n  b: 1 }\n[2]", "x = 1\n;         \n        \n[2]"),
        ("class A { x\n private y = 1 }", "class A { x\n ;       y = 1 }"),
        ("(a: B): {\n c: 1\n} => a", "(a       \n     \n) => a"),
        ("async <\n T>(a) => a", "async (\n    a) => a"),
        ("function f(this: T, a?: U) {}", "function f(         a    ) {}"),
        ("const é: 'ü' = 1 // x as y", "const é      = 1 // x as y"),
        ("'a as b'; `c as ${d as E}`", "'a as b'; `c as ${d     }`"),
    ],
)
def test_what_is_left_stands_where_it_stood(source: str, expected: str) -> None:
    assert erase_types(source) == expected


def test_a_program_without_types_is_left_as_it_is() -> None:
    source = "const type = {as: 1}\nfor (const satisfies of [type]) { await satisfies.as }\n"
    assert erase_types(source) == source


@pytest.mark.parametrize(
    ("source", "code", "line", "column"),
    [
        ("\nenum E { A }", "typescript", 2, 1),
        ("const enum E { A }", "typescript", 1, 1),
        ("namespace N { }", "typescript", 1, 1),
        ("module M { }", "typescript", 1, 1),
        ("@d class A {}", "typescript", 1, 1),
        ("class A {\n  constructor(private a: number) {} }", "typescript", 2, 15),
        ("class A { constructor(readonly a: number) {} }", "typescript", 1, 23),
        ("let é = <any>b", "typescript", 1, 9),
        ("import x from 'y'", "typescript", 1, 1),
        ("import type { x } from 'y'", "typescript", 1, 1),
        ("import y = require('y')", "typescript", 1, 1),
        ("export const a = 1", "typescript", 1, 1),
        ("const f = g<T>;", "typescript", 1, 11),
        ("y as any\n[0]", "ambiguous", 2, 1),
        ("y as any\n(0, 5)", "ambiguous", 1, 1),
        ("interface\nA {}", "ambiguous", 1, 1),
        ("tag<T>`x`", "ambiguous", 1, 6),
        ("a < b > c", "ambiguous", 1, 7),
        ("const a = = 1", "syntax", 1, 9),
        ("const a = {\n b: 1", "syntax", 1, 1),
        ("});evil();(async()=>{", "syntax", 1, 1),
        ("const a = import('x')", "forbidden", 1, 11),
        ("import.meta", "forbidden", 1, 1),
        ("const fs = require('fs')", "forbidden", 1, 12),
        ("\n\n  eval('1')", "forbidden", 3, 3),
        ("(0, eval)('1')", "forbidden", 1, 5),
        ("globalThis.eval('1')", "forbidden", 1, 12),
        ("new Function('a')", "forbidden", 1, 5),
        ("\\u0065val('1')", "forbidden", 1, 1),
        ("\\u{65}val('1')", "forbidden", 1, 1),
        ("`${eval('1')}`", "forbidden", 1, 4),
    ],
)
def test_what_is_not_run_says_where_and_why(source: str, code: str, line: int, column: int) -> None:
    assert refusal(source) == (code, line, column)


@pytest.mark.parametrize(
    "source",
    [
        "const note = 'eval(1) import x require(y)' // Function",
        "const r = /eval[(]1[)]/; const f = (a: Function) => a instanceof Function",
        "const o = { eval: 1, require: 2, import: 3 }; return o.eval + o.require + o.import",
        "const t = `import`; /* require */ return t",
    ],
)
def test_a_word_that_is_no_use_of_the_name_is_no_reason_to_refuse(source: str) -> None:
    prepare(source.encode(), 20480)


def test_size_and_encoding_come_first() -> None:
    assert refusal(b"x" * 20481) == ("too_large", 0, 0)
    assert refusal(b"a\nb\xff") == ("encoding", 2, 1)
    assert refusal("a\nb\0c") == ("encoding", 2, 2)


@given(st.lists(st.sampled_from([*PIECES, *"<>()[]{}=?:!,;\n", " as ", "é", "\u2028", "=>", "async "]), max_size=12))
def test_anything_is_erased_or_refused_and_lines_stay(parts: list[str]) -> None:
    source = "".join(parts)
    try:
        result = erase_types(source)
    except Refusal as problem:
        result, line = "", problem.line
    else:
        line = 1
    assert 1 <= line <= source.count("\n") + 1
    if result:
        assert [len(line) for line in result.split("\n")] == [len(line) for line in source.split("\n")]
        assert all(new in (old, " ", ";", "(", ")") for old, new in zip(source, result, strict=True))


# --- TypeScript's own parser as the judge -----------------------------------------------------------------------------


def oracle(pairs: list[tuple[str, str | None]]) -> list[dict[str, object]]:
    """What ts-blank-space says; skips where it is not installed."""
    modules = os.environ.get("CALLBOARD_NODE_MODULES", "")
    node = shutil.which("node")
    if node is None or not modules or not Path(modules, "ts-blank-space").is_dir():
        pytest.skip("needs node and CALLBOARD_NODE_MODULES, a node_modules folder with ts-blank-space")
    script = Path(__file__).with_name("oracle.mjs")
    run = subprocess.run([node, script, modules], input=json.dumps(pairs), capture_output=True, text=True, check=True)
    answers: list[dict[str, object]] = json.loads(run.stdout)
    return answers


def erased(source: str) -> str | None:
    try:
        return erase_types(source)
    except Refusal:
        return None


def test_every_piece_alone_is_erased_as_typescript_would() -> None:
    pairs = [(piece, erased(piece)) for piece in PIECES]
    assert [piece for (piece, result), answer in zip(pairs, oracle(pairs), strict=True) if not answer["same"]] == []
    assert all(result is not None for _, result in pairs)


@pytest.mark.parametrize("seed", range(3))
def test_a_program_means_what_typescript_says_or_is_refused(seed: int) -> None:
    pairs = [(program, erased(program)) for program in programs(500, seed)]
    answers = list(zip(pairs, oracle(pairs), strict=True))
    assert [pair for pair, answer in answers if answer["same"] is False] == []
    refused = sum(result is None and answer["valid"] is True for (_, result), answer in answers)
    assert refused < len(pairs) / 10, "refusing is for the rare case"


BODY_OF_A_DECLARATION = re.compile(r"declare function [^\n]*\n\{")
"""An error of TypeScript's (1183) that its parser does not tell: it takes the block behind for the function's body."""


def test_what_is_erased_is_erased_byte_for_byte_as_typescript_would() -> None:
    """Only where a `;` or a parenthesis is left to keep neighbours apart may the two differ: each has its own place."""
    sources = [source for source in (*PIECES, *programs(1000, 9)) if not BODY_OF_A_DECLARATION.search(source)]
    pairs = [(source, erased(source)) for source in sources]
    compared = 0
    for (source, ours), answer in zip(pairs, oracle(pairs), strict=True):
        if ours is None or not answer["valid"] or not answer["erasable"]:
            continue
        theirs = str(answer["expected"])
        apart = [(x, y) for x, y in zip(ours, theirs, strict=True) if x != y and not {x, y} <= set(" ;()")]
        assert apart == [], source
        compared += 1
    assert compared > len(pairs) * 9 // 10
