from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FasterRCNN as TorchvisionFasterRCNN
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.roi_heads import fastrcnn_loss
from torchvision.ops import MultiScaleRoIAlign

from core.resnet import trunk
from tests.transfer.detection_cases import backbone, scenes
from transfer.tasks.detection.anchors import RATIOS, Anchors
from transfer.tasks.detection.data import Fit, Scenes, collate
from transfer.tasks.detection.freezing import FrozenNorm, precise
from transfer.tasks.detection.necks import C4, FPN, Layer3, Neck, Pyramid
from transfer.tasks.detection.pooling import RegionAlign
from transfer.tasks.faster_rcnn import FasterRCNN

SHORT = FPN(32, (2, 3), extra_level=False, anchor_scale=4, head_width=64)


def test_fpn_has_the_papers_levels_and_anchors(tmp_path: Path) -> None:
    """Lin et al., sec. 4.1: strides 4 to 64, anchors of 32 to 512 pixels, three ratios each."""
    model = FasterRCNN().model(backbone(), tmp_path).eval()
    with torch.no_grad():
        maps = model.backbone(torch.zeros(1, 3, 128, 192))  # type: ignore[operator]
    assert {name: tuple(one.shape[1:]) for name, one in maps.items()} == {
        "1": (256, 32, 48),
        "2": (256, 16, 24),
        "3": (256, 8, 12),
        "4": (256, 4, 6),
        "pool": (256, 2, 3),
    }
    assert model.rpn.anchor_generator.sizes == ((32,), (64,), (128,), (256,), (512,))  # type: ignore[union-attr]
    assert model.rpn.anchor_generator.num_anchors_per_location() == [3] * 5  # type: ignore[union-attr,operator]


def test_c4_proposes_on_layer3_and_looks_at_regions_with_layer4(tmp_path: Path) -> None:
    net = backbone()
    body = trunk(net.model)
    model = FasterRCNN(neck=C4(), freeze_at=0, norms_frozen=False).model(net, tmp_path).eval()
    images = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        (one,) = model.backbone(images).values()  # type: ignore[operator]
        assert torch.equal(one, body.eval()(images)[2])
        head = model.roi_heads.box_head  # type: ignore[union-attr]
        regions = torch.randn(5, body.channels[2], 14, 14)
        assert head(regions).shape == (5, body.channels[3])  # type: ignore[operator]
        torch.testing.assert_close(head(regions), body.layer4(regions).mean((2, 3)))  # type: ignore[operator]
    assert model.rpn.anchor_generator.sizes == ((128, 256, 512),)  # type: ignore[union-attr]
    owned = {id(p) for p in model.parameters()}
    assert all(id(p) in owned for p in body.parameters())  # layer4 is trained as the head


def test_maps_have_exact_strides_of_the_padded_batch(tmp_path: Path) -> None:
    """Padded to the coarsest level's stride, so that a map twice as fine has twice the rows."""
    task = FasterRCNN()
    transform = task.model(backbone(), tmp_path).transform
    batch, _ = transform([torch.zeros(3, 97, 131, dtype=torch.uint8)])  # type: ignore[operator]
    assert batch.tensors.shape[-2:] == (128, 160)
    assert batch.image_sizes == [(97, 131)]


@pytest.mark.parametrize("neck", [SHORT, C4((32, 90), roi_size=6)])
def test_anchors_keep_their_bits_under_autocast(neck: Neck, tmp_path: Path) -> None:
    """bfloat16 has no pixel 600 + 45 / 2; torchvision's anchors would be in it, as the maps are."""
    model = FasterRCNN(neck=neck).model(backbone(), tmp_path).eval()
    seen: list[Tensor] = []
    model.rpn.anchor_generator.register_forward_hook(  # type: ignore[union-attr]
        lambda module, given, anchors: seen.append(anchors[0])
    )
    image = [torch.zeros(3, 64, 640, dtype=torch.uint8)]
    with torch.no_grad():
        for few_bits in (True, False):
            with torch.autocast("cpu", torch.bfloat16, enabled=few_bits):
                model(image)
    assert seen[0].dtype == torch.float32
    assert torch.equal(*seen)
    assert not torch.equal(seen[0], seen[0].bfloat16().float())


