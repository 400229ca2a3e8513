"""Adoption: users' code as it stands, values against the plain call, derivatives against finite differences."""

import doctest
import functools
import gc
import importlib
import inspect
import math
import sys
import threading
import traceback
import types
import weakref
from pathlib import Path

import numpy as np
import pytest

import wengert as wg
from wengert.core.errors import WengertError
from wengert.core.tensor import Tensor
from wengert.trace.adopt import adopt, original_of
from wengert.transforms.forward import jvp_flat
from wengert.transforms.reverse import vjp_flat

sys.path.insert(0, str(Path(__file__).parent))

from usercode import decorated, models, numerics, patterns, physics, specials, stateful

X = np.array([0.6, 1.3, 0.8])


def value_and_gradient(fun, x=X):
    values, pullback, _ = vjp_flat(lambda x: [fun(x)], [x])
    return values[0], pullback([np.ones(())])[0]


def differences(fun, x=X, h=1e-6):
    """Central differences of the plain function."""
    steps = h * np.eye(x.size).reshape(-1, *x.shape)
    return np.array([(fun(x + s) - fun(x - s)) / (2 * h) for s in steps]).reshape(x.shape)


def check(fun, x=X, adopted=None):
    """Value and derivatives of the adopted function, reverse and forward, against the function itself."""
    adopted = adopt(fun) if adopted is None else adopted
    want, slope = fun(x), differences(fun, x)
    assert np.allclose(adopted(x), want, rtol=1e-13), "without a trace"
    value, gradient = value_and_gradient(adopted, x)
    assert np.allclose(value, want, rtol=1e-12)
    assert np.allclose(gradient, slope, rtol=1e-6, atol=1e-7)
    direction = np.linspace(1, 2, x.size)
    _, (tangent,) = jvp_flat(lambda x: [adopted(x)], [x], [direction])
    assert np.allclose(tangent, slope @ direction, rtol=1e-6, atol=1e-7)


# ── functions of users' modules ───────────────────────────────────────────────

FUNCTIONS = [
    numerics.filled,
    numerics.stacked,
    numerics.line,
    numerics.matrix,
    numerics.oscillation,
    numerics.listed,
    numerics.imported_inside,
    numerics.generated,
    numerics.recursive,
    numerics.mutual,
    numerics.simulated,
    numerics.typed,
    physics.energy,
    physics.spring,
    decorated.loss,
    decorated.cached,
    decorated.partial,
    decorated.dispatched,
    decorated.managed,
    decorated.vectorized,
    decorated.defaults,
    decorated.bound_method,
    models.by_instance,
    models.by_class,
    models.by_data,
    models.by_local_class,
    models.by_pattern,
    specials.log_density,
    specials.solve,
    stateful.registering,
    stateful.deleting,
    stateful.writing_generator,
]


@pytest.mark.parametrize("fun", FUNCTIONS, ids=lambda f: f.__qualname__)
def test_users_functions(fun):
    check(fun)


PATTERNS = [
    patterns.protocols,
    patterns.singleton,
    patterns.dataclass_tools,
    patterns.abstract_generic,
    patterns.left_alone,
    patterns.special_containers,
    patterns.diamonds_and_mixins,
    patterns.slots_by_inheritance,
    patterns.iterators,
    patterns.graphs,
    patterns.local_definitions,
    patterns.patterns_match,
    patterns.variadic,
    patterns.creation,
]


@pytest.mark.parametrize("fun", PATTERNS, ids=lambda f: f.__qualname__)
def test_patterns(fun):
    check(fun)
    gradient = wg.grad(fun)
    curvature = differences(lambda x: gradient(x) @ X, h=1e-5)
    assert np.allclose(wg.hessian(fun)(X) @ X, curvature, rtol=1e-5, atol=1e-5)
    if fun is not patterns.iterators:  # which compares values
        assert np.allclose(wg.vmap(gradient)(np.stack([X, 2 * X])), [gradient(X), gradient(2 * X)])


def test_descriptors_are_named_once():
    adopt(patterns.protocols)(X)
    assert patterns.Described.owners == ["Number"]


def test_it_can_be_switched_off():
    with pytest.raises(WengertError, match="adopt"):
        wg.grad(numerics.filled, adopt=False)(X)


def test_network_of_layers():
    check(models.by_network, X[:2])


