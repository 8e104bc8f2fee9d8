"""The pretraining stage end to end on a few noise images, and through its command."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core import backbone
from core.config import CONFIGS, digest, load, plain
from core.data.imagenet import ImageNet
from core.data.records import Need
from core.errors import UserError
from core.loop import Fitted
from core.recipe import SGD, Recipe
from pretrain.__main__ import main
from pretrain.mixing.cutmix import CutMix
from pretrain.mixing.mixup import Mixup
from pretrain.mixing.none import NoMixing
from pretrain.samples import Batch
from pretrain.sets import Sets
from pretrain.stage import Pretrain
from pretrain.training import Trainer, _tune, execute, summarize
from pretrain.validation import Validation
from tests.core.networks import job
from tests.data import layouts
from tests.pretrain.tiny import CONFIG, images, job_of
from tests.pretrain.tiny import config as tiny
from tests.pretrain.tiny import trainer as trainer_of

FROZEN = [2.03595, 1.97083, 1.66159, 1.73623, 1.96512, 1.85716]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return images(tmp_path)


def test_trains_saves_and_reports_the_last_epoch(root: Path) -> None:
    config = tiny()
    outcome = execute(config, job_of(root, config))
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
    outcome = summarize(tiny(), Fitted(9, history), predictions, torch.nn.Linear(2, 3))
    assert outcome.metrics["top1_error"].value == 50.0
    assert outcome.metrics["top5_error"].value == 50.0
    assert (outcome.more["best_top1_error"], outcome.more["best_epoch"]) == (10.0, 2)


def test_the_last_epoch_is_validated_once_and_survives_a_kill_after_it(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between the last validation and the result, the run that goes on validates nothing."""
    passes: list[str] = []
    plain_predict = Validation.predict

    def counted(self: Validation, *args: Any, **kwargs: Any) -> Any:
        passes.append(self.job.run.folder.name)
        return plain_predict(self, *args, **kwargs)

    monkeypatch.setattr(Validation, "predict", counted)
    config = tiny(recipe=Recipe(optimizer=SGD(lr=0.1), batch_size=4, steps=5))  # 3 steps an epoch: cut short
    straight = execute(config, job_of(root, config, "straight"))
    assert passes == ["straight"] * 2
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "finish", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            execute(config, job_of(root, config, "killed"))
    assert execute(config, job_of(root, config, "killed")) == straight
    assert passes == ["straight"] * 2 + ["killed"] * 2
    assert straight.more["best_epoch"] in (1, 2)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_same_seed_same_bits_whatever_is_kept_in_memory(root: Path) -> None:
    weights = []
    for name, changes in (("a", {}), ("b", {"cache_images": True}), ("c", {"seed": 1})):
        config = tiny(**changes)
        execute(config, job_of(root, config, name))
        weights.append(backbone.load(root / name).model.state_dict()["fc.weight"])
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert digest(plain(tiny(), hashed_only=True)) == digest(plain(tiny(cache_images=True), hashed_only=True))


