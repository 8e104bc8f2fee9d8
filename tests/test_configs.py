"""Every config below configs/: it loads, has a digest, and what it names is there; every pretraining trains a step.

A pretraining is scaled down, not replaced: its own classes of network, mixing, augmentation, recipe and its own noise,
with fewer layers, small images and a batch of four. The networks at full size take one step each on top.
"""

import ast
import dataclasses
import json
import re
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from core.backbone import Spec
from core.config import CONFIGS, differences, digest, load, plain
from core.data.pictures import Decoded
from core.mixing import Mixing
from eval.references import References
from eval.table import Table
from pretrain.objective import Objective
from pretrain.stage import Pretrain
from pretrain.training import network

CLASSES = 10
# How an architecture begins -> the arguments that make it small; others are trained as they are.
SMALLER: dict[str, dict[str, Any]] = {
    "core.networks.pyramidnet:": {"depth": 20, "alpha": 12.0},
    "core.networks.resnet_cifar:": {"depth": 20},
    "core.networks.resnet_regularized:": {"layers": [1, 1, 1, 1]},
    "timm:resne": {"layers": [1, 1, 1, 1]},
}
ERRORS = re.compile(r"Expected top-1(?: / top-5)? error:\s+([\d.]+)(?: / ([\d.]+))?", re.DOTALL)


def _stems(folder: str) -> list[str]:
    return sorted(path.stem for path in (CONFIGS / folder).glob("*.py") if path.name[0] != "_")


PRETRAININGS, TABLES = _stems("pretrain"), _stems("tables")
OTHERS = [f"{folder}/{stem}" for folder in ("transfer", "wsol", "references") for stem in _stems(folder)]


@cache
def _pretraining(stem: str) -> Pretrain:
    config = load(f"pretrain/{stem}")
    assert isinstance(config, Pretrain)
    return config


def _table(stem: str) -> Table:
    table = load(f"tables/{stem}")
    assert isinstance(table, Table)
    return table


def _docstring(stem: str) -> str:
    return ast.get_docstring(ast.parse((CONFIGS / f"pretrain/{stem}.py").read_text())) or ""


def _pixels(config: Pretrain, side: int, count: int) -> Tensor:
    """Augmented noise, uint8 [N, 3, side, side]."""
    rng = np.random.default_rng(0)
    pictures = [Decoded(rng.integers(0, 256, (side, side, 3), dtype=np.uint8)) for _ in range(count)]
    views = [config.augmentation(picture, side, seed).pixels for seed, picture in enumerate(pictures)]
    return torch.from_numpy(np.stack(views)).permute(0, 3, 1, 2)