def test_unadopted_raises():
    """What adoption is for: none of these loses a derivative silently without it."""
    for fun in (numerics.filled, numerics.stacked, numerics.line, decorated.loss):
        with pytest.raises((WengertError, TypeError, ValueError)):
            value_and_gradient(fun)


def test_modules_are_untouched():
    before = {m: dict(vars(m)) for m in (numerics, physics, models, np, math)}
    for fun in FUNCTIONS[:14]:
        adopt(fun)(X)
    for module, names in before.items():
        assert {k: id(v) for k, v in vars(module).items()} == {k: id(v) for k, v in names.items()}
    assert numerics.np is np and numerics.zeros is np.zeros and numerics.e is math.exp


# ── functions ─────────────────────────────────────────────────────────────────


def test_metadata():
    made = adopt(decorated.loss)
    assert made is not decorated.loss
    for name in ("__name__", "__qualname__", "__doc__", "__module__", "__wrapped__", "__annotations__"):
        assert getattr(made, name) == getattr(decorated.loss, name)
    assert inspect.signature(made) == inspect.signature(decorated.loss)
    assert inspect.getsource(made) == inspect.getsource(decorated.loss)
    assert original_of(made) is decorated.loss


def test_the_same_counterpart():
    assert adopt(numerics.filled) is adopt(numerics.filled)
    assert adopt(adopt(numerics.filled)) is adopt(numerics.filled)
    local = make_power(2.0)
    assert adopt(local) is adopt(local)


def make_power(p):
    def power(x):
        return math.pow(x[0], p)

    return power


def test_function_attributes_are_shared():
    before = decorated.loss.calls
    adopt(decorated.loss)(X)
    assert decorated.loss.calls == before + 1


def test_closures():
    a, fill = 2.0, np.zeros

    def fun(x):
        out = fill(2)
        out[0] = math.sin(x[0]) * a
        return out.sum()

    check(fun)
    a = 3.0  # the cell is shared
    assert adopt(fun)(X) == math.sin(X[0]) * 3.0


def test_nonlocal_cells_stay_shared():
    step, read = stateful.make_counter()
    adopt(step)(X)
    adopt(step)(X)
    assert read() == 2
    n = 0

    def fun(x):
        nonlocal n
        n += 1
        return math.sin(x[0])

    adopt(fun)(X)
    assert n == 1


def test_recursive_closure_and_a_cell_filled_later():
    def power(x, n):
        return 1.0 if n == 0 else math.sin(x[0]) * power(x, n - 1)

    def fun(x):
        return power(x, 3)

    check(fun)

    def early(x):
        return later(x) * math.exp(x[1])

    adopted = adopt(early)
    with pytest.raises(NameError):
        adopted(X)

    def later(x):
        return math.cos(x[0])

    check(early)


def test_two_closures_share_a_replaced_cell():
    def make():
        step = math.sin

        def use(x):
            return step(x[0])

        def change():
            nonlocal step
            step = math.cos

        def run(x):
            first = use(x)
            change()
            return first * use(x)

        return run

    value, gradient = value_and_gradient(adopt(make()))
    assert np.isclose(value, math.sin(0.6) * math.cos(0.6)) and np.isclose(gradient[0], math.cos(1.2))


def test_lambdas_defaults_and_keywords():
    check(lambda x: math.sin(x[0]) * x[1])
    check(lambda x, f=math.exp, *, g=np.array: g([f(v) for v in x]).sum())
    check(lambda x: decorated.defaults(x, math.cos, g=math.tanh))
    check(lambda x: sum(sorted([math.exp(v) for v in x], key=lambda v: float(np.ndim(v)))))


def test_generators_and_coroutines():
    def gen(x):
        for v in x:
            yield math.exp(v)

    assert inspect.isgeneratorfunction(adopt(gen))

    async def later(x):
        return math.sin(x[0])

    def fun(x):
        try:
            later(x).send(None)
        except StopIteration as stop:
            return stop.value * sum(gen(x))

    check(fun)
    assert inspect.iscoroutinefunction(adopt(later))


def test_partials_and_methods():
    check(functools.partial(decorated.defaults, f=math.tan))
    check(functools.partial(functools.partial(decorated.defaults), f=math.tan, g=math.exp))
    check(models.derived.value)
    check(models.derived)
    check(models.Derived(0.3, 0.4).__call__)
    check(functools.partial(models.Derived.value, models.derived))


