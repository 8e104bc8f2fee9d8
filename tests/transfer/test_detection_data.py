import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from core.data.records import DataError, Naming, SceneRecord
from core.loader import train_stream
from tests.transfer.detection_cases import scenes
from transfer.tasks.detection.augmentation import SSDAugmentation
from transfer.tasks.detection.data import Batch, Fit, MultiScale, Scenes, Square, collate, flip


def test_sizes_of_the_two_protocols() -> None:
    assert Square(300)(375, 500) == (300, 300)
    assert Fit(600, 1000)(375, 500) == (600, 800)  # VOC's usual image, enlarged as in the original
    assert Fit(600, 1000)(200, 500) == (400, 1000)  # the long side decides


@pytest.mark.parametrize(
    ("short", "long", "image", "shown"),
    [
        (600, 1000, (100, 320), (313, 1000)), (600, 1000, (400, 101), (1000, 253)), (600, 1000, (1, 4000), (1, 1000)),
        (736, 1333, (344, 100), (1333, 387)), (800, 1333, (480, 640), (800, 1067)), (600, 1000, (333, 333), (600, 600)),
        (800, 1333, (105, 434), (323, 1333)),
    ],
)  # fmt: skip
def test_sizes_are_rounded_as_detectron2s(
    short: int, long: int, image: tuple[int, int], shown: tuple[int, int]
) -> None:
    """What its ResizeShortestEdge.get_output_shape says, but for the 1 x 4000: that would leave a side of no pixels."""
    assert Fit(short, long)(*image) == shown


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
        example = data.seeded_sample(0, seed)
        x0, y0, x1, y1 = (round(v) for v in example.boxes[0].tolist())
        assert example.image[0, y0 + 2 : y1 - 2, x0 + 2 : x1 - 2].float().mean() > 200
        seen.add(x0)
    assert len(seen) == 2


@pytest.mark.parametrize("index", [0, 3])
def test_ssd_augmentation_keeps_boxes_inside_and_never_fails(tmp_path: Path, index: int) -> None:
    data = Scenes(scenes(tmp_path), Square(64), SSDAugmentation())
    counts = set()
    for seed in range(60):
        example = data.seeded_sample(index, seed)
        assert example.image.shape == (3, 64, 64)
        assert example.image.dtype == torch.uint8
        assert (example.boxes.dtype, example.labels.dtype) == (torch.float32, torch.int64)
        assert len(example.boxes) == len(example.labels)
        assert (example.boxes >= 0).all()
        assert (example.boxes <= 64).all()
        assert (example.boxes[:, 2:] - example.boxes[:, :2] >= 1).all()
        counts.add(len(example.boxes))
    assert counts == ({0} if index == 3 else {1, 2})


def test_samples_are_a_function_of_the_seed_and_of_no_cache(tmp_path: Path) -> None:
    records = scenes(tmp_path)
    plain, cached = (Scenes(records, Square(48), SSDAugmentation(), cache=c) for c in (False, True))
    seen = set()
    for seed in range(20):  # from the second on nothing is left of what was done to a kept image
        for index in range(3):
            torch.manual_seed(7)
            one = plain.seeded_sample(index, seed)
            torch.manual_seed(8)
            two = cached.seeded_sample(index, seed)
            assert torch.equal(one.image, two.image)
            assert torch.equal(one.boxes, two.boxes)
            seen.add(one.image.numpy().tobytes())
    assert len(seen) == 60


def test_difficult_objects_are_left_out_or_kept(tmp_path: Path) -> None:
    easy = scenes(tmp_path)[0]
    record = SceneRecord(easy.id, easy.path, easy.size, easy.boxes, easy.labels, (True, False))
    assert Scenes([record], Square(64)).sample(0).labels.tolist() == [2]
    assert Scenes([record], Square(64), keep_difficult=True).sample(0).labels.tolist() == [1, 2]


def test_collate_keeps_the_order_of_columns(tmp_path: Path) -> None:
    data = Scenes(scenes(tmp_path), Fit(64, 96))
    batch = collate([data.sample(i) for i in range(4)])
    assert batch.ids == ["000001", "000002", "000003", "000004"]
    assert [tuple(image.shape[-2:]) for image in batch.images] == [(64, 85), (85, 64), (64, 85), (64, 85)]
    assert [len(boxes) for boxes in batch.boxes] == [2, 1, 2, 0]
    assert batch.boxes[3].shape == (0, 4)


def test_a_batch_lies_in_the_memory_that_it_is_given(tmp_path: Path) -> None:
    data = Scenes(scenes(tmp_path), Fit(64, 96), flip())
    assert data.sample_bytes == 3 * 64 * 85
    examples = [data.seeded_sample(i, i) for i in range(4)]
    memory = np.zeros(3 * data.sample_bytes + 10, np.uint8)  # for three of the four
    plain, placed = collate(examples), collate(examples, memory)
    bounds = memory.ctypes.data, memory.ctypes.data + memory.nbytes
    assert [bounds[0] <= image.data_ptr() < bounds[1] for image in placed.images] == [True, True, True, False]
    assert all(torch.equal(one, two) for one, two in zip(plain.images, placed.images, strict=True))
    assert [image.shape for image in placed.images] == [image.shape for image in plain.images]


