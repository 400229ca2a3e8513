"""The array API standard 2024.12 on Tensors: every function of it, called through `x.__array_namespace__()`.

The official suite runs by `tests/array_api/run.py`, inside gradients too. Here arrays carry derivatives:
values are compared with NumPy's, pullbacks with finite differences of NumPy's own functions.
"""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import wengert
import wengert.numpy as wnp
from wengert.core.errors import WengertError
from wengert.core.tensor import Tensor
from wengert.core.tree import leaves
from wengert.numpy.registry import NAMES
from wengert.verify import api

STANDARD = [name for group in api.ARRAY_API.values() for name in group.split()]
STATUS = {row.name: row.status for row in api.rows() if row.space == "array API"}

RNG = np.random.default_rng(7)
V = RNG.uniform(0.2, 0.9, 5)
W = RNG.uniform(0.2, 0.9, 5)
M = RNG.uniform(0.2, 0.9, (3, 4))
N = RNG.uniform(0.2, 0.9, (3, 4))
T = RNG.uniform(0.2, 0.9, (2, 3, 4))
Q = RNG.uniform(0.2, 0.9, (3, 3)) + 3 * np.eye(3)
S = Q @ Q.T
C = M + 1j * N


def function(xp, name):
    for part in name.split("."):
        xp = getattr(xp, part)
    return xp


# ── calls of differentiable functions ─────────────────────────────────────────

UNARY = [
    "abs",
    "acos",
    "asin",
    "asinh",
    "atan",
    "atanh",
    "cos",
    "cosh",
    "exp",
    "expm1",
    "log",
    "log1p",
    "log2",
    "log10",
    "negative",
    "positive",
    "reciprocal",
    "sin",
    "sinh",
    "sqrt",
    "square",
    "tan",
    "tanh",
]
BINARY = ["add", "atan2", "divide", "hypot", "logaddexp", "maximum", "minimum", "multiply", "pow", "subtract"]

CALLS = {}  # name → [(call, arrays)]; a call takes the namespace and the arrays


def call(name, fun, *arrays):
    CALLS.setdefault(name, []).append((fun, arrays))


for _name in UNARY:
    call(_name, lambda xp, x, f=_name: getattr(xp, f)(x), M)
call("acosh", lambda xp, x: xp.acosh(x + 1.0), M)
for _name in BINARY:
    call(_name, lambda xp, x, y, f=_name: getattr(xp, f)(x, y), M, N)
    call(_name, lambda xp, x, f=_name: getattr(xp, f)(x, 0.5), M)
    call(_name, lambda xp, x, f=_name: getattr(xp, f)(0.5, x), M)
call("copysign", lambda xp, x: xp.copysign(x, -1.0), M)
call("nextafter", lambda xp, x, y: xp.nextafter(x, y), M, N)
call("sign", lambda xp, x, y: xp.sign(x + 1j * y), M, N)
call("remainder", lambda xp, x, y: xp.remainder(x, 0.3 * y), M, N)
call("clip", lambda xp, x: xp.clip(x, 0.3, 0.7), M)
call("clip", lambda xp, x: xp.clip(x, min=0.3), M)
call("clip", lambda xp, x, y: xp.clip(x, max=y), M, N)
for _name in ("conj", "real", "imag"):
    call(_name, lambda xp, x, f=_name: getattr(xp, f)(x + 2j * x), M)

call("arange", lambda xp, x: xp.arange(x, x + 2.0, 0.3), V[0])
call("asarray", lambda xp, x: xp.asarray(x, dtype=xp.float64, device="cpu", copy=True), M)
call("asarray", lambda xp, x: xp.asarray([x, 2.0 * x]) if xp is not np else np.stack([x, 2 * x]), M)
call("from_dlpack", lambda xp, x: xp.from_dlpack(x), M)
call("full", lambda xp, x: xp.full((2, 3), x), V[0])
call("full_like", lambda xp, x: xp.full_like(xp.ones((2, 3)), x), V[0])
call("linspace", lambda xp, x, y: xp.linspace(x, y, 4, endpoint=False), V[0], V[1])
call("meshgrid", lambda xp, x, y: xp.meshgrid(x, y, indexing="ij"), V, W[:3])
for _name in ("tril", "triu"):
    call(_name, lambda xp, x, f=_name: getattr(xp, f)(x, k=1), T)
