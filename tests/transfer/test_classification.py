"""Classification as a transfer step: fine-tuned, tested as it is, and through the stage's command."""

import errno
import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from core import backbone
from core.data.cub import CUB
from core.data.imagenet import ImageNet
from core.recipe import SGD, Recipe
from core.resnet import classifier
from tests.core.networks import TINY_SPEC, job
from tests.data import layouts
from transfer.__main__ import main
from transfer.stage import Transfer, execute
from transfer.tasks.classification import Classifier, ClassifierTest, FineTune

CONFIG = """
from core.data.cub import CUB
from core.recipe import SGD, Recipe
from transfer.stage import Transfer
from transfer.tasks.classification import FineTune
config = Transfer(
    task=FineTune(data=CUB(), resize=36, crop=32),
    recipe=Recipe(optimizer=SGD(lr=0.1), batch_size=4, steps=2),
    device="cpu",
)
"""


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    path = tmp_path / "backbone.safetensors"
    backbone.save(path, backbone.build(TINY_SPEC), TINY_SPEC)
    return path


def test_fine_tuning_trains_head_and_body_at_their_rates_and_hands_the_backbone_on(saved: Path, tmp_path: Path) -> None:
    layouts.cub(tmp_path, classes=2, per_class=6)
    task = FineTune(data=CUB(), resize=36, crop=32, body_lr_scale=0.1)
    config = Transfer(task=task, recipe=Recipe(optimizer=SGD(lr=0.1), batch_size=4, steps=3), device="cpu")
    outcome = execute(config, replace(job(tmp_path / "run"), root=tmp_path, backbone=str(saved), config=config))
    handed = backbone.load(tmp_path / "run")
    assert (handed.spec.num_classes, handed.spec.layer4_stride1, handed.spec.input_size) == (2, True, 32)
    assert 0 <= (outcome.metrics["top1_error"].value or 0) <= 100
    predictions = json.loads((tmp_path / "run/predictions.json").read_text())
    assert len(predictions["labels"]) == 6
    before = backbone.load(saved).model.state_dict()
    assert not torch.equal(before["conv1.weight"], handed.model.state_dict()["conv1.weight"])


def test_the_body_learns_at_its_share_of_the_rate() -> None:
    task = FineTune(data=CUB(), body_lr_scale=0.1)
    model = Classifier(backbone.build(TINY_SPEC), TINY_SPEC)
    head, body = task.parameters(model)
    assert {id(p) for p in head["params"]} == {id(p) for p in classifier(model.network).parameters()}
    assert body["lr_scale"] == 0.1
    assert len(head["params"]) + len(body["params"]) == len(list(model.parameters()))


def test_predictions_that_are_there_are_scored_without_training(saved: Path, tmp_path: Path) -> None:
    layouts.cub(tmp_path)
    config = Transfer(
        task=FineTune(data=CUB(), resize=36, crop=32), recipe=Recipe(optimizer=SGD(lr=0.1), batch_size=4, steps=10**9)
    )
    here = replace(job(tmp_path / "run"), root=tmp_path, backbone=str(saved), config=config)
    here.run.path("predictions.json").write_text(
        json.dumps({"labels": [0, 1, 1, 0], "topk": [[0, 1], [1, 0], [0, 1], [1, 0]]})
    )
    assert execute(config, here).metrics["top1_error"].value == 50.0


