"""The captioning task from files to BLEU: what it learns, what it leaves alone, what it refuses."""

import dataclasses
import json
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from PIL import Image

from core.backbone import Backbone, Spec, build
from core.data.records import DataError
from core.errors import UserError
from core.recipe import AdamW, Recipe
from transfer.stage import Transfer
from transfer.tasks.captioning.data import Batch, collate
from transfer.tasks.captioning.model import Captioner
from transfer.tasks.captioning.nic import NIC
from transfer.tasks.captioning.objective import Objective
from transfer.tasks.captioning.task import Captioning
from transfer.tasks.captioning.views import View

COLOURS = {"red": (220, 30, 30), "green": (30, 180, 40), "blue": (30, 40, 220), "white": (240, 240, 240)}
TASK = Captioning(resize=36, crop=32, decoder=NIC(embed=16, hidden=32, dropout=0.0), min_count=1, max_words=8, beam=3)
BLEU = dataclasses.replace(TASK, metrics=("bleu",))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Four plain pictures, each with its own caption, as train and as val."""
    for split in ("train2017", "val2017"):
        folder = tmp_path / "coco" / split
        folder.mkdir(parents=True)
        for i, colour in enumerate(COLOURS.values()):
            Image.fromarray(np.full((30, 40, 3), colour, np.uint8)).save(folder / f"{i}.jpg", quality=95)
        captions = [f"A {name} picture {'of nothing ' * (i % 2)}here." for i, name in enumerate(COLOURS)]
        write(tmp_path, split, captions)
    return tmp_path


def write(root: Path, split: str, captions: list[str]) -> None:
    content = {
        "images": [{"id": 10 + i, "file_name": f"{i}.jpg"} for i in range(len(captions))],
        "annotations": [{"id": i, "image_id": 10 + i, "caption": text} for i, text in enumerate(captions)],
    }
    path = root / "coco" / "annotations" / f"captions_{split}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content))


def backbone() -> Backbone:
    torch.manual_seed(0)
    spec = Spec("timm:test_resnet", 3, 32)
    return Backbone(spec, build(spec), "random")


def train(task: Captioning, model: Captioner, root: Path, steps: int, lr: float = 0.01) -> float:
    data = task.train_data(root)
    optimizer = torch.optim.Adam(
        [{"params": g["params"], "lr": lr * g.get("lr_scale", 1.0)} for g in task.parameters(model)], lr=lr
    )
    model.train()
    loss, batch = torch.tensor(torch.nan), None
    for step in range(steps):
        torch.manual_seed(step)
        if batch is None or data.view.augment:
            batch = collate([data.sample(i) for i in range(len(data))])
        if task.finetune_from is None and not data.view.augment and batch.features is None:
            with torch.no_grad():
                batch = batch._replace(pixels=None, features=model.features(batch).half())
        loss, numbers = loss_of(task)(model, batch, torch.Generator())
        assert numbers["perplexity"].item() == pytest.approx(loss.exp().item())
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
    return loss.item()


def loss_of(task: Captioning) -> Objective:
    return task.objective(Recipe(epochs=2, batch_size=20, optimizer=AdamW(lr=1e-3)), 100)


def shown(task: Captioning, root: Path) -> Batch:
    data = task.test_data(root)
    return collate([data.sample(i) for i in range(len(data))])


def test_it_learns_four_captions_by_heart_and_scores_100(root: Path) -> None:
    model = cast(Captioner, TASK.model(backbone(), root))
    train(TASK, model, root, 400)  # the batch normalisation's momentum of .01 needs some hundred steps
    with torch.no_grad():
        saved = TASK.save(TASK.predict(model.eval(), shown(TASK, root)))
    assert saved == [
        {"image_id": 10, "caption": "a red picture here"},
        {"image_id": 11, "caption": "a green picture of nothing here"},
        {"image_id": 12, "caption": "a blue picture here"},
        {"image_id": 13, "caption": "a white picture of nothing here"},
    ]
    scored = dataclasses.replace(TASK, metrics=("rouge_l", "cider"))  # METEOR's program takes seconds to start
    outcome = scored.score(json.loads(json.dumps(saved)), root)
    assert list(outcome.metrics) == ["bleu4", "bleu1", "bleu2", "bleu3", "rouge_l", "cider"]
    values = {name: metric.value for name, metric in outcome.metrics.items()}
    assert list(values.values())[:5] == pytest.approx([100] * 5, abs=1e-4)
    assert outcome.more["intervals"]["bleu4"] == pytest.approx([100, 100], abs=1e-4)
    assert outcome.more["different_captions"] == 4
    assert outcome.more["diversity"]["words"] == 20
    assert outcome.more["diversity"]["vocabulary"] == 9


@pytest.mark.parametrize("changes", [{"finetune_from": 0}, {"augment": True}])
def test_it_learns_from_pixels_too(changes: dict[str, Any], root: Path) -> None:
    task = dataclasses.replace(TASK, **changes)
    model = cast(Captioner, task.model(backbone(), root))
    first = train(task, model, root, 1)
    assert train(task, model, root, 60) < 0.1 * first


@pytest.mark.parametrize("augment", [False, True])
def test_a_frozen_encoder_keeps_every_tensor_and_a_fine_tuned_one_keeps_its_statistics(
    augment: bool, root: Path
) -> None:
    before = backbone().model.state_dict()
    frozen = dataclasses.replace(TASK, augment=augment)
    model = cast(Captioner, frozen.model(backbone(), root))
    train(frozen, model, root, 2)
    after = model.encoder.state_dict()
    same = {name: torch.equal(after[key], before[name]) for name, key in names(before, after).items()}
    assert len(same) > 50
    assert all(same.values())

    tuned = dataclasses.replace(TASK, augment=augment, finetune_from=0, encoder_lr_scale=1.0)
    model = cast(Captioner, tuned.model(backbone(), root))
    train(tuned, model, root, 2)
    after = model.encoder.state_dict()
    same = {name: torch.equal(after[key], before[name]) for name, key in names(before, after).items()}
    statistics = {name for name in same if "running" in name or "num_batches" in name}
    assert all(same[name] for name in statistics)
    assert not any(same[name] for name in set(same) - statistics if "conv" in name)


def names(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> dict[str, str]:
    """Name in the backbone -> name in the encoder, of the stages."""
    return {name: name for name in before if name.startswith("layer") and name in after}


def test_every_caption_is_a_sample_with_its_own_image(root: Path) -> None:
    path = root / "coco" / "annotations" / "captions_train2017.json"
    content = json.loads(path.read_text())
    content["annotations"].append({"id": 99, "image_id": 12, "caption": "Blue!"})
    path.write_text(json.dumps(content))
    data = dataclasses.replace(TASK, augment=True).train_data(root)
    assert len(data) == 5
    assert [data.sample(i).id for i in range(5)] == [10, 11, 12, 12, 13]
    pixels = data.sample(3).pixels
    assert pixels is not None
    assert pixels.shape == (3, 32, 32)
    assert pixels.float().mean((1, 2)).argmax() == 2


def test_a_plan_counts_five_captions_an_image() -> None:
    config = Transfer(task=TASK, recipe=Recipe(epochs=2, batch_size=20, optimizer=AdamW(lr=1e-3)))
    assert config.images(lambda need: {"train": 100, "val": 30}[need.split]) == 2 * 500 + 30


def test_the_view_is_the_stretched_images_centre_or_a_random_part_of_it(tmp_path: Path) -> None:
    ramp = np.tile(np.arange(40, dtype=np.uint8)[:, None, None], (1, 40, 3))
    ramp[..., 1] = ramp[..., 0].T
    Image.fromarray(ramp).save(tmp_path / "ramp.png")
    centre = View(40, 32)(tmp_path / "ramp.png")
    assert torch.equal(centre[0, :, 0], torch.arange(4, 36, dtype=torch.uint8))
    assert torch.equal(centre[1, 0], torch.arange(4, 36, dtype=torch.uint8))
    seen = [View(40, 32, augment=True)(tmp_path / "ramp.png", seed) for seed in range(300)]
    assert {int(view[0, 0, 0]) for view in seen} == set(range(9))
    flipped = [int(view[1, 0, 0]) > int(view[1, 0, 1]) for view in seen]
    assert 100 < sum(flipped) < 200
    assert all(view.shape == (3, 32, 32) for view in seen)


def test_an_image_that_keeps_its_shape_is_cut_at_its_long_side(tmp_path: Path) -> None:
    ramp = np.repeat(np.tile(np.arange(80, dtype=np.uint8)[None, :, None], (40, 1, 3)), 1, 0)
    Image.fromarray(ramp).save(tmp_path / "wide.png")
    view = View(40, 32, keep_aspect=True)(tmp_path / "wide.png")
    assert torch.equal(view[0, 0], torch.arange(24, 56, dtype=torch.uint8))
    Image.fromarray(ramp.transpose(1, 0, 2)).save(tmp_path / "high.png")
    assert torch.equal(View(40, 32, keep_aspect=True)(tmp_path / "high.png")[0, :, 0], view[0, 0])
    both = View(20, 20, keep_aspect=True)(tmp_path / "wide.png")  # half the size: 40 x 20, its middle 20
    assert torch.allclose(both[0, 5].float(), 2 * torch.arange(10, 30) + 0.5, atol=0.6)


def test_the_views_pixels_are_pillows_up_to_one_step(real_data: Path) -> None:
    """Pillow's stretched square and its centre, which the codes of this field take."""
    for path in sorted((real_data / "coco/val2017").glob("*.jpg"))[:10]:
        with Image.open(path) as image:
            square = image.convert("RGB").resize((256, 256), Image.Resampling.BILINEAR).crop((16, 16, 240, 240))
        ours = View(256, 224)(path).permute(1, 2, 0).numpy().astype(int)
        assert np.abs(ours - np.asarray(square, int)).max() <= 1


