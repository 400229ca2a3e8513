"""Compiled programs as Linux's `perf` sees them: names, and lines of what was compiled.

`config.perf_map` adds the functions of loaded code to /tmp/perf-PID.map, which `perf report` reads. `config.jitdump` writes
jit-PID.dump, which `perf inject --jit` makes objects of, so that `perf annotate` shows each instruction beside its line. The lines
are those of the LLVM text, kept beside the dump, in which each kernel's ops and the user's lines are noted. Either has kernels
stay functions of their own, in code that is kept apart in the cache. Both must be set before what is to be seen is compiled.

    WENGERT_JITDUMP=out perf record -k mono -g python step.py
    perf inject --jit -i perf.data -o jit.data && perf report -i jit.data

Source  tools/perf/Documentation/jit-interface.txt and jitdump-specification.txt of Linux.
"""

from __future__ import annotations

import ctypes
import logging
import mmap
import os
import re
import struct
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from wengert.core.config import config
from wengert.core.source import describe, is_backward, lineno
from wengert.lowering.lowered import Kernel, Lowered
from wengert.runtime.elf import Object, Row, Symbol

APART = "; kernels stay functions\n"  # the first line of text of which that is wanted
_LISTED = "; listed\n"  # the second, of text with lines
_FIRST = 900_000  # number of metadata, above all that the lowering writes
log = logging.getLogger("wengert")
_guard = threading.RLock()


def mapped() -> bool:
    """Whether names are to be written."""
    return bool(config.perf_map) or _set("WENGERT_PERF_MAP")


def folder() -> Path | None:
    """Where code is to be dumped."""
    chosen = config.jitdump or os.environ.get("WENGERT_JITDUMP", "")
    if not chosen or chosen == "0":
        return None
    return Path(os.environ.get("JITDUMPDIR", ".") if chosen is True or chosen == "1" else chosen)


def _set(variable: str) -> bool:
    return os.environ.get(variable, "0") not in ("", "0")


# ── what is compiled ──────────────────────────────────────────────────────────


def text(lowered: Lowered) -> str:
    """The text to compile: `lowered.text`, unless somebody wants to see it in `perf`."""
    if folder() is not None:
        return lined(listing(lowered))
    return APART + lowered.text if mapped() else lowered.text


_KERNEL = re.compile(r"^define internal void @((?:b\d+\.)*k\d+)\.body\(", re.MULTILINE)


def listing(lowered: Lowered) -> str:
    """`lowered.text` with a note of the user's lines above each kernel."""
    kernels = {k.name: k for kernel in lowered.kernels for k in (kernel, *kernel.within())}

    def noted(found: re.Match[str]) -> str:
        kernel = kernels.get(found[1])
        if kernel is None:
            return found[0]
        notes = [f"; {kernel.name}: {kernel.kind} over {'×'.join(map(str, kernel.domain)) or '1'}"]
        notes += [f";   {op}{' (backward)' * is_backward(at)}  {describe(at)}" for op, at in kernel.sources]
        return "\n".join([*(note.replace("\n", " ") for note in notes), found[0]])

    return APART + _LISTED + _KERNEL.sub(noted, lowered.text)


def lined(listing: str) -> str:
    """The text with metadata that says for each instruction in which line of it it stands."""
    out: list[str] = []
    metadata: list[str] = []
    scope = after = 0
    number = _FIRST + 4
    opened = 0  # brackets of an instruction over several lines
    for at, line in enumerate(listing.split("\n"), 1):
        if line.startswith("define "):
            scope, number = number, number + 1
            name = re.search(r'@("[^"]+"|[\w.$]+)\(', line)
            called = name[1].strip('"') if name else "f"
            metadata.append(
                f'!{scope} = distinct !DISubprogram(name: "{called}", scope: !{_FIRST + 1}, file: !{_FIRST + 1}, line: {at},'
                f" type: !{_FIRST + 2}, spFlags: DISPFlagDefinition, unit: !{_FIRST})"
            )
            line = f"{line[:-1]}!dbg !{scope} {{" if line.endswith("{") else line
        elif line.startswith("}"):
            scope = 0
        elif scope and line.startswith("  ") and not line.lstrip().startswith(";"):
            line = line.split(" ;")[0].rstrip()
            after = at if not opened else after
            opened += line.count("[") - line.count("]")
            if not opened:
                metadata.append(f"!{number} = !DILocation(line: {after}, scope: !{scope})")
                line, number = f"{line}, !dbg !{number}", number + 1
        out.append(line)
    head = [
        f"!llvm.dbg.cu = !{{!{_FIRST}}}",
        f"!llvm.module.flags = !{{!{_FIRST + 3}, !{number}}}",
        f'!{_FIRST} = distinct !DICompileUnit(language: DW_LANG_C, file: !{_FIRST + 1}, producer: "wengert", isOptimized: true,'
        " runtimeVersion: 0, emissionKind: LineTablesOnly)",
        f'!{_FIRST + 1} = !DIFile(filename: "program.ll", directory: "")',
        f"!{_FIRST + 2} = !DISubroutineType(types: !{{}})",
        f'!{_FIRST + 3} = !{{i32 2, !"Debug Info Version", i32 3}}',
        f'!{number} = !{{i32 2, !"Dwarf Version", i32 4}}',
    ]
    return "\n".join([*out, *head, *metadata, ""])


# ── names ─────────────────────────────────────────────────────────────────────


