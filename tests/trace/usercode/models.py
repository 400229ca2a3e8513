import abc
import dataclasses
import enum
import functools
import math
from typing import Generic, NamedTuple, Protocol, TypeVar

import numpy as np

T = TypeVar("T")
subclasses = []


class Base:
    scale = 2.0
    made = 0

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        subclasses.append(cls.__name__)

    def __init__(self, a):
        self.a = a
        self.log = []

    def value(self, x):
        return math.sin(x[0]) * self.a

    def __repr__(self):
        return f"{type(self).__name__}({self.a})"


class Derived(Base):
    def __init__(self, a, b):
        super().__init__(a)
        self.b = b

    def value(self, x):
        self.log.append(len(self.log))
        self.seen = True
        return super().value(x) * self.b + self.bias(x) + Derived.offset() + self.constant

    def bias(self, x):
        out = np.zeros(2)
        out[0] = x[1]
        return out.sum()

    @staticmethod
    def offset():
        return math.exp(0.0)

    @classmethod
    def build(cls, a):
        return cls(a, math.sqrt(4.0))

    @property
    def constant(self):
        return math.cos(self.a)

    @functools.cached_property
    def table(self):
        return np.array([self.a, math.exp(self.b)])

    def __call__(self, x):
        return self.value(x) * self.scale

    def __mul__(self, other):
        return Derived(self.a * math.sqrt(other), self.b)


@dataclasses.dataclass
class Layer:
    w: np.ndarray
    act: object = math.tanh

    def forward(self, x):
        out = np.empty(2)
        for i in range(2):
            out[i] = self.act(self.w[i] * x[i])
        return out


@dataclasses.dataclass(frozen=True, slots=True)
class Frozen:
    w: float
    name: str = "frozen"
    scale: list = dataclasses.field(default_factory=lambda: [math.sqrt(4.0)])

    def value(self, x):
        return math.sin(x[0] * self.w) * self.scale[0]


class Slotted:
    __slots__ = ("child", "state", "w")

    def __init__(self, w, child=None):
        self.w, self.child = w, child

    def value(self, x):
        self.state = "used"
        return math.sin(x[0]) * self.w + (0.0 if self.child is None else self.child.value(x))


class Network:
    def __init__(self, *layers):
        self.layers = list(layers)
        self.head = layers[0]
        self.by_name = {"first": layers[0]}
        self.calls = 0

    def __call__(self, x):
        self.calls += 1
        for layer in self.layers:
            x = layer.forward(x)
        return x.sum() * self.head.forward(x)[0] + self.by_name["first"].forward(x)[1]


class Pipeline:
    """No code here mentions NumPy; what it holds does."""

    def __init__(self, *steps):
        self.steps = steps

    def run(self, x):
        for step in self.steps:
            x = step(x)
        return x


class Shape(abc.ABC):
    @abc.abstractmethod
    def area(self, x): ...

    def cost(self, x):
        return math.exp(self.area(x))


class Disc(Shape):
    def area(self, x):
        return math.pi * x[0] ** 2 / 10


class Box(Generic[T]):
    def __init__(self, content: T):
        self.content = content

    def apply(self, x):
        return math.sin(x[0]) * self.content


class HasValue(Protocol):
    def value(self, x): ...


class Protocolled(HasValue):
    def value(self, x):
        return math.sin(x[0])


class Pair(NamedTuple):
    a: float
    b: float

    def blend(self, x):
        return math.sin(x[0]) * self.a + self.b


class Plain(NamedTuple):
    a: float


class Mode(enum.Enum):
    FAST = 1


class Trouble(Exception):
    pass


class Data:
    """Plain data: no code to adopt."""

    def __init__(self, n):
        self.n = n

    def double(self):
        return 2 * self.n


class Closing:
    closed = 0

    def value(self, x):
        return math.sin(x[0])

    def __del__(self):
        type(self).closed += 1


class Final:
    def __init_subclass__(cls):
        raise TypeError("final")

    def value(self, x):
        return math.sin(x[0])


class Left:
    def f(self, x):
        return math.sin(x[0])


class Right:
    def f(self, x):
        return math.cos(x[0])


class Both(Left, Right):
    def f(self, x):
        return super().f(x) * Right.f(self, x)


data = Data(3)
derived = Derived(1.5, 2.0)
network = Network(Layer(np.array([0.5, 0.7])), Layer(np.array([1.5, -0.4]), np.arctan))


def by_instance(x):
    return derived.value(x) + derived(x) + derived.table[1]


def by_class(x):
    model = Derived.build(1.2) * 4.0
    assert isinstance(model, Derived) and isinstance(model, Base) and type(model) is Derived
    assert isinstance(derived, Derived) and type(derived) is Derived
    assert repr(model).startswith("Derived(")
    return model.value(x)


def by_network(x):
    return network(x)


def by_data(x):
    assert type(data) is Data and isinstance(Mode.FAST, Mode)
    try:
        raise Trouble("expected")
    except Trouble:
        return math.sin(x[0]) * data.double() + Plain(2.0).a


def by_local_class(x):
    class Local(Base):
        def value(self, x):
            return super().value(x) + math.exp(x[1])

    return Local(2.0).value(x)


def by_pattern(x):
    match Pair(2.0, 3.0):
        case Pair(a, b):
            return math.sin(x[0]) * a + b


pipeline = Pipeline(np.sin, lambda v: np.array([math.exp(v[0]), v[1]]), np.sum)
