"""Legal calls of any op, generated from its samples.

A sample says what the op admits: how many arguments, from which domain, which static parameters. A generated call starts
from one of them and varies shapes (empty, 0-d, size one, broadcasting), parameters, dtype, values and memory layout. The
op's shape rule and a trial evaluation decide what is legal; a variation that is not is dropped.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from wengert.core.aval import COMPLEX, FLOAT, is_inexact
from wengert.core.op import OPS, Op, Sample
from wengert.verify.call import Call
from wengert.verify.generate import indexing
from wengert.verify.generate.arrays import KINDS, Laid, hardened, layouts_of, shown
from wengert.verify.generate.choices import Choices
from wengert.verify.generate.legal import evaluated, refused, remade, shape_of, whole
from wengert.verify.generate.parameters import adapted, mutated
from wengert.verify.generate.variants import resized

Values = Literal["smooth", "edge"]
DTYPES = ("float64", "complex128", "float32", "complex64", "float16", "bfloat16")


class Generated(Call):
    """A call on arrays of its own.

    `sample` keeps shapes and domain of the arguments, so that more examples can be drawn; `laid` holds the arrays.
    `values` is "smooth" where differences can decide, "edge" where the values are ties, boundaries, zeros, huge or tiny,
    and only agreement between rules can be checked. The representation is code that runs all checks again.
    """

    def __init__(
        self, op: Op, sample: Sample, laid: Sequence[Any], dtype: str, values: Values = "smooth", base: int = 0
    ) -> None:
        self.op, self.sample, self.seed = op, sample, 0
        self.dtype = named(dtype)
        self.layout = "contiguous"
        self.rng = np.random.default_rng(0)
        self.diff = sample.diff
        self.shared: dict[Any, Any] = {}
        self.laid, self.values, self.base = list(laid), values, base
        self.args = [a.build() if isinstance(a, Laid) else a for a in laid]

    def concrete(self) -> Sample:
        """The sample with the arrays in it."""
        return remade(self.sample, self.args, self.sample.params)

    def code(self) -> str:
        """A program that repeats the checks of this call."""
        args = [a.code() if isinstance(a, Laid) else shown(a) for a in self.laid]
        params = "".join(f"{k}={shown(v)}, " for k, v in self.sample.params.items())
        half = "import ml_dtypes\n" if "ml_dtypes" in "".join(args) else ""
        array = "from wengert.ops.index import ARRAY\n" if "ARRAY" in params else ""
        lines = "".join(f"    {a},\n" for a in args)
        named = f"    params=dict({params.rstrip(', ')}),\n" if params else ""
        return (
            f"import numpy as np\n{half}{array}from wengert.verify.generate.consistency import check\n\n"
            f"check(\n    {self.op.name!r},\n{lines}{named}"
            f"    diff={self.diff}, base={self.base}, dtype={self.dtype.name!r}, values={self.values!r},\n)"
        )

    __repr__ = code


def rebuilt(
    name: str, *args: Any, params: dict[str, Any] | None, diff: tuple[int, ...], base: int, dtype: str, values: Values
) -> Generated:
    """The call that a Generated's code describes."""
    from wengert.verify.catalog import load_ops

    op = load_ops()[name]
    known = op.samples[base]
    shapes = [np.shape(a) if i in diff and not isinstance(known.args[i], np.ndarray) else a for i, a in enumerate(args)]
    sample = Sample(
        *shapes, domain=known.domain, diff=diff, real_only=known.real_only, order=known.order, **(params or {})
    )
    made = Generated(op, sample, args, dtype, values, base)
    made.args = list(args)
    return made


def named(dtype: str) -> np.dtype:
    """The dtype of a name; bfloat16 is ml_dtypes'."""
    if dtype == "bfloat16":
        from ml_dtypes import bfloat16

        return np.dtype(bfloat16)
    return np.dtype(dtype)


def generable() -> list[str]:
    """Names of the ops that calls can be generated of: those with samples."""
    return [name for name, op in OPS.items() if op.samples]


