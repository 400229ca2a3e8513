"""scipy.special: every ufunc that has a derivative, and the functions beside them."""

from typing import Any

import scipy.special

import wengert.scipy.special
from wengert.core.aval import COMPLEX
from wengert.core.op import Constant
from wengert.core.tensor import active
from wengert.ops.special import ARGUMENTS, SPECIAL, takes_complex
from wengert.verify.examples import EXAMPLES, Example, example

RIGHT, UNIT = (0.4, 3.0), (0.1, 0.9)


def ours(np: Any) -> Any:
    """scipy.special as an adopted function sees it: its functions that are no ufuncs do not dispatch."""
    return wengert.scipy.special if active() else scipy.special


def _ufunc_examples() -> None:
    """One call of each ufunc, on its op's first sample; through SciPy's own name."""
    for name, entry in wengert.scipy.special.NAMES.items():
        op = SPECIAL.get(name)
        if op is None or entry.status == "refused" or name == "round":
            continue
        ufunc = getattr(scipy.special, name)
        sample = op.samples[0]
        made = Example(f"special.{name}", lambda np, *xs, ufunc=ufunc: ufunc(*xs))
        made.sample = sample
        if name not in ARGUMENTS or any(isinstance(why, Constant) for why in ARGUMENTS[name].values()):
            made.batch = name in ARGUMENTS
        made.complex = len(sample.args) == 1 and takes_complex(ufunc) and COMPLEX in op.accepts
        EXAMPLES.append(made)


_ufunc_examples()

example("special.round", lambda np, x: scipy.special.round(x) + 0 * x, (3,))
example("special.gammasgn", lambda np, x: scipy.special.gammasgn(x) * x, (3,), domain=(-0.9, -0.1))
example("special.erf", lambda np, x: scipy.special.erf(x, dtype=complex), (3,))
example("special.jv", lambda np, x: scipy.special.jv([[0], [1.5]], x), (3,), domain=RIGHT, complex=True)
example("special.xlogy", lambda np, x, y: scipy.special.xlogy.outer(x, y), (2,), (3,), domain=RIGHT)

example("special.logsumexp", lambda np, x: ours(np).logsumexp(x), (3, 4), complex=True)
example("special.logsumexp", lambda np, x: ours(np).logsumexp(x, axis=0, keepdims=True), (3, 4))
example("special.logsumexp", lambda np, x, b: ours(np).logsumexp(x, axis=(0, 1), b=b), (3, 4), (4,), domain=RIGHT)
example("special.logsumexp", lambda np, x, b: ours(np).logsumexp(x, 1, b, return_sign=True), (3, 4), (3, 4))
example("special.logsumexp", lambda np, x: ours(np).logsumexp(x, 1, return_sign=True)[0], (3, 4), complex=True)
example("special.logsumexp", lambda np, x: ours(np).logsumexp(x), ())
example("special.softmax", lambda np, x: ours(np).softmax(x), (3, 4))
example("special.softmax", lambda np, x: ours(np).softmax(x, axis=-1), (3, 4), complex=True)
example("special.softmax", lambda np, x: ours(np).softmax(x, axis=(0, 2)), (2, 3, 2))
example("special.log_softmax", lambda np, x: ours(np).log_softmax(x), (3, 4))
example("special.log_softmax", lambda np, x: ours(np).log_softmax(x, axis=1), (3, 4))
example("special.softplus", lambda np, x: ours(np).softplus(x), (3, 4))
example("special.polygamma", lambda np, x: ours(np).polygamma(2, x), (3,), domain=RIGHT)
example("special.polygamma", lambda np, x: ours(np).polygamma([[0], [1]], x), (3,), domain=RIGHT)
example("special.multigammaln", lambda np, a: ours(np).multigammaln(a, 3), (4,), domain=(1.5, 6.0))
example("special.comb", lambda np, n, k: ours(np).comb(n, k), (3,), (3,), domain=((3.0, 6.0), (0.5, 2.5)))
example("special.comb", lambda np, n: ours(np).comb(n, [0, 2, 9]), (3,), domain=(3.0, 6.0))
example("special.comb", lambda np, n, k: ours(np).comb(n, k, repetition=True), (3,), (3,), domain=(1.0, 3.0))
example("special.perm", lambda np, n, k: ours(np).perm(n, k), (3,), (3,), domain=((3.0, 6.0), (0.5, 2.5)))
example("special.factorial", lambda np, n: ours(np).factorial(n), (3,), domain=(-0.9, 4.0))
example("special.factorial", lambda np, n: ours(np).factorial(n, extend="complex"), (3,), domain=RIGHT)
example("special.zeta", lambda np, s: scipy.special.zeta(s), (3,), domain=(1.5, 5.0))
example("special.zeta", lambda np, s, q: scipy.special.zeta(s, q), (3,), (3,), domain=(1.5, 5.0))
example("special.lambertw", lambda np, z: scipy.special.lambertw(z), (3,), domain=RIGHT, complex=True)
example("special.lambertw", lambda np, z: scipy.special.lambertw(z, -1), (3,), domain=(-0.3, -0.1))
example("special.diric", lambda np, x: ours(np).diric(x, 4), (3,))
example("special.sinc", lambda np, x: scipy.special.sinc(x), (3,))
example("special.assoc_laguerre", lambda np, x: scipy.special.assoc_laguerre(x, 3, 1.0), (3,))
example(
    "special.sph_harm_y",
    lambda np, t, p: ours(np).sph_harm_y([[2], [3], [1]], [[1], [-2], [0]], t, p),
    (2,),
    (2,),
    domain=((0.1, 3.0), (0.0, 6.0)),
)
for _name, _order in (("jvp", 1), ("yvp", 2), ("ivp", 1), ("kvp", 2), ("h1vp", 1), ("h2vp", 1)):
    _function = getattr(scipy.special, _name)
    example(f"special.{_name}", lambda np, x, f=_function, n=_order: f(1, x, n), (3,), domain=RIGHT)
for _name in ("spherical_jn", "spherical_yn", "spherical_in", "spherical_kn"):
    example(f"special.{_name}", lambda np, x, f=_name: getattr(ours(np), f)(2, x), (3,), domain=RIGHT, complex=True)
    example(f"special.{_name}", lambda np, x, f=_name: getattr(ours(np), f)([2], x, True), (3,), domain=RIGHT)
