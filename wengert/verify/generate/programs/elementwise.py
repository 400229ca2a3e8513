"""Instructions that compute element by element: expressions, squashed into the domain of what they call."""

from __future__ import annotations

from wengert.verify.generate.programs.scope import Scope
from wengert.verify.generate.programs.slots import Slots, table

UNARY = table("""
    np.sin({x})
    np.tanh({x}) * 1.5
    -{x}
    0.5 * {x} + 1
    2.0 - {x}
    np.exp(-{x} * {x})
    np.sqrt({x} * {x} + 0.5)
    1.0 / (1.5 + {x}**2)
    np.cos({x}).copy()
    np.abs({x} + 0.123)
    np.log1p({x} * {x})
    np.arctan({x}) ** 3
    np.log({x}**2 + 0.3)
    np.log2({x}**2 + 1.0)
    np.log10({x}**2 + 1.0)
    np.exp2(np.tanh({x}))
    np.expm1(np.tanh({x}))
    np.arcsin(0.9 * np.tanh({x}))
    np.arccos(0.9 * np.sin({x}))
    np.arctanh(0.8 * np.sin({x}))
    np.arcsinh({x})
    np.arccosh({x}**2 + 1.5)
    np.cosh(np.tanh({x}))
    np.sinh(np.sin({x}))
    np.tan(np.tanh({x}))
    np.cbrt({x} * {x} + 0.2)
    np.square({x})
    np.reciprocal({x}**2 + 1.0)
    np.positive({x})
    np.sinc({x})
    np.degrees({x}) * 0.01
    np.sign({x}) * {x}
    np.fabs({x})
    (+{x}) ** 2
    ({x}**2 + 0.5) ** 0.7
    2.0 ** np.tanh({x})
    np.float_power({x} * {x} + 0.5, 1.3)
    np.nan_to_num({x})
    np.clip({x}, -0.6, 0.9)
    {x}.clip(-0.7, 1.1)
    {x} % 3.1
    {x} - np.floor({x})
    np.heaviside({x}, 0.5) * {x}
    np.where({x} > 0.1, np.sin({x}), {x} * {x})
    np.where({x} > 0, np.log(np.where({x} > 0, {x}, 1.0) + 0.1), 0.5 * {x})
    np.select([{x} > 0.5, {x} > -0.5], [np.sin({x}), {x} * 0.3], {x} * {x})
    np.interp({x}, [-2.0, -0.5, 0.7, 2.0], [0.1, -0.4, 0.8, 0.3])
    np.polyval([0.3, -0.2, 0.5], {x})
    np.i0(np.tanh({x}))
    np.modf({x})[0]
    np.frexp({x})[0]
    np.ldexp({x}, -2)
    np.exp(1j * {x}).real
    np.angle(1.5 + 1j * np.tanh({x}))
    np.hypot({x}, 1.0)
    np.round({x}) + np.sin({x})
    np.maximum(np.minimum({x}, 0.8), -0.8)
""")

BINARY = table("""
    {x} + {y}
    {x} - {y}
    {x} * {y}
    np.tanh({x} * {y})
    {x} / (1.5 + {y} * {y})
    np.maximum({x}, {y})
    np.minimum({x}, 0.3) * {y}
    np.fmax({x}, {y})
    np.fmin({x}, {y})
    np.hypot({x}, {y} + 3.0)
    np.where({x} > {y}, {x}, 0.5 * {y})
    np.arctan2({x}, {y} * {y} + 1.0)
    np.logaddexp({x}, {y})
    np.logaddexp2({x}, {y})
    ({x} * {x} + 0.5) ** np.tanh({y})
    np.power({x} * {x} + 0.4, {y} * 0.5)
    np.copysign({x}, {y})
    np.fmod({x}, {y} * {y} + 1.3)
    np.remainder({x}, {y} * {y} + 1.3)
    np.divmod({x}, {y} * {y} + 1.7)[1]
    np.true_divide({x}, np.cosh(np.tanh({y})))
    np.add({x}, {y}, where={x} > 0.2, out=np.ones(np.broadcast_shapes(np.shape({x}), np.shape({y}))))
    np.subtract.outer(np.ravel({x})[:3], np.ravel({y})[:3])
    np.clip({x}, -1.0, {y} + 1.5)
""")

