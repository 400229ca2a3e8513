"""Instructions of structured control flow: loops and branches whose bodies are random functions, and may hold others.

What a body carries stays between -1 and 1, has few elements, and is of double precision; trips are few.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from wengert.verify.generate.programs.scope import Scope
from wengert.verify.generate.programs.slots import table

Grow = Callable[[Scope, int], None]
Build = Callable[[Scope, Grow, str, str], bool]

SIZE = 12  # elements of what is carried
TRIPS = 7
WITHIN = 3  # trips of a loop within another function
DEEPEST = 3  # loops within loops

# {c} is a value that is carried, {r} one like it; both are arrays of one shape
COMBINATIONS = table("""
    np.add
    np.maximum
    lambda p, q: p * q
    lambda p, q: p + q + 0.1 * p * q
""")


def carriable(value: np.ndarray) -> bool:
    return value.dtype == np.float64 and 0 < value.size <= SIZE


class Body:
    """A function of given arguments as text: some statements, and then a new value like the first argument.

    extra : further terms of the new value
    """

    def __init__(self, s: Scope, grow: Grow, args: Mapping[str, np.ndarray], tensors: bool, extra: str = "") -> None:
        # A branch on values is no matter of Python's `if` within: as in a batch.
        self.inner = Scope(s.choices, {n: np.array(v) for n, v in args.items()}, outer=s, batched=True)
        if not tensors:
            self.inner.traced.clear()
        grow(self.inner, s.choices.integer(1, 3))
        self.carry = next(iter(args))
        self.extra = extra

    def new(self) -> str:
        """The next value of the first argument."""
        shape = np.shape(self.inner[self.carry])
        terms = [self._term(n, shape) for n in self.inner.loose() if n != self.carry][-3:]
        return f"np.tanh(0.5 * {self.carry} + 0.3 * ({' + '.join([*terms, '0.5'])}){self.extra})"

    def other(self) -> str:
        """Something else of the body."""
        found = [n for n in self.inner.own if self.inner[n].dtype.kind == "f"]
        return f"{self.inner.choices.pick(found)} * 0.7"

    def _term(self, name: str, shape: tuple[int, ...]) -> str:
        value = self.inner[name]
        text = f"{name}.real" if value.dtype.kind == "c" else name
        try:
            fits = np.broadcast_shapes(value.shape, shape) == shape
        except ValueError:
            fits = False
        return text if fits else f"np.mean({text})"

    def text(self, head: str, result: str) -> str:
        return self.inner.text(head, result)


def _trips(s: Scope) -> int:
    return s.choices.integer(1, WITHIN if s.depth else TRIPS)


def loop(s: Scope, grow: Grow) -> None:
    """A loop or a branch over one of the values there are."""
    x = s.any(carriable)
    if x is None:
        return
    s.choices.pick(BUILDERS)(s, grow, x, s.fresh("b"))


def _scan(s: Scope, grow: Grow, x: str, b: str) -> bool:
    rows = s.any(lambda v: v.ndim >= 1 and carriable(v) and v.shape[0] <= TRIPS)
    c, r, v, w = s.fresh("c"), s.fresh("r"), s.fresh(), s.fresh()
    flag = ", reverse=True" if s.choices.chance(0.4) else ""
    if rows is None or s.choices.chance(0.2):
        body = Body(s, grow, {c: s[x]}, s.is_tensor(x))
        made = body.text(f"{b}({c}, _)", f"({body.new()}, {body.other()})")
        call = f"wg.scan({b}, {x}, None, length={_trips(s)}{flag})"
    else:
        body = Body(s, grow, {c: s[x], r: s[rows][0]}, s.is_tensor(x) and s.is_tensor(rows))
        made = body.text(f"{b}({c}, {r})", f"({body.new()}, {body.other()})")
        call = f"wg.scan({b}, {x}, {rows}{flag})"
    return s.run(f"{made}{v}, {w} = {call}", [v, w], fresh=s.is_tensor(x))


def _counted(s: Scope, grow: Grow, x: str, b: str) -> bool:
    c, i, v = s.fresh("c"), s.fresh("i"), s.fresh()
    array = s.array()
    extra = s.choices.pick([f" + 0.1 * {i}", f" / ({i} + 1)", ""])
    if array is not None and s[array].ndim and s.choices.chance(0.6):
        extra += f" + 0.2 * np.mean({array}[{i} % {s[array].shape[0]}])"
    body = Body(s, grow, {c: s[x]}, s.is_tensor(x), extra)
    low = s.choices.integer(0, 2)
    made = body.text(f"{b}({i}, {c})", body.new())
    return s.run(f"{made}{v} = wg.fori_loop({low}, {low + _trips(s)}, {b}, {x})", [v], fresh=s.is_tensor(x))


def _while(s: Scope, grow: Grow, x: str, b: str) -> bool:
    c, n, v = s.fresh("c"), s.fresh("n"), s.fresh()
    body = Body(s, grow, {c: s[x]}, s.is_tensor(x))
    trips = _trips(s)
    more = s.choices.pick(("", f" & (np.sum(s[0] ** 2) > 0.0{s.choices.integer(1, 9)})", " & (np.max(s[0]) < 0.93)"))
    made = body.text(f"{b}(s)", f"({body.new()}, {n} + 1)").replace(f"{b}(s):\n", f"{b}(s):\n    {c}, {n} = s\n", 1)
    return s.run(
        f"{made}{v} = wg.while_loop(lambda s: (s[1] < {trips}){more}, {b}, ({x}, 0))[0]", [v], fresh=s.is_tensor(x)
    )


def _branches(s: Scope, grow: Grow, x: str, b: str) -> bool:
    v, names, text = s.fresh(), [], ""
    for k in range(s.choices.integer(2, 3)):
        c = s.fresh("c")
        body = Body(s, grow, {c: s[x]}, s.is_tensor(x))
        names.append(f"{b}{'xyz'[k]}")
        text += body.text(f"{names[-1]}({c})", body.new())
    data = s.any(lambda a: a.dtype == np.float64) or x
    if len(names) == 2:
        call = f"wg.cond(np.mean({data}) > {s.number()}, {', '.join(names)}, {x})"
    else:
        call = f"wg.switch((np.mean({data}) > 0).astype(int) + {s.choices.integer(0, 1)}, [{', '.join(names)}], {x})"
    return s.run(f"{text}{v} = {call}", [v], fresh=s.is_tensor(x))


def _mapped(s: Scope, grow: Grow, x: str, b: str) -> bool:
    rows = s.any(lambda v: v.ndim >= 1 and carriable(v) and v.shape[0] <= TRIPS)
    if rows is None:
        return False
    c, v = s.fresh("c"), s.fresh()
    body = Body(s, grow, {c: s[rows][0]}, s.is_tensor(rows))
    block = s.choices.pick(("", ", batch_size=2"))
    made = body.text(f"{b}({c})", body.new())
    return s.run(f"{made}{v} = wg.map({b}, {rows}{block})", [v], fresh=s.is_tensor(rows))


def _called(s: Scope, grow: Grow, x: str, b: str) -> bool:
    c, v = s.fresh("c"), s.fresh()
    body = Body(s, grow, {c: s[x]}, s.is_tensor(x))
    made = body.text(f"{b}({c})", body.new())
    again = s.choices.pick((f"wg.call({b}, {x})", f"wg.call({b}, wg.call({b}, {x}) * 0.5)"))
    return s.run(f"{made}{v} = {again}", [v], fresh=s.is_tensor(x))


def _associative(s: Scope, grow: Grow, x: str, b: str) -> bool:
    rows = s.any(lambda v: v.ndim >= 1 and carriable(v))
    if rows is None:
        return False
    flag = ", reverse=True" if s.choices.chance(0.4) else ""
    return s.bind(f"wg.associative_scan({s.choices.pick(COMBINATIONS)}, {rows}{flag})") is not None


def _writing(s: Scope, grow: Grow, x: str, b: str) -> bool:
    """A loop that fills an array which it carries."""
    i, v = s.fresh("i"), s.fresh()
    n = _trips(s)
    step = s.choices.pick(("0.5 * out[i - 1] + ", "out[i] + ", "")).replace("[i", f"[{i}")
    made = f"def {b}({i}, out):\n    out[{i}] = {step}np.sin(np.mean({x}) + 0.1 * {i})\n    return out\n"
    return s.run(
        f"{made}{v} = wg.fori_loop(0, {n}, {b}, np.zeros({n}) + 0.1 * np.mean({x}))", [v], fresh=s.is_tensor(x)
    )


BUILDERS: tuple[Build, ...] = (
    _scan, _scan, _counted, _while, _branches, _mapped, _called, _associative, _writing,
)  # fmt: skip