def call(op: Op, choices: Choices, dtype: str | None = None, values: Values | None = None) -> Generated:
    """A legal call of `op`. `dtype` and `values` are chosen where they are not given, or the op
    does not take them.

    Raises ValueError for an op without samples (one that calls a user's function).
    """
    if not op.samples:
        raise ValueError(f"{op.name} has no samples to start from\n  want: one of generable()")
    base = choices.integer(0, len(op.samples) - 1)
    sample = op.samples[base]
    for _ in range(choices.integer(0, 2)):
        sample = _reshaped(op, sample, choices)
    for _ in range(choices.integer(0, 2) if sample.params else 0):
        sample = _reset(op, sample, choices)
    sample = indexing.varied(op, sample, choices)
    admitted = dtypes(op, sample)
    kind = dtype if dtype in admitted else choices.pick(admitted)
    hard = values == "edge" or (values is None and choices.chance(0.5))
    tries = [
        (sample, kind, hard),
        (sample, kind, False),
        (sample, "float64", False),
        (op.samples[base], "float64", False),
    ]
    for sample, kind, hard in tries:
        made = _filled(op, sample, kind, hard, base, choices)
        if made is not None and not isinstance(evaluated(op, made.args, sample.params), str):
            return made
    raise AssertionError(f"{op.name} does not evaluate its own sample {op.samples[base]!r}")


def dtypes(op: Op, sample: Sample) -> list[str]:
    """The dtypes that the op's declaration admits for a sample."""
    if FLOAT not in op.accepts or not any(isinstance(a, tuple) for a in sample.args):
        return ["float64"]
    whole = COMPLEX in op.accepts and not sample.real_only
    admitted = [d for d in DTYPES if whole or not d.startswith("complex")]
    try:
        named("bfloat16")
    except ImportError:
        admitted.remove("bfloat16")
    return admitted


# ── shapes and parameters ─────────────────────────────────────────────────────


def _reshaped(op: Op, sample: Sample, choices: Choices) -> Sample:
    """The sample with other shapes, and parameters that follow; itself if the shape rule refuses them all."""
    args = _resizing(sample, choices)
    for params in adapted(sample, args):
        if not refused(op, args, params):
            return remade(sample, args, params)
    return sample


def _resizing(sample: Sample, choices: Choices) -> list[Any]:
    args, shapes = sample.args, [shape_of(a) for a in sample.args]
    sizes = list(dict.fromkeys(d for s in shapes for d in s))
    which = choices.integer(0, len(args) - 1)
    own, size = shapes[which], choices.pick((2, 1, 3, 5, 4, 0))
    # Ready floats belong together (an order, its characteristic value), so they change together.
    alone = (
        ("axis", "lead", "drop")
        if isinstance(args[which], tuple) or not is_inexact(np.asarray(args[which]).dtype)
        else ()
    )
    match choices.pick(("symbol", "lead all", "scalars", *alone)):
        case "symbol" if sizes:  # equal sizes change together
            old = choices.pick(sizes)
            return [resized(a, [size if d == old else d for d in s]) for a, s in zip(args, shapes, strict=True)]
        case "axis" if own:
            at = choices.integer(0, len(own) - 1)
            return _with(args, which, (*own[:at], size, *own[at + 1 :]))
        case "lead":
            return _with(args, which, (size, *own))
        case "lead all":
            return [resized(a, (size, *s)) for a, s in zip(args, shapes, strict=True)]
        case "drop" if own:
            return _with(args, which, own[1:])
        case "scalars":
            return [resized(a, ()) for a in args]
    return list(args)


def _with(args: Sequence[Any], which: int, shape: tuple[int, ...]) -> list[Any]:
    return [resized(a, shape) if i == which else a for i, a in enumerate(args)]


