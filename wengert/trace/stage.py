"""The staged recorder: what a function does, from shapes and dtypes alone.

A staged Tensor holds an `Abstract` in the place of an ndarray. Ops on it are not evaluated: their shape rule
says what they give, and the equation, with every operand, is appended to a Program that can be run on any values.

What has no staged operand is computed at once, with NumPy, and enters the program as a literal: so are arrays that
the function closes over, as they are while it is staged.

Weak operands (Python scalars among the inputs) are cast where they meet arrays, to the dtype that NEP 50 gives
them there. So weak variables meet weak ones only, and whoever reads a program need not promote again.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np

from wengert.core.abstract import Abstract, c_strides, is_array, k_strides
from wengert.core.aval import FLOAT, Aval, aval_of, is_inexact, kind
from wengert.core.errors import DTypeError, TracerLeak
from wengert.core.form import Control
from wengert.core.op import OPS, Op
from wengert.core.source import describe, here
from wengert.core.tensor import CONSTANTS, Array, Tensor, Trace, View, active, held, running
from wengert.graph.program import Literal, Program, Var, WeakVar
from wengert.trace.tape import NOWHERE

# Ops whose result NumPy makes a view of the operand, where it can.
MOVEMENTS = frozenset("reshape transpose broadcast_to index real imag as_reals as_complexes flip diagonal name".split())

# Ops that Python's own numbers have too, and give Python's numbers: what is made of weak operands by these is weak.
PYTHONIC = frozenset(
    "add sub mul div pow neg positive abs square reciprocal floor_divide remainder mod real imag conj fmod floor_div"
    " bitwise_and bitwise_or bitwise_xor invert left_shift right_shift name".split()
)


class Stage(Trace):
    """A trace that records every op, and evaluates none."""

    __slots__ = ("_broadcasts", "_copies", "_known", "append", "captured", "cutting", "keeps", "program", "where")

    differentiates = False  # `no_grad` and `stop_gradient` are no concern of a trace that only records

    def __init__(self, keeps: bool = False) -> None:
        super().__init__()
        self.program = Program()
        self.keeps = keeps  # functions with custom rules stay equations, which will be differentiated by these
        self.append: Any = self.program.eqns.append
        self.captured: list[
            Tensor
        ] = []  # Tensors of outer traces that the function closes over: inputs after the others
        self.cutting = False  # within `no_grad`: what is recorded has no derivative
        self.where: Any = None  # the line to record, while a program is replayed
        self._copies: dict[int, tuple[np.ndarray, Literal]] = {}
        self._known: dict[Any, Any] = {}
        self._broadcasts: dict[Any, Var] = {}

    @property
    def confines(self) -> bool:
        return self.keeps

    def input(self, aval: Aval, array: bool = False) -> Tensor:
        """A Tensor that stands for an argument; without axes it is a scalar, unless it is said to be an `array`."""
        shape = tuple(aval.shape)
        var = (WeakVar if aval.weak else Var)(shape, aval.dtype)
        self.program.ins.append(var)
        return Tensor(Abstract(shape, aval.dtype, scalar=shape == () and not array), var, self)

    def apply(self, op: Op, args: tuple[Array, ...], params: dict[str, Any]) -> Any:
        if self.mode is not None:
            return self.mode(self, op, args, params)
        if op.transparent:
            if self.keeps and (kept := self._kept(op, args, params)) is not None:
                return kept
            self.program.written_out = True
            return op.eval(*map(held, args), **params)
        atoms = [self.atom(a) for a in args]
        avals = [atom.aval if isinstance(atom, Var) else aval_of(atom.value) for atom in atoms]
        strong, weak = False, False
        for atom, aval in zip(atoms, avals, strict=True):
            if not aval.weak:
                strong = True
            elif isinstance(atom, Var):
                weak = True
        if weak and (strong or type(op.lower) is Control):
            self._resolve(op, atoms, avals)
        outs = self._inferred(op, avals, params)
        if strong and (op.multi or outs.dtype.kind in "iub"):
            check_integers(op, atoms, avals)
        still = not strong and op.name in PYTHONIC
        layouts = [a._value if type(a) is Tensor else a for a in args]
        code, lasti = self.where or here(3) or NOWHERE
        if op.multi:
            made = tuple(Var(tuple(o.shape), o.dtype) for o in outs)
            self.append((op, atoms, made, params, (), None, code, lasti))
            if self.cutting:
                made = tuple(map(self.cut, made))
            return tuple(Tensor(Abstract(v.shape, v.dtype, scalar=v.shape == ()), v, self) for v in made)
        shape = tuple(outs.shape)
        var = (WeakVar if still and shape == () else Var)(shape, outs.dtype)
        self.append((op, atoms, var, params, (), None, code, lasti))
        if self.cutting:
            var = self.cut(var)
        return Tensor(laid_out(op, layouts, shape, outs.dtype, params), var, self)

    def _kept(self, op: Op, args: tuple[Array, ...], params: dict[str, Any]) -> Any:
        """A function with a custom rule as one equation; None if it closes over a traced value."""
        atoms = [self.atom(a) for a in args]
        avals = [atom.aval for atom in atoms]
        program, captured = stage(lambda *xs: op.eval(*xs, **params), avals, keeps=True)
        if captured:
            return None
        made = tuple(Var(tuple(o.aval.shape), o.aval.dtype) for o in program.outs)
        code, lasti = self.where or here(4) or NOWHERE
        self.append((op, atoms, made, params, (), None, code, lasti))
        return tuple(Tensor(Abstract(v.shape, v.dtype, scalar=v.shape == ()), v, self) for v in made)

    def cut(self, var: Var) -> Var:
        """`var` without its derivative, should the program be differentiated: `truncate` to its own dtype."""
        if not is_inexact(var.dtype):
            return var
        code, lasti = self.where or here(4) or NOWHERE
        out = type(var)(var.shape, var.dtype)
        self.append((OPS["truncate"], [var], out, {"dtype": var.dtype}, (), None, code, lasti))
        return out

    def _inferred(self, op: Op, avals: Sequence[Aval], params: dict[str, Any]) -> Any:
        """`infer`, remembered: long programs repeat few calls."""
        settings = _hashable(params) if params else ()
        if settings is None:
            return infer(op, avals, params)
        key = (op, settings, *[(a.shape, a.dtype, a.weak) for a in avals])
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = infer(op, avals, params)
        return found

    def atom(self, a: Array) -> Any:
        """An operand as a Var of this program, or a Literal."""
        if type(a) is Tensor:
            if a._view is not None:
                a._sync()
            trace = a._trace
            if trace is self:
                return a._node
            if trace is CONSTANTS:
                return self._literal(a._value, owned=True)
            return self._capture(a)
        return self._literal(a)

    def _literal(self, value: Any, owned: bool = False) -> Any:
        """A constant operand, safe from later writes: by a copy, unless it is a cell's own array."""
        if isinstance(value, np.ndarray):
            if value.dtype.kind not in "biufc" and not is_inexact(value.dtype):
                raise DTypeError(
                    "staging", got=f"an array of dtype {value.dtype}", want="arrays of numbers", at=describe(here(4))
                )
            if (var := self._uniform(value)) is not None:
                return var
            known = self._copies.get(id(value))
            if known is not None and known[0] is value and _same(value, known[1].value):
                return known[1]
            literal = Literal(value if owned and value.base is None else np.array(value, order="C"))
            self._copies[id(value)] = value, literal
            return literal
        return Literal(value)

    def _uniform(self, value: np.ndarray) -> Var | None:
        """An array of equal elements as a broadcast of one, which takes no memory; None if it is no such array."""
        if value.size < 2 or value.dtype.kind in "iuO":  # integers may be indices, which are better seen as they are
            return None
        if any(value.strides):
            bits = np.ascontiguousarray(value).reshape(-1).view(np.uint8).reshape(value.size, -1)
            if not (bits[:64] == bits[0]).all() or not (bits == bits[0]).all():
                return None
        first = value[(0,) * value.ndim]
        key = value.shape, value.dtype, first.tobytes()
        var = self._broadcasts.get(key)
        if var is None:
            var = self._broadcasts[key] = Var(value.shape, value.dtype)
            code, lasti = self.where or here(4) or NOWHERE
            params = {"shape": value.shape}
            self.append((OPS["broadcast_to"], [Literal(first)], var, params, (), None, code, lasti))
        return var

    def _capture(self, tensor: Tensor) -> Var:
        if tensor._trace.level > self.level:
            raise TracerLeak(
                "staging",
                got="a Tensor of a transform that started later than this staged function",
                want="values from outside, or of the staged function",
                at=describe(here(4)),
            )
        for seen, var in zip(
            self.captured, self.program.ins[len(self.program.ins) - len(self.captured) :], strict=True
        ):
            if seen._value is tensor._value and seen._node is tensor._node and seen._trace is tensor._trace:
                return var
        weak = type(tensor._trace) is Stage and isinstance(tensor._node, WeakVar)
        var = (WeakVar if weak else Var)(tuple(tensor.shape), tensor.dtype)
        self.captured.append(held(tensor))
        self.program.ins.append(var)
        return var

    def _resolve(self, op: Op, atoms: list[Any], avals: list[Aval]) -> None:
        """Weak variables cast to the dtype that they take beside these partners."""
        partners = [a.dtype for a in avals if not a.weak]
        for i, (atom, aval) in enumerate(zip(atoms, avals, strict=True)):
            if aval.weak and isinstance(atom, Var):
                apart = type(op.lower) is Control or (aval.dtype.kind == "i" and _takes_integers(op, i))
                dtype = aval.dtype if apart else np.result_type(*partners, _SCALAR[aval.dtype.kind])
                change = OPS["cast" if is_inexact(dtype) else "truncate"]
                var = Var((), dtype)
                code, lasti = self.where or here(4) or NOWHERE
                self.append((change, [atom], var, {"dtype": dtype}, (), None, code, lasti))
                atoms[i], avals[i] = var, Aval((), dtype)

    def view(self, op: Op, x: Tensor, params: dict[str, Any]) -> Array:
        out = self.apply(op, (x,), params)
        if type(out) is Tensor and is_array(x._value) and _shares(out._value, x._value):
            out._view = View(x, op, params)
        return out

    def finish(self, outs: Sequence[Any]) -> Program:
        """The program with these results; the trace ends."""
        self.program.outs = [self.atom(o) for o in outs]
        self.close("a staged function")
        self._copies.clear()
        return self.program


