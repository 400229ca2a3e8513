"""Patterns of Python at large, each of which must survive adoption."""

import abc
import collections
import contextlib
import copy
import dataclasses
import enum
import functools
import itertools
import math
import operator
import types
import typing
import weakref

import numpy as np
from numpy import ones, zeros


class Memo:
    def __init__(self, f):
        self.f = f
        self.n = 0
        functools.update_wrapper(self, f)

    def __call__(self, *a):
        self.n += 1
        return self.f(*a)

    def __get__(self, o, c=None):
        return self if o is None else types.MethodType(self, o)


@Memo
def memoed(x):
    return math.sin(x[0])


class Described:
    def __set_name__(self, owner, name):
        self.name = "_" + name
        Described.owners = [*getattr(Described, "owners", []), owner.__name__]

    def __get__(self, o, c=None):
        return self if o is None else math.exp(getattr(o, self.name))

    def __set__(self, o, v):
        setattr(o, self.name, v)


@functools.total_ordering
class Number:
    v = Described()

    def __init__(self, v):
        self.v = v

    def __eq__(self, o):
        return isinstance(o, Number) and self._v == o._v

    def __hash__(self):
        return hash(self._v)

    def __lt__(self, o):
        return self._v < o._v

    def __add__(self, o):
        return Number(math.log(self.v) + o._v) if isinstance(o, Number) else NotImplemented

    def __radd__(self, o):
        return self

    def __getattr__(self, n):
        if n == "lazy":
            return math.cos(self._v)
        raise AttributeError(n)

    def __iter__(self):
        yield math.sin(self._v)
        yield 1.0

    def __getitem__(self, i):
        return [*self][i]

    def __len__(self):
        return 2

    def __contains__(self, x):
        return x == 1

    def __enter__(self):
        return self

    def __exit__(self, *a):
        return False

    @Memo
    def memo(self, x):
        return x[0] * math.sqrt(self._v)

    @functools.singledispatchmethod
    def disp(self, x):
        return math.tan(self._v)

    @disp.register
    def _(self, x: np.ndarray):
        return math.sin(x[0]) * self._v

    @disp.register
    def _(self, x: str):
        return 1.0

    twice = functools.partialmethod(lambda self, k, x: k * math.sin(x[0]) + self._v, 2.0)

    class Inner:
        def f(self, x):
            return math.exp(x[0])


NUM = Number(2.0)
NUM2 = Number(3.0)


def protocols(x):
    with NUM as n:
        s = 0 + NUM + NUM2
        assert (
            Number(1.0) < Number(2.0)
            and Number(1.0) == Number(1.0)
            and len({Number(1.0), Number(1.0)}) == 1
            and NUM < NUM2
            and Number(0.0) <= NUM
        )
        return (
            n.memo(x)
            + n.disp(x)
            + n.disp("a")
            + n.disp(x[1])
            + NUM.twice(x)
            + Number.Inner().f(x)
            + NUM.Inner().f(x)
            + s.lazy * memoed(x)
            + next(iter(NUM))
            + NUM[0]
            + sum(NUM)
            + x[1] * (1.0 in NUM)
        )


class Single:
    _i = None

    def __new__(cls, *a):
        if cls._i is None:
            cls._i = super().__new__(cls)
            cls._i.k = math.sqrt(4.0)
        return cls._i

    def f(self, x):
        return self.k * math.sin(x[0])


def singleton(x):
    a = Single()
    b = Single()
    assert a is b
    return a.f(x)


@dataclasses.dataclass(order=True)
class P0:
    a: float = 1.0

    def f(self, x):
        return self.a * math.sin(x[0])


@dataclasses.dataclass(order=True)
class P1(P0):
    b: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(2))

    def __post_init__(self):
        self.c = math.exp(self.a)

    def f(self, x):
        self.b[0] = x[1]
        return super().f(x) + self.c * np.sum(self.b)


PP = P1(2.0)


def dataclass_tools(x):
    p = P1(2.0)
    q = dataclasses.replace(P0(3.0), a=2.0)
    d = dataclasses.asdict(P0(2.0))
    c = copy.copy(P0(4.0))
    e = copy.deepcopy(PP0)
    assert P0(1.0) < P0(2.0) and P0(1.0) == P0(1.0) and P0(5.0) == PP0
    return p.f(x) + q.f(x) * d["a"] + c.f(x) * e.f(x)


PP0 = P0(5.0)
T = typing.TypeVar("T")


class AG(abc.ABC, typing.Generic[T]):
    @property
    @abc.abstractmethod
    def k(self): ...
    @abc.abstractmethod
    def g(self, x): ...
    def f(self, x):
        return self.g(x) * self.k


class AGI(AG[float]):
    def __init__(self):
        self._k = 1.0

    @property
    def k(self):
        return math.sqrt(self._k)

    @k.setter
    def k(self, v):
        self._k = v

    def g(self, x):
        return math.sin(x[0])


agi = AGI()


