"""What a client asks of the sandbox, and what holds when it asks for nothing."""

from __future__ import annotations

import pytest

from actors.gateway.rpc import RpcError
from actors.gateway.sandbox import mode_in_force, policy_patch, sandbox_in_force
from actors.ports.processes import SpawnError
from actors.tool_worker.confinement.mechanism import ConfinementReport
from messages.client.sandbox import SandboxPolicy
from messages.settings import PermissionSettings, SandboxMode, Settings
from messages.settings.project import ProjectSettings
from tests.simulation.programs import CONFINEMENT

NOTHING = ConfinementReport(mechanism="none")


class Machine:
    """The part of the processes port that is asked."""

    def __init__(self, report: ConfinementReport | None) -> None:
        self._report = report

    async def spawn(self, request: object) -> object:
        raise AssertionError("nothing is started here")

    async def confinement(self) -> ConfinementReport:
        if self._report is None:
            raise SpawnError("there is no launcher")
        return self._report


@pytest.mark.parametrize(
    ("mode", "cwd", "report", "expected"),
    [
        ("read-only", "/good", NOTHING, "read-only"),
        (None, "/good/in", CONFINEMENT, "workspace-write"),
        (None, "/bad", CONFINEMENT, "read-only"),
        (None, "/unknown", CONFINEMENT, "danger-full-access"),
        (None, "/good", NOTHING, "danger-full-access"),
        (None, "/bad", None, "read-only"),
    ],
)
async def test_a_setting_comes_first_then_trust_then_what_can_be_enforced(
    mode: SandboxMode | None, cwd: str, report: ConfinementReport | None, expected: SandboxMode
) -> None:
    projects = {"/good": ProjectSettings(trust_level="trusted"), "/bad": ProjectSettings(trust_level="untrusted")}
    settings = Settings(sandbox_mode=mode, projects=projects)
    assert await mode_in_force(Machine(report), settings, cwd) == expected  # type: ignore[arg-type]  # starts nothing


def test_a_policy_says_all_of_it_and_a_profile_only_the_mode() -> None:
    policy = SandboxPolicy(type="workspaceWrite", writable_roots=("/a",), exclude_slash_tmp=True)
    assert policy_patch(policy) == {
        "sandbox_mode": "workspace-write",
        "writable_roots": ("/a",),
        "network_access": False,
        "exclude_tmpdir_env_var": False,
        "exclude_slash_tmp": True,
    }
    assert policy_patch(policy, ":read-only") == {"sandbox_mode": "read-only"}
    assert policy_patch(SandboxPolicy(type="readOnly", network_access=True))["network_access"] is True
    assert policy_patch(SandboxPolicy(type="externalSandbox")) == {"sandbox_mode": "danger-full-access"}
    assert policy_patch(None) == {}
    with pytest.raises(RpcError, match="is not an absolute path"):
        policy_patch(SandboxPolicy(type="workspaceWrite", writable_roots=("a",)))
    with pytest.raises(RpcError, match=r"there is no permission profile ':mine'; known are :read-only, .*, own"):
        policy_patch(policy, ":mine", {"own": PermissionSettings()})


async def test_a_profile_of_the_settings_comes_before_what_was_said_of_the_folder() -> None:
    projects = {"/good": ProjectSettings(trust_level="trusted")}
    own = {"own": PermissionSettings(filesystem={"/data": "write"})}
    for chosen, mode in (
        (":read-only", "read-only"),
        (":danger-full-access", "danger-full-access"),
        ("own", "read-only"),
    ):
        settings = Settings(default_permissions=chosen, permissions=own, projects=projects)
        fields = await sandbox_in_force(Machine(None), settings, "/good")  # type: ignore[arg-type]  # starts nothing
        assert fields["sandbox_mode"] == mode
    assert await sandbox_in_force(Machine(CONFINEMENT), Settings(projects=projects), "/good") == {  # type: ignore[arg-type]  # as above
        "sandbox_mode": "workspace-write"
    }
