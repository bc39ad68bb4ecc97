"""One daemon and one model for all tests of a module that do not need to kill it; homes of their own for the others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.daemon import SOON_OVER, DaemonProcess, daemon_process
from tests.system.model import ScriptedModel, scripted_model

PROVIDERS = """
# given up on soon: one retry, and a short silence is long enough
[model_providers.fragile]
base_url = "{url}"
request_max_retries = 1
stream_idle_timeout_ms = 400

[model_providers.keyless]
base_url = "{url}"
env_key = "NO_SUCH_KEY_IN_THE_ENVIRONMENT"

# nobody listens there
[model_providers.nowhere]
base_url = "http://127.0.0.1:1/v1"
request_max_retries = 0
"""
"""In the configuration of the shared daemon, beside the model of its command line."""


@pytest.fixture(scope="package")
def model() -> Iterator[ScriptedModel]:
    """What the daemons of these tests talk to."""
    with scripted_model() as model:
        yield model


@pytest.fixture(scope="package")
def shared(model: ScriptedModel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    """A running daemon that several tests use."""
    home = tmp_path_factory.mktemp("shared") / "home"
    home.mkdir()
    (home / "config.toml").write_text(PROVIDERS.format(url=model.url))
    with daemon_process(home, [*model.flags(), *SOON_OVER]) as daemon:
        yield daemon


@pytest.fixture
def daemon(shared: DaemonProcess) -> Iterator[DaemonProcess]:
    """The shared daemon; whatever a test does to it, it must be the same process afterwards, and serve."""
    before = shared.address
    yield shared
    assert shared.process is not None
    assert shared.process.poll() is None, f"the daemon died: {shared.printed()}"
    assert shared.address == before


@pytest.fixture
def lone(model: ScriptedModel, tmp_path: Path) -> Iterator[DaemonProcess]:
    """A daemon of the test's own, not started yet, that may be killed. Nothing of it may be left at the end."""
    daemon = DaemonProcess(tmp_path / "home", model.flags())
    yield daemon
    daemon.kill()
    daemon.wait_until_gone()


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A folder for a thread to work in."""
    folder = tmp_path / "workspace"
    folder.mkdir()
    return folder