def abstract_generic(x):
    agi.k = 9.0
    assert isinstance(agi, AG) and issubclass(AGI, AG)
    b = AGI()
    b.k = 4.0
    return agi.f(x) + b.f(x)


class Meta(type):
    def __new__(m, n, b, ns):
        return super().__new__(m, n, b, ns)


class Metaed(metaclass=Meta):
    def f(self, x):
        return x[0] * 2


class Color(enum.Enum):
    R = 1

    def f(self):
        return self.value


def left_alone(x):
    return Metaed().f(x) * math.sin(x[1]) * Color.R.f()


OPS = collections.OrderedDict(a=lambda v: v * 2)
DD = collections.defaultdict(list)


def special_containers(x):
    DD["a"].append(1)
    z = zeros(2)
    z[0] = x[0]
    z += ones(2)
    return sum(z) * OPS["a"](x[1]) + reduce_(x)


def reduce_(x):
    return functools.reduce(operator.add, itertools.accumulate(map(math.sin, x)), 0.0)


class A:
    def f(self, x):
        return [math.sin(x[0])]


class B(A):
    def f(self, x):
        return super().f(x) + [math.cos(x[0])]


class C(A):
    def f(self, x):
        return super().f(x) + [math.exp(x[0])]


class D(B, C):
    def f(self, x):
        return super().f(x) + [math.tan(x[0])]


class Mix:
    def f(self, x):
        return super().f(x) if hasattr(super(), "f") else [math.atan(x[0])]


class E1(Mix):
    pass


class E2(Mix, D):
    pass


def diamonds_and_mixins(x):
    return sum(D().f(x)) + E1().f(x)[0] + sum(E2().f(x)) + sum(B.f(D(), x)) + sum(A().f(x))


class SBase:
    __slots__ = ("a",)

    def __init__(self, a):
        self.a = a

    def f(self, x):
        return math.sin(x[0]) * self.a


class SSub(SBase):
    __slots__ = ("b",)

    def __init__(self, a, b):
        super().__init__(a)
        self.b = b

    def f(self, x):
        self.b = self.b + 0.0
        return super().f(x) + math.exp(x[1]) * self.b


class SDict(SBase):
    def f(self, x):
        self.extra = 1
        return SBase.f(self, x) * 2


ss = SSub(1.0, 2.0)
sd = SDict(3.0)


def slots_by_inheritance(x):
    return ss.f(x) + sd.f(x) + SSub(2.0, ss.b).f(x)


class It:
    def __init__(self, x):
        self.x = x
        self.i = 0

    def __iter__(self):
        return self

    def __next__(self):
        if self.i >= 2:
            raise StopIteration
        self.i += 1
        return math.exp(self.x[self.i - 1])


def iterators(x):
    return sum(It(x)) * max(map(math.sin, x))


class Graph:
    def __init__(self):
        self.nodes = []
        self.par = weakref.ref(self)

    def add(self, n):
        self.nodes.append(n)
        n.g = self
        return self

    def f(self, x):
        return sum(n.f(x) for n in self.nodes)


class GNode:
    def __init__(self, k):
        self.k = k

    def f(self, x):
        return math.sin(x[0]) * self.k * len(self.g.nodes)


graph = Graph().add(GNode(1.0)).add(GNode(2.0))


def graphs(x):
    g = Graph().add(GNode(1.0))
    return graph.f(x) * g.f(x)


def local_definitions(x):
    def deco(f):
        @functools.wraps(f)
        def w(*a):
            return f(*a) * math.sqrt(2.0)

        return w

    @deco
    def inner(y):
        return math.sin(y)

    class L:
        k = math.sqrt(9.0)
        z = np.zeros(2)

        @staticmethod
        @deco
        def s(y):
            return math.cos(y) * L.k

    import math as mm
    from math import tan as tt

    gen = (mm.exp(v) for v in x)
    with np.errstate(all="ignore"), contextlib.suppress(ZeroDivisionError):
        raise ZeroDivisionError
    return inner(x[0]) + L.s(x[1]) + tt(x[0]) + sum(gen)


def patterns_match(x):
    match agi:
        case AGI(k=k):
            return math.sin(x[0]) * k


def variadic(x, *, _c=(math.sin,)):
    assert _c[0](0.0) == 0.0

    def f(*a, **k):
        return np.array([*a]).sum() * math.prod(k.values())

    return f(*x, s=math.sin(x[0]), t=2.0)


def creation(x):
    y = np.asarray(x)
    z = np.zeros_like(y)
    z[...] = y
    w = np.full(3, x[0])
    m = np.eye(3)
    m[0] = x
    v = np.array([[x[0], 1], [2, x[1]]])
    q = np.linspace(x[0], 1, 4)
    r = np.arange(3.0)
    r[1:] = x[:2]
    h = np.empty((2, 2))
    h[:, 0] = x[:2]
    h[:, 1] = 1
    return float_sum(z, w, m, v, q, r, h)


def float_sum(*a):
    return sum(np.sum(b**2) for b in a)
