import scipy
import scipy.linalg
import scipy.special as sp
from scipy.special import gammaln


def log_density(x):
    return gammaln(x[0]) + sp.erf(x[1]) + scipy.special.digamma(x[2])


def solve(x):
    import numpy as np

    a = np.array([[2.0 + x[0], x[1]], [x[1], 3.0]])
    return scipy.linalg.solve(a, np.array([x[2], 1.0])).sum()