def test_the_test_may_show_images_at_another_size(root: Path) -> None:
    task = dataclasses.replace(TASK, resize=48, test_resize=32, augment=True)
    assert task.train_data(root).view == View(48, 32, augment=True)
    assert task.test_data(root).view == View(32, 32)


def test_before_any_work_the_task_refuses_shared_images_and_unknown_metrics(root: Path) -> None:
    with pytest.raises(UserError, match=r'images of the split "train" are in .val. too'):
        TASK.check(root)
    with pytest.raises(UserError, match=r"metrics blue, expected some of bleu, meteor"):
        dataclasses.replace(TASK, metrics=("blue",)).check(root)


def test_a_backbone_for_pixels_of_another_range_is_refused_before_its_features_are_computed(root: Path) -> None:
    net = backbone()
    net.spec = dataclasses.replace(net.spec, mean=(123.7, 116.3, 103.5))
    with pytest.raises(UserError, match=r"expected the mean and standard deviation of pixels in 0\.\.1"):
        TASK.model(net, root)


def test_a_backbone_that_was_half_loaded_is_refused(root: Path) -> None:
    net = backbone()
    net.report = "90 of 92 tensors loaded"
    with pytest.raises(UserError, match="of which all was loaded; 90 of 92"):
        TASK.model(net, root)


def test_what_is_no_resnet_is_refused_before_its_weights_are_fetched() -> None:
    with pytest.raises(UserError, match="expected a ResNet"):
        TASK.check_network(torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3)))


def test_an_empty_caption_is_refused_with_its_file(root: Path) -> None:
    write(root, "train2017", ["A red one", "   ", "A blue one", "White"])
    with pytest.raises(DataError, match=r"captions_train2017.json.*annotation 1 .*empty"):
        TASK.train_data(root)


def test_captions_without_a_word_are_learned_as_nothing_and_scored(root: Path) -> None:
    write(root, "train2017", ["A red one", "...", "A blue one", "White"])
    model = cast(Captioner, TASK.model(backbone(), root))
    assert np.isfinite(train(TASK, model, root, 2))
    saved = [{"image_id": 10 + i, "caption": ""} for i in range(4)]
    assert BLEU.score(saved, root).metrics["bleu4"].value == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"beam": 0}, "beam: expected at least 1, got 0"),
        ({"max_words": 0}, "max_words: expected at least 1"),
        ({"crop": 40}, "crop: expected at most resize=36, got 40"),
        ({"test_resize": 31}, "crop: expected at most test_resize=31, got 32"),
        ({"smoothing": 1.0}, r"smoothing in \[0, 1\)"),
        ({"finetune_from": -1}, "finetune_from: expected an epoch, 0 or more, got -1"),
        ({"freeze_at": 5}, "freeze_at: expected 0"),
    ],
)
def test_fields_are_checked(changes: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(TASK, **changes)  # type: ignore[arg-type]  # wrong on purpose


def test_real_coco_images_are_read_learned_and_described(real_data: Path) -> None:
    task = dataclasses.replace(BLEU, min_count=4, max_words=20)
    model = cast(Captioner, task.model(backbone(), real_data))
    data = task.train_data(real_data)
    assert len(data) == 600
    frequent = {"a", "of", "man", "on", "with"}
    assert frequent < set(model.vocabulary.words)
    batch = collate([data.sample(i) for i in range(0, 600, 10)])
    losses = []
    optimizer = torch.optim.Adam(model.decoder.parameters(), lr=0.01)
    for _ in range(10):
        loss, _ = loss_of(task)(model.train(), batch, torch.Generator())
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.85 * losses[0]
    with torch.no_grad():
        saved = task.predict(model.eval(), shown(task, real_data))
    assert len(saved) == 60
    assert all(entry["caption"] for entry in saved)
    value = task.score(saved, real_data).metrics["bleu1"].value
    assert value is not None
    assert 0 < value < 100
