"""LLVM through llvmlite: text in, machine code out, machine code into memory.

llvmlite is loaded on first use. One lock is held around LLVM, so that several threads may compile.
"""

from __future__ import annotations

import ctypes
import functools
import os
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from wengert.core.errors import CompileError
from wengert.runtime.perf import APART, Names, loaded

LOCK = threading.RLock()
if hasattr(os, "register_at_fork"):  # no other thread is within LLVM when a process forks, so that the child can use it
    os.register_at_fork(before=LOCK.acquire, after_in_parent=LOCK.release, after_in_child=LOCK.release)
_DECLARED = re.compile(r'^declare [^@]*@(?:"([^"]+)"|([\w.$]+))\(', re.MULTILINE)


@dataclass(frozen=True)
class Tier:
    """How much work goes into the machine code: levels of LLVM's passes and of its code generator."""

    name: str
    passes: int
    codegen: int
    vectorise: bool


FIRST = Tier("first", 0, 0, False)
FAST = Tier("fast", 1, 1, True)
FULL = Tier("full", 2, 2, True)
TIERS = {tier.name: tier for tier in (FIRST, FAST, FULL)}


@functools.cache
def llvm() -> Any:
    """`llvmlite.binding`, set up for this machine."""
    import llvmlite.binding as binding

    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    return binding


@functools.cache
def cpu() -> tuple[str, str]:
    """The CPU's name and its features, as LLVM writes them.

    CPUs with AVX-512 are told not to prefer 256-bit vectors: loops over arrays gain from the wide ones.
    """
    with LOCK:
        name, features = llvm().get_host_cpu_name(), llvm().get_host_cpu_features().flatten()
    if "+avx512f" in features.split(","):
        features += ",-prefer-256-bit"
    return name, features


@functools.cache
def version() -> str:
    """llvmlite's version and LLVM's, for keys."""
    import llvmlite

    return f"llvmlite {llvmlite.__version__}, LLVM {'.'.join(map(str, llvm().llvm_version_info))}"


def _machine(tier: Tier) -> Any:
    name, features = cpu()
    target = llvm().Target.from_default_triple()
    return target.create_target_machine(cpu=name, features=features, opt=tier.codegen, codemodel="jitdefault", jit=True)


@functools.cache
def _emitter(tier: Tier) -> Any:
    return _machine(tier)


def _parsed(text: str, tier: Tier) -> Any:
    try:
        module = llvm().parse_assembly(text)
        module.verify()
    except RuntimeError as error:
        raise CompileError(f"LLVM refuses the generated code: {_shown(str(error), text)}") from None
    module.triple = _emitter(tier).triple
    module.data_layout = str(_emitter(tier).target_data)
    return module


def _shown(message: str, text: str) -> str:
    """LLVM's message, with the line of the text that it names and those before it."""
    found = re.search(r":(\d+):\d+: error", message)
    if not found:
        return message.strip()
    line = int(found[1])
    near = text.split("\n")[max(0, line - 4) : line]
    return message.strip() + "\n" + "\n".join(near)


SEPARATE = 8  # functions in a module from which on they stay functions


def _separate(module: Any, tier: Tier, apart: bool) -> None:
    """Keep the kernels of a large program apart, and equal ones once; those of any program, and all of them, if `apart`.

    LLVM takes them all into one function otherwise, and some of its passes take more than linear time in the size of a function:
    3 to 5 times as long for an unrolled network of a hundred kernels.
    """
    own = [f for f in module.functions if not f.is_declaration and b"alwaysinline" not in b" ".join(f.attributes)]
    if len(own) < SEPARATE and not apart:
        return
    for function in own:
        if function.linkage == llvm().Linkage.internal:
            function.add_function_attribute("noinline")
    if apart:
        return
    merge = llvm().create_new_module_pass_manager()
    merge.add_merge_functions_pass()
    _run(merge, module, llvm().create_pass_builder(_emitter(tier), llvm().create_pipeline_tuning_options()))


def _optimise(module: Any, tier: Tier, apart: bool = False, packs: bool = True) -> None:
    """`packs`: whether operations of straight-line code may be gathered in vectors."""
    _separate(module, tier, apart)
    options = llvm().create_pipeline_tuning_options(speed_level=tier.passes)
    options.loop_vectorization = tier.vectorise
    options.slp_vectorization = packs and tier.vectorise and tier.passes > 1
    options.loop_interleaving = tier.vectorise
    builder = llvm().create_pass_builder(_emitter(tier), options)
    _run(builder.getModulePassManager(), module, builder)