@pytest.mark.parametrize("mixing", [CutMix(), Mixup(), NoMixing()])
def test_the_loss_is_the_mixed_batchs(root: Path, mixing: Any) -> None:
    config = tiny(mixing=mixing)
    trainer = trainer_of(root, config)
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


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_cudnn_tries_its_algorithms_where_there_is_one(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", False)
    _tune(torch.device(device))
    assert torch.backends.cudnn.benchmark is (device == "cuda")


def test_frozen_losses(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights, order, augmentation, mixing and schedule together: a refactoring must not move these numbers."""
    config = tiny(recipe=Recipe(optimizer=SGD(lr=0.1), batch_size=4, steps=6))
    trainer, losses = trainer_of(root, config), []
    plain_loss = trainer.objective

    def recorded(model: Any, batch: Any, generator: torch.Generator) -> Any:
        value, numbers = plain_loss(model, batch, generator)
        losses.append(float(value.detach()))
        return value, numbers

    monkeypatch.setattr(trainer, "objective", recorded)
    trainer.train()
    assert losses == pytest.approx(FROZEN, rel=2e-3)


def test_validates_when_due_and_at_the_end(root: Path) -> None:
    config = tiny(validate_every=2)
    fitted = trainer_of(root, config).train()
    assert [entry["epoch"] for entry in fitted.history if "top1_error" in entry] == [2, 3]
    counts = {"train": 12, "val": 6}
    assert config.images(lambda need: counts[need.split]) == 9 * 4 + 2 * 6
    assert config.needs() == (Need(ImageNet(), "train"), Need(ImageNet(), "val"))


def test_a_best_epoch_is_there_where_only_the_end_was_validated() -> None:
    predictions = {"labels": [0, 1], "topk": [[0, 1, 2, 3, 4], [0, 2, 3, 4, 5]]}
    outcome = summarize(tiny(), Fitted(3, [{"epoch": 1}]), predictions, torch.nn.Linear(2, 3))
    assert (outcome.more["best_top1_error"], outcome.more["best_epoch"]) == (50.0, 1)


def test_takes_no_backbone(root: Path) -> None:
    config = tiny()
    with pytest.raises(UserError, match="--backbone"):
        execute(config, replace(job_of(root, config), backbone="timm:resnet50"))


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        ({"validate_every": 0}, "image_size"),
        ({"image_size": 40}, "image_size"),
        ({"image_size": 0}, "image_size"),
        ({"label_smoothing": 1.0}, "label_smoothing: expected a share"),
        ({"label_smoothing": -0.1}, "label_smoothing: expected a share"),
        ({"std": (0.2, 0.0, 0.2)}, "std: expected"),
        (
            {"mean": (125.0, 123.0, 114.0)},
            r"mean: expected .* 0..1, got .*; those of pixels in 0..255 are 0.4902, 0.4824, 0.4471",
        ),
        ({"mean": (-0.1, 0.5, 0.5)}, r"mean: expected .* 0..1, got \(-0.1, 0.5, 0.5\)$"),
        ({"std": (58.4, 57.1, 57.4)}, "std: expected .* are 0.229, 0.2239, 0.2251 here"),
        ({"workers": -1}, "workers: expected 0 or more, got -1"),
    ],
)
def test_impossible_fields_are_refused(bad: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError, match=told):
        tiny(**bad)


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
    recipe.check(images, ranks=8)  # 143 images are left for the last batch
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


def test_logits_are_kept_and_rank_as_the_predictions(root: Path) -> None:
    config = tiny(mean=(0.5, 0.4, 0.3), std=(0.2, 0.2, 0.3))
    execute(config, job_of(root, config))
    logits = np.load(root / "run/logits.npy", allow_pickle=False)
    saved = json.loads((root / "run/predictions.json").read_text())
    assert (logits.shape, logits.dtype) == ((6, 6), np.float16)
    loaded = backbone.load(root / "run")
    assert (loaded.spec.mean, loaded.spec.std) == ((0.5, 0.4, 0.3), (0.2, 0.2, 0.3))
    crops = Sets.read(config, root).val
    pixels = torch.stack([torch.from_numpy(crops.sample(i).pixels.copy()) for i in range(6)]).permute(0, 3, 1, 2)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (config.mean, config.std))
    expected = loaded.model.eval()((pixels / 255 - mean) / std).detach()
    assert np.abs(logits - expected.numpy()).max() < 2e-3
    assert [ranks[0] for ranks in saved["topk"]] == expected.argmax(1).tolist()
    silent = tiny(save_logits=False)
    execute(silent, job_of(root, silent, "silent"))
    assert not (root / "silent/logits.npy").exists()
    assert digest(plain(silent, hashed_only=True)) == digest(plain(tiny(), hashed_only=True))


def test_every_epoch_has_a_line_of_training_and_validation_errors(root: Path) -> None:
    config = tiny(mixing=NoMixing())
    trainer = trainer_of(root, config)
    seen: list[tuple[float, float]] = []
    plain_loss = trainer.objective

    class Recorded:
        """The objective, and what it said of each step."""

        def __getattr__(self, name: str) -> Any:
            return getattr(plain_loss, name)

        def __call__(self, *args: Any) -> Any:
            value, numbers = plain_loss(*args)
            seen.append((float(value.detach()), float(numbers["top1"])))
            return value, numbers

    trainer.objective = Recorded()  # type: ignore[assignment]
    trainer.train()
    lines = [json.loads(line) for line in (root / "run/metrics.jsonl").read_text().splitlines()]
    epochs = [line for line in lines if "epoch" in line]
    assert [line["epoch"] for line in epochs] == [1, 2, 3]
    for i, line in enumerate(epochs):
        losses, shares = zip(*seen[3 * i : 3 * i + 3], strict=True)
        assert line["train_loss"] == pytest.approx(np.mean(losses), rel=1e-5)
        assert line["train_top1_error"] == pytest.approx(100 * (1 - np.mean(shares)), abs=1e-4)
        assert {"top1_error", "top5_error"} <= line.keys()


def test_label_smoothing_is_part_of_the_loss(root: Path) -> None:
    config = tiny(mixing=NoMixing(), label_smoothing=0.1)
    trainer = trainer_of(root, config)
    pixels, labels = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8), torch.tensor([0, 1, 2, 3])
    trainer.model.eval()
    loss, _ = trainer.objective(trainer.model, Batch(pixels, labels, None), torch.Generator().manual_seed(2))
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (config.mean, config.std))
    logits = trainer.model((pixels / 255 - mean) / std)
    expected = torch.nn.functional.cross_entropy(logits, labels, label_smoothing=0.1)
    assert float(loss.detach()) == pytest.approx(float(expected.detach()), rel=1e-4)


def test_what_regularises_the_training_alone_does_not_travel(root: Path) -> None:
    config = tiny(training_kwargs={"drop_path_rate": 0.5})
    trainer = trainer_of(root, config)
    assert any(getattr(module, "drop_prob", 0.0) for module in trainer.model.modules())
    assert trainer.spec.kwargs == config.kwargs
    same = trainer_of(root, tiny(), "plain").model.state_dict()
    assert all(torch.equal(tensor, same[name]) for name, tensor in trainer.model.state_dict().items())
    wider = tiny(training_kwargs={"channels": [8, 8, 16, 24]})
    with pytest.raises(UserError, match=r"training_kwargs \{'channels': \[8, 8, 16, 24\]\}: expected the tensors"):
        trainer_of(root, wider, "wider")
    shaken = tiny(
        architecture="core.networks.pyramidnet:PyramidNet",
        kwargs={"depth": 11, "alpha": 6.0},
        training_kwargs={"shakedrop": 0.5},  # its factor stays in the test
    )
    with pytest.raises(UserError, match=r"expected the logits of .* in a test, .* they differ. Put these arguments"):
        trainer_of(root, shaken, "shaken")
    assert digest(plain(config, hashed_only=True)) != digest(plain(tiny(), hashed_only=True))


def test_fewer_images_than_a_batch_are_refused(root: Path) -> None:
    config = tiny(recipe=Recipe(optimizer=SGD(lr=0.1), batch_size=64, epochs=3))
    with pytest.raises(UserError, match="12 samples, fewer than one batch of 64"):
        execute(config, job_of(root, config))
    whole = tiny(recipe=Recipe(optimizer=SGD(lr=0.1), batch_size=64, epochs=1, drop_last=False))
    assert execute(whole, job_of(root, whole)).more["steps"] == 1
