"""NumPy's ufuncs over ops."""

from __future__ import annotations

from wengert.numpy.ufunc import ufunc
from wengert.ops import basis, elementwise

add = ufunc("add", basis.add)
subtract = ufunc("subtract", elementwise.sub)
multiply = ufunc("multiply", elementwise.mul)
divide = ufunc("divide", elementwise.div)
power = ufunc("power", elementwise.pow_)
negative = ufunc("negative", basis.neg)
absolute = ufunc("absolute", elementwise.abs_)
sign = ufunc("sign", elementwise.sign)
reciprocal = ufunc("reciprocal", elementwise.reciprocal)
square = ufunc("square", elementwise.square)
sqrt = ufunc("sqrt", elementwise.sqrt)
cbrt = ufunc("cbrt", elementwise.cbrt)
conjugate = ufunc("conjugate", basis.conj)

for _name in (
    "exp exp2 expm1 log log2 log10 log1p sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh arccosh arctanh"
).split():
    ufunc(_name, getattr(elementwise, _name))