def test_builtins_and_libraries_are_left_alone():
    for obj in (len, sum, print, functools.reduce, inspect.signature, np.random.default_rng, 3, "x", None, X, [1, 2]):
        assert adopt(obj) is obj
    assert adopt(np) is not np and adopt(math.sin) is not math.sin
    with pytest.raises(WengertError, match="float"):
        value_and_gradient(adopt(lambda x: float(x[0]) * 2.0))


def test_wrappers_from_libraries_hold_adopted_functions():
    """A library's decorator closes over the user's function; its own globals stay what they are."""
    made = adopt(decorated.bracket)
    assert made.__globals__ is decorated.bracket.__globals__ and made is not decorated.bracket


def test_tracebacks_show_the_users_line():
    def fun(x):
        return math.log(x[0] - 1.0)

    try:
        value_and_gradient(adopt(fun))
    except ValueError as error:
        last = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == __file__][-1]
        assert last.name == "fun" and "math.log" in last.line
    else:
        pytest.fail("math.log of a negative number")


def test_cached_functions_keep_no_tensor():
    calls = []

    @functools.lru_cache(maxsize=64)
    def weight(n):
        calls.append(n)
        return theta[0] * weight(n - 1) if n else np.zeros(2) + math.sin(theta[1])

    theta = X
    made = None

    def fun(x):
        nonlocal theta, made
        theta = x
        out = weight(6).sum() + weight(6).sum()
        made = weakref.ref(weight(3))
        theta = X
        return out

    adopted = adopt(fun)
    _, gradient = value_and_gradient(adopted)
    assert len(calls) == 7, "cached within the trace"
    want = differences(lambda x: 4 * x[0] ** 6 * math.sin(x[1]))
    assert np.allclose(gradient, want, atol=1e-8)
    gc.collect()
    assert made() is None, "dropped with the trace"
    value_and_gradient(adopted)
    assert len(calls) == 14
    assert weight.cache_info().currsize == 0 and adopt(weight).cache_info() == weight.cache_info()
    assert type(weight(2)) is np.ndarray and type(adopt(weight)(2)) is np.ndarray


def test_cached_function_in_an_inner_trace():
    @functools.cache
    def table():
        return np.array([scale[0] * 2.0])

    scale = X

    def fun(x):
        inner, _ = value_and_gradient(lambda y: table()[0] * y[0], X)
        return inner * x[0] + table()[0] * x[1]

    _, gradient = value_and_gradient(adopt(fun))
    assert np.allclose(gradient, [1.2 * 0.6, 1.2, 0])


# ── globals ───────────────────────────────────────────────────────────────────


def console(source, **names):
    """A namespace as a notebook's or console's: code without a module."""
    namespace = {"__name__": "__main__", "__builtins__": __builtins__, **names}
    exec(compile(source, "<ipython-input-1>", "exec"), namespace)
    return namespace


def test_console_definitions_and_redefinitions():
    cell = console("import math\nimport numpy as np\nK = 2.0\ndef f(x): return helper(x) * K")
    f = cell["f"]
    adopted = adopt(f)
    with pytest.raises(NameError):
        adopted(X)
    exec("def helper(x): return np.array([math.sin(x[0]), x[1]]).sum()", cell)
    check(f)
    exec("def helper(x): return math.exp(x[0])\nK = 5.0", cell)
    check(f)
    assert adopt(f)(X) == 5.0 * math.exp(0.6)
    del cell["helper"]
    with pytest.raises(NameError):
        adopt(f)(X)
    exec("helper = np.linalg.norm\nsum = None", cell)
    check(f)
    exec("import math as np\ndef helper(x): return np.sin(x[0])", cell)
    check(f)


def test_a_name_that_hides_a_builtin():
    cell = console("import math\ndef f(x): return max(x[0], x[1])")
    assert adopt(cell["f"])(X) == 1.3
    exec("def max(a, b): return math.exp(a)", cell)
    check(cell["f"])
    del cell["max"]
    assert adopt(cell["f"])(X) == 1.3


def test_autoreload_replaces_code_in_place():
    cell = console("import math\ndef helper(x): return math.sin(x[0])\ndef f(x): return helper(x)")
    check(cell["f"])
    cell["helper"].__code__ = console("import math\ndef helper(x): return math.cos(x[0])")["helper"].__code__
    check(cell["f"])
    cell["f"].__code__ = (lambda x: math.tan(x[1])).__code__
    check(cell["f"])
    cell["f"].__defaults__ = (X,)
    assert adopt(cell["f"])() == math.tan(1.3)


