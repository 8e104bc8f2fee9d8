"""What numba compiles, kept for the next process where there is a place to keep it.

numba keeps machine code beside the source, in `__pycache__`, else in the user's cache folder, and refuses to compile
where it can write to neither: a checkout of another user's, run by one without a home, as containers often are.
"""

import logging
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

from numba import njit

_log = logging.getLogger(__name__)
Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(**options: Any) -> Callable[[Function], Function]:
    """A decorator: numba's ``njit``, run without the interpreter's lock.

    Args:
        **options: njit's, such as ``fastmath``.
    """

    def decorate(function: Function) -> Function:
        try:
            made: Function = njit(nogil=True, cache=True, **options)(function)
        except RuntimeError:  # "cannot cache function": it looks for a folder before it does anything
            _say()
            made = njit(nogil=True, **options)(function)
        return made

    return decorate


@cache
def _say() -> None:
    """Once for a process."""
    _log.warning(
        "what numba compiles cannot be kept, since neither the checkout nor the user's cache folder can be written: "
        "each process compiles anew, for seconds; NUMBA_CACHE_DIR=FOLDER names a place"
    )