call("astype", lambda xp, x: xp.astype(x, xp.complex128, copy=False), M)
call("take", lambda xp, x: xp.take(x, xp.asarray([2, 0, 0]), axis=1), M)
call("take_along_axis", lambda xp, x: xp.take_along_axis(x, xp.asarray([[2, 0], [1, 1], [0, 2]]), axis=1), M)
call("matmul", lambda xp, x, y: xp.matmul(x, y), T, N.T)
call("matrix_transpose", lambda xp, x: xp.matrix_transpose(x), T)
call("tensordot", lambda xp, x, y: xp.tensordot(x, y, axes=((1,), (0,))), T, M)
call("vecdot", lambda xp, x, y: xp.vecdot(x, y, axis=-2), M, N)
call("broadcast_arrays", lambda xp, x, y: xp.broadcast_arrays(x, y), M, N[0])
call("broadcast_to", lambda xp, x: xp.broadcast_to(x, (2, 3, 4)), M)
call("concat", lambda xp, x, y: xp.concat([x, y], axis=1), M, N)
call("concat", lambda xp, x, y: xp.concat((x, y), axis=None), M, N)
call("expand_dims", lambda xp, x: xp.expand_dims(x, axis=1), M)
call("flip", lambda xp, x: xp.flip(x, axis=(0, 1)), M)
call("moveaxis", lambda xp, x: xp.moveaxis(x, 0, -1), T)
call("permute_dims", lambda xp, x: xp.permute_dims(x, (2, 0, 1)), T)
call("repeat", lambda xp, x: xp.repeat(x, xp.asarray([1, 0, 3]), axis=0), M)
call("reshape", lambda xp, x: xp.reshape(x, (2, -1), copy=True), M)
call("roll", lambda xp, x: xp.roll(x, (1, -2), axis=(0, 1)), M)
call("squeeze", lambda xp, x: xp.squeeze(x[None], axis=0), M)
call("stack", lambda xp, x, y: xp.stack([x, y], axis=-1), M, N)
call("tile", lambda xp, x: xp.tile(x, (2, 1, 2)), M)
call("unstack", lambda xp, x: xp.unstack(x, axis=1), M)
call("where", lambda xp, x, y: xp.where(x > y, x, y * 2), M, N)
call("where", lambda xp, x: xp.where(x > 0.5, x, 0.0), M)
for _name in ("unique_all", "unique_counts", "unique_inverse"):
    call(_name, lambda xp, x, f=_name: getattr(xp, f)(x).values, V)
call("unique_values", lambda xp, x: xp.unique_values(x), V)


def _sorted(xp, x, axis, **options):
    if xp is np:
        return np.flip(np.sort(x, axis=axis), axis=axis) if options.get("descending") else np.sort(x, axis=axis)
    return xp.sort(x, axis=axis, **options)


call("sort", lambda xp, x: _sorted(xp, x, -1), M)
call("sort", lambda xp, x: _sorted(xp, x, 0, descending=True, stable=False), M)
call("sort", lambda xp, x: _sorted(xp, x, 1, descending=True), M)
call("cumulative_prod", lambda xp, x: xp.cumulative_prod(x, axis=1, include_initial=True), M)
call("cumulative_sum", lambda xp, x: xp.cumulative_sum(x, axis=0, include_initial=True), M)
for _name in ("max", "mean", "min", "prod", "sum"):
    call(_name, lambda xp, x, f=_name: getattr(xp, f)(x), M)
    call(_name, lambda xp, x, f=_name: getattr(xp, f)(x, axis=(0, 2), keepdims=True), T)
for _name in ("std", "var"):
    call(_name, lambda xp, x, f=_name: getattr(xp, f)(x, axis=1, correction=1, keepdims=True), M)
call("diff", lambda xp, x: xp.diff(x, axis=0, n=2, prepend=xp.zeros((1, 4))), M)

call("linalg.cholesky", lambda xp, x: xp.linalg.cholesky(x @ x.T + xp.eye(3)), M)
call("linalg.cholesky", lambda xp, x: xp.linalg.cholesky(x @ x.T + xp.eye(3), upper=True), M)
call("linalg.cross", lambda xp, x, y: xp.linalg.cross(x, y, axis=0), M, N)
call("linalg.det", lambda xp, x: xp.linalg.det(x), Q)
call("linalg.diagonal", lambda xp, x: xp.linalg.diagonal(x, offset=1), T)
call("linalg.eigh", lambda xp, x: xp.linalg.eigh(x + x.T).eigenvalues, Q)
call("linalg.eigh", lambda xp, x: xp.linalg.eigh(x + x.T).eigenvectors ** 2, Q)
call("linalg.eigvalsh", lambda xp, x: xp.linalg.eigvalsh(x + x.T), Q)
call("linalg.inv", lambda xp, x: xp.linalg.inv(x), Q)
call("linalg.matmul", lambda xp, x, y: xp.linalg.matmul(x, y), M, N.T)
call("linalg.matrix_norm", lambda xp, x: xp.linalg.matrix_norm(x, keepdims=True), T)
call("linalg.matrix_norm", lambda xp, x: xp.linalg.matrix_norm(x, ord="nuc"), M)
call("linalg.matrix_power", lambda xp, x: xp.linalg.matrix_power(x, -2), Q)
call("linalg.matrix_transpose", lambda xp, x: xp.linalg.matrix_transpose(x), T)
call("linalg.outer", lambda xp, x, y: xp.linalg.outer(x, y), V, W[:3])
call("linalg.pinv", lambda xp, x: xp.linalg.pinv(x, rtol=1e-10), M)
call("linalg.qr", lambda xp, x: xp.linalg.qr(x, mode="reduced").R, M.T)
call("linalg.slogdet", lambda xp, x: xp.linalg.slogdet(x).logabsdet, Q)
call("linalg.solve", lambda xp, x, y: xp.linalg.solve(x, y), Q, M)
call("linalg.svd", lambda xp, x: xp.linalg.svd(x, full_matrices=False).S, M)
call("linalg.svdvals", lambda xp, x: xp.linalg.svdvals(x), T)
call("linalg.tensordot", lambda xp, x, y: xp.linalg.tensordot(x, y, axes=1), T, N.T)
call("linalg.trace", lambda xp, x: xp.linalg.trace(x, offset=1), T)
call("linalg.vecdot", lambda xp, x, y: xp.linalg.vecdot(x, y, axis=0), M, N)
call("linalg.vector_norm", lambda xp, x: xp.linalg.vector_norm(x, axis=(0, 2), keepdims=True, ord=3), T)
call("linalg.vector_norm", lambda xp, x: xp.linalg.vector_norm(x), T)

for _name in ("fft", "ifft", "hfft", "rfft", "irfft", "ihfft"):
    call(f"fft.{_name}", lambda xp, x, f=_name: getattr(xp.fft, f)(x, n=6, axis=0, norm="ortho"), M)
for _name in ("fftn", "ifftn", "rfftn", "irfftn"):
    call(f"fft.{_name}", lambda xp, x, f=_name: getattr(xp.fft, f)(x, s=(4, 3), axes=(0, 1), norm="forward"), M)
for _name in ("fftfreq", "rfftfreq"):
    call(f"fft.{_name}", lambda xp, d, f=_name: getattr(xp.fft, f)(5, d=d), V[0])
for _name in ("fftshift", "ifftshift"):
    call(f"fft.{_name}", lambda xp, x, f=_name: getattr(xp.fft, f)(x, axes=(1,)), M)

CASES = [pytest.param(n, f, xs, id=f"{n}-{i}") for n, calls in CALLS.items() for i, (f, xs) in enumerate(calls)]


def real_leaves(out):
    """The arrays of a result, complex ones as two."""
    arrays = [
        np.asarray(a) if type(a) is not Tensor else a for a in leaves(list(out) if isinstance(out, tuple) else out)
    ]
    return [part for a in arrays for part in ((a.real, a.imag) if a.dtype.kind == "c" else (a,))]


def test_every_differentiable_function_has_a_call():
    assert {n for n in STANDARD if STATUS[n] == "differentiable"} <= set(CALLS)


