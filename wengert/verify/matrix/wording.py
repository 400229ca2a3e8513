"""What the words of the matrix mean, one sentence each: the same in the page, in Markdown and in the terminal."""

from __future__ import annotations

MODES = {
    "forward": "A tangent pushed along with the values: jvp.",
    "reverse": "A cotangent pulled back through the op: vjp and grad.",
    "forward over reverse": "Tangents through the pullback: Hessian-vector products, as hvp computes them.",
    "reverse over reverse": "The pullback pulled back once more: grad of grad.",
    "vmap": "All examples of a batch at once, against a loop over them.",
    "jvp of vmap": "Tangents through the batched op, against a loop over the examples.",
    "jit": "The compiled program, against the same calls run eagerly.",
    "checkpoint": "Residuals dropped and computed again in the sweep, against gradients that kept them.",
}

LAYOUTS = {
    "contiguous": "C-ordered arrays.",
    "strided": "The same kind of values behind other strides: with gaps, reversed, or in Fortran order.",
    "empty": "A differentiated argument without elements, such as shape (0,) or (3, 0).",
    "0-d": "A differentiated argument of shape ().",
}

STATUSES = {
    "pass": "Executed, and the measured error is within its limit.",
    "fail": "Executed, and wrong: the error is beyond its limit, or the call raised.",
    "undecided": "Executed, but the reference is not accurate enough there to tell.",
    "refused": "The op refuses the rule or the dtype; the reason is given.",
    "no such call": "No legal call of the op has such an argument; the reason is given.",
    "constant": "Piecewise constant: the derivative is zero by declaration, and was checked to be zero.",
    "absent": "The mode is not part of this version.",
}

NAMES = {
    "differentiable": "Derivatives flow through it.",
    "constant": "Works on Tensors; the result carries no derivative, because there is none.",
    "refused": "Raises, with the reason and what to do instead.",
    "blank": "Nobody has decided yet. A gap.",
}


def short(mode: str) -> str:
    """A mode's name where there is room for a few letters only."""
    known = {
        "forward": "fwd",
        "reverse": "rev",
        "forward over reverse": "f∘r",
        "reverse over reverse": "r∘r",
        "jvp of vmap": "j∘v",
        "checkpoint": "ckpt",
    }
    return known.get(mode, mode[:4])
