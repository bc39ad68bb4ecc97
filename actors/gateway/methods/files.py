"""fs/* and fuzzyFileSearch*: files as clients read and find them. They see what the daemon's user sees."""

from __future__ import annotations

import base64
import posixpath
from typing import Final

from actors.gateway.caller import Caller
from actors.gateway.rpc import RpcError, method
from actors.ports.files import FileStat
from messages.client.envelope import INVALID_PARAMS, INVALID_REQUEST
from messages.client.files import (
    DirectoryEntry,
    FuzzySearchParams,
    FuzzySearchResponse,
    MetadataResponse,
    PathParams,
    ReadDirectoryResponse,
    ReadFileResponse,
    SearchStartParams,
    SearchStopParams,
    SearchUpdateParams,
)
from messages.client.listing import Nothing

MAX_FILE_BYTES: Final = 11 * 1024 * 1024
"""In base64 it still fits the 16 MiB frame that clients take at most."""


async def read_file(caller: Caller, params: PathParams) -> ReadFileResponse:
    path = _absolute("fs/readFile", params.path)
    files = caller.house.ports.files

    def read() -> bytes:
        found = _existing("fs/readFile", path, files.stat(path))
        if found.kind == "directory":
            raise RpcError(INVALID_REQUEST, f"fs/readFile: {path} is a directory")
        if found.kind != "file":
            raise RpcError(INVALID_REQUEST, f"fs/readFile: {path} is not a regular file")
        if found.size > MAX_FILE_BYTES:
            raise RpcError(
                INVALID_REQUEST, f"fs/readFile: {path} is {found.size} bytes long; at most {MAX_FILE_BYTES} are sent"
            )
        return files.read(path, limit=MAX_FILE_BYTES)

    data = await caller.house.ports.threads.run(read)
    return ReadFileResponse(data_base64=base64.b64encode(data).decode())


async def metadata(caller: Caller, params: PathParams) -> MetadataResponse:
    path = _absolute("fs/getMetadata", params.path)
    files = caller.house.ports.files
    itself, target = await caller.house.ports.threads.run(lambda: (files.stat(path, follow=False), files.stat(path)))
    itself = _existing("fs/getMetadata", path, itself)
    shown = itself if target is None else target
    return MetadataResponse(
        is_directory=shown.kind == "directory",
        is_file=shown.kind == "file",
        is_symlink=itself.kind == "symlink",
        created_at_ms=0,
        modified_at_ms=round(shown.modified_at * 1000),
    )


async def read_directory(caller: Caller, params: PathParams) -> ReadDirectoryResponse:
    path = _absolute("fs/readDirectory", params.path)
    files = caller.house.ports.files

    def read() -> tuple[DirectoryEntry, ...]:
        found = _existing("fs/readDirectory", path, files.stat(path))
        if found.kind != "directory":
            raise RpcError(INVALID_REQUEST, f"fs/readDirectory: {path} is not a directory")
        entries = []
        for entry in files.list_dir(path):
            kind: str = entry.kind
            if kind == "symlink":
                target = files.stat(posixpath.join(path, entry.name))
                kind = "other" if target is None else target.kind
            entries.append(
                DirectoryEntry(file_name=entry.name, is_directory=kind == "directory", is_file=kind == "file")
            )
        return tuple(entries)

    return ReadDirectoryResponse(entries=await caller.house.ports.threads.run(read))


async def search(caller: Caller, params: FuzzySearchParams) -> FuzzySearchResponse:
    return FuzzySearchResponse(files=await caller.searches.once(params.query, params.roots, params.cancellation_token))


async def start_search(caller: Caller, params: SearchStartParams) -> Nothing:
    caller.searches.start(params.session_id, params.roots)
    return Nothing()


async def update_search(caller: Caller, params: SearchUpdateParams) -> Nothing:
    caller.searches.update(params.session_id, params.query)
    return Nothing()


async def stop_search(caller: Caller, params: SearchStopParams) -> Nothing:
    caller.searches.stop(params.session_id)
    return Nothing()


def _absolute(name: str, path: str) -> str:
    if not posixpath.isabs(path) or "\0" in path:
        raise RpcError(INVALID_PARAMS, f"{name}: path must be an absolute path, not {path[:200]!r}")
    return path


def _existing(name: str, path: str, found: FileStat | None) -> FileStat:
    if found is None:
        raise RpcError(INVALID_REQUEST, f"{name}: there is nothing at {path}")
    return found


METHODS = (
    method("fs/readFile", PathParams, read_file),
    method("fs/getMetadata", PathParams, metadata),
    method("fs/readDirectory", PathParams, read_directory),
    method("fuzzyFileSearch", FuzzySearchParams, search),
    method("fuzzyFileSearch/sessionStart", SearchStartParams, start_search),
    method("fuzzyFileSearch/sessionUpdate", SearchUpdateParams, update_search),
    method("fuzzyFileSearch/sessionStop", SearchStopParams, stop_search),
)