@pytest.mark.parametrize("name, fun, arrays", CASES)
def test_value_and_derivative_on_tensors(name, fun, arrays):
    seen = []

    def traced(*xs):
        xp = xs[0].__array_namespace__(api_version="2024.12")
        assert xp is wnp
        out = fun(xp, *xs)
        seen.extend(leaves(list(out) if isinstance(out, tuple) else out))
        return real_leaves(out)

    want = real_leaves(fun(np, *arrays))
    got, pullback = wengert.vjp(traced, *arrays, adopt=False)
    assert any(type(s) is Tensor for s in seen)
    for g, w in zip(got, want, strict=True):
        np.testing.assert_allclose(g, w, rtol=1e-12, atol=1e-13)
        assert g.dtype == w.dtype
        assert g.shape == w.shape
    rng = np.random.default_rng(3)
    cotangents = [np.asarray(rng.normal(size=np.shape(w)))[()] for w in want]
    directions = [np.asarray(rng.normal(size=np.shape(x)))[()] for x in arrays]
    gradients = pullback(cotangents)
    h = 1e-6
    forward, backward = (real_leaves(fun(np, *(x + s * h * d for x, d in zip(arrays, directions)))) for s in (1, -1))
    slope = sum(np.sum(ct * (f - b)) for ct, f, b in zip(cotangents, forward, backward)) / (2 * h)
    pulled = sum(np.sum(g * d) for g, d in zip(gradients, directions))
    np.testing.assert_allclose(pulled, slope, rtol=1e-6, atol=1e-7)


# ── functions without derivative ──────────────────────────────────────────────

I = np.array([3, 1, 2])
CONSTANT = {
    "all": lambda xp, x: xp.all(x > 0, axis=0),
    "any": lambda xp, x: xp.any(x > 0.5, axis=1, keepdims=True),
    "argmax": lambda xp, x: xp.argmax(x, axis=1),
    "argmin": lambda xp, x: xp.argmin(x, axis=0, keepdims=True),
    "argsort": lambda xp, x: xp.argsort(x, axis=0),
    "can_cast": lambda xp, x: xp.can_cast(x, xp.float32) if xp is not np else False,
    "count_nonzero": lambda xp, x: xp.count_nonzero(x > 0.5, axis=1),
    "empty": lambda xp, x: xp.empty((2, 3), dtype=xp.float32, device="cpu").shape,
    "empty_like": lambda xp, x: xp.empty_like(x).shape,
    "eye": lambda xp, x: xp.eye(3, 4, k=1),
    "finfo": lambda xp, x: xp.finfo(x.dtype).eps if xp is np else xp.finfo(x).eps,
    "iinfo": lambda xp, x: np.iinfo(np.int64).max if xp is np else xp.iinfo(xp.asarray([1], dtype=xp.int64)).max,
    "isdtype": lambda xp, x: xp.isdtype(x.dtype, ("real floating", "integral")),
    "nonzero": lambda xp, x: xp.nonzero(x > 0.5)[1],
    "ones": lambda xp, x: xp.ones((2, 3)),
    "ones_like": lambda xp, x: xp.ones_like(x),
    "result_type": lambda xp, x: xp.result_type(x, xp.float32),
    "searchsorted": lambda xp, x: xp.searchsorted(xp.asarray([0.0, 0.4, 0.8]), x, side="right"),
    "zeros": lambda xp, x: xp.zeros((2, 3)),
    "zeros_like": lambda xp, x: xp.zeros_like(x, dtype=xp.int32),
    "linalg.matrix_rank": lambda xp, x: xp.linalg.matrix_rank(x),
    "__array_namespace_info__": lambda xp, x: sorted(xp.__array_namespace_info__().dtypes(kind="bool")),
    **{
        f: lambda xp, x, f=f: getattr(xp, f)(4.0 * x - 2.0)
        for f in ["ceil", "floor", "isfinite", "isinf", "isnan", "round", "signbit", "trunc"]
    },
    **{
        f: lambda xp, x, f=f: getattr(xp, f)(x, 0.5)
        for f in ["equal", "floor_divide", "greater", "greater_equal", "less", "less_equal", "not_equal"]
    },
    **{f"logical_{f}": lambda xp, x, f=f: getattr(xp, f"logical_{f}")(x > 0.3, x < 0.6) for f in ("and", "or", "xor")},
    "logical_not": lambda xp, x: xp.logical_not(x > 0.3),
    **{
        f"bitwise_{f}": lambda xp, x, f=f: getattr(xp, f"bitwise_{f}")(I, 1)
        for f in ["and", "left_shift", "or", "right_shift", "xor"]
    },
    "bitwise_invert": lambda xp, x: xp.bitwise_invert(x > 0.3),
}


def test_every_constant_function_has_a_call():
    assert {n for n in STANDARD if STATUS[n] == "constant"} <= set(CONSTANT)
    assert set(STATUS.values()) == {"differentiable", "constant"}


@pytest.mark.parametrize("name", CONSTANT)
def test_constant_on_tensors(name):
    seen = []

    def f(x):
        out = CONSTANT[name](x.__array_namespace__(), x)
        seen.append(wengert.stop_gradient(out) if type(out) is Tensor else out)
        return (x * 1.0).sum()

    wengert.grad(f, adopt=False)(M)
    got, want = np.asarray(seen[0]), np.asarray(CONSTANT[name](np, M))
    np.testing.assert_array_equal(got, want)
    assert got.dtype == want.dtype


# ── the namespace ─────────────────────────────────────────────────────────────


def test_namespace_of_a_tensor():
    def f(x):
        for version in (None, "2021.12", "2022.12", "2023.12", "2024.12"):
            assert x.__array_namespace__(api_version=version) is wnp
        with pytest.raises(ValueError, match=r"2030\.12"):
            x.__array_namespace__(api_version="2030.12")
        return x.sum()

    wengert.grad(f)(V)
    assert wnp.__array_api_version__ >= "2024.12"


def test_names_of_dtypes_and_constants():
    for name in ["bool", "int8", "int64", "uint8", "uint64", "float32", "float64", "complex64", "complex128"]:
        assert getattr(wnp, name) is getattr(np, name)
    assert (wnp.pi, wnp.e, wnp.inf, wnp.newaxis) == (np.pi, np.e, np.inf, None)
    assert wnp.isdtype(wnp.float32, "real floating")


@pytest.mark.parametrize("extension", ["linalg", "fft"])
def test_extensions_are_drop_in_modules(extension):
    namespace, original = getattr(wnp, extension), getattr(np, extension)
    for name in original.__all__ if hasattr(original, "__all__") else dir(original):
        assert hasattr(namespace, name), name
    served = [n for n in NAMES if n.startswith(f"{extension}.") and hasattr(original, n.split(".")[1])]
    for name in served:
        assert getattr(namespace, name.split(".")[1]) is NAMES[name].function


def test_extensions_are_imported_by_name():
    from wengert.numpy import fft, linalg

    assert linalg is wnp.linalg
    assert fft is wnp.fft
    assert linalg.LinAlgError is np.linalg.LinAlgError


def test_device_of_a_tensor():
    def f(x):
        assert x.device == "cpu"
        assert x.to_device("cpu") is x
        with pytest.raises(ValueError, match="cuda"):
            x.to_device("cuda")
        with pytest.raises(ValueError, match="stream"):
            x.to_device("cpu", stream=1)
        return x.sum()

    wengert.grad(f)(V)


def test_only_constants_are_exported():
    def f(x):
        with pytest.raises(WengertError, match="dlpack"):
            x.__dlpack__()
        assert x.__dlpack_device__() == (1, 0)
        constant = wnp.ones(3)
        assert type(constant) is Tensor
        np.testing.assert_array_equal(np.from_dlpack(constant), np.ones(3))
        return x.sum()

    wengert.grad(f, adopt=False)(V)


def test_limits_take_dtypes_and_arrays():
    for x in (V, V.astype(np.float32), V[0], C):
        assert wnp.finfo(x).max == np.finfo(x.dtype).max
    for x in (np.float32, "float64", np.dtype(complex), float):
        assert wnp.finfo(x).max == np.finfo(x).max
    assert wnp.iinfo(np.array([1], np.int8)).max == wnp.iinfo(np.int8).max == wnp.iinfo("int8").max == 127
    assert isinstance(np.finfo(np.float32), wnp.finfo)
    with pytest.raises(ValueError, match="not inexact"):
        wnp.finfo(np.array([1]))
    assert wengert.grad(lambda x: x.sum() * wnp.finfo(x).eps)(V)[0] == np.finfo(float).eps


