"""Products that sum over shared axes: dot, matmul, tensordot, einsum and their relatives, over two ops."""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.core.errors import ShapeError
from wengert.core.source import describe, here
from wengert.core.tensor import Array, Tensor, view
from wengert.numpy.arrays import astype, axis_of, has_tensor, lift, writes_out
from wengert.numpy.layout import example
from wengert.numpy.registry import enter, theirs
from wengert.numpy.subscripts import Step, parse, plan_einsum
from wengert.numpy.traced import when_traced
from wengert.numpy.ufunc import Ufunc
from wengert.ops.basis import conj, reduce_sum, reshape, transpose
from wengert.ops.contract import LABELS, contract
from wengert.ops.contract import matmul as matmul_op
from wengert.ops.elementwise import mul
from wengert.ops.index import ARRAY, index, index_put
from wengert.ops.shape import diagonal, in_order, is_compact, memory_order

# ── generalized ufuncs ────────────────────────────────────────────────────────


def _conjugated(x: Array) -> Array:
    return conj(x) if x.dtype.kind == "c" else x


def _vecdot(x: Array, y: Array) -> Array:
    return _stacked("vecdot", _conjugated(x), y, "i", "i", "")


def _matvec(x: Array, y: Array) -> Array:
    return _stacked("matvec", x, y, "ij", "j", "i")


def _vecmat(x: Array, y: Array) -> Array:
    return _stacked("vecmat", _conjugated(x), y, "i", "ij", "j")


def _stacked(name: str, x: Array, y: Array, a: str, b: str, c: str) -> Array:
    """`a,b->c` on the last axes, of equal lengths where they are summed; the leading ones broadcast."""
    if x.ndim < len(a) or y.ndim < len(b):
        raise ValueError(f"{name}: Input operand does not have enough dimensions")
    (summed,) = set(a) & set(b)
    n, m = x.shape[a.index(summed) - len(a)], y.shape[b.index(summed) - len(b)]
    if n != m:
        raise ShapeError(
            f"numpy.{name}",
            got=f"shapes {x.shape} and {y.shape}, with {n} and {m} elements to sum",
            want="as many in both",
            at=describe(here(3)),
        )
    return einsum_of(f"...{a},...{b}->...{c}", [x, y])


class GeneralizedUfunc(Ufunc):
    """A ufunc on the last axes of its operands, with NumPy's `axes=`, `axis=` and `keepdims=`.

    `core` gives how many of the last axes each operand and the result has.
    """

    def __init__(self, original: np.ufunc, op: Any, core: tuple[int, int, int]) -> None:
        super().__init__(original, op)
        self.core = core

    def with_options(  # type: ignore[override]
        self,
        *args: Any,
        out: Any = None,
        axes: Any = None,
        axis: Any = None,
        keepdims: bool = False,
        dtype: Any = None,
        casting: str = "same_kind",
        order: str = "K",
        subok: bool = True,
    ) -> Any:
        if len(args) > 2:
            args, out = args[:2], args[2]
        xs = [lift(a) for a in args]
        if dtype is not None:
            xs = [astype(x, dtype) for x in xs]
        if axis is not None:
            axes = [(axis,), (axis,)] + ([(axis,)] if keepdims else [])
        if axes is not None:
            axes = [a if isinstance(a, tuple) else (a,) for a in axes]
            xs = [_moved_last(x, a) for x, a in zip(xs, axes, strict=False)]
        result = self.op(*xs)
        if keepdims:
            result = reshape(result, shape=(*result.shape, 1))
        if axes is not None and len(axes) > 2 and axes[2]:
            result = _moved_from_last(result, axes[2])
        return writes_out(result, out)


def _moved_last(x: Array, axes: tuple[int, ...]) -> Array:
    axes = tuple(axis_of(a, x.ndim) for a in axes)
    rest = [i for i in range(x.ndim) if i not in axes]
    return transpose(x, axes=(*rest, *axes))


def _moved_from_last(x: Array, axes: tuple[int, ...]) -> Array:
    axes = tuple(axis_of(a, x.ndim) for a in axes)
    order = [i for i in range(x.ndim) if i not in axes] + list(axes)
    return transpose(x, axes=tuple(int(i) for i in np.argsort(order)))


def _generalized(name: str, op: Any, core: tuple[int, int, int]) -> Any:
    original = theirs(name)  # some came after NumPy 2.0
    if original is None:
        return None
    made = GeneralizedUfunc(original, op, core)
    enter(name, "differentiable", made)
    return made


