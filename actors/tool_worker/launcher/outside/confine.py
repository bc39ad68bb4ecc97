"""What an init does to itself before it starts a confined tool: steps that the daemon planned, in their order.

A step is a word with its arguments; which steps make up a sandbox is decided in `actors.tool_worker.confinement`, and
only done here. What is given up here is given up for good, and every child inherits it:

    pin PATH                    a path stays as it is, through any name of it: mounted on itself, read-only
    hide PATH                   something empty is in its place, read-only
    memory PATH BYTES           a folder of memory of the call's own, instead of the host's (/dev/shm)
    processes NUMBER            how many processes the container may have
    limit RESOURCE NUMBER       one resource limit, by its number
    undumpable                  nobody may look into the init
    capabilities MASK           these stay, of those there are
    landlock HANDLED NET SCOPE  a domain in which what is handled is denied, but for the rules before it
    allow RIGHTS PATH           one of these rules
    filter HEX                  a seccomp filter
    hand_over HEX               the same filter, for bubblewrap to apply: as a descriptor

Errors are raised, never passed over: a sandbox with a part missing is not started.
"""

from __future__ import annotations

import os
import resource
from stat import S_ISDIR

from .kernel import SYS_LANDLOCK_CREATE, Kernel

FILTER_FD = 9
"""Where bubblewrap reads its filter: above 0, 1 and 2, and no other descriptor passes an exec."""

AT_FDCWD = -100
AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH, AT_RECURSIVE = 0x100, 0x1000, 0x8000
OPEN_TREE_CLONE, OPEN_TREE_CLOEXEC, MOVE_MOUNT_F_EMPTY_PATH = 1, 0o2000000, 4
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_BIND, MS_REC, MS_SLAVE = 1, 2, 4, 1 << 12, 1 << 14, 1 << 19
SYS_OPEN_TREE, SYS_MOVE_MOUNT, SYS_MOUNT_SETATTR = 428, 429, 442
SYS_LANDLOCK_ADD, SYS_LANDLOCK_RESTRICT = 445, 446
"""The same numbers on every architecture."""

MOUNT_ATTR_RDONLY = 1
LANDLOCK_RULE_PATH = 1
LANDLOCK_FILE_RIGHTS = 0b1000_0000_0000_0111 | 1 << 14
"""Execute, write, read, device ioctl, truncate: a rule about a file that names any other right is refused."""

PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = 4, 38, 47
PR_CAP_AMBIENT_CLEAR_ALL = 4
LINUX_CAPABILITY_VERSION_3 = 0x2008_0522
PIDS_OF_A_NAMESPACE_FROM = (6, 14)
"""Linux before this has one pid_max for all namespaces: setting it in a container would set it for the host."""

EINVAL, EPERM = 22, 1