def test_anchors_lie_at_the_maps_strides_unrounded() -> None:
    """150 // 10 would be 15, and 24 at a ratio of .5 is 33.94 x 16.97."""
    images = ImageList(torch.zeros(1, 3, 150, 96), [(150, 96)])
    (found,) = Anchors(((24, 48),), (16,))(images, [torch.zeros(1, 8, 10, 6)])
    assert found.shape == (10 * 6 * 6, 4)
    half = 24 / 2**0.5
    torch.testing.assert_close(found[0], torch.tensor([-half, -half / 2, half, half / 2]))
    torch.testing.assert_close(found[-1, :2] + found[-1, 2:], torch.tensor([2 * 80.0, 2 * 144.0]))


@pytest.mark.parametrize("levels", [(1, 3), (), (0, 1), (4, 5)])
def test_levels_that_a_resnet_has_not_are_refused(levels: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="levels"):
        FPN(levels=levels)


def test_a_pyramid_without_the_last_stage_leaves_it_out() -> None:
    body = trunk(backbone().model)
    pyramid = Pyramid(body, FPN(16, (2, 3), extra_level=False))
    assert {id(p) for p in body.layer4.parameters()}.isdisjoint({id(p) for p in pyramid.parameters()})
    with torch.no_grad():
        assert list(pyramid.eval()(torch.zeros(1, 3, 64, 64))) == ["2", "3"]
    assert Layer3(body).out_channels == body.channels[2]


def test_regions_are_torchvisions_where_it_guesses_the_strides_right() -> None:
    torch.manual_seed(0)
    maps = {"1": torch.randn(2, 4, 32, 48), "2": torch.randn(2, 4, 16, 24), "3": torch.randn(2, 4, 8, 12)}
    corner = 80 * torch.rand(2, 40, 2)
    side = 2 + 90 * torch.rand(2, 40, 2)  # to 92 pixels: all levels of a canonical side of 64
    boxes = list(torch.cat([corner, corner + side], 2))
    ours = RegionAlign({"1": 4, "2": 8, "3": 16}, 5, sampling_ratio=2, aligned=False, canonical_side=64)
    theirs = MultiScaleRoIAlign(["1", "2", "3"], 5, 2, canonical_scale=64)
    torch.testing.assert_close(ours(maps, boxes), theirs(maps, boxes, [(128, 192)] * 2))
    one = RegionAlign({"2": 8}, 5, sampling_ratio=2, aligned=False)
    torch.testing.assert_close(one(maps, boxes), MultiScaleRoIAlign(["2"], 5, 2)(maps, boxes, [(128, 192)] * 2))


def test_strides_are_not_guessed_from_a_small_first_image() -> None:
    """20 pixels padded to 32: torchvision takes stride 16 for 8, and keeps it for all images that follow."""
    pool = RegionAlign({"0": 16}, 1, sampling_ratio=1, aligned=False)
    ramp = torch.arange(2.0).expand(1, 1, 2, 2)  # [1, 1, 2, 2], grows with x
    box = [torch.tensor([[0.0, 0.0, 16.0, 16.0]])]  # its centre: half a cell
    assert pool({"0": ramp}, box, [(20, 20)]).item() == pytest.approx(0.5)
    assert MultiScaleRoIAlign(["0"], 1, 1)({"0": ramp}, box, [(20, 20)]).item() == pytest.approx(1.0)


