"""Programs as bytes: JSON for the structure, npy for arrays. Nothing in them is executed when they are read.

Layout: a magic, the length of the JSON text (8 bytes, little-endian), the text, and the arrays one after the other.
Programs among parameters are written once each, however often they occur, and after those that they contain.
Lines of the user's source are not kept.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from wengert.core.errors import WengertError
from wengert.core.op import OPS
from wengert.graph.atoms import Eqn, Literal, Var, WeakVar
from wengert.graph.identity import MARKERS

MAGIC = b"wengert program 1\n"


def dump(program: Any) -> bytes:
    """A staged program as bytes; raises WengertError for a parameter that has no content to write (a function)."""
    content = _Content()
    found = _program(program, content) | {"programs": content.programs}
    text = json.dumps(found, separators=(",", ":")).encode()
    out = io.BytesIO()
    out.write(MAGIC + len(text).to_bytes(8, "little") + text)
    for array in content.arrays:
        np.save(out, array, allow_pickle=False)
    return out.getvalue()


@dataclass
class _Content:
    """What a program is written as beside its own text: arrays, and the programs in it."""

    arrays: list[np.ndarray] = field(default_factory=list)
    programs: list[Any] = field(default_factory=list)
    numbers: dict[Any, int] = field(default_factory=dict)

    def number(self, program: Any) -> int:
        """The number of a program in the list, to which it is appended when it is met first."""
        known = self.numbers.get(program)
        if known is None:
            self.programs.append(_program(program, self))
            known = self.numbers[program] = len(self.programs) - 1
        return known


def load(data: bytes, build: Any) -> Any:
    """What `dump` wrote; `build(ins, eqns, outs, written_out)` makes a program."""
    start = len(MAGIC) + 8
    if data[: len(MAGIC)] != MAGIC or len(data) < start:
        raise WengertError("Program.from_bytes", got="bytes that no Program wrote", want="what program.to_bytes() gave")
    end = start + int.from_bytes(data[len(MAGIC) : start], "little")
    stream = io.BytesIO(data)
    stream.seek(end)
    content = _Content()
    try:
        found = json.loads(data[start:end])
        while stream.tell() < len(data):
            content.arrays.append(np.load(stream, allow_pickle=False))
        for inner in found.get("programs", ()):
            content.programs.append(_read_program(inner, content, build))
        return _read_program(found, content, build)
    except (ValueError, KeyError, IndexError, TypeError, EOFError) as error:
        raise WengertError(
            "Program.from_bytes", got=f"damaged bytes ({error})", want="what program.to_bytes() gave"
        ) from error


# ── writing ───────────────────────────────────────────────────────────────────


def _program(program: Any, content: _Content) -> dict[str, Any]:
    numbers: dict[Var, int] = {}
    vars_: list[Any] = []

    def define(var: Var) -> int:
        numbers[var] = len(vars_)
        vars_.append([list(var.shape), _dtype(var.dtype), int(var.weak)])
        return numbers[var]

    def use(atom: Any) -> Any:
        if isinstance(atom, Var):
            return numbers[atom]
        if type(atom) is Literal:
            return {"literal": _value(atom.value, content, "a literal")}
        raise WengertError(
            "Program.to_bytes", got="a tape's record, whose constants were not kept", want="a Program of wengert.trace"
        )

    ins = [define(v) for v in program.ins]
    eqns = []
    for op, operands, outs, params, *_ in program.eqns:
        used = [use(a) for a in operands]
        written = {k: _value(v, content, f"parameter {k} of {op.name}") for k, v in params.items()}
        eqns.append([op.name, used, [define(v) for v in (outs if op.multi else (outs,))], written])
    outs = [use(a) for a in program.outs]
    return {"ins": ins, "eqns": eqns, "outs": outs, "vars": vars_, "written_out": program.written_out}


def _value(value: Any, content: _Content, what: str) -> Any:
    kind = type(value)
    if value is None or kind in (bool, int, str):
        return value
    if kind is float:
        return {"float": value.hex()}
    if kind is complex:
        return {"complex": [value.real.hex(), value.imag.hex()]}
    if kind is tuple or kind is list:
        return {kind.__name__: [_value(v, content, what) for v in value]}
    if kind is dict and all(type(k) is str for k in value):
        return {"dict": [[k, _value(v, content, what)] for k, v in value.items()]}
    if kind is slice:
        return {"slice": [_value(v, content, what) for v in (value.start, value.stop, value.step)]}
    if value is Ellipsis:
        return {"ellipsis": 1}
    if isinstance(value, np.dtype):
        return {"dtype": _dtype(value)}
    if isinstance(value, np.generic) or (kind is np.ndarray and value.dtype.kind in "biufc"):
        content.arrays.append(np.asarray(value))
        return {"array" if kind is np.ndarray else "scalar": len(content.arrays) - 1}
    if hasattr(value, "eqns"):
        return {"program": content.number(value)}
    for name, marker in MARKERS.items():
        if value is marker:
            return {"marker": name}
    raise WengertError(
        "Program.to_bytes",
        got=f"{what} of type {kind.__module__}.{kind.__qualname__}",
        want="numbers, strings, None, tuples, lists, slices, dtypes, arrays, Programs",
        fix="stage a function without custom rules or other functions in its equations",
    )


def _dtype(dtype: np.dtype) -> str:
    return dtype.str if dtype.kind in "biufc" else dtype.name


# ── reading ───────────────────────────────────────────────────────────────────


def _read_program(found: dict[str, Any], content: _Content, build: Any) -> Any:
    vars_ = [(WeakVar if weak else Var)(tuple(shape), np.dtype(dtype)) for shape, dtype, weak in found["vars"]]

    def atom(a: Any) -> Any:
        return vars_[a] if isinstance(a, int) else Literal(_read(a["literal"], content, build))

    eqns = []
    for name, ins, outs, params in found["eqns"]:
        op = OPS.get(name)
        if op is None:
            raise WengertError(
                "Program.from_bytes",
                got=f"the op {name!r}",
                want="ops of this version",
                fix="import the module that defines it",
            )
        read = {k: _read(v, content, build) for k, v in params.items()}
        results: Any = tuple(vars_[o] for o in outs)
        eqns.append(
            tuple(Eqn(op, [atom(a) for a in ins], results if op.multi else results[0], read, (), None, None, 0))
        )
    return build([vars_[i] for i in found["ins"]], eqns, [atom(a) for a in found["outs"]], found["written_out"])


def _read(found: Any, content: _Content, build: Any) -> Any:
    if not isinstance(found, dict):
        return found
    ((kind, value),) = found.items()

    def each() -> list[Any]:
        return [_read(v, content, build) for v in value]

    match kind:
        case "float":
            return float.fromhex(value)
        case "complex":
            return complex(*map(float.fromhex, value))
        case "tuple":
            return tuple(each())
        case "list":
            return each()
        case "dict":
            return {k: _read(v, content, build) for k, v in value}
        case "slice":
            return slice(*each())
        case "ellipsis":
            return Ellipsis
        case "dtype":
            return np.dtype(value)
        case "array":
            return content.arrays[value]
        case "scalar":
            return content.arrays[value][()]
        case "program":
            return content.programs[value]
        case "marker":
            return MARKERS[value]
    raise ValueError(f"unknown kind {kind!r}")
