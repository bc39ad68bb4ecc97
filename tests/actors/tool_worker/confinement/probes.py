"""Runs inside a sandbox: tries each action of the table and prints what came of it, as JSON.

Its argument is JSON: where things are, and who the daemon is. Imports nothing of ours, because it is a program that a
model might have written.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import signal
import socket
import sys
from collections.abc import Callable

WORD = "changed by a probe"
LARGE = 17 << 30
FORKS = 700
"""More than the limit that the test sets."""

libc = ctypes.CDLL(None, use_errno=True)


def checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def write(path: str) -> None:
    with open(path, "a") as file:
        file.write(WORD)


def connect(family: int, kind: int, address: object) -> None:
    with socket.socket(family, kind) as client:
        client.settimeout(2)
        client.connect(address)  # type: ignore[arg-type]  # what is an address depends on the family
        client.send(b"probe")


def own_server() -> None:
    with socket.socket() as server, socket.socket() as client:
        server.bind(("127.0.0.1", 0))
        server.listen()
        client.connect(server.getsockname())


def pair() -> None:
    for end in socket.socketpair():
        end.close()


def rename_git(folder: str) -> None:
    os.rename(f"{folder}/.git", f"{folder}/elsewhere")
    os.mkdir(f"{folder}/.git")


def replace_link(path: str) -> None:
    os.unlink(path)
    os.mkdir(path)


def hardlink(outside: str, inside: str) -> None:
    os.link(outside, inside)
    write(inside)


def read_memory(pid: int) -> None:
    with open(f"/proc/{pid}/maps") as maps:
        start = int(maps.readline().split("-")[0], 16)
    with open(f"/proc/{pid}/mem", "rb") as memory:
        memory.seek(start)
        memory.read(16)


def vm_read(pid: int) -> None:
    with open(f"/proc/{pid}/maps") as maps:
        start = int(maps.readline().split("-")[0], 16)
    buffer = ctypes.create_string_buffer(16)
    ours = (ctypes.c_size_t * 2)(ctypes.addressof(buffer), 16)
    theirs = (ctypes.c_size_t * 2)(start, 16)
    libc.process_vm_readv.restype = ctypes.c_ssize_t
    checked(libc.process_vm_readv(pid, ours, 1, theirs, 1, 0))


def trace(pid: int) -> None:
    attach, detach = 16, 17
    libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
    libc.ptrace.restype = ctypes.c_long
    checked(libc.ptrace(attach, pid, None, None))
    os.waitpid(pid, 0x40000000)
    libc.ptrace(detach, pid, None, None)


def write_descriptors(pid: int, wanted: str) -> None:
    for name in os.listdir(f"/proc/{pid}/fd"):
        if os.readlink(f"/proc/{pid}/fd/{name}") == wanted:
            write(f"/proc/{pid}/fd/{name}")
            return
    raise OSError("it has no such descriptor")


def environment_of(pid: int) -> None:
    with open(f"/proc/{pid}/environ", "rb") as file:
        if b"DAEMON_SECRET" not in file.read():
            raise OSError("nothing of it")


def namespace() -> None:
    """In a child, which is not in the way of what comes next."""
    in_child(lambda: checked(libc.unshare(0x10000000)))


def in_child(action: Callable[[], object]) -> None:
    pid = os.fork()
    if pid == 0:
        try:
            action()
        except OSError:
            os._exit(1)
        os._exit(0)
    if os.waitpid(pid, 0)[1]:
        raise OSError("the child could not")


def mount(folder: str) -> None:
    checked(libc.mount(b"none", folder.encode(), b"tmpfs", 0, None))
    libc.umount2(folder.encode(), 2)


def type_into_terminal() -> None:
    leader, follower = os.openpty()
    try:
        fcntl.ioctl(follower, 0x5412, b"x")
    finally:
        os.close(leader)
        os.close(follower)


def keyring() -> None:
    checked(libc.syscall({"x86_64": 250, "aarch64": 219}[os.uname().machine], 0, -3, 1))


def large_file(path: str) -> None:
    try:
        with open(path, "wb") as file:
            file.truncate(LARGE)
    finally:
        if os.path.exists(path):
            os.unlink(path)


def fork_bomb() -> None:
    """Children that wait, until no more can be had or there are enough; all are ended."""
    reading, writing = os.pipe()
    children = []
    try:
        for _ in range(FORKS):
            pid = os.fork()
            if pid == 0:
                os.close(writing)
                os.read(reading, 1)
                os._exit(0)
            children.append(pid)
    finally:
        os.close(writing)
        for pid in children:
            os.waitpid(pid, 0)


def descriptors() -> None:
    """Of those there are, one is of the listing itself."""
    found = [name for name in os.listdir("/proc/self/fd") if int(name) > 2 and os.path.exists(f"/proc/self/fd/{name}")]
    if not found:
        raise OSError("only 0, 1 and 2")


def secrets() -> None:
    if "PROVIDER_KEY" not in os.environ:
        raise OSError("it is not there")


def udp(family: int, address: object) -> None:
    """A datagram that nobody takes is answered by the kernel, which the next one is told of."""
    with socket.socket(family, socket.SOCK_DGRAM) as sender:
        sender.connect(address)  # type: ignore[arg-type]  # as above
        sender.send(b"probe")
        sender.settimeout(0.05)
        with contextlib.suppress(TimeoutError):
            sender.recv(1)


def main(given: dict[str, object]) -> None:
    workspace, outside, daemon = str(given["workspace"]), str(given["outside"]), int(str(given["daemon"]))
    tcp4, tcp6, udp4, udp6 = (int(str(given[name])) for name in ("tcp4", "tcp6", "udp4", "udp6"))
    actions: dict[str, Callable[[], object]] = {
        "descriptors": descriptors,
        "secrets": secrets,
        "read_outside": lambda: open(outside).close(),
        "write_workspace": lambda: write(f"{workspace}/new"),
        "write_tmp": lambda: write(str(given["tmp"])),
        "write_outside": lambda: write(outside),
        "write_home": lambda: write(str(given["home"]) + "/config.toml"),
        "write_git": lambda: write(f"{workspace}/.git/config"),
        "rename_git": lambda: rename_git(workspace),
        "make_protected": lambda: os.mkdir(f"{workspace}/.codex"),
        "write_gitdir": lambda: write(str(given["gitdir"]) + "/HEAD"),
        "replace_link": lambda: replace_link(f"{workspace}/.agents"),
        "symlink": lambda: write(f"{workspace}/link"),
        "hardlink": lambda: hardlink(outside, f"{workspace}/hard"),
        "proc_root": lambda: write(f"/proc/self/root{outside}"),
        "proc_daemon_root": lambda: write(f"/proc/{daemon}/root{outside}"),
        "proc_fd": lambda: write_descriptors(daemon, str(given["held"])),
        "proc_mem": lambda: read_memory(daemon),
        "vm_read": lambda: vm_read(daemon),
        "ptrace": lambda: trace(daemon),
        "daemon_environ": lambda: environment_of(daemon),
        "kill": lambda: os.kill(daemon, signal.SIGCONT),
        "tcp4": lambda: connect(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", tcp4)),
        "tcp6": lambda: connect(socket.AF_INET6, socket.SOCK_STREAM, ("::1", tcp6)),
        "udp4": lambda: udp(socket.AF_INET, ("127.0.0.1", udp4)),
        "udp6": lambda: udp(socket.AF_INET6, ("::1", udp6)),
        "unix": lambda: connect(socket.AF_UNIX, socket.SOCK_STREAM, str(given["unix"])),
        "abstract": lambda: connect(socket.AF_UNIX, socket.SOCK_STREAM, "\0" + str(given["abstract"])),
        "own_server": own_server,
        "socketpair": pair,
        "namespace": namespace,
        "mount": lambda: mount(workspace),
        "type": type_into_terminal,
        "keyring": keyring,
        "large_file": lambda: large_file(f"{workspace}/large"),
        "fork_bomb": fork_bomb,
    }
    verdicts: dict[str, str] = {}
    reasons: dict[str, str] = {}
    for name, action in actions.items():
        try:
            action()
            verdicts[name] = "allowed"
        except OSError as error:
            verdicts[name] = "denied"
            reasons[name] = str(error)
    print(json.dumps({"verdicts": verdicts, "reasons": reasons}))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
