"""Every captioning config trains a step, scaled down and not replaced, and says what its sources say.

Scaled down: four small pictures in every layout, few units, an untrained small backbone; the config's own data set,
decoder, view, freezing, sampling, optimizer and schedule.
"""

import json
import re
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from PIL import Image

from core.backbone import Backbone, Spec, build
from core.config import CONFIGS, differences, digest, load, plain
from core.recipe import AdamW
from eval.references import References
from eval.table import Table
from tests.transfer_configs import config_of, docstring_of, recipe_of
from transfer.tasks.captioning.model import Captioner
from transfer.tasks.captioning.task import Captioning


def _is_captioning(stem: str) -> bool:
    return isinstance(getattr(load(f"transfer/{stem}"), "task", None), Captioning)


STEMS = sorted(path.stem for path in (CONFIGS / "transfer").glob("*.py") if _is_captioning(path.stem))
SMALL = [stem for stem in STEMS if stem.startswith(("mini_", "quick_"))]
PUBLISHED = [stem for stem in STEMS if stem not in SMALL]
TABLES = ("captioning", "captioning_short", "flickr", "mini_captioning", "quick_captioning")
WORDS = ("a red dog", "two green cats sit", "the blue bird flies away", "a white horse and a man on a street")

# Captions of the published training splits: COCO 2014 has 414,113 + 202,654, of which Karpathy's val and test take
# 25,010 each; 2017 moves 5,000 images; Flickr's images have five each.
CAPTIONS = {
    "coco_nic": 414_113, "coco2017": 591_753, "coco": 414_113 + 202_654 - 2 * 25_010, "flickr8k": 30_000,
    "flickr30k": 145_000, "mini": 600, "quick": 2_500,
}  # fmt: skip


def _captions(stem: str) -> int:
    exact = stem.removesuffix("_short")
    return CAPTIONS[exact if exact in CAPTIONS else stem.split("_")[0]]


def _task(stem: str) -> Captioning:
    task = config_of(stem).task
    assert isinstance(task, Captioning)
    return task


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four pictures with a caption each as COCO 2014 and 2017, and as all three files of Karpathy's."""
    folder = tmp_path_factory.mktemp("captions")
    (folder / "coco" / "annotations").mkdir(parents=True)
    for split in ("train2014", "val2014", "train2017", "val2017"):
        _pictures(folder / "coco" / split)
        content = {
            "images": [{"id": 1 + i, "file_name": f"{i}.jpg"} for i in range(4)],
            "annotations": [{"id": i, "image_id": 1 + i, "caption": words} for i, words in enumerate(WORDS)],
        }
        (folder / "coco" / "annotations" / f"captions_{split}.json").write_text(json.dumps(content))
    _karpathy(folder / "dataset_coco.json", {"filepath": "train2014"})
    for name, images in (("flickr8k", "Flicker8k_Dataset"), ("flickr30k", "flickr30k-images")):
        _pictures(folder / images)
        _karpathy(folder / f"dataset_{name}.json", {})
    return folder


