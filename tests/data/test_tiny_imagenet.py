"""Tiny-ImageNet: the zip in place is the folder that it unpacks to; its images and boxes serve localization too."""

import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.data.images import image_size, open_picture, read_rgb
from core.data.records import DataError
from core.data.tiny_imagenet import TinyImageNet
from core.data.unpack import unpack
from tests.data.layouts import image
from wsol.crops import Crops
from wsol.geometry import Geometry
from wsol.metadata.records import from_records

BASE = "tiny-imagenet-200"
WNIDS = ("n03", "n01", "n02")


def files(tmp_path: Path) -> dict[str, bytes]:
    """Two train images of each class, three val images; wnids.txt is not sorted, as the published one is not."""
    jpegs = [image(tmp_path / "images" / f"{i}.jpg", (64, 64), seed=i).read_bytes() for i in range(9)]
    content = {"wnids.txt": "\n".join(WNIDS).encode(), "words.txt": b"n01\tgoldfish, Carassius\nn99\tother\n"}
    for label, wnid in enumerate(WNIDS):
        content[f"train/{wnid}/{wnid}_boxes.txt"] = b"unread"
        for i in (1, 0):
            content[f"train/{wnid}/images/{wnid}_{i}.JPEG"] = jpegs[2 * label + i]
    lines = ["val_2.JPEG\tn01\t0\t0\t63\t63", "val_0.JPEG\tn03\t10\t20\t10\t22", "val_1.JPEG\tn01\t1\t2\t62\t57"]
    content["val/val_annotations.txt"] = "".join(f"{line}\n" for line in lines).encode()
    for i in range(3):
        content[f"val/images/val_{i}.JPEG"] = jpegs[6 + i]
    content["test/images/test_0.JPEG"] = jpegs[0]
    return content


def as_zip(root: Path, content: dict[str, bytes]) -> Path:
    root.mkdir(exist_ok=True)
    with zipfile.ZipFile(root / f"{BASE}.zip", "w") as file:
        for name, data in content.items():
            file.writestr(f"{BASE}/{name}", data)
    return root


def as_folder(root: Path, content: dict[str, bytes]) -> Path:
    for name, data in content.items():
        (root / BASE / name).parent.mkdir(parents=True, exist_ok=True)
        (root / BASE / name).write_bytes(data)
    return root


def refused(root: Path, split: str) -> str:
    with pytest.raises(DataError) as caught:
        TinyImageNet().records(root, split)
    return str(caught.value)


def test_a_zip_is_the_same_set_as_its_folder(tmp_path: Path) -> None:
    content = files(tmp_path)
    roots = [as_zip(tmp_path / "zip", content), as_folder(tmp_path / "folder", content)]
    data = TinyImageNet()
    assert [data.classes(root) for root in roots] == [("n01", "n02", "n03")] * 2
    assert [data.words(root) for root in roots] == [{"n01": "goldfish, Carassius", "n99": "other"}] * 2
    for split in ("train", "val"):
        one, other = (data.records(root, split) for root in roots)
        fields = [[(r.id, r.label, r.boxes, r.size) for r in records] for records in (one, other)]
        assert fields[0] == fields[1]
        assert len({data.fingerprint(root, split, boxes=True) for root in roots}) == 1
        for a, b in zip(one, other, strict=True):
            assert (open_picture(a.path).whole() == np.asarray(read_rgb(b.path))).all()
            assert image_size(a.path) == image_size(b.path) == (64, 64)
    train, val = data.records(roots[0], "train"), data.records(roots[0], "val")
    assert [(r.id, r.label) for r in train][:3] == [("n01/n01_0.JPEG", 0), ("n01/n01_1.JPEG", 0), ("n02/n02_0.JPEG", 1)]
    assert all(r.boxes == () and r.size is None for r in train)
    assert [(r.id, r.label, r.boxes) for r in val] == [
        ("val_0.JPEG", 2, ((10, 20, 11, 23),)),
        ("val_1.JPEG", 0, ((1, 2, 63, 58),)),
        ("val_2.JPEG", 0, ((0, 0, 64, 64),)),
    ]
    assert str(val[0].path) == f"{roots[0]}/{BASE}.zip: member {BASE}/val/images/val_0.JPEG"