def test_lists_in_the_namespace_and_tuples_by_dispatch():
    for name in ("meshgrid", "broadcast_arrays"):
        assert type(getattr(wnp, name)(V, W)) is list

        def f(x, name=name):
            assert type(getattr(wnp, name)(x, W)) is list
            assert type(getattr(np, name)(x, W)) is tuple
            return sum(y.sum() for y in getattr(np, name)(x, W))

        for adopt in (True, False):
            wengert.grad(f, adopt=adopt)(V)


# ── NumPy's own ways to call what the standard renames ─────────────────────────

CLIPS = {
    "positions": lambda np, x: np.clip(x, 0.3, 0.6),
    "older names": lambda np, x: np.clip(x, a_min=0.3, a_max=0.6),
    "one older name": lambda np, x: np.clip(x, 0.3, a_max=0.6),
    "none below": lambda np, x: np.clip(x, None, 0.6),
    "none above": lambda np, x: np.clip(x, a_min=0.3, a_max=None),
    "newer names": lambda np, x: np.clip(x, min=0.3, max=0.6),
    "first by name": lambda np, x: np.clip(a=x, a_min=0.3, a_max=0.6),
    "arrays": lambda np, x: np.clip(x, 0.5 * x[0], [0.6, 0.7, 0.6, 0.7]),
    "dtype": lambda np, x: np.clip(x, 0.3, 0.6, dtype=x.dtype, casting="unsafe"),
    "no bounds": lambda np, x: np.clip(x),
}


@pytest.mark.parametrize("name", CLIPS)
def test_clip_is_called_as_in_numpy(name):
    fun = CLIPS[name]
    np.testing.assert_array_equal(fun(wnp, M), fun(np, M))
    np.testing.assert_array_equal(wengert.vjp(lambda x: fun(wnp, x), M)[0], fun(np, M))
    np.testing.assert_array_equal(wengert.vjp(lambda x: fun(np, x), M, adopt=False)[0], fun(np, M))


def test_clip_into_an_array():
    out, want = np.empty_like(M), np.empty_like(M)
    assert wnp.clip(M, 0.3, 0.6, out) is out
    np.testing.assert_array_equal(out, np.clip(M, 0.3, 0.6, want))
    with pytest.raises(ValueError, match="forbidden"):
        wnp.clip(M, min=0.3, a_min=0.3)


SORTS = {
    "positions": lambda sort, x: sort(x, 0, "mergesort"),
    "flattened": lambda sort, x: sort(x, None),
    "kind": lambda sort, x: sort(x, axis=0, kind="heapsort"),
    "stable": lambda sort, x: sort(a=x, axis=1, stable=True),
    "unstable": lambda sort, x: sort(x, stable=False),
}


@pytest.mark.parametrize("function", ["sort", "argsort"])
@pytest.mark.parametrize("name", SORTS)
def test_sort_is_called_as_in_numpy(name, function):
    ours, theirs = (getattr(namespace, function) for namespace in (wnp, np))
    want = SORTS[name](theirs, M)
    np.testing.assert_array_equal(SORTS[name](ours, M), want)
    np.testing.assert_array_equal(wengert.vjp(lambda x: SORTS[name](ours, x) * x.sum(), M)[0], want * M.sum())
    with pytest.raises(ValueError, match="same time"):
        ours(M, kind="quicksort", stable=True)


def test_structured_arrays_sort_by_their_fields():
    people = np.array([("b", 3), ("a", 2), ("c", 1)], dtype=[("name", "U1"), ("age", int)])
    np.testing.assert_array_equal(wnp.sort(people, order="age"), np.sort(people, order="age"))
    np.testing.assert_array_equal(wnp.argsort(people, order=["age", "name"]), [2, 1, 0])


@pytest.mark.parametrize("descending", [False, True])
def test_equal_elements_keep_their_order(descending):
    x = np.floor(np.random.default_rng(0).uniform(0, 4, 300))
    want = np.array(sorted(range(300), key=lambda i: -x[i] if descending else x[i]))
    np.testing.assert_array_equal(wnp.argsort(x, descending=descending), want)
    weights = np.arange(300.0)
    gradient = wengert.grad(lambda x: (wnp.sort(x, descending=descending) * weights).sum())(x)
    np.testing.assert_array_equal(gradient[want], weights)