def test_eval_and_dynamic_names():
    cell = console(
        "import math\ndef helper(x): return math.sin(x[0])\n"
        "def f(x): return eval('helper(x)') * globals()['math'].exp(x[1])\n"
    )
    check(cell["f"])

    def dynamic(x):
        return getattr(numerics, "fil" + "led")(x) + getattr(physics.numerics, "RA" + "TE")

    check(dynamic)


def test_doctest():
    source = """
    >>> import math
    >>> import numpy as np
    >>> def f(x):
    ...     return np.array([math.sin(x), x]).sum()
    >>> round(float(adopt(f)(0.5)), 6)
    0.979426
    >>> [g] = vjp_flat(lambda x: [adopt(f)(x)], [0.5])[1]([1.0])
    >>> round(float(g), 6)
    1.877583
    """
    test = doctest.DocTestParser().get_doctest(source, {"adopt": adopt, "vjp_flat": vjp_flat}, "doc", None, 0)
    assert doctest.DocTestRunner().run(test).failed == 0


def test_written_globals_reach_the_module():
    stateful.count, stateful.last = 10, None
    stateful.history.clear()
    stateful.memory.clear()
    adopted = adopt(stateful.counting)
    value, gradient = value_and_gradient(adopted)
    assert np.isclose(value, 11 * math.sin(0.6)) and np.isclose(gradient[0], 11 * math.cos(0.6))
    assert stateful.count == 11 and stateful.last is math.sin
    assert stateful.history == [11] and stateful.memory == {"calls": 1}
    stateful.count = 100
    assert adopted(X) == 101 * math.sin(0.6)
    assert adopt(stateful.counting)(X) == 102 * math.sin(0.6)
    assert stateful.count == 102
    stateful.count = 0
    value_and_gradient(adopt(stateful.writing_generator))
    assert stateful.count == 3, "carried over at the end of the trace"
    assert not hasattr(stateful, "temporary")
    with pytest.raises(TypeError):
        adopt(stateful.deleting)(types.SimpleNamespace())
    assert not hasattr(stateful, "temporary")


def test_modules_as_objects():
    shadow = adopt(numerics)
    assert inspect.ismodule(shadow) and shadow.__name__ == numerics.__name__
    assert shadow.np is adopt(np) and shadow.RATE == 3.0 and "filled" in dir(shadow)
    check(numerics.filled, adopted=shadow.filled)

    def fun(x):
        numerics.RATE = 4.0
        return numerics.filled(x)

    try:
        assert adopt(fun)(X) == 4.0 * np.sin(X).sum()
        assert numerics.RATE == 4.0
    finally:
        numerics.RATE = 3.0
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        shadow.nothing


def test_library_on_demand(tmp_path, monkeypatch):
    folder = tmp_path / "site-packages"
    folder.mkdir()
    (folder / "installed_physics.py").write_text("import math\ndef f(x):\n    return math.sin(x[0])\n")
    monkeypatch.syspath_prepend(str(folder))
    module = importlib.import_module("installed_physics")

    def fun(x):
        return module.f(x)

    with pytest.raises(WengertError):
        value_and_gradient(adopt(fun))
    adopt(module)
    check(fun)
    check(module.f)


# ── containers ────────────────────────────────────────────────────────────────


def test_changes_to_containers_reach_the_user():
    fns, table, kinds, data = [math.sin], {"f": math.sin}, {math.sin}, [1, 2]

    def fun(x):
        fns.append(math.cos)
        fns.extend(f for f in [math.tan])
        fns[0] = math.exp
        fns.insert(0, math.tanh)
        fns.pop()
        fns.remove(math.exp)
        table["g"] = math.cos
        table.update({"h": math.exp}, i=math.tan)
        del table["f"]
        table.setdefault("j", math.sin)
        table.pop("i")
        kinds.add(math.cos)
        kinds.discard(math.sin)
        data.append(3)
        return fns[-1](x[0]) * table["g"](x[1])

    value, gradient = value_and_gradient(adopt(fun))
    assert np.isclose(value, math.cos(0.6) * math.cos(1.3)) and np.isclose(gradient[0], -math.sin(0.6) * math.cos(1.3))
    assert fns == [math.tanh, math.cos] and kinds == {math.cos} and data == [1, 2, 3]
    assert table == {"g": math.cos, "h": math.exp, "j": math.sin}
    assert type(fns) is list and type(table) is dict


