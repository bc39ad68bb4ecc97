"""The layers around a worker: what the filter lets through on every architecture, and what this kernel does."""

from __future__ import annotations

import platform
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from actors.sandbox_pool.inside import confinement
from actors.sandbox_pool.inside.confinement import ARCHITECTURES, filter_program
from actors.sandbox_pool.inside.protocol import REQUIRED

KILL, ALLOW = 0x8000_0000, 0x7FFF_0000


def verdict(machine: str, architecture: int, number: int, *arguments: int) -> int:
    """Run the filter as the kernel would (linux/filter.h: classic BPF on struct seccomp_data)."""
    program = filter_program(machine)
    words = {0: number, 4: architecture}
    for index in range(6):
        value = arguments[index] if index < len(arguments) else 0
        words[16 + 8 * index], words[20 + 8 * index] = value & 0xFFFF_FFFF, value >> 32
    at = accumulator = 0
    while True:
        code, if_true, if_false, operand = program[at]
        at += 1
        match code:
            case 0x20:
                accumulator = words[operand]
            case 0x15:
                at += if_true if accumulator == operand else if_false
            case 0x35:
                at += if_true if accumulator >= operand else if_false
            case 0x45:
                at += if_true if accumulator & operand else if_false
            case 0x06:
                return operand
            case _:
                pytest.fail(f"unknown instruction {code:#x}")


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_the_filter_lets_through_its_list_and_nothing_else(machine: str) -> None:
    architecture, allowed = ARCHITECTURES[machine]
    through = {number for number in range(600) if verdict(machine, architecture, number) == ALLOW}
    assert through == set(allowed.values())
    assert {verdict(machine, architecture, number) for number in range(600)} == {ALLOW, KILL}


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_the_filter_looks_at_arguments(machine: str) -> None:
    architecture, allowed = ARCHITECTURES[machine]
    for name in ("read", "write"):
        assert verdict(machine, architecture, allowed[name], 0) == ALLOW
        assert [verdict(machine, architecture, allowed[name], fd) for fd in (1, 2, 3, 0xFFFF_FFFF)] == [KILL] * 4
    for name in ("mmap", "mprotect"):
        assert verdict(machine, architecture, allowed[name], 0, 4096, 3) == ALLOW
        assert [verdict(machine, architecture, allowed[name], 0, 4096, prot) for prot in (4, 5, 7)] == [KILL] * 3


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_another_architectures_numbers_are_no_way_around(machine: str) -> None:
    _, allowed = ARCHITECTURES[machine]
    for other in (0x4000_0003, 0xC000_003E, 0xC000_00B7):  # i386, x86-64, aarch64
        if other != ARCHITECTURES[machine][0]:
            assert verdict(machine, other, allowed["exit_group"]) == KILL
    if machine == "x86_64":
        assert verdict(machine, ARCHITECTURES[machine][0], 0x4000_0000 | allowed["exit_group"]) == KILL


def test_a_machine_without_a_table_is_an_error() -> None:
    with pytest.raises(OSError, match="riscv64"):
        filter_program("riscv64")


# --- on this kernel ---------------------------------------------------------------------------------------------------

WORKER = """
import ctypes, mmap, os, signal, socket, sys, threading
sys.path.append(sys.argv[1])
from inside import confinement
line, far = socket.socketpair()
libc = ctypes.CDLL(None, use_errno=True)
os.dup2(line.fileno(), 0)
{before}
if sys.argv[2] == "confined":
    os.closerange(1, 256)  # as a worker does
    layers = confinement.confine(cpu_seconds=3)
try:
    {attack}
except OSError as error:
    os._exit(40)
os._exit(41)
"""

