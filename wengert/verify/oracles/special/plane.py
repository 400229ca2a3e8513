"""In the complex plane: holomorphic functions of SciPy's that take complex arguments."""

from __future__ import annotations

from mpmath import mp

import wengert.scipy.special as ours
from wengert.verify.oracles.special import oracle
from wengert.verify.oracles.special.error import dawson, log_ndtr, ndtr, wofz
from wengert.verify.oracles.special.grids import points

PLANE = points(*((z,) for z in (
    0.3 + 0.4j, -1.2 + 2.0j, 4.0 - 1.0j, 9.0 + 3.0j, 1e-3 + 1e-3j, 0.7 - 0.1j, -0.4 - 0.6j, 2.5 + 2.5j, -3.0 + 0.5j, 1.0 + 7.0j,
    5.0 + 0.01j, 0.2 - 5.0j,
)))  # fmt: skip
RIGHT = [p for p in PLANE if p[0].real > 0]


def entire(name, value, grid=PLANE, **rest):
    oracle(f"special.{name}", "z", value, grid, case="(complex)", **rest)


entire("erf", mp.erf)
entire("erfc", mp.erfc)
entire("erfcx", lambda z: mp.exp(z * z) * mp.erfc(z))
entire("erfi", mp.erfi)
entire("dawsn", lambda z: mp.sqrt(mp.pi) / 2 * mp.exp(-z * z) * mp.erfi(z))
entire("wofz", wofz)
entire("ndtr", ndtr)
entire("log_ndtr", lambda z: mp.log(ndtr(z)), RIGHT)
entire("gamma", mp.gamma)
entire("loggamma", mp.loggamma)
entire("rgamma", mp.rgamma)
entire("psi", lambda z: mp.psi(0, z))
entire("lambertw", mp.lambertw, call=lambda z: ours.lambertw(z))
entire("wrightomega", lambda z: mp.lambertw(mp.exp(z)), [p for p in PLANE if abs(p[0].imag) < 3])
entire("exp1", mp.e1)
entire("expi", mp.ei, [p for p in PLANE if p[0].imag > 0])
entire("spence", lambda z: mp.polylog(2, 1 - z))
entire("sici", lambda z: (mp.si(z), mp.ci(z)), RIGHT)
entire("shichi", lambda z: (mp.shi(z), mp.chi(z)), RIGHT)
entire("fresnel", lambda z: (mp.fresnels(z), mp.fresnelc(z)), [p for p in PLANE if abs(p[0]) < 4])
entire("airy", lambda z: (mp.airyai(z), mp.airyai(z, derivative=1), mp.airybi(z), mp.airybi(z, derivative=1)))
entire("log1p", mp.log1p)
entire("expm1", mp.expm1)

_BESSEL = [(v, z) for v in (0.0, 1.0, 2.5) for (z,) in RIGHT]
for _name, _f in (
    ("jv", mp.besselj),
    ("yv", mp.bessely),
    ("iv", mp.besseli),
    ("kv", mp.besselk),
    ("hankel1", mp.hankel1),
    ("hankel2", mp.hankel2),
):
    oracle(f"special.{_name}", "v z", _f, _BESSEL, wanted=[1], case="(complex)")
del dawson, log_ndtr
