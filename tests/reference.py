"""Where the recorded reference material is, for the tests that read it. It is not part of the project.

Looked for in $CALLBOARD_REFERENCE, then in ``shared/reference`` beside the checkout. A test that needs it skips with
the reason where it is absent; CI sets CALLBOARD_REQUIRE_REFERENCE=1, and then its absence is a failure.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def reference_root() -> Path | None:
    """The folder, or None where this machine has none."""
    named = os.environ.get("CALLBOARD_REFERENCE")
    root = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "reference"
    return root if root.is_dir() else None


def reference_path(relative: str) -> Path:
    """A path inside the reference folder; skips the test where it is absent."""
    root = reference_root()
    if root is None or not (root / relative).exists():
        reason = f"the reference material {relative!r} is not on this machine (set CALLBOARD_REFERENCE to its folder)"
        if os.environ.get("CALLBOARD_REQUIRE_REFERENCE"):
            pytest.fail(reason)
        pytest.skip(reason)
    return root / relative
