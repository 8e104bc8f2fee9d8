"""Packed images are the data set that was packed: records, fingerprint, pixels; damage is named."""

import json
import pickle
import shutil
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from core.data.cub import CUB
from core.data.imagenet import ImageNet
from core.data.images import image_size, open_picture, read_rgb
from core.data.packed import Packed, PackedImage, Preparation
from core.data.prepare import packing, plan
from core.data.prepare.verify import verify
from core.data.records import DataError, DataSet, ImageRecord
from core.data.shard import Entry, Shard, ShardWriter
from core.data.tiny_imagenet import TinyImageNet
from core.errors import UserError
from tests.data import layouts
from tests.data.jpegs import boxes, encoded, photograph, saved

_SPLITS = {"train": {"n01": 5, "n02": 4}, "val": {"n01": 2, "n02": 3}}


def pack(
    data: DataSet[ImageRecord],
    root: Path,
    folder: Path,
    splits: tuple[str, ...] = ("train", "val"),
    preparation: Preparation | None = None,
    shard_bytes: int = 4000,
) -> Packed:
    folder.mkdir(exist_ok=True)
    for split in splits:
        made = plan.make(data, root, split, preparation, folder, shard_bytes)
        if plan.begin(made):
            packing.run(made, 1, lambda images, nbytes: None)
            plan.finish(made, packing.shards(made), data.classes(root))
    return Packed(data, folder, preparation)


@dataclass
class Case:
    root: Path
    packed: Packed


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """A set with every kind of file under honest names, packed in several shards."""
    root = tmp_path_factory.mktemp("root")
    folder = layouts.imagenet(root, _SPLITS, boxes=True) / "train" / "n01"
    pixels = photograph(60, 90)
    files = sorted(folder.iterdir())
    files[0].write_bytes(encoded(pixels, "420"))
    files[1].write_bytes(saved(pixels, progressive=True))
    files[2].write_bytes(saved(pixels, "CMYK"))
    files[3].write_bytes(encoded(pixels, "Gray"))
    Image.fromarray(pixels).convert("P").save(files[4], "PNG", transparency=3)
    return Case(root, pack(ImageNet(), root, tmp_path_factory.mktemp("packed")))


@pytest.fixture
def damaged(case: Case, tmp_path: Path) -> Packed:
    shutil.copytree(case.packed.folder, tmp_path / "packed")
    return Packed(ImageNet(), tmp_path / "packed")


def test_the_records_are_those_of_the_set(case: Case) -> None:
    nowhere = Path("/nonexistent")
    assert case.packed.classes(nowhere) == ImageNet().classes(case.root)
    plain_fingerprint = DataSet.fingerprint
    for split in ("train", "val"):
        theirs, ours = ImageNet().records(case.root, split), case.packed.records(nowhere, split)
        assert [(r.id, r.label, r.boxes, r.size) for r in ours] == [(r.id, r.label, r.boxes, r.size) for r in theirs]
        for with_boxes in (False, True):
            there = ImageNet().fingerprint(case.root, split, boxes=with_boxes)
            assert case.packed.fingerprint(nowhere, split, boxes=with_boxes) == there
            assert plain_fingerprint(case.packed, nowhere, split, boxes=with_boxes) == there
    assert case.packed.name == "ImageNet"
    assert case.packed.published("val") == 50_000


def test_the_pixels_are_those_of_the_files(case: Case) -> None:
    for split in ("train", "val"):
        pairs = zip(ImageNet().records(case.root, split), case.packed.records(case.root, split), strict=True)
        for file, stored in pairs:
            whole = np.asarray(read_rgb(file.path))
            picture = open_picture(stored.path)
            assert (picture.height, picture.width) == whole.shape[:2]
            assert image_size(stored.path) == (picture.width, picture.height)
            for top, left, height, width in boxes(picture.height, picture.width, 8):
                crop = picture.crop(top, left, height, width)
                assert np.array_equal(crop, whole[top : top + height, left : left + width])


def test_several_shards_and_only_baseline_files_are_cut(case: Case) -> None:
    split = json.loads((case.packed.folder / "manifest.json").read_text())["splits"]["train"]
    assert len(split["shards"]) > 2
    assert (split["images"], split["with_segments"]) == (9, 6)
    assert not list(case.packed.folder.glob("*.plan.json"))


