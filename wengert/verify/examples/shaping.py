"""Shapes, order of axes and elements, joining, taking apart, padding."""

from typing import Any

import numpy

import wengert.numpy
from wengert.core.tensor import active
from wengert.verify.examples import example


def ours(np: Any) -> Any:
    """`np` as an adopted function sees it, for what NumPy does not dispatch (`r_`, `c_`)."""
    return wengert.numpy if active() else np


def written(fun: Any) -> Any:
    """A function that writes in place, on a copy: `fun(np, y, *rest)`."""

    def run(np: Any, x: Any, *rest: Any) -> Any:
        y = x + 0 * sum(np.sum(r) for r in rest)  # a copy, which is a Tensor if any of them is
        fun(np, y, *rest)
        return y

    return run


def newer(name: str, *args: Any, **options: Any) -> None:
    """An example of a name that older versions of NumPy lack."""
    if hasattr(numpy, name):
        example(name, *args, **options)


# ── shapes ────────────────────────────────────────────────────────────────────

example("reshape", lambda np, x: np.reshape(x, (4, -1)), (2, 6), complex=True)
example("reshape", lambda np, x: np.reshape(x, 12), (2, 6))
example("reshape", lambda np, x: np.reshape(x, numpy.array([3, 4]), order="F"), (2, 6), complex=True)
example("reshape", lambda np, x: np.reshape(x.T, (4, 3), order="A"), (2, 6))
example("ravel", lambda np, x: np.ravel(x), (2, 3), complex=True)
example("ravel", lambda np, x: np.ravel(x, order="F"), (2, 3))
example("ravel", lambda np, x: (np.ravel(x.T, order="K"), np.ravel(x.T, order="A")), (2, 3, 2))
example("ravel", lambda np, x: np.ravel(x), ())
example("squeeze", lambda np, x: np.squeeze(x), (1, 3, 1), complex=True)
example("squeeze", lambda np, x: np.squeeze(x, axis=-1), (1, 3, 1))
example("squeeze", lambda np, x: np.squeeze(x, axis=(0, 2)), (1, 3, 1))
example("expand_dims", lambda np, x: np.expand_dims(x, 0), (2, 3), complex=True)
example("expand_dims", lambda np, x: np.expand_dims(x, (-1, 1)), (2, 3))
for _name in ("atleast_1d", "atleast_2d", "atleast_3d"):
    example(_name, lambda np, x, y, _name=_name: getattr(np, _name)(x, y), (), (3,), complex=True)
    example(_name, lambda np, x, _name=_name: getattr(np, _name)(x), (2, 3))
    example(_name, lambda np, x, _name=_name: getattr(np, _name)(x, 1.0), (2, 3, 1, 2))
example("broadcast_to", lambda np, x: np.broadcast_to(x, (2, 3, 4)), (3, 1), complex=True)
example("broadcast_to", lambda np, x: np.broadcast_to(x, 3), ())
example("broadcast_arrays", lambda np, x, y: np.broadcast_arrays(x, y, 1.0), (3, 1), (4,), complex=True)
example("shape", lambda np, x: x * np.shape(x)[1], (2, 3))
example("ndim", lambda np, x: x * np.ndim(x), (2, 3))
example("size", lambda np, x: x * np.size(x) * np.size(x, axis=1), (2, 3))

# ── order of axes and elements ────────────────────────────────────────────────

example("transpose", lambda np, x: np.transpose(x), (2, 3, 4), complex=True)
example("transpose", lambda np, x: np.transpose(x, (1, -1, 0)), (2, 3, 4))
newer("permute_dims", lambda np, x: np.permute_dims(x, (1, 2, 0)), (2, 3, 4))
newer("matrix_transpose", lambda np, x: np.matrix_transpose(x), (2, 3, 4), complex=True)
example("swapaxes", lambda np, x: np.swapaxes(x, 0, -1), (2, 3, 4), complex=True)
example("moveaxis", lambda np, x: np.moveaxis(x, 0, -1), (2, 3, 4), complex=True)
example("moveaxis", lambda np, x: np.moveaxis(x, [0, 1], [-1, 0]), (2, 3, 4))
example("rollaxis", lambda np, x: np.rollaxis(x, 2), (2, 3, 4), complex=True)
example("rollaxis", lambda np, x: (np.rollaxis(x, 0, 3), np.rollaxis(x, 1, -1), np.rollaxis(x, -1, 2)), (2, 3, 4))
example("flip", lambda np, x: np.flip(x), (2, 3), complex=True)
example("flip", lambda np, x: np.flip(x, axis=(0, -1)), (2, 3, 4))
example("fliplr", lambda np, x: np.fliplr(x), (2, 3), complex=True)
example("flipud", lambda np, x: np.flipud(x), (3,), complex=True)
example("rot90", lambda np, x: [np.rot90(x, k) for k in range(-1, 4)], (2, 3), complex=True)
example("rot90", lambda np, x: np.rot90(x, 1, axes=(2, 0)), (2, 3, 4))
example("roll", lambda np, x: np.roll(x, 2), (2, 3), complex=True)
example("roll", lambda np, x: np.roll(x, (1, -2), axis=(0, 1)), (3, 4))
example("roll", lambda np, x: np.roll(x, 1, axis=(0, 0)), (3, 4))
example("roll", lambda np, x: np.roll(x, (1, 2), axis=-1), (3, 4))

