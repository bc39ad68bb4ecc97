"""Which rules files apply where; reading them; and adding a rule to one. Blocking: run it in a thread.

``$CALLBOARD_HOME/rules/*.rules`` applies everywhere, ``FOLDER/.callboard/rules/*.rules`` to threads that work in or
below a folder the user trusts. Only the trusted folder's own file counts: a stranger's repository below it must not be
able to allow anything.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

from actors.ports.files import OWNER_ONLY, Files
from actors.tool_worker.os_errors import os_error_text
from actors.tool_worker.rules.language import FILE_BYTES_MAX, RulesError, parse_rules, rule_source
from actors.tool_worker.rules.matching import is_allowed
from messages.rules import PrefixRule, RuleSet, RuleTrouble
from messages.settings.project import ProjectSettings

RULES_FOLDER = "rules"
PROJECT_FOLDER = ".callboard"
SUFFIX = ".rules"
AMENDED_FILE = "default.rules"
"""Where a person's "and do not ask again" goes."""

FILES_MAX = 64
"""In one folder: many times what anybody sorts rules into."""

FOLDER_MODE = 0o700

PLACED = re.compile(r"(.*?):(\d+): (.*)", re.DOTALL)
"""What is said of a file: where, at which line, what."""


def trusted_folders(projects: Mapping[str, ProjectSettings], cwd: str) -> tuple[str, ...]:
    """The folders that are ``cwd`` or hold it and that the user trusts by name, outermost first."""
    found: list[str] = []
    folder = posixpath.normpath(cwd)
    while True:
        entry = projects.get(folder)
        if entry is not None and entry.trust_level == "trusted":
            found.append(folder)
        if folder in ("/", ""):
            return tuple(reversed(found))
        folder = posixpath.dirname(folder)


class RuleFolders:
    """The rules on disk. What was read is remembered by its bytes: parsing is the costly part."""

    def __init__(self, files: Files, home: str) -> None:
        self._files = files
        self._folder = posixpath.join(home, RULES_FOLDER)
        self._parsed: dict[str, tuple[bytes, RuleSet]] = {}
        self._unwritten: tuple[PrefixRule, ...] = ()
        """Amendments that could not be written: in force until the daemon ends."""
        self._troubles: dict[str | None, tuple[RuleTrouble, ...]] = {}
        """By project."""

    @property
    def amended_path(self) -> str:
        return posixpath.join(self._folder, AMENDED_FILE)

    @property
    def troubles(self) -> tuple[RuleTrouble, ...]:
        """What was wrong when each folder was read last; the user's own first."""
        projects = sorted(self._troubles, key=lambda project: project or "")
        return tuple(trouble for project in projects for trouble in self._troubles[project])

    def read(self, projects: Sequence[str] = ()) -> RuleSet:
        """All rules that apply in these trusted folders. What cannot be read is among the ``errors``."""
        sets: list[RuleSet] = []
        for project in (None, *projects):
            folder = self._folder if project is None else posixpath.join(project, PROJECT_FOLDER, RULES_FOLDER)
            found = tuple(self._folder_rules(folder))
            sets += found
            self._troubles[project] = tuple(_troubles(project, found))
        return RuleSet(
            rules=(*(rule for each in sets for rule in each.rules), *self._unwritten),
            executables=tuple(entry for each in sets for entry in each.executables),
            errors=tuple(text for each in sets for text in each.errors),
            warnings=tuple(text for each in sets for text in each.warnings),
        )

    def amend(self, prefix: tuple[str, ...]) -> str | None:
        """Allow commands that begin with ``prefix``; why that is not on disk, or None. A rule that exists is not added.

        The file is replaced as a whole: whoever reads it meanwhile, or after a crash, sees all of the rule or nothing.
        """
        rule = PrefixRule(pattern=tuple((word,) for word in prefix), where=self.amended_path)
        try:
            path = self._files.resolve(self.amended_path)
            content = self._content(path) if self._files.stat(path) is not None else b""
            if not _has(path, content, prefix):
                joint = b"" if not content or content.endswith(b"\n") else b"\n"
                self._files.make_dirs(posixpath.dirname(path), mode=FOLDER_MODE)
                found = self._files.stat(path)
                mode = OWNER_ONLY if found is None else found.mode & 0o777
                self._files.write_atomic(path, content + joint + rule_source(prefix).encode(), mode=mode)
        except OSError as error:
            self._unwritten = (*self._unwritten, rule)
            return f"{self.amended_path}: {os_error_text(error)}"
        except RulesError as error:
            self._unwritten = (*self._unwritten, rule)
            return str(error)
        return None

    def _folder_rules(self, folder: str) -> Iterator[RuleSet]:
        try:
            if self._files.stat(folder) is None:
                return
            names = [each.name for each in self._files.list_dir(folder) if each.name.endswith(SUFFIX)]
        except OSError as error:
            yield RuleSet(errors=(f"{folder}:1: {os_error_text(error)}",))
            return
        if len(names) > FILES_MAX:
            yield RuleSet(errors=(f"{folder}:1: there are more than {FILES_MAX} rules files",))
            return
        for name in names:
            yield self._file_rules(posixpath.join(folder, name))

    def _file_rules(self, path: str) -> RuleSet:
        try:
            content = self._content(path)
        except OSError as error:
            return RuleSet(errors=(f"{path}:1: {os_error_text(error)}",))
        known = self._parsed.get(path)
        if known is not None and known[0] == content:
            return known[1]
        try:
            parsed = parse_rules(path, content)
        except RulesError as error:
            parsed = RuleSet(errors=(str(error),))
        self._parsed[path] = content, parsed
        return parsed

    def _content(self, path: str) -> bytes:
        found = self._files.stat(path)
        if found is not None and found.kind != "file":
            raise IsADirectoryError(21, "not a regular file")
        return self._files.read(path, limit=FILE_BYTES_MAX + 1)


def _troubles(project: str | None, sets: Sequence[RuleSet]) -> Iterator[RuleTrouble]:
    for harmless, texts in ((False, (each.errors for each in sets)), (True, (each.warnings for each in sets))):
        for told in chain.from_iterable(texts):
            place = PLACED.fullmatch(told)
            assert place is not None, told
            path, line, text = place.groups()
            yield RuleTrouble(path=path, line=int(line), text=text, harmless=harmless, project=project)


def _has(path: str, content: bytes, prefix: tuple[str, ...]) -> bool:
    """Whether the file allows the prefix already. Raises RulesError when it cannot be read."""
    return is_allowed(parse_rules(path, content), prefix)
