"""Every script of the recorded study: whatever it was written to break stays whole."""

from __future__ import annotations

import ast
from typing import Any

import pytest
import trio

from actors.sandbox_pool.running import Gate
from tests.actors.sandbox_pool.security.jail import QUICK, jail
from tests.actors.sandbox_pool.stage import echo
from tests.reference import reference_path

AT_ONCE = 3

ENDS = frozenset(("returned", "threw", "refused", "exceeded", "deadlocked"))
"""Of a script that lives on in its worker; "crashed" besides for those that fill their memory from native code."""

NO_CODE = frozenset(
    (
        *("asyncctor", "genctor", "asyncgen", "Reflect.construct", "eval", "indirect eval", "fnproto"),
        *("class ext Function", "bound", "import", "escape wrapper"),
    )
)
VALUES = {
    "basic": '"ls"',
    "all": "[1,2,3]",
    "thenable many": "0",
    "toJSON ret": "7",
    "proxy ret": '{"a":5}',
    "instanceof": "true",
    "AFproto": '"Function"',
    "class method": '"A!"',
    "tostring assign": '"X"',
    "undef": "null",
    "stack walk": '"    at script (1:13)\\n"',
}


def scripts(file: str, variable: str) -> dict[str, str]:
    """A dictionary of texts in the reference's Python, without running any of the rest."""
    tree = ast.parse(reference_path(f"sandbox/poc/{file}").read_text())
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Assign)
            and ast.unparse(node.targets[0]) == variable
            and isinstance(node.value, ast.Dict)
        ):
            found: dict[str, str] = eval(compile(ast.Expression(node.value), file, "eval"), {})  # constants
            return found
    pytest.fail(f"{file} has no {variable}")


async def wrapped(arguments: Any, gate: Gate) -> object:
    """What the study's tools answer."""
    return {"echo": await echo(arguments, gate)}


async def outcomes(sources: dict[str, str]) -> dict[str, tuple[str, str | None]]:
    """How each ended, and what it returned."""
    ended: dict[str, tuple[str, str | None]] = {}
    gate = trio.CapacityLimiter(AT_ONCE)
    async with jail() as place, trio.open_nursery() as nursery:

        async def run(name: str, source: str) -> None:
            async with gate:
                outcome = (
                    await place.run(source, limits=QUICK, plays={"exec": wrapped, "read": wrapped}, alone=False)
                ).outcome
                ended[name] = outcome.status, outcome.value

        for name, source in sources.items():
            nursery.start_soon(run, name, source)
    return ended


@pytest.mark.reference
async def test_every_recorded_attack_is_contained() -> None:
    sources = scripts("attacks.py", "A")
    assert len(sources) >= 80
    ended = await outcomes(sources)
    assert {name: status for name, (status, _) in ended.items() if status not in (*ENDS, "crashed")} == {}
    loops = [name for name in ended if "loop" in name and name != "includes loop native"]
    assert {ended[name][0] for name in loops} <= {"exceeded", "threw", "deadlocked"}, ended
    assert {name for name, (status, _) in ended.items() if status == "crashed"} <= {
        "fill arraylike",  # a write to a null pointer, known of the engine: the worker alone dies of it
        "mem array len",
    }


@pytest.mark.reference
async def test_every_recorded_trick_with_the_language_fails() -> None:
    sources = scripts("t_basic.py", "tests")
    assert len(sources) >= 60
    ended = await outcomes(sources)
    assert {name: status for name, (status, _) in ended.items() if status not in ENDS} == {}
    assert {name for name in NO_CODE if ended[name][0] not in ("threw", "refused")} == set()
    assert {name: ended[name][1] for name in VALUES} == VALUES
