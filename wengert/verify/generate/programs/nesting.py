"""Instructions with functions in them: loops and closures, and transforms of a random function."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from wengert.verify.generate.programs.scope import Scope
from wengert.verify.generate.programs.slots import Slots, blocks, table

Grow = Callable[[Scope, int], None]  # adds a number of instructions to a scope

# ── control flow ──────────────────────────────────────────────────────────────

CONTROL = blocks("""
    {v} = {x}
    for i in range({count}):
        {v} = np.tanh(0.5 * {v} + 0.1 * i)

    {v} = 0.0
    for r in {x}:
        {v} = {v} * 0.5 + np.sin(r)

    parts = []
    for r in {x}:
        parts.append(np.sin(r) * (1 + len(parts)))
    {v} = np.stack(parts)

    {v} = np.zeros({shape})
    for i in range({first}):
        {v}[i] = {x}[i] * 0.9**i + (0.3 * {v}[i - 1] if i else 0.0)

    {v} = np.empty({first})
    for i in range({first}):
        {v}[i] = np.mean({x}[i]) * i

    n, {v} = 0, {x}
    while n < {count}:
        n += 1
        {v} = np.sin({v}) + 0.1 * n

    def grow(a, n):
        return a if n == 0 else grow(np.sin(a) * 0.9, n - 1)
    {v} = grow({x}, {count})

    {v} = [np.exp(-r * r) for r in {x}][-1]

    first, *rest = {x}
    {v} = first + sum(rest)

    if {x}.shape[0] > 2:
        {v} = {x}[2] * 2.0
    else:
        {v} = {x}.sum()

    state = {{"a": {x}, "b": [{scalar}]}}
    for key in ("a", "a"):
        state[key] = np.cos(state[key]) * state["b"][0]
    {v} = state["a"]

    {v} = {x}
    for _ in range(2):
        k = np.sin({v} + 0.1 * np.sin({v}))
        {v} = {v} + 0.2 * k

    {v} = 0.3 * {x}
    for _ in range(4):
        {v} = {v} - ({v}**3 + {v} - {x}) / (3 * {v}**2 + 1)

    scale = lambda a, by={number}: a * by
    {v} = scale(scale({x}, 0.5)) + scale({x})

    {v} = np.array([[np.sum(r * q) for r in {x}] for q in {x}])

    {v} = max((np.sin(r).sum() for r in {x}), key=lambda a: 0)

    def rows(a):
        for r in a:
            yield r * r
    {v} = np.stack(list(rows({x})))

    top = wg.stop_gradient(np.max({x}))
    {v} = top + np.log(np.sum(np.exp({x} - top)))

    with wg.no_grad():
        top = np.sum({x})
    {v} = ({x} + top) - top

    {v} = {x} + (wg.stop_gradient(np.sin({x})) - wg.stop_gradient(np.sin({x})))
""")


def control(s: Scope) -> None:
    x = s.array()
    if x is None:
        return
    name = s.fresh()
    template = s.choices.pick([t for t in CONTROL if "wg." not in t or "transforms" in s.story.allowed])
    s.run(Slots(s, x, v=name).fill(template), [name])


# ── transforms ────────────────────────────────────────────────────────────────

# {g} is a scalar function of one array, {h} one with an array for a result; {k} constants of x's shape
OF_SCALAR = table("""
    {g}({x})
    wg.grad({g})({x})
    wg.checkpoint({g})({x})
    wg.jvp({g}, ({x},), ({k},))[1]
    wg.linearize({g}, {x})[1]({k})
    (lambda value, slope: value * slope)(*wg.value_and_grad({g})({x}))
    wg.checkpoint(lambda a: wg.checkpoint({g})(a * 0.5) + {g}(a))({x})
    wg.grad(wg.checkpoint({g}))({x})
    wg.checkpoint(wg.grad({g}))({x})
    wg.adopt({g})({x})
    wg.grad(lambda a: {g}(a * {x}))({x})
""")
OF_SCALAR_TWICE = table("""
    wg.hvp({g}, ({x},), ({k},))
    wg.jvp(wg.grad({g}), ({x},), ({k},))[1]
    wg.hessian({g})({x})
    wg.grad(lambda a: np.sum(wg.grad({g})(a) * {k}))({x})
    wg.jacrev(wg.grad({g}))({x})
""")
OF_ARRAY = table("""
    {h}({x})
    wg.checkpoint({h})({x})
    wg.vjp({h}, {x})[1](np.sin({h}({x})))[0]
    (lambda out, pull: pull(out)[0] + 0.5 * pull(out * 0.3)[0])(*wg.vjp({h}, {x}))
    wg.jvp({h}, ({x},), ({k},))[1]
    wg.linearize({h}, {x})[1]({k})
    wg.jacobian({h})({x})
    wg.jacrev({h})({x})
    wg.jacfwd({h})({x})
    wg.jvp(lambda a: {h}(a * {x}), ({x},), ({x},))[1]
""")
# {g} and {h} take one example: {x} along its first axis
OF_EXAMPLES = table("""
    wg.vmap({g})({x})
    wg.vmap({h})({x})
    wg.vmap({h}, out_axes=-1)({x})
    wg.vmap({h}, in_axes=-1)(np.moveaxis({x}, 0, -1))
    wg.vmap(wg.grad({g}))({x})
    wg.vmap(wg.checkpoint({g}))({x})
    wg.checkpoint(wg.vmap({g}))({x})
    wg.vmap(lambda a: wg.jvp({h}, (a,), (a,))[1])({x})
    wg.vmap(lambda a, b: {g}(a) * b, in_axes=(0, None))({x}, {x}.sum())
    wg.vmap(wg.jacfwd({g}))({x})
    wg.vmap(lambda a: wg.vjp({h}, a)[1]({h}(a))[0])({x})
    wg.per_example_grad(lambda w, a: {g}(a * w))({scalar}, {x})
    wg.grad(lambda a: np.sum(wg.vmap({g})(a)))({x})
    wg.jvp(wg.vmap({h}), ({x},), ({k},))[1]
    wg.vmap(lambda a: wg.vmap(lambda b: {g}(a * b), axis_size=None)({x}))({x})