def _reset(op: Op, sample: Sample, choices: Choices) -> Sample:
    """The sample with another value of one parameter; itself if the shape rule refuses it."""
    name = choices.pick(list(sample.params))
    seen = [s.params[name] for s in op.samples if name in s.params]
    value = mutated(name, sample.params[name], seen, [shape_of(a) for a in sample.args], choices)
    params = {**sample.params, name: value}
    return sample if refused(op, sample.args, params) else remade(sample, sample.args, params)


# ── values and memory ─────────────────────────────────────────────────────────


def _filled(op: Op, sample: Sample, dtype: str, hard: bool, base: int, choices: Choices) -> Generated | None:
    """Arrays for a sample, or None where the domain has none."""
    try:
        arrays = sample.build(choices.generator(), named(dtype))
    except Exception:  # a domain that needs square matrices, say
        return None
    for i in sample.diff:  # the same by choices, which may choose simple numbers
        domain = _domain(sample, i)
        if isinstance(sample.args[i], tuple) and not callable(domain):
            shape = sample.args[i]
            low, high = domain
            value = choices.uniform(low, high, shape)
            value = value + 1j * choices.uniform(low, high, shape) if named(dtype).kind == "c" else value
            arrays[i] = np.asarray(value).astype(named(dtype))
    arrays = [np.asarray(a) if isinstance(a, (np.ndarray, np.generic)) else a for a in arrays]
    values: Values = "smooth"
    if hard and any(isinstance(a, np.ndarray) and is_inexact(a.dtype) and a.size for a in arrays):
        arrays = _hardened(op, sample, arrays, choices)
        values = "edge"
    laid = [_laid(a, choices) if isinstance(a, np.ndarray) else a for a in arrays]
    return Generated(op, sample, laid, dtype, values, base)


def _unending(op: Op) -> tuple[str, ...]:
    """Values from which NumPy and SciPy may not return. LAPACK's iterations need not end on infinite values, nor does SciPy's
    hyp1f1; its logm takes a square root for each power of two in the norm of a nilpotent part, minutes where that is 1e308;
    its spheroidal characteristic values of such a parameter crash the interpreter."""
    if op.name in ("hyp1f1", "logm", "logm_frechet", "pro_cv", "obl_cv"):
        return ("huge", "infinite")
    return ("infinite",) if whole(op) else ()


def _hardened(op: Op, sample: Sample, arrays: list[Any], choices: Choices) -> list[Any]:
    at = [i for i, a in enumerate(arrays) if i in sample.diff and a.size] or [
        i for i, a in enumerate(arrays) if isinstance(a, np.ndarray) and a.size and is_inexact(a.dtype)
    ]
    chosen = at if choices.chance(0.3) else [choices.pick(at)]
    kind = choices.pick([k for k in KINDS if k not in _unending(op)])
    new = list(arrays)
    with np.errstate(all="ignore"):
        for i in chosen:
            new[i] = hardened(arrays[i], kind, _bounds(sample, i), choices)
        if len(chosen) > 1 and kind == "ties" and choices.chance(0.5):  # between operands, too
            a, b = chosen[:2]
            if new[a].dtype == new[b].dtype:
                new[b] = np.resize(new[a], new[b].shape) if new[a].size else new[b]
    return new


def _domain(sample: Sample, i: int) -> Any:
    """An interval, or what draws an array of a shape."""
    domain = sample.domain
    if isinstance(domain, tuple) and domain and (callable(domain[0]) or isinstance(domain[0], tuple)):
        return domain[i]
    return domain


def _bounds(sample: Sample, i: int) -> tuple[float, float]:
    domain = _domain(sample, i)
    return (0.0, 1.0) if callable(domain) else domain


def _laid(values: np.ndarray, choices: Choices) -> Laid:
    values = np.ascontiguousarray(values).reshape(values.shape)
    if values.ndim == 0:
        return Laid(values, scalar=not choices.chance(0.3))
    known = layouts_of(values)
    return Laid(values, choices.pick(known)) if known and choices.chance(0.4) else Laid(values)
