"""Accuracy and speed of vector math: python benchmarks/vecmath.py [accuracy|speed|float32] [names …].

accuracy   worst errors in units in the last place, against mpmath (50 digits) and, densely, against x87 long doubles
float32    worst errors over every 509th float32 of all, against float64
speed      ns per element, n = 4096, one thread: these loops, NumPy, g++ -Ofast with libmvec, JAX
The tests take their loops, points and oracles from here.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path

import llvmlite.binding as llvm
import mpmath as mp
import numpy as np

from wengert.lowering import vecmath

F64, F32 = np.dtype(np.float64), np.dtype(np.float32)
LD = np.longdouble
_kept: list[object] = []


# ── compiled loops ────────────────────────────────────────────────────────────


def text(name: str, dtype: np.dtype) -> str:
    """A module: the function, what it needs, and `loop(out, *arrays, n)`, which applies it to arrays."""
    found: dict[tuple[str, np.dtype], str] = {}
    wanted = [(name, dtype)]
    while wanted:
        key = wanted.pop()
        if key not in found:
            found[key], needs = vecmath.definition(*key)
            wanted += needs
    lines = list(dict.fromkeys(line for t in found.values() for line in t.split("\n") if line.startswith("declare ")))
    lines += [line for t in found.values() for line in t.split("\n") if not line.startswith("declare ")]
    kind, count = ("double" if dtype == F64 else "float"), vecmath.arity(name)
    pointers = ", ".join(f"ptr noalias %p{i}" for i in range(count))
    lines += [f'define void @loop(ptr noalias %out, {pointers}, i64 %n) "prefer-vector-width"="512" {{', "entry:"]
    lines += ["br label %body", "body:", "%i = phi i64 [0, %entry], [%next, %body]"]
    for i in range(count):
        lines += [f"%q{i} = getelementptr {kind}, ptr %p{i}, i64 %i", f"%v{i} = load {kind}, ptr %q{i}"]
    arguments = ", ".join(f"{kind} %v{i}" for i in range(count))
    lines += [f"%r = call {kind} @wg.{name}.{dtype.char}({arguments})", f"%o = getelementptr {kind}, ptr %out, i64 %i"]
    lines += [f"store {kind} %r, ptr %o", "%next = add nuw nsw i64 %i, 1", "%more = icmp ult i64 %next, %n"]
    lines += ["br i1 %more, label %body, label %done", "done:", "ret void", "}"]
    return "\n".join(lines) + "\n"


class Loop:
    """A function applied to arrays by compiled code; `assembly` is that code."""

    def __init__(self, name: str, dtype: np.dtype, cpu: str = "") -> None:
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        features = "" if cpu else llvm.get_host_cpu_features().flatten()
        target = llvm.Target.from_default_triple()
        machine = target.create_target_machine(
            cpu=cpu or llvm.get_host_cpu_name(), features=features, opt=2, codemodel="jitdefault", jit=True
        )
        module = llvm.parse_assembly(text(name, dtype))
        module.verify()
        module.triple, module.data_layout = machine.triple, str(machine.target_data)
        options = llvm.create_pipeline_tuning_options(speed_level=2)
        options.loop_vectorization = options.loop_unrolling = options.slp_vectorization = True
        builder = llvm.create_pass_builder(machine, options)
        builder.getModulePassManager().run(module, builder)
        self.optimised = str(module)
        self.assembly = machine.emit_assembly(module.clone())
        engine = llvm.create_mcjit_compiler(module, machine)
        engine.finalize_object()
        _kept.append((engine, module, machine))
        self.dtype, self.arity = dtype, vecmath.arity(name)
        kinds = [ctypes.c_void_p] * (self.arity + 1) + [ctypes.c_int64]
        self.run = ctypes.CFUNCTYPE(None, *kinds)(engine.get_function_address("loop"))

    def __call__(self, *xs: np.ndarray) -> np.ndarray:
        xs = tuple(np.ascontiguousarray(x, self.dtype) for x in xs)
        out = np.empty_like(xs[0])
        self.run(out.ctypes.data, *[x.ctypes.data for x in xs], out.size)
        return out


@cache
def loop(name: str, dtype: np.dtype, cpu: str = "") -> Loop:
    return Loop(name, dtype, cpu)


# ── oracles ───────────────────────────────────────────────────────────────────


def _erfcx(x):
    if x > 10**6:
        return (1 - 1 / (2 * x * x)) / (x * mp.sqrt(mp.pi))
    return mp.inf if x < -30 else mp.exp(x * x) * mp.erfc(x)


def _erfc(x):
    return mp.erfc(x) if abs(x) < 40 else mp.mpf(2 if x < 0 else 0)


def _ndtr(x):
    return _erfc(-x / mp.sqrt(2)) / 2


def _log_ndtr(x):
    if x < -40:
        return -x * x / 2 + mp.log(_erfcx(-x / mp.sqrt(2)) / 2)
    return mp.log1p(-_ndtr(-x)) if x > 0 else mp.log(_ndtr(x))


def _sigmoid(x):
    return 1 / (1 + mp.exp(-x)) if x > -1000 else mp.mpf(0)


def _softplus(x):
    return max(x, mp.mpf(0)) + mp.log1p(mp.exp(-abs(x)))


def _logaddexp(x, y):
    return max(x, y) + mp.log1p(mp.exp(-abs(x - y)))


def _tanh(x):
    return mp.tanh(x) if abs(x) < 100 else mp.sign(x)


def _capped(f):
    """Of arguments that overflow anyway."""
    return lambda x: f(max(min(x, mp.mpf(2000)), mp.mpf(-2000)))


def _cbrt(x):
    return mp.sign(x) * mp.cbrt(abs(x))


def _lgamma(x):
    return mp.loggamma(x) if x > 0 else mp.log(abs(mp.gamma(x)))


ORACLES = {
    "exp": _capped(mp.exp), "exp2": _capped(lambda x: mp.mpf(2) ** x), "expm1": _capped(mp.expm1), "log": mp.log,
    "log1p": mp.log1p, "log2": lambda x: mp.log(x) / mp.log(2), "log10": mp.log10, "sigmoid": _sigmoid,
    "softplus": _softplus, "logaddexp": _logaddexp, "sin": mp.sin, "cos": mp.cos, "tan": mp.tan, "arcsin": mp.asin,
    "arccos": mp.acos, "arctan": mp.atan, "arctan2": mp.atan2, "sinh": _capped(mp.sinh), "cosh": _capped(mp.cosh),
    "tanh": _tanh, "arcsinh": mp.asinh, "arccosh": mp.acosh, "arctanh": mp.atanh, "sqrt": mp.sqrt,
    "rsqrt": lambda x: 1 / mp.sqrt(x), "cbrt": _cbrt, "hypot": mp.hypot, "pow": mp.power, "erf": mp.erf, "erfc": _erfc,
    "erfcx": _erfcx, "ndtr": _ndtr, "log_ndtr": _log_ndtr, "lgamma": _lgamma, "digamma": mp.digamma,
}  # fmt: skip

# where a function is defined (and real) for finite arguments
DOMAINS = {
    "lgamma": (0, np.inf), "digamma": (0, np.inf),
    "log": (0, np.inf), "log2": (0, np.inf), "log10": (0, np.inf), "log1p": (-1, np.inf), "arcsin": (-1, 1),
    "arccos": (-1, 1), "arccosh": (1, np.inf), "arctanh": (-1, 1), "sqrt": (0, np.inf), "rsqrt": (0, np.inf),
}  # fmt: skip


def extended(v) -> LD:
    """An mpf as a long double."""
    high = float(v)
    if not np.isfinite(high) or high == 0.0:
        return LD(high)
    return LD(high) + LD(float(v - mp.mpf(high)))


def exact(name: str, *xs: np.ndarray) -> np.ndarray:
    """The function's values by mpmath, as long doubles."""
    with mp.workdps(50):
        f = ORACLES[name]
        rows = zip(*(map(float, x) for x in xs))
        return np.array([extended(f(*map(mp.mpf, row))) for row in rows], LD)


