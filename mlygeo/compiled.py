"""
Functions that Numba compiles once, kept as machine code that any later process loads without Numba.

To import Numba, and to let it load what it has compiled, takes half a second of processor time in each process. The
machine code alone is loaded in some hundredths by llvmlite, which is below Numba.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib
import importlib.util
import json
import logging
import os
import platform
import secrets
import sys
import threading
import types
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

LOG = logging.getLogger("mlygeo.compiled")

VERSION = 2
"""Version of the files of machine code."""

CODES = {"f8": "float64", "i8": "int64", "i4": "int32", "u1": "uint8", "u8": "uint64"}
"""Types of numbers as signatures name them, and as Numba and NumPy do."""

C_TYPES = {"f8": ctypes.c_double, "i8": ctypes.c_int64, "i4": ctypes.c_int32, "u1": ctypes.c_uint8,
           "u8": ctypes.c_uint64}  # fmt: skip

LLVM_TYPES = {"f8": "double", "i8": "i64", "i4": "i32", "u1": "i8", "u8": "i64"}

SUFFIX = ".machine"
"""End of the names of files of machine code."""

DONE = (0, -2)
"""What compiled code returns where no error was raised: a value, or none."""

FOLDER_VARIABLE, OFF_VARIABLE = "NUMBA_CACHE_DIR", "NUMBA_DISABLE_JIT"
"""Environment variables of Numba that count here, too: another folder for compiled code; and nothing is compiled."""


class Function:
    """
    A function that is compiled for one signature.

    Parameters
    ----------
    library
        Its library.
    body
        The function in Python, as Numba compiles it. It allocates nothing, and calls functions of its library alone.
    kinds
        Types of its parameters, such as `f8` for a number and `i4[:,:]` for an array without gaps; see `CODES`.
    returns
        Type of what it returns; None for nothing.
    """

    def __init__(self, library: Library, body: types.FunctionType, kinds: tuple[str, ...], returns: str | None) -> None:
        self.body, self.name, self.returns = body, body.__name__, returns
        self._library = library
        self.parameters = [_Parameter.of(kind) for kind in kinds]
        self.call: Callable[..., Any] | None = None

    def __call__(self, *given: Any) -> Any:
        """Call the function; TypeError where an array has another type."""
        if self.call is None:
            self._library.load()
        assert self.call is not None  # noqa: S101 - for the type checker: `load` has set it
        return self.call(*given)

    @property
    def constants(self) -> list[tuple[str, Any]]:
        """The numbers, by name, that its code holds and that may stand in another module."""
        named = ((name, self.body.__globals__.get(name)) for name in self.body.__code__.co_names)
        return [(name, value) for name, value in named if isinstance(value, int | float | tuple)]

    def check_types(self, found: list[str]) -> None:
        """Raise where machine code takes other types than the places of result and error, and the parameters."""
        expected = ["ptr", "ptr", *(name for each in self.parameters for name in each.llvm_types)]
        if ["ptr" if name.endswith("*") else name for name in found] != expected:
            raise _NotLoadableError(f"{self.name} takes {', '.join(found)}, and not {', '.join(expected)}")

    def use_code(self, address: int) -> None:
        """Take the machine code at an address."""
        found: Any = ctypes.c_void_p if self.returns is None else C_TYPES[self.returns]
        kinds = [kind for each in self.parameters for kind in each.c_types]
        code = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, *kinds)(address)

        def call(*given: Any) -> Any:
            taken = [each.taken(value) for each, value in zip(self.parameters, given, strict=True)]
            flat = [one for each, value in zip(self.parameters, taken, strict=True) for one in each.flat(value)]
            result, error = found(), ctypes.c_void_p()
            if code(ctypes.byref(result), ctypes.byref(error), *flat) not in DONE:
                raise ArithmeticError(f"{self.name} has failed")
            for value, copy in zip(given, taken, strict=True):
                if copy is not value and isinstance(value, np.ndarray) and value.flags.writeable:
                    value[...] = copy  # it may be one that the code fills in
            return None if self.returns is None else result.value

        self.call = call

    def for_numba(self, numba: Any, *, called: bool = False) -> Any:
        """Return the function as Numba compiles it, with those of its library that it calls; to be `called`, or not."""
        inner = {
            name: other.for_numba(numba)
            for name in self.body.__code__.co_names
            if isinstance(other := self.body.__globals__.get(name), Function)
        }
        return numba.njit(nogil=called, cache=called)(
            types.FunctionType(self.body.__code__, {**self.body.__globals__, **inner}, self.name)
        )

    def entry(self, numba: Any) -> tuple[Any, tuple[Any, ...]]:
        """Return a function for Numba that takes pointers and lengths, and its signature."""
        names, values, kinds = [], [], []
        for number, each in enumerate(self.parameters):
            parts = [f"p{number}", *(f"p{number}_{axis}" for axis in range(each.axes))]
            names += parts
            sizes = "".join(f"{part}, " for part in parts[1:])
            values.append(f"carray({parts[0]}, ({sizes}))" if each.axes else parts[0])
            kinds += each.numba_types(numba)
        text = f"def entry({', '.join(names)}):\n    return own({', '.join(values)})"
        scope: dict[str, Any] = {"carray": numba.carray, "own": self.for_numba(numba)}
        exec(text, scope)  # noqa: S102 - a function with a parameter for each pointer and length
        return numba.njit(scope["entry"]), tuple(kinds)


class _Parameter:
    """The type of a parameter: a number, or an array."""

    def __init__(self, code: str, axes: int) -> None:
        self.code, self.axes = code, axes
        self.kind = code if not axes else f"{code}[{','.join(':' * axes)}]"
        self.llvm_types = [LLVM_TYPES[code]] if not axes else ["ptr", *["i64"] * axes]
        self._dtype = np.dtype(CODES[code])
        self.c_types: list[Any] = [C_TYPES[code]] if not axes else [ctypes.c_void_p, *[ctypes.c_int64] * axes]

    @classmethod
    def of(cls, kind: str) -> _Parameter:
        return cls(kind[:2], kind.count(":"))

    def taken(self, value: Any) -> Any:
        """Return a value as machine code takes it: an array with gaps, such as a column of a table, as a copy."""
        if not self.axes:
            return float(value) if self.code == "f8" else int(value)
        if value.dtype != self._dtype or value.ndim != self.axes:
            raise TypeError(f"{self.code} of {self.axes} axes is needed, and not {value.dtype} of {value.ndim}")
        return value if value.flags.c_contiguous and value.flags.aligned else np.array(value, order="C")

    def flat(self, value: Any) -> Iterable[Any]:
        """Return the numbers that machine code is given for a value that it takes."""
        return (value.ctypes.data, *value.shape) if self.axes else (value,)

    def example(self) -> Any:
        """Return a value of the type, of which another one differs."""
        if not self.axes:
            return 3.25 if self.code == "f8" else 5
        shape = tuple(range(2, 2 + self.axes))
        return np.arange(11, 11 + np.prod(shape), dtype=self._dtype).reshape(shape)

    def numba_types(self, numba: Any) -> list[Any]:
        own = getattr(numba.types, CODES[self.code])
        return [own] if not self.axes else [numba.types.CPointer(own), *[numba.types.int64] * self.axes]


class Library:
    """
    The compiled functions of a module.

    Parameters
    ----------
    file
        The file of the module.

    Raises
    ------
    ImportError
        If Numba is not installed.
    """

    def __init__(self, file: str) -> None:
        self._file = Path(file)
        self._functions: list[Function] = []
        self._lock = threading.Lock()
        self._engine: Any = None  # the machine code is in its memory
        self._numba = _place_of_numba()

    def function(self, *kinds: str, returns: str | None = None) -> Callable[[Any], Function]:
        """Return what makes a function of Python one of this library; see `Function`."""

        def made(body: Any) -> Function:
            found = Function(self, body, kinds, returns)
            self._functions.append(found)
            return found

        return made

    def is_made(self) -> bool:
        """Return whether there is machine code, for some processor; or nothing is to be compiled."""
        return _is_off() or any([*path.parent.glob(f"{path.name}.*{SUFFIX}")] for path in self._stems())

    def load(self) -> None:
        """
        Load the machine code, or make it where there is none.

        Raises
        ------
        RuntimeError
            If no folder for it is writable: else each process would compile it anew.
        """
        with self._lock:
            if all(each.call is not None for each in self._functions):
                return
            if _is_off():
                for each in self._functions:
                    each.call = each.body
                return
            try:
                self._load()
            except _NotLoadableError as reason:
                LOG.debug(
                    "%s: machine code of its own is not possible here, and Numba loads it: %s", self._file, reason
                )
                numba = compiler()
                for each in self._functions:
                    each.call = each.for_numba(numba, called=True)

    def _load(self) -> None:
        import llvmlite.binding as llvm

        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        machine = _Machine.here(llvm)
        key = self._key(machine, llvm)
        content = next((found for path in self._paths(machine) if (found := _read(path, key)) is not None), None)
        if content is None:
            content = self._compile(machine, llvm)
            _write(self._paths(machine), key, content)
        functions, needed, code = content
        if missing := [name for name in needed if not llvm.address_of_symbol(name)]:
            raise _NotLoadableError(f"it needs {', '.join(missing)}")
        probe = self._probe()
        engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine.target(llvm))
        engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        engine.finalize_object()
        for each in [probe, *self._functions]:
            each.use_code(engine.get_function_address(functions[each.name]))
        self._engine = engine
        _check(probe)

    def _compile(self, machine: _Machine, llvm: Any) -> _Content:
        """Compile all functions."""
        numba = compiler()
        target = machine.target(llvm)
        whole, names = None, {}
        for each in [self._probe(), *self._functions]:
            entry, kinds = each.entry(numba)
            entry.compile(kinds)
            (signature,) = entry.signatures
            module = llvm.parse_assembly(entry.inspect_llvm(signature))
            name = entry.overloads[signature].fndesc.llvm_func_name
            for other in module.functions:
                if not other.is_declaration and other.name != name:
                    other.linkage = llvm.Linkage.internal
                    other.add_function_attribute("alwaysinline")
            each.check_types([str(argument.type) for argument in module.get_function(name).arguments])
            names[each.name] = f"mlygeo_{each.name}"
            module.get_function(name).name = names[each.name]
            _as_one(module, target, llvm)
            if whole is None:
                whole = module
            else:
                whole.link_in(module)
        assert whole is not None  # noqa: S101 - for the type checker: a library has functions
        if "inttoptr" in str(whole):
            raise _NotLoadableError("it has an address in the memory of the process that compiled it")
        needed = [each.name for each in whole.functions if each.is_declaration and not each.name.startswith("llvm.")]
        if missing := [name for name in needed if not llvm.address_of_symbol(name)]:
            raise _NotLoadableError(f"it needs {', '.join(missing)}")
        return names, needed, target.emit_object(whole)

    def _probe(self) -> Function:
        """Return a function with a parameter of each type that functions here have, which shows how they are called."""
        kinds = sorted({each.kind for function in self._functions for each in function.parameters})
        names = [f"p{number}" for number in range(len(kinds))]
        lines = ["total = 0.5"]
        for number, (name, kind) in enumerate(zip(names, kinds, strict=True), start=1):
            axes = kind.count(":")
            first = f"{name}[{', '.join('0' * axes)}]" if axes else name
            lines.append(f"total += {number} * float({first})")
            lines += [f"total += {number + axis} * {name}.shape[{axis}]" for axis in range(axes)]
            if axes:
                lines.append(f"{first} = {number + 1}")
        scope: dict[str, Any] = {}
        text = f"def probe({', '.join(names)}):\n    " + "\n    ".join([*lines, "return total"])
        exec(text, scope)  # noqa: S102 - the types that a library has
        return Function(self, scope["probe"], tuple(kinds), "f8")

    def _paths(self, machine: _Machine) -> list[Path]:
        """Return where the machine code may be."""
        return [path.with_name(f"{path.name}.{machine.digest}{SUFFIX}") for path in self._stems()]

    def _stems(self) -> list[Path]:
        """Return these paths without the part of their names that says for which processor they are."""
        name = self._file.stem
        # Several versions of mlygeo and Numba share these folders, and each keeps its own.
        shared = f"{name}.{self._source()[:12]}"
        if given := os.environ.get(FOLDER_VARIABLE):
            return [Path(given).expanduser() / f"mlygeo-{shared}"]
        own = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "mlygeo"
        return [self._file.parent / "__pycache__" / name, own / shared]

    def _source(self) -> str:
        """Return a hash of what is compiled, and by what."""
        found = hashlib.sha256(f"{VERSION} {np.__version__}".encode())
        for path in (self._file, Path(__file__), self._numba):
            found.update(path.read_bytes())
        found.update(repr([each.constants for each in self._functions]).encode())
        return found.hexdigest()

    def _key(self, machine: _Machine, llvm: Any) -> str:
        """Return a hash of all that the machine code depends on."""
        return hashlib.sha256(f"{self._source()} {llvm.llvm_version_info} {machine}".encode()).hexdigest()


if TYPE_CHECKING:
    _Content = tuple[dict[str, str], list[str], bytes]


class _NotLoadableError(Exception):
    """Machine code that Numba alone can load."""


def _check(probe: Function) -> None:
    """Raise unless machine code gives the answer of the function in Python: Numba may call it in another way by now."""
    given = [each.example() for each in probe.parameters]
    filled = [each.copy() if isinstance(each, np.ndarray) else each for each in given]
    assert probe.call is not None  # noqa: S101 - for the type checker: there is code
    expected = probe.body(*filled)
    try:
        found = probe.call(*given)
    except ArithmeticError as error:
        raise _NotLoadableError("a function fails that does not") from error
    if found != expected or not all(np.array_equal(one, other) for one, other in zip(given, filled, strict=True)):
        raise _NotLoadableError(f"a function gives {found} in place of {expected}")


class _Machine:
    """The processor and system that machine code is for."""

    def __init__(self, triple: str, processor: str, features: str) -> None:
        self._triple, self._processor, self._features = triple, processor, features
        self.digest = hashlib.sha256(str(self).encode()).hexdigest()[:12]

    def __str__(self) -> str:
        return f"{self._triple} {self._processor} {self._features}"

    @classmethod
    def here(cls, llvm: Any) -> _Machine:
        """Return the one of this process."""
        return cls(llvm.get_process_triple(), llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten())

    def target(self, llvm: Any) -> Any:
        """Return what makes code for it, as Numba does."""
        is_x86 = platform.machine().lower() in {"x86_64", "amd64", "i386", "i686", "x86"}
        return llvm.Target.from_triple(self._triple).create_target_machine(
            cpu=self._processor, features=self._features, opt=3, reloc="static" if is_x86 else "default",
            codemodel="jitdefault", jit=True,
        )  # fmt: skip


def _as_one(module: Any, target: Any, llvm: Any) -> None:
    """Bring what a function calls into it, and remove the rest, such as how Python calls it."""
    builder = llvm.create_pass_builder(target, llvm.create_pipeline_tuning_options(speed_level=3))
    passes = llvm.create_new_module_pass_manager()
    passes.add_global_dead_code_eliminate_pass()
    passes.add_always_inliner_pass()
    passes.run(module, builder)
    builder.getModulePassManager().run(module, builder)
    passes = llvm.create_new_module_pass_manager()
    passes.add_global_dead_code_eliminate_pass()
    passes.add_strip_dead_prototype_pass()
    passes.run(module, builder)


def compiler() -> Any:
    """
    Return Numba.

    Numba looks for the package coverage, and takes a folder of that name, such as the verb coverage makes, for it:
    where there is but a folder, it is told that there is none.

    Raises
    ------
    ImportError
        If Numba is not installed, or cannot be imported.
    """
    name = "coverage"
    found = None if name in sys.modules else importlib.util.find_spec(name)
    if found is None or found.origin is not None:
        return importlib.import_module("numba")
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        return importlib.import_module("numba")
    finally:
        del sys.modules[name]


def _is_off() -> bool:
    """Return whether nothing is to be compiled."""
    return os.environ.get(OFF_VARIABLE, "0") not in {"", "0"}


def _place_of_numba() -> Path:
    """Return a file of Numba that says its version; ImportError where Numba is not installed."""
    found = importlib.util.find_spec("numba")
    if found is None or found.origin is None:
        raise ImportError("Numba is not installed")
    stated = Path(found.origin).with_name("_version.py")
    return stated if stated.exists() else Path(found.origin)


def _read(path: Path, key: str) -> _Content | None:
    """Return what a file of machine code has; None where it is not there, damaged, or for something else."""
    try:
        head, _, code = path.read_bytes().partition(b"\n")
        said = json.loads(head)
        content = said["functions"], said["needed"], code
        if said["key"] == key and said["sha256"] == _hash(content):
            return content
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None


def _hash(content: _Content) -> str:
    """Return a hash of machine code, and of the names that lead to it: a wrong one would call anything."""
    functions, needed, code = content
    return hashlib.sha256(json.dumps([functions, needed]).encode() + code).hexdigest()


def _write(paths: list[Path], key: str, content: _Content) -> None:
    """Write a file of machine code to the first place that is writable; RuntimeError where none is."""
    functions, needed, code = content
    head = {"key": key, "sha256": _hash(content), "functions": functions, "needed": needed}
    for path in paths:
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            # Hosts that share a folder have processes of one number.
            temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
            try:
                temporary.write_bytes(json.dumps(head).encode() + b"\n" + code)
                temporary.replace(path)
            finally:
                temporary.unlink(missing_ok=True)
            return
    raise RuntimeError(f"no folder for compiled code is writable: {', '.join(str(path.parent) for path in paths)}")
