"""Instructions that write in place: through keys, views, `out=`, `ufunc.at`, loops, and functions that fill."""

from __future__ import annotations

from wengert.verify.generate.programs.scope import Scope
from wengert.verify.generate.programs.slots import Slots, table

COPIES = table("""
    {x}.copy()
    np.array({x})
    {x} * 1.0
    np.copy({x}).T
    {x}.copy()[::-1]
    ({x} + 0.0)[...]
    np.stack([{x}, {x} * 0.5], axis=-1)[..., 0]
""")
BUFFERS = table("""
    np.zeros({shape})
    np.ones({shape})
    np.full({shape}, 0.4)
    np.zeros_like({x})
    np.ones_like({x})
    np.zeros({reversed}).T
    np.linspace(0.0, 1.0, {size}).reshape({shape})
""")
WRITES = table("""
    {x}[{key}] = {part}
    {x}[{key}] = {part}
    {x}[{fancy}] = {parts}
    {x}[{key}] += {part} * 0.5
    {x}[{fancy}] += {parts}
    {x}[{key}] *= {part}
    {x}[{fancy}] *= 0.3
    {x}[{key}] -= np.sin({x}[{key}])
    {x}[{key}] /= 1.5
    {x}[{key}] **= 2
    {x}[{many}] = {number}
    {x}[{bits}] = 0.5
    {x}[{bits}] *= {scalar}
    {x} += {into}
    {x} -= {x} * {x} * 0.2
    {x} *= 0.7⏎{x} += 0.1
    {x}[...] = {into}
    {x}[:] = {x}[::-1].copy()
    {x}[:] = {x}[::-1]
    t = {x}.T⏎t[...] = t + 0.25⏎t[0] = t[-1] * 0.5
    t = {x}[{key}]⏎t -= 0.1
    t = {x}[{key}][...]⏎t[...] = t * 0.9⏎{x}[0] += 0.3
    t = {x}.reshape(-1)⏎t[{place}] = t[0] * 0.5
    t = np.ravel({x})⏎t[{place}] *= 0.5
    t = {x}[::-1]⏎t[0] = 0.5 * t[-1]⏎{x}[0] = {x}[0] + 0.2
    t = {x}[0].copy()⏎{x}[0] = {x}[-1]⏎{x}[-1] = t
    t = np.swapaxes({x}, 0, -1)[..., None]⏎t *= 0.8
    {x}[0], {x}[-1] = {x}[-1] * 1.0, {x}[0] * 1.0
    {x}[[0, -1]] = {x}[[-1, 0]]
    for i in range({first}):⏎    {x}[i] = np.sin({x}[i]) + ({x}[i - 1] if i else 0.0) * 0.5
    for i in range(1, {first}):⏎    {x}[i] += 0.5 * {x}[i - 1]
    for i, r in enumerate({x}):⏎    {x}[i] = r * 0.6
    for r in {x}.reshape({first}, -1):⏎    r *= 0.8
    np.add({x}, 0.2, out={x})
    np.multiply({x}, np.cos({x}), out={x})
    np.tanh({x}, out={x})
    np.sin({x}, {x})
    np.subtract({x}[:1], 0.3, out={x}[:1])
    np.multiply({x}, 0.5, out={x}, where={bits})
    np.cumsum({x}, axis={axis}, out={x})
    np.add.accumulate({x}, axis={axis}, out={x})
    {x}.flat[0] = {x}.flat[-1] * 0.5
    {x}.flat[::2] = 0.3
    {x}.flat = {x}.ravel()[::-1].copy()
    {x}[{lead}1:] = {x}[{lead}:-1]
    {x}[{lead}:-1] += {x}[{lead}1:]
    {x}.fill({scalar})
    np.copyto({x}, {x} * 0.8 + 0.1)
    np.copyto({x}, {into}, where={bits})
    np.add.at({x}, np.s_[{many}], 0.3 * {x}.ravel()[0])
    np.subtract.at({x}, np.s_[{fancy}], {parts})
    np.multiply.at({x}, np.s_[{many}], 0.6)
    np.negative.at({x}, np.s_[{fancy}])
    np.put({x}, [0, -1], [{x}.ravel()[0] * 0.5, 0.7])
    np.place({x}, {bits}, [0.5, {x}.ravel()[-1]])
    np.putmask({x}, {bits}, {x} * 2.0)
    np.put_along_axis({x}, np.argmax(np.abs({x}), axis={axis}, keepdims=True), 0.2, axis={axis})
    {x}.__setitem__(0, {number})
    setattr({x}, "flat", 0.4)
""")
WRITES_TWO = table("""
    np.fill_diagonal({x}, {x}.ravel()[0] * 0.3)
    {x}[:, 0] = {x}[:, -1] * 0.5
    {x}[0, ...] += {x}[-1, ...]
    for r in {x}:⏎    r *= 0.8
    for r in {x}.T:⏎    r[0] = 0.5 * r[-1]
    {x}.T[0] += 1.0
    np.matmul(np.eye({first}) * 0.5, {x}, out={x})
""")
WRITES_REAL = table("""
    {x}.sort(axis={axis})
    np.clip({x}, -0.8, 0.9, out={x})
    np.maximum({x}, -0.5, out={x}, where={x} < 0.7)
    np.floor({x} * 4.0, out={x})
""")
WRITES_BRANCHING = table("""
    {x}[{x} > 0.5] = 0.5
    {x}[{x} < 0] *= 0.5
    {x}[{x} > 0.2] = 0.0
""")
WRITES_COMPLEX = table("""
    {x}.real = {x}.imag * 0.5
    {x}.imag[...] = 0.3
    {x}.real *= 0.5
    np.conj({x}, out={x})
    t = {x}.real⏎t[0] = 0.7
""")


def write(s: Scope) -> None:
    """One write into an array of the scope's own, or into a copy, a view or a buffer that is made for it."""
    c = s.choices
    x = s.target(kind="c" if c.chance(0.15) else "f")
    if x is None or c.chance(0.3):
        x = _made(s)
    if x is None:
        return
    slots = Slots(s, x)
    v = s[x]
    tables = [WRITES, WRITES_REAL if v.dtype.kind == "f" else WRITES_COMPLEX] + [WRITES_TWO] * (v.ndim > 1)
    if v.dtype.kind == "f" and "branches" in s.story.allowed and not s.batched and c.chance(0.2):
        s.story.traits.add("branches on values")
        tables = [WRITES_BRANCHING]
    statement = slots.pick(*tables)
    if not s.run(statement, writes=[x]):
        return
    s.story.traits.add("writes")
    if c.chance(0.3):
        s.bind(slots.fill("{x}[{key}]"))


def _made(s: Scope) -> str | None:
    y = s.array()
    if y is None:
        return None
    if s.choices.chance(0.5):
        name = s.bind(Slots(s, y).pick(COPIES))
        return name if name in s.traced else None
    name = s.fresh()
    return name if s.run(f"{name} = {Slots(s, y).pick(BUFFERS)}", [name], fresh=True) else None
