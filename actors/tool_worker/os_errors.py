"""How the operating system's errors are told to a model: in the words that every tool of this family uses."""

from __future__ import annotations


def os_error_text(error: OSError) -> str:
    """`No such file or directory (os error 2)`."""
    return f"{error.strerror} (os error {error.errno})" if error.errno else str(error)
