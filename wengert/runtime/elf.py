"""What a profiler must know of object code: its functions, and which line of a text each address comes from.

Reads ELF of 64 bits, little-endian, and the line tables of DWARF 4, which LLVM writes for such text: enough for what this library
compiles, and no more.
Source  System V ABI, ch. 4; DWARF Debugging Information Format 4, § 6.2.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

FUNCTION = 2  # STT_FUNC


@dataclass(frozen=True)
class Symbol:
    """A function: where it begins in its section, and its bytes."""

    name: str
    section: int
    start: int
    size: int


@dataclass(frozen=True)
class Row:
    """The code from `address`, in its section, on comes from `line`; or, where `last`, the sequence of such rows has ended."""

    section: int
    address: int
    line: int
    last: bool


@dataclass(frozen=True)
class _Section:
    name: str
    kind: int
    offset: int
    size: int
    link: int
    info: int
    entry: int


class Object:
    """Object code. Raises ValueError for what is no such ELF."""

    def __init__(self, code: bytes) -> None:
        if code[:6] != b"\x7fELF\x02\x01":
            raise ValueError("no ELF object of 64 bits, little-endian")
        self.code = code
        (self.machine,) = struct.unpack_from("<H", code, 18)
        (at,) = struct.unpack_from("<Q", code, 40)
        size, count, names = struct.unpack_from("<HHH", code, 58)
        raw = [struct.unpack_from("<IIQQQQIIQQ", code, at + i * size) for i in range(count)]
        offset = raw[names][4]
        self._sections = [_Section(self._string(offset + r[0]), r[1], r[4], r[5], r[6], r[7], r[9]) for r in raw]

    def _string(self, at: int) -> str:
        return self.code[at : self.code.index(b"\0", at)].decode("utf-8", "replace")

    def symbols(self) -> Iterator[Symbol]:
        """The functions, local ones too."""
        for section in self._sections:
            if section.kind != 2:  # SHT_SYMTAB
                continue
            strings = self._sections[section.link].offset
            for at in range(section.offset, section.offset + section.size, section.entry):
                name, info, _, where, value, size = struct.unpack_from("<IBBHQQ", self.code, at)
                if info & 15 == FUNCTION and size:
                    yield Symbol(self._string(strings + name), where, value, size)

    # ── lines ─────────────────────────────────────────────────────────────────

    def lines(self) -> list[Row]:
        """The line table, in order; empty where there is none."""
        rows: list[Row] = []
        for number, section in enumerate(self._sections):
            if section.name != ".debug_line":
                continue
            at, end, relocated = section.offset, section.offset + section.size, self._relocated(number)
            while at < end:
                at = self._unit(at, section.offset, relocated, rows)
        return rows

    def _relocated(self, number: int) -> dict[int, tuple[int, int]]:
        """Where in a section an address of another is put: offset → (section, address in it)."""
        found: dict[int, tuple[int, int]] = {}
        for section in self._sections:
            if section.kind != 4 or section.info != number:  # SHT_RELA
                continue
            symbols = self._sections[section.link]
            for at in range(section.offset, section.offset + section.size, section.entry):
                offset, info, addend = struct.unpack_from("<QQq", self.code, at)
                symbol = symbols.offset + (info >> 32) * symbols.entry
                _, _, _, where, value, _ = struct.unpack_from("<IBBHQQ", self.code, symbol)
                found[offset] = where, value + addend
        return found

    def _unit(self, at: int, base: int, relocated: dict[int, tuple[int, int]], rows: list[Row]) -> int:
        """One unit's program; where the next begins."""
        code = self.code
        (length,) = struct.unpack_from("<I", code, at)
        end = at + 4 + length
        (version,) = struct.unpack_from("<H", code, at + 4)
        if version != 4:
            raise ValueError(f"line tables of DWARF {version}: want 4")
        (header,) = struct.unpack_from("<I", code, at + 6)
        shortest, _, _, line_base, line_range, opcode_base = struct.unpack_from("<BBBbBB", code, at + 10)
        lengths = code[at + 16 : at + 15 + opcode_base]
        at += 10 + header
        section, address, line = 0, 0, 1
        while at < end:
            op, at = code[at], at + 1
            if op >= opcode_base:
                op -= opcode_base
                address, line = address + op // line_range * shortest, line + line_base + op % line_range
                rows.append(Row(section, address, line, False))
            elif op == 0:  # extended
                size, at = self._uleb(at)
                what = code[at]
                if what == 2:  # set_address
                    section, address = relocated.get(at + 1 - base, (0, struct.unpack_from("<Q", code, at + 1)[0]))
                elif what == 1:  # end_sequence
                    rows.append(Row(section, address, line, True))
                    section, address, line = 0, 0, 1
                at += size
            elif op == 1:  # copy
                rows.append(Row(section, address, line, False))
            elif op == 2:  # advance_pc
                step, at = self._uleb(at)
                address += step * shortest
            elif op == 3:  # advance_line
                step, at = self._sleb(at)
                line += step
            elif op == 8:  # const_add_pc
                address += (255 - opcode_base) // line_range * shortest
            elif op == 9:  # fixed_advance_pc
                address += struct.unpack_from("<H", code, at)[0]
                at += 2
            else:
                for _ in range(lengths[op - 1]):
                    _, at = self._uleb(at)
        return end

    def _uleb(self, at: int) -> tuple[int, int]:
        value = shift = 0
        while True:
            byte, at = self.code[at], at + 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value, at

    def _sleb(self, at: int) -> tuple[int, int]:
        start = at
        value, at = self._uleb(at)
        bits = 7 * (at - start)
        return value - (1 << bits) if self.code[at - 1] & 64 else value, at
