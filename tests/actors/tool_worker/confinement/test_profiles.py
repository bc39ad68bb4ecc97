"""Permission profiles of the user's own: what they come to for commands and patches, and which are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors.ports.processes import Confinement, SpawnError, SpawnRequest
from actors.settings.layers import SettingsError, file_layer, merge
from actors.tool_worker.confinement.policy import confinement_of, patch_roots
from actors.tool_worker.confinement.profiles import faults, fields_of
from actors.tool_worker.confinement.table import Column
from actors.tool_worker.needs import patch_need
from messages.permissions import PermissionProfile
from messages.session import ThreadSettings
from messages.settings import SandboxMode, Settings
from messages.settings.permission import PermissionSettings
from tests.actors.tool_worker.confinement.test_probes import WAYS, confined_by
from tests.actors.tool_worker.launcher.stage import read_all

BASE = ThreadSettings(provider="p", model="m", cwd="/w", writable_roots=("/old",), network_access=True)
ENVIRONMENT = {"TMPDIR": "/var/tmp/me"}


def profiles(**made: dict[str, Any]) -> dict[str, PermissionSettings]:
    return {name: msgspec.convert(values, PermissionSettings) for name, values in made.items()}


def under(made: dict[str, PermissionSettings], name: str) -> ThreadSettings:
    """A thread under a profile."""
    return msgspec.structs.replace(BASE, **fields_of(made, name))


@pytest.mark.parametrize(
    ("profile", "mode", "writable", "untouched", "network"),
    [
        ({}, "read-only", (), (), False),
        ({"filesystem": {"/data": "write"}}, "read-only", ("/data",), (), False),
        ({"filesystem": {":slash_tmp": "write"}, "network": {"enabled": True}}, "read-only", ("/tmp",), (), True),
        ({"filesystem": {":workspace_roots": "write"}}, "workspace-write", ("/w",), (), False),
        ({"filesystem": {"/": "read", "/data": "write"}}, "read-only", ("/data",), (), False),
        ({"extends": ":workspace"}, "workspace-write", ("/w", "/tmp", "/var/tmp/me"), (), False),
        (
            {
                "extends": ":workspace",
                "workspace_roots": ["/other"],
                "filesystem": {"/w/docs/": "read", ":tmpdir": "read"},
            },
            "workspace-write",
            ("/w", "/other", "/tmp"),
            ("/w/docs",),
            False,
        ),
        (
            {"extends": ":workspace", "workspace_roots": ["/other"], "filesystem": {":workspace_roots": "read"}},
            "read-only",
            ("/tmp", "/var/tmp/me"),
            (),
            False,
        ),
        (
            {"extends": ":danger-full-access", "network": {"enabled": False}},
            "workspace-write",
            ("/w", "/", "/tmp", "/var/tmp/me"),
            (),
            False,
        ),
        (
            {"extends": ":danger-full-access", "filesystem": {"/etc": "read"}},
            "workspace-write",
            ("/w", "/", "/tmp", "/var/tmp/me"),
            ("/etc",),
            True,
        ),
    ],
)
def test_what_a_profile_comes_to(
    profile: dict[str, Any],
    mode: SandboxMode,
    writable: tuple[str, ...],
    untouched: tuple[str, ...],
    *,
    network: bool,
) -> None:
    settings = under(profiles(own=profile), "own")
    confinement = confinement_of(settings, ENVIRONMENT)
    assert confinement is not None
    assert (settings.sandbox_mode, confinement.mode) == (mode, mode)
    assert (confinement.writable, confinement.untouched, confinement.network) == (writable, untouched, network)
    assert settings.profile is not None
    assert settings.profile.id == "own"
    assert set(patch_roots(settings, ENVIRONMENT)) == set(writable), "patches are judged by the same folders"


def test_a_profile_that_forbids_nothing_is_full_access() -> None:
    settings = under(profiles(own={"extends": ":danger-full-access"}), "own")
    assert confinement_of(settings, ENVIRONMENT) is None
    assert settings.profile == PermissionProfile(id="own", extends=":danger-full-access", write=("/",))


def test_what_a_profile_says_itself_comes_before_what_it_extends() -> None:
    made = profiles(
        base={"extends": ":workspace", "filesystem": {"/a": "write", "/b": "write"}, "network": {"enabled": True}},
        own={"extends": "base", "filesystem": {"/b": "read"}, "workspace_roots": ["/c"]},
    )
    assert under(made, "own").profile == PermissionProfile(id="own", extends="base", write=("/c", "/a"), read=("/b",))
    assert under(made, "own").network_access
    closed = profiles(base={"network": {"enabled": True}}, own={"extends": "base", "network": {"enabled": False}})
    assert not under(closed, "own").network_access


def test_what_is_not_to_be_read_is_hidden_whatever_else_the_profile_says() -> None:
    made = profiles(own={"extends": ":danger-full-access", "filesystem": {"/keys": "none"}})
    settings = under(made, "own")
    confinement = confinement_of(settings, ENVIRONMENT)
    assert confinement is not None, "that takes a sandbox"
    assert (confinement.hidden, confinement.network) == (("/keys",), True)
    assert settings.profile is not None
    assert settings.profile.none == ("/keys",)


@pytest.mark.parametrize("way", WAYS)
async def test_hidden_paths_read_as_empty_in_each_sandbox(way: Column, tmp_path: Path) -> None:
    containment, mechanism = WAYS[way]
    keys, token, work = tmp_path / "keys", tmp_path / "token", tmp_path / "work"
    for folder in (keys, work, work / "private"):
        folder.mkdir()
    for secret in (keys / "one", token, work / "private" / "two"):
        secret.write_text("SECRET")
    (work / "link").symlink_to(token)
    confinement = Confinement(
        mode="workspace-write",
        workspace=(str(work),),
        hidden=(str(keys), str(token), str(work / "private"), str(tmp_path / "gone")),
    )
    look = f"cat {token} link; cat {keys}/one private/two; ls -A {keys} private; echo x > private/new; echo x > {token}; echo here"
    request = SpawnRequest(
        argv=("/bin/sh", "-c", look), cwd=str(work), environment={"PATH": "/usr/bin:/bin"}, confinement=confinement
    )
    async with confined_by(mechanism, containment) as (processes, _):
        if way == "landlock alone":
            with pytest.raises(SpawnError, match=r"keeps .* from being read, and Landlock without a mount namespace"):
                await processes.spawn(request)
            return
        process = await processes.spawn(request)
        try:
            said = await read_all(process)
            await process.wait()
        finally:
            await process.aclose()
        assert "SECRET" not in said
        assert said.rstrip().endswith("here")
    assert token.read_text() == "SECRET"
    assert sorted(path.name for path in (work / "private").iterdir()) == ["two"]


def test_patches_keep_what_the_sandbox_keeps() -> None:
    roots, kept = ("/w", "/w/sub", "/data/file"), ("/w/docs",)
    paths = ["/w/a", "/w/docs/a", "/w/.git/a", "/w/sub/.git/a", "/w/sub/a", "/data/file", "/data/filex"]
    need = patch_need([(path, path) for path in paths], roots, "workspace-write", kept=kept)
    assert need.outside == ("/w/docs/a", "/w/.git/a", "/w/sub/.git/a", "/data/filex")


@pytest.mark.parametrize(
    ("made", "path", "text"),
    [
        ({"own": {"extends": "other"}}, ("own", "extends"), "there is no permission profile 'other'; known are"),
        ({"own": {"extends": "own"}}, ("own", "extends"), "it extends itself: own -> own"),
        (
            {"a": {"extends": "b"}, "b": {"extends": "a"}},
            ("a", "extends"),
            "it extends itself: a -> b -> a",
        ),
        ({":own": {}}, (":own",), "names with a colon"),
        ({"own": {"workspace_roots": ["x"]}}, ("own", "workspace_roots"), "'x' is not an absolute path"),
        ({"own": {"filesystem": {"x": "read"}}}, ("own", "filesystem", "x"), "'x' is not an absolute path"),
        ({"own": {"filesystem": {":home": "read"}}}, ("own", "filesystem", ":home"), ":home stands for nothing"),
        ({"own": {"filesystem": {":root": "none"}}}, ("own", "filesystem", ":root"), "by their absolute path"),
        ({"own": {"filesystem": {"/./": "none"}}}, ("own", "filesystem", "/./"), "by their absolute path"),
        ({"own": {"network": {"domains": {"x": "allow"}}}}, ("own", "network", "domains"), "nothing filters hosts"),
    ],
)
def test_a_profile_that_cannot_be_what_it_says_is_refused(
    made: dict[str, dict[str, Any]], path: tuple[str, ...], text: str
) -> None:
    found = faults(profiles(**made))
    assert found[0].path == path
    assert text in found[0].text


FILE = """\
default_permissions = "own"

