"""TypeScript to JavaScript by erasing types in place: what is left stands where the model wrote it.

Lines and columns of every error are therefore the model's own, without a source map. It works because types mean
nothing at run time; the few constructs that do (enums, namespaces, decorators, parameter properties, `<T>x` casts) are
refused with their line.

tree-sitter reads the source; its grammar and TypeScript's own differ at the edges, mostly about what a line break ends.
So nothing is believed that could hide code:
* Where TypeScript does not allow a line break and the grammar does (before the `[` of an array type, after `type` …),
  a line break is refused.
* An erased statement or modifier leaves a `;` behind, so that its neighbours do not grow together.
* Finally the result is read again, and its tree must be the first one's without the types. Whatever else might grow
  together, or be taken for a type, shows up there.
* `<!--`, and `-->` at the start of a line, are comments to the engine and operators to the grammar: with one, a
  template in the rest of the line would hide code from every check here. They are refused outside literals.
What is refused so is named with its line and the cure; no code is ever dropped in silence.

It parses hostile text in C and, at worst, slowly (seconds for 20 KB made for it), and so runs in the worker, never in
the daemon. Rejected: running the TypeScript compiler (24 MB and Node); sucrase, OXC (they move code, and accept what
has meaning at run time).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise, zip_longest
from typing import NamedTuple

from tree_sitter import Language, Node, Parser
from tree_sitter_typescript import language_typescript

from .refusal import Refusal

_UNSUPPORTED = {
    "enum_declaration": "enum has a meaning at run time; use a union of strings, or an object with `as const`",
    "internal_module": "namespace is not supported; use an object",
    "module": "module is not supported; use an object",
    "decorator": "decorators are not supported",
    "type_assertion": "casts are written `x as T`, not `<T>x`",
    "import_statement": "import is not available: everything a script can use is in `tools` and `context`",
    "import_alias": "import is not available: everything a script can use is in `tools` and `context`",
    "export_statement": "export is not available: return the result instead",
    "instantiation_expression": "type arguments without a call are not supported; leave them out",
}

_ERASED = frozenset(
    (
        *("type_annotation", "type_parameters", "type_arguments", "implements_clause"),
        *("asserts_annotation", "type_predicate_annotation"),
        *("omitting_type_annotation", "adding_type_annotation", "opting_type_annotation"),
    )
)
_ERASED_DECLARATIONS = frozenset(
    (
        *("interface_declaration", "type_alias_declaration", "ambient_declaration", "function_signature"),
        *("index_signature", "method_signature", "abstract_method_signature"),
    )
)
_CASTS = frozenset(("as_expression", "satisfies_expression"))
_MODIFIERS = frozenset(("accessibility_modifier", "override_modifier", "readonly", "abstract", "declare"))
_MEMBERS = frozenset(("public_field_definition", "method_definition"))
_PARAMETERS = frozenset(("required_parameter", "optional_parameter"))
_POSTFIX = frozenset(("call_expression", "member_expression", "subscript_expression"))

_NO_BREAK_BEFORE = {
    "array_type": "[",
    "lookup_type": "[",
    "generic_type": "type_arguments",
    "type_query": "type_arguments",
    "conditional_type": "extends",
    "type_predicate": "is",
    "as_expression": "as",
    "satisfies_expression": "satisfies",
    "non_null_expression": "!",
}
"""Where TypeScript ends a statement at a line break and the grammar goes on: node -> the child behind the break."""
_NO_BREAK_AFTER = frozenset(
    (
        *("type_alias_declaration", "interface_declaration", "ambient_declaration", "abstract_class_declaration"),
        "asserts",
    )
)
"""A word that is only a keyword when the next one is on its line."""

_DETAILED = frozenset(
    (
        *(*_CASTS, *_MEMBERS, *_PARAMETERS, *_POSTFIX, *_NO_BREAK_BEFORE, *_NO_BREAK_AFTER),
        *("abstract_class_declaration", "variable_declarator", "binary_expression"),
    )
)
"""Nodes whose punctuation and small words matter; of all others only the named children are looked at."""

_TRANSPARENT = frozenset(
    (
        *(*_CASTS, "non_null_expression", "class_heritage", "program"),
        *("member_expression", "call_expression", "new_expression", "await_expression", "subscript_expression"),
        *("unary_expression", "binary_expression", "update_expression", "ternary_expression", "yield_expression"),
        *("assignment_expression", "augmented_assignment_expression", "sequence_expression"),
    )
)
"""Nodes that vanish with their types while what is in them stays; and operators, because the grammar has the precedence
of `!`, `await` and type arguments wrong. What would grow together shows all the same: parentheses turn into arguments,
an array into a subscript, a regular expression into a division, and a statement is missing."""
_NO_SHAPE = frozenset(("comment", "html_comment", "empty_statement"))
_SAME_SHAPE = {"abstract_class_declaration": "class_declaration", "optional_parameter": "required_parameter"}

_LITERALS = frozenset(
    ("comment", "string", "string_fragment", "template_string", "regex", "regex_pattern", "escape_sequence")
)
"""Nodes in which code is only text."""
_HTML_COMMENT = re.compile(r"<!--|-->")
_OPERAND_BEFORE = re.compile(r"[\w$)\]\u0080-\uffff][ \t]*\Z")
"""Of a line up to a `-->` that is a decrement and a comparison: neither blank nor only comments."""

_BREAKS = re.compile(rb"\r\n?|\n|\xe2\x80[\xa8\xa9]")
_NO_LINE_END = re.compile(r"[^\r\n\u2028\u2029]")
_TYPE_LIST = re.compile(rb"[\w$\s,.\[\]|&'\"\x80-\xff]*,[\w$\s,.\[\]|&'\"\x80-\xff]*")
"""Between `<` and `>`, what may be a list of types."""
_GAP = re.compile(rb"(?:\s|//[^\n]*|/\*(?:[^*]|\*(?!/))*\*/)*")
_CONTINUES = b"([`"
"""Behind a cast, TypeScript takes these for a new statement, and JavaScript for more of the old one."""

NEAR_CHARACTERS = 30
"""How much of the source is quoted where it is not understood."""


def _refuse_html_comments(data: bytes, root: Node, source: str, result: str) -> None:
    """Erasing keeps every character in its place, so ``result``'s lines say what is left before a `-->`."""
    for match in _HTML_COMMENT.finditer(source):
        start = len(source[: match.start()].encode())
        node = root.descendant_for_byte_range(start, start + len(match[0]))
        if node is not None and node.type in _LITERALS:
            continue
        line = result[result.rfind("\n", 0, match.start()) + 1 : match.start()]
        if match[0] == "<!--" or not _OPERAND_BEFORE.search(line):
            text = f"`{match[0]}` begins a comment here; put blanks between its characters"
            raise _refuse(data, node or root, "ambiguous", text)


