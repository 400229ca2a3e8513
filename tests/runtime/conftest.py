"""Lowered programs written by hand: the text of `@run` around a body, and what the runtime needs to know of it."""

import numpy as np
import pytest

from wengert.core.aval import Aval
from wengert.graph.program import Program
from wengert.lowering.lowered import Kernel, Lowered, Out

F64 = np.dtype(np.float64)


def pointers(count: int) -> str:
    """%p0 …: the frame's pointers."""
    return "\n".join(
        f"  %at{i} = getelementptr ptr, ptr %frame, i64 {i}\n  %p{i} = load ptr, ptr %at{i}" for i in range(count)
    )


def run_text(words: int, body: str) -> str:
    return f"define i32 @run(ptr %frame) {{\nentry:\n{pointers(words)}\n{body}\n}}\n"


def doubled(n: int, factor: float = 2.0, dtype: str = "double") -> str:
    """p2[i] = factor * p1[i]; a frame of four words."""
    return run_text(
        4,
        f"""  br label %loop
loop:
  %i = phi i64 [0, %entry], [%next, %loop]
  %x.at = getelementptr {dtype}, ptr %p1, i64 %i
  %x = load {dtype}, ptr %x.at
  %y = fmul {dtype} %x, {factor:.1f}
  %y.at = getelementptr {dtype}, ptr %p2, i64 %i
  store {dtype} %y, ptr %y.at
  %next = add i64 %i, 1
  %go = icmp ult i64 %next, {n}
  br i1 %go, label %loop, label %done
done:
  ret i32 0""",
    )


HOST = run_text(
    1,
    """  %host = load ptr, ptr %p0
  %self.at = getelementptr i8, ptr %p0, i64 16
  %self = load ptr, ptr %self.at
  %pointers = getelementptr ptr, ptr %frame, i64 1
  %code = call i32 %host(ptr %self, i64 0, ptr %pointers)
  %bad = icmp ne i32 %code, 0
  %result = sext i1 %bad to i32
  ret i32 %result""",
)


class Handmade:
    doubled, run_text, pointers, host = staticmethod(doubled), staticmethod(run_text), staticmethod(pointers), HOST

    @staticmethod
    def aval(*shape, dtype=np.float64, weak=False) -> Aval:
        return Aval(shape, np.dtype(dtype), weak)

    @staticmethod
    def lowered(text, ins, outs, **rest) -> Lowered:
        outs = [out if isinstance(out, Out) else Out("new", out) for out in outs]
        fields = {
            "symbols": frozenset(), "constants": [], "host_calls": [], "failures": [], "workspace": 0,
            "kernels": [], "program": Program(), **rest,
        }  # fmt: skip
        return Lowered(text=text, ins=ins, outs=outs, **fields)

    @staticmethod
    def work(seconds: float) -> Kernel:
        """A kernel that says it takes so long, so that the interpreter lock is released."""
        return Kernel("work", [], (), 0, seconds * 4e9)

    @classmethod
    def twice(cls, n: int, **rest) -> Lowered:
        """x ↦ 2x on n numbers."""
        return cls.lowered(doubled(n), [cls.aval(n)], [cls.aval(n)], **rest)


@pytest.fixture
def made():
    return Handmade
