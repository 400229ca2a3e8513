"""Residuals on disk: the same gradients, and no file is left, whatever happens."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import wengert as wg
from wengert.transforms.checkpoint.offload import Disk, Page

P = wg.policies
X = np.random.default_rng(0).normal(size=(40, 40))


def f(x):
    y = np.tanh(x)
    return np.sum(np.sin(np.exp(y).T @ x) * y)


def watched(folder, policy, files):
    """`f` under the policy, which notes how many files there are after its first run."""

    def loss(x):
        out = wg.checkpoint(f, policy=policy)(x)
        files.append(len(os.listdir(folder)))
        return out

    return loss


@pytest.mark.parametrize("compress", [False, True, "zlib", "lzma"])
def test_gradients_and_files(tmp_path, compress):
    files = []
    loss = watched(tmp_path, P.offload(tmp_path, P.contractions | P.cheaper_than(1), compress=compress), files)
    np.testing.assert_array_equal(wg.grad(loss)(X), wg.grad(f)(X))
    assert files[0] >= 3 and os.listdir(tmp_path) == []
    np.testing.assert_allclose(
        wg.grad(lambda x: np.sum(wg.grad(loss)(x) ** 2))(X),
        wg.grad(lambda x: np.sum(wg.grad(f)(x) ** 2))(X),
        rtol=1e-12,
    )
    both = np.stack([X, 2 * X])
    np.testing.assert_allclose(wg.vmap(wg.grad(loss))(both), wg.vmap(wg.grad(f))(both), rtol=1e-12)
    assert os.listdir(tmp_path) == []


def test_memory_holds_no_kept_value(tmp_path):
    in_memory = wg.saved_residuals(wg.checkpoint(f, policy=P.everything), X)
    on_disk = wg.saved_residuals(wg.checkpoint(f, policy=P.offload(tmp_path)), X)
    assert in_memory.beyond_arguments >= 5 * X.nbytes
    assert on_disk.beyond_arguments <= 8  # the sum
    assert os.listdir(tmp_path) == []


def test_a_persistent_tape_reads_them_as_often_as_it_is_asked(tmp_path):
    with wg.GradientTape(persistent=True) as tape:
        x = tape.watch(X)
        y = wg.checkpoint(f, policy=P.offload(tmp_path))(x)
    first, second = tape.gradient(y, x), tape.gradient(y, x)
    np.testing.assert_array_equal(first, second)
    assert os.listdir(tmp_path)
    del tape, x, y
    assert os.listdir(tmp_path) == []


def test_a_tape_that_dies_unused(tmp_path):
    with wg.GradientTape() as tape:
        wg.checkpoint(f, policy=P.offload(tmp_path))(tape.watch(X))
    assert os.listdir(tmp_path)
    del tape
    gc.collect()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("where", ["after", "within", "in the second run"])
def test_exceptions(tmp_path, where):
    runs = []

    def g(x):
        runs.append(1)
        y = np.exp(np.tanh(x)) @ x
        if where == "within" or (where == "in the second run" and len(runs) == 2):
            raise KeyError("on purpose")
        return np.sum(np.sin(y))

    def loss(x):
        out = wg.checkpoint(g, policy=P.offload(tmp_path))(x)
        if where == "after":
            raise KeyError("on purpose")
        return out

    with pytest.raises(KeyError):
        wg.grad(loss)(X)
    gc.collect()
    assert os.listdir(tmp_path) == []


def test_a_process_that_ends_leaves_nothing(tmp_path):
    code = f"""
