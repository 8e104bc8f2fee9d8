"""Configs: frozen dataclasses in plain Python files that define `config`; overridden by dotted names; digested.

A field made with `unhashed` cannot change a number (data root, workers, device, logging): it is left out of the digest.
"""

import dataclasses
import hashlib
import importlib.util
import json
import sys
from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any, TypeVar

from core.errors import UserError

CHECKOUT = Path(__file__).resolve().parents[1]
CONFIGS = CHECKOUT / "configs"
T = TypeVar("T")
_UNHASHED = "unhashed"
_LISTED, _NEAREST = 12, 5  # names of configs that a message lists: all of so many, or so many of more


def unhashed(default: Any) -> Any:
    """A dataclass field with a default, left out of the digest: it may change speed or place, never a number."""
    return dataclasses.field(default=default, metadata={_UNHASHED: True})


def load(path: Path | str) -> Any:
    """Execute a config file and return the `config` that it defines.

    Args:
        path: a Python file, or its name relative to configs/ with or without ".py" ("pretrain/quick_cutmix").

    Raises:
        UserError: no such file, an error while it ran (ValueErrors of the checks in it included), or no `config` in it.
    """
    file = find(path)
    spec = importlib.util.spec_from_file_location("config_" + file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    if str(CHECKOUT) not in sys.path:
        sys.path.insert(0, str(CHECKOUT))
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise UserError(f"{file}: {type(error).__name__}: {error}") from error
    if not hasattr(module, "config"):
        raise UserError(
            f"{file}: expected a variable `config`; it defines {sorted(n for n in vars(module) if n[0] != '_')}"
        )
    return module.config


def find(path: Path | str) -> Path:
    """The config file that a path or a name relative to configs/ means.

    Raises:
        UserError: there is none; the message lists the configs of that folder, of many the nearest names.
    """
    given = Path(path)
    candidates = [given, CONFIGS / given, given.with_name(given.name + ".py"), CONFIGS / f"{given}.py"]
    for candidate in candidates:
        if candidate.is_file():
            return candidate.resolve()
    parents = ((CONFIGS / given).parent, given.parent)  # the rooms of code have the same names as those of configs
    folder = next((parent for parent in parents if parent.is_dir()), CONFIGS)
    there = sorted(f.relative_to(folder).with_suffix("").as_posix() for f in folder.rglob("*.py") if f.name[0] != "_")
    if len(there) <= _LISTED:
        raise UserError(f"no config {path}; in {folder} there are: {', '.join(there) or 'none'}")
    near = sorted(there, key=lambda name: SequenceMatcher(None, given.stem, Path(name).name).ratio(), reverse=True)
    raise UserError(f"no config {path}; the nearest of {len(there)} in {folder}: {', '.join(near[:_NEAREST])}")


def override(config: T, args: Sequence[str], prog: str | None = None) -> T:
    """`config` with the fields replaced that `args` name: ["--mixing.alpha", "0.5"].

    An unknown field or a value of another type ends the process with tyro's message, exit code 2.

    Raises:
        UserError: a value that the config's own checks refuse.
    """
    import tyro
    from tyro.conf import AvoidSubcommands

    try:
        # AvoidSubcommands: an optional plug-in is offered as the class that the config chose, not as a subcommand.
        return tyro.cli(type(config), default=config, args=list(args), prog=prog, config=(AvoidSubcommands,))
    except ValueError as error:
        raise UserError(str(error)) from error


def plain(value: Any, *, hashed_only: bool = False) -> Any:
    """A config as JSON can hold it: each dataclass an object with its class's import path under "class".

    Args:
        value: a config, or a part of one.
        hashed_only: leave out the fields that cannot change a number.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = [f for f in dataclasses.fields(value) if not (hashed_only and f.metadata.get(_UNHASHED))]
        kind = type(value)
        body = {f.name: plain(getattr(value, f.name), hashed_only=hashed_only) for f in fields}
        return {"class": f"{kind.__module__}.{kind.__qualname__}", **body}
    if isinstance(value, Mapping):
        return {str(key): plain(item, hashed_only=hashed_only) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, hashed_only=hashed_only) for item in value]
    if isinstance(value, Path):
        return value.as_posix()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise UserError(f"a config holds plain values and dataclasses; {value!r} is a {type(value).__name__}")


def digest(value: Any) -> str:
    """16 hexadecimal digits of a JSON value, independent of the order of keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def differences(old: Any, new: Any, at: str = "") -> list[str]:
    """What differs between two plain configs, a line each: "mixing.alpha: 1.0 there, 0.5 here"."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = [*old, *(key for key in new if key not in old)]
        return [
            line
            for key in keys
            for line in differences(
                old.get(key, "(absent)"), new.get(key, "(absent)"), f"{at}.{key}" if at else str(key)
            )
        ]
    return [] if old == new else [f"{at or 'value'}: {_short(old)} there, {_short(new)} here"]


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 100 else text[:97] + "..."