matmul = _generalized("matmul", matmul_op, (2, 2, 2))
vecdot = _generalized("vecdot", _vecdot, (1, 1, 0))
matvec = _generalized("matvec", _matvec, (2, 1, 1))
vecmat = _generalized("vecmat", _vecmat, (1, 2, 1))


@when_traced("linalg.matmul")
def linalg_matmul(x1: Any, x2: Any, /) -> Array:
    """`numpy.linalg.matmul`."""
    return matmul_op(lift(x1), lift(x2))


@when_traced("linalg.vecdot")
def linalg_vecdot(x1: Any, x2: Any, /, *, axis: int = -1) -> Array:
    """`numpy.linalg.vecdot`."""
    return vecdot(x1, x2, axis=axis)


# ── dot, vdot, inner, outer ───────────────────────────────────────────────────


@when_traced("dot")
def dot(a: Any, b: Any, out: Any = None) -> Array:
    """`numpy.dot`."""
    x, y = lift(a), lift(b)
    if not x.ndim or not y.ndim:
        product = mul(x, y)
    elif x.ndim <= 2 and y.ndim <= 2:
        product = matmul_op(x, y)
    else:
        product = _over(x, y, (x.ndim - 1,), (max(y.ndim - 2, 0),))
    return writes_out(product, out)


@when_traced("vdot")
def vdot(a: Any, b: Any, /) -> Array:
    """`numpy.vdot`."""
    x, y = _flat(lift(a)), _flat(lift(b))
    return matmul_op(_conjugated(x), y)


@when_traced("inner")
def inner(a: Any, b: Any, /) -> Array:
    """`numpy.inner`."""
    x, y = lift(a), lift(b)
    return _over(x, y, (x.ndim - 1,), (y.ndim - 1,)) if x.ndim and y.ndim else mul(x, y)


@when_traced("outer")
def outer(a: Any, b: Any, out: Any = None) -> Array:
    """`numpy.outer`."""
    return writes_out(contract(_flat(lift(a)), _flat(lift(b)), subscripts="a,b->ab"), out)


@when_traced("linalg.outer")
def linalg_outer(x1: Any, x2: Any, /) -> Array:
    """`numpy.linalg.outer`."""
    x, y = lift(x1), lift(x2)
    if x.ndim != 1 or y.ndim != 1:
        raise ValueError(f"Input arrays must be one-dimensional, but they are x1.ndim={x.ndim} and x2.ndim={y.ndim}.")
    return contract(x, y, subscripts="a,b->ab")


def _flat(x: Array) -> Array:
    return x if x.ndim == 1 else reshape(x, shape=(x.size,))


def _over(x: Array, y: Array, x_axes: Sequence[int], y_axes: Sequence[int]) -> Array:
    """Sum over pairs of axes; the rest of x's axes, then the rest of y's, remain."""
    for i, j in zip(x_axes, y_axes, strict=True):
        if x.shape[i] != y.shape[j]:
            raise ValueError(
                f"shapes {x.shape} and {y.shape} not aligned: {x.shape[i]} (dim {i}) != {y.shape[j]} (dim {j})"
            )
    a = list(LABELS[: x.ndim])
    b = list(LABELS[x.ndim : x.ndim + y.ndim])
    for i, j in zip(x_axes, y_axes, strict=True):
        b[j] = a[i]
    rest = [i for i in a + b if (i in a) != (i in b)]
    return contract(x, y, subscripts=f"{''.join(a)},{''.join(b)}->{''.join(rest)}")


# ── tensordot, kron, multi_dot ────────────────────────────────────────────────


@when_traced("tensordot", "linalg.tensordot")
def tensordot(a: Any, b: Any, axes: Any = 2) -> Array:
    """`numpy.tensordot`."""
    x, y = lift(a), lift(b)
    try:
        first, second = axes
    except TypeError:
        n = operator.index(axes)
        if n > min(x.ndim, y.ndim):
            raise ValueError("shape-mismatch for sum") from None
        first, second = range(x.ndim - n, x.ndim), range(n)
    pairs = [(i,) if isinstance(i, (int, np.integer)) else tuple(i) for i in (first, second)]
    if len(pairs[0]) != len(pairs[1]):
        raise ValueError("shape-mismatch for sum")
    x_axes, y_axes = ([axis_of(i, v.ndim) for i in p] for p, v in zip(pairs, (x, y), strict=True))
    return _over(x, y, x_axes, y_axes)


@when_traced("kron")
def kron(a: Any, b: Any) -> Array:
    """`numpy.kron`."""
    x, y = lift(a), lift(b)
    n = max(x.ndim, y.ndim)
    xs, ys = (1,) * (n - x.ndim) + x.shape, (1,) * (n - y.ndim) + y.shape
    x = reshape(x, shape=tuple(d for i in xs for d in (i, 1)))
    y = reshape(y, shape=tuple(d for j in ys for d in (1, j)))
    return reshape(mul(x, y), shape=tuple(i * j for i, j in zip(xs, ys, strict=True)))