class Confinement:
    """Applied step by step; ``own_mounts``: whether this process has a mount namespace of its own."""

    def __init__(self, kernel: Kernel, *, own_mounts: bool) -> None:
        self.kernel = kernel
        self.own_mounts = own_mounts
        self.detached = False
        self.rules: list[tuple[int, bytes]] = []
        self.filter_fd: int | None = None

    def apply(self, steps: list[bytes]) -> None:
        """All of them. Raises OSError for the first that cannot be done; ValueError for one that makes no sense."""
        for step in steps:
            word, _, rest = step.partition(b" ")
            match word:
                case b"pin":
                    self.pin(rest)
                case b"hide":
                    self.hide(rest)
                case b"memory":
                    path, _, size = rest.rpartition(b" ")
                    self.own_memory(path, int(size))
                case b"processes":
                    self.limit_processes(int(rest))
                case b"limit":
                    which, number = map(int, rest.split())
                    limit_resource(which, number)
                case b"undumpable":
                    self.kernel.prctl(PR_SET_DUMPABLE, 0)
                case b"capabilities":
                    self.keep_capabilities(int(rest))
                case b"allow":
                    rights, _, path = rest.partition(b" ")
                    self.rules.append((int(rights), path))
                case b"landlock":
                    handled, network, scope = map(int, rest.split())
                    self.restrict_files(handled, network, scope)
                case b"filter":
                    self.kernel.prctl(PR_SET_NO_NEW_PRIVS, 1)
                    self.kernel.restrict_calls(bytes.fromhex(rest.decode()))
                case b"hand_over":
                    self.filter_fd = filter_file(bytes.fromhex(rest.decode()))
                case _:
                    raise ValueError(step)

    def detach(self) -> None:
        """From here on our mounts are seen by nobody else; the host's go on to be seen by us. Raises OSError."""
        if not self.own_mounts:
            raise PermissionError(EPERM, "no mount namespace of our own")
        if not self.detached:
            self.kernel.mount_at(b"none", b"/", None, MS_REC | MS_SLAVE, None)
            self.detached = True

    def pin(self, path: bytes) -> None:
        """Also a symbolic link, which is pinned itself, not what it leads to. What is gone by now is passed over."""
        self.detach()
        try:
            tree = self.kernel.call(
                SYS_OPEN_TREE,
                AT_FDCWD,
                path,
                OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW | AT_RECURSIVE,
            )
        except FileNotFoundError:
            return
        try:
            attributes = MOUNT_ATTR_RDONLY.to_bytes(8, "little") + bytes(24)
            flags = AT_EMPTY_PATH | AT_RECURSIVE
            self.kernel.call(SYS_MOUNT_SETATTR, tree, b"", flags, attributes, len(attributes))
            self.kernel.call(SYS_MOVE_MOUNT, tree, b"", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH)
        finally:
            os.close(tree)

    def hide(self, path: bytes) -> None:
        """A folder reads as empty, a file as well. What is gone by now is passed over."""
        self.detach()
        try:
            folder = S_ISDIR(os.stat(path).st_mode)
        except FileNotFoundError:
            return
        if folder:
            flags = MS_RDONLY | MS_NOSUID | MS_NODEV
            self.kernel.mount_at(b"tmpfs", path, b"tmpfs", flags, b"mode=000,size=4k")
        else:
            self.kernel.mount_at(b"/dev/null", path, None, MS_BIND, None)

    def own_memory(self, path: bytes, size: int) -> None:
        self.detach()
        self.kernel.mount_at(b"tmpfs", path, b"tmpfs", MS_NOSUID | MS_NODEV, b"mode=1777,size=%d" % size)

    def limit_processes(self, number: int) -> None:
        """By the container's own pid_max, where the kernel has that; the limit by user binds all but root."""
        limit_resource(resource.RLIMIT_NPROC, number)
        if not self.own_mounts or kernel_version() < PIDS_OF_A_NAMESPACE_FROM:
            return
        try:
            write_number("/proc/sys/kernel/pid_max", number)
            first = number // 4 + int.from_bytes(os.urandom(4), "big") % (number // 2)
            write_number("/proc/sys/kernel/ns_last_pid", first)  # else every tool would have the lowest pid
        except OSError:
            return  # not root in there: the limit by user holds instead

    def keep_capabilities(self, kept: int) -> None:
        """Of this process, and of whatever it ever executes."""
        self.kernel.prctl(PR_SET_NO_NEW_PRIVS, 1)  # with it no exec gives more than we hold, to root neither
        try:
            self.kernel.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
        except OSError as error:
            if error.errno != EINVAL:  # a kernel without ambient capabilities
                raise
        header = LINUX_CAPABILITY_VERSION_3.to_bytes(4, "little") + bytes(4)
        held = bytearray(24)
        self.kernel.capget(header, held)
        permitted = int.from_bytes(held[4:8], "little") | int.from_bytes(held[16:20], "little") << 32
        left = permitted & kept
        low, high = (left & 0xFFFF_FFFF).to_bytes(4, "little"), (left >> 32).to_bytes(4, "little")
        self.kernel.capset(header, low + low + bytes(4) + high + high + bytes(4))

    def restrict_files(self, handled: int, network: int, scope: int) -> None:
        """Landlock. Rules about paths that do not exist are passed over: what is not there cannot be written."""
        attributes = b"".join(number.to_bytes(8, "little") for number in (handled, network, scope))
        attributes = attributes[: 24 if scope else 16 if network else 8]  # an older kernel wants the shorter form
        ruleset = self.kernel.call(SYS_LANDLOCK_CREATE, attributes, len(attributes), 0)
        try:
            for rights, path in self.rules:
                self.add_rule(ruleset, rights & handled, path)
            self.kernel.prctl(PR_SET_NO_NEW_PRIVS, 1)
            self.kernel.call(SYS_LANDLOCK_RESTRICT, ruleset, 0)
        finally:
            os.close(ruleset)

    def add_rule(self, ruleset: int, rights: int, path: bytes) -> None:
        try:
            fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return
        try:
            if not S_ISDIR(os.fstat(fd).st_mode):
                rights &= LANDLOCK_FILE_RIGHTS
            if rights:
                rule = rights.to_bytes(8, "little") + fd.to_bytes(4, "little")
                self.kernel.call(SYS_LANDLOCK_ADD, ruleset, LANDLOCK_RULE_PATH, rule, 0)
        finally:
            os.close(fd)


def write_number(path: str, number: int) -> None:
    """Without a file object, which costs a tenth of a millisecond in a fresh process."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, b"%d" % number)
    finally:
        os.close(fd)


def limit_resource(which: int, number: int) -> None:
    """Lower both limits; one that is lower already stays."""
    _, hard = resource.getrlimit(which)
    if hard == resource.RLIM_INFINITY or hard > number:
        resource.setrlimit(which, (number, number))


def kernel_version() -> tuple[int, int]:
    major, minor = os.uname().release.split(".", 2)[:2]
    return int(major), int("".join(filter(str.isdigit, minor)) or 0)


def filter_file(program: bytes) -> int:
    """The filter in memory, to be read once from its beginning."""
    fd = os.memfd_create("callboard-filter", os.MFD_CLOEXEC)
    os.write(fd, program)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd
