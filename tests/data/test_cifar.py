"""CIFAR: rows in place, from a folder or an archive, and pickles that ask for more than arrays."""

import multiprocessing
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.data.cifar import CIFAR10, CIFAR100
from core.data.images import image_size, open_picture, read_rgb
from core.data.pickles import read_pickle
from core.data.pictures import Stored
from core.data.records import DataError
from tests.data import cifar_files as files


def refused(root: Path, split: str = "train", data: CIFAR10 | CIFAR100 | None = None) -> str:
    with pytest.raises(DataError) as caught:
        (data or CIFAR100()).records(root, split)
    return str(caught.value)


def test_rows_are_red_then_green_then_blue(tmp_path: Path) -> None:
    files.cifar100(tmp_path)
    pixels = files.random_pixels(7)
    records = CIFAR100().records(tmp_path, "train")
    assert [record.id for record in records][:2] == ["train/00000_image_s_000000.png", "train/00001_image_s_000001.png"]
    assert [record.label for record in records] == [0, 1, 2, 0, 1, 2, 0]
    assert CIFAR100().classes(tmp_path) == ("class_0", "class_1", "class_2")
    for record, row in zip(records, pixels, strict=True):
        expected = [[[row[c * 1024 + y * 32 + x] for c in range(3)] for x in range(32)] for y in range(32)]
        assert (open_picture(record.path).whole() == np.array(expected)).all()
    assert (np.asarray(read_rgb(records[3].path)) == open_picture(records[3].path).whole()).all()
    assert (open_picture(records[0].path).crop(3, 5, 7, 9) == open_picture(records[0].path).whole()[3:10, 5:14]).all()
    assert image_size(records[0].path) == (32, 32)


def test_the_five_batches_of_cifar10_follow_each_other(tmp_path: Path) -> None:
    files.cifar10(tmp_path)
    data = CIFAR10()
    records = data.records(tmp_path, "train")
    expected = np.concatenate([files.random_pixels(3, seed) for seed in range(5)])
    found = [open_picture(record.path).whole().transpose(2, 0, 1).ravel() for record in records]
    assert (np.array(found) == expected).all()
    assert [record.id[:18] for record in records[2:4]] == ["data_batch_1/00002", "data_batch_2/00000"]
    assert [record.id for record in records] == sorted(record.id for record in records)
    assert data.classes(tmp_path) == ("airplane", "automobile")
    assert len(data.records(tmp_path, "val")) == 3
    assert data.records(tmp_path, "val") == data.records(tmp_path, "test")


@pytest.mark.parametrize(("make", "data"), [(files.cifar10, CIFAR10()), (files.cifar100, CIFAR100())])
def test_an_archive_is_the_same_set(tmp_path: Path, make: Callable[[Path], Path], data: CIFAR10 | CIFAR100) -> None:
    folder = make(tmp_path / "folder")
    (tmp_path / "other").mkdir()
    archive = files.packed(folder, tmp_path / "other" / data.archive)
    for split in ("train", "val"):
        one, other = data.records(folder.parent, split), data.records(archive.parent, split)
        assert data.fingerprint(folder.parent, split) == data.fingerprint(archive.parent, split)
        assert [(r.id, r.label) for r in one] == [(r.id, r.label) for r in other]
        for a, b in zip(one, other, strict=True):
            assert (open_picture(a.path).whole() == open_picture(b.path).whole()).all()
    assert data.classes(folder.parent) == data.classes(archive.parent)
    assert str(other[0].path).startswith(f"{archive}: member {folder.name}/")
    assert data.watched(archive.parent, "train") == (archive,)
    archive.write_bytes(archive.read_bytes()[:1000])
    assert f"{archive}: not a .tar.gz archive, or cut off" in refused(archive.parent, data=data)


def _sum(source: Stored) -> int:
    return int(source.open().whole().sum())


def test_rows_travel_to_other_processes(tmp_path: Path) -> None:
    files.cifar100(tmp_path)
    records = CIFAR100().records(tmp_path, "train")
    assert len(pickle.dumps(records)) < 3072, "pixels stay at home"
    sources = [record.path for record in records if isinstance(record.path, Stored)]
    expected = files.random_pixels(7).sum(1).tolist()
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map(_sum, sources) == expected
    assert [_sum(source) for source in pickle.loads(pickle.dumps(sources))] == expected


def test_a_file_that_changed_is_read_anew(tmp_path: Path) -> None:
    folder = files.cifar100(tmp_path)
    assert len(CIFAR100().records(tmp_path, "train")) == 7
    before = CIFAR100().fingerprint(tmp_path, "train")
    (folder / "train").write_bytes(files.batch(files.random_pixels(5), [2] * 5))
    assert [record.label for record in CIFAR100().records(tmp_path, "train")] == [2] * 5
    assert CIFAR100().fingerprint(tmp_path, "train") != before


class Evil:
    def __init__(self, *what: Any) -> None:
        self.what = what

    def __reduce__(self) -> Any:
        return self.what