@when_traced("linalg.multi_dot")
def multi_dot(arrays: Sequence[Any], *, out: Any = None) -> Array:
    """`numpy.linalg.multi_dot`: the order of fewest operations."""
    xs = [lift(a) for a in arrays]
    if len(xs) < 2:
        raise ValueError("Expecting at least two arrays.")
    for position, x in enumerate(xs):
        if x.ndim != 2 and not (x.ndim == 1 and position in (0, len(xs) - 1)):
            raise np.linalg.LinAlgError(f"{x.ndim}-dimensional array given. Array must be two-dimensional")
    first = (xs[0].shape[0],) if xs[0].ndim == 2 else (1,)
    sizes = (*first, *(x.shape[0 if x.ndim == 1 else -2] for x in xs[1:]), xs[-1].shape[-1] if xs[-1].ndim == 2 else 1)
    return writes_out(_product(xs, chain_order(sizes), 0, len(xs) - 1), out)


def _product(xs: Sequence[Array], splits: dict[tuple[int, int], int], i: int, j: int) -> Array:
    """Matrices i to j, multiplied as `splits` says. (No closure: one that calls itself would hold on to `xs`.)"""
    if i == j:
        return xs[i]
    k = splits[i, j]
    return matmul_op(_product(xs, splits, i, k), _product(xs, splits, k + 1, j))


@functools.lru_cache(maxsize=256)
def chain_order(sizes: tuple[int, ...]) -> dict[tuple[int, int], int]:
    """Where to split each product of matrices i..j of sizes[i] × sizes[i+1] (Cormen et al., ch. 15.2)."""
    n = len(sizes) - 1
    cost = {(i, i): 0 for i in range(n)}
    splits = {}
    for length in range(1, n):
        for i in range(n - length):
            j = i + length
            cost[i, j], splits[i, j] = min(
                (cost[i, k] + cost[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1], k) for k in range(i, j)
            )
    return splits


# ── einsum ────────────────────────────────────────────────────────────────────


@when_traced("einsum")
def einsum(
    *operands: Any,
    out: Any = None,
    optimize: Any = False,
    dtype: Any = None,
    order: str = "K",
    casting: str = "safe",
) -> Array:
    """`numpy.einsum`: pairs go to BLAS, and three and more operands in NumPy's order of fewest operations."""
    subscripts, arrays = _string_form(operands)
    xs = [lift(a) for a in arrays]
    if dtype is not None:
        xs = [astype(x, dtype) for x in xs]
    if isinstance(optimize, np.ndarray):
        optimize = optimize.tolist()
    if len(xs) == 1 and dtype is None and out is None:
        ((_, (prepare,), _),) = plan_einsum(subscripts, (xs[0].shape,), False)
        if type(xs[0]) is Tensor and not prepare.sum and not prepare.drop:
            return _shown(xs[0], prepare)
    result = einsum_of(subscripts, xs, optimize)
    if out is not None or dtype is not None or optimize is not False or result.ndim < 2:
        return writes_out(result, out)
    axes = _numpys_order(subscripts, xs, result)
    return result if axes is None or is_compact(result, axes) else in_order(result, axes)


def _numpys_order(subscripts: str, xs: Sequence[Array], result: Array) -> list[int] | None:
    """The axes of the result, outermost in memory first, as NumPy's iterator over these operands lays it out; None
    where an operand's diagonal is taken, which is another operand for the iterator."""
    terms, out = parse(subscripts, tuple(x.shape for x in xs))
    if any(len(set(term)) < len(term) for term in terms):
        return None
    every = (*out, *sorted({name for term in terms for name in term}.difference(out)))
    nditer: Any = np.nditer
    corners = [seen[(slice(2),) * seen.ndim] for seen in map(example, xs)]  # strides alone matter, and a result is made
    iterator = nditer(
        [*corners, None],
        flags=["external_loop", "buffered", "delay_bufalloc", "grow_inner", "reduce_ok", "refs_ok", "zerosize_ok"],
        op_flags=[["readonly"]] * len(xs) + [["readwrite", "allocate"]],
        op_dtypes=[*(x.dtype for x in xs), result.dtype],
        op_axes=[[names.index(n) if n in names else -1 for n in every] for names in (*terms, out)],
        order="K",
    )
    return memory_order(iterator.operands[-1].strides)