def test_the_zip_unpacks_to_the_folder_that_is_read_then(tmp_path: Path) -> None:
    root = as_zip(tmp_path / "data", files(tmp_path))
    before = TinyImageNet().fingerprint(root, "train")
    assert TinyImageNet().watched(root, "train") == (root / f"{BASE}.zip",)
    folder = unpack(root / f"{BASE}.zip", BASE)
    assert all(isinstance(record.path, Path) for record in TinyImageNet().records(root, "train"))
    assert TinyImageNet().fingerprint(root, "train") == before
    assert folder / "train" / "n01" / "images" in TinyImageNet().watched(root, "train")
    assert folder / "val" / "images" in TinyImageNet().watched(root, "val")


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    message = refused(tmp_path, "train")
    assert f"file {tmp_path / BASE}.zip does not exist" in message
    assert "python -m core.data.download tiny_imagenet" in message
    with pytest.raises(DataError, match="does not exist"):
        TinyImageNet().classes(tmp_path)
    folder = as_folder(tmp_path, files(tmp_path)) / BASE
    (folder / "val" / "val_annotations.txt").unlink()
    assert f"file {folder / 'val' / 'val_annotations.txt'} does not exist" in refused(tmp_path, "val")
    assert "no split 'test'" in refused(tmp_path, "test")


Change = Callable[[dict[str, bytes]], object]


@pytest.mark.parametrize(
    ("split", "change", "reason"),
    [
        ("train", lambda c: [c.pop(f"train/n02/images/n02_{i}.JPEG") for i in (0, 1)], "no image of this class"),
        (
            "train",
            lambda c: c.update({"train/n09/images/n09_0.JPEG": b""}),
            "1 class folders are not in wnids.txt: n09",
        ),
        ("train", lambda c: c.update({"wnids.txt": b""}), "expected different WordNet ids, one a line, came 0 lines"),
        ("train", lambda c: c.update({"wnids.txt": b"n01\nn01\nn02\nn03"}), "expected different WordNet ids"),
        ("train", lambda c: c.update({"wnids.txt": b"n01\xff"}), "expected UTF-8 text"),
        (
            "val",
            lambda c: c.pop("val/images/val_1.JPEG"),
            "val_1.JPEG is in val_annotations.txt and not there (1 in all)",
        ),
        ("val", lambda c: c.update({"val/images/x.JPEG": b""}), "x.JPEG has no line in val_annotations.txt (1 in all)"),
        ("val", lambda c: c.update({"val/val_annotations.txt": b"val_0.JPEG n01 1 2 3"}), ":1: expected 6 fields"),
        (
            "val",
            lambda c: c.update({"val/val_annotations.txt": b"\nval_0.JPEG n7 1 2 3 4"}),
            ":2: image val_0.JPEG is of",
        ),
        ("val", lambda c: c.update({"val/val_annotations.txt": b"a n01 1 2 64 4"}), "<= 63, came 1 2 64 4"),
        ("val", lambda c: c.update({"val/val_annotations.txt": b"a n01 5 2 4 4"}), "expected 0 <= x0 <= x1"),
        ("val", lambda c: c.update({"val/val_annotations.txt": b"a n01 5 2 x 4"}), "x1 must be a number"),
        ("val", lambda c: c.update({"val/val_annotations.txt": b"a n01 1 1 2 2\na n01 1 1 2 2"}), "listed twice"),
    ],
)
@pytest.mark.parametrize("write", [as_zip, as_folder])
def test_bad_sets(tmp_path: Path, split: str, change: Change, reason: str, write: Callable[..., Path]) -> None:
    content = files(tmp_path)
    change(content)
    root = write(tmp_path / "data", content)
    message = refused(root, split)
    assert reason in message
    assert message.startswith(str(root / BASE))


