"""What holds for every detector: tiny networks, tiny images."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from core.data.voc import VOC
from core.errors import UserError
from core.resnet import trunk
from eval.detection.detections import Detections
from eval.detection.voc import voc_ap
from tests.transfer.detection_cases import backbone, scenes, write_voc
from transfer.tasks.detection.data import Batch, Fit, Scenes, collate
from transfer.tasks.detection.freezing import FrozenNorm, freeze
from transfer.tasks.detection.normalizer import Normalizer
from transfer.tasks.detection.results import coco_results
from transfer.tasks.detection.task import Detection
from transfer.tasks.faster_rcnn import C4, FPN, FasterRCNN
from transfer.tasks.ssd import SSD

SMALL = {"regions_per_image": 32, "anchors_per_image": 32, "candidates": (64, 64), "proposals": (32, 32)}
SMALL_FPN = FPN(32, (2, 3, 4), extra_level=False, anchor_scale=4, head_width=64, canonical_side=48)
TASKS: dict[str, Detection] = {
    "ssd": SSD(side=96, extras=(32,), scales=(0.2, 0.4, 0.6, 0.8, 1.0), ratios=((2,),) * 4, steps=None),
    "fpn": FasterRCNN(neck=SMALL_FPN, size=Fit(96, 128), **SMALL),  # type: ignore[arg-type]  # one dict, three types
    "c4": FasterRCNN(neck=C4((32, 64), roi_size=6), size=Fit(96, 128), **SMALL),  # type: ignore[arg-type]
}


@pytest.fixture(params=sorted(TASKS))
def task(request: pytest.FixtureRequest) -> Detection:
    return TASKS[request.param]


def _batch(task: Detection, folder: Path) -> Batch:
    data = task.train_samples(scenes(folder))
    torch.manual_seed(0)
    return collate([data.sample(i) for i in range(len(data))])


def _step(task: Detection, model: nn.Module, batch: Batch, optimizer: torch.optim.Optimizer) -> float:
    loss, _ = task.loss(model, batch, torch.Generator())
    optimizer.zero_grad()
    torch.autograd.backward(loss)
    optimizer.step()
    return loss.item()


def test_one_step_with_an_image_without_objects_is_finite(task: Detection, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = task.model(backbone(), tmp_path).train()
    batch = _batch(task, tmp_path)
    assert [len(boxes) for boxes in batch.boxes][-1] == 0
    loss, parts = task.loss(model, batch, torch.Generator())
    torch.autograd.backward(loss)
    assert torch.isfinite(loss)
    torch.testing.assert_close(loss.detach(), torch.stack(list(parts.values())).sum())
    gradients = [p.grad for p in model.parameters() if p.requires_grad]
    assert all(g is not None and torch.isfinite(g).all() for g in gradients)
    assert any(g.abs().max() > 0 for g in gradients if g is not None)


def test_only_images_without_objects_is_finite(task: Detection, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = task.model(backbone(), tmp_path).train()
    batch = collate([task.train_samples(scenes(tmp_path)[3:]).sample(0)] * 2)
    loss, _ = task.loss(model, batch, torch.Generator())
    torch.autograd.backward(loss)
    assert torch.isfinite(loss)


@pytest.mark.parametrize("norms_frozen", [True, False])
def test_frozen_means_frozen(task: Detection, norms_frozen: bool, tmp_path: Path) -> None:
    """Parameters and BatchNorm statistics, after `train()` on the model and on its parts, and nothing more."""
    task = replace(task, freeze_at=2, norms_frozen=norms_frozen)
    torch.manual_seed(0)
    net = backbone()
    body = trunk(net.model)
    before = {f"{i}": _state(part) for i, part in enumerate(_stages(body))}
    model = task.model(net, tmp_path)
    optimizer = torch.optim.SGD(task.parameters(model)[0]["params"], lr=0.01, weight_decay=0.1)
    batch = _batch(task, tmp_path)
    for _ in range(2):
        model.train()
        for child in model.children():
            child.train()
        _step(task, model, batch, optimizer)
    after = [_state(part) for part in _stages(body)]
    for i in (0, 1):
        assert all(torch.equal(a, b) for a, b in zip(before[str(i)].values(), after[i].values(), strict=True))
    for i in (2, 3):
        means = [name for name in after[i] if name.endswith("running_mean")]
        assert means
        old = list(before[str(i)].values())
        same = [torch.equal(a, b) for a, b in zip(old, after[i].values(), strict=True)]
        kept = [ok for name, ok in zip(after[i], same, strict=True) if "running" in name or name.endswith(".norm.bias")]
        assert all(kept) == norms_frozen
        assert not all(same)  # its convolutions do learn


def _stages(body: Any) -> Sequence[nn.Module]:
    return [body.stem, body.layer1, body.layer2, body.layer3]


def _state(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def test_freeze_at_takes_from_the_image_on() -> None:
    for parts in range(6):
        body = trunk(backbone().model)
        freeze(body, parts, norms=False)
        stages = [body.stem, body.layer1, body.layer2, body.layer3, body.layer4]
        fixed = [not any(p.requires_grad for p in stage.parameters()) for stage in stages]
        assert fixed == [i < parts for i in range(5)]
    with pytest.raises(ValueError, match="freeze_at"):
        SSD(freeze_at=6)


def test_a_frozen_norm_uses_its_statistics_in_training() -> None:
    norm = nn.BatchNorm2d(3)
    norm.running_mean.fill_(2.0)  # type: ignore[union-attr]  # a BatchNorm with statistics has them
    frozen = nn.Sequential(FrozenNorm(norm)).train()
    out = frozen(torch.full((2, 3, 4, 4), 5.0))
    torch.testing.assert_close(out, torch.full((2, 3, 4, 4), 3.0 / (1 + 1e-5) ** 0.5))


@pytest.mark.parametrize("name", ["resnet10t", "resnet18", "resnet50d", "test_resnet", "seresnet50"])
@pytest.mark.parametrize("kind", sorted(TASKS))
def test_any_timm_resnet_builds_and_detects(name: str, kind: str, tmp_path: Path) -> None:
    task = TASKS[kind]
    torch.manual_seed(0)
    model = task.model(backbone(name), tmp_path).eval()
    data = task.train_samples(scenes(tmp_path)[:1])
    with torch.no_grad():
        (found,) = task.predict(model, collate([data.sample(0)]))
    assert all(0 <= one["category_id"] < 20 for one in found)


def test_a_loss_that_is_nan_is_told_as_nan(task: Detection, tmp_path: Path) -> None:
    """The loop then stops with the step and the learning rate; torchvision must not fail with a message of its own."""
    torch.manual_seed(0)
    model = task.model(backbone(), tmp_path).train()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(float("nan"))
    loss, _ = task.loss(model, _batch(task, tmp_path), torch.Generator())
    assert torch.isnan(loss)
    with torch.no_grad():
        assert task.predict(model.eval(), _batch(task, tmp_path)) == [[], [], [], []]


def test_normaliser_uses_the_backbones_numbers_and_pads_with_zeros() -> None:
    images = [torch.full((3, 20, 30), 255, dtype=torch.uint8), torch.zeros(3, 33, 10, dtype=torch.uint8)]
    batch, _ = Normalizer((0.5, 0.4, 0.3), (0.5, 0.2, 0.1), 32)(images)
    assert batch.tensors.shape == (2, 3, 64, 32)
    assert batch.image_sizes == [(20, 30), (33, 10)]
    torch.testing.assert_close(batch.tensors[0, :, 19, 29], torch.tensor([1.0, 3.0, 7.0]))
    torch.testing.assert_close(batch.tensors[1, :, 32, 9], torch.tensor([-1.0, -2.0, -3.0]))
    assert batch.tensors[0, :, 20:].abs().max() == 0
    same, _ = Normalizer((0.5, 0.4, 0.3), (0.5, 0.2, 0.1), 1)([images[0]] * 2)
    assert same.tensors.shape == (2, 3, 20, 30)


def test_boxes_come_back_in_the_files_pixels() -> None:
    boxes = torch.tensor([[10.0, 20.0, 30.0, 60.0], [-5.0, 0.0, 200.0, 150.0]])
    found = coco_results(
        boxes, torch.tensor([0.987654321, 0.5]), torch.tensor([3, 20]), (100, 100), "000009", (500, 250)
    )
    assert found == [
        {"image_id": "000009", "category_id": 2, "bbox": [50.0, 50.0, 100.0, 100.0], "score": 0.98765},
        {"image_id": "000009", "category_id": 19, "bbox": [0.0, 0.0, 500.0, 250.0], "score": 0.5},
    ]


class _Perfect(nn.Module):
    """Answers with the targets that it was shown: what a perfect network would see at the input's size."""

    def __init__(self, batch: Batch):
        super().__init__()
        self.batch = batch

    def forward(self, images: list[Tensor]) -> list[dict[str, Tensor]]:
        columns = zip(self.batch.boxes, self.batch.labels, strict=True)
        return [{"boxes": b, "labels": label, "scores": torch.ones(len(b))} for b, label in columns]


