"""The bodies of the suite's tests inside a gradient or a pushforward, on arrays that carry derivatives.

Each example of a test runs in one `wengert.vjp` (mode "grad") or `wengert.jvp` (mode "jvp"). `namespace` is
`wengert.numpy`, but for its creation functions: a floating array that one of them makes for the suite is a variable of
that derivative, so whatever the suite computes from it is recorded, or has a tangent.

grad  After the body, each recorded equation's pullback is called with its own residuals, and then the whole record is
      swept back to the variables. Cotangents must have the shape and dtype of what they belong to.
jvp   Each tangent must have the shape and dtype of its primal. With all operands at hand, the op's pullback runs
      too: ⟨u, Jv⟩ = ⟨Jᵀu, v⟩, and both are finite or neither is.

Tensors that carry derivatives refuse `float(x)`, and must; a test cannot do without. Here, and nowhere in the library, the
suite's and hypothesis's own code may look at values. Whatever else converts a Tensor, library code included, is refused still.
"""

from __future__ import annotations

import collections
import functools
import sys
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any

import numpy as np

import wengert
import wengert.numpy as wnp
from wengert.core.aval import is_inexact
from wengert.core.config import config
from wengert.core.errors import NotDifferentiable
from wengert.core.op import Op
from wengert.core.tensor import CONSTANTS, Tensor, Trace, held, raw
from wengert.graph.program import Program, Var
from wengert.transforms.forward import Jvp
from wengert.transforms.reverse import sweep

CREATES = """arange asarray astype empty empty_like eye from_dlpack full full_like linspace ones ones_like zeros
zeros_like""".split()

counts: collections.Counter[str] = collections.Counter()  # what has run: "grad sort", by mode and op
join: Callable[[Any], Tensor] | None = None  # makes a variable of an array, while a body runs


# ── arrays that carry derivatives ─────────────────────────────────────────────


def connected(tree: Any) -> Any:
    """`tree` with its floating arrays, of which nothing is known yet, as variables of the running derivative."""
    if join is None:
        return tree
    if type(tree) is Tensor:
        return join(raw(tree)) if tree._trace is CONSTANTS and is_inexact(tree.dtype) else tree
    if isinstance(tree, (np.ndarray, np.inexact)):
        return join(tree) if is_inexact(tree.dtype) else tree
    if type(tree) in (list, tuple):
        return type(tree)(map(connected, tree))
    if type(tree) is dict:
        return {key: connected(value) for key, value in tree.items()}
    return tree


class Namespace(ModuleType):
    """`wengert.numpy`, whose creation functions make variables."""

    def __init__(self) -> None:
        super().__init__("wengert.numpy", wnp.__doc__)
        for name in CREATES:
            setattr(self, name, creates(getattr(wnp, name)))

    def __getattr__(self, name: str) -> Any:
        return getattr(wnp, name)

    def __dir__(self) -> list[str]:
        return dir(wnp)


