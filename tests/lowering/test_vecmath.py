"""Vector math against mpmath: errors, special values, SIMD code; and that a wrong coefficient is noticed."""

import importlib.util
import re
import time
from math import inf, nan, pi
from pathlib import Path

import numpy as np
import pytest
import scipy.special as special

from wengert.lowering import vecmath
from wengert.lowering.text import Builder, Module
from wengert.lowering.vecmath import coefficients

pytest.importorskip("mpmath")

_spec = importlib.util.spec_from_file_location("vecmath_bench", Path(__file__).parents[2] / "benchmarks" / "vecmath.py")
bench = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(bench)

F64, F32 = bench.F64, bench.F32
UNARY = sorted(n for n in vecmath.NAMES if vecmath.arity(n) == 1)
BINARY = sorted(n for n in vecmath.NAMES if vecmath.arity(n) == 2)
EITHER = pytest.mark.parametrize("dtype", [F64, F32], ids=str)

# log(e^x + e^y) goes through zero where nothing but more digits would help: errors there are of max(|x|, |y|)
RELATIVE_TO_ARGUMENTS = {"logaddexp"}
LIMIT = 2.0


def worst(f, name, xs):
    got, value = f(*xs), bench.exact(name, *xs)
    errors = bench.ulps(got, value)
    if name in RELATIVE_TO_ARGUMENTS:
        scale = np.maximum(np.abs(xs[0]), np.abs(xs[1]))
        with np.errstate(all="ignore"):
            errors = np.minimum(errors, np.abs(got.astype(np.longdouble) - value) / np.spacing(scale))
    i = int(np.argmax(errors))
    return float(errors[i]), [float(x[i]) for x in xs]


@EITHER
@pytest.mark.parametrize("name", sorted(vecmath.NAMES))
def test_within_two_units_in_the_last_place(name, dtype):
    rng = np.random.default_rng(3)
    error, at = worst(bench.loop(name, dtype), name, bench.points(name, dtype, 1200, rng))
    assert error <= LIMIT, (error, at)


@EITHER
@pytest.mark.parametrize("name", ["sin", "cos", "tan"])
def test_trigonometric_functions_of_large_arguments(name, dtype):
    rng = np.random.default_rng(4)
    with np.errstate(all="ignore"):
        top = 308 if dtype == F64 else 38
        x = [
            10.0 ** rng.uniform(2, top, 1500),
            np.round(10 ** rng.uniform(0, 9, 300)) * (pi / 2),
            [2.0**1023, 2.0**23, 3000.0],
        ]
        x = np.concatenate(x).astype(dtype)
        # the double next to a multiple of π/2 than which none is nearer, and others known for that
        hard = np.array(
            [6381956970095103 * 2.0**797, 5371934672 * 1.0, 16367173 * 2.0**72, 1.5707963267948966, 355.0]
        ).astype(dtype)
    x = np.concatenate([x, hard])
    x = np.concatenate([x, -x])[np.isfinite(np.concatenate([x, -x]))]
    error, at = worst(bench.loop(name, dtype), name, [x])
    assert error <= LIMIT, (error, at)


@EITHER
@pytest.mark.parametrize("name", ["lgamma", "digamma"])
def test_gamma_functions_left_of_zero(name, dtype):
    """Reflection subtracts: errors are of the larger term, not of a difference that nearly vanishes."""
    rng = np.random.default_rng(7)
    x = np.concatenate([-rng.uniform(0, 30, 500), -(10.0 ** rng.uniform(-30, 3, 500))]).astype(dtype)
    got, value = bench.loop(name, dtype)(x), bench.exact(name, x)
    size = np.abs(x.astype(float))
    other = np.maximum(special.gammaln(size), 1) if name == "lgamma" else np.log1p(size) + 0.6
    scale = np.maximum(np.abs(value), other)
    error = np.abs(got - value) / np.spacing(scale.astype(dtype))
    assert error.max() <= 3, (error.max(), x[error.argmax()])


