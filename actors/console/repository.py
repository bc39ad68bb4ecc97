"""The small git repository of the demo: a real bug, a real failing test."""

from __future__ import annotations

import subprocess
from pathlib import Path

FILES = {
    "README.md": """\
# tempo

Durations as people write them: `tempo.seconds("1h 30m")` is 5400.

Run the tests with `python3 -m unittest`.
""",
    "tempo.py": '''\
"""Durations as people write them."""

import re

UNITS = {"d": 86400, "h": 3600, "m": 6, "s": 1}

PART = re.compile(r"(\\d+)\\s*([dhms])")


def seconds(text):
    """How many seconds a text such as "1h 30m" stands for."""
    parts = PART.findall(text.lower())
    if not parts or PART.sub("", text.lower()).strip():
        raise ValueError(f"not a duration: {text!r}")
    return sum(int(number) * UNITS[unit] for number, unit in parts)
''',
    "test_tempo.py": '''\
"""What a duration means."""

import unittest

import tempo


class SecondsTest(unittest.TestCase):
    def test_single_units(self):
        self.assertEqual(tempo.seconds("45s"), 45)
        self.assertEqual(tempo.seconds("2h"), 7200)

    def test_units_add_up(self):
        self.assertEqual(tempo.seconds("1h 30m"), 5400)
        self.assertEqual(tempo.seconds("1d 1m 1s"), 86461)

    def test_nonsense_is_refused(self):
        with self.assertRaises(ValueError):
            tempo.seconds("soon")


if __name__ == "__main__":
    unittest.main()
''',
}

TEST_COMMAND = ("python3", "-m", "unittest")
TEST_SECONDS = 30.0
"""The three tests take a tenth of a second; beyond this something is wrong with the machine."""


def make(folder: Path) -> None:
    """Write the files and commit them. Raises OSError, or CalledProcessError with git's words."""
    folder.mkdir(parents=True)
    for name, text in FILES.items():
        (folder / name).write_text(text)
    identity = ("-c", "user.name=callboard demo", "-c", "user.email=demo@callboard.invalid")
    for words in (("init", "-q"), ("add", "."), (*identity, "commit", "-q", "-m", "Durations as people write them")):
        subprocess.run(("git", *words), cwd=folder, check=True, capture_output=True, text=True)


def tests_pass(folder: Path) -> bool:
    """Run the repository's own tests."""
    done = subprocess.run(TEST_COMMAND, cwd=folder, capture_output=True, text=True, timeout=TEST_SECONDS, check=False)
    return done.returncode == 0