class Names:
    """What the functions of a program are called in profiles: the program's name, the kernel, its ops, the user's line."""

    def __init__(self, program: str, lowered: Lowered | None = None) -> None:
        self.program, self.lowered = program, lowered

    def all(self) -> Mapping[str, str]:
        """By symbol."""
        found = {"run": self.program}
        for kernel in self.lowered.kernels if self.lowered else ():
            for one in (kernel, *kernel.within()):
                found[f"{one.name}.body"] = self._called(one)
                found[one.name] = f"{self.program} {one.name}"
        return found

    def _called(self, kernel: Kernel) -> str:
        ops = "+".join(kernel.ops[:4]) + ("+…" if len(kernel.ops) > 4 else "")
        at = next((source for _, source in kernel.sources if source is not None), None)
        where = f" {Path(at[0].co_filename).name}:{lineno(at)}" if at else ""
        return f"{self.program} {kernel.name} {ops}{where}"

    def __call__(self, symbol: str, known: Mapping[str, str]) -> str:
        return known.get(symbol) or f"{self.program} {symbol.removeprefix('wg.')}"


# ── what was loaded ───────────────────────────────────────────────────────────


def loaded(code: bytes, run: int, names: Names, first: str = "run") -> None:
    """Object code was loaded, with the function `first` at the address `run`: write what is wanted of it. Nothing raises: a profile
    is no reason for a program to fail."""
    where = folder()
    if where is None and not mapped():
        return
    try:
        found = Object(code)
        placed = list(_placed(found, run, first))
        if mapped():
            _map(placed, names)
        if where is not None:
            _dump(where, found, placed, names)
    except (OSError, ValueError) as error:
        log.warning("perf will not see %s: %s", names.program, error)


def _placed(found: Object, run: int, first: str) -> Iterator[tuple[Symbol, int]]:
    """The functions in the section of `first`, and where they lie."""
    symbols = list(found.symbols())
    anchor = next((s for s in symbols if s.name == first), None)
    if anchor is None:
        raise ValueError(f"no function {first!r} in the object")
    for symbol in symbols:
        if symbol.section == anchor.section:
            yield symbol, run - anchor.start + symbol.start


def _map(placed: list[tuple[Symbol, int]], names: Names) -> None:
    known = names.all()
    lines = "".join(f"{at:x} {symbol.size:x} {names(symbol.name, known)}\n" for symbol, at in placed)
    with _guard, open(f"/tmp/perf-{os.getpid()}.map", "a", encoding="utf-8") as file:
        file.write(lines)


# ── the dump ──────────────────────────────────────────────────────────────────

_MAGIC, _VERSION = 0x4A695444, 1
LOAD, DEBUG = 0, 2  # kinds of records
_HEADER, _PREFIX = struct.Struct("<IIIIIIQQ"), struct.Struct("<IIQ")


class _Dump:
    """The file of this process. `perf record` learns of it by its being mapped."""

    def __init__(self, where: Path, machine: int) -> None:
        where.mkdir(parents=True, exist_ok=True)
        self.pid, self.where, self.index = os.getpid(), where, 0
        self.path = where / f"jit-{self.pid}.dump"
        self._file = open(self.path, "w+b", buffering=0)  # noqa: SIM115 - it is open as long as the process runs
        self._file.write(_HEADER.pack(_MAGIC, _VERSION, _HEADER.size, machine, 0, self.pid, _now(), 0))
        self._file.truncate(mmap.PAGESIZE)  # Python maps no more than there is
        self._mark = mmap.mmap(self._file.fileno(), mmap.PAGESIZE, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_EXEC)
        self._file.truncate(_HEADER.size)

    def record(self, kind: int, body: bytes) -> None:
        self._file.write(_PREFIX.pack(kind, _PREFIX.size + len(body), _now()) + body)

    def listing(self, names: Names) -> Path | None:
        """The text of a program, in a file beside this one."""
        if names.lowered is None:
            return None
        name = re.sub(r"\W+", "_", names.program) or "program"
        path = self.where / f"jit-{self.pid}-{self.index}-{name}.ll"
        path.write_text(listing(names.lowered), encoding="utf-8")
        return path.resolve()


def _now() -> int:
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) if hasattr(time, "CLOCK_MONOTONIC") else time.monotonic_ns()


_dumps: dict[tuple[int, Path], _Dump] = {}


def _dump(where: Path, found: Object, placed: list[tuple[Symbol, int]], names: Names) -> None:
    known = names.all()
    with _guard:
        key = os.getpid(), where
        dump = _dumps.get(key)
        if dump is None:
            dump = _dumps[key] = _Dump(where, found.machine)
        rows = found.lines()
        path = dump.listing(names) if rows else None
        for symbol, at in placed:
            dump.index += 1
            if path is not None:
                dump.record(DEBUG, _lines(symbol, at, rows, str(path)))
            code = ctypes.string_at(at, symbol.size)
            head = struct.pack("<IIQQQQ", dump.pid, _thread(), at, at, symbol.size, dump.index)
            dump.record(LOAD, head + names(symbol.name, known).encode() + b"\0" + code)


def _lines(symbol: Symbol, at: int, rows: list[Row], path: str) -> bytes:
    """The lines of a function, as entries of a record."""
    name, entries, last = path.encode() + b"\0", [], -1
    for row in rows:
        inside = row.section == symbol.section and symbol.start <= row.address < symbol.start + symbol.size
        if inside and not row.last and row.line and row.line != last:
            entries.append(struct.pack("<QII", at + row.address - symbol.start, row.line, 0) + name)
            last = row.line
    return struct.pack("<QQ", at, len(entries)) + b"".join(entries)


def _thread() -> int:
    return threading.get_native_id() & 0xFFFFFFFF


def _forked() -> None:
    global _guard
    _guard = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