LEAST = 5e-324
# function: argument, result
SPECIAL = {
    "exp": [(0.0, 1), (-0.0, 1), (inf, inf), (-inf, 0), (710.0, inf), (-750.0, 0), (LEAST, 1)],
    "exp2": [(0.0, 1), (inf, inf), (-inf, 0), (1024.0, inf), (-1074.0, 5e-324), (-1080.0, 0), (10.0, 1024), (-1.0, 0.5)],
    "expm1": [(0.0, 0.0), (-0.0, -0.0), (inf, inf), (-inf, -1), (-50.0, -1), (LEAST, LEAST), (-LEAST, -LEAST)],
    "log": [(0.0, -inf), (-0.0, -inf), (1.0, 0.0), (inf, inf), (-1.0, nan), (-inf, nan), (-LEAST, nan)],
    "log2": [(0.0, -inf), (-0.0, -inf), (1.0, 0.0), (8.0, 3), (LEAST, -1074), (inf, inf), (-1.0, nan), (-inf, nan)],
    "log10": [(0.0, -inf), (-0.0, -inf), (1.0, 0.0), (1000.0, 3), (inf, inf), (-1.0, nan), (-inf, nan)],
    "log1p": [(0.0, 0.0), (-0.0, -0.0), (-1.0, -inf), (inf, inf), (-2.0, nan), (-inf, nan), (LEAST, LEAST)],
    "sigmoid": [(0.0, 0.5), (-0.0, 0.5), (inf, 1), (-inf, 0), (800.0, 1), (-800.0, 0)],
    "softplus": [(inf, inf), (-inf, 0), (1e300, 1e300), (-800.0, 0)],
    "sin": [(0.0, 0.0), (-0.0, -0.0), (inf, nan), (-inf, nan), (LEAST, LEAST)],
    "cos": [(0.0, 1), (-0.0, 1), (inf, nan), (-inf, nan)],
    "tan": [(0.0, 0.0), (-0.0, -0.0), (inf, nan), (-inf, nan), (-LEAST, -LEAST)],
    "arcsin": [(0.0, 0.0), (-0.0, -0.0), (1.0, pi / 2), (-1.0, -pi / 2), (1.5, nan), (-inf, nan), (LEAST, LEAST)],
    "arccos": [(1.0, 0.0), (-1.0, pi), (0.0, pi / 2), (1.5, nan), (-1.5, nan), (inf, nan)],
    "arctan": [(0.0, 0.0), (-0.0, -0.0), (inf, pi / 2), (-inf, -pi / 2), (LEAST, LEAST)],
    "sinh": [(0.0, 0.0), (-0.0, -0.0), (inf, inf), (-inf, -inf), (711.0, inf), (-711.0, -inf), (LEAST, LEAST)],
    "cosh": [(0.0, 1), (inf, inf), (-inf, inf), (711.0, inf)],
    "tanh": [(0.0, 0.0), (-0.0, -0.0), (inf, 1), (-inf, -1), (50.0, 1), (LEAST, LEAST)],
    "arcsinh": [(0.0, 0.0), (-0.0, -0.0), (inf, inf), (-inf, -inf), (LEAST, LEAST)],
    "arccosh": [(1.0, 0.0), (inf, inf), (0.5, nan), (-3.0, nan), (-inf, nan)],
    "arctanh": [(0.0, 0.0), (-0.0, -0.0), (1.0, inf), (-1.0, -inf), (1.5, nan), (-inf, nan), (LEAST, LEAST)],
    "sqrt": [(0.0, 0.0), (-0.0, -0.0), (inf, inf), (-1.0, nan), (4.0, 2)],
    "rsqrt": [(0.0, inf), (-0.0, -inf), (inf, 0.0), (-1.0, nan), (4.0, 0.5)],
    "cbrt": [(0.0, 0.0), (-0.0, -0.0), (inf, inf), (-inf, -inf), (27.0, 3), (-8.0, -2)],
    "erf": [(0.0, 0.0), (-0.0, -0.0), (inf, 1), (-inf, -1)],
    "erfc": [(0.0, 1), (inf, 0), (-inf, 2), (30.0, 0)],
    "erfcx": [(0.0, 1), (inf, 0), (-inf, inf), (-30.0, inf)],
    "ndtr": [(0.0, 0.5), (inf, 1), (-inf, 0)],
    "log_ndtr": [(inf, -0.0), (-inf, -inf), (-1e300, -inf)],
    "lgamma": [(1.0, 0.0), (2.0, 0.0), (inf, inf), (-inf, -inf), (0.0, inf), (-0.0, inf), (-3.0, inf), (1e307, inf)],
    "digamma": [(inf, inf), (-inf, nan), (0.0, -inf), (-0.0, inf), (-3.0, nan), (LEAST, -inf)],
}  # fmt: skip