# ── diagonals and triangles ───────────────────────────────────────────────────

example("diagonal", lambda np, x: np.diagonal(x), (3, 4), complex=True)
example("diagonal", lambda np, x: np.diagonal(x, -1, 2, 0), (3, 2, 4))
example("diag", lambda np, x: np.diag(x), (3,), complex=True)
example("diag", lambda np, x: np.diag(x, -2), (3,))
example("diag", lambda np, x: np.diag(x, 1), (3, 4))
example("diagflat", lambda np, x: np.diagflat(x, 1), (2, 2), complex=True)
example("trace", lambda np, x: np.trace(x), (3, 3), complex=True)
example("trace", lambda np, x: np.trace(x, offset=1, axis1=-1, axis2=0, dtype=complex), (2, 3, 4))
example("tril", lambda np, x: np.tril(x), (3, 4), complex=True)
example("tril", lambda np, x: np.tril(x, -1), (2, 3, 3))
example("triu", lambda np, x: np.triu(x, k=1), (3, 4), complex=True)
example("triu", lambda np, x: np.triu(x), (3,))
example("fill_diagonal", written(lambda np, y, v: np.fill_diagonal(y, v)), (3, 4), (), complex=True)
example("fill_diagonal", written(lambda np, y, v: np.fill_diagonal(y, v)), (3, 4), (2,))
example("fill_diagonal", written(lambda np, y, v: np.fill_diagonal(y, v, wrap=True)), (7, 2), (3, 1))
example("fill_diagonal", written(lambda np, y, v: np.fill_diagonal(y, v)), (3, 3, 3), (3,))
example("fill_diagonal", written(lambda np, y: np.fill_diagonal(y, [1, 2])), (3, 3))
example("copyto", written(lambda np, y, v: np.copyto(y, v)), (3, 4), (4,), complex=True)
example(
    "copyto",
    written(lambda np, y, v: np.copyto(y, v, where=[[True], [False], [True]])),
    (3, 4),
    (3, 4),
)

# ── joining ───────────────────────────────────────────────────────────────────

example("concatenate", lambda np, x, y: np.concatenate([x, y]), (2, 3), (1, 3), complex=True)
example("concatenate", lambda np, x, y: np.concatenate((x, y, [[1], [2]]), axis=-1), (2, 3), (2, 2))
example("concatenate", lambda np, x, y: np.concatenate([x, y], axis=None), (2, 3), ())
example("concatenate", lambda np, x: np.concatenate(x, axis=1, dtype="complex128"), (2, 3, 2))
newer("concat", lambda np, x, y: np.concat([x, y], axis=1), (2, 3), (2, 2))
example("stack", lambda np, x, y: np.stack([x, y], axis=-1), (2, 3), (2, 3), complex=True)
example("stack", lambda np, x: np.stack([x, [1, 2, 3]], dtype="complex128"), (3,))
example("stack", lambda np, x: np.stack(x, axis=1), (2, 3))
example("vstack", lambda np, x, y: np.vstack([x, y]), (3,), (2, 3), complex=True)
example("hstack", lambda np, x, y: np.hstack([x, y]), (), (3,), complex=True)
example("hstack", lambda np, x, y: np.hstack((x, y), dtype="complex128"), (2, 1), (2, 3))
example("dstack", lambda np, x, y: np.dstack([x, y]), (2, 3), (2, 3), complex=True)
example("column_stack", lambda np, x, y: np.column_stack([x, y]), (3,), (3, 2), complex=True)
example("block", lambda np, x, y: np.block([[x, y], [numpy.ones((1, 2)), 7.0]]), (2, 2), (2, 1), complex=True)
example("block", lambda np, x: np.block([x, 1.0]), (2,))
example("block", lambda np, x: np.block(x), (2, 2))
example("append", lambda np, x, y: np.append(x, y), (2, 3), (2,), complex=True)
example("append", lambda np, x, y: np.append(x, y, axis=1), (2, 3), (2, 1))
example("r_", lambda np, x, y: ours(np).r_[x, 0, 1:3, y, y], (3,), (), complex=True)
example("r_", lambda np, x, y: ours(np).r_["1,3,0", x, y], (3,), (3,))
example("r_", lambda np, x, y: ours(np).r_["0,2", x, y], (3,), (2, 3))
example("r_", lambda np, x, y: ours(np).r_[x:y:5j, x : x + 3], (), (), batch=False, domain=((0.1, 0.2), (2.0, 3.0)))
example("r_", lambda np, x: ours(np).r_["-1,2,0", 1:4, x], (3,))
example("c_", lambda np, x, y: ours(np).c_[x, y], (3,), (3, 2), complex=True)
example("ix_", lambda np, x: x[np.ix_([0, 2], [True, False, True])], (3, 3))