def creates(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        return connected(function(*args, **kwargs))

    return wrapped


namespace = Namespace()


def wave(shape: tuple[int, ...], dtype: np.dtype, phase: float = 0.0) -> Any:
    """A tangent or cotangent: numbers of order one, none of them zero or alike, the same every time."""
    n = int(np.prod(shape))
    x = 1.5 + np.cos(np.arange(n) * 1.3 + phase)
    if dtype.kind == "c":
        x = x + 1j * np.sin(np.arange(n) * 0.7 + 1.0 + phase)
    return x.reshape(shape).astype(dtype)[()]


def fits(what: str, op: Op, got: Any, shape: tuple[int, ...], dtype: np.dtype) -> None:
    assert hasattr(got, "dtype"), f"{what} of {op.name}: {type(got).__name__} in place of an array"
    assert (tuple(got.shape), got.dtype) == (tuple(shape), dtype), (
        f"{what} of {op.name}: {got.dtype}{list(got.shape)}, and not {dtype}{list(shape)}"
    )


def no_derivative(name: str, error: Exception) -> None:
    """Count an operation that says it has no derivative at this point; any other error is the library's."""
    if not isinstance(error, NotDifferentiable) and "no derivative" not in str(error):
        raise error
    counts[f"refused {name}"] += 1


# ── reverse ───────────────────────────────────────────────────────────────────


def in_gradient(body: Callable[[], Any]) -> None:
    """Run `body` while `wengert.vjp` records, and pull cotangents back through all of what it recorded."""
    global join
    seen: list[Trace] = []
    variables: list[Var] = []

    def inside(seed: Tensor) -> Tensor:
        global join
        tape: Any = seed._trace
        seen.append(tape)

        def variable(value: Any) -> Tensor:
            tensor = tape.watch(value)
            variables.append(tensor._node)
            return tensor

        outer, join = join, variable
        try:
            body()
        finally:
            join = outer
        return seed * 1.0

    _, pullback = wengert.vjp(inside, np.float64(1.0), adopt=False)
    program = seen[0].program  # pyright: ignore[reportAttributeAccessIssue]
    refused = check_pullbacks(program)
    if not refused:
        check_sweep(program, variables)
    pullback(np.float64(1.0))


def cotangents(op: Op, outs: Any) -> Iterator[Any]:
    """Cotangents of an equation's output: of all of them, and where there are several, of each alone."""
    if not op.multi:
        yield wave(outs.shape, outs.dtype)
        return
    full = [None if v is None else wave(v.shape, v.dtype, k) for k, v in enumerate(outs)]
    yield full
    for i in range(len(full)):
        if full[i] is not None and len(full) > 1:
            yield [c if k == i else None for k, c in enumerate(full)]


def check_pullbacks(program: Program) -> bool:
    """Each equation's pullback, as the sweep calls it; whether any of them says that there is no derivative."""
    refused = False
    for eqn in program.equations():
        for ct in cotangents(eqn.op, eqn.outs):
            before = [None if c is None else np.copy(c) for c in (ct if eqn.op.multi else [ct])]
            try:
                with np.errstate(all="ignore"):
                    back = eqn.op.pullback(ct, eqn.ins, eqn.xs, eqn.out, **eqn.params)
            except (NotDifferentiable, np.linalg.LinAlgError) as error:
                no_derivative(eqn.op.name, error)
                refused = True
                break
            counts[f"grad {eqn.op.name}"] += 1
            check_back(eqn.op, eqn.ins, back)
            for c, b in zip(ct if eqn.op.multi else [ct], before, strict=True):
                assert b is None or np.array_equal(c, b, equal_nan=True), f"{eqn.op.name}: wrote into its cotangent"
            check_in_place(eqn, ct, back)
    return refused


def check_back(op: Op, ins: Sequence[Any], back: Sequence[Any]) -> None:
    assert len(back) == len(ins), f"pullback of {op.name}: {len(back)} cotangents for {len(ins)} operands"
    for var, ct in zip(ins, back, strict=True):
        if type(var) is Var and ct is not None:
            fits("cotangent", op, ct, var.shape, var.dtype)


def check_in_place(eqn: Any, ct: Any, back: Sequence[Any]) -> None:
    """The rules that work in place do what the pullback does."""
    op, same = eqn.op, functools.partial(np.testing.assert_allclose, rtol=1e-5)
    with np.errstate(all="ignore"):
        if op.overwrite and not op.multi and isinstance(ct, np.ndarray):
            over = op.overwrite(ct.copy(), eqn.ins, eqn.xs, eqn.out, **eqn.params)
            check_back(op, eqn.ins, over)
            for a, b in zip(over, back, strict=True):
                assert (a is None) == (b is None), (
                    f"{op.name}: overwrite and vjp give cotangents for different operands"
                )
                if a is not None:
                    same(a, b, err_msg=f"overwrite of {op.name}")
        if op.accumulate and not op.multi and type(eqn.ins[0]) is Var and eqn.ins[0].shape:
            into = np.zeros(eqn.ins[0].shape, eqn.ins[0].dtype)
            op.accumulate(into, ct, eqn.xs, **eqn.params)
            same(into, back[0], err_msg=f"accumulate of {op.name}")


def check_sweep(program: Program, variables: Sequence[Var]) -> None:
    """Pull a cotangent of every floating array computed back to every variable, by the library's own sweep."""
    outs = [v for e in program.equations() for v in (e.outs if e.op.multi else (e.outs,)) if v is not None]
    found = sweep(program, [(v, wave(v.shape, v.dtype)) for v in [*outs, *variables]], variables)
    for var, ct in zip(variables, found, strict=True):
        assert ct is not None, "nothing came back to a variable"
        assert (tuple(ct.shape), ct.dtype) == (tuple(var.shape), var.dtype), (
            f"gradient {ct.dtype}{list(ct.shape)} of a variable {var.dtype}{list(var.shape)}"
        )


# ── forward ───────────────────────────────────────────────────────────────────


def in_pushforward(body: Callable[[], Any]) -> None:
    """Run `body` while `wengert.jvp` pushes tangents; `check_tangents` looks at each."""

    def inside(seed: Tensor) -> Tensor:
        global join
        trace = seed._trace
        outer, join = join, lambda value: Tensor(held(value), wave(value.shape, value.dtype), trace)
        try:
            body()
        finally:
            join = outer
        return seed * 1.0

    try:
        wengert.jvp(inside, (np.float64(1.0),), (np.float64(1.0),), adopt=False)
    except np.linalg.LinAlgError as error:
        no_derivative(str(error).partition(":")[0], error)


def checked(apply: Callable[..., Any]) -> Callable[..., Any]:
    """`Jvp.apply`, which looks at what it gives."""

    @functools.wraps(apply)
    def wrapped(trace: Jvp, op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        out = apply(trace, op, args, params)
        if trace.mode is None and not op.constant:
            check_tangents(trace, op, args, params, out)
        return out

    return wrapped


def check_tangents(trace: Jvp, op: Op, args: Sequence[Any], params: dict[str, Any], out: Any) -> None:
    counts[f"jvp {op.name}"] += 1
    outs = out if op.multi else (out,)
    for o in outs:
        if trace.owns(o):
            fits("tangent", op, o._node, o._value.shape, o._value.dtype)
    xs = [trace.lower(a) for a in args]
    dxs = [a._node if trace.owns(a) else None for a in args]
    values = [trace.lower(o) for o in outs]
    us = [wave(v.shape, v.dtype, k) if is_inexact(v.dtype) else None for k, v in enumerate(values)]
    ins = [None if d is None else Var(x.shape, x.dtype) for x, d in zip(xs, dxs, strict=True)]
    mask = sum(1 << i for i, v in enumerate(ins) if v is not None)
    drop, _, needs_out = op.dropped(mask, len(xs))
    saved = [None if i in drop else x for i, x in enumerate(xs)]
    try:
        with np.errstate(all="ignore"):
            back = op.pullback(
                us if op.multi else us[0], ins, saved, (tuple(values) if op.multi else values[0]) if needs_out else None,
                **params,
            )  # fmt: skip
    except (NotDifferentiable, np.linalg.LinAlgError) as error:
        no_derivative(op.name, error)
        return
    check_back(op, ins, back)
    pushed = [(u, o._node) for u, o in zip(us, outs, strict=True) if u is not None and trace.owns(o)]
    pulled = [(b, d) for b, d in zip(back, dxs, strict=True) if b is not None and d is not None]
    check_adjoint(op, xs, params, values, pushed, pulled)


def check_adjoint(op: Op, xs: Any, params: Any, values: Any, pushed: Any, pulled: Any) -> None:
    """⟨u, Jv⟩ = ⟨Jᵀu, v⟩ where numbers are of a size at which that can be told; infinite in both modes or in neither."""
    given = [np.asarray(a) for a in (*xs, *values, *(d for _, d in pulled))]
    floats = [a for a in given if a.dtype.kind in "fc"]
    coarse = any(a.dtype in (np.float32, np.complex64) for a in floats)
    if not all(np.isfinite(a).all() and np.abs(a).max(initial=0.0) < (1e6 if coarse else 1e30) for a in floats):
        counts["unchecked adjoint"] += 1
        return
    finite = [
        all(np.isfinite(np.asarray(a)).all() for a in some) for some in ([d for _, d in pushed], [b for b, _ in pulled])
    ]
    assert finite[0] == finite[1], f"{op.name}: finite in forward, reverse mode: {finite}, for {xs} {params}"
    if not finite[0]:
        counts[f"infinite {op.name}"] += 1
        return
    left, right = (float(sum(np.sum(wide(a) * wide(b)).real for a, b in pairs)) for pairs in (pushed, pulled))
    scale = sum(float(np.sum(np.abs(wide(a) * wide(b)))) for a, b in (*pushed, *pulled))
    if not np.isfinite(scale):
        counts["unchecked adjoint"] += 1
        return
    rtol, least = (1e-3, 1e-35) if coarse else (1e-8, 1e-290)  # below, numbers lose digits
    counts[f"adjoint {op.name}"] += 1
    assert abs(left - right) <= rtol * scale + least, (
        f"{op.name}: ⟨u, Jv⟩ = {left}, ⟨Jᵀu, v⟩ = {right}, for {xs} {params}"
    )


def wide(a: Any) -> np.ndarray:
    return np.asarray(a, np.complex128)


# ── what a test may look at ───────────────────────────────────────────────────

LOOKERS = ("array_api_tests", "hypothesis")


def looking(name: str, kind: Callable[..., Any]) -> None:
    """Let the suite, and nobody else, convert Tensors by the method `name`."""
    original = getattr(Tensor, name)

    @functools.wraps(original)
    def method(self: Tensor, *args: Any, **kwargs: Any) -> Any:
        caller = sys._getframe(1).f_globals.get("__name__", "").partition(".")[0]
        return kind(raw(self), *args, **kwargs) if caller in LOOKERS else original(self, *args, **kwargs)

    setattr(Tensor, name, method)


def install() -> None:
    """Allow the suite's inspection, and look at every tangent, for the rest of this process."""
    config.full_traceback = True  # hypothesis tells failures apart by where they are raised
    looking("__float__", float)
    looking("__complex__", complex)
    looking("__dlpack__", lambda value, **options: np.array(value).__dlpack__(**options))
    Jvp.apply = checked(Jvp.apply)


RUNS: dict[str, Callable[[Callable[[], Any]], None]] = {"grad": in_gradient, "jvp": in_pushforward}


def wrap(function: Callable[..., Any], mode: str) -> Callable[..., Any]:
    """A test's body, inside a derivative; the arrays among its arguments are variables."""
    run = RUNS[mode]

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        run(lambda: function(*connected(args), **connected(kwargs)))

    return wrapped