@EITHER
@pytest.mark.parametrize("name", UNARY)
def test_special_values(name, dtype):
    rows = [*SPECIAL[name], (nan, nan)]
    with np.errstate(all="ignore"):
        x, want = (np.array(c, float).astype(dtype) for c in zip(*rows))
    if dtype == F32:  # double's subnormals are zero here
        keep = np.array([abs(a) in (0, inf) or np.isnan(a) or (1e-30 < abs(a) < 1e30 and r != LEAST) for a, r in rows])
        x, want = x[keep], want[keep]
    got = bench.loop(name, dtype)(x)
    np.testing.assert_array_equal(got, want)
    real = ~np.isnan(want)
    np.testing.assert_array_equal(np.signbit(got)[real], np.signbit(want)[real])


@EITHER
@pytest.mark.parametrize("name", ["pow", "arctan2", "hypot", "logaddexp"])
def test_special_values_of_two_arguments_are_numpys(name, dtype):
    values = np.array(
        [0.0, -0.0, 1, -1, 2, -2, 0.5, -0.5, 3, -3, 1.5, -2.5, 1e10, -1e10, 1e-30, -1e-30, inf, -inf, nan], dtype
    )
    values = np.concatenate(
        [values, np.array([np.finfo(dtype).max, np.finfo(dtype).smallest_subnormal, np.finfo(dtype).tiny], dtype)]
    )
    x, y = (a.ravel() for a in np.meshgrid(values, values))
    with np.errstate(all="ignore"):
        want = {"pow": np.power, "arctan2": np.arctan2, "hypot": np.hypot, "logaddexp": np.logaddexp}[name](x, y)
    got = bench.loop(name, dtype)(x, y)
    np.testing.assert_allclose(got, want, rtol=4 * np.finfo(dtype).eps, atol=0)
    real = ~np.isnan(want)
    np.testing.assert_array_equal(np.signbit(got)[real], np.signbit(want)[real])


@EITHER
@pytest.mark.parametrize("name", ["exp", "exp2", "expm1", "sinh", "cosh"])
def test_overflow_begins_where_it_should(name, dtype):
    f, top = bench.loop(name, dtype), float(np.log(np.finfo(dtype).max.astype(np.longdouble)))
    edge = {"exp2": 1024.0 if dtype == F64 else 128.0, "sinh": top + np.log(2), "cosh": top + np.log(2)}.get(name, top)
    x = np.array([edge], dtype)
    near = [x]
    for _ in range(3):
        near = [np.nextafter(near[0], dtype.type(0)), *near, np.nextafter(near[-1], dtype.type(inf))]
    x = np.concatenate(near)
    error, at = worst(f, name, [x])
    assert error <= LIMIT, (error, at)


@pytest.mark.parametrize("cpu,register", [("x86-64-v4", "zmm"), ("x86-64-v3", "ymm")])
@EITHER
@pytest.mark.parametrize("name", sorted(vecmath.NAMES))
def test_loops_become_vector_code(name, dtype, cpu, register):
    import platform

    if platform.machine() not in ("x86_64", "AMD64"):
        pytest.skip("x86 instruction sets")
    text = assembly(name, dtype, cpu)
    packed = "pd" if dtype == F64 or name in vecmath.WIDENED else "ps"
    arithmetic = re.findall(rf"v(?:fm\w+|mul|add|sub|sqrt|div)(?:\d+)?{packed}\s.*%{register}", text)
    assert arithmetic, f"{name} is not vectorised"
    called = set(re.findall(r"call\w*\s+(?!\*)(\w[\w.]*)", text))
    assert not {c for c in called if not c.startswith("wg.far_")}, called