import numpy as np, os, sys
import wengert as wg
tape = wg.GradientTape()
tape.__enter__()
x = tape.watch(np.ones((40, 40)))
y = wg.checkpoint(lambda x: np.sum(np.exp(np.tanh(x)) @ x), policy=wg.policies.offload({str(tmp_path)!r}))(x)
print(len(os.listdir({str(tmp_path)!r})))
{{}}
"""
    for ending in ("sys.exit(3)", "raise KeyError", "pass"):
        done = subprocess.run([sys.executable, "-c", code.format(ending)], capture_output=True, text=True, timeout=60)
        assert int(done.stdout) >= 3, done.stderr
        assert os.listdir(tmp_path) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_forked_process_reads_its_parents_files_and_deletes_none(tmp_path):
    with wg.GradientTape(persistent=True) as tape:
        x = tape.watch(X)
        y = wg.checkpoint(f, policy=P.offload(tmp_path))(x)
    before = sorted(os.listdir(tmp_path))
    child = os.fork()
    if child == 0:
        same = np.array_equal(tape.gradient(y, x), wg.grad(f)(X))
        del tape, x, y
        gc.collect()
        os._exit(0 if same else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert sorted(os.listdir(tmp_path)) == before
    np.testing.assert_array_equal(tape.gradient(y, x), wg.grad(f)(X))


def test_threads(tmp_path):
    want, wrong = wg.grad(f)(X), []

    def work():
        for _ in range(5):
            got = wg.grad(wg.checkpoint(f, policy=P.offload(tmp_path)))(X)
            if not np.array_equal(got, want):
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong and os.listdir(tmp_path) == []


@pytest.mark.parametrize("compress", ["", "zlib"])
@pytest.mark.parametrize(
    "array",
    [
        np.arange(6000.0).reshape(20, 30, 10),
        np.asfortranarray(np.arange(6000.0).reshape(20, 30, 10)),
        np.arange(6000.0).reshape(20, 30, 10).transpose(2, 0, 1),
        np.arange(12000.0).reshape(20, 60, 10)[:, ::2],
        np.arange(6000) + 1j,
        np.arange(6000) % 2 == 0,
        np.arange(3000, dtype=np.float32),
    ],
)
def test_a_page_gives_back_values_and_layout(tmp_path, compress, array):
    page = Disk(str(tmp_path), compress).put(array)
    assert type(page) is Page and page.nbytes == array.nbytes
    found = page.fetch()
    assert found.dtype == array.dtype and not found.flags.writeable
    np.testing.assert_array_equal(found, array)
    dense = array.copy(order="K")
    assert found.strides == dense.strides


def test_dtypes_that_the_format_does_not_know(tmp_path):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    array = np.arange(5000).astype(ml_dtypes.bfloat16)
    for compress in ("", "zlib"):
        found = Disk(str(tmp_path), compress).put(array).fetch()
        assert found.dtype == array.dtype and (found == array).all()


def test_small_values_stay_in_memory(tmp_path):
    value = np.ones(10)
    assert Disk(str(tmp_path)).put(value) is value


def test_combined_with_another_policy(tmp_path):
    """The first policy that keeps a value says where it goes."""

    def g(x):
        return np.sum(wg.name(np.tanh(x), "memory") * np.exp(wg.name(np.sin(x), "disk")))

    files = []

    def loss(x):
        policy = P.names("memory") | P.offload(tmp_path, P.names("disk"))
        out = wg.checkpoint(g, policy=policy)(x)
        files.append(len(os.listdir(tmp_path)))
        return out

    np.testing.assert_array_equal(wg.grad(loss)(X), wg.grad(g)(X))
    assert files == [1]


def test_a_file_that_somebody_deleted(tmp_path):
    with wg.GradientTape() as tape:
        x = tape.watch(X)
        y = wg.checkpoint(f, policy=P.offload(tmp_path))(x)
    for name in os.listdir(tmp_path):
        os.unlink(tmp_path / name)
    with pytest.raises(wg.errors.WengertError, match="cannot be read back"):
        tape.gradient(y, x)


def test_compiled_programs_refuse_and_name_the_way_that_works(tmp_path):
    with pytest.raises(wg.errors.WengertError, match="save_on_disk"):
        wg.jit(wg.grad(wg.checkpoint(f, policy=P.offload(tmp_path))))(X)
    with wg.save_on_disk(tmp_path, least=1):
        got = wg.grad(wg.jit(f))(X)
    np.testing.assert_allclose(got, wg.grad(f)(X), rtol=1e-10)
    assert os.listdir(tmp_path) == []


def test_refusals(tmp_path):
    with pytest.raises(wg.errors.WengertError, match="existing folder"):
        P.offload(tmp_path / "none")
    with pytest.raises(wg.errors.WengertError, match="zlib"):
        P.offload(tmp_path, compress="zip")
