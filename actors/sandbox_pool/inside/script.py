"""One script in one engine: bytes in, bytes out, and no system call of its own.

A worker feeds it from a socket; tests and simulations feed it directly. Everything the script asks for leaves as the
text of a frame, and every answer comes in as text: no Python object is ever within its reach, and an exception of the
script's is described inside the engine, where its getters run under the limits.

The engine's own time limit counts from each call anew, so the budget is kept here, between jobs; a native loop escapes
both, and is ended by the kernel (RLIMIT_CPU) or by the daemon's clock.
"""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import _quickjs

from .checks import prepare
from .protocol import HEADER, PREFIX, PRELUDE_LINE
from .refusal import Refusal

_PRELUDE = (Path(__file__).parent / "prelude.js").read_text(encoding="utf-8")
_POSITION = re.compile(r"\((\d+):(\d+)\)")
REARM_SECONDS = 0.05
"""The engine is told its remaining time when so much of it was used since; a job that takes longer is stopped later."""

ALLOCATION_SLACK = 4 * 1024 * 1024
"""What the prelude itself takes of the heap, and room to describe an error in after the rest is used up."""


class Script:
    """Made once in the zygote; `start` and `settle` then each give the frame to send."""

    def __init__(self) -> None:
        self._context = _quickjs.Context()
        self._host = self._context.eval("\n" * PRELUDE_LINE + _PRELUDE)
        self._cpu = 0.0
        self._began = 0.0

    def collect(self) -> None:
        """What the prelude has left as garbage: once, before forks. The engine has Python collect its own as well."""
        self._context.gc()

    def start(self, frame: bytes) -> bytes:
        """Check and run the script of a first frame until it waits or ends."""
        self._began = time.process_time()
        cpu, memory, stack, source_bytes, length = HEADER.unpack_from(frame)
        config, source = frame[HEADER.size : HEADER.size + length], frame[HEADER.size + length :]
        self._cpu = cpu / 1000
        try:
            script = prepare(source, source_bytes)
        except Refusal as refusal:
            return _refused(refusal.code, refusal.message, refusal.line, refusal.column)
        except RecursionError:
            return _refused("syntax", "the script is nested too deeply", 0, 0)
        self._context.set_memory_limit(memory + ALLOCATION_SLACK)
        self._context.set_max_stack_size(stack)
        try:
            self._host("init", config.decode())
            self._arm()
            main = self._context.eval(f"{PREFIX}{script}\n}})")
        except _quickjs.JSException as error:
            return _syntax_error(str(error), script)
        return self._pump("main", main)

    def settle(self, frame: bytes) -> bytes:
        """Tell the script what has ended, and run it until it waits or ends."""
        return self._pump("settle", frame.decode())

    def _pump(self, verb: str, argument: object) -> bytes:
        try:
            self._arm()
            self._host(verb, argument)
            armed = time.process_time()
            run = self._context.execute_pending_job
            while run():
                now = time.process_time()
                if now - armed > REARM_SECONDS:
                    self._arm()
                    armed = now
            self._arm()
            text: str = self._host("drain")
            return text.encode()
        except (_quickjs.JSException, _OutOfTimeError) as error:
            text = str(error)
            if isinstance(error, _OutOfTimeError) or self._left() <= 0 or "interrupted" in text:
                return self._give_up("cpu", f"the script has used its {self._cpu:g} s of processor time")
            if "out of memory" in text:
                return self._give_up("memory", "the script has used up its memory")
            return self._give_up("engine", text[:300])

    def _give_up(self, code: str, message: str) -> bytes:
        """The last frame, with what was printed before, if the engine can still say it."""
        outcome = json.dumps({"code": code, "message": message})
        try:
            self._context.set_memory_limit(-1)  # the address space is limited as well
            self._context.set_time_limit(LAST_WORDS_SECONDS)
            last_words: str = self._host("give up", outcome)
            return last_words.encode()
        except _quickjs.JSException:
            return _ended(code, message)

    def _left(self) -> float:
        return self._cpu - (time.process_time() - self._began)

    def _arm(self) -> None:
        left = self._left()
        if left <= 0:
            raise _OutOfTimeError
        self._context.set_time_limit(left)


LAST_WORDS_SECONDS = 0.1
"""To hand over what was printed; it takes a millisecond."""


class _OutOfTimeError(Exception):
    pass


def _ended(code: str, message: str) -> bytes:
    return json.dumps({"state": "exceeded", "outcome": {"code": code, "message": message}, "asked": []}).encode()


def _refused(code: str, message: str, line: int, column: int) -> bytes:
    outcome = {"code": code, "message": message, "line": line, "column": column}
    return json.dumps({"state": "refused", "outcome": outcome, "asked": []}).encode()


def _syntax_error(text: str, script: str) -> bytes:
    message = text.partition("\n")[0].removeprefix("SyntaxError: ")[:300]
    position = _POSITION.search(text)
    if position is None:
        return _refused("syntax", message, 0, 0)
    line, column = int(position[1]), int(position[2])  # the prelude has written them, and knows of the prefix
    before = "".join(script.split("\n")[line - 1 : line]).encode()[: column - 1]
    if len(before) == column - 1:  # the engine counts bytes
        column = len(before.decode("utf-8", "ignore")) + 1
    return _refused("syntax", message, line, column)
