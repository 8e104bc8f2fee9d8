"""Hide-and-Seek against its grid written plainly, and how much of an image it hides."""

import math

import pytest
import torch

from core.targets import Targets
from pretrain.mixing.has import HaS


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(("grid", "height", "width"), [(4, 224, 224), (7, 14, 21), (1, 5, 3), (3, 3, 3)])
def test_equals_the_patches_written_plainly(grid: int, height: int, width: int) -> None:
    x = torch.randn(3, 2, height, width)
    method = HaS(grid)
    draw = method.draw(x.shape, _generator(grid))
    assert draw.cells is not None
    expected = x.clone()
    patch_h, patch_w = height // grid, width // grid  # the paper's S: the sides here are multiples of the grid
    for n in range(3):
        for i, y0 in enumerate(range(0, height, patch_h)):
            for j, x0 in enumerate(range(0, width, patch_w)):
                if draw.cells[n, i, j]:
                    expected[n, :, y0 : y0 + patch_h, x0 : x0 + patch_w] = 0.0
    assert torch.equal(method.apply(x, draw), expected)


def test_cells_of_a_side_that_is_no_multiple_differ_by_one_pixel() -> None:
    method = HaS(grid=3, drop_rate=1.0)
    draw = method.draw((1, 1, 8, 8), _generator(0))
    assert draw.cells is not None
    sides = []
    for i in range(3):
        cells = torch.zeros_like(draw.cells)
        cells[0, i, :] = True
        hidden = method.apply(torch.ones(1, 1, 8, 8), type(draw)(cells=cells)) == 0
        sides.append(int(hidden[0, 0, :, 0].sum()))
    assert sum(sides) == 8, "every pixel is of one cell"
    assert max(sides) - min(sides) == 1


def test_hides_cells_at_its_rate_each_image_by_itself() -> None:
    cells = HaS(grid=4, drop_rate=0.3).draw((2000, 3, 8, 8), _generator(1)).cells
    assert cells is not None
    count = cells.numel()
    assert cells.float().mean().item() == pytest.approx(0.3, abs=4 * math.sqrt(0.3 * 0.7 / count))
    assert len({tuple(row.flatten().tolist()) for row in cells}) > 1000, "images share no draw"


def test_hides_the_mean_colour_and_leaves_the_labels() -> None:
    draw = HaS(drop_rate=1.0).draw((2, 3, 8, 8), _generator(0))
    assert not HaS().apply(torch.randn(2, 3, 8, 8), draw).any(), "the mean, after normalisation"
    own = Targets.of(torch.tensor([4, 7]))
    assert HaS().targets(own, draw) is own


@pytest.mark.parametrize("wrong", [{"grid": 0}, {"drop_rate": 1.1}, {"drop_rate": -0.1}])
def test_refuses_what_means_nothing(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=rf"mixing\.{next(iter(wrong))}"):
        HaS(**wrong)  # type: ignore[arg-type]  # wrong on purpose