def test_another_zip_and_broken_images(tmp_path: Path) -> None:
    content = files(tmp_path)
    content["train/n01/images/n01_0.JPEG"] = b"no image"
    content["train/n01/images/n01_1.JPEG"] = content["train/n02/images/n02_0.JPEG"][:300]
    png = io.BytesIO()
    Image.new("L", (64, 64), 7).save(png, "PNG")
    content["train/n02/images/n02_0.JPEG"] = png.getvalue()
    root = as_zip(tmp_path / "data", content)
    no_image, cut, grey, *_ = TinyImageNet().records(root, "train")
    for record, what in ((no_image, "not an image"), (cut, "cannot be read as an image")):
        with pytest.raises(DataError, match=rf"{BASE}.zip: member {BASE}/train/{record.id[:3]}/images/.*: {what}"):
            open_picture(record.path)
    whole = open_picture(grey.path).whole()
    assert (whole == 7).all()
    assert whole.flags.writeable  # torch warns of arrays that are not
    (root / f"{BASE}.zip").unlink()
    with zipfile.ZipFile(root / f"{BASE}.zip", "w") as file:
        file.writestr("elsewhere/wnids.txt", "n01")
    message = refused(root, "train")
    assert message == f"{root / BASE}.zip: member {BASE}/wnids.txt is not in the archive, which has 1 files"


def test_a_damaged_member_is_named(tmp_path: Path) -> None:
    root = as_zip(tmp_path / "data", files(tmp_path))
    path = root / f"{BASE}.zip"
    record = TinyImageNet().records(root, "train")[1]
    data = bytearray(path.read_bytes())
    middle = data.index(b"n01_1.JPEG") + 500
    data[middle] ^= 4
    before = path.stat()
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(DataError, match=r"n01_1\.JPEG: its checksum \(CRC-32\) is wrong"):
        open_picture(record.path)


def test_localization_reads_members_too(tmp_path: Path) -> None:
    root = as_zip(tmp_path / "data", files(tmp_path))
    records = TinyImageNet().records(root, "val")
    truths = from_records(records)
    assert [truth.size for truth in truths] == [(64, 64)] * 3
    assert truths[1].boxes.tolist() == [[1, 2, 63, 58]]
    pixels, index, size, _ = Crops(records, Geometry(resize=64, crop=64)).sample(2)
    assert (index, size) == (2, (64, 64))
    assert (pixels.permute(1, 2, 0).numpy() == open_picture(records[2].path).whole()).all()


def test_the_real_subset_against_zipfile_and_pillow(real_data: Path) -> None:
    data = TinyImageNet()
    train, val = data.records(real_data, "train"), data.records(real_data, "val")
    assert (len(train), len(val)) == (4000, 1000)
    assert len(data.classes(real_data)) == 200
    assert data.words(real_data)["n01443537"] == "goldfish, Carassius auratus"
    with zipfile.ZipFile(real_data / f"{BASE}.zip") as file:
        wnids = sorted(file.read(f"{BASE}/wnids.txt").decode().split())
        for record in train[::500]:
            wnid, name = record.id.split("/")
            assert wnids[record.label] == wnid
            with Image.open(file.open(f"{BASE}/train/{wnid}/images/{name}")) as expected:
                assert (open_picture(record.path).whole() == np.asarray(expected.convert("RGB"))).all()
        lines = [line.split() for line in file.read(f"{BASE}/val/val_annotations.txt").decode().splitlines()]
    expected_boxes = {line[0]: (wnids.index(line[1]), *map(int, line[2:])) for line in lines}
    for record in val:
        x0, y0, x1, y1 = record.boxes[0]
        assert (record.label, x0, y0, x1 - 1, y1 - 1) == expected_boxes[record.id]