def test_containers_are_read_again():
    layers = []

    def fun(x):
        return sum(f(x[0]) for f in layers)

    assert adopt(fun)(X) == 0
    layers.append(math.sin)
    check(fun)
    layers.append(math.exp)
    check(fun)
    layers[:] = [np.cos, lambda v: math.tan(v)]
    check(fun)
    layers.clear()
    assert adopt(fun)(X) == 0


def test_frozen_containers_and_namespaces():
    ns = types.SimpleNamespace(f=math.sin, n=0)
    nested = ({"fs": [(math.exp, "exp")]}, frozenset({math.cos}))

    def fun(x):
        ns.n = ns.n + 1
        (cos,) = nested[1]
        return ns.f(x[0]) * nested[0]["fs"][0][0](x[1]) * cos(x[2])

    check(fun)
    assert ns.n > 0 and vars(ns).keys() == {"f", "n"}


def test_data_is_left_as_it_is():
    big, config = list(range(10)), {"a": [1.0, 2.0], "b": X}

    def fun(x):
        assert big is originals[0] and config is originals[1]
        return math.sin(x[0]) * config["b"][0]

    originals = [big, config]
    check(fun)


# ── classes and instances ─────────────────────────────────────────────────────


def value_of(model):
    return lambda x: model.value(x)


def test_classes():
    made = adopt(models.Derived)
    assert made is not models.Derived and made is adopt(models.Derived)
    assert (made.__name__, made.__qualname__, made.__module__) == ("Derived", "Derived", models.__name__)
    assert made.__doc__ == models.Derived.__doc__
    instance, plain = made(1.0, 2.0), models.Derived(1.0, 2.0)
    assert type(instance) is made and isinstance(instance, models.Derived) and isinstance(instance, models.Base)
    assert isinstance(plain, made) and isinstance(plain, adopt(models.Base)) and not isinstance(3, made)
    assert (
        issubclass(made, models.Derived) and issubclass(models.Derived, made) and issubclass(made, adopt(models.Base))
    )
    assert adopt(plain) is adopt(plain) and type(adopt(plain)) is made and adopt(instance) is instance
    assert super(made, instance).value.__func__ is adopt(models.Base).value
    assert made.__mro__.index(object) < made.__mro__.index(models.Derived)


def test_no_side_effects_on_classes():
    before = list(models.subclasses)
    adopt(models.Derived)
    assert models.subclasses == before
    check(lambda x: models.Both().f(x))
    check(lambda x: models.Final().value(x))
    adopt(models.by_local_class)(X)
    assert models.subclasses == [*before, "Local"], "a class that adopted code defines is the user's"


def test_what_needs_no_adoption_is_left():
    for cls in (models.Plain, models.Mode, models.Trouble, models.Data):
        assert adopt(cls) is cls
    assert adopt(models.data) is models.data and adopt(models.Mode.FAST) is models.Mode.FAST


def test_attributes_of_instances():
    model = models.Derived(1.5, 2.0)
    shadow = adopt(model)
    assert vars(shadow) is vars(model)
    shadow.value(X)
    assert model.seen and model.log == [0]
    model.b = 7.0
    assert shadow.b == 7.0
    shadow.fresh = 1
    del shadow.seen
    assert model.fresh == 1 and not hasattr(model, "seen")
    assert adopt(model) is shadow


def test_nested_instances():
    check(models.network, X[:2])
    network = models.Network(models.Layer(np.array([0.5, 0.7])))
    shadow = adopt(network)
    assert isinstance(shadow.layers[0], models.Layer) and isinstance(shadow.layers, list)
    assert shadow.layers[0] is shadow.head is shadow.by_name["first"]
    calls = network.calls
    shadow(X[:2])
    assert network.calls == calls + 1 == shadow.calls
    new = models.Layer(np.array([0.1, 0.2]), math.sin)
    network.layers.append(new)
    check(network, X[:2])
    network.head = new
    check(network, X[:2])
    adopt(network).layers.append(new)
    assert network.layers[-1] is new
    vars(adopt(network))["extra"] = 3
    assert network.extra == 3 and type(vars(network)) is dict
    shadow = adopt(network)
    shadow.head = network.layers[0]
    assert network.head is network.layers[0]
    del shadow.head
    assert not hasattr(network, "head")


