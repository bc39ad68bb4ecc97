"""What ``callboard doctor`` says of the layers around a script."""

from __future__ import annotations

import errno

import pytest

from actors.console.doctor import scripts_finding
from actors.ports.production.scripts import try_confinement
from actors.ports.scripts import Confinement

LAYERS = {"rlimits": 1, "identity": 1, "no_new_privs": 1, "landlock": 7, "seccomp": 1}


async def test_a_worker_is_asked_what_holds_and_the_answer_is_told() -> None:
    confinement = await try_confinement()
    assert set(confinement.layers) == set(LAYERS)
    assert scripts_finding(confinement).status == ("warning" if confinement.missing else "ok")


@pytest.mark.parametrize("missing", ["landlock", "seccomp"])
def test_a_degraded_kernel_is_named_with_what_it_lacks_and_what_can_be_done(missing: str) -> None:
    layers = {**LAYERS, missing: -errno.ENOSYS}
    finding = scripts_finding(Confinement(layers=layers, missing=(missing,)))
    assert finding.status == "warning"
    assert finding.summary == f"scripts are off: this kernel does not confine them (no {missing})"
    assert finding.details[missing] == "Function not implemented"
    assert missing not in finding.details["held"]
    assert finding.remediation is not None
    assert "without_confinement = true" in finding.remediation
