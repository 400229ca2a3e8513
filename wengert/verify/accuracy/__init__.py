"""How accurate derivatives of elementary and special functions are: errors against mpmath, in ulps.

    rows = measure("gammainc")
    rich.print(terminal(rows))

One ulp is the gap between neighbouring floating point numbers at the true derivative. Errors are taken over fixed
points (`oracles/special`), in both modes and both precisions, and stand beside the error of NumPy's or SciPy's own
value at the same points, so that one sees whether the derivative is as good as the value. Subnormal results
count as right when the true one is subnormal too; a result within a thousandth of overflow may overflow; points
where the value overflows are left out.
"""

from wengert.verify.accuracy.measuring import Accuracy, Progress, measure, rows
from wengert.verify.accuracy.tables import markdown, terminal

__all__ = ["Accuracy", "Progress", "markdown", "measure", "rows", "terminal"]
