"""Read the pickles of CIFAR without executing what they say.

A pickle is a program: unpickled as usual, a file from a stranger can start anything. Here it may make plain containers,
numbers and text, and arrays of uint8; whatever else it asks for is refused by name. Not even numpy's own unpickling
runs: stand-ins take what an array's pickle says, check it, and make the array from its bytes. A file that is made to
bring the process down, by much memory or tuples nested deeply, can do that and no more.
"""

import pickle
from math import prod
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from core.data.records import DataError

_ARRAY_MODULES = ("numpy.core.multiarray", "numpy._core.multiarray")  # of numpy 1, and of numpy 2
_PLAIN = (bool, int, float, str, bytes, list, tuple, type(None))


def read_pickle(file: BinaryIO, where: str) -> dict[str, Any]:
    """The dictionary that a pickle holds: keys as text, byte strings as bytes, arrays of uint8 as numpy's.

    Args:
        file: open, at the pickle's start.
        where: what messages call it.

    Raises:
        DataError: it asks for anything but containers, numbers, text and uint8 arrays, is cut off or broken, or holds
            no dictionary.
    """
    try:
        content = _Reader(file, encoding="bytes").load()
        if not isinstance(content, dict):
            raise DataError(f"{where}: expected a pickled dictionary, came {type(content).__name__}")
        return {_text(key, where): _value(value) for key, value in content.items()}
    except _RefusedError as error:
        raise DataError(f"{where}: refused, {error}; nothing of it was executed") from error
    except DataError:
        raise
    except Exception as error:  # a broken pickle may raise anything: the manual of pickle lists no end of kinds
        reason = str(error) or type(error).__name__
        raise DataError(f"{where}: a broken or cut off pickle ({reason:.200})") from error


class _RefusedError(Exception):
    """The pickle asks for what it may not have."""


class _Reader(pickle.Unpickler):
    """Finds stand-ins for the names that an array of uint8 needs, and for the one by which Python 3 writes bytes."""

    def find_class(self, module: str, name: str) -> Any:
        if name == "_reconstruct" and module in _ARRAY_MODULES:
            return _NewArray()
        allowed = {("numpy", "ndarray"): _ARRAY, ("numpy", "dtype"): _NewDtype(), ("_codecs", "encode"): _Latin1()}
        if (module, name) not in allowed:
            raise _RefusedError(f"the pickle asks for {module}.{name}, expected arrays of uint8 and plain containers")
        return allowed[module, name]


_ARRAY = "numpy.ndarray"  # a word that `_NewArray` is given and ignores, instead of the class


class _Dtype:
    """What a pickle says of a type; uint8 has no byte order, so that its state adds nothing."""

    __slots__ = ()

    def __setstate__(self, state: object) -> None:
        pass


class _Array:
    """What a pickle says of an array."""

    __slots__ = ("value",)
    value: NDArray[np.uint8]

    def __setstate__(self, state: object) -> None:
        match state:
            case (int(), tuple(shape), _Dtype(), bool() | int() as fortran, bytes(raw)):
                pass
            case _:
                raise _RefusedError("an array's state is not (version, shape, uint8, order, bytes)")
        if not all(isinstance(side, int) and side >= 0 for side in shape) or prod(shape) != len(raw):
            raise _RefusedError(f"an array of shape {shape!r:.80} has {len(raw)} bytes")
        self.value = np.frombuffer(raw, np.uint8).reshape(shape, order="F" if fortran else "C")


class _NewArray:
    """Stands for numpy's function. No function itself: a pickle may set attributes, and a function has some to set."""

    __slots__ = ()

    def __call__(self, *_: object) -> _Array:
        return _Array()


class _NewDtype:
    __slots__ = ()

    def __call__(self, name: object = None, *_: object) -> _Dtype:
        if name not in ("u1", b"u1", "|u1", b"|u1", "uint8", b"uint8"):
            raise _RefusedError(f"an array is of type {name!r:.40}, expected u1 (uint8)")
        return _Dtype()


class _Latin1:
    __slots__ = ()

    def __call__(self, text: object, encoding: object) -> bytes:
        if not isinstance(text, str) or encoding != "latin1":
            raise _RefusedError(f"bytes are encoded as {encoding!r:.40}, expected latin1")
        return text.encode("latin1")


def _value(value: object) -> object:
    if isinstance(value, _Array):
        return value.value
    if not isinstance(value, _PLAIN):
        raise _RefusedError(f"a value is of type {type(value).__name__}, expected an array of uint8, a list or text")
    return value


def _text(key: object, where: str) -> str:
    if isinstance(key, bytes):
        return key.decode("latin1")
    if not isinstance(key, str):
        raise DataError(f"{where}: expected text as a key, came {type(key).__name__}")
    return key
