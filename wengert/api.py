"""The public functions, and the one place where rooms are wired together."""

from __future__ import annotations

import importlib

import wengert.numpy
import wengert.numpy.binding  # noqa: F401 - what adopted code sees in place of numpy, math and scipy
from wengert.core import errors, events
from wengert.core.config import config
from wengert.core.tensor import Tensor
from wengert.graph.program import Program
from wengert.numpy.registry import EXTENSIONS, ON_FIRST_USE
from wengert.runtime import backward as backward  # which serves sweeps
from wengert.runtime.jit import jit
from wengert.runtime.saved import saved_residuals
from wengert.runtime.threads import get_threads, set_threads
from wengert.trace.adopt import adopt, bind_later
from wengert.transforms.anomaly import detect_anomaly
from wengert.transforms.checkpoint import checkpoint, checkpoint_sequential, name, policies
from wengert.transforms.control.associative import associative_scan
from wengert.transforms.control.branches import cond, switch
from wengert.transforms.control.calls import call
from wengert.transforms.control.loops import fori_loop, map, scan, while_loop
from wengert.transforms.custom import custom_jvp, custom_vjp
from wengert.transforms.gradient_tape import GradientTape
from wengert.transforms.gradients import grad, hvp, jvp, value_and_grad, vjp
from wengert.transforms.hooks import gradient_hook, save_on_disk, saved_tensors_hooks
from wengert.transforms.jacobians import hessian, jacfwd, jacobian, jacrev, linearize
from wengert.transforms.staging import ShapeDtype, trace
from wengert.transforms.switches import enable_grad, no_grad, stop_gradient
from wengert.transforms.vmap import per_example_grad, vmap

# SciPy is loaded by those who use it: its rooms wait for the first ufunc, or the first adopted name, of SciPy's.
ON_FIRST_USE.append("wengert.scipy.special")
EXTENSIONS["special"] = "wengert.scipy.special"  # where SciPy looks for it in the namespace of an array
bind_later("scipy", lambda module: importlib.import_module("wengert.scipy.binding").bind_scipy(module))

__all__ = [
    "GradientTape",
    "Program",
    "ShapeDtype",
    "Tensor",
    "adopt",
    "associative_scan",
    "call",
    "checkpoint",
    "checkpoint_sequential",
    "cond",
    "config",
    "custom_jvp",
    "custom_vjp",
    "detect_anomaly",
    "enable_grad",
    "errors",
    "events",
    "fori_loop",
    "get_threads",
    "grad",
    "gradient_hook",
    "hessian",
    "hvp",
    "jacfwd",
    "jacobian",
    "jacrev",
    "jit",
    "jvp",
    "linearize",
    "map",
    "name",
    "no_grad",
    "per_example_grad",
    "policies",
    "save_on_disk",
    "saved_residuals",
    "saved_tensors_hooks",
    "scan",
    "set_threads",
    "stop_gradient",
    "switch",
    "trace",
    "value_and_grad",
    "vjp",
    "vmap",
    "while_loop",
]
