"""The rules on disk: which files count where, and how a rule gets into one."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from actors.kernel import Context, Mailbox, System
from actors.kernel.signals import Unanswered
from actors.ports import Ports
from actors.ports.production import SystemFiles
from actors.tool_worker.needs import command_need
from actors.tool_worker.rules import actor
from actors.tool_worker.rules.book import RuleBook
from actors.tool_worker.rules.folders import FILES_MAX, RuleFolders, trusted_folders
from messages.approval import CommandNeed
from messages.rules import RulesAmended, RuleSet
from messages.settings.project import ProjectSettings
from supervisors.child import ChildSpec
from supervisors.supervisor import Supervisor
from supervisors.tree import open_tree
from tests.actors.session.theatre import FakeClock, InlineThreads

TRUSTED = ProjectSettings(trust_level="trusted")
ALLOW_MAKE = 'prefix_rule(pattern=["make"], decision="allow")\n'


def folders(home: Path) -> RuleFolders:
    return RuleFolders(SystemFiles(), str(home))


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def patterns(rules: RuleSet) -> list[str]:
    return [" ".join(token[0] for token in rule.pattern) for rule in rules.rules]


def test_the_homes_files_come_first_then_those_of_trusted_folders(tmp_path: Path) -> None:
    home, project = tmp_path / "home", tmp_path / "project"
    write(home / "rules/b.rules", "prefix_rule(pattern=['b'])")
    write(home / "rules/a.rules", "prefix_rule(pattern=['a'])")
    write(home / "rules/notes.txt", "not a rule")
    write(project / ".callboard/rules/p.rules", "prefix_rule(pattern=['p'])")
    assert patterns(folders(home).read()) == ["a", "b"]
    assert patterns(folders(home).read((str(project),))) == ["a", "b", "p"]
    assert folders(tmp_path / "nowhere").read() == RuleSet()


def test_what_cannot_be_read_is_told_with_file_and_line_and_the_rest_still_counts(tmp_path: Path) -> None:
    write(tmp_path / "rules/a.rules", "prefix_rule(pattern=['a'])")
    broken = write(tmp_path / "rules/b.rules", "\nprefix_rule(pattern=['b'], decision='no')")
    (tmp_path / "rules/c.rules").mkdir()
    found = folders(tmp_path).read()
    assert patterns(found) == ["a"]
    assert found.errors == (
        f"{broken}:2: decision must be one of allow, prompt, forbidden, not 'no'",
        f"{tmp_path}/rules/c.rules:1: not a regular file (os error 21)",
    )


def test_a_folder_of_too_many_files_is_told(tmp_path: Path) -> None:
    for number in range(FILES_MAX + 1):
        write(tmp_path / f"rules/{number}.rules", "")
    assert folders(tmp_path).read() == RuleSet(
        errors=(f"{tmp_path}/rules:1: there are more than {FILES_MAX} rules files",)
    )


def test_only_folders_that_are_trusted_by_name_bring_rules() -> None:
    projects = {
        "/a": TRUSTED,
        "/a/b/c": TRUSTED,
        "/a/b": ProjectSettings(trust_level="untrusted"),
        "/ab": TRUSTED,
    }
    assert trusted_folders(projects, "/a/b/c/d/") == ("/a", "/a/b/c")
    assert trusted_folders(projects, "/abc") == ()
    assert trusted_folders({"/": TRUSTED, "/x": ProjectSettings()}, "/x") == ("/",)


def test_an_amendment_is_added_to_what_is_there_and_only_once(tmp_path: Path) -> None:
    kept = folders(tmp_path)
    assert kept.amend(("make",)) is None
    path = tmp_path / "rules/default.rules"
    assert path.read_text() == ALLOW_MAKE
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text("# mine\nprefix_rule(pattern=['a'])")
    path.chmod(0o640)
    assert kept.amend(("echo", 'a "b"\n')) is None
    assert kept.amend(("echo", 'a "b"\n')) is None
    assert path.read_text() == (
        '# mine\nprefix_rule(pattern=[\'a\'])\nprefix_rule(pattern=["echo", "a \\"b\\"\\n"], decision="allow")\n'
    )
    assert path.stat().st_mode & 0o777 == 0o640


def test_an_amendment_follows_the_link_that_the_file_may_be(tmp_path: Path) -> None:
    target = write(tmp_path / "dotfiles/r", "")
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules/default.rules").symlink_to(target)
    assert folders(tmp_path).amend(("make",)) is None
    assert target.read_text() == ALLOW_MAKE
    assert (tmp_path / "rules/default.rules").is_symlink()


def test_an_amendment_that_cannot_be_written_holds_in_memory_and_says_why(tmp_path: Path) -> None:
    (tmp_path / "rules").write_text("in the way")
    kept = folders(tmp_path)
    why = kept.amend(("make",))
    assert why is not None
    assert why.startswith(f"{tmp_path}/rules/default.rules: ")
    assert patterns(kept.read()) == ["make"]


def test_a_broken_file_is_not_written_to(tmp_path: Path) -> None:
    path = write(tmp_path / "rules/default.rules", "x = 1\n")
    kept = folders(tmp_path)
    why = kept.amend(("make",))
    assert why is not None
    assert why.startswith(f"{path}:1: ")
    assert path.read_text() == "x = 1\n"
    assert kept.read().errors


class Book:
    """A rule book over a running actor, and a mailbox for what it answers."""

    def __init__(self, book: RuleBook, system: System) -> None:
        self.book = book
        self.system = system

    async def need(self, *argv: str, cwd: str = "/p") -> CommandNeed:
        return command_need(argv, cwd, rules=await self.book.for_folder(cwd))


@asynccontextmanager
async def open_book(
    ports: Ports, home: Path, projects: dict[str, ProjectSettings] | None = None
) -> AsyncIterator[Book]:
    system = System(random=random.Random(1))
    system.directory.expect(actor.RULES)

    child = ChildSpec(id="rules", start=partial(actor.run, ports=ports, home=str(home)))
    async with open_tree(Supervisor(children=[child]).run, system=system):
        yield Book(RuleBook(system.directory.address(actor.RULES), lambda: projects or {}), system)


def desk() -> Ports:
    """Virtual time, a real disk, and threads that are none: virtual time must not run on while they work."""
    unused: Any = None
    return Ports(
        clock=FakeClock(),
        entropy=unused,
        threads=InlineThreads(),
        files=SystemFiles(),
        network=unused,
        processes=unused,
    )


async def test_an_amendment_counts_for_the_next_question_of_every_thread(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_book(desk(), tmp_path) as kept:
        assert (await kept.need("make", "test")).rule is None
        answers: Mailbox[RulesAmended | Unanswered] = Context(kept.system, "asker").open_mailbox()
        kept.book.amend(("make",), answers.address)
        after = await kept.need("make", "all", cwd="/elsewhere")
        assert after.rule is not None
        assert after.rule.decision == "allow"
        [(answer, _)] = await answers.receive()
        assert answer == RulesAmended(prefix=("make",), path=f"{tmp_path}/rules/default.rules")
    assert (tmp_path / "rules/default.rules").read_text() == ALLOW_MAKE


async def test_an_edit_by_hand_counts_after_a_second(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    async with open_book(desk(), tmp_path) as kept:
        assert (await kept.need("make")).rule is None
        write(tmp_path / "rules/mine.rules", ALLOW_MAKE)
        assert (await kept.need("make")).rule is None
        await trio.sleep(actor.FRESH_SECONDS)
        assert (await kept.need("make")).rule is not None
        write(tmp_path / "rules/mine.rules", "oh no")
        await trio.sleep(actor.FRESH_SECONDS)
        broken = await kept.need("make")
        assert broken.rule is None
        assert broken.rules_error is not None
        assert broken.rules_error.startswith(f"{tmp_path}/rules/mine.rules:1: ")


async def test_a_projects_rules_count_where_the_user_trusts_it_and_trouble_is_logged_once(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    project = str(tmp_path / "project")
    write(tmp_path / "project/.callboard/rules/p.rules", ALLOW_MAKE + "network_rule(host='h', protocol='https')")
    async with open_book(desk(), tmp_path / "home", {project: TRUSTED}) as kept:
        assert (await kept.need("make", cwd=project + "/sub")).rule is not None
        await trio.sleep(actor.FRESH_SECONDS)
        assert (await kept.need("make", cwd=project)).rule is not None
        assert (await kept.need("make", cwd=str(tmp_path))).rule is None
    assert [record.getMessage().rpartition(": ")[2] for record in caplog.records] == ["nothing filters hosts"]


async def test_without_the_actor_every_command_is_a_question() -> None:
    system = System(random=random.Random(1))
    rules = await RuleBook(system.directory.address(actor.RULES), dict).for_folder("/p")
    assert "rules" in rules.errors[0]
