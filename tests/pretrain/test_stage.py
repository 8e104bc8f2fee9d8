"""The pretraining stage end to end on a few noise images, and through its command."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from core import backbone
from core.config import CONFIGS, digest, load, plain
from core.data.imagenet import ImageNet
from core.data.records import Need
from core.errors import UserError
from core.loop import Fitted
from core.recipe import SGD, Recipe
from core.stage import Job
from pretrain.__main__ import main
from pretrain.augmentation import RandomResizedCrop
from pretrain.mixing.cutmix import CutMix
from pretrain.mixing.mixup import Mixup
from pretrain.mixing.none import NoMixing
from pretrain.stage import Pretrain
from pretrain.training import Trainer, execute, summarize
from tests.core.networks import TINY, job
from tests.data import layouts

CONFIG = """
from core.data.imagenet import ImageNet
from core.recipe import SGD, Recipe
from pretrain.augmentation import RandomResizedCrop
from pretrain.mixing.cutmix import CutMix
from pretrain.stage import Pretrain
config = Pretrain(
    data=ImageNet(), augmentation=RandomResizedCrop(), mixing=CutMix(),
    architecture="timm:resnet18", kwargs={"layers": [1, 1, 1, 1], "channels": [8, 8, 16, 16], "stem_width": 8},
    recipe=Recipe(optimizer=SGD(lr=0.1), batch_size=4, epochs=2), image_size=32, resize=36, device="cpu",
)
"""

FROZEN = [1.88656, 2.18359, 1.97717, 1.45779, 1.76855, 2.01212]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    classes = {f"n0000000{c}": 2 for c in range(6)}
    layouts.imagenet(tmp_path, {"train": classes, "val": dict.fromkeys(classes, 1)})
    return tmp_path


def _config(**changes: Any) -> Pretrain:
    values: dict[str, Any] = {
        "data": ImageNet(),
        "augmentation": RandomResizedCrop(),
        "mixing": CutMix(),
        "architecture": "timm:resnet18",
        "kwargs": TINY,
        "recipe": Recipe(optimizer=SGD(lr=0.1), batch_size=4, epochs=3),
        "image_size": 32,
        "resize": 36,
        "device": "cpu",
    }
    return Pretrain(**{**values, **changes})


def _job(root: Path, config: Pretrain, name: str = "run") -> Job:
    return replace(job(root / name), root=root, config=config)


def test_trains_saves_and_reports_the_last_epoch(root: Path) -> None:
    config = _config()
    outcome = execute(config, _job(root, config))
    loaded = backbone.load(root / "run")
    assert (loaded.spec.num_classes, loaded.spec.input_size) == (6, 32)
    saved = json.loads((root / "run/predictions.json").read_text())
    assert len(saved["ids"]) == len(saved["labels"]) == len(saved["topk"]) == 6
    wrong = sum(topk[0] != label for topk, label in zip(saved["topk"], saved["labels"], strict=True))
    assert outcome.metrics["top1_error"].value == pytest.approx(100 * wrong / 6)
    assert not outcome.metrics["top1_error"].higher_is_better
    assert outcome.more["steps"] == 9
    logged = [json.loads(line) for line in (root / "run/metrics.jsonl").read_text().splitlines()]
    validated = [line["top1_error"] for line in logged if "top1_error" in line]
    assert len(validated) == 3
    assert validated[-1] == outcome.metrics["top1_error"].value
    assert outcome.more["best_top1_error"] == min(validated)
    assert outcome.more["best_epoch"] == validated.index(min(validated)) + 1


def test_the_last_epoch_is_the_result_and_the_best_stands_beside() -> None:
    history = [{"epoch": 1, "top1_error": 30.0}, {"epoch": 2, "top1_error": 10.0}, {"epoch": 3, "top1_error": 50.0}]
    predictions = {"labels": [0, 1], "topk": [[0, 1, 2, 3, 4], [0, 2, 3, 4, 5]]}
    outcome = summarize(_config(), Fitted(9, history), predictions, torch.nn.Linear(2, 3))
    assert outcome.metrics["top1_error"].value == 50.0
    assert outcome.metrics["top5_error"].value == 50.0
    assert (outcome.more["best_top1_error"], outcome.more["best_epoch"]) == (10.0, 2)


def test_the_last_epoch_is_validated_once_and_survives_a_kill_after_it(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between the last validation and the result, the run that goes on validates nothing."""
    passes: list[str] = []
    plain_rank = Trainer.rank

    def counted(self: Trainer, model: torch.nn.Module) -> list[list[int]]:
        passes.append(self.job.run.folder.name)
        return plain_rank(self, model)

    monkeypatch.setattr(Trainer, "rank", counted)
    config = _config(recipe=Recipe(optimizer=SGD(lr=0.1), batch_size=4, steps=5))  # 3 steps an epoch: cut short
    straight = execute(config, _job(root, config, "straight"))
    assert passes == ["straight"] * 2
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "save", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            execute(config, _job(root, config, "killed"))
    assert execute(config, _job(root, config, "killed")) == straight
    assert passes == ["straight"] * 2 + ["killed"] * 2
    assert straight.more["best_epoch"] in (1, 2)