def check_integers(op: Op, atoms: Sequence[Any], avals: Sequence[Aval]) -> None:
    """OverflowError, as of NumPy, for a Python integer that the dtype of its integer partners cannot hold."""
    for i, atom in enumerate(atoms):
        value = getattr(atom, "value", None)
        if type(value) is not int or 0 <= value < 128 or _takes_integers(op, i):
            continue
        dtype = np.result_type(*[a.dtype for a in avals if not a.weak], 0)
        if dtype.kind in "iu" and not np.iinfo(dtype).min <= value <= np.iinfo(dtype).max:
            raise OverflowError(
                f"Python integer {value} out of bounds for {dtype}, in {op.name}; at: {describe(here(4))}"
            )


@functools.lru_cache(maxsize=1024)
def _takes_integers(op: Op, number: int) -> bool:
    """Whether an operand is of integers whatever the others are: an index, an exponent of two."""
    if not op.accepts & FLOAT:
        return False
    given = [s.args[min(number, len(s.args) - 1)] for s in op.samples if len(s.args) > 1 and number]
    given = [a for a in given if not isinstance(a, tuple)]
    return bool(given) and all(np.asarray(a).dtype.kind in "iu" for a in given)


_SCALAR: dict[str, Any] = {"b": False, "i": 0, "f": 0.0, "c": 0j}


