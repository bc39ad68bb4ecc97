"""A rules file -> rules. Pure.

The files are Starlark, of which calls with literal arguments are all that rules need; so the text is *read*, with
Python's parser (the two agree on literals, calls and comments), and nothing is ever evaluated. A variable, a function,
a loop, a `+`: each is an error that names its line, because a rule that is silently not what its author thinks is worse
than none.

Each rule brings its own tests: `match` and `not_match` hold commands it must and must not cover, checked on load.
"""

from __future__ import annotations

import ast
import shlex
import warnings
from collections.abc import Iterator, Mapping
from typing import get_args

import msgspec

from actors.tool_worker.rules.matching import covers
from messages.approval import RuleDecision
from messages.rules import HostExecutable, PrefixRule, RuleSet, Token

FILE_BYTES_MAX = 256 * 1024
"""Some thousand rules; a larger file is not one that a person wrote."""

PARAMETERS: Mapping[str, tuple[str, ...]] = {
    "prefix_rule": ("pattern", "decision", "justification", "match", "not_match"),
    "host_executable": ("name", "paths"),
    "network_rule": ("host", "protocol", "decision", "justification"),
}
"""The functions there are, and what they take; all by name."""

REQUIRED = frozenset({"pattern", "name", "paths", "host", "protocol"})


class RulesError(Exception):
    """A rules file that cannot be used; the text begins with ``file:line``."""


def parse_rules(path: str, content: bytes) -> RuleSet:
    """The rules of one file. Raises RulesError."""
    if len(content) > FILE_BYTES_MAX:
        raise RulesError(f"{path}:1: the file is larger than {FILE_BYTES_MAX} bytes")
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise RulesError(f"{path}:{line}: this is not UTF-8") from error
    return _Reader(path).read(_tree(path, text))


def rule_source(prefix: tuple[str, ...]) -> str:
    """The line that allows commands which begin with these words."""
    words = ", ".join(msgspec.json.encode(word).decode() for word in prefix)
    return f'prefix_rule(pattern=[{words}], decision="allow")\n'


def _tree(path: str, text: str) -> ast.Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an unknown backslash is a warning to Python, and none of our business
            return ast.parse(text)
    except SyntaxError as error:
        raise RulesError(f"{path}:{error.lineno or 1}: {error.msg}") from error
    except (ValueError, RecursionError, MemoryError) as error:
        reason = "a NUL character" if isinstance(error, ValueError) else "nested too deeply"
        raise RulesError(f"{path}:1: {reason}") from error


