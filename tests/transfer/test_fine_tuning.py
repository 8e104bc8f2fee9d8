"""Fine-tuning with what WSOL methods need: mixed batches, a regularizer, two geometries, which part learns fast."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from core import backbone
from core.data.cub import CUB
from core.errors import UserError
from core.images import normalize
from core.recipe import SGD, Recipe
from core.resnet import classifier
from pretrain.mixing.cutmix import CutMix
from pretrain.mixing.has import HaS
from tests.core.networks import TINY_SPEC, job
from tests.data import layouts
from transfer.regularizers.adl import ADL
from transfer.stage import Transfer, execute
from transfer.tasks.classification import Classifier, FineTune


class Linear(nn.Module):
    """Logits from pixels; keeps what it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3 * 8 * 8, 3)
        self.seen = torch.empty(0)

    def forward(self, images: Tensor) -> Tensor:
        self.seen = images
        logits: Tensor = self.fc(images.flatten(1))
        return logits


@pytest.fixture
def batch() -> tuple[Tensor, Tensor]:
    return torch.randint(0, 256, (4, 3, 8, 8), dtype=torch.uint8), torch.tensor([0, 2, 1, 1])


def _task(**fields: object) -> FineTune:
    return FineTune(data=CUB(), resize=36, crop=32, **fields)  # type: ignore[arg-type]  # forwarded


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(5)


def test_without_a_method_the_loss_is_the_cross_entropy_of_the_images(batch: tuple[Tensor, Tensor]) -> None:
    model = Classifier(Linear(), TINY_SPEC)
    loss, _ = _task().loss(model, batch, _generator())
    assert torch.equal(loss, functional.cross_entropy(model(batch[0]), batch[1]))


def test_cutmix_mixes_normalised_images_and_their_labels(batch: tuple[Tensor, Tensor]) -> None:
    network, (images, labels) = Linear(), batch
    loss, _ = _task(mixing=CutMix()).loss(Classifier(network, TINY_SPEC), batch, _generator())
    draw = CutMix().draw(images.shape, _generator())
    assert draw.partner is not None
    mixed = CutMix().apply(normalize(images, TINY_SPEC.mean, TINY_SPEC.std), draw)
    assert torch.equal(network.seen, mixed)
    logits = network(mixed)
    own, other = (functional.cross_entropy(logits, x) for x in (labels, labels[draw.partner]))
    torch.testing.assert_close(loss, draw.lam * own + (1 - draw.lam) * other)


def test_has_hides_the_mean_colour_in_training_and_nothing_in_a_test(batch: tuple[Tensor, Tensor]) -> None:
    network = Linear()
    model, task = Classifier(network, TINY_SPEC), _task(mixing=HaS(grid=2, drop_rate=1.0))
    task.loss(model, batch, _generator())
    assert not network.seen.any()
    task.predict(model, batch)
    assert torch.equal(network.seen, normalize(batch[0], TINY_SPEC.mean, TINY_SPEC.std))


def test_a_training_with_both_hands_on_a_plain_backbone(tmp_path: Path) -> None:
    layouts.cub(tmp_path, classes=2, per_class=6)
    torch.manual_seed(0)
    backbone.save(tmp_path / "start.safetensors", backbone.build(TINY_SPEC), TINY_SPEC)
    task = _task(mixing=HaS(grid=2), regularizer=ADL(after=("layer3.0", "layer4.0")))
    config = Transfer(task=task, recipe=Recipe(optimizer=SGD(lr=0.1), batch_size=4, steps=2), device="cpu")
    here = replace(job(tmp_path / "run"), root=tmp_path, backbone=str(tmp_path / "start.safetensors"), config=config)
    execute(config, here)
    assert backbone.load(tmp_path / "run").spec.num_classes == 2, "every tensor loaded, none left over"


def test_the_test_may_see_the_whole_image_where_training_crops(tmp_path: Path) -> None:
    layouts.cub(tmp_path, classes=2, per_class=2)
    whole = _task(test_resize=32)
    record = CUB().records(tmp_path, "test")[0]
    assert isinstance(record.path, Path)
    with Image.open(record.path) as image:
        expected = np.asarray(image.convert("RGB").resize((32, 32), Image.Resampling.BILINEAR), dtype=np.int16)
    pixels = whole.test_data(tmp_path).sample(0)[0].permute(1, 2, 0).numpy().astype(np.int16)
    assert np.abs(pixels - expected).max() <= 2, "another library's squash, its rounding apart"
    assert not torch.equal(whole.test_data(tmp_path).sample(0)[0], _task().test_data(tmp_path).sample(0)[0])
    assert whole.train_data(tmp_path).sample(0)[0].shape == (3, 32, 32)


def test_a_stage_may_learn_at_the_heads_rate() -> None:
    model = Classifier(backbone.build(TINY_SPEC), TINY_SPEC)
    fast, slow = _task(fast_stages=("layer4",)).parameters(model)
    layer4 = model.network.get_submodule("layer4")
    expected = {id(p) for part in (classifier(model.network), layer4) for p in part.parameters()}
    assert {id(p) for p in fast["params"]} == expected
    assert len(fast["params"]) + len(slow["params"]) == len(list(model.parameters()))


def test_a_head_is_kept_where_it_has_the_datas_classes_and_else_refused(tmp_path: Path) -> None:
    layouts.cub(tmp_path, classes=2)
    fits = replace(TINY_SPEC, num_classes=2)
    start = backbone.Backbone(fits, backbone.build(fits), "")
    weight = classifier(start.model).weight.detach().clone()
    _task(keep_head=True).model(start, tmp_path)
    assert torch.equal(classifier(start.model).weight, weight)
    _task().model(start, tmp_path)
    assert not torch.equal(classifier(start.model).weight, weight)
    other = backbone.Backbone(TINY_SPEC, backbone.build(TINY_SPEC), "")
    with pytest.raises(UserError, match="the backbone's has 3 classes, the data 2"):
        _task(keep_head=True).model(other, tmp_path)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"fast_stages": ("layer5",)}, "no layer5; there are layer1"), ({"test_resize": 16}, "test_resize 16")],
)
def test_refuses_what_cannot_be(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(UserError, match=said):
        _task(**wrong)