def _shares(out: Any, x: Any) -> bool:
    return type(out) is Abstract and type(x) is Abstract and out.root is x.root


def _same(x: np.ndarray, y: np.ndarray) -> bool:
    return x is y or (x.shape == y.shape and x.dtype == y.dtype and x.tobytes() == y.tobytes())


def stage(
    fun: Callable[..., Sequence[Any]],
    avals: Sequence[Aval],
    arrays: frozenset[int] = frozenset(),
    *,
    keeps: bool = False,
    alone: bool = False,
) -> tuple[Program, list[Tensor]]:
    """`fun`, on flat lists, as a Program of arguments of these avals; and the Tensors of outer traces it closes over,
    which are inputs after the arguments. Of the arguments without axes those in `arrays` are no scalars.

    keeps : functions with custom rules stay equations, so that derivatives of the program go by these rules
    alone : whatever `fun` does is part of the program, even to values from outside alone: the body of a branch may not run

    Cost: some 5 to 20 µs an op.
    """
    trace = Stage(keeps)
    with running(trace), _catching(trace) if alone else nullcontext():
        outs = fun(*[trace.input(aval, i in arrays) for i, aval in enumerate(avals)])
        program = trace.finish(outs)
    return program, trace.captured


@contextmanager
def _catching(stage: Stage) -> Iterator[None]:
    """Have `stage` record what is done to Tensors of outer traces, which it captures."""

    def caught(trace: Trace, op: Op, args: tuple[Array, ...], params: dict[str, Any]) -> Any:
        return stage.apply(op, args, params)

    caught.catches = True  # type: ignore[attr-defined]  # views that catch up with writes made before do so outside
    outer = [t for t in active() if t is not stage]
    modes = [t.mode for t in outer]
    for trace in outer:
        trace.mode = caught
    try:
        yield
    finally:
        for trace, mode in zip(outer, modes, strict=True):
            trace.mode = mode


# ── what an op gives ──────────────────────────────────────────────────────────


