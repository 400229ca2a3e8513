"""Errors that are allowed, in ulps: the default, and the exceptions, each with its reason.

A bound is about three times what was measured, since NumPy, SciPy and the CPU have a say in it.
"""

from __future__ import annotations

DEFAULT = 16.0

LOGS = "the result is an exponential of a difference of large numbers, of which each rounding counts"
POWER = "an exponent such as λ - 1, or SciPy's own value, is rounded, and the logarithm of the base magnifies that"
SQUARE = "the exponent x² is rounded, which costs x²/2 ulps; so it does in SciPy's values"
NEAR7 = "a difference of terms that are x² times larger, up to |x| = 7, where the asymptotic series takes over"
INVERSE = "taken at SciPy's quantile, whose error the density magnifies"
INCOMPLETE = "a power or density whose logarithm is large, or (F, t) a difference of two terms"
VOIGT = "below |z| = 7 the derivatives of w(z) are differences of terms up to z⁴ times larger, and the profile its small real part"
SQUAREC = "the phase x² is rounded; K' is read off the complex erfcx below |x| = 7"
RATIO = "read off SciPy's value, which has this error where Γ is large"
ZETA = "Euler and Maclaurin's terms cancel left of 0; in single precision s + 1 is rounded before it is an exponent"
SOLVED = "read off a root that SciPy solves for with a loose tolerance, as the column of values shows"
SCALEDF = "a difference of terms that are x times larger (Airy: x^1.5), up to x = 30 (12), where the asymptotic series takes over"
SCIPY = "SciPy's own functions, of which the derivative is made, have errors of this size at these or neighbouring parameters"
MODULUS = "ill-conditioned next to m = 1"
CARLSON = "a sum of some 400 terms, each rounded"
POLE = "a difference over 1 - x², next to the singularity at ±1"
LARGEW = "exp(W) magnifies the rounding of W"
PLANE = "SciPy's own values are of this accuracy in the plane, or a term that is |z| times larger cancels"