@pytest.mark.parametrize("workers", [1, 3])
def test_workers_change_no_bit_of_a_training(tmp_path: Path, workers: int) -> None:
    """Slots, groups, crops and several sizes together; all batches are held at once."""
    data = Scenes(scenes(tmp_path), MultiScale((48, 60), 100), SSDAugmentation(), by_aspect=True)

    def batches(workers: int, first: int = 0) -> list[Batch]:
        return list(
            train_stream(data, collate, seed=1, batch_size=3, steps_per_epoch=2, first=first, last=8, workers=workers)
        )

    alone = batches(0)
    assert [len(batch.ids) for batch in alone[:2]] == [3, 1]
    assert sorted({image.shape[-2] for batch in alone for image in batch.images}) != [48]
    for one, two in zip([*alone, *alone[3:]], [*batches(workers), *batches(workers, first=3)], strict=True):
        assert one.ids == two.ids
        for column in ("images", "boxes", "labels"):
            assert all(torch.equal(a, b) for a, b in zip(getattr(one, column), getattr(two, column), strict=True))


def test_results_get_the_names_of_their_data_set(tmp_path: Path) -> None:
    records = scenes(tmp_path)
    plain = collate([Scenes(records, Square(64)).sample(i) for i in range(2)])
    assert (plain.ids, plain.categories) == (["000001", "000002"], ())
    data = Scenes(records, Square(64), naming=Naming((3, 7, 90), numbers=True))
    named = collate([data.sample(i) for i in range(2)])
    assert (named.ids, named.categories) == ([1, 2], (3, 7, 90))
    assert data.sample(0).labels.tolist() == [1, 2], "the network's labels are what they were"


def test_multi_scale_draws_one_of_the_sides(tmp_path: Path) -> None:
    data = Scenes(scenes(tmp_path), MultiScale((48, 60, 90), 100), flip())
    sides = [tuple(data.seeded_sample(0, seed).image.shape[-2:]) for seed in range(60)]  # of 90 x 120 pixels
    assert {side: sides.count(side) > 10 for side in sides} == {(48, 64): True, (60, 80): True, (75, 100): True}
    assert MultiScale((48, 60, 90), 100)(90, 120) == (75, 100)
    with pytest.raises(ValueError, match="at least one side"):
        MultiScale(())


def test_groups_are_the_orientations(tmp_path: Path) -> None:
    records = scenes(tmp_path)
    square = dataclasses.replace(records[0], size=(90, 90))
    assert Scenes([*records, square], Fit(), by_aspect=True).groups == [0, 1, 0, 0, 1]
    assert Scenes(records, Fit()).groups is None


def test_boxes_go_by_the_image_as_it_is_where_its_annotation_is_of_a_larger_one(tmp_path: Path) -> None:
    record = scenes(tmp_path)[0]  # 120 x 90
    larger = tuple((2.5 * x0, 2.5 * y0, 2.5 * x1, 2.5 * y1) for x0, y0, x1, y1 in record.boxes)
    noted = dataclasses.replace(record, size=(300, 225), boxes=larger)
    right, same = (Scenes([one], Square(60)).sample(0) for one in (record, noted))
    torch.testing.assert_close(right.boxes, same.boxes)
    assert same.size == (300, 225), "predictions are mapped to what the annotation means"
    Scenes([dataclasses.replace(record, size=(299, 225))], Square(60)).sample(0)  # a side was rounded


@pytest.mark.parametrize("size", [(90, 120), (240, 270)], ids=["turned", "squeezed"])
def test_an_image_of_another_shape_than_its_annotations_is_refused(tmp_path: Path, size: tuple[int, int]) -> None:
    record = dataclasses.replace(scenes(tmp_path)[0], size=size, boxes=(), labels=(), difficult=())
    with pytest.raises(DataError, match=rf"000001\.png: the image has 120 x 90 .* says {size[0]} x {size[1]}"):
        Scenes([record], Square(60)).sample(0)


def test_a_sliver_is_no_object(tmp_path: Path) -> None:
    """torchvision's detectors stop at a box without area, which float32 makes of one that has some."""
    record = scenes(tmp_path)[0]
    sliver = (119.9999999, 10.0, 120.0, 50.0)
    record = dataclasses.replace(record, boxes=(sliver, record.boxes[1]))
    example = Scenes([record], Fit(600, 1000)).sample(0)
    assert example.labels.tolist() == [2]
    assert (example.boxes[:, 2:] > example.boxes[:, :2]).all()


def test_a_truncated_image_is_named(tmp_path: Path) -> None:
    record = scenes(tmp_path)[0]
    record.path.write_bytes(record.path.read_bytes()[:200])
    with pytest.raises(DataError, match=r"000001\.png"):
        Scenes([record], Square(64)).sample(0)