def _pictures(folder: Path) -> None:
    folder.mkdir()
    for i in range(4):
        pixels = np.random.default_rng(i).integers(0, 256, (30, 40, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.jpg")


def _karpathy(path: Path, more: dict[str, Any]) -> None:
    def image(i: int, split: str) -> dict[str, Any]:
        own = {"cocoid": 10 + i} if more else {}
        sentences = [{"raw": WORDS[i % 4], "sentid": i}]
        return {"filename": f"{i % 4}.jpg", "split": split, "imgid": i, "sentences": sentences, **own, **more}

    images = [image(i, split) for i, split in enumerate(["train"] * 4 + ["val"] + ["test"] * 2)]
    path.write_text(json.dumps({"images": images}))


def _small(task: Captioning) -> Captioning:
    sizes = {"embed": 8, "hidden": 16, "attention": 8}
    names = {field.name for field in fields(task.decoder)}
    decoder = replace(task.decoder, **{name: size for name, size in sizes.items() if name in names})
    whole = task.resize == task.crop
    return replace(
        task, decoder=decoder, resize=64 if whole else 72, crop=64, test_resize=task.test_resize and 64, min_count=1
    )


def _backbone() -> Backbone:
    torch.manual_seed(0)
    spec = Spec("timm:test_resnet", 3, 32)
    return Backbone(spec, build(spec), "random")


def _moved(stem: str, root: Path, epoch: int) -> tuple[set[str], Captioner, Captioning]:
    """The names of the parameters that a step in this epoch moves."""
    task, recipe = _small(_task(stem)), recipe_of(stem)
    model = cast(Captioner, task.model(_backbone(), root)).train()
    data = task.train_data(root)
    data.begin_epoch(epoch)
    batch = task.collate([data.seeded_sample(i, i) for i in range(4)])
    objective = task.objective(recipe, len(data))
    objective.begin_step(epoch * recipe.steps_per_epoch(len(data)), recipe.total_steps(len(data)))
    optimizer = recipe.optimizer.build(task.parameters(model))
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    torch.manual_seed(0)
    loss, _ = objective(model, batch, torch.Generator().manual_seed(0))
    torch.autograd.backward(loss)
    optimizer.step()
    assert torch.isfinite(loss)
    moved = {name for name, now in model.named_parameters() if not torch.equal(now.detach(), before[name])}
    return moved, model, task


@pytest.mark.parametrize("stem", STEMS)
def test_a_scaled_down_captioner_trains_a_step_and_talks(stem: str, root: Path) -> None:
    moved, model, task = _moved(stem, root, 0)
    decoder = {name for name, _ in model.named_parameters() if name.startswith("decoder.")}
    assert moved == decoder, "in the first epoch the decoder learns, all of it, and nothing else"
    tests = task.test_data(root)
    said = task.predict(model.eval(), task.collate([tests.sample(i) for i in range(len(tests))]))
    assert len(said) == len(tests) >= 2
    assert all(1 <= len(entry["caption"].split()) <= task.max_words for entry in said)


@pytest.mark.parametrize("stem", [stem for stem in STEMS if _task(stem).finetune_from is not None])
def test_an_encoder_is_trained_from_its_epoch_on(stem: str, root: Path) -> None:
    task = _task(stem)
    assert task.finetune_from is not None
    assert 0 < task.finetune_from < (recipe_of(stem).epochs or 0)
    moved, model, _ = _moved(stem, root, task.finetune_from)
    fixed = ("stem.", "layer1.", "layer2.", "layer3.", "layer4.")[: task.freeze_at]
    names = [name.removeprefix("encoder.") for name, _ in model.named_parameters() if name.startswith("encoder.")]
    trained = [name for name in names if not name.startswith(fixed)]
    assert not any(f"encoder.{name}" in moved for name in names if name.startswith(fixed))
    # An untrained block's last norm starts at 0 and hides the layers before it from the first step.
    assert sum(f"encoder.{name}" in moved for name in trained) > 0.3 * len(trained)


@pytest.mark.parametrize("stem", STEMS)
def test_a_captioning_config_says_its_source_command_and_number(stem: str) -> None:
    said = docstring_of(stem)
    assert " Source: " in said
    assert f" Command: `python -m transfer configs/transfer/{stem}.py --backbone RUN" in said
    assert " Expected: " in said


@pytest.mark.parametrize("stem", STEMS)
def test_the_arithmetic_of_a_docstring(stem: str) -> None:
    said, recipe, captions = docstring_of(stem), recipe_of(stem), _captions(stem)
    found = re.search(r"([\d,]+)(?: images x 5)? captions / (\d+) = ([\d,]+) steps an epoch", said)
    total = re.search(r" ([\d,]+) in all", said)
    assert found is not None
    assert total is not None
    count, batch, epoch = (int(number.replace(",", "")) for number in found.groups())
    assert (count * 5 if " images x 5" in found[0] else count) == captions
    assert batch == recipe.batch_size
    assert epoch == recipe.steps_per_epoch(captions)
    assert int(total[1].replace(",", "")) == recipe.total_steps(captions)
    images = re.search(r"([\d,]+) images with", said)
    assert images is None or int(images[1].replace(",", "")) == _task(stem).data.published("train")
    start = re.search(r"the encoder's from step ([\d,]+)", said)
    assert start is None or int(start[1].replace(",", "")) == epoch * (_task(stem).finetune_from or 0)


@pytest.mark.parametrize("stem", [stem for stem in STEMS if "bytes =" in docstring_of(stem)])
def test_the_size_of_the_features_of_a_docstring(stem: str) -> None:
    found = re.search(r"([\dx, ]+) bytes = (\d+) (MB|GB)", docstring_of(stem))
    assert found is not None
    numbers = [int(number.replace(",", "")) for number in found[1].split(" x ")]
    task = _task(stem)
    places = (task.crop // 32) ** 2 if task.decoder.spatial else 1
    assert numbers[0] == sum(task.data.published(split) for split in ("train", task.test_split))
    assert int(np.prod(numbers)) == numbers[0] * places * 2048 * 2
    assert round(float(np.prod(numbers, dtype=float)) / {"MB": 1e6, "GB": 1e9}[found[3]]) == int(found[2])


def test_no_two_captioning_configs_are_the_same() -> None:
    digests = [digest(plain(config_of(stem), hashed_only=True)) for stem in STEMS]
    assert len(set(digests)) == len(digests)


# stem: epochs, batch, rate, encoder's rate, threshold of words, longest caption, beam; by the sources that the
# docstrings name, in their numbers.
RECIPES: dict[str, tuple[Any, ...]] = {
    "coco_nic": (100, 20, 1e-3, None, 4, 20, 20),
    "coco_nic_512_frozen": (20, 80, 4e-4, None, 5, 18, 3),
    "coco_nic_512": (30, 80, 4e-4, 1e-5, 5, 18, 3),
    "coco_nic_512_augmented": (30, 80, 4e-4, 1e-5, 5, 18, 3),
    "coco_nic_scheduled": (30, 50, 5e-4, None, 6, 16, 5),
    "coco_attention_frozen": (20, 80, 4e-4, None, 6, 50, 5),
    "coco_attention": (16, 80, 4e-4, 1e-4, 6, 50, 5),
    "coco2017_nic": (20, 80, 4e-4, None, 5, 18, 3),
    "flickr8k_nic": (20, 80, 4e-4, None, 5, 18, 3),
    "flickr30k_nic": (20, 80, 4e-4, None, 5, 18, 3),
    "flickr8k_attention": (20, 80, 4e-4, None, 6, 50, 5),
    "flickr30k_attention": (20, 80, 4e-4, None, 6, 50, 5),
}
SHORT = {"coco_nic_short": 10, "coco_nic_512_frozen_short": 4, "coco_attention_frozen_short": 4}


def test_every_published_recipe_stands_above() -> None:
    assert sorted([*RECIPES, *SHORT]) == PUBLISHED


@pytest.mark.parametrize("stem", RECIPES)
def test_a_recipe_is_its_sources(stem: str) -> None:
    task, recipe = _task(stem), recipe_of(stem)
    assert isinstance(recipe.optimizer, AdamW)
    assert (recipe.optimizer.weight_decay, recipe.optimizer.betas) == (0.0, (0.9, 0.999)), "Adam"
    encoder = None if task.finetune_from is None else pytest.approx(recipe.optimizer.lr * task.encoder_lr_scale)
    came = (recipe.epochs, recipe.batch_size, recipe.optimizer.lr)
    assert (*came, task.min_count, task.max_words, task.beam) == tuple(
        value for i, value in enumerate(RECIPES[stem]) if i != 3
    )
    assert RECIPES[stem][3] == encoder
    assert (task.alpha, task.smoothing, task.no_repeat, task.min_words) == (0.0, 0.0, 0, 1), "no source has these"
    assert {"bleu", "meteor", "rouge_l", "cider"} <= set(task.metrics)


@pytest.mark.parametrize("stem", SHORT)
def test_a_short_recipe_is_the_full_one_divided(stem: str) -> None:
    full, by = stem.removesuffix("_short"), SHORT[stem]
    changed = {line.partition(":")[0] for line in differences(plain(config_of(full)), plain(config_of(stem)))}
    assert changed == {"recipe.epochs"}
    assert (recipe_of(full).epochs or 0) / by == recipe_of(stem).epochs


def test_the_falling_rate_and_the_growing_sampling_of_ruotianluo() -> None:
    task, recipe, captions = _task("coco_nic_scheduled"), recipe_of("coco_nic_scheduled"), CAPTIONS["coco"]
    objective = task.objective(recipe, captions)
    for epoch in range(30):
        step = epoch * recipe.steps_per_epoch(captions)
        assert recipe.lr(step, captions) == pytest.approx(5e-4 * 0.8 ** (epoch // 3)), epoch
        objective.begin_step(step, recipe.total_steps(captions))
        assert objective.sampled == pytest.approx(min(0.05 * (epoch // 5), 0.25)), epoch
    assert recipe.clip_value == 0.1


ROWS = ("Baseline", "Mixup", "Cutout", "CutMix")
ZOO = (("bleu4", r"BLEU-4 ([\d.]+)"), ("cider", r"CIDEr ([\d.]+)"))
NUMBERS = {
    "coco_nic": [("bleu4", rf"{row} ([\d.]+)", row) for row in ("baseline", *ROWS[1:])],
    "coco_nic_512_frozen": [(f"nic_512_frozen_{name}", pattern, "Baseline") for name, pattern in ZOO],
    "coco_nic_512": [(f"nic_512_{name}", pattern, "Baseline") for name, pattern in ZOO],
}


@pytest.mark.parametrize("stem", NUMBERS)
def test_a_docstring_and_the_references_give_the_same_number(stem: str) -> None:
    references = load("references/captioning")
    assert isinstance(references, References)
    expected = docstring_of(stem).rpartition("Expected")[2]
    for column, pattern, row in NUMBERS[stem]:
        found = re.search(pattern, expected)
        assert found is not None, pattern
        assert float(found[1].rstrip(".")) == references.column(column).values[row[0].upper() + row[1:]]


def test_the_papers_columns_are_the_same_in_both_references() -> None:
    ours, papers = load("references/captioning"), load("references/cutmix_paper")
    for name in ("bleu1", "bleu2", "bleu3", "bleu4", "meteor", "rouge_l", "cider"):
        assert ours.column(name) == papers.column(name)


@pytest.mark.parametrize("stem", TABLES)
def test_a_tables_metrics_are_those_that_its_tasks_compute(stem: str) -> None:
    table = load(f"tables/{stem}")
    assert isinstance(table, Table)
    for column in table.columns:
        task = _task(column.steps[-1].removeprefix("transfer/"))
        assert re.sub(r"\d", "", column.metric) in task.metrics, column.name
