from pathlib import Path

import pytest
import torch
from torchvision.models.detection.image_list import ImageList

from core.resnet import trunk
from tests.transfer.detection_cases import backbone
from transfer.tasks.ssd import SSD, Maps, map_sizes


def test_ssd300_on_resnet50_has_the_originals_maps_and_boxes(tmp_path: Path) -> None:
    """Liu et al., sec. 3.1: maps 38, 19, 10, 5, 3, 1 and 8732 default boxes an image."""
    model = SSD().model(backbone("resnet50"), tmp_path).eval()
    maps = model.backbone
    assert isinstance(maps, Maps)
    with torch.no_grad():
        found = list(maps(torch.zeros(1, 3, 300, 300)).values())
    assert [tuple(one.shape[2:]) for one in found] == [(s, s) for s in (38, 19, 10, 5, 3, 1)]
    assert [one.shape[1] for one in found] == maps.out_channels == [512, 1024, 2048, 512, 256, 256]
    boxes = model.anchor_generator(ImageList(torch.zeros(1, 3, 300, 300), [(300, 300)]), found)[0]  # type: ignore[operator]
    assert boxes.shape == (8732, 4)
    # ssd.pytorch's priors in pixels: 30 and sqrt(30 * 60) for the squares at the first corner, 264 for the last map
    first, second = boxes[0], boxes[1]
    torch.testing.assert_close(first, torch.tensor([4 - 15, 4 - 15, 4 + 15, 4 + 15.0]), atol=1e-3, rtol=0)
    torch.testing.assert_close(second[2] - second[0], torch.tensor(1800.0).sqrt(), atol=1e-3, rtol=0)
    torch.testing.assert_close(boxes[-4], torch.tensor([18.0, 18.0, 282.0, 282.0]), atol=1e-3, rtol=0)


@pytest.mark.parametrize(
    ("side", "maps", "sizes"),
    [
        (300, 6, [38, 19, 10, 5, 3, 1]),
        (128, 5, [16, 8, 4, 2, 1]),
        (192, 6, [24, 12, 6, 3, 1]),
        (64, 4, [8, 4, 2, 1]),
        (160, 6, [20, 10, 5, 3, 1]),
    ],
)
def test_map_sizes_are_those_of_the_network(side: int, maps: int, sizes: list[int]) -> None:
    if len(sizes) < maps:
        with pytest.raises(ValueError, match="none is left to halve"):
            map_sizes(side, maps)
        return
    assert map_sizes(side, maps) == sizes
    body = trunk(backbone().model)
    network = Maps(body, side, (16,) * (maps - 3), None, norms=True).eval()
    with torch.no_grad():
        assert [one.shape[-1] for one in network(torch.zeros(1, 3, side, side)).values()] == sizes


def test_the_first_maps_vectors_have_the_learned_length() -> None:
    body = trunk(backbone().model)
    torch.manual_seed(0)
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        first = next(iter(Maps(body, 64, (), 20.0, norms=False).eval()(images).values()))
        plain = next(iter(Maps(body, 64, (), None, norms=False).eval()(images).values()))
    torch.testing.assert_close(first.norm(dim=1), torch.full((1, 8, 8), 20.0))
    torch.testing.assert_close(first / 20 * plain.norm(dim=1, keepdim=True), plain)


def test_fields_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(ValueError, match=r"reads 5 maps .*'scales': 6"):
        SSD(extras=(64, 64))
    with pytest.raises(ValueError, match="40 pixels"):
        SSD(side=40)