class _Edit(NamedTuple):
    """Blank ``start:end`` (bytes), but for a character at its beginning or its end."""

    start: int
    end: int
    first: str = ""
    last: str = ""


@cache
def _parser() -> Parser:
    return Parser(Language(language_typescript()))


def erase_types(source: str) -> str:
    """The same program without its types, every other character in its place. Raises Refusal."""
    data = source.encode()
    root = _parser().parse(data).root_node
    if root.has_error:
        raise _syntax_error(data, root)
    eraser = _Eraser(data)
    eraser.walk(root)
    if not eraser.edits:
        _refuse_html_comments(data, root, source, source)
        return source
    result = _apply(data, eraser.edits)
    _refuse_html_comments(data, root, source, result)
    again = _parser().parse(result.encode()).root_node
    for before, after in zip_longest(_shape(root, eraser.gone), _shape(again, frozenset())):
        if before is None or after is None or before[:2] != after[:2]:
            where = root if before is None else before[2]
            raise _refuse(data, where, "ambiguous", "this can be read in two ways; end each statement with ';'")
    return result


class _Eraser:
    """Collects what to blank, and refuses what cannot be."""

    def __init__(self, data: bytes) -> None:
        self.edits: list[_Edit] = []
        self.gone: set[int] = set()
        self._data = data

    def walk(self, root: Node) -> None:
        """Every node that is not erased, in no particular order."""
        todo = [root]
        while todo:
            node = todo.pop()
            if node.is_named and (reason := _UNSUPPORTED.get(node.type)) is not None:
                raise _refuse(self._data, node, "typescript", reason)
            if node.type in _DETAILED:
                children = node.children
                self._check(node, children)
                todo.extend([child for child in children if self._keeps(child, node, children)])
            else:
                children = node.named_children
                todo.extend([child for child in children if not self._erased(child, node)])

    def _erased(self, node: Node, parent: Node) -> bool:
        """Whether it is blanked, wherever it stands."""
        kind = node.type
        if kind in _ERASED:
            self._erase_type(node, parent)
        elif kind in _ERASED_DECLARATIONS or (kind in _MEMBERS and _is_declared_only(node)):
            self._erase(node, node.start_byte, node.end_byte, first=";")
        elif kind in _PARAMETERS and (name := node.child_by_field_name("pattern")) is not None and name.type == "this":
            self._erase_this(node)
        else:
            return False
        return True

    def _keeps(self, node: Node, parent: Node, siblings: list[Node]) -> bool:
        """Whether there is code in it; otherwise it is blanked."""
        kind = node.type
        if self._erased(node, parent):
            pass
        elif parent.type in _CASTS and node != siblings[0]:
            self._erase_cast(node, siblings)
        elif kind in _MODIFIERS and parent.type in _MEMBERS:
            self._erase_modifier(node, siblings)
        elif kind in ("?", "!", "abstract") and self._is_mark(node, parent):
            self._erase(node, node.start_byte, node.end_byte)
        else:
            return True
        return False

    def _is_mark(self, node: Node, parent: Node) -> bool:
        """``x?: T``, ``x!: T``, ``x!``, ``abstract class``"""
        if parent.type in (*_PARAMETERS, *_MEMBERS, "variable_declarator"):
            return node.next_sibling is None or node.prev_sibling is not None
        return parent.type in ("non_null_expression", "abstract_class_declaration")

    def _erase(self, node: Node, start: int, end: int, *, first: str = "", last: str = "") -> None:
        self._check_inside(node)
        self.gone.add(node.id)
        self.edits.append(_Edit(start, end, first, last))

    def _erase_type(self, node: Node, parent: Node) -> None:
        start, end = node.start_byte, node.end_byte
        if parent.type == "arrow_function" and _BREAKS.search(self._data, start, end):
            parameters = parent.child_by_field_name("parameters")
            if node.type == "type_parameters":
                if parameters is not None and parent.children[0].type == "async":  # `(` must stay on its line
                    self.edits.append(_Edit(parameters.start_byte, parameters.start_byte + 1))
                    self._erase(node, start, end, first="(")
                    return
            elif parameters is not None:
                # `=>` must stay on the line of `)`, so the parenthesis moves to the end of the type
                self.edits.append(_Edit(parameters.end_byte - 1, parameters.end_byte))
                self._erase(node, start, end, last=")")
                return
        self._erase(node, start, end)

    def _erase_this(self, node: Node) -> None:
        """``this: T`` as first parameter is a type only."""
        after = node.next_sibling
        end = after.end_byte if after is not None and after.type == "," else node.end_byte
        self._erase(node, node.start_byte, end)

    def _erase_cast(self, node: Node, siblings: list[Node]) -> None:
        self._erase(node, node.start_byte, node.end_byte)
        if node != siblings[-1]:
            return
        gap = _GAP.match(self._data, node.end_byte)
        assert gap is not None
        following = self._data[gap.end() : gap.end() + 1]
        if following and following in _CONTINUES and _BREAKS.search(gap[0]):
            raise _refuse(self._data, node, "ambiguous", "end this statement with ';': the next line would continue it")

    def _erase_modifier(self, node: Node, siblings: list[Node]) -> None:
        after = node.next_sibling
        if after is not None and self._breaks(node, after):
            text = f"put the name on the line of {node.text.decode() if node.text else 'this modifier'!r}"
            raise _refuse(self._data, node, "ambiguous", text)
        self._erase(node, node.start_byte, node.end_byte, first=";" if node == siblings[0] else "")

    def _check_inside(self, node: Node) -> None:
        todo = [node]
        while todo:
            inner = todo.pop()
            children = inner.children
            self._check(inner, children)
            todo.extend(children)

    def _check(self, node: Node, children: list[Node]) -> None:
        kind = node.type
        wanted = _NO_BREAK_BEFORE.get(kind)
        if wanted is not None:
            for before, after in pairwise(children):
                if after.type == wanted and self._breaks(before, after):
                    text = f"TypeScript ends the statement here; end it with ';', or write {_word(after)} on its line"
                    raise _refuse(self._data, after, "ambiguous", text)
        elif kind in _NO_BREAK_AFTER and len(children) > 1 and self._breaks(children[0], children[1]):
            text = f"{_word(children[0])} and what it declares belong on one line"
            raise _refuse(self._data, node, "ambiguous", text)
        elif kind in _POSTFIX and children[0].type in _CASTS:
            text = "put the cast in parentheses, or end the statement with ';'"
            raise _refuse(self._data, children[0], "ambiguous", text)
        elif kind in _PARAMETERS:
            for child in children:
                if child.type in _MODIFIERS and child != node.child_by_field_name("pattern"):
                    text = "parameter properties are not supported: declare the field and assign it"
                    raise _refuse(self._data, child, "typescript", text)
        elif kind == "binary_expression" and children[1].type == ">" and self._compares_twice(children):
            text = "this reads like type arguments and like two comparisons; put one of them in parentheses"
            raise _refuse(self._data, children[1], "ambiguous", text)

    def _compares_twice(self, children: list[Node]) -> bool:
        """``a < b > c``, where TypeScript may see type arguments; also across a comma, as in ``f(a < b, c > (d))``."""
        left = children[0]
        if left.type == "binary_expression" and left.children[1].type == "<":
            return True
        if children[2].type not in ("parenthesized_expression", "template_string"):
            return False
        start = self._data.rfind(b"<", 0, children[1].start_byte)
        return start >= 0 and _TYPE_LIST.fullmatch(self._data, start + 1, children[1].start_byte) is not None

    def _breaks(self, before: Node, after: Node) -> bool:
        return _BREAKS.search(self._data, before.end_byte, after.start_byte) is not None