def infer(op: Op, avals: Sequence[Aval], params: dict[str, Any]) -> Any:
    """The aval(s) of an op's result: by its shape rule, or for dtypes outside those that it declares (integers in
    arithmetic, which NumPy computes too) by what NumPy does."""
    accepts = op.accepts
    for aval in avals:
        if not aval.weak and kind(aval.dtype) not in accepts:
            return _probe(op, avals, params)
    if all(a.weak for a in avals) and avals and any(kind(a.dtype) not in accepts for a in avals):
        return _probe(op, avals, params)
    return op.shape(*avals, **params)


def _probe(op: Op, avals: Sequence[Aval], params: dict[str, Any]) -> Any:
    """What the op makes of arrays of zeros, or of ones: NumPy's own answer."""
    key = (op, tuple(avals), _hashable(params))
    found = _probed.get(key) if key[2] is not None else None
    if found is None:
        found = _evaluated(op, avals, params)
        if key[2] is not None:
            _probed[key] = found
    return found


def _evaluated(op: Op, avals: Sequence[Aval], params: dict[str, Any]) -> Any:
    refused = None
    for fill in (np.zeros, np.ones):
        try:
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                out = op.eval(*[_example(a, fill) for a in avals], **params)
        except Exception as error:
            refused = error
            continue  # an op that does not take such values (a singular matrix); its rule for floats tells the shape
        return tuple(map(aval_of, out)) if op.multi else aval_of(out)
    if isinstance(refused, TypeError):
        raise refused  # such dtypes
    return op.shape(*[a.with_dtype(float) if a.dtype.kind in "biu" else a for a in avals], **params)


_probed: dict[Any, Any] = {}


def _hashable(params: dict[str, Any]) -> Any:
    try:
        items = tuple([(k, type(v), v) for k, v in params.items()])  # since 1, 1.0 and True are equal
        hash(items)
    except TypeError:
        return None if params else ()
    return items


def _example(aval: Aval, fill: Callable[..., np.ndarray]) -> Any:
    if aval.weak:
        return type(_SCALAR[aval.dtype.kind])(1)
    if aval.shape == ():
        return aval.dtype.type(1)
    return fill(aval.shape, aval.dtype)


def laid_out(
    op: Op, operands: Sequence[Any], shape: tuple[int, ...], dtype: np.dtype, params: dict[str, Any]
) -> Abstract:
    """The result of one array, as NumPy would lay it out in memory, sharing memory where NumPy's would."""
    x = operands[0] if operands else None
    if type(x) is Abstract and op.name in MOVEMENTS and not (op.name == "index" and _advanced(params["spec"])):
        return _moved(op, x, shape, dtype, params)
    if op.name == "contiguous":
        compact = type(x) is Abstract and not x.scalar and x.flags.c_contiguous
        return Abstract(shape, dtype, base=x.root if compact else None)  # type: ignore[union-attr]
    strides = None
    if len(shape) > 1:
        arrays = [o for o in operands if isinstance(o, (Abstract, np.ndarray)) and o.ndim]
        if not all(o.shape == shape and o.strides == c_strides(shape, o.itemsize) for o in arrays):
            known = [(o.shape, o.strides) for o in arrays]
            if _broadcasts([k[0] for k in known], shape):
                strides = k_strides(shape, dtype.itemsize, known)
    return Abstract(shape, dtype, strides, scalar=shape == ())


def _advanced(spec: Any) -> bool:
    return any(repr(s) == "ARRAY" for s in (spec if type(spec) is tuple else (spec,)))


def _broadcasts(shapes: Sequence[tuple[int, ...]], shape: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(*shapes) == shape
    except ValueError:
        return False


def _moved(op: Op, x: Abstract, shape: tuple[int, ...], dtype: np.dtype, params: dict[str, Any]) -> Abstract:
    if x.scalar:
        return Abstract(shape, dtype, scalar=shape == () and op.name != "reshape")
    if op.name == "reshape" and x.base is None and _is_c(x):
        return Abstract(shape, dtype, base=x.root)
    example = x.prototype()
    try:
        seen = np.reshape(example, params["shape"], copy=False) if op.name == "reshape" else op.eval(example, **params)
    except ValueError:  # the reshape needs a copy
        return Abstract(shape, dtype)
    if not isinstance(seen, np.ndarray):
        return Abstract(shape, dtype, scalar=True)
    shares = 0 in shape or np.may_share_memory(seen, example)
    return Abstract(shape, dtype, tuple(seen.strides), base=x.root if shares else None)


def _is_c(x: Abstract) -> bool:
    step = x.dtype.itemsize
    for d, s in zip(reversed(x.shape), reversed(x.strides), strict=True):
        if d != 1 and s != step:
            return False
        step *= d
    return True