def test_an_attribute_that_comes_to_need_adoption():
    model = models.Pipeline(lambda v: v * 2)
    plain = models.Pipeline(len)

    def fun(x):
        return model.run(x).sum()

    check(fun)
    model.steps = (np.sin, lambda v: np.array([math.exp(v[0]), v[1]]))
    check(fun)
    assert adopt(plain).steps == (len,)


def test_pipeline_of_callables():
    check(lambda x: models.pipeline.run(x), X)


def test_parents_and_cycles():
    class Node:
        def __init__(self, parent=None):
            self.parent, self.children = parent, []
            self.me, self.method = self, self.value
            if parent:
                parent.children.append(self)

        def value(self, x):
            up = 1.0 if self.parent is None else math.exp(self.parent.a) * x[1]
            return math.sin(x[0]) * up + sum(c.value(x) for c in self.children)

        a = 0.5

    root = Node()
    Node(root), Node(root)
    check(value_of(root))
    shadow = adopt(root)
    assert shadow.me is shadow and shadow.children[0].parent is shadow and shadow.method.__self__ is shadow


@pytest.mark.parametrize(
    "model",
    [
        models.Frozen(1.5),
        models.Slotted(1.5),
        models.Slotted(1.5, models.Slotted(0.5)),
        models.Protocolled(),
        models.Closing(),
    ],
    ids=["frozen", "slotted", "nested", "protocolled", "closing"],
)
def test_kinds_of_instances(model):
    check(value_of(model))
    assert isinstance(adopt(model), type(model))


def test_more_kinds_of_instances():
    check(lambda x: models.Disc().cost(x))
    check(lambda x: models.Box[float](2.0).apply(x))
    pair = models.Pair(2.0, 3.0)
    check(lambda x: pair.blend(x))
    assert adopt(pair) == pair and isinstance(adopt(pair), models.Pair)
    with pytest.raises(TypeError, match="abstract"):
        adopt(models.Shape)()
    assert adopt(models.Frozen)(2.0) != models.Frozen(3.0) and adopt(models.Frozen)(2.0).scale == [2.0]


def test_slots_are_passed_on():
    child, model = models.Slotted(0.5), models.Slotted(1.5)
    model.child = child
    shadow = adopt(model)
    shadow.value(X)
    assert model.state == "used" and child.state == "used"
    shadow.w = 4.0
    del shadow.state
    assert model.w == 4.0 and not hasattr(model, "state")
    model.w = 5.0
    assert adopt(model).w == 5.0
    shadow.child = shadow.child
    assert model.child is child


def test_finalizers_run_once():
    model = models.Closing()
    closed = models.Closing.closed
    adopt(value_of(model))(X)
    gc.collect()
    assert models.Closing.closed == closed
    del model
    gc.collect()
    assert models.Closing.closed == closed + 1
    adopt(lambda: models.Closing())()
    gc.collect()
    assert models.Closing.closed == closed + 2, "made by adopted code"


def test_class_attributes():
    def fun(x):
        models.Base.made += 1
        return math.sin(x[0]) * models.Derived.scale * models.Derived.made

    models.Base.made = 0
    assert adopt(fun)(X) == math.sin(0.6) * 2.0
    assert models.Base.made == 1
    models.Base.scale = 3.0
    try:
        assert adopt(fun)(X) == math.sin(0.6) * 3.0 * 2
    finally:
        models.Base.scale = 2.0


def test_methods_replaced_on_a_class():
    class Model:
        def value(self, x):
            return math.sin(x[0])

        def other(self, x):
            return 0.0

    model = Model()
    check(value_of(model))
    Model.value = lambda self, x: math.cos(x[0]) + self.other(x)
    check(value_of(model))
    Model.other = lambda self, x: math.tan(x[1])
    check(value_of(model))
    del Model.other
    with pytest.raises(AttributeError):
        adopt(value_of(model))(X)


def test_user_setattr():
    class Checked:
        def __init__(self, f):
            self.f = f

        def __setattr__(self, name, value):
            object.__setattr__(self, name, value)
            object.__setattr__(self, "changed", name)

        def value(self, x):
            self.n = 1
            return self.f(math.sin(x[0]))

    model = Checked(math.exp)
    check(value_of(model))
    assert model.n == 1 and adopt(model).changed == "n"


def test_arguments():
    """Objects among the arguments, as a transform adopts them."""

    def fun(model, x):
        return model.value(x)

    model = models.Derived(1.5, 2.0)
    adopted = adopt(fun)
    check(value_of(model), adopted=lambda x: adopted(adopt(model), x))