def _is_declared_only(member: Node) -> bool:
    return any(child.type in ("declare", "abstract") for child in member.children)


def _word(node: Node) -> str:
    return repr("<" if node.type == "type_arguments" else node.type)


def _shape(root: Node, gone: set[int] | frozenset[int]) -> Iterator[tuple[str, int, Node]]:
    """What a tree says apart from types: the names of its nodes in order, with their depth."""
    todo = [(root, 0)]
    while todo:
        node, depth = todo.pop()
        if node.id in gone or node.type in _NO_SHAPE:
            continue
        if node.is_named and node.type not in _TRANSPARENT:
            yield _SAME_SHAPE.get(node.type, node.type), depth, node
            depth += 1
        todo.extend((child, depth) for child in reversed(node.named_children))


def _apply(data: bytes, edits: list[_Edit]) -> str:
    """``data`` with each edit's characters turned into blanks; line ends stay."""
    parts: list[str] = []
    at = 0
    for edit in sorted(edits):
        parts.append(data[at : edit.start].decode())
        blank = _NO_LINE_END.sub(" ", data[edit.start : edit.end].decode())
        parts.append(edit.first + blank[len(edit.first) : len(blank) - len(edit.last)] + edit.last)
        at = edit.end
    parts.append(data[at:].decode())
    return "".join(parts)


def _refuse(data: bytes, node: Node, code: str, message: str) -> Refusal:
    before = data[: node.start_byte]
    column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
    return Refusal(code, message, before.count(b"\n") + 1, column)


def _syntax_error(data: bytes, root: Node) -> Refusal:
    """The first place that was not understood."""
    first: Node | None = None
    todo = [root]
    while todo:
        node = todo.pop()
        if node.is_error or node.is_missing:
            if first is None or node.start_byte < first.start_byte:
                first = node
        elif node.has_error and (first is None or node.start_byte < first.start_byte):
            todo.extend(node.children)
    if first is None:
        return _refuse(data, root, "syntax", "this is not valid TypeScript")
    if first.is_missing:
        return _refuse(data, first, "syntax", f"{first.type!r} is missing here")
    near = data[first.start_byte : first.start_byte + 4 * NEAR_CHARACTERS].decode("utf-8", "replace")
    line = near.partition("\n")[0][:NEAR_CHARACTERS]
    return _refuse(data, first, "syntax", f"this is not valid TypeScript, near {line!r}")
