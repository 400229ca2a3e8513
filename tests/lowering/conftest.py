"""One library kernel, compiled and callable: what an emitter writes, without the rest of the pipeline."""

import ctypes

import llvmlite.binding as llvm
import numpy as np
import pytest

from wengert.core.aval import Aval
from wengert.lowering.emission import Emission, Operand, row_major
from wengert.lowering.library import EMITTERS
from wengert.lowering.text import I32, Builder, Module, Value
from wengert.lowering.vecmath import definition

_kept = []


def _capsule(symbol):
    import scipy.linalg.cython_blas
    import scipy.linalg.cython_lapack

    where, name = symbol.split(".")
    module = scipy.linalg.cython_blas if where == "blas" else scipy.linalg.cython_lapack
    capsule = module.__pyx_capi__[name]
    api = ctypes.pythonapi
    api.PyCapsule_GetName.restype, api.PyCapsule_GetName.argtypes = ctypes.c_char_p, [ctypes.py_object]
    api.PyCapsule_GetPointer.restype = ctypes.c_void_p
    api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    return api.PyCapsule_GetPointer(capsule, api.PyCapsule_GetName(capsule))


def _machine():
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features = llvm.get_host_cpu_features().flatten()
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=features, opt=2, jit=True
    )


def compiled(text, symbols):
    """The address of `run`."""
    machine = _machine()
    for symbol in symbols:
        llvm.add_symbol(symbol, _capsule(symbol))
    module = llvm.parse_assembly(text)
    module.verify()
    module.triple, module.data_layout = machine.triple, str(machine.target_data)
    options = llvm.create_pipeline_tuning_options(speed_level=2)
    options.loop_vectorization = options.slp_vectorization = options.loop_unrolling = options.loop_interleaving = True
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    engine = llvm.create_mcjit_compiler(module, machine)
    engine.finalize_object()
    _kept.append((engine, module, machine))
    return engine.get_function_address("run")


def kernel(name, arrays, outs, params):
    """`call() -> outs`, and the emitter's `Work`; `arrays` are passed with their strides, 0 of broadcast axes too."""
    emitter = EMITTERS[name]
    ins = [Aval(a.shape, a.dtype) for a in arrays]
    results = [Aval(o.shape, o.dtype) for o in outs]
    if not emitter.supports(ins, results, params):
        return None
    layouts = []
    for i, a in enumerate(arrays):
        strides = tuple(s // a.itemsize for s in a.strides)
        if not emitter.takes(i, strides, ins, params):
            arrays = [*arrays[:i], np.ascontiguousarray(a), *arrays[i + 1 :]]
            strides = row_major(a.shape)
        layouts.append(strides)
    module = Module(definition)
    b = Builder(module)
    failures, sizes = [], []

    def scratch(nbytes):
        slot = b.at(Value("%frame", None), len(arrays) + len(outs) + len(sizes), None)
        sizes.append(nbytes)
        return b.load(slot, None)

    def fail(error, message):
        failures.append((error, message))
        return len(failures)

    e = Emission(b, scratch, fail, None)
    e.code = b.allocate(I32)
    b.entry.append(f"  store i32 0, ptr {e.code.ref}")
    operands = []
    for i, (v, strides) in enumerate(zip((*ins, *results), (*layouts, *(row_major(o.shape) for o in outs)))):
        pointer = b.load(b.at(Value("%frame", None), i, None), None)
        operands.append(Operand(pointer, v.shape, strides, v.dtype))
    work = emitter.emit(e, operands[: len(ins)], operands[len(ins) :], params)
    code = b.load(e.code, I32)
    module.functions.append(b.function("define i32 @run(ptr %frame) #0", f"ret i32 {code.ref}"))
    text = module.text()
    run = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(compiled(text, module.symbols))
    memory = [np.full(n + 64, 0xFF, np.uint8) for n in sizes]
    addresses = [
        *(a.ctypes.data for a in (*arrays, *outs)), *(m.ctypes.data + -m.ctypes.data % 64 for m in memory)
    ]  # fmt: skip
    frame = (ctypes.c_void_p * max(1, len(addresses)))(*addresses)

    def call():
        code = run(frame)
        if code:
            error, message = failures[code - 1]
            raise error(message)
        return outs

    call.keep = (memory, arrays, outs, frame)
    call.text, call.work = text, work
    call.run, call.frame = run, frame
    return call


def emitted(op, *arrays, **params):
    """What the emitter of `op` computes, or None if it declines. Results begin as NaN: nothing may be left unwritten."""
    arrays = [np.asarray(a) for a in arrays]
    got = op.shape(*[Aval(a.shape, a.dtype) for a in arrays], **params)
    outs = [np.full(a.shape, 77, a.dtype) for a in (got if op.multi else (got,))]
    call = kernel(op.name, arrays, outs, params)
    if call is None:
        return None
    call()
    return tuple(outs) if op.multi else outs[0]


@pytest.fixture(name="emitted")
def _emitted():
    return emitted