class _Reader:
    """Of one file: it only knows the name for errors."""

    def __init__(self, path: str) -> None:
        self._path = path

    def _error(self, node: ast.stmt | ast.expr | ast.keyword, reason: str) -> RulesError:
        return RulesError(f"{self._path}:{node.lineno}: {reason}")

    def read(self, module: ast.Module) -> RuleSet:
        rules: list[PrefixRule] = []
        executables: list[HostExecutable] = []
        ignored: list[str] = []
        for statement in module.body:
            if not isinstance(statement, ast.Expr):
                raise self._error(statement, "only calls of " + ", ".join(PARAMETERS) + " are read here")
            if isinstance(statement.value, ast.Constant) and isinstance(statement.value.value, str):
                continue  # a text by itself is a comment
            name, arguments = self._call(statement.value)
            match name:
                case "prefix_rule":
                    rules.append(self._prefix_rule(statement, arguments))
                case "host_executable":
                    executables.append(self._host_executable(arguments))
                case _:
                    self._network_rule(arguments)
                    ignored.append(
                        f"{self._path}:{statement.lineno}: network_rule has no effect: nothing filters hosts"
                    )
        return RuleSet(rules=tuple(rules), executables=tuple(executables), warnings=tuple(ignored))

    def _call(self, node: ast.expr) -> tuple[str, dict[str, ast.expr]]:
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.func.id not in PARAMETERS:
            raise self._error(node, "only calls of " + ", ".join(PARAMETERS) + " are read here")
        name = node.func.id
        if node.args:
            raise self._error(node.args[0], f"{name} takes its arguments by name: {', '.join(PARAMETERS[name])}")
        arguments: dict[str, ast.expr] = {}
        for keyword in node.keywords:
            if keyword.arg is None or keyword.arg not in PARAMETERS[name]:
                unknown = "**" if keyword.arg is None else f"{keyword.arg!r}"
                raise self._error(keyword, f"{name} knows no {unknown}; it takes {', '.join(PARAMETERS[name])}")
            arguments[keyword.arg] = keyword.value
        missing = [each for each in PARAMETERS[name] if each in REQUIRED and each not in arguments]
        if missing:
            raise self._error(node, f"{name} needs {' and '.join(missing)}")
        return name, arguments

    def _prefix_rule(self, node: ast.stmt, arguments: Mapping[str, ast.expr]) -> PrefixRule:
        rule = PrefixRule(
            pattern=tuple(self._token(each) for each in self._items(arguments["pattern"], "pattern")),
            decision=self._decision(arguments.get("decision")),
            justification=self._reason(arguments.get("justification")),
            where=f"{self._path}:{node.lineno}",
        )
        for example, argv in self._examples(arguments.get("match"), "match"):
            if not covers(rule, argv):
                raise self._error(example, f"the rule does not match its own example {shlex.join(argv)!r}")
        for example, argv in self._examples(arguments.get("not_match"), "not_match"):
            if covers(rule, argv):
                raise self._error(example, f"the rule matches {shlex.join(argv)!r}, which it says it does not")
        return rule

    def _host_executable(self, arguments: Mapping[str, ast.expr]) -> HostExecutable:
        name = self._text(arguments["name"], "name")
        if "/" in name:
            raise self._error(arguments["name"], f"name must be a bare program name, not {name!r}")
        paths = tuple(self._text(each, "a path") for each in self._items(arguments["paths"], "paths", empty=True))
        for node, path in zip(self._items(arguments["paths"], "paths", empty=True), paths, strict=True):
            if not path.startswith("/") or path.rpartition("/")[2] != name:
                raise self._error(node, f"{path!r} is not an absolute path to a program called {name!r}")
        return HostExecutable(name=name, paths=paths)

    def _network_rule(self, arguments: Mapping[str, ast.expr]) -> None:
        for name, node in arguments.items():
            self._text(node, name)

    def _decision(self, node: ast.expr | None) -> RuleDecision:
        if node is None:
            return "allow"
        text = self._text(node, "decision")
        for known in get_args(RuleDecision):
            if text == known:
                decision: RuleDecision = known
                return decision
        raise self._error(node, f"decision must be one of {', '.join(get_args(RuleDecision))}, not {text!r}")

    def _reason(self, node: ast.expr | None) -> str | None:
        if node is None or (isinstance(node, ast.Constant) and node.value is None):
            return None
        text = self._text(node, "justification").strip()
        if not text:
            raise self._error(node, "justification must not be empty")
        return text

    def _token(self, node: ast.expr) -> Token:
        if isinstance(node, ast.List | ast.Tuple):
            return tuple(self._text(each, "a word of the pattern") for each in self._items(node, "a list of words"))
        return (self._text(node, "a word of the pattern"),)

    def _examples(self, node: ast.expr | None, name: str) -> Iterator[tuple[ast.expr, tuple[str, ...]]]:
        if node is None:
            return
        for each in self._items(node, name, empty=True):
            if isinstance(each, ast.List | ast.Tuple):
                yield each, tuple(self._text(word, "a word of an example") for word in self._items(each, "an example"))
                continue
            try:
                words = tuple(shlex.split(self._text(each, "an example")))
            except ValueError as error:
                raise self._error(each, f"an example cannot be split into words: {error}") from error
            if not words:
                raise self._error(each, "an example must not be empty")
            yield each, words

    def _items(self, node: ast.expr, what: str, *, empty: bool = False) -> list[ast.expr]:
        if not isinstance(node, ast.List | ast.Tuple):
            raise self._error(node, f"{what} must be a list")
        if not node.elts and not empty:
            raise self._error(node, f"{what} must not be empty")
        return node.elts

    def _text(self, node: ast.expr, what: str) -> str:
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
            raise self._error(node, f"{what} must be a text in quotes; nothing is evaluated here")
        if not node.value and what != "a word of an example":
            raise self._error(node, f"{what} must not be empty")
        return node.value
