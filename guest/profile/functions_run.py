#!/usr/bin/env python3
"""Which functions a program calls, in the order of their first calls: `functions_run.py PROGRAM ARGUMENT…`.

Puts a breakpoint on each function of PROGRAM (x86-64, not position independent, with symbols), takes it away when it is
hit, and prints the function's name on descriptor 3. Threads are followed, children are not."""

import ctypes
import os
import signal
import subprocess
import sys

TRACEME, CONT, GETREGS, SETREGS, SETOPTIONS = 0, 7, 12, 13, 0x4200
O_TRACECLONE = 8
RIP = 16  # in user_regs_struct, in words
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
Registers = ctypes.c_ulong * 27


def ptrace(request, pid, address=0, data=0):
    if libc.ptrace(request, pid, address, data) < 0 and ctypes.get_errno() != 3:  # ESRCH: it has just ended
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def functions(program):
    """Address → name, of the text symbols."""
    found = {}
    for line in subprocess.check_output(["nm", "--defined-only", program], text=True).splitlines():
        address, kind, name = line.split(" ", 2)
        if kind in "tTwW":
            found.setdefault(int(address, 16), name)
    return found


def text_segment(program):
    """Offset in the file, address and size of what is executable."""
    lines = subprocess.check_output(["readelf", "-lW", program], text=True).splitlines()
    fields = next(line for line in lines if line.strip().startswith("LOAD") and " E " in line).split()
    return tuple(int(field, 16) for field in (fields[1], fields[2], fields[4]))


def trace(program, arguments, names, out):
    offset, begin, size = text_segment(program)
    with open(program, "rb") as file:
        file.seek(offset)
        original = file.read(size)
    patched = bytearray(original)
    waiting = {address for address in names if begin <= address < begin + size}
    for address in waiting:
        patched[address - begin] = 0xCC
    child = os.fork()
    if child == 0:
        ptrace(TRACEME, 0)
        os.execv(program, [program, *arguments])
    os.waitpid(child, 0)
    ptrace(SETOPTIONS, child, 0, O_TRACECLONE)
    memory = os.open(f"/proc/{child}/mem", os.O_RDWR)
    os.pwrite(memory, patched, begin)
    registers = Registers()
    alive = {child}
    ptrace(CONT, child)
    while alive:
        thread, status = os.waitpid(-1, 0x40000000)  # __WALL
        if not os.WIFSTOPPED(status):
            alive.discard(thread)
            continue
        alive.add(thread)
        passed_on = os.WSTOPSIG(status)
        if passed_on == signal.SIGTRAP:
            passed_on = 0
            if status >> 16 == 0:
                ptrace(GETREGS, thread, 0, ctypes.byref(registers))
                address = registers[RIP] - 1
                if begin <= address < begin + size and patched[address - begin] == 0xCC and address in names:
                    if address in waiting:
                        waiting.discard(address)
                        os.pwrite(memory, original[address - begin : address - begin + 1], address)
                        print(names[address], file=out)
                    registers[RIP] = address
                    ptrace(SETREGS, thread, 0, ctypes.byref(registers))
        elif passed_on == signal.SIGSTOP:
            passed_on = 0
        ptrace(CONT, thread, 0, passed_on)


if __name__ == "__main__":
    with os.fdopen(3, "w") as out:
        trace(sys.argv[1], sys.argv[2:], functions(sys.argv[1]), out)