# SciPy's special functions and `wengert.nn`, in x, and some also in y
SPECIAL = table("""
    special.erf({x})
    special.expit({x})
    special.gammaln({x}**2 + 0.5)
    special.digamma({x}**2 + 1.0)
    special.gamma(np.tanh({x}) + 2.0)
    special.rgamma(np.tanh({x}) + 2.0)
    special.erfc({x})
    special.erfcx(np.tanh({x}))
    special.erfinv(0.8 * np.tanh({x}))
    special.logit(0.5 + 0.4 * np.tanh({x}))
    special.log_expit({x})
    special.ndtr({x})
    special.log_ndtr({x})
    special.ndtri(0.5 + 0.4 * np.tanh({x}))
    special.j0({x})
    special.j1({x})
    special.y0({x}**2 + 0.5)
    special.jv(1.5, {x}**2 + 0.5)
    special.kv(0.5, {x}**2 + 0.5)
    special.iv(2, np.tanh({x}) + 1.5)
    special.i0e({x})
    special.i1e({x})
    special.k0e({x}**2 + 0.5)
    special.exp1({x}**2 + 0.3)
    special.expi({x}**2 + 0.5)
    special.dawsn({x})
    special.sici({x})[0]
    special.fresnel(np.tanh({x}))[1]
    special.airy(np.tanh({x}))[0]
    special.entr({x}**2 + 0.2)
    special.huber(1.0, {x})
    special.pseudo_huber(0.7, {x})
    special.boxcox({x}**2 + 0.5, 0.3)
    special.polygamma(1, {x}**2 + 1.0)
    special.zeta({x}**2 + 2.0, 1.5)
    special.spence({x}**2 + 0.3)
    special.lambertw({x}**2 + 0.2).real
    special.hyp2f1(0.5, 1.5, 2.5, 0.6 * np.tanh({x}))
    special.hyp1f1(1.0, 2.5, np.tanh({x}))
    special.ellipk(0.8 * special.expit({x}))
    special.ellipe(0.8 * special.expit({x}))
    special.gammainc(2.0, {x}**2 + 0.1)
    special.gammaincc({y} ** 2 + 0.8, {x}**2 + 0.2)
    special.betainc({y} ** 2 + 0.8, 1.5, 0.1 + 0.8 * special.expit({x}))
    special.beta({x}**2 + 0.5, {y} ** 2 + 0.7)
    special.betaln({x}**2 + 0.5, {y} ** 2 + 0.7)
    special.xlogy({x}**2 + 0.3, {y} ** 2 + 0.5)
    special.xlog1py({x}, {y} ** 2)
    special.rel_entr({x}**2 + 0.3, {y} ** 2 + 0.5)
    special.kl_div({x}**2 + 0.3, {y} ** 2 + 0.5)
    special.binom({x}**2 + 2.5, 0.5 + special.expit({y}))
    special.poch({x}**2 + 1.0, special.expit({y}))
    special.eval_legendre(3, np.tanh({x}))
    special.eval_chebyt(2, np.tanh({x}))
    special.spherical_jn(2, {x}**2 + 0.3)
    special.stdtr(3.0, {x})
    special.owens_t({x}, np.tanh({y}))
    special.softplus({x})
    special.exprel({x})
    special.cosm1({x})
    special.sindg({x} * 20.0)
    special.wofz({x} + 0.5j).imag
    special.loggamma({x}**2 + 0.5)
    special.elliprf({x}**2 + 0.2, {y} ** 2 + 0.3, 1.0)
    special.voigt_profile({x}, 0.7, 0.4)
    special.struve(0.5, {x}**2 + 0.3)
""")

NEURAL = table("""
    nn.relu({x})
    nn.gelu({x})
    nn.gelu({x}, "tanh")
    nn.silu({x})
    nn.softplus({x})
    nn.sigmoid({x})
    nn.elu({x})
    nn.selu({x})
    nn.celu({x}, 0.7)
    nn.mish({x})
    nn.relu6({x})
    nn.leaky_relu({x})
    nn.hardtanh({x})
    nn.hardswish({x})
    nn.softsign({x})
    nn.softshrink({x})
    nn.tanhshrink({x})
    nn.log_sigmoid({x})
    nn.mse_loss({x}, {y})
    nn.huber_loss({x}, {y}, 0.8)
    nn.smooth_l1_loss({x}, {y}, reduction="none")
    nn.l1_loss({x}, {y}, reduction="sum")
    nn.binary_cross_entropy_with_logits({x}, nn.sigmoid({y}))
    nn.gaussian_nll_loss({x}, {y}, {y} ** 2 + 0.5)
    nn.poisson_nll_loss({x}, {y} ** 2)
    nn.soft_margin_loss({x}, np.sign({y}))
""")