@pytest.mark.parametrize(("aligned", "value"), [(True, 12.0), (False, 12.5)])
def test_aligned_counts_from_pixels_centres(aligned: bool, value: float) -> None:
    """The value of a map that grows by 1 with x, at the centre of a region from pixel 160 to 240 at stride 16.

    The centre, 200, lies 12.5 cells from the edge; the cell with number 12 has its own centre there.
    """
    ramp = torch.arange(40.0).expand(1, 1, 40, 40)
    pool = RegionAlign({"0": 16}, 1, sampling_ratio=1, aligned=aligned)
    found = pool({"0": ramp}, [torch.tensor([[160.0, 160.0, 240.0, 240.0]])])
    assert found.item() == pytest.approx(value)


def test_regions_keep_their_bits_under_autocast() -> None:
    ramp = torch.arange(64.0).expand(1, 1, 64, 64)
    pool = RegionAlign({"0": 16}, 1, sampling_ratio=1, aligned=True)
    boxes = [torch.tensor([[601.0, 601.0, 603.0, 603.0]])]  # bfloat16 has 600 and 604 there
    with torch.autocast("cpu", torch.bfloat16):
        found = pool({"0": ramp.bfloat16()}, boxes)
    assert found.dtype == torch.bfloat16
    assert found.item() == torch.tensor(602 / 16 - 0.5).bfloat16().item()


@pytest.mark.parametrize("beta", [1 / 9, 1.0, 0.0])
def test_losses_of_regions_by_hand(beta: float, tmp_path: Path) -> None:
    """Cross-entropy over all regions; smooth L1 of objects' own class over the number of all regions."""
    task = FasterRCNN(neck=SHORT, box_beta=beta)
    model = task.model(backbone(), tmp_path).train()
    generator = torch.Generator().manual_seed(0)
    logits, predicted = torch.randn(6, 21, generator=generator), torch.randn(6, 84, generator=generator)
    labels, offsets = torch.tensor([0, 3, 0, 20, 1, 0]), torch.randn(6, 4, generator=generator)
    found = model.roi_heads.losses(logits, predicted, labels, offsets)  # type: ignore[union-attr, operator]
    entropy = sum(-logits[i].log_softmax(0)[label].item() for i, label in enumerate(labels.tolist())) / 6
    assert found["loss_classifier"].item() == pytest.approx(entropy, rel=1e-5)
    total = 0.0
    for i, label in ((i, label) for i, label in enumerate(labels.tolist()) if label):
        for off in (predicted[i, 4 * label : 4 * label + 4] - offsets[i]).abs().tolist():
            total += off**2 / (2 * beta) if off < beta else off - beta / 2
    assert found["loss_box_reg"].item() == pytest.approx(total / 6, rel=1e-5)
    if beta == 1 / 9:
        theirs = fastrcnn_loss(logits, predicted, [labels], [offsets])
        torch.testing.assert_close(tuple(found.values()), theirs)


