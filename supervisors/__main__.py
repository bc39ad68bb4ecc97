"""``python -m supervisors`` is ``callboard``."""

from __future__ import annotations

from supervisors.entry import main

main()
