from pathlib import Path

import pytest
import torch

from core.resnet import trunk
from tests.transfer.detection_cases import backbone
from transfer.tasks.faster_rcnn import C4, FPN, FasterRCNN, Layer3, Pyramid


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
    """torchvision takes an anchor's stride as image // map, whole: only padding to 32 makes that right."""
    task = FasterRCNN()
    transform = task.model(backbone(), tmp_path).transform
    batch, _ = transform([torch.zeros(3, 97, 131, dtype=torch.uint8)])  # type: ignore[operator]
    assert batch.tensors.shape[-2:] == (128, 160)
    assert batch.image_sizes == [(97, 131)]


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