# ── taking apart ──────────────────────────────────────────────────────────────

example("split", lambda np, x: np.split(x, 3), (6, 2), complex=True)
example("split", lambda np, x: np.split(x, [1, 3, 7], axis=1), (2, 5))
example("split", lambda np, x: np.split(x, [3, 1, -1]), (5,))
example("array_split", lambda np, x: np.array_split(x, 3), (5, 2), complex=True)
example("array_split", lambda np, x: np.array_split(x, 4, axis=-1), (2, 3))
example("hsplit", lambda np, x: np.hsplit(x, 2), (2, 4), complex=True)
example("hsplit", lambda np, x: np.hsplit(x, [1]), (4,))
example("vsplit", lambda np, x: np.vsplit(x, 2), (4, 2), complex=True)
example("dsplit", lambda np, x: np.dsplit(x, [1, 2]), (2, 2, 3), complex=True)
newer("unstack", lambda np, x: np.unstack(x, axis=1), (2, 3), complex=True)
example("trim_zeros", lambda np, x: np.trim_zeros(np.concatenate([[0, 0], x, [0]])), (3,), batch=False)
example("trim_zeros", lambda np, x: np.trim_zeros(np.concatenate([[0, 0], x, [0]]), "b"), (3,), batch=False)

# ── repeating, leaving out, putting in ────────────────────────────────────────

example("tile", lambda np, x: np.tile(x, 2), (2, 3), complex=True)
example("tile", lambda np, x: np.tile(x, (2, 1, 3)), (2, 3))
example("tile", lambda np, x: np.tile(x, (2, 0)), (3,))
example("tile", lambda np, x: np.tile(x, (1, 1)), (3,))
example("tile", lambda np, x: np.tile(x, 3), ())
example("repeat", lambda np, x: np.repeat(x, 2), (2, 3), complex=True)
example("repeat", lambda np, x: np.repeat(x, [3, 0, 1], axis=1), (2, 3))
example("repeat", lambda np, x: np.repeat(x, [2], axis=0), (2, 3))
example("resize", lambda np, x: np.resize(x, (3, 3)), (2, 2), complex=True)
example("resize", lambda np, x: np.resize(x, 2), (2, 2))
example("resize", lambda np, x: np.resize(x, (2, 2)), (2, 2))
example("delete", lambda np, x: np.delete(x, 1, axis=1), (2, 3), complex=True)
example("delete", lambda np, x: np.delete(x, slice(None, None, 2)), (2, 3))
example("delete", lambda np, x: np.delete(x, [0, -1, 0], axis=0), (4, 2))
example("delete", lambda np, x: np.delete(x, [True, False, True], axis=0), (3, 2))
example("insert", lambda np, x, v: np.insert(x, 1, v), (4,), (), complex=True)
example("insert", lambda np, x, v: np.insert(x, 1, v, axis=1), (2, 3), (2,), complex=True)
example("insert", lambda np, x, v: np.insert(x, [1], v, axis=1), (2, 3), (2, 2))
example("insert", lambda np, x, v: np.insert(x, [2, 0, 2], v), (2, 2), (3,))
example("insert", lambda np, x, v: np.insert(x, slice(0, 3, 2), v, axis=0), (3, 2), (2,))
example("insert", lambda np, x: np.insert(x, [1, -1], 5, axis=-1), (2, 3))
example("insert", lambda np, x, v: np.insert(x, -1, v, axis=0), (3, 2), (2, 2))

