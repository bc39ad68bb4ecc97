"""Our import names are generic: refuse to run where another distribution claims one of them.

Two ways it happens, both silent: another folder of that name earlier or later on the path, and a wheel installed into
the same folder as ours, which overwrites its ``__init__``. Both are seen from the modules themselves; the metadata of
all installed distributions (which takes longer to read than the rest of the daemon's start) is read only to say whose
fault it is. Source: packages `messages` and `actors` exist on the public index.
"""

from __future__ import annotations

import os
import sys

import actors
import messages
import supervisors

DISTRIBUTION = "callboard"
PACKAGES = (messages, actors, supervisors)


class NameClashError(Exception):
    """Another distribution installs one of our import names; which code would run is a matter of luck."""


def refuse_name_clashes() -> None:
    """Raises NameClashError."""
    for package in PACKAGES:
        ours = os.path.realpath(next(iter(package.__path__)))
        overwritten = getattr(package, "__distribution__", None) != DISTRIBUTION
        elsewhere = [
            folder
            for folder in {os.path.realpath(os.path.join(entry, package.__name__)) for entry in sys.path}
            if folder != ours and os.path.isfile(os.path.join(folder, "__init__.py"))
        ]
        if overwritten or elsewhere:
            raise NameClashError(_explain(package.__name__, (elsewhere or [ours])[0]))


def _explain(name: str, where: str) -> str:
    from importlib.metadata import packages_distributions

    others = [claimant for claimant in packages_distributions().get(name, ()) if claimant.lower() != DISTRIBUTION]
    culprit = f"the package {others[0]!r}" if others else "something else"
    return (
        f"{culprit} installs a module named {name!r} in {where}, as callboard does; give callboard an environment of "
        f"its own{f', or uninstall {others[0]}' if others else ''}"
    )