def _shown(x: Tensor, prepare: Any) -> Array:
    """As `_prepared`, where nothing is summed: a view that can be written to, as NumPy's is."""
    for axes in prepare.diagonals:
        x = view(transpose, x, axes=(*axes, *(i for i in range(x.ndim) if i not in axes)))
        for _ in axes[1:]:
            x = _diagonal_shown(x)
    return x if prepare.order is None else view(transpose, x, axes=prepare.order)


def _diagonal_shown(x: Tensor) -> Array:
    """The diagonal over the first two axes, as the first axis; NumPy's `diagonal`, and so the op's view, is read-only."""
    out = view(diagonal, x, offset=0, axis1=0, axis2=1)
    if type(out) is Tensor and out._view is not None:
        out._view.op = WriteableDiagonal()  # type: ignore[assignment]
    return view(transpose, out, axes=(out.ndim - 1, *range(out.ndim - 1)))


class WriteableDiagonal:
    """The op `diagonal` in the place that a view has for its op, with the rule for writes that the op lacks."""

    name = "diagonal"

    def __call__(self, x: Array, **params: Any) -> Array:
        return diagonal(x, **params)

    def put(self, x: Array, y: Array, **params: Any) -> Array:
        i = np.arange(x.shape[0])
        return index_put(x, transpose(y, axes=(y.ndim - 1, *range(y.ndim - 1))), i, i, spec=(ARRAY, ARRAY))


def einsum_of(subscripts: str, xs: Sequence[Array], optimize: Any = False) -> Array:
    """`einsum` in the string form, on arrays."""
    if isinstance(optimize, (list, tuple)):  # a path, or a strategy with a memory limit
        optimize = tuple(map(tuple, optimize[1:])) if optimize[0] == "einsum_path" else optimize[0]
    return _run(plan_einsum(subscripts, tuple(x.shape for x in xs), optimize), xs)


def _string_form(operands: Sequence[Any]) -> tuple[str, list[Any]]:
    """`einsum(x, [0, 1], y, [1, 2], [0, 2])` as "ab,bc->ac"."""
    if isinstance(operands[0], str):
        return operands[0], list(operands[1:])
    n = len(operands) // 2
    arrays, lists = operands[: 2 * n : 2], operands[1 : 2 * n : 2]
    letters = (
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"  # NumPy's order, which implicit results are sorted by
    )

    def name(sublist: Any) -> str:
        return "".join("..." if i is Ellipsis else letters[operator.index(i)] for i in sublist)

    text = ",".join(map(name, lists))
    return (f"{text}->{name(operands[-1])}" if len(operands) % 2 else text), list(arrays)


def _run(steps: Sequence[Step], xs: Sequence[Array]) -> Array:
    """Execute a plan: each step takes operands off the list and appends its result."""
    pool = list(xs)
    for step in steps:
        taken = [pool.pop(i) for i in sorted(step.operands, reverse=True)][::-1]
        done = [_prepared(x, prepare) for x, prepare in zip(taken, step.prepare, strict=True)]
        pool.append(contract(*done, subscripts=step.subscripts) if len(done) == 2 else done[0])
    (result,) = pool
    return result


def _prepared(x: Array, prepare: Any) -> Array:
    """Diagonals of repeated names, sums over names that occur nowhere else, lost ones, and the final order."""
    for axes in prepare.diagonals:
        x = _diagonal(x, axes)
    if prepare.drop or prepare.sum:
        gone = tuple(sorted((*prepare.drop, *prepare.sum)))
        x = reduce_sum(x, axes=gone) if prepare.sum else reshape(x, shape=tuple(np.delete(x.shape, gone).tolist()))
    return x if prepare.order is None else transpose(x, axes=prepare.order)


def _diagonal(x: Array, axes: tuple[int, ...]) -> Array:
    """The diagonal over several axes of one length, as the first axis."""
    rest = [i for i in range(x.ndim) if i not in axes]
    if tuple(range(len(axes))) != axes:
        x = transpose(x, axes=(*axes, *rest))
    i = np.arange(x.shape[0])
    return index(x, *[i] * len(axes), spec=(ARRAY,) * len(axes), unique=True)


def einsum_path(*operands: Any, optimize: Any = "greedy", einsum_call: bool = False) -> Any:
    """`numpy.einsum_path`, which reads shapes alone."""

    def shown(x: Any) -> Any:
        x = lift(x) if has_tensor(x) else x
        return np.broadcast_to(np.empty((), x.dtype), x.shape) if type(x) is Tensor else x

    return np.einsum_path(*map(shown, operands), optimize=optimize, einsum_call=einsum_call)  # pyright: ignore[reportArgumentType]


enter("einsum_path", "constant", einsum_path, "an order of contraction, which depends on shapes alone")