def test_nans_sort_to_the_end_and_descending_to_the_start():
    x = np.array([1.0, np.nan, 3.0])
    np.testing.assert_array_equal(wnp.sort(x), [1, 3, np.nan])
    np.testing.assert_array_equal(wnp.sort(x, descending=True), [np.nan, 3, 1])
    np.testing.assert_array_equal(wnp.argsort(x, descending=True), [1, 2, 0])


def test_where_takes_one_or_three_arrays():
    np.testing.assert_array_equal(wnp.where(M > 0.5), np.where(M > 0.5))
    np.testing.assert_array_equal(wnp.where(M > 0.5, M, None), np.where(M > 0.5, M, None))
    for namespace in (np, wnp):
        with pytest.raises(ValueError, match="either both or neither"):
            wengert.grad(lambda x, namespace=namespace: namespace.where(x > 0, x).sum(), adopt=False)(V)


@pytest.mark.parametrize("name", ["fftfreq", "rfftfreq"])
def test_frequencies_have_a_dtype(name):
    ours, theirs = getattr(wnp.fft, name), getattr(np.fft, name)
    np.testing.assert_array_equal(ours(5, 0.1), theirs(5, 0.1))
    np.testing.assert_array_equal(ours(n=5, d=0.1, device="cpu"), theirs(n=5, d=0.1))
    got = ours(5, d=0.1, dtype=np.float32)
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, theirs(5, 0.1).astype(np.float32))
    seen = []
    wengert.grad(lambda d: [seen.append(ours(5, d, dtype=np.float32)), d][1])(0.1)
    assert seen[0].dtype == np.float32


RENAMED = ("clip", "sort", "argsort", "where", "fft.fftfreq", "fft.rfftfreq")


@pytest.mark.parametrize("name", RENAMED)
def test_arguments_of_numpy_are_arguments_of_ours(name):
    ours, theirs = function(wnp, name), function(np, name)
    try:
        want = inspect.signature(theirs).parameters
    except ValueError:
        pytest.skip("this NumPy does not say what its arguments are")
    got = inspect.signature(ours).parameters
    by_position = [p for p in want.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    for place, p in enumerate(by_position):
        assert list(got.values())[place].kind is p.POSITIONAL_OR_KEYWORD
    if name != "where":
        assert set(want) - {"kwargs"} <= set(got)


# ── booleans as keys ──────────────────────────────────────────────────────────

KEYS = (True, False, np.True_, np.array(False), np.array(True))


@pytest.mark.parametrize("x", [V[0], V, T], ids=["scalar", "vector", "stack"])
@pytest.mark.parametrize("key", KEYS, ids=repr)
def test_a_boolean_without_axes_as_a_key(x, key):
    value, pullback = wengert.vjp(lambda x: (x * 2)[key], x)
    want = np.asarray(x * 2)[key]
    np.testing.assert_array_equal(value, want)
    assert value.shape == want.shape
    np.testing.assert_array_equal(pullback(np.ones_like(want))[0], np.full(x.shape, 2.0 * bool(key)))


def written(x, key, array):
    y, z, w = x * 2.0, array(x[0] * 3.0), array(x[0] * 4.0)
    y[key] = 5.0 * x
    z[key] = x[1]
    w[key] = x[1:2]
    return y, z, w


@pytest.mark.parametrize("key", KEYS, ids=repr)
def test_writing_where_a_boolean_is_true(key):
    value, pullback = wengert.vjp(lambda x: written(x, key, wnp.array), V)
    for got, want in zip(value, written(V, key, np.array), strict=True):
        np.testing.assert_array_equal(got, want)
    want = np.full(5, 5.0 if key else 2.0)
    want[1 if key else 0] += 2.0 if key else 7.0
    np.testing.assert_array_equal(pullback((np.ones(5), np.ones(()), np.ones(())))[0], want)


# ── ranges from zero ──────────────────────────────────────────────────────────


@pytest.mark.parametrize("args", [(0.0, 3), (0.0, 0, 1), (np.float32(0), 2), (False, 2), (0, 3)], ids=repr)
def test_arange_from_zero_keeps_its_dtype(args):
    got, want = wnp.arange(*args), np.arange(*args)
    np.testing.assert_array_equal(got, want)
    assert got.dtype == want.dtype


def test_arange_from_zero_is_differentiable():
    assert wengert.grad(lambda x: wnp.arange(x, x + 3.0).sum())(0.0) == 3.0