def test_a_classifier_is_tested_as_it_is(saved: Path, tmp_path: Path) -> None:
    layouts.imagenet(tmp_path, {split: {f"n0000000{c}": 2 for c in range(3)} for split in ("train", "val")})

    class Oracle(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.eye(3)[torch.arange(len(images)) % 3]

    task = ClassifierTest(data=ImageNet(), resize=32, crop=32)
    samples = task.test_data(tmp_path)
    batch = task.collate([samples.sample(i) for i in range(6)])
    assert batch[0].shape == (6, 3, 32, 32)
    assert batch[0].dtype == torch.uint8
    assert batch[1].tolist() == [0, 0, 1, 1, 2, 2]
    outcome = task.score(task.save(task.predict(Oracle(), batch)), tmp_path)
    # the oracle says 0 1 2 0 1 2 for labels 0 0 1 1 2 2: the first and the last are right
    assert outcome.metrics["top1_error"].value == pytest.approx(100 * 4 / 6)


@pytest.mark.parametrize(("classes", "reason"), [(0, "no head"), (7, "head of 7 classes, the data has 3")])
def test_a_backbone_without_the_right_head_has_no_error_rather_than_a_wrong_one(
    tmp_path: Path, classes: int, reason: str
) -> None:
    layouts.imagenet(tmp_path, {split: {f"n0000000{c}": 1 for c in range(3)} for split in ("train", "val")})
    spec = replace(TINY_SPEC, num_classes=classes)
    start = backbone.Backbone(spec, backbone.build(spec), "")
    outcome = ClassifierTest(data=ImageNet()).inapplicable(start, tmp_path)
    assert outcome is not None
    assert outcome.metrics["top1_error"].value is None
    assert outcome.more["reason"] == reason


def test_the_command_runs_skips_refuses_and_forces(
    saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    layouts.cub(tmp_path / "data", per_class=6)
    (tmp_path / "tiny_cub.py").write_text(CONFIG)
    folder = tmp_path / "run"
    words = [
        str(tmp_path / "tiny_cub.py"),
        "--backbone",
        str(saved),
        "--run",
        str(folder),
        "--data-root",
        str(tmp_path / "data"),
    ]
    assert main(words) == 0
    result = json.loads((folder / "result.json").read_text())
    assert result["stage"] == "transfer"
    assert result["config"] == "tiny_cub"
    assert result["data"] == [{"name": "CUB-200-2011", "split": split, "images": 6} for split in ("train", "test")]
    assert result["backbone_sha256"] == subprocess.check_output(["sha256sum", saved], text=True).split()[0]
    assert result["more"]["weights"].endswith("tensors loaded")
    stamp = (folder / "result.json").stat().st_mtime_ns
    assert main(words) == 0
    assert (folder / "result.json").stat().st_mtime_ns == stamp, "done is not done again"
    assert main([*words, "--recipe.optimizer.lr", "0.2"]) == 2
    assert "recipe.optimizer.lr: 0.1 there, 0.2 here" in capsys.readouterr().err.replace("config.", "")
    assert main([*words, "--recipe.optimizer.lr", "0.2", "--force"]) == 0
    assert json.loads((folder / "result.json").read_text())["digest"] != result["digest"]


def test_a_data_root_that_is_missing_is_named_with_the_layout(
    saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tiny_cub.py").write_text(CONFIG)
    words = [str(tmp_path / "tiny_cub.py"), "--backbone", str(saved), "--run", str(tmp_path / "run")]
    assert main([*words, "--data-root", str(tmp_path / "nowhere")]) == 2
    said = capsys.readouterr().err
    assert str(tmp_path / "nowhere") in said
    assert "images.txt" in said, "the layout expected"
    assert not (tmp_path / "run").exists(), "a refusal leaves nothing behind"


def test_a_config_of_another_stage_and_a_missing_backbone_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "wrong.py").write_text("config = 3")
    assert main([str(tmp_path / "wrong.py")]) == 2
    assert "expected a Transfer" in capsys.readouterr().err
    (tmp_path / "tiny_cub.py").write_text(CONFIG)
    assert main([str(tmp_path / "tiny_cub.py"), "--backbone", str(tmp_path / "no_run")]) == 2
    assert "expected a run folder" in capsys.readouterr().err


def test_a_disk_that_is_full_is_said_and_leaves_no_half_result(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    layouts.cub(tmp_path / "data", per_class=6)
    (tmp_path / "tiny_cub.py").write_text(CONFIG)
    words = [str(tmp_path / "tiny_cub.py"), "--backbone", str(saved), "--run", str(tmp_path / "run")]
    words += ["--data-root", str(tmp_path / "data")]
    whole = Path.write_bytes

    def full(self: Path, data: bytes) -> int:
        if "result.json" in self.name:
            raise OSError(errno.ENOSPC, "No space left on device", str(self))
        return whole(self, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    assert main(words) == 2
    said = capsys.readouterr().err
    assert "No space left on device" in said
    assert "Traceback" not in said
    assert not list((tmp_path / "run").glob("*result*"))
    kept = (tmp_path / "run/predictions.json").stat().st_mtime_ns
    monkeypatch.undo()
    assert main(words) == 0, "room again: the same command ends what was begun"
    assert (tmp_path / "run/predictions.json").stat().st_mtime_ns == kept, "and computes nothing again"
