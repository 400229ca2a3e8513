"""Differences on ordinary samples, with their reasons. A test holds that each of them is still there.

In every one of them differences of the values side with us, or the values themselves are defined differently.
"""

from __future__ import annotations

SETS = "JAX's functions of sets have derivative 0"
GAUGE = "LAPACK's signs and phases: another driver chooses others"
SINGLE = "PyTorch computes a constant or a grid in single precision"
APPROXIMATE = "PyTorch's Bessel function is good to nine digits"
DUPLICATES = "indices repeat, and PyTorch gives writes that were overwritten a derivative"
SHARED = "a write into memory that both share does not reach PyTorch's derivative"
SIXTH = "PyTorch's 1/6 is rounded to single precision"
NAN_AT_WHOLE = "JAX's derivative is NaN where a parameter is a whole number"

EXPLAINED: dict[tuple[str, str], str] = {
    **{
        ("jax", name): SETS
        for name in "intersect1d union1d setdiff1d setxor1d unique unique_all unique_counts unique_inverse"
        " unique_values".split()
    },
    **{("jax", name): NAN_AT_WHOLE for name in "hyp1f1 hyp2f1 special.hyp1f1 special.hyp2f1 special.expn".split()},
    ("jax", "phase"): "JAX takes the sign of a complex number for constant",
    ("jax", "sign"): "JAX takes the sign of a complex number for constant",
    ("jax", "spence"): "JAX's derivative is NaN in reverse mode on one side of 1",
    ("jax", "special.spence"): "JAX's derivative is NaN in reverse mode on one side of 1",
    ("jax", "arange"): "bounds are constants to JAX: derivative 0",
    ("jax", "ndarray.item"): "numbers lose their derivative in JAX, in silence",
    ("jax", "histogramdd"): "JAX gives an array of edges, with derivative 0, where NumPy gives a list",
    ("jax", "polydiv"): "JAX's remainder keeps leading zeros",
    ("jax", "partition"): "the order within the parts is open",
    ("jax", "argpartition"): "the order within the parts is open",
    ("torch", "ldexp"): "PyTorch computes 2**n in integers, so that the derivative for negative n is 0",
    ("torch", "hard_sigmoid"): SIXTH,
    ("torch", "nn.hardsigmoid"): SIXTH,
    ("torch", "y0"): APPROXIMATE,
    ("torch", "special.y1"): APPROXIMATE,
    ("torch", "put"): DUPLICATES,
    ("torch", "put_along_axis"): DUPLICATES,
    ("torch", "ascontiguousarray"): "NumPy's makes one axis of none",
    ("torch", "identity"): SINGLE,
    ("torch", "tri"): SINGLE,
    ("torch", "fft.fftfreq"): SINGLE,
    ("torch", "fft.rfftfreq"): SINGLE,
    ("torch", "fix"): "its layer of NumPy's names rounds down",
    ("torch", "sinc"): "PyTorch's second derivative at 0 is NaN",
    ("torch", "linalg.eig"): GAUGE,
    ("torch", "scipy.linalg.svd"): GAUGE,
    ("torch", "ndarray.view"): SHARED,
    ("torch", "ndarray.tolist"): "numbers lose their derivative in PyTorch, in silence",
    ("torch", "digitize"): "PyTorch takes ascending bins alone",
    ("torch", "exp"): "its layer of NumPy's names ignores where= beside out=",
}


def explanation(peer: str, name: str) -> str:
    """Why a difference is none of our errors; empty if none is known."""
    return EXPLAINED.get((peer, name), "")