@pytest.mark.parametrize("neck", [FPN(32, (2, 3), anchor_scale=4, head_width=64), C4((32, 64), roi_size=6)])
def test_a_step_is_torchvisions(neck: Neck, tmp_path: Path) -> None:
    """The same weights in torchvision's own FasterRCNN give the same four losses, and the same detections."""
    torch.manual_seed(0)
    net = backbone()
    task = FasterRCNN(neck=neck, size=Fit(96, 128), regions_per_image=32, anchors_per_image=32, score_threshold=0.04)
    model = task.model(net, tmp_path)
    parts = neck.parts(trunk(net.model))
    strides = {"1": 4, "2": 8, "3": 16, "0": 16}
    names = [name for name in parts.pool.strides if name in strides]  # type: ignore[union-attr]
    peer = TorchvisionFasterRCNN(
        model.backbone,
        rpn_anchor_generator=AnchorGenerator(parts.anchors.sizes, (RATIOS,) * len(parts.anchors.sizes)),
        rpn_batch_size_per_image=32,
        box_roi_pool=MultiScaleRoIAlign(names, neck.roi_size, 2),  # type: ignore[attr-defined]
        box_head=model.roi_heads.box_head,  # type: ignore[union-attr]
        box_predictor=FastRCNNPredictor(parts.width, 21),
        box_batch_size_per_image=32,
        box_score_thresh=0.04,
    )
    peer.transform = model.transform
    peer.rpn.anchor_generator = parts.anchors
    peer.transform.postprocess = lambda found, *sizes: found  # boxes stay in the input's pixels
    head, theirs = model.rpn.head, peer.rpn.head  # type: ignore[union-attr]
    theirs.conv[0][0].load_state_dict(head.conv.state_dict())  # type: ignore[union-attr]
    theirs.cls_logits.load_state_dict(head.objectness.state_dict())  # type: ignore[union-attr]
    theirs.bbox_pred.load_state_dict(head.offsets.state_dict())  # type: ignore[union-attr]
    predictor = model.roi_heads.box_predictor  # type: ignore[union-attr]
    peer.roi_heads.box_predictor.cls_score.load_state_dict(predictor.scores.state_dict())  # type: ignore[union-attr]
    peer.roi_heads.box_predictor.bbox_pred.load_state_dict(predictor.offsets.state_dict())  # type: ignore[union-attr]
    samples = Scenes(scenes(tmp_path), task.size)
    batch = collate([samples.sample(i) for i in range(4)])
    targets = [{"boxes": b, "labels": label} for b, label in zip(batch.boxes, batch.labels, strict=True)]
    losses, found = [], []
    for one in (model, peer):
        torch.manual_seed(7)
        losses.append(one.train()(batch.images, targets))
        with torch.no_grad():
            found.append(one.eval()(batch.images))
    assert set(losses[0]) == set(losses[1])
    for name, value in losses[0].items():
        assert value.item() == pytest.approx(losses[1][name].item(), rel=1e-5), name
    assert sum(len(image["boxes"]) for image in found[0])
    for mine, their in zip(*found, strict=True):
        torch.testing.assert_close(mine, their)


def test_the_extra_norm_is_trained_after_layer4(tmp_path: Path) -> None:
    net = backbone()
    model = FasterRCNN(neck=C4(roi_size=6, extra_norm=True), freeze_at=5).model(net, tmp_path).train()
    layer4, norm, *_ = model.roi_heads.box_head  # type: ignore[union-attr, misc]
    assert layer4 is net.model.layer4
    assert isinstance(norm, torch.nn.BatchNorm2d)
    assert norm.training
    assert all(p.requires_grad for p in norm.parameters())


def test_precise_statistics_are_means_over_batches() -> None:
    """Of trained norms alone; weights, momentum and mode stay."""
    torch.manual_seed(0)
    free, fixed = torch.nn.BatchNorm1d(3), FrozenNorm(torch.nn.BatchNorm1d(3))
    model = torch.nn.Sequential(free, fixed).eval()
    batches = [1 + 2 * torch.randn(16, 3) for _ in range(5)]
    with torch.no_grad():
        model.train()(torch.randn(8, 3))  # running statistics of another kind
        model.eval()
    precise(model, [partial(model, batch) for batch in batches])
    means, variances = (torch.stack([f(batch) for batch in batches]).mean(0) for f in (_mean, _variance))
    torch.testing.assert_close(free.running_mean, means)
    torch.testing.assert_close(free.running_var, variances)
    assert free.momentum == 0.1
    assert not model.training
    assert not fixed.norm.running_mean.any()  # type: ignore[operator]


def _mean(batch: Tensor) -> Tensor:
    return batch.mean(0)


def _variance(batch: Tensor) -> Tensor:
    return batch.var(0)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"train_shorts": (480, 0)}, "train_shorts"),
        ({"foreground_share": 0.0}, "foreground_share"),
        ({"proposal_beta": -1.0}, "proposal_beta"),
        ({"box_beta": -0.1}, "box_beta"),
        ({"precise_bn": -1}, "precise_bn"),
    ],
)
def test_fields_out_of_range_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FasterRCNN(**fields)
    with pytest.raises(ValueError, match="sampling_ratio"):
        C4(sampling_ratio=-1)
