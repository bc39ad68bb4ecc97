"""What stands where a client looks for the original binary: callboard, with everything that is said written down.

    python shim.py RECORD CALLBOARD ARGUMENTS…      runs `CALLBOARD ARGUMENTS…`

Standard input and output pass line by line as they are; each line goes to the file RECORD as well. Nothing but the
standard library: clients start this in environments of their own.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from types import FrameType
from typing import IO


class Record:
    """Lines, as they pass."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._conn = f"p{os.getpid()}"

    def keep(self, direction: str, line: bytes) -> None:
        """One line of the client (c2s) or the daemon (s2c). Appended whole, whoever else writes."""
        text = {"conn": self._conn, "dir": direction, "data": line.decode("utf-8", "replace")}
        os.write(self._file, json.dumps(text).encode() + b"\n")


def main(record_path: str, *command: str) -> int:
    """The exit code of what was run."""
    record = Record(record_path)
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def stop(number: int, _frame: FrameType | None) -> None:
        process.send_signal(number)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    assert process.stdin is not None
    assert process.stdout is not None
    threading.Thread(target=_speak, args=(record, process.stdin), daemon=True).start()
    for line in process.stdout:
        record.keep("s2c", line)
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()
    return process.wait()


def _speak(record: Record, stdin: IO[bytes]) -> None:
    try:
        for line in sys.stdin.buffer:
            record.keep("c2s", line)
            stdin.write(line)
            stdin.flush()
        stdin.close()
    except BrokenPipeError:
        pass  # it has ended; so shall we


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
