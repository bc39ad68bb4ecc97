"""Each test of a tool has a hard deadline and leaves no thread and no process."""

from __future__ import annotations

from tests.watched import watched as watched