def test_the_shard_is_as_docs_packing_says(case: Case) -> None:
    """Read with nothing of this project."""
    for path in case.packed.folder.glob("*.shard"):
        data = path.read_bytes()
        at, size, crc, total, magic = struct.unpack("<QQII16s", data[-40:])
        assert data[:16] == magic == b"transfer-shard-1"
        assert zlib.crc32(data[at : at + size]) == crc
        assert zlib.crc32(data[:-40]) == total
        index = json.loads(data[at : at + size])
        columns = [index[name] for name in ("offsets", "sizes", "segments", "crc32")]
        for offset, length, segments, check in zip(*columns, strict=True):
            entry = data[offset : offset + length + 2 * segments]
            assert zlib.crc32(entry) == check
            table = struct.unpack(f"<{segments}H", entry[length:])
            image = entry[:length]
            if segments:
                starts = np.cumsum([length - sum(table), *table]).tolist()
                assert [image[i - 2] for i in starts[1:]] == [0xFF] * segments
                assert [image[i - 1] for i in starts[1:-1]] == [0xD0 + i % 8 for i in range(segments - 1)]
                assert image[-1] == 0xD9


def test_a_stored_image_travels_and_tells_where_it_is(case: Case) -> None:
    record = case.packed.records(case.root, "train")[0]
    assert isinstance(record.path, PackedImage)
    record.path.open()  # its file is open now
    other = pickle.loads(pickle.dumps(record.path))
    assert np.array_equal(other.open().whole(), record.path.open().whole())
    assert str(other) == f"{case.packed.folder / 'train-00000.shard'}: image {record.id}"


@pytest.mark.parametrize("where", [0, 300, -1], ids=["first byte", "scan", "table"])
def test_a_flipped_bit_is_named(damaged: Packed, where: int) -> None:
    record = damaged.records(Path(), "train")[0]
    assert isinstance(record.path, PackedImage)
    index = record.path.shard.index()
    at = (index["offsets"] + [index_end(index)])[where] if where <= 0 else index["offsets"][0] + where
    path = damaged.folder / "train-00000.shard"
    data = bytearray(path.read_bytes())
    data[at - 1 if where < 0 else at] ^= 4
    path.write_bytes(data)
    last = damaged.records(Path(), "train")[len(index["ids"]) - 1] if where < 0 else record
    with pytest.raises(DataError, match=rf"train-00000\.shard: image {last.id}: its checksum is wrong.*Remove"):
        open_picture(last.path)
    with pytest.raises(DataError, match=r"train-00000\.shard: its checksum is wrong"):
        verify(damaged, Path("/nonexistent"), "train", lambda done, total: None)


def index_end(index: dict[str, list[int]]) -> int:
    return index["offsets"][-1] + index["sizes"][-1] + 2 * index["segments"][-1]


def test_a_shard_that_is_cut_while_it_is_read_is_named(damaged: Packed) -> None:
    record = damaged.records(Path(), "train")[0]
    path = damaged.folder / "train-00000.shard"
    with path.open("r+b") as file:
        file.truncate(100)
    with pytest.raises(DataError, match=rf"train-00000\.shard: image {record.id}: the shard is cut short: .*Remove"):
        open_picture(record.path)


@pytest.mark.parametrize("left", [0, 10, 500, -1], ids=str)
def test_a_shard_cut_short_is_named(damaged: Packed, left: int) -> None:
    path = damaged.folder / "train-00001.shard"
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(DataError, match=r"train-00001\.shard: .*cut short.*Remove this file"):
        damaged.records(Path(), "train")


def test_a_damaged_index_is_named(damaged: Packed) -> None:
    path = damaged.folder / "train-00001.shard"
    data = bytearray(path.read_bytes())
    data[-60] ^= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"train-00001\.shard: the checksum of its index is wrong"):
        damaged.records(Path(), "train")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"offsets": [1 << 40] * 2}, "names images outside of the shard"),
        ({"sizes": [-1] * 2}, "names images outside of the shard"),
        ({"crc32": ["x"] * 2}, "is not as docs/packing.md says"),
        ({"segments": [0]}, "is not as docs/packing.md says"),
    ],
)
def test_an_index_that_cannot_be_is_refused(tmp_path: Path, change: dict[str, list[Any]], message: str) -> None:
    with (path := tmp_path / "a.shard").open("wb") as file:
        writer = ShardWriter(file)
        for name in ("a", "b"):
            writer.add(Entry(name, 0, b"image", b"", 5))
        writer._index |= change
        writer.finish()
    with pytest.raises(DataError, match=rf"a\.shard: its index {message}.*Remove"):
        Shard(path).index()