def _run(manager: Any, module: Any, builder: Any) -> None:
    """Run passes, and free the manager: llvmlite's own way of that is hidden by a base class (as of 0.50), and each
    compilation would leave 100 kB behind."""
    from llvmlite.binding import newpassmanagers

    manager.run(module, builder)
    dispose = getattr(getattr(newpassmanagers, "NewPassManager", None), "_dispose", None)
    if dispose is not None:
        dispose(manager)
        manager.detach()
    builder.close()


def _is_valid(module: Any) -> bool:
    try:
        module.verify()
    except RuntimeError:
        return False
    return True


def assemble(text: str, tier: Tier) -> tuple[bytes, dict[str, float]]:
    """Object code for `text`, and the seconds that each stage took."""
    start = time.perf_counter()
    with LOCK:  # once per stage, so that a long compilation lets others in between
        module = _parsed(text, tier)
    parsed = time.perf_counter()
    with LOCK:
        _optimise(module, tier, text.startswith(APART))
        if not _is_valid(module):  # LLVM's SLP vectorizer has put a use before what it uses, as it does once in a while
            module.close()
            module = _parsed(text, tier)
            _optimise(module, tier, text.startswith(APART), packs=False)
    optimised = time.perf_counter()
    with LOCK:
        code = _emitter(tier).emit_object(module)
        module.close()
    seconds = {"parse": parsed - start, "optimise": optimised - parsed, "codegen": time.perf_counter() - optimised}
    return code, seconds


def show(text: str, tier: Tier, stage: str) -> str:
    """What becomes of `text`, for readers: "llvm" after LLVM's passes, or "asm"."""
    with LOCK:
        module = _parsed(text, tier)
        _optimise(module, tier)
        return str(module) if stage == "llvm" else _emitter(tier).emit_assembly(module)


def declared(text: str) -> list[str]:
    """External functions that `text` declares, LLVM's own aside."""
    names = (quoted or plain for quoted, plain in _DECLARED.findall(text))
    return [name for name in names if not name.startswith("llvm.")]


_known: dict[str, int] = {}


def provide(symbols: Mapping[str, int]) -> None:
    """Addresses that names in loaded code stand for, for the whole process."""
    with LOCK:
        for name, address in symbols.items():
            if _known.get(name) != address:
                llvm().add_symbol(name, address)
                _known[name] = address


PROVIDERS: dict[str, Callable[[], Mapping[str, int]]] = {}  # by the names that they provide, when first asked for


def require(names: Iterable[str]) -> None:
    """See to it that loaded code can refer to `names`; LLVM would end the process over one that is missing."""
    for name in names:
        if name in _known:
            continue
        if name in PROVIDERS:
            provide(PROVIDERS[name]())
            continue
        room, _, function = name.partition(".")
        if room in ("blas", "lapack") and function:
            address = _exported(room, function)
        else:
            address = in_process(name)
        if not address:
            raise CompileError(f"no function {name!r} in this process, which compiled code asks for")
        provide({name: address})


def in_process(name: str) -> int:
    """The address of a function of the C library."""
    library = ctypes.CDLL(None) if os.name == "posix" else ctypes.cdll.msvcrt
    try:
        return ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0
    except AttributeError:
        return 0


def _exported(room: str, function: str) -> int:
    """The address of a function of BLAS or LAPACK, as SciPy exports it."""
    import importlib

    capsules = importlib.import_module(f"scipy.linalg.cython_{room}").__pyx_capi__
    if function not in capsules:
        return 0
    name_of = ctypes.pythonapi.PyCapsule_GetName
    name_of.restype, name_of.argtypes = ctypes.c_char_p, [ctypes.py_object]
    pointer_of = ctypes.pythonapi.PyCapsule_GetPointer
    pointer_of.restype, pointer_of.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    return pointer_of(capsules[function], name_of(capsules[function])) or 0


class Code:
    """Machine code in memory; it lives as long as this object. With `names`, `perf` is told of it where that is wanted."""

    def __init__(self, code: bytes, names: Names | None = None, first: str = "run") -> None:
        binding = llvm()
        with LOCK:
            # the machine only loads, whatever its CPU: a plain one is made in a third of the time
            machine = binding.Target.from_default_triple().create_target_machine(codemodel="jitdefault", jit=True)
            self._engine = binding.create_mcjit_compiler(binding.parse_assembly(""), machine)
            self._engine.add_object_file(binding.ObjectFileRef.from_data(code))
            self._engine.finalize_object()
        self.nbytes = len(code)
        if names is not None:
            loaded(code, self.address(first), names, first)

    def address(self, name: str) -> int:
        """Where the function or variable `name` begins."""
        with LOCK:
            return self._engine.get_function_address(name)
