"""What a folder of plug-ins holds, for the contract that each of them must keep."""

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from types import ModuleType
from typing import TypeVar, cast

T = TypeVar("T")


def plugins(package: ModuleType, base: Callable[..., T]) -> list[type[T]]:
    """The concrete classes below `base` in a package's modules; each module but base.py must hold one."""
    assert isinstance(base, type)  # said as a callable, since an abstract class is none of type[T] to mypy
    found: list[type[T]] = []
    for module in pkgutil.iter_modules(package.__path__):
        loaded = importlib.import_module(f"{package.__name__}.{module.name}")
        own = [c for _, c in inspect.getmembers(loaded, inspect.isclass) if c.__module__ == loaded.__name__]
        below = [c for c in own if issubclass(c, base) and not inspect.isabstract(c)]
        concrete = cast(list[type[T]], below)
        assert concrete or module.name == "base", f"{loaded.__name__} holds no {base.__name__}"
        found += concrete
    return found