ATTACKS = {
    "open a file": 'open("/etc/passwd").read()',
    "open a file by the system call itself": 'libc.syscall(257, -100, b"/etc/passwd", 0)',
    "list a folder": 'os.listdir("/")',
    "stat a path": 'os.stat("/etc/passwd")',
    "make a file": 'os.open("/tmp/callboard-attack", os.O_CREAT | os.O_WRONLY)',
    "read a descriptor that was left open": "os.read(1, 10)",
    "write to standard error": 'os.write(2, b"")',
    "make a socket": "socket.socket()",
    "send over UDP": 'socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", 9))',
    "make a pipe": "os.pipe()",
    "fork": "os.fork()",
    "make a thread": "threading.Thread(target=int).start()",
    "run a program": 'os.execv("/bin/true", ["true"])',
    "signal the parent": "os.kill(os.getppid(), 0)",
    "signal itself": "os.kill(os.getpid(), 0)",
    "trace": "libc.ptrace(16, os.getppid(), 0, 0)",
    "executable memory": "mmap.mmap(-1, 4096, prot=7)",
    "make memory executable": "libc.mprotect(ctypes.c_void_p(id(libc) & ~4095), 4096, 7)",
    "become another user": "os.setuid(0)",
    "lift a limit": "libc.prlimit(0, 0, None, None)",
    "another kernel interface": "libc.syscall(425, 8, None)",
    "a key of the kernel": "libc.syscall(250, 0, 0)",
    "a file in memory": 'os.memfd_create("x")',
    "mount": 'libc.mount(b"none", b"/mnt", b"tmpfs", 0, None)',
    "a namespace": "libc.unshare(0x10000000)",
}


def attacked(attack: str, *, confined: bool, before: str = "") -> int:
    """The exit status of a process that tries it."""
    folder = Path(confinement.__file__).parents[1]
    program = WORKER.format(attack=attack, before=before)
    words = (sys.executable, "-I", "-c", program, folder, "confined" if confined else "free")
    return subprocess.run(words, stdin=subprocess.PIPE, capture_output=True, timeout=20).returncode


on_x86_64 = pytest.mark.skipif(platform.machine() != "x86_64", reason="the numbers below are x86-64's")


@on_x86_64
@pytest.mark.parametrize("name", ATTACKS)
def test_a_worker_that_is_taken_over_dies_of(name: str) -> None:
    assert attacked(ATTACKS[name], confined=True) == -signal.SIGSYS


@on_x86_64
def test_the_same_can_be_done_without_confinement() -> None:
    harmless = (
        "open a file",
        "list a folder",
        "make a socket",
        "fork",
        "make a pipe",
        "executable memory",
        "stat a path",
    )
    assert {name: attacked(ATTACKS[name], confined=False) for name in harmless} == dict.fromkeys(harmless, 41)


@pytest.mark.parametrize("kind", ["open('/etc/passwd')", "os.open('/tmp/callboard-x', os.O_CREAT)", "os.listdir('/')"])
def test_landlock_alone_keeps_files_away(kind: str) -> None:
    before = "confinement.forgo_privileges(); confinement.restrict_files()"
    assert attacked(kind, confined=False, before=before) == 40


def test_the_limits_alone_keep_processes_and_memory_away() -> None:
    before = "confinement.limit_resources(3); confinement.become_nobody()"
    assert attacked("os.fork()", confined=False, before=before) == 40
    assert attacked("mmap.mmap(-1, 1 << 30)", confined=False, before=before) == 40
    assert attacked("while True: pass", confined=False, before="confinement.limit_resources(1)") == -signal.SIGXCPU


def test_every_required_layer_holds_here() -> None:
    layers = f"os._exit(0 if all(layers.get(name, -1) > 0 for name in {REQUIRED}) else 1)"
    assert attacked(layers, confined=True) == 0


# --- the numbers, against the kernel's own headers ----------------------------------------------------------------------

HEADERS = {
    "aarch64": "/usr/include/asm-generic/unistd.h",  # aarch64 uses the generic table
    "x86_64": "/usr/include/x86_64-linux-gnu/asm/unistd_64.h",
}
NUMBER = re.compile(r"#define __NR(?:3264)?_(\w+)\s+(\d+)")


@pytest.mark.parametrize("machine", HEADERS)
def test_every_number_is_the_one_in_the_kernels_header(machine: str) -> None:
    header = Path(HEADERS[machine])
    if not header.exists():
        pytest.skip(f"there is no {header}: install the kernel's headers (linux-libc-dev)")
    numbers = {name: int(number) for name, number in NUMBER.findall(header.read_text())}
    _, allowed = ARCHITECTURES[machine]
    assert allowed == {name: numbers[name] for name in allowed}


def test_both_architectures_allow_the_same() -> None:
    x86, arm = (set(ARCHITECTURES[machine][1]) for machine in HEADERS)
    assert x86 == arm