def _step(config: Pretrain, side: int, count: int) -> tuple[float, list[Tensor]]:
    """One step of the config's network and recipe: the loss, and how much each parameter moved."""
    spec = Spec(config.architecture, CLASSES, side, config.kwargs, config.mean, config.std)
    model = network(config, spec)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    recipe = config.recipe
    optimizer = recipe.optimizer.build([{"params": list(model.parameters())}])
    for group in optimizer.param_groups:  # half way: where a schedule of mixing or noise acts
        group["lr"] = recipe.lr(recipe.total_steps(10_000) // 2, 10_000)
    objective = Objective(config.mixing, spec, config.label_smoothing)
    objective.begin_step(1, 2)
    labels = torch.arange(count) % CLASSES
    loss, _ = objective(model, (_pixels(config, side, count), labels), torch.Generator().manual_seed(0))
    torch.autograd.backward(loss)
    optimizer.step()
    moved = [(now.detach() - then).abs().sum() for now, then in zip(model.parameters(), before, strict=True)]
    return float(loss.detach()), moved


def _always(mixing: Mixing) -> Mixing:
    """The mixing, applied to every batch."""
    values: dict[str, Any] = {field.name: getattr(mixing, field.name) for field in dataclasses.fields(mixing)}
    return type(mixing)(**{**values, "probability": 1.0}) if "probability" in values else mixing


def _scaled_down(config: Pretrain) -> Pretrain:
    small = next((kwargs for start, kwargs in SMALLER.items() if config.architecture.startswith(start)), {})
    return replace(config, kwargs={**config.kwargs, **small}, mixing=_always(config.mixing))


@pytest.mark.parametrize("stem", PRETRAININGS)
def test_a_scaled_down_pretraining_trains_a_step(stem: str) -> None:
    config = _scaled_down(_pretraining(stem))
    loss, moved = _step(config, 32, 4)
    assert 0.0 < loss < 20.0
    assert sum(float(amount) > 0.0 for amount in moved) > 0.5 * len(moved), "a step moves the weights"


def _full_size() -> list[str]:
    """One config for each network, with each kind of noise inside it."""
    found: dict[str, str] = {}
    for stem in PRETRAININGS:
        config = _pretraining(stem)
        found.setdefault(json.dumps([config.architecture, config.kwargs, config.training_kwargs]), stem)
    return sorted(found.values())


@pytest.mark.parametrize("stem", _full_size())
def test_every_network_at_its_full_size_trains_a_step(stem: str) -> None:
    loss, moved = _step(_pretraining(stem), 32, 2)
    assert np.isfinite(loss)
    assert float(moved[-1]) > 0.0, "the head's bias moves"


@pytest.mark.parametrize("name", [*(f"pretrain/{stem}" for stem in PRETRAININGS), *OTHERS])
def test_a_config_loads_and_is_json(name: str) -> None:
    config = load(name)
    assert dataclasses.is_dataclass(config)
    assert digest(plain(config, hashed_only=True)) == digest(json.loads(json.dumps(plain(config, hashed_only=True))))


def test_no_two_pretrainings_are_the_same() -> None:
    digests: dict[str, str] = {}
    for stem in PRETRAININGS:
        key = digest(plain(_pretraining(stem), hashed_only=True))
        assert key not in digests, f"{stem} is {digests[key]} under another name"
        digests[key] = stem


@pytest.mark.parametrize("stem", PRETRAININGS)
def test_a_docstring_gives_source_command_and_expected_number(stem: str) -> None:
    said = _docstring(stem)
    assert "\nSource: " in said
    assert f"\nCommand: `python -m pretrain configs/pretrain/{stem}.py" in said
    assert re.search(r"\nExpected( top-1( / top-5)? error)?: ", said)


@pytest.mark.parametrize("stem", TABLES)
def test_what_a_table_names_is_there(stem: str) -> None:
    table = _table(stem)
    assert table.name == stem, "the table's files and its config have one name"
    for path in [row.pretrain for row in table.rows if row.pretrain] + [s for c in table.columns for s in c.steps]:
        assert (CONFIGS / f"{path}.py").is_file(), path
    references = load(table.references) if table.references else References("none", {})
    for row in table.rows:
        if row.reference:
            references.check_row(row.reference)
    for column in table.columns:
        if column.reference:
            references.column(column.reference)


@pytest.mark.parametrize("stem", ["cifar100", "cifar10", "ablation", "imagenet"])
def test_a_row_is_compared_with_its_own_networks_baseline(stem: str) -> None:
    table = _table(stem)
    compared = 0
    for row in table.rows:
        base = table.baseline_of(row)
        if base is not None and base.pretrain is not None and row.pretrain is not None:
            ours, theirs = _pretraining(row.key), _pretraining(base.key)
            weights = [{**config.kwargs, "shakedrop": 0.0} for config in (ours, theirs)]
            assert weights[0] == weights[1], row.name
            names = [config.architecture.rpartition(":")[2] for config in (ours, theirs)]
            assert names[0] == names[1], row.name
            compared += 1
    assert compared >= 4


@pytest.mark.parametrize("stem", ["cifar100", "cifar10", "ablation", "imagenet"])
def test_a_rows_docstring_and_the_references_give_the_same_number(stem: str) -> None:
    table = _table(stem)
    references = load(table.references or "")
    compared = 0
    for row in table.rows:
        assert row.pretrain is not None
        found = ERRORS.search(_docstring(row.key))
        published = [
            references.column(c.reference).values.get(row.reference or "") for c in table.columns if c.reference
        ]
        said = [float(number) for number in found.groups() if number] if found else []
        assert said == [number for number in published if number is not None], row.name
        compared += len(said)
    assert compared >= 5


# A row changes what its name says and nothing else of its baseline.
FAMILIES = {
    "cifar100_pyramidnet200": {"mixing", "kwargs", "training_kwargs", "label_smoothing"},
    "cifar10_pyramidnet200": {"mixing"},
    "cifar100_pyramidnet110": {"mixing"},
    "cifar100_resnet110": {"mixing"},
    "imagenet_resnet101": {"mixing"},
    "imagenet_resnext101": {"mixing"},
    "resnet50": {"mixing", "architecture", "training_kwargs", "label_smoothing", "augmentation"},
    "resnet50_short": {"mixing"},
    "tiny_resnet18": {"mixing"},
    "quick": {"mixing"},
    "mini": {"mixing"},
    "mini_cifar100": {"mixing"},
    "mini_tiny": {"mixing"},
}


def _family(stem: str) -> str | None:
    names = [name for name in FAMILIES if stem.startswith(f"{name}_")]
    return max(names, key=len, default=None)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_row_differs_from_its_baseline_in_its_method_alone(family: str) -> None:
    baseline = plain(_pretraining(f"{family}_baseline"))
    rows = [stem for stem in PRETRAININGS if _family(stem) == family and not stem.endswith("_baseline")]
    assert len(rows) >= 3
    for stem in rows:
        changed = {line.partition(":")[0].split(".")[0] for line in differences(baseline, plain(_pretraining(stem)))}
        assert changed, stem
        assert changed <= FAMILIES[family], stem


def test_the_papers_recipes_are_the_authors() -> None:
    cifar, imagenet = _pretraining("cifar100_pyramidnet200_baseline"), _pretraining("resnet50_baseline")
    assert [cifar.recipe.total_steps(50_000), imagenet.recipe.total_steps(1_281_167)] == [234_600, 1_501_500]
    # The authors' adjust_learning_rate, written plainly, at the first step of some epochs.
    for epoch in (0, 149, 150, 224, 225, 299):
        expected = 0.25 * 0.1 ** (epoch // 150) * 0.1 ** (epoch // 225)
        assert cifar.recipe.lr(epoch * 782, 50_000) == pytest.approx(expected), epoch
    for epoch in (0, 74, 75, 149, 150, 225, 299):
        expected = 0.1 * 0.1 ** (epoch // 75)
        assert imagenet.recipe.lr(epoch * 5005, 1_281_167) == pytest.approx(expected), epoch
    short = _pretraining("resnet50_short_baseline").recipe
    assert short.steps_per_epoch(1_281_167) * 5 == short.warmup_steps
    assert short.lr(short.warmup_steps - 1, 1_281_167) == pytest.approx(2.0, rel=0.01)


def test_stems_are_unique_since_they_name_folders() -> None:
    stems = [path.stem for path in (CONFIGS / "pretrain").rglob("*.py")]
    assert len(stems) == len(set(stems)) == len(PRETRAININGS)
