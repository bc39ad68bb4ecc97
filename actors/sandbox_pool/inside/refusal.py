"""Why a script is not run: a mistake in it that was found before its first line."""

from __future__ import annotations


class Refusal(Exception):  # noqa: N818  # it is the script's error, not ours
    """``code`` says what kind; line and column count from 1 in the model's own text, columns in characters.

    Codes: ``encoding``, ``too_large``, ``syntax``, ``typescript`` (a construct that cannot be erased), ``ambiguous``
    (one that could be read in two ways), ``forbidden`` (a name that scripts do not have).
    """

    def __init__(self, code: str, message: str, line: int = 0, column: int = 0) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.line = line
        self.column = column