[permissions.own]
extends = ":workspace"

[permissions.own.filesystem]
"/srv/data" = "write"
"secrets" = "read"
"""


@pytest.mark.parametrize(
    ("before", "after", "line", "text"),
    [
        ("", "", 8, "permissions.own.filesystem.secrets: 'secrets' is not an absolute path"),
        ('"secrets" = "read"', '"/s" = "hide"', 6, "permissions.own.filesystem"),
        ('"secrets" = "read"', '":tmpdir" = "none"', 8, "by their absolute path"),
        ('"own"\n', '"mine"\n', 1, "default_permissions: there is no permission profile 'mine'"),
        ('"own"\n', '":workspace"\nsandbox_mode = "read-only"\n', 1, "say two things of one sandbox"),
        ('extends = ":workspace"', 'extends = "nobody"', 4, "permissions.own.extends: there is no permission profile"),
    ],
)
def test_a_wrong_one_is_named_with_file_and_line(before: str, after: str, line: int, text: str) -> None:
    content = FILE.replace(before, after) if before else FILE
    with pytest.raises(SettingsError) as raised:
        merge("/home", [file_layer("/home/config.toml", content.encode())])
    found = [problem for problem in raised.value.problems if text in problem.text]
    assert [(problem.where, problem.line) for problem in found] == [("/home/config.toml", line)]


def test_a_right_one_is_read() -> None:
    content = FILE.replace('"secrets" = "read"', '"/srv/data/kept" = "read"')
    settings = merge("/home", [file_layer("/home/config.toml", content.encode())]).settings
    assert isinstance(settings, Settings)
    assert fields_of(settings.permissions, "own")["profile"] == PermissionProfile(
        id="own", extends=":workspace", write=("/srv/data",), read=("/srv/data/kept",)
    )