""")
TAPES = blocks("""
    with wg.GradientTape() as tape:
        a = tape.watch({x})
        b = wg.adopt({g})(a)
    {v} = tape.gradient(b, a, unconnected="zero")

    with wg.GradientTape() as tape:
        a = tape.watch({x})
        b = wg.adopt({g})(a) * wg.adopt({g})(a * 0.5)
    {v} = tape.gradient(b, a, unconnected="zero")

    with wg.GradientTape(persistent=True) as tape:
        a = tape.watch({x})
        b = wg.adopt({h})(a)
        c = np.sin(b)
    first = tape.gradient(b, a, unconnected="zero")
    {v} = first + tape.gradient(c, a, unconnected="zero")

    with wg.GradientTape() as tape:
        a = tape.watch({x})
        b = wg.adopt({h})(a)
    {v} = tape.jacobian(b, a, unconnected="zero")

    with wg.GradientTape() as outer:
        a = outer.watch({x})
        with wg.GradientTape() as tape:
            b = tape.watch(a)
            c = wg.adopt({g})(b)
        d = tape.gradient(c, b, unconnected="zero")
    {v} = outer.gradient(d, a, unconnected="zero")

    with wg.GradientTape() as tape:
        a = tape.watch({x})
        with tape.stop_recording():
            b = np.sin(a)
        c = wg.adopt({g})(a) + 0.0 * np.sum(b)
    {v} = tape.gradient(c, a, unconnected="zero")
""")
# {h} sees nothing but its argument
CUSTOM = blocks("""
    rule = wg.custom_vjp(lambda a: {h}(a))
    rule.defvjp(lambda a: ({h}(a), a), lambda a, ct: (wg.vjp({h}, a)[1](ct)[0],))
    {v} = rule({x})

    rule = wg.custom_jvp(lambda a: {h}(a))
    rule.defjvp(lambda primals, tangents: wg.jvp({h}, primals, tangents))
    {v} = rule({x})

    rule = wg.custom_vjp(lambda a: np.sin(a) * a)
    rule.defvjp(lambda a: (np.sin(a) * a, a), lambda a, ct: (ct * (np.sin(a) + a * np.cos(a)),))
    {v} = rule({x})

    rule = wg.custom_jvp(lambda a: np.sin(a) * a)
    rule.defjvps(lambda dot, out, a: dot * (np.sin(a) + a * np.cos(a)))
    {v} = rule({x})

    rule = wg.custom_vjp(lambda a, b: a * np.tanh(b))
    def back(kept, ct):
        a, b = kept
        return ct * np.tanh(b), ct * a / np.cosh(b) ** 2
    rule.defvjp(lambda a, b: (a * np.tanh(b), (a, b)), back)
    {v} = rule({x}, {x} * 0.5)

    rule = wg.custom_jvp(lambda a: np.tanh(a))
    rule.defjvps(lambda dot, out, a: dot * (1.0 - out * out))
    {v} = wg.vmap(rule)({x})

    rule = wg.custom_jvp(lambda a: np.tanh(a))
    rule.defjvps(lambda dot, out, a: dot * (1.0 - out * out))
    {v} = wg.grad(lambda a: np.sum(rule(a) * a))({x})
""")


def transform(s: Scope, grow: Grow) -> None:
    """A random function within the function, and a transform of it or a plain call."""
    x = s.any(lambda v: v.ndim >= 1 and v.size <= 12)
    if x is None:
        return
    c = s.choices
    kinds = [OF_SCALAR, OF_ARRAY, OF_EXAMPLES, TAPES, CUSTOM] + [OF_SCALAR_TWICE] * (s.depth == 0)
    kind = c.pick(kinds)
    template = c.pick(kind)
    example = s[x][0] if kind is OF_EXAMPLES else s[x]
    # A plain call hands over what it is given; the argument of a transformed function is always a Tensor.
    tensors = s.is_tensor(x) or "wg." in template.replace("wg.checkpoint", "").replace("wg.adopt", "")
    text, functions = "", {}
    for letter in "gh":
        if f"{{{letter}}}" in template:
            name = s.fresh(letter)
            made = _function(s, name, example, grow, kind, tensors, scalar=letter == "g")
            if made is None:
                return
            text += made
            functions[letter] = name
    slots = Slots(s, x, k=s.weights(s[x].shape), v=(v := s.fresh()), **functions)
    statement = slots.fill(template)
    if "{v}" in template:
        s.run(text + statement, [v])
    else:
        s.bind(statement, text)


def _function(
    s: Scope, name: str, example: np.ndarray, grow: Grow, kind: tuple[str, ...], tensors: bool, scalar: bool
) -> str | None:
    """The text of a random function of one array."""
    arg = s.fresh("a")
    inner = Scope(s.choices, {arg: np.array(example)}, outer=s, closes=kind is not CUSTOM, batched=kind is OF_EXAMPLES)
    if not tensors:
        inner.traced.clear()
    grow(inner, s.choices.integer(1, 5))
    if scalar:
        result = inner.scalar()
    else:
        loose = [n for n in inner.loose() or [arg] if inner[n].dtype.kind == "f"]
        if not loose:
            return None
        result = " + ".join(f"np.sum({n})" for n in loose[:-1])
        result = f"{loose[-1]} * ({result})" if result else f"{loose[-1]} * 1.0"
    return inner.text(f"{name}({arg})", result)
