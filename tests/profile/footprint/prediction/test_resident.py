"""Predicted peaks against the memory of the process, of which the kernel keeps the largest: nobody's counts but its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import sys
import numpy as np
import wengert as wg

def loss(ws, x):
    for w in ws:
        x = np.tanh(x @ w)
    return (x ** 2).mean()

def status(name):
    return 1024 * next(int(row.split()[1]) for row in open("/proc/self/status") if row.startswith(name))

ws, x = [np.full((200, 200), 0.01 * i) for i in range(8)], np.linspace(-1, 1, 5_000_000).reshape(25_000, 200)
small = x[:2000].copy()
f = {"eager": wg.grad(loss), "jit": wg.jit(wg.grad(loss))}[sys.argv[1]]
f(ws, small)  # libraries and code are there
if sys.argv[1] == "jit":
    f.lower(ws, x).compile()
predicted = wg.profile.predict_memory(f, ws, x).peak
open("/proc/self/clear_refs", "w").write("5")
before = status("VmRSS")
f(ws, x)
print(predicted, status("VmHWM") - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("way", ["eager", "jit"])
def test_of_the_whole_process(way):
    try:
        open("/proc/self/clear_refs", "w").close()
    except OSError:
        pytest.skip("no right to clear the high-water mark")
    done = subprocess.run([sys.executable, "-c", SCRIPT, way], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    predicted, resident = map(int, done.stdout.split())
    assert predicted > 200e6
    assert abs(predicted - resident) <= 0.03 * resident + 4e6
