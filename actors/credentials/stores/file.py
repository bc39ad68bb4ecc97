"""A file that only its owner can read, replaced as a whole. The folder is looked at as well: who may rename files in it
may put another in this one's place."""

from __future__ import annotations

import posixpath

from actors.credentials.entries import UnreadableVaultError, Vault, decode, encode
from actors.credentials.stores import StoreError
from actors.ports import Files
from messages.credentials import StoreKind

FILE_NAME = "credentials.json"

FILE_BYTES_MAX = 1024 * 1024
"""A hundred providers with long tokens."""

OTHERS_MAY_READ, OTHERS_MAY_WRITE = 0o077, 0o022


class FileStore:
    """`$CALLBOARD_HOME/credentials.json`."""

    kind: StoreKind = "file"

    def __init__(self, files: Files, home: str) -> None:
        self._files = files
        self._path = posixpath.join(home, FILE_NAME)

    @property
    def where(self) -> str:
        return f"the file {self._path}"

    def load(self) -> Vault:
        """See `Store.load`."""
        try:
            stat = self._files.stat(self._path)
            if stat is None:
                return Vault()
            self._check(stat.mode)
            data = self._files.read(self._path, limit=FILE_BYTES_MAX + 1)
        except OSError as error:
            raise StoreError(f"{self._path} cannot be read: {error.strerror}") from None
        if len(data) > FILE_BYTES_MAX:
            raise StoreError(f"{self._path} is larger than {FILE_BYTES_MAX} bytes, so it is not ours; move it away")
        try:
            return decode(data)
        except UnreadableVaultError as error:
            raise StoreError(f"{self._path}: {error}. It is left as it is; move it away and log in again") from None

    def save(self, vault: Vault) -> None:
        """See `Store.save`."""
        folder = posixpath.dirname(self._path)
        try:
            self._files.make_dirs(folder, mode=0o700)
            stat = self._files.stat(folder)
            if stat is not None and stat.mode & OTHERS_MAY_WRITE:
                raise StoreError(f"others may write in {folder}, so no secret is put there; chmod go-w {folder}")
            self._files.write_atomic(self._path, encode(vault) + b"\n")
        except OSError as error:
            raise StoreError(f"{self._path} cannot be written: {error.strerror}; nothing was changed") from None

    def clear(self) -> None:
        """See `Store.clear`."""
        try:
            if self._files.stat(self._path) is not None:
                self._files.remove(self._path)
        except OSError as error:
            raise StoreError(f"{self._path} cannot be removed: {error.strerror}") from None

    def _check(self, mode: int) -> None:
        if mode & OTHERS_MAY_READ:
            raise StoreError(f"others may read {self._path}; chmod 600 {self._path}, and renew what it holds")