def _interrupt(_: Trainer) -> None:
    raise KeyboardInterrupt


def test_same_seed_same_bits_whatever_is_kept_in_memory(root: Path) -> None:
    weights = []
    for name, changes in (("a", {}), ("b", {"cache_images": True}), ("c", {"seed": 1})):
        config = _config(**changes)
        execute(config, _job(root, config, name))
        weights.append(backbone.load(root / name).model.state_dict()["fc.weight"])
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert digest(plain(_config(), hashed_only=True)) == digest(plain(_config(cache_images=True), hashed_only=True))


@pytest.mark.parametrize("mixing", [CutMix(), Mixup(), NoMixing()])
def test_the_loss_is_the_mixed_batchs(root: Path, mixing: Any) -> None:
    config = _config(mixing=mixing)
    trainer = Trainer(config, _job(root, config))
    pixels, labels = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8), torch.tensor([0, 1, 2, 3])
    seen = []

    class Spy(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.append(x)
            return torch.stack([x.mean((1, 2, 3)) * k for k in range(6)], dim=1)

    loss, _ = trainer.objective(Spy(), (pixels, labels), torch.Generator().manual_seed(2))
    mean, std = torch.tensor(trainer.spec.mean).view(3, 1, 1), torch.tensor(trainer.spec.std).view(3, 1, 1)
    images = (pixels / 255 - mean) / std
    draw = mixing.draw(images.shape, torch.Generator().manual_seed(2))
    assert torch.allclose(seen[0], mixing.apply(images, draw), atol=1e-5)
    entropy = torch.nn.functional.cross_entropy
    logits, partner = Spy()(seen[0]), draw.partner if draw.partner is not None else torch.arange(4)
    expected = draw.lam * entropy(logits, labels) + (1 - draw.lam) * entropy(logits, labels[partner])
    assert torch.allclose(loss, expected)


def test_frozen_losses(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights, order, augmentation, mixing and schedule together: a refactoring must not move these numbers."""
    config = _config(recipe=Recipe(optimizer=SGD(lr=0.1), batch_size=4, steps=6))
    trainer, losses = Trainer(config, _job(root, config)), []
    plain_loss = trainer.objective

    def recorded(model: Any, batch: Any, generator: torch.Generator) -> Any:
        value, numbers = plain_loss(model, batch, generator)
        losses.append(float(value.detach()))
        return value, numbers

    monkeypatch.setattr(trainer, "objective", recorded)
    trainer.train()
    assert losses == pytest.approx(FROZEN, rel=2e-3)


def test_validates_when_due_and_at_the_end(root: Path) -> None:
    config = _config(validate_every=2)
    fitted = Trainer(config, _job(root, config)).train()
    assert [entry["epoch"] for entry in fitted.history if "top1_error" in entry] == [2, 3]
    counts = {"train": 12, "val": 6}
    assert config.images(lambda need: counts[need.split]) == 9 * 4 + 2 * 6
    assert config.needs() == (Need(ImageNet(), "train"), Need(ImageNet(), "val"))


def test_a_best_epoch_is_there_where_only_the_end_was_validated() -> None:
    predictions = {"labels": [0, 1], "topk": [[0, 1, 2, 3, 4], [0, 2, 3, 4, 5]]}
    outcome = summarize(_config(), Fitted(3, [{"epoch": 1}]), predictions, torch.nn.Linear(2, 3))
    assert (outcome.more["best_top1_error"], outcome.more["best_epoch"]) == (50.0, 1)


def test_takes_no_backbone(root: Path) -> None:
    config = _config()
    with pytest.raises(UserError, match="--backbone"):
        execute(config, replace(_job(root, config), backbone="timm:resnet50"))


@pytest.mark.parametrize("bad", [{"validate_every": 0}, {"image_size": 40}, {"image_size": 0}])
def test_impossible_fields_are_refused(bad: dict[str, int]) -> None:
    with pytest.raises(UserError, match="image_size"):
        _config(**bad)


def test_the_command_runs_skips_and_refuses(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    config = layouts.write(root / "tiny.py", CONFIG)
    args = [str(config), "--run", str(root / "run"), "--data-root", str(root)]
    assert main(args) == 0
    assert json.loads((root / "run/result.json").read_text())["metrics"]["top1_error"]["unit"] == "%"
    assert main(args) == 0
    assert "done already" in capfd.readouterr().out
    assert main([*args, "--mixing.alpha", "0.5"]) == 2
    assert "mixing.alpha: 1.0 there, 0.5 here" in capfd.readouterr().err
    for wrong, told in ((("--mixing.alpha", "-1"), "must be a positive number"), (("--mixing.alhpa", "1"), "alhpa")):
        with pytest.raises(SystemExit) as stopped:
            main([*args, *wrong])
        assert stopped.value.code == 2
        assert told in capfd.readouterr().err
    assert main([str(config), "--run", str(root / "other"), "--data-root", str(root / "nowhere")]) == 2


@pytest.mark.parametrize("stem", sorted(path.stem for path in (CONFIGS / "pretrain").glob("[!_]*.py")))
def test_every_config_loads(stem: str) -> None:
    config = load(f"pretrain/{stem}")
    assert isinstance(config, Pretrain)
    assert plain(config)["class"] == "pretrain.stage.Pretrain"


def test_the_papers_recipe() -> None:
    """Section 4.1: 300 epochs of 1,281,167 images, batch 256, .1 divided by 10 at 75, 150 and 225."""
    recipe = load("pretrain/resnet50_baseline").recipe
    images, steps = 1_281_167, 5005
    assert recipe.total_steps(images) == 300 * steps
    rates = [recipe.lr(epoch * steps, images) for epoch in (0, 74, 75, 149, 150, 225, 299)]
    assert rates == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001, 0.0001, 0.0001])
    for name in ("mixup", "cutout", "cutmix"):
        assert replace(load(f"pretrain/resnet50_{name}"), mixing=NoMixing()) == load("pretrain/resnet50_baseline")


def test_batch_norms_of_the_papers_network_start_at_one() -> None:
    """As in the authors' ResNet; timm by itself starts the last one of each block at 0."""
    config = load("pretrain/resnet50_baseline")
    model = backbone.build(backbone.Spec(config.architecture, 10, config.image_size, config.kwargs))
    norms = [module for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    assert len(norms) == 53
    assert all(bool((norm.weight == 1).all()) for norm in norms)


def test_real_imagenet_images_go_through(real_data: Path, tmp_path: Path) -> None:
    config = replace(load("pretrain/mini_cutmix"), cache_images=False, device="cpu")
    config = replace(config, recipe=Recipe(optimizer=SGD(lr=0.1), batch_size=8, steps=2))
    here = replace(job(tmp_path / "run"), root=real_data, config=config)
    outcome = execute(config, here)
    assert 0 < (outcome.metrics["top1_error"].value or 0) <= 100
    assert backbone.load(tmp_path / "run").spec.num_classes == 10