def test_a_missing_or_foreign_shard_is_named(damaged: Packed) -> None:
    shutil.copy(damaged.folder / "train-00000.shard", damaged.folder / "val-00000.shard")
    with pytest.raises(DataError, match=r"val-00000\.shard: this is not the shard .* expected, \d are there.*Remove"):
        damaged.records(Path(), "val")
    (damaged.folder / "val-00000.shard").unlink()
    with pytest.raises(DataError, match=r"val-00000\.shard does not exist; python -m core\.data\.prepare"):
        damaged.records(Path(), "val")


def test_another_set_or_preparation_is_refused(case: Case) -> None:
    folder = case.packed.folder
    with pytest.raises(DataError, match=r'data\.train: "train" there, "training" here'):
        Packed(ImageNet(train="training"), folder).records(case.root, "train")
    with pytest.raises(DataError, match=r"preparation: null there, .*384.* here"):
        Packed(ImageNet(), folder, Preparation()).records(case.root, "train")
    with pytest.raises(DataError, match=r"manifest\.json does not exist; python -m core\.data\.prepare makes it"):
        Packed(ImageNet(), folder / "none").records(case.root, "train")
    with pytest.raises(DataError, match="has no split 'test'"):
        case.packed.records(case.root, "test")
    (other := folder / "other").mkdir(exist_ok=True)
    (other / "manifest.json").write_text('{"format": "x"}')
    with pytest.raises(DataError, match="of another version"):
        Packed(ImageNet(), other).records(case.root, "train")


def test_a_split_that_was_not_packed_is_named(case: Case, tmp_path: Path) -> None:
    packed = pack(ImageNet(), case.root, tmp_path, ("val",))
    assert packed.missing(Path(), "val", boxes=True) is None
    with pytest.raises(DataError, match=r"split 'train': not packed in .*; there is val"):
        packed.records(case.root, "train")


def test_boxes_that_were_not_packed_are_missed(tmp_path: Path) -> None:
    layouts.imagenet(tmp_path, _SPLITS)
    packed = pack(ImageNet(), tmp_path, tmp_path / "packed")
    assert packed.missing(tmp_path, "val") is None
    assert "without boxes" in str(packed.missing(tmp_path, "val", boxes=True))


def test_smaller_images(case: Case, tmp_path: Path) -> None:
    packed = pack(ImageNet(), case.root, tmp_path, ("train",), Preparation(40, 95))
    files, records = ImageNet().records(case.root, "train"), packed.records(case.root, "train")
    for file, record in zip(files, records, strict=True):
        width, height = image_size(file.path)
        scale = min(1, 40 / min(width, height))
        picture = open_picture(record.path)
        assert (picture.width, picture.height) == (round(width * scale), round(height * scale))
        wanted = np.asarray(read_rgb(file.path).resize((picture.width, picture.height), Image.Resampling.BICUBIC))
        if record.label == 0:  # photographs; the others are noise, which no JPEG keeps
            assert np.abs(picture.whole().astype(int) - wanted).mean() < 8
    assert packed.fingerprint(case.root, "train") != ImageNet().fingerprint(case.root, "train")
    with pytest.raises(UserError, match="short_side >= 8"):
        Preparation(2)


def test_real_sets_keep_their_pixels(real_data: Path, tmp_path: Path) -> None:
    """Boxes without sizes (CUB), a zip read in place."""
    tiny, cub = TinyImageNet(), CUB()
    packed = pack(tiny, real_data, tmp_path / "tiny", ("val",), shard_bytes=1 << 20)
    assert verify(packed, real_data, "val", lambda done, total: None)
    assert packed.fingerprint(Path(), "val", boxes=True) == tiny.fingerprint(real_data, "val", boxes=True)
    packed = pack(cub, real_data, tmp_path / "cub", ("test",), Preparation(64))
    for small, record in zip(packed.records(Path(), "test"), cub.records(real_data, "test"), strict=True):
        assert small.boxes == record.boxes
        assert small.size == image_size(record.path)