def test_a_perfect_detector_scores_100(task: Detection, tmp_path: Path) -> None:
    """The way of boxes, from a file's pixels to the input's and back to eval's, loses nothing."""
    records = scenes(tmp_path)
    samples = Scenes(records, task.input_size())
    batch = collate([samples.sample(i) for i in range(len(samples))])
    saved = task.save(task.predict(_Perfect(batch), batch))
    scores = voc_ap(Detections.from_coco(saved), records, [str(i) for i in range(20)])
    assert scores.ap == pytest.approx(100)


def test_two_images_are_learned_by_heart(task: Detection, tmp_path: Path) -> None:
    torch.manual_seed(0)
    task = replace(task, freeze_at=0, norms_frozen=False)
    model = task.model(backbone(), tmp_path).train()
    records = scenes(tmp_path)[:2]
    samples = Scenes(records, task.input_size())
    batch = collate([samples.sample(0), samples.sample(1)])
    optimizer = torch.optim.AdamW(task.parameters(model)[0]["params"])
    losses = []
    for step in range(60):
        optimizer.param_groups[0]["lr"] = 2e-3 * (1 - step / 60)  # the norms' statistics come to fit the weights
        losses.append(_step(task, model, batch, optimizer))
    assert sum(losses[-5:]) / 5 < losses[0] / 2  # of five draws of regions
    with torch.no_grad():
        saved = task.save(task.predict(model.eval(), batch))
    scores = voc_ap(Detections.from_coco(saved), records, [str(i) for i in range(20)])
    assert scores.ap50 > 50