# ── padding ───────────────────────────────────────────────────────────────────

example("pad", lambda np, x: np.pad(x, 2), (3,), complex=True)
example("pad", lambda np, x: np.pad(x, ((1, 2), (0, 1)), constant_values=3), (2, 3))
example("pad", lambda np, x: np.pad(x, 1, constant_values=((1, 2), (3, 4))), (2, 3), complex=True)
example("pad", lambda np, x, c: np.pad(x, (1, 2), constant_values=c), (2, 2), (2,))
example("pad", lambda np, x, c: np.pad(x, (1, 2), constant_values=c), (3,), ())
example("pad", lambda np, x: np.pad(x, (1, 2), "edge"), (2, 3), complex=True)
example("pad", lambda np, x: np.pad(x, ((5, 6), (1, 1)), "reflect"), (3, 2))
example("pad", lambda np, x: np.pad(x, (7, 9), "reflect"), (4,), complex=True)
example("pad", lambda np, x: np.pad(x, (2, 2), "reflect"), (1,))
example("pad", lambda np, x: np.pad(x, (2, 1), "reflect", reflect_type="odd"), (3, 4), complex=True)
example("pad", lambda np, x: np.pad(x, (2, 1), "reflect", reflect_type="odd"), (1,))
example("pad", lambda np, x: np.pad(x, (7, 9), "symmetric"), (3,), complex=True)
example("pad", lambda np, x: np.pad(x, (2, 1), "symmetric", reflect_type="odd"), (3, 4))
example("pad", lambda np, x: np.pad(x, (2, 1), "symmetric", reflect_type="odd"), (1,))
for _mode in ("reflect", "symmetric"):
    example("pad", lambda np, x, _mode=_mode: np.pad(x, (7, 9), _mode, reflect_type="odd"), (3,))
    example("pad", lambda np, x, _mode=_mode: np.pad(x, (9, 0), _mode, reflect_type="odd"), (4,))
example("pad", lambda np, x: np.pad(x, (5, 8), "wrap"), (3,), complex=True)
example("pad", lambda np, x: np.pad(x, ((1, 1), (2, 1)), "wrap"), (2, 3))
example("pad", lambda np, x: np.pad(x, (2, 3), "linear_ramp"), (2, 3), complex=True)
example("pad", lambda np, x, e: np.pad(x, (2, 3), "linear_ramp", end_values=e), (2,), (2,))
example("pad", lambda np, x: np.pad(x, 2, "linear_ramp", end_values=((1, 2), (3, 4))), (2, 3))
for _mode in ("maximum", "minimum", "mean", "median"):
    example("pad", lambda np, x, _mode=_mode: np.pad(x, (1, 2), _mode), (2, 3))
    example("pad", lambda np, x, _mode=_mode: np.pad(x, (1, 2), _mode, stat_length=2), (4,))
    example("pad", lambda np, x, _mode=_mode: np.pad(x, 1, _mode, stat_length=((1, 2), (9, 2))), (2, 3))


def _line(vector: Any, width: tuple[int, int], axis: int, options: dict[str, Any]) -> None:
    """The example of NumPy's documentation of `pad`, with values taken from the line."""
    vector[: width[0]] = options["by"] * vector[width[0]]
    vector[-width[1] :] = vector[width[0] + 1]


example("pad", lambda np, x: np.pad(x, 2, _line, by=3.0), (2, 3), complex=True)

# ── windows ───────────────────────────────────────────────────────────────────

example(
    "lib.stride_tricks.sliding_window_view",
    lambda np, x: numpy.lib.stride_tricks.sliding_window_view(x, 3),
    (5,),
    complex=True,
)
example(
    "lib.stride_tricks.sliding_window_view",
    lambda np, x: np.lib.stride_tricks.sliding_window_view(x, (2, 3)),
    (3, 4),
)
example(
    "lib.stride_tricks.sliding_window_view",
    lambda np, x: np.lib.stride_tricks.sliding_window_view(x, (2, 2), axis=(-1, -1)),
    (2, 4),
)