COMPLEX = table("""
    np.exp(1j * {x})
    {x} + 1j * np.sin({x})
    {x} * (0.3 - 0.7j)
    {x} / (1.5 + 1j * {x})
    np.sqrt(1.5 + 0.5j * {x})
    {x} + 1j * {y}
    {x}.astype(complex) * 1j
""")

OF_COMPLEX = table("""
    {z}.real
    {z}.imag
    np.abs({z}) ** 2
    np.abs({z} + 2.0)
    np.angle(np.tanh(np.abs({z})) + 1.5 + 0.5j * {z}.imag)
    ({z} * np.conj({z})).real
    np.real(np.exp({z} * 0.3))
    np.imag(np.log({z} * 0.2 + 2.0))
""")

AMONG_COMPLEX = table("""
    {z} * {w}
    {z} + {w}
    {z} - 0.5j * {w}
    np.conj({z})
    np.exp({z} * 0.2)
    np.sin({z} * 0.3)
    np.tanh({z} * 0.2)
    {z} / (2.5 + np.abs({z}) ** 2)
    np.reciprocal({z} * 0.2 + 2.0)
    {z} ** 2
    ({z} * 0.2 + 2.0) ** 0.5
    np.where(np.abs({z}) > 0.7, {z}, {w})
    np.log({z} * 0.2 + 2.0)
    np.square({z})
""")


def unary(s: Scope) -> str | None:
    return _of(s, UNARY)


def binary(s: Scope) -> str | None:
    return _of(s, BINARY)


def special(s: Scope) -> str | None:
    return _of(s, SPECIAL)


def neural(s: Scope) -> str | None:
    return _of(s, NEURAL)


def _of(s: Scope, templates: tuple[str, ...]) -> str | None:
    x = s.any()
    return x and Slots(s, x).pick(templates)


# Python's own numbers and `math`, of a single element
NUMBERS = table("""
    math.sin({e}) * {x}
    math.exp(-{e} ** 2) + {x}
    {x} / math.hypot({e}, 0.8)
    {x} * math.atan2({e}, 1.5)
    np.array([math.erf({e}), {e} * {scalar}, 0.5])
    np.array([math.lgamma({e} ** 2 + 0.5), math.log1p({e} ** 2)])
    np.array([[{e}, {scalar}], [1.0, {e} + {scalar}]])
    np.full(2, math.sqrt({e} * {e} + 0.2))
    abs({e}) + {x}
    pow({e}, 2) * {x}
    np.float64(0.5) * {e}
    min({e}, 0.7, key=lambda a: 0) * {x}
    sum([{e}, {scalar}, 0.3]) * {x}
""")


def numbers(s: Scope) -> str | None:
    x = s.any()
    if x is None:
        return None
    element = x if s[x].ndim == 0 else f"{x}[{', '.join('0' * s[x].ndim)}]"
    return Slots(s, x, e=element).pick(NUMBERS)


PRECISION = table("""
    {x}.astype(np.float32)
    np.float32(0.5) * {x}
    {x}.astype(np.float32) * 0.7
    np.sin({x}, dtype=np.float32, casting='unsafe')
    {x}.astype(np.float64)
""")


def precision(s: Scope) -> str | None:
    """A detour through single precision."""
    x = s.any()
    if x is not None:
        s.story.traits.add("float32")
    return x and Slots(s, x).pick(PRECISION)


def complex_(s: Scope) -> str | None:
    """Into, among, and out of complex numbers."""
    z = s.any(kind="c")
    if z is None or s.choices.chance(0.2):
        return _of(s, COMPLEX)
    return Slots(s, z, z=z).pick(s.choices.pick((AMONG_COMPLEX, OF_COMPLEX)))