def test_instances_that_extend_builtin_types_are_left():
    class Stack(list):
        def value(self, x):
            return math.sin(x[0])

    stack = Stack()
    assert adopt(stack) is stack
    with pytest.raises(WengertError):
        value_and_gradient(adopt(value_of(stack)))
    check(lambda x: Stack([1]).value(x))


# ── arrays in adopted code ────────────────────────────────────────────────────


def test_array_type():
    ours = adopt(np).ndarray
    seen = []

    def fun(x):
        seen.append(
            (isinstance(x, np.ndarray), isinstance(x[0], np.ndarray), isinstance(np.zeros(2), (np.ndarray, list)))
        )
        return x.sum()

    value_and_gradient(adopt(fun))
    assert seen == [(True, False, True)], "an element is a scalar, as in NumPy"
    assert isinstance(X, ours) and issubclass(np.ndarray, ours) and issubclass(np.matrix, ours) and type(X) == ours  # noqa: E721
    assert ours(3).shape == (3,) and not isinstance(1.0, ours) and issubclass(Tensor, ours)


def test_numpy_namespace():
    ours = adopt(np)
    assert ours.__name__ == "numpy" and ours.random is np.random and ours.pi == np.pi and ours.newaxis is None
    assert ours.float64 is np.float64 and ours.linalg.LinAlgError is np.linalg.LinAlgError
    assert adopt(np.linalg) is ours.linalg and ours.fft is adopt(np.fft)
    assert "zeros" in dir(ours) and ours.testing is np.testing
    with pytest.raises(AttributeError):
        ours.no_such_name
    assert ours.lib.stride_tricks is adopt(np.lib.stride_tricks)


# ── lifetimes, threads, costs ─────────────────────────────────────────────────


def test_nothing_is_kept_alive():
    def make(big):
        def fun(x):
            return math.sin(x[0]) * big[0]

        return fun

    big = np.zeros(10)
    gc.collect()
    gc.disable()
    try:
        fun = make(big)
        value_and_gradient(adopt(fun))
        refs = [weakref.ref(fun), weakref.ref(adopt(fun)), weakref.ref(big)]
        del fun, big
        assert [r() for r in refs] == [None] * 3
        model = models.Network(models.Layer(np.ones(2)))
        adopt(functools.partial(models.Network.__call__, model))(X[:2])
        refs = [weakref.ref(model), weakref.ref(model.layers[0]), weakref.ref(adopt(model))]
        del model
        assert [r() for r in refs] == [None] * 3
    finally:
        gc.enable()


def test_no_leak_through_cycles():
    class Fit:
        def __init__(self):
            self.data = np.ones(3)
            self.fun = lambda x: math.sin(x[0]) * self.data[0]

    fit = Fit()
    check(fit.fun)
    check(functools.partial(fit.fun))
    ref = weakref.ref(fit)
    del fit
    gc.collect()  # the counterparts
    gc.collect()  # and, with their plans gone, the originals
    assert ref() is None


def test_console_namespaces_are_freed():
    cell = console("import math\nclass Big: pass\nbig = Big()\ndef g(x): return math.sin(x[0])\ndef f(x): return g(x)")
    check(cell["f"])
    ref = weakref.ref(cell["big"])
    del cell
    gc.collect()
    assert ref() is None


def test_redefined_functions_are_freed():
    cell = console("import math\ndef g(x): return math.sin(x[0])\ndef f(x): return g(x)")
    adopted = adopt(cell["f"])
    ref = weakref.ref(cell["g"])
    exec("def g(x): return math.cos(x[0])", cell)
    assert adopt(cell["f"]) is adopted
    gc.collect()
    assert ref() is None


def test_threads():
    errors = []

    def work(k):
        try:
            for _ in range(20):
                local = models.Network(models.Layer(np.array([0.5, 0.1 * k])))
                fun = lambda x, local=local: local(x) * models.by_class(np.append(x, 1.0))
                _, gradient = value_and_gradient(adopt(fun), X[:2])
                assert np.allclose(gradient, differences(fun, X[:2]), rtol=1e-5, atol=1e-6)
                assert type(adopt(models.by_network)(X[:2])) is np.float64
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not errors, errors


def test_globals_stay_a_plain_dict():
    """Python reads globals fast from exact dicts only."""
    assert type(adopt(numerics.filled).__globals__) is dict
    assert type(adopt(np)) is types.ModuleType