def ulps(got: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Distances in units in the last place of the value, rounded; infinite where one is NaN or infinite and the other not."""
    with np.errstate(all="ignore"):
        rounded = value.astype(got.dtype)
        wide = value.dtype  # more digits than `got` has
        error = np.abs(got.astype(wide) - value) / np.spacing(np.abs(rounded)).astype(wide)
    same = (got == rounded) | (np.isnan(got) & np.isnan(rounded))
    usable = np.isfinite(got) & np.isfinite(rounded)
    return np.where(usable, error, np.where(same, 0, np.inf)).astype(float)


def points(name: str, dtype: np.dtype, count: int, rng: np.random.Generator) -> list[np.ndarray]:
    """About `count` arguments: over all exponents, dense where functions change, close to 1, −1 and 0."""
    whole = np.dtype(f"i{dtype.itemsize}")
    n = count // 8
    low, high = DOMAINS.get(name, (-np.inf, np.inf))

    def one() -> np.ndarray:
        sign = rng.choice([-1.0, 1.0], n)
        with np.errstate(all="ignore"):
            some = rng.integers(np.iinfo(whole).min, np.iinfo(whole).max, n, whole).view(dtype)
            top = 720.0 if dtype == F64 else 90.0
            parts = [some[np.isfinite(some)], rng.normal(size=n), rng.uniform(-1, 1, n), rng.uniform(-10, 10, n)]
            parts += [rng.uniform(-top, top, n), sign * 10 ** rng.uniform(-20, 3, n), rng.uniform(0.3, 3, n)]
            parts += [rng.integers(1, 100000, n) * (np.pi / 2)] if name in ("sin", "cos", "tan") else []
            parts += [sign * (1 + rng.normal(size=n) * 10 ** rng.uniform(-7, -0.5, n))]
            x = np.concatenate([p.astype(dtype) for p in parts])
        if np.isfinite(high):
            x = np.where((x < low) | (x > high), np.remainder(x, 1), x)
        x = np.where(x < low, -x if low == 0 else low + np.abs(x), x).astype(dtype)
        return x[(x > low) & (x < high) & (x != 0)]

    if vecmath.arity(name) == 1:
        return [one()]
    x, y = one(), one()
    m = min(x.size, y.size)
    x, y = x[:m], rng.permutation(y[:m])
    if name == "pow":
        x = np.where(rng.random(m) < 0.5, np.abs(x), np.exp(rng.normal(size=m))).astype(dtype)
        keep = np.abs(y.astype(LD) * np.log(np.abs(x.astype(LD)))) < 1200
        return [np.abs(x[keep]), y[keep]]
    if name == "logaddexp":
        return [x, np.where(rng.random(m) < 0.5, x + rng.normal(size=m), y).astype(dtype)]
    return [x, y]


# ── figures ───────────────────────────────────────────────────────────────────

DENSE = {
    **{
        n: getattr(np, n)
        for n in "exp exp2 expm1 log log1p log2 log10 sin cos tan arcsin arccos arctan arctan2".split()
    },
    **{n: getattr(np, n) for n in "sinh cosh tanh arcsinh arccosh arctanh sqrt cbrt hypot".split()},
    "pow": np.power,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "sigmoid": lambda x: np.where(x > 0, 1 / (1 + np.exp(-np.abs(x))), np.exp(-np.abs(x)) / (1 + np.exp(-np.abs(x)))),
    "softplus": lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))),
}


def accuracy(names: list[str]) -> None:
    rng = np.random.default_rng(1)
    for name in names:
        for dtype in (F64, F32):
            f, worst, tried = loop(name, dtype), 0.0, 0
            xs = points(name, dtype, 8000, rng)
            errors = [(ulps(f(*xs), exact(name, *xs)), xs)]
            if name in DENSE:
                xs = points(name, dtype, 2_000_000, rng)
                with np.errstate(all="ignore"):
                    errors.append((ulps(f(*xs), DENSE[name](*[x.astype(LD) for x in xs])), xs))
            for error, xs in errors:
                i = int(np.argmax(error))
                tried += error.size
                if error[i] >= worst:
                    worst, at = float(error[i]), [float(x[i]) for x in xs]
            print(f"{name:10s} {dtype.name} {worst:.3f} ulp of {tried} at {at}", flush=True)


def float32(names: list[str]) -> None:
    import scipy.special as special

    more = {
        "erf": special.erf,
        "erfc": special.erfc,
        "erfcx": special.erfcx,
        "ndtr": special.ndtr,
        "log_ndtr": special.log_ndtr,
    }
    more |= {"lgamma": special.gammaln, "digamma": special.digamma}
    for name in names:
        reference = DENSE.get(name) or more.get(name)
        if reference is None or vecmath.arity(name) != 1:
            continue
        f, worst, at = loop(name, F32), 0.0, 0.0
        for start in range(0, 2**32, 2**26):
            x = np.arange(start, start + 2**26, 509, np.uint32).view(np.float32)
            with np.errstate(all="ignore"):
                error = ulps(f(x), reference(x.astype(float)))
            i = int(np.argmax(error))
            if error[i] > worst:
                worst, at = float(error[i]), float(x[i])
        print(f"{name:10s} float32 {worst:.3f} ulp at {at!r}", flush=True)


def best(f, *args, repeats: int = 60) -> float:
    found = np.inf
    for _ in range(repeats):
        start = time.perf_counter()
        f(*args)
        found = min(found, time.perf_counter() - start)
    return found


C_NAMES = {
    "arcsin": "asin",
    "arccos": "acos",
    "arctan": "atan",
    "arctan2": "atan2",
    "arcsinh": "asinh",
    "arccosh": "acosh",
    "arctanh": "atanh",
}


@cache
def compiled_c(folder: str) -> ctypes.CDLL | None:
    """Loops over libm's functions, by g++ -Ofast, which takes libmvec's variants."""
    if not shutil.which("g++"):
        return None
    lines = ["#include <cmath>", 'extern "C" {']
    plain = "exp exp2 expm1 log log1p log2 log10 sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh arccosh arctanh sqrt cbrt erf erfc lgamma".split()
    for kind, mark in (("double", "d"), ("float", "f")):
        bodies = {n: f"std::{C_NAMES.get(n, n)}(x[i])" for n in plain}
        bodies |= {"sigmoid": "1/(1+std::exp(-x[i]))", "rsqrt": "1/std::sqrt(x[i])"}
        bodies |= {"softplus": "std::fmax(x[i],0)+std::log1p(std::exp(-std::fabs(x[i])))"}
        bodies |= {"pow": "std::pow(x[i],y[i])", "arctan2": "std::atan2(x[i],y[i])", "hypot": "std::hypot(x[i],y[i])"}
        for n, body in bodies.items():
            y = f", const {kind}*__restrict y" if "y[i]" in body else ""
            lines.append(
                f"void {n}_{mark}({kind}*__restrict o, const {kind}*__restrict x{y}, long n){{for(long i=0;i<n;i++)o[i]={body};}}"
            )
    source = Path(folder, "loops.cpp")
    source.write_text("\n".join([*lines, "}"]))
    library = str(Path(folder, "loops.so"))
    subprocess.run(
        ["g++", "-Ofast", "-march=native", "-mprefer-vector-width=512", "-shared", "-fPIC", "-o", library, str(source)],
        check=True,
    )
    return ctypes.CDLL(library)


def jax_function(name: str):
    try:
        import jax
        import jax.numpy as jnp
        import jax.scipy.special as js
    except ImportError:
        return None, None
    jax.config.update("jax_enable_x64", True)
    special = {
        "lgamma": "gammaln",
        "digamma": "digamma",
        "gamma": "gamma",
        "erf": "erf",
        "erfc": "erfc",
        "ndtr": "ndtr",
        "log_ndtr": "log_ndtr",
    }
    f = {"sigmoid": jax.nn.sigmoid, "softplus": jax.nn.softplus, "rsqrt": jax.lax.rsqrt}.get(name)
    f = f or (getattr(js, special[name]) if name in special else getattr(jnp, name, None))
    return (None, None) if f is None else (jax.jit(f), jnp.asarray)


def speed(names: list[str]) -> None:
    import scipy.special as special

    rng, n = np.random.default_rng(2), 4096
    numpys = {
        **{k: getattr(np, k) for k in DENSE if hasattr(np, k)},
        "pow": np.power,
        "logaddexp": np.logaddexp,
        "sigmoid": special.expit,
    }
    numpys |= {
        "lgamma": special.gammaln,
        "digamma": special.digamma,
        "rsqrt": DENSE["rsqrt"],
        "softplus": DENSE["softplus"],
    }
    print("| function | dtype | wengert | NumPy or SciPy | g++ -Ofast | JAX |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        c = compiled_c(folder)
        for name in names:
            for dtype in (F64, F32):
                xs = [
                    rng.uniform(0.1, 0.95, n) if name in ("arcsin", "arccos", "arctanh") else rng.uniform(1.1, 6, n)
                    for _ in range(2)
                ]
                xs = [x.astype(dtype) for x in xs[: vecmath.arity(name)]]
                out = np.empty(n, dtype)
                row = []
                f, args = loop(name, dtype).run, (out.ctypes.data, *[x.ctypes.data for x in xs], n)
                row.append(best(f, *args, repeats=200))
                g = numpys.get(name) or getattr(special, name, None)
                row.append(best(g, *xs) if g else np.nan)
                h = getattr(c, f"{name}_{dtype.char}", None) if c else None
                if h is not None:
                    h.restype, h.argtypes = None, [ctypes.c_void_p] * len(args[:-1]) + [ctypes.c_long]
                row.append(best(h, *args) if h is not None else np.nan)
                j, put = jax_function(name)
                if j is not None:
                    ys = [put(np.tile(x, 256)) for x in xs]  # its dispatch takes longer than 4096 elements
                    j(*ys).block_until_ready()
                    start = time.process_time()
                    for _ in range(4):
                        j(*ys).block_until_ready()
                    row.append((time.process_time() - start) / 4 / 256)
                else:
                    row.append(np.nan)
                cells = " | ".join("" if np.isnan(t) else f"{t / n * 1e9:.2f}" for t in row)
                print(f"| {name} | {dtype.name} | {cells} |", flush=True)


if __name__ == "__main__":
    what = {"accuracy": accuracy, "speed": speed, "float32": float32}
    arguments = sys.argv[1:] or ["accuracy"]
    what[arguments[0]](arguments[1:] or sorted(vecmath.NAMES))