@pytest.mark.parametrize(
    ("function", "arguments", "asked"),
    [
        (eval, ("__import__('pathlib').Path('MARK').touch()",), "eval"),
        (np.load, ("MARK",), "load"),
        (Path, ("MARK",), r"\w*Path"),
        (bytearray, (1 << 40,), "bytearray"),
        (np.zeros, ((1 << 20, 1 << 20),), "zeros"),
    ],
)
@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_pickles_are_not_executed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: Any, arguments: Any, asked: str, protocol: int
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = files.cifar100(tmp_path)
    (folder / "train").write_bytes(pickle.dumps({b"data": Evil(function, arguments)}, protocol=protocol))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DataError, match=rf"{folder / 'train'}: refused, the pickle asks for \S+\.{asked}, ") as caught:
        CIFAR100().records(tmp_path, "train")
    assert sorted(tmp_path.rglob("*")) == before
    assert "nothing of it was executed" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "a broken or cut off pickle"),
        (b"\x80\x02}(U\x04data", "a broken or cut off pickle"),
        (b"\x80\x02](K\x01e.", "expected a pickled dictionary, came list"),
        (b"\x80\x02}(K\x01K\x02u.", "expected text as a key, came int"),
        (b"\x80\x02}\x93.", "a broken or cut off pickle"),
        (files.dictionary(data=files.array(files.random_pixels(2), dtype=b"O8")), "type b'O8', expected u1"),
        (
            files.dictionary(data=files.array(files.random_pixels(2), module=b"numpy.matlib")),
            "numpy.matlib._reconstruct",
        ),
        (
            files.dictionary(data=files.array(files.random_pixels(2)).replace(files.whole(2), files.whole(3))),
            "6144 bytes",
        ),
        (files.dictionary(data=b"cnumpy\ndtype\nU\x02u1\x85R"), "a value is of type _Dtype"),
        # setattr(stand-in, "__defaults__", ("u1",)): a function would keep it, for all files that are read later
        (
            files.dictionary(data=b"cnumpy\ndtype\nN}X\x0c\0\0\0__defaults__U\x02u1\x85s\x86b"),
            "'_NewDtype' object has no attribute '__defaults__'",
        ),
        (files.dictionary(data=b"c_codecs\nencode\nX\1\0\0\0xX\x04\0\0\0zlib\x86R"), "encoded as 'zlib'"),
        (files.dictionary(data=files.array(files.random_pixels(2))), "expected fine_labels; there are data"),
        (files.batch(files.random_pixels(2), [1, 2, 3]), "expected a list of 2 whole numbers"),
        (files.batch(files.random_pixels(2), [1, 3]), "expected labels 0 to 2, came 1 to 3"),
        (files.batch(files.random_pixels(2), [-1, 1]), "expected labels 0 to 2, came -1 to 1"),
        (files.batch(files.random_pixels(2)[:, :100], [0, 1]), r"expected data of \[N, 3072\] uint8"),
        (files.batch(files.random_pixels(0), []), "split 'train' has no image"),
        (files.dictionary(data=files.text(b"x"), fine_labels=files.items([])), "came bytes"),
    ],
)
def test_broken_batches(tmp_path: Path, content: bytes, reason: str) -> None:
    folder = files.cifar100(tmp_path)
    (folder / "train").write_bytes(content)
    with pytest.raises(DataError, match=reason) as caught:
        CIFAR100().records(tmp_path, "train")
    assert str(caught.value).startswith(str(folder / "train"))


def test_names_of_numpy_2_and_the_bytes_of_python_3(tmp_path: Path) -> None:
    """What a subset is that someone wrote with today's versions."""
    folder = files.cifar100(tmp_path)
    pixels = np.asfortranarray(files.random_pixels(2))
    for protocol in (2, 4):
        content = {b"data": pixels, b"fine_labels": [1, 2], b"filenames": [b"a.png", b"b.png"]}
        (folder / "train").write_bytes(pickle.dumps(content, protocol=protocol))
        records = CIFAR100().records(tmp_path, "train")
        assert [record.id for record in records] == ["train/00000_a.png", "train/00001_b.png"]
        found = [open_picture(record.path).whole().transpose(2, 0, 1).ravel() for record in records]
        assert (np.array(found) == pixels).all()


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    assert f"folder {tmp_path / 'cifar-100-python'} does not exist" in refused(tmp_path)
    assert "or cifar-100-python.tar.gz" in refused(tmp_path)
    folder = files.cifar100(tmp_path)
    (folder / "meta").unlink()
    assert f"file {folder / 'meta'} does not exist" in refused(tmp_path)
    assert "no split 'valid'. Splits there are: train, val, test" in refused(tmp_path, "valid")
    shutil.rmtree(folder)
    with pytest.raises(DataError, match="does not exist"):
        CIFAR100().classes(tmp_path)
    (tmp_path / "cifar-100-python.tar.gz").write_bytes(b"not gzip")
    assert "not a .tar.gz archive" in refused(tmp_path)
    files.packed(files.cifar10(tmp_path), tmp_path / "cifar-100-python.tar.gz")
    assert "has no member cifar-100-python/meta, " in refused(tmp_path)


def test_the_real_subset_against_plain_pickle(real_data: Path) -> None:
    for split, file, count in (("train", "train", 3000), ("val", "test", 600)):
        content = pickle.loads((real_data / "cifar-100-python" / file).read_bytes(), encoding="bytes")
        records = CIFAR100().records(real_data, split)
        assert len(records) == count
        assert [record.label for record in records] == content[b"fine_labels"]
        names = [name.decode() for name in content[b"filenames"]]
        assert [record.id.partition("_")[2] for record in records] == names
        pixels = content[b"data"].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        for index in (0, 1, count - 1):
            assert (open_picture(records[index].path).whole() == pixels[index]).all()
    assert len(CIFAR100().classes(real_data)) == 100


def test_a_reader_takes_no_objects(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(pickle.dumps({"a": [1, "b", b"c", 2.5, None, (True,)], "d": np.arange(6, dtype=np.uint8)}))
    with path.open("rb") as file:
        content = read_pickle(file, "x")
    assert content["a"] == [1, "b", b"c", 2.5, None, (True,)]
    assert content["d"].tolist() == [0, 1, 2, 3, 4, 5]