# reason → function → argument → (double, single precision)
EXCEPTIONS: dict[str, dict[str, dict[str, tuple[float, float]]]] = {
    LOGS: {
        "logaddexp": {"x": (16, 20), "y": (16, 100)},
        "logaddexp2": {"x": (1000, 50), "y": (2000, 50)},
        "special.logsumexp": {"x": (2000, 1000), "y": (50, 16)},
        "special.softmax": {"y": (500, 16)},
    },
    POWER: {
        "power": {"x": (1000, 16)},
        "float_power": {"x": (1000, 16)},
        "special.boxcox": {"x": (500, 16), "lmbda": (500, 16)},
        "special.boxcox1p": {"x": (200, 20), "lmbda": (50, 16)},
        "special.inv_boxcox": {"x": (100, 16), "lmbda": (100, 16)},
        "special.inv_boxcox1p": {"x": (100, 16), "lmbda": (50, 16)},
        "special.powm1": {"x": (500, 16)},
    },
    SQUARE: {
        "special.erf": {"x": (2000, 200)},
        "special.erfc": {"x": (2000, 200)},
        "special.erfcx": {"x": (1000, 16)},
        "special.erfi": {"x": (2000, 200)},
        "special.erfinv": {"x": (50, 50)},
        "special.erfcinv": {"x": (200, 16)},
        "special.ndtr": {"x": (500, 100)},
        "special.log_ndtr": {"x": (500, 100)},
        "special.ndtri": {"p": (100, 50)},
    },
    NEAR7: {
        "special.dawsn": {"x": (200, 16)},
    },
    INVERSE: {
        "special.ndtri_exp": {"y": (1e4, 500)},
        "special.gammaincinv": {"a": (500, 16), "p": (1000, 500)},
        "special.gammainccinv": {"a": (500, 16), "p": (1e4, 500)},
        "special.betaincinv": {"a": (200, 500), "b": (200, 500), "p": (1000, 500)},
        "special.betainccinv": {"a": (100, 500), "b": (100, 500), "p": (1000, 500)},
        "special.btdtria": {"p": (500, 500), "b": (200, 500), "x": (200, 1000)},
        "special.btdtrib": {"a": (1e4, 500), "p": (1e4, 200), "x": (1e4, 1000)},
        "special.chdtri": {"v": (200, 16), "p": (1000, 50)},
        "special.chdtriv": {"p": (100, 100), "x": (50, 200)},
        "special.gdtria": {"p": (200, 16), "b": (50, 16), "x": (50, 16)},
        "special.gdtrib": {"a": (100, 16), "p": (100, 16), "x": (50, 16)},
        "special.gdtrix": {"a": (100, 16), "b": (100, 16), "p": (200, 50)},
        "special.pdtri": {"y": (100, 20)},
        "special.pdtrik": {"p": (100, 100), "m": (200, 16)},
        "special.bdtri": {"y": (200, 16)},
        "special.nbdtri": {"y": (50, 16)},
        "special.fdtri": {"m": (200, 500), "n": (500, 500), "p": (100, 500)},
        "special.stdtrit": {"df": (2000, 200), "p": (100, 200)},
        "special.chndtrix": {"p": (500, 100), "nc": (1000, 16)},
        "special.chndtrinc": {"p": (500, 20)},
        "special.kolmogi": {"p": (500, 16)},
        "special.smirnovi": {"p": (2000, 16)},
    },
    INCOMPLETE: {
        "special.owens_t": {"a": (100, 16)},
        "special.gammainc": {"a": (500, 16), "x": (200, 16)},
        "special.gammaincc": {"a": (500, 16), "x": (200, 16)},
        "special.betainc": {"a": (2000, 16), "b": (1000, 16), "x": (200, 16)},
        "special.betaincc": {"a": (2000, 16), "b": (1000, 16), "x": (200, 16)},
        "special.chdtr": {"v": (50, 16), "x": (50, 16)},
        "special.chdtrc": {"v": (50, 16), "x": (50, 16)},
        "special.gdtr": {"a": (50, 16), "b": (50, 16), "x": (50, 16)},
        "special.gdtrc": {"a": (50, 16), "b": (50, 16), "x": (50, 16)},
        "special.bdtr": {"p": (100, 16)},
        "special.bdtrc": {"p": (100, 16)},
        "special.nbdtr": {"p": (50, 16)},
        "special.nbdtrc": {"p": (50, 16)},
        "special.fdtr": {"m": (500, 100), "n": (1000, 16), "x": (50, 16)},
        "special.fdtrc": {"m": (500, 100), "n": (1000, 16), "x": (50, 16)},
        "special.stdtr": {"df": (2000, 200)},
        "special.chndtr": {"x": (500, 16), "nc": (500, 16)},
    },
    VOIGT: {
        "special.voigt_profile": {"x": (500, 16), "sigma": (1e5, 16), "gamma": (1e4, 16)},
    },
    SQUAREC: {
        "special.modfresnelp": {"x": (5000, 500)},
        "special.modfresnelm": {"x": (5000, 500)},
    },
    RATIO: {
        "special.beta": {"a": (500, 16), "b": (1000, 16)},
        "special.binom": {"n": (2e4, 16), "k": (1000, 16)},
        "special.poch": {"z": (200, 16), "m": (200, 16)},
        "special.comb": {"N": (2000, 16), "k": (1000, 16)},
        "special.perm": {"N": (2000, 16), "k": (1000, 16)},
    },
    ZETA: {
        "special.zeta": {"x": (500, 16)},
        "special.zetac": {"x": (500, 16)},
        "special.zeta (Hurwitz)": {"q": (16, 200)},
    },
    SOLVED: {
        "special.bdtrik": {"y": (2e6, 50), "n": (5e5, 16), "p": (1e6, 50)},
        "special.bdtrin": {"k": (5e5, 16), "y": (5e6, 50), "p": (1e6, 16)},
        "special.nbdtrik": {"y": (2e6, 16), "n": (2e5, 16), "p": (5e5, 16)},
        "special.nbdtrin": {"k": (5e5, 16), "y": (1e5, 16), "p": (1e6, 16)},
        "special.fdtridfd": {"m": (1e6, 20), "p": (1e6, 20), "x": (1e6, 50)},
        "special.stdtridf": {"p": (5e4, 16), "t": (5e4, 16)},
        "special.tklmbda": {"x": (1e12, 2000), "lmbda": (5e11, 1000)},
    },
    SCALEDF: {
        "special.i0e": {"x": (200, 200)},
        "special.k0e": {"x": (200, 50)},
        "special.i1e": {"x": (500, 200)},
        "special.k1e": {"x": (500, 100)},
        "special.ive": {"z": (500, 50)},
        "special.kve": {"z": (200, 50)},
        "special.hankel1e": {"z": (200, 50)},
        "special.hankel2e": {"z": (200, 50)},
        "special.airye": {"z": (5e4, 500)},
    },
    SCIPY: {
        "special.y1": {"x": (20, 16)},
        "special.jv": {"z": (50, 16)},
        "special.jn": {"z": (50, 16)},
        "special.yv": {"z": (50, 16)},
        "special.iv": {"z": (50, 16)},
        "special.kv": {"z": (500, 16)},
        "special.jve": {"z": (50, 16)},
        "special.yve": {"z": (50, 16)},
        "special.jvp": {"z": (50, 16)},
        "special.spherical_jn": {"z": (50, 16)},
        "special.airy": {"z": (50, 16)},
        "special.ber": {"x": (2e6, 16)},
        "special.bei": {"x": (1e6, 16)},
        "special.beip": {"x": (50, 16)},
        "special.ker": {"x": (2e6, 2e5)},
        "special.kei": {"x": (5e6, 5e5)},
        "special.kelvin": {"x": (2e6, 2e5)},
        "special.struve": {"x": (100, 16)},
        "special.modstruve": {"x": (100, 16)},
        "special.pbdv": {"x": (2e4, 20)},
        "special.pbvv": {"x": (2e11, 5000)},
        "special.pbwa": {"x": (2000, 500)},
        "special.itj0y0": {"x": (50, 16)},
        "special.iti0k0": {"x": (20, 16)},
        "special.it2j0y0": {"x": (50, 16)},
        "special.it2i0k0": {"x": (20, 16)},
        "special.besselpoly": {"a": (5e6, 16)},
        "special.itstruve0": {"x": (50, 16)},
        "special.itmodstruve0": {"x": (50, 16)},
        "special.it2struve0": {"x": (50, 16)},
        "special.hyp0f1": {"z": (100, 16)},
        "special.hyp1f1": {"z": (16, 20)},
        "special.hyp2f1": {"z": (200, 16)},
        "special.hyperu": {"x": (2e6, 16)},
        "special.wright_bessel": {"x": (200, 16)},
        "special.log_wright_bessel": {"x": (100, 20)},
        "special.eval_legendre": {"x": (50, 16)},
        "special.eval_chebyt": {"x": (50, 16)},
        "special.eval_chebyu": {"x": (50, 16)},
        "special.eval_sh_legendre": {"x": (200, 16)},
        "special.eval_laguerre": {"x": (5e7, 16)},
        "special.eval_gegenbauer": {"x": (50, 16)},
        "special.eval_genlaguerre": {"x": (2e8, 16)},
        "special.assoc_laguerre": {"x": (200, 16)},
        "special.eval_jacobi": {"x": (100, 16)},
        "special.eval_sh_jacobi": {"x": (50, 16)},
        "special.sph_harm_y": {"theta": (50, 16)},
        "special.expn": {"x": (500, 16)},
        "special.shichi": {"x": (20, 16)},
        "special.wrightomega": {"z": (50, 16)},
        "special.mathieu_cem": {"x": (200, 16)},
        "special.mathieu_sem": {"x": (200, 16)},
        "special.mathieu_modcem1": {"x": (50, 16)},
        "special.mathieu_modcem2": {"x": (100, 16)},
        "special.mathieu_modsem1": {"x": (100, 16)},
        "special.mathieu_modsem2": {"x": (100, 16)},
    },
    MODULUS: {
        "special.ellipj": {"u": (500, 16), "m": (5000, 500)},
    },
    CARLSON: {
        "special.elliprd": {"x": (20, 16), "y": (20, 16)},
        "special.elliprg": {"x": (50, 16), "y": (50, 16), "z": (50, 16)},
        "special.elliprj": {"y": (20, 16), "z": (20, 16)},
        "special.elliprc": {"x": (20, 16)},
    },
    POLE: {
        "special.lpmv": {"x": (1e4, 16)},
    },
    LARGEW: {
        "special.lambertw": {"z": (200, 16)},
        "special.lambertw (branch -1)": {"z": (100, 16)},
    },
    PLANE: {
        "special.erfcx (complex)": {"z": (1e4, 16)},
        "special.dawsn (complex)": {"z": (1e4, 16)},
        "special.wofz (complex)": {"z": (1e4, 16)},
        "special.log_ndtr (complex)": {"z": (200, 16)},
        "special.gamma (complex)": {"z": (100, 16)},
        "special.loggamma (complex)": {"z": (50, 16)},
        "special.rgamma (complex)": {"z": (50, 16)},
        "special.psi (complex)": {"z": (200, 16)},
        "special.sici (complex)": {"z": (500, 16)},
        "special.shichi (complex)": {"z": (500, 16)},
        "special.fresnel (complex)": {"z": (50, 50)},
        "special.airy (complex)": {"z": (1000, 16)},
        "special.jv (complex)": {"z": (500, 16)},
        "special.yv (complex)": {"z": (500, 16)},
        "special.iv (complex)": {"z": (500, 16)},
        "special.hankel1 (complex)": {"z": (500, 16)},
        "special.hankel2 (complex)": {"z": (200, 16)},
    },
}

_BY_NAME = {
    (name, argument): (*pair, reason)
    for reason, functions in EXCEPTIONS.items()
    for name, arguments in functions.items()
    for argument, pair in arguments.items()
}


def bound_of(key: str, argument: str) -> tuple[float, float, str]:
    """The bounds in double and in single precision, and the reason where they are not the default."""
    return _BY_NAME.get((key, argument), (DEFAULT, DEFAULT, ""))
