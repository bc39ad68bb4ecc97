"""Which variables a command sees: the policy's steps, one by one and in their order."""

from __future__ import annotations

import pytest

from actors.tool_worker.environment import inherited
from messages.settings import EnvironmentPolicy

DAEMON = {"PATH": "/bin", "HOME": "/root", "LANG": "C", "API_KEY": "k", "my_token": "t", "EDITOR": "vi"}


@pytest.mark.parametrize(
    ("policy", "kept"),
    [
        (EnvironmentPolicy(), set(DAEMON)),
        (EnvironmentPolicy(inherit="core"), {"PATH", "HOME"}),
        (EnvironmentPolicy(inherit="none"), set()),
        (EnvironmentPolicy(ignore_default_excludes=False), {"PATH", "HOME", "LANG", "EDITOR"}),
        (EnvironmentPolicy(exclude=("l*", "EDIT??")), {"PATH", "HOME", "API_KEY", "my_token"}),
        (EnvironmentPolicy(include_only=("PATH", "*KEY")), {"PATH", "API_KEY"}),
        (EnvironmentPolicy(set={"A_SECRET": "1"}, ignore_default_excludes=False, inherit="none"), {"A_SECRET"}),
        (EnvironmentPolicy(set={"EXTRA": "1"}, include_only=("PATH",)), {"PATH"}),
    ],
)
def test_each_step_of_the_policy_keeps_what_it_says(policy: EnvironmentPolicy, kept: set[str]) -> None:
    assert set(inherited(DAEMON, policy)) == kept


def test_a_value_that_is_set_wins_over_the_inherited_one() -> None:
    policy = EnvironmentPolicy(inherit="core", exclude=("PATH",), set={"PATH": "/ours", "X": "1"})
    assert inherited(DAEMON, policy) == {"HOME": "/root", "PATH": "/ours", "X": "1"}
