"""Reads a run's `result.json`, whose presence says that the cell is done."""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eval.errors import EvalError


@dataclass(frozen=True)
class MetricValue:
    """One number of a result. `value` is None where the metric does not apply (the result's `more.reason` says why)."""

    value: float | None
    unit: str
    higher_is_better: bool


@dataclass(frozen=True)
class Result:
    """What a finished cell says; `more` holds what only its own stage understands."""

    path: Path
    stage: str
    config: str
    row: str
    seed: int
    digest: str
    metrics: dict[str, MetricValue]
    more: dict[str, Any] = field(default_factory=dict)

    def metric(self, name: str) -> MetricValue:
        """The metric of that name; EvalError naming the file and the metrics that there are."""
        if name not in self.metrics:
            raise EvalError(f"{self.path}: no metric {name!r}; there are {', '.join(self.metrics) or 'none'}")
        return self.metrics[name]


def read_result(folder: Path) -> Result | None:
    """The result in a run's folder, or None where there is none yet. EvalError names the file and what is wrong."""
    path = Path(folder) / "result.json"
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise EvalError(f"{path}: cannot be read: {error}") from None
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise EvalError(f"{path}: not JSON ({error}); expected a finished run's result") from None
    return _parse(path, data)


def _parse(path: Path, data: Any) -> Result:
    _expect(path, "the file", data, dict)
    schema = data.get("schema")
    if schema != 1:
        raise EvalError(f"{path}: schema {schema!r}, expected 1")
    texts = {key: _expect(path, key, data.get(key), str) for key in ("stage", "config", "row", "digest")}
    seed = _expect(path, "seed", data.get("seed"), int)
    metrics = {
        name: _metric(path, f"metrics.{name}", value)
        for name, value in _expect(path, "metrics", data.get("metrics"), dict).items()
    }
    return Result(
        path=path, seed=seed, metrics=metrics, more=_expect(path, "more", data.get("more", {}), dict), **texts
    )


def _metric(path: Path, where: str, data: Any) -> MetricValue:
    _expect(path, where, data, dict)
    value = data.get("value", "absent")
    if value is not None:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise EvalError(f"{path}: {where}.value is {value!r}, expected a finite number or null")
        value = float(value)
    unit = _expect(path, f"{where}.unit", data.get("unit"), str)
    higher = _expect(path, f"{where}.higher_is_better", data.get("higher_is_better"), bool)
    return MetricValue(value, unit, higher)


def _expect(path: Path, where: str, value: Any, kind: type) -> Any:
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise EvalError(f"{path}: {where} is {value!r:.80}, expected {kind.__name__}")
    return value