def assembly(name, dtype, cpu):
    """The code for another processor, which need not be able to run it."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_default_triple().create_target_machine(cpu=cpu, features="", opt=2)
    module = llvm.parse_assembly(bench.text(name, dtype))
    module.triple, module.data_layout = machine.triple, str(machine.target_data)
    options = llvm.create_pipeline_tuning_options(speed_level=2)
    options.loop_vectorization = True
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    return machine.emit_assembly(module)


@EITHER
@pytest.mark.parametrize("name", sorted(vecmath.NAMES))
def test_every_lane_and_the_remainder_agree(name, dtype):
    """The vector body and the scalar remainder of a loop compute the same bits."""
    rng = np.random.default_rng(5)
    xs = [x[:37] for x in bench.points(name, dtype, 400, rng)]
    f = bench.loop(name, dtype)
    together = f(*xs)
    alone = np.array([f(*[x[i : i + 1] for x in xs])[0] for i in range(len(xs[0]))], dtype)
    np.testing.assert_array_equal(together, alone)


@EITHER
@pytest.mark.parametrize("name", ["exp", "log1p", "tanh", "sin", "pow", "erf", "lgamma", "arctan2"])
def test_narrower_vectors_give_the_same_bits(name, dtype):
    import llvmlite.binding as llvm

    features = llvm.get_host_cpu_features()
    if not (features.get("avx512f") and features.get("fma")):
        pytest.skip("a processor with AVX-512, to compare its code with AVX2's")
    xs = bench.points(name, dtype, 2000, np.random.default_rng(8))
    np.testing.assert_array_equal(bench.loop(name, dtype)(*xs), bench.Loop(name, dtype, "haswell")(*xs))


def test_far_arguments_among_near_ones():
    """One lane that needs the slow reduction leaves the others as they were."""
    f = bench.loop("sin", F64)
    x = np.linspace(0.1, 3, 64)
    x[[3, 21, 40, 63]] = 1e22, -1e300, 2.0**23 + 1, 1e9
    error, at = worst(f, "sin", [x])
    assert error <= LIMIT, at
    keep = np.abs(x) < 4
    np.testing.assert_array_equal(f(x)[keep], f(np.where(keep, x, 1.0))[keep])


def tables():
    return [
        (n, i)
        for n, v in vars(coefficients).items()
        if isinstance(v, tuple) and n[-2:] in ("_D", "_F", "_M")
        for i in range(len(v))
    ]


USERS = {
    "EXP": "exp", "LOG": "log", "LOG_2": "pow", "SIN": "sin", "COS": "cos", "ATAN": "arctan", "ASIN": "arcsin", "ERF": "erf",
    "ERFCX_3": "erfcx", "ERFCX_2": "erfcx", "LN2_SPLIT": "log", "HALF_PI_PARTS": "cos",
    "LGAMMA_1": "lgamma", "LGAMMA_2": "lgamma", "STIRLING": "lgamma", "DIGAMMA": "digamma", "DIGAMMA_FAR": "digamma", "CBRT": "cbrt", "TANH": "tanh", "ERF_FAR": "erf", "ERF_FAR_SHORT": "erf",
}  # fmt: skip


@pytest.mark.parametrize("table,place", [t for t in tables() if t[0][:-2] in USERS and t[0][-1] != "M"])
def test_a_wrong_coefficient_is_noticed(monkeypatch, table, place):
    """Any coefficient's sign makes an error that the tests above see."""
    name, dtype = USERS[table[:-2]], F64 if table[-1] == "D" else F32
    values = list(getattr(coefficients, table))
    values[place] *= -1
    monkeypatch.setattr(coefficients, table, tuple(values))
    vecmath.definition.cache_clear()
    try:
        mutant = bench.Loop(name, dtype)
    finally:
        vecmath.definition.cache_clear()
    rng = np.random.default_rng(6)
    xs = bench.points(name, dtype, 1200, rng)
    error, _ = worst(mutant, name, xs)
    assert error > LIMIT


def test_declarations_read_as_the_builders():
    module = Module(vecmath.definition)
    b = Builder(module)
    for dtype in (F64, F32):
        x = b.const(0.5, dtype)
        b.fma(x, x, x), b.sqrt(x), b.abs(x), b.floor(x), b.copysign(x, x)
        for name in vecmath.NAMES:
            module.require(name, dtype)
    lines = [line for line in module.text().split("\n") if line.startswith("declare ")]
    symbols = [re.search(r"@([\w.]+)", line)[1] for line in lines]
    assert len(symbols) == len(set(symbols))


def test_texts_are_cached_and_quick():
    first = vecmath.definition("tanh", F64)
    assert vecmath.definition("tanh", F64) is first
    start = time.perf_counter()
    for name in vecmath.NAMES:
        vecmath.definition.__wrapped__(name, F64)
    assert time.perf_counter() - start < 0.02 * len(vecmath.NAMES)  # about 0.4 ms each; a busy machine may take longer


def test_tables_are_what_their_script_derives(capsys):
    spec = importlib.util.spec_from_file_location(
        "coefficients_bench", Path(bench.__file__).with_name("coefficients.py")
    )
    script = importlib.util.module_from_spec(spec)
    import mpmath

    with mpmath.workdps(60):
        spec.loader.exec_module(script)
        script.main()
    derived = {}
    exec(capsys.readouterr().out, derived)
    stored = {n: v for n, v in vars(coefficients).items() if n.isupper()}
    assert stored == {n: v for n, v in derived.items() if n.isupper()}


def test_other_dtypes_are_refused():
    with pytest.raises(TypeError, match="float16"):
        vecmath.definition("exp", np.dtype(np.float16))


def test_an_unknown_function_is_named():
    with pytest.raises(KeyError, match="frobnicate"):
        vecmath.definition("frobnicate", F64)
