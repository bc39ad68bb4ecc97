"""Another package of one of our names is found out before it can do harm."""

from __future__ import annotations

from pathlib import Path

import pytest

import messages
from supervisors.names import NameClashError, refuse_name_clashes


def test_alone_in_an_environment_nothing_is_refused() -> None:
    refuse_name_clashes()


def test_a_folder_of_the_same_name_anywhere_on_the_path_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "actors").mkdir()
    (tmp_path / "actors" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(NameClashError, match=str(tmp_path / "actors")):
        refuse_name_clashes()


def test_a_folder_without_code_in_it_clashes_with_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "messages").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    refuse_name_clashes()


def test_an_overwritten_package_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(messages, "__distribution__")
    with pytest.raises(NameClashError, match="'messages'"):
        refuse_name_clashes()
