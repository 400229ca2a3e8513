"""Memory of dead results is reused; that of living ones never is."""

import gc
import threading

import numpy as np
import pytest

from wengert.runtime import blocks, engine, objects
from wengert.runtime.support import support

pytestmark = pytest.mark.skipif(bool(objects.supported()), reason=objects.supported())
N = 1 << 20  # doubles: 8 MB


def refused(*args):
    raise AssertionError(args)


@pytest.fixture(autouse=True)
def empty():
    support().set("blocks_limit", 512 << 20)
    blocks.release()
    assert blocks.blocks().held == 0
    yield
    blocks.release()
    support().set("blocks_limit", blocks.default())


def address(array):
    return array.__array_interface__["data"][0]


def test_a_dead_result_is_reused(made):
    f = engine.compile(made.twice(N)).entry(refused)
    x = np.ones(N)
    y = f(x)
    first = address(y)
    assert first % 64 == 0 and y.flags.owndata and y.base is None
    del y
    held = blocks.blocks().held
    assert 8 * N <= held < 8 * N + 128
    before = blocks.blocks().reused
    y = f(x)
    assert address(y) == first and blocks.blocks().held == 0 and blocks.blocks().reused == before + 1


def test_a_living_result_is_never_reused(made):
    f = engine.compile(made.twice(N)).entry(refused)
    rng = np.random.default_rng(0)
    alive = {}
    for step in range(60):
        y = f(np.full(N, float(step)))
        assert all(not np.shares_memory(y, other) for other in alive.values())
        alive[step] = y[::7] if step % 3 == 0 else y  # a view keeps the memory too
        del y
        if len(alive) > 5:
            del alive[rng.choice(list(alive))]
        for number, array in alive.items():
            assert (array == 2.0 * number).all()


def test_the_limit(made):
    support().set("blocks_limit", 20 << 20)
    f = engine.compile(made.twice(N)).entry(refused)
    results = [f(np.ones(N)) for _ in range(6)]
    results.clear()
    assert blocks.blocks().held <= 20 << 20
    support().set("blocks_limit", 0)
    f(np.ones(N))
    blocks.release()
    f(np.ones(N))
    assert blocks.blocks().held == 0


def test_other_sizes_push_dead_ones_out(made):
    """What is held and what lives stay together near what would live without blocks."""
    sizes = [N, 3 * N, 9 * N]
    fs = [engine.compile(made.twice(n)).entry(refused) for n in sizes]
    for f, n in zip(fs, sizes, strict=True):
        f(np.ones(n))
    assert blocks.blocks().held <= 8 * (9 * N + 64)


def test_arrays_behave(made):
    f = engine.compile(made.twice(N)).entry(refused)
    y = f(np.arange(float(N)))
    y.resize(2 * N, refcheck=False)
    assert y[N - 1] == 2.0 * (N - 1) and (y[N:] == 0).all()
    y.resize(10, refcheck=False)
    np.testing.assert_array_equal(y, 2 * np.arange(10.0))
    gc.collect()
    assert np.zeros(5).flags.owndata  # NumPy's own allocator is back
    from numpy._core.multiarray import get_handler_name

    assert get_handler_name(np.zeros(5)) == "default_allocator" and get_handler_name(y) == "wengert"


def test_too_large(made):
    """More than the address space: an error, and nothing lost."""
    aval = made.aval(1 << 45)
    f = engine.compile(made.lowered(made.doubled(1), [made.aval(1)], [aval])).entry(refused)
    for _ in range(3):
        with pytest.raises(MemoryError):
            f(np.ones(1))
    work = made.lowered(made.doubled(1), [made.aval(1)], [made.aval(1)], workspace=1 << 47)
    with pytest.raises(MemoryError):
        engine.compile(work).entry(refused)(np.ones(1))


def test_results_made_in_one_thread_die_in_another(made):
    f = engine.compile(made.twice(N)).entry(refused)
    wrong = []

    def call(seed):
        kept = []
        for step in range(40):
            value = 100.0 * seed + step
            kept.append((value, f(np.full(N, value))))
            if len(kept) > 3:
                value, y = kept.pop(step % 3)
                if not (y == 2 * value).all():
                    wrong.append(value)

    callers = [threading.Thread(target=call, args=(i,)) for i in range(3)]
    for c in callers:
        c.start()
    for c in callers:
        c.join()
    assert not wrong