@pytest.mark.parametrize("biases", [True, False])
@pytest.mark.parametrize("norms", [True, False])
def test_decay_spares_what_the_fields_say(biases: bool, norms: bool, tmp_path: Path) -> None:
    task = replace(TASKS["ssd"], freeze_at=0, norms_frozen=False, decay_biases=biases, decay_norms=norms)
    model = task.model(backbone(), tmp_path)
    decayed, *rest = task.parameters(model)
    assert "weight_decay" not in decayed
    assert all(group["weight_decay"] == 0.0 for group in rest)
    spared = {id(p) for group in rest for p in group["params"]}
    assert len(spared) + len(decayed["params"]) == len(list(model.parameters()))
    for name, module in model.named_modules():
        for kind, parameter in module.named_parameters(recurse=False):
            of_norm = isinstance(module, nn.BatchNorm2d)
            keeps = norms if of_norm else biases or kind != "bias"
            assert (id(parameter) not in spared) == keeps, (name, kind)


def test_from_a_folder_to_the_saved_score(task: Detection, tmp_path: Path) -> None:
    """What `score` makes of the saved file is eval's number, and is 100 for the truth less the difficult object."""
    write_voc(tmp_path)
    task = replace(task, data=VOC(train=(("2007", "trainval"),)))
    assert [need.split for need in task.needs()] == ["train", "test"]
    assert len(task.train_data(tmp_path)) == 4
    test = task.test_data(tmp_path)
    batch = task.collate([test.sample(i) for i in range(len(test))])
    assert [len(labels) for labels in batch.labels] == [2, 1, 1, 0]
    saved = json.loads(json.dumps(task.save(task.predict(_Perfect(batch), batch))))
    outcome = task.score(saved, tmp_path)
    assert {name: metric.value for name, metric in outcome.metrics.items()} == pytest.approx(
        {"map": 100, "map_area": 100, "ap": 100, "ap75": 100}
    )
    assert set(outcome.more["ap50_per_class"]) == {"aeroplane", "bicycle", "bird"}
    assert len(outcome.more["without_ground_truth"]) == 17

    worse = [{**one, "category_id": 0} for one in saved]
    records = task.data.records(tmp_path, "test")
    expected = voc_ap(Detections.from_coco(worse), records, task.data.classes(tmp_path))
    scored = task.score(worse, tmp_path).metrics
    assert 0 < expected.ap50 < 100
    assert [scored[name].value for name in ("map", "ap", "ap75")] == [expected.ap50, expected.ap, expected.ap75]


def test_no_detections_score_zero(tmp_path: Path) -> None:
    write_voc(tmp_path)
    with pytest.warns(UserWarning, match="no detections"):
        outcome = TASKS["ssd"].score([], tmp_path)
    assert outcome.metrics["map"].value == 0


def test_a_backbone_of_another_stride_is_refused(task: Detection, tmp_path: Path) -> None:
    net = backbone()
    net.spec = replace(net.spec, layer4_stride1=True)
    with pytest.raises(UserError, match="layer4"):
        task.model(net, tmp_path)
