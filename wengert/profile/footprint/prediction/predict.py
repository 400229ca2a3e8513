"""`predict_memory`: a report of memory, from shapes alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from wengert.core.aval import Aval
from wengert.core.errors import ConcretizationError, TracerLeak
from wengert.core.source import describe, here
from wengert.core.tensor import Tensor, active
from wengert.core.tree import flatten, unflatten
from wengert.profile.footprint.prediction.account import report as eager_report
from wengert.profile.footprint.prediction.compiled import report as compiled_report
from wengert.profile.footprint.prediction.plans import lowered
from wengert.profile.footprint.prediction.shadow import shadowing
from wengert.profile.footprint.report import MemoryReport
from wengert.runtime.jit import JitFunction
from wengert.trace.adopt import adopt as adopt_function
from wengert.transforms.entry import adopted, entry
from wengert.transforms.staging import ShapeDtype


@entry
def predict_memory(f: Callable[..., Any], *args: Any, **kwargs: Any) -> MemoryReport:
    """The memory that a call `f(*args, **kwargs)` will take, before it is made: nothing is run.

    Parameters
    ----------
    f : any function of arrays: a plain one, `wg.grad(loss)` or another transform's, a step of training with a GradientTape in it, or
        a jitted function
    args, kwargs : arrays, numbers, `wg.ShapeDtype(shape, dtype)`, and pytrees of these; of arrays, shape and dtype alone matter

    Returns
    -------
    MemoryReport of kind "predicted". Its points are ops (eager) or steps of the compiled program (jit); times are 0.

    A jitted function is staged, optimised and planned; the peak is results and workspace, exactly as the call allocates them, and
    what ops without machine code make through NumPy. Constants are held by the function, before the call too: they are
    listed, and told in `notes`. Memory of a `while_loop`'s residuals depends on the number of
    trips: where that does not follow from a counter, it is not counted, and told in `notes`.

    Any other function runs once, as Python, on arrays without elements; cost: some 30 µs an op, whatever the sizes. Arrays that it
    makes by NumPy from nothing (`np.ones(n)`, random numbers) are made. What eager evaluation writes over is known, and what
    ops take in passing.

    Raises
    ------
    ConcretizationError : `f` asks for a value, so what it does is not decided by shapes.
    """
    if active():
        raise TracerLeak(
            "predict_memory",
            got="a call within a running transform",
            want="a call of its own: give it the transformed function",
            fix="wg.profile.predict_memory(wg.grad(f), *args)",
            at=describe(here(3)),
        )
    name = getattr(f, "__qualname__", None) or type(f).__name__
    if isinstance(f, JitFunction):
        return _jitted(f, name, args, kwargs)
    return _eager(f, name, args, kwargs)


def _jitted(f: JitFunction, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> MemoryReport:
    signature = f.signature(args, kwargs)
    program = f.staged(signature).program
    return compiled_report(lowered(program, f.donated(signature), f.memory_budget), name)


def _eager(f: Callable[..., Any], name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> MemoryReport:
    leaves, tree = flatten((args, kwargs))
    with shadowing() as trace:
        given = [_stands_for(trace, x) for x in leaves]
        arguments = [x for x in given if type(x) is Tensor]
        args, kwargs = unflatten(tree, given)
        fun, args = adopt_function(f), tuple(adopted(args))
        kwargs = dict(zip(kwargs, adopted(tuple(kwargs.values())), strict=True)) if kwargs else kwargs
        del given
        try:
            out = fun(*args, **kwargs)
        except ConcretizationError as error:
            error.add_note(
                "  prediction: what the function does depends on values, and nothing is known of these before it runs;"
                " wg.profile.memory(f)(*arrays) runs it, and measures"
            )
            raise
        for x in flatten(out)[0]:
            if (block := trace.block(x)) is not None:
                block.result = True
    return eager_report(trace.record, name, sum(x._value.nbytes for x in arguments))  # while `out` holds the results


def _stands_for(trace: Any, x: Any) -> Any:
    if isinstance(x, ShapeDtype):
        return trace.argument(Aval(x.shape, x.dtype, x.weak)) if x.shape or x.weak else trace.input(Aval((), x.dtype))
    if isinstance(x, np.ndarray):
        return trace.argument(Aval(tuple(x.shape), x.dtype))
    if isinstance(x, np.generic):
        return trace.input(Aval((), x.dtype))
    return x
