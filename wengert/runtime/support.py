"""The runtime's own machine code: entries from Python, blocks of memory, threads. Its text lies in `support/`."""

from __future__ import annotations

import ctypes
import functools
import os
import platform
import re
import signal
import sys
import time
from pathlib import Path
from string import Template
from typing import Any

from wengert.runtime import cache, native, objects
from wengert.runtime.perf import Names

DOMAIN = 0x776E67  # under which tracemalloc finds the workspaces of compiled programs: "wng"
STACK = 16384  # bytes of workspace up to which the stack serves
_KINDS: dict[str, Any] = dict.fromkeys(
    ("limit", "workers", "spins"), ctypes.c_int32
)  # of variables; others have 64 bits
_PAUSE = {
    "x86_64": "@llvm.x86.sse2.pause()",
    "amd64": "@llvm.x86.sse2.pause()",
    "aarch64": "@llvm.aarch64.hint(i32 1)",
    "arm64": "@llvm.aarch64.hint(i32 1)",
}


def _part(name: str) -> str:
    return (Path(__file__).parent / "support" / name).read_text(encoding="utf-8")


@functools.cache
def text() -> str:
    """The module for this machine."""
    posix = os.name == "posix"
    pause = _PAUSE.get(platform.machine().lower())
    parts = [
        _part("entry.ll"),
        _part("blocks.ll"),
        _part("meter.ll"),
        _part("advise_linux.ll" if sys.platform == "linux" else "advise_none.ll"),
        _part("threads_posix.ll" if posix else "threads_none.ll"),
    ]
    if pause:
        parts.append(f"declare void {re.sub(r'i32 1', 'i32', pause)}")
    values = objects.offsets() | {
        "stack": STACK,
        "domain": DOMAIN,
        "monotonic": getattr(time, "CLOCK_MONOTONIC", 1),
        "setmask": int(getattr(signal, "SIG_SETMASK", 2)),
        "pause": f"call void {pause}" if pause else "",
        "spins": 1000,
    }
    return Template("\n".join(parts)).substitute(values)


_settings: dict[str, int] = {}


def configure(name: str, value: int) -> None:
    """Set a variable of the code, now or when it is loaded."""
    _settings[name] = value
    if _once.cache_info().currsize:
        support().set(name, value)


class Handler(ctypes.Structure):
    """NumPy's `PyDataMem_Handler`."""

    _fields_ = (
        ("name", ctypes.c_char * 127),
        ("version", ctypes.c_uint8),
        *((field, ctypes.c_void_p) for field in ("context", "malloc", "calloc", "realloc", "free")),
    )


class Support:
    """The loaded code; it is never taken out of memory, since arrays and threads may still need it."""

    def __init__(self) -> None:
        wanted = native.declared(text())
        python = {name: objects.address(name) for name in wanted if name.startswith("Py")}
        native.provide(python | objects.functions())
        native.require(name for name in wanted if "." not in name)
        code, self.seconds = cache.assembled(text(), native.FULL)
        start = time.perf_counter()
        self._code = native.Code(code, Names("wengert"), "enter")
        self.seconds["load"] = time.perf_counter() - start
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._code))
        self.enter, self.host, self.parallel = map(self._code.address, ("enter", "host", "parallel"))
        self.interrupted = self._code.address("interrupted")
        self.invoke = ctypes.PYFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p)(self._code.address("invoke"))
        self.set("handler", self._handler())
        for name, value in _settings.items():
            self.set(name, value)
        if hasattr(os, "register_at_fork"):
            for name in ("threads_forked", "blocks_forked"):
                os.register_at_fork(after_in_child=self.function(name, None))

    def _handler(self) -> int:
        """A capsule through which NumPy takes memory from blocks; it is never freed, since arrays may outlive everything."""
        functions = [self._code.address(f"np_{name}") for name in ("malloc", "calloc", "realloc", "free")]
        table, name = Handler(b"wengert", 1, None, *functions), ctypes.create_string_buffer(b"mem_handler")
        make = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
        capsule = make(objects.address("PyCapsule_New"))(ctypes.addressof(table), ctypes.addressof(name), None)
        for kept in (table, name, capsule):
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(kept))
        return id(capsule)

    def address(self, name: str) -> int:
        """Where a function or variable of the module begins."""
        return self._code.address(name)

    def function(self, name: str, result: Any, *arguments: Any) -> Any:
        """A function of the module, for Python; it must not touch Python's objects, and the GIL is held."""
        return ctypes.PYFUNCTYPE(result, *arguments)(self._code.address(name))

    def get(self, name: str) -> int:
        """The value of a variable."""
        return _KINDS.get(name, ctypes.c_int64).from_address(self._code.address(name)).value

    def set(self, name: str, value: int) -> None:
        """Set a variable."""
        _KINDS.get(name, ctypes.c_int64).from_address(self._code.address(name)).value = value


@functools.cache
def support() -> Support:
    """The loaded code."""
    with native.LOCK:
        return _once()


@functools.cache
def _once() -> Support:
    return Support()


STACKS = (
    "malloc",
    "realloc",
    "free",
)  # which compiled loops of unknown length take memory by, as `stack_malloc` and so on


def _stacks() -> dict[str, int]:
    """Counted by the meter; the C library's own where there is none."""
    if objects.supported():
        return {f"stack_{name}": native.in_process(name) for name in STACKS}
    code = support()
    return {f"stack_{name}": code.address(f"stack_{name}") for name in STACKS}


native.PROVIDERS.update({f"stack_{name}": _stacks for name in STACKS})
