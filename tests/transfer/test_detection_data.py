from pathlib import Path

import pytest
import torch

from core.data.records import DataError, SceneRecord
from tests.transfer.detection_cases import scenes
from transfer.tasks.detection.augmentation import SSDAugmentation
from transfer.tasks.detection.data import Fit, Scenes, Square, collate, flip


def test_sizes_of_the_two_protocols() -> None:
    assert Square(300)(375, 500) == (300, 300)
    assert Fit(600, 1000)(375, 500) == (600, 800)  # VOC's usual image, enlarged as in the original
    assert Fit(600, 1000)(200, 500) == (400, 1000)  # the long side decides


def test_boxes_follow_the_resized_image(tmp_path: Path) -> None:
    record = scenes(tmp_path)[0]  # 120 x 90
    example = Scenes([record], Square(60)).sample(0)
    assert example.image.shape == (3, 60, 60)
    assert example.image.dtype == torch.uint8
    expected = torch.tensor(record.boxes) * torch.tensor([60 / 120, 60 / 90, 60 / 120, 60 / 90])
    torch.testing.assert_close(example.boxes, expected)
    assert example.labels.tolist() == [1, 2]  # classes 0 and 1; 0 is the background
    assert example.size == (120, 90)
    x0, y0, x1, y1 = (round(v) for v in example.boxes[0].tolist())
    inside = example.image[:, y0 + 1 : y1 - 1, x0 + 1 : x1 - 1].float().mean((1, 2))
    assert inside[0] > 200  # the red square is where its box is
    assert inside[1] < 60


def test_flip_mirrors_image_and_boxes_together(tmp_path: Path) -> None:
    data = Scenes(scenes(tmp_path), Square(64), flip())
    seen = set()
    for seed in range(8):
        torch.manual_seed(seed)
        example = data.sample(0)
        x0, y0, x1, y1 = (round(v) for v in example.boxes[0].tolist())
        assert example.image[0, y0 + 2 : y1 - 2, x0 + 2 : x1 - 2].float().mean() > 200
        seen.add(x0)
    assert len(seen) == 2


@pytest.mark.parametrize("index", [0, 3])
def test_ssd_augmentation_keeps_boxes_inside_and_never_fails(tmp_path: Path, index: int) -> None:
    data = Scenes(scenes(tmp_path), None, SSDAugmentation().build(64))
    counts = set()
    for seed in range(30):
        torch.manual_seed(seed)
        example = data.sample(index)
        assert example.image.shape == (3, 64, 64)
        assert example.image.dtype == torch.uint8
        assert len(example.boxes) == len(example.labels)
        assert (example.boxes >= 0).all()
        assert (example.boxes <= 64).all()
        assert (example.boxes[:, 2:] - example.boxes[:, :2] >= 1).all()
        counts.add(len(example.boxes))
    assert counts == ({0} if index == 3 else {1, 2})


def test_samples_are_a_function_of_the_seed_and_of_no_cache(tmp_path: Path) -> None:
    records = scenes(tmp_path)
    plain, cached = (Scenes(records, None, SSDAugmentation().build(48), cache=c) for c in (False, True))
    for _ in range(2):  # the second time the cache answers
        for index in range(3):
            torch.manual_seed(index)
            one = plain.sample(index)
            torch.manual_seed(index)
            two = cached.sample(index)
            assert torch.equal(one.image, two.image)
            assert torch.equal(one.boxes, two.boxes)


def test_difficult_objects_are_left_out_or_kept(tmp_path: Path) -> None:
    easy = scenes(tmp_path)[0]
    record = SceneRecord(easy.id, easy.path, easy.size, easy.boxes, easy.labels, (False, True))
    assert Scenes([record], Square(64)).sample(0).labels.tolist() == [1]
    assert Scenes([record], Square(64), keep_difficult=True).sample(0).labels.tolist() == [1, 2]


def test_collate_keeps_the_order_of_columns(tmp_path: Path) -> None:
    data = Scenes(scenes(tmp_path), Fit(64, 96))
    batch = collate([data.sample(i) for i in range(4)])
    assert batch.ids == ["000001", "000002", "000003", "000004"]
    assert [tuple(image.shape[-2:]) for image in batch.images] == [(64, 85), (85, 64), (64, 85), (64, 85)]
    assert [len(boxes) for boxes in batch.boxes] == [2, 1, 2, 0]
    assert batch.boxes[3].shape == (0, 4)


def test_a_truncated_image_is_named(tmp_path: Path) -> None:
    record = scenes(tmp_path)[0]
    record.path.write_bytes(record.path.read_bytes()[:200])
    with pytest.raises(DataError, match=r"000001\.png"):
        Scenes([record], Square(64)).sample(0)
