"""Write CIFAR batch files as Python 2 pickled the published ones. Nothing here uses the reader under test."""

import struct
import tarfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def text(value: bytes) -> bytes:
    """SHORT_BINSTRING or BINSTRING: what a `str` of Python 2 becomes."""
    return b"U" + bytes([len(value)]) + value if len(value) < 256 else b"T" + struct.pack("<i", len(value)) + value


def whole(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def items(values: Sequence[bytes]) -> bytes:
    return b"](" + b"".join(values) + b"e"


def array(values: NDArray[np.uint8], module: bytes = b"numpy.core.multiarray", dtype: bytes = b"u1") -> bytes:
    """numpy 1's way: _reconstruct(ndarray, (0,), "b"), then the state (1, shape, dtype, order, bytes)."""
    shape = whole(values.shape[0]) + whole(values.shape[1]) + b"\x86"
    kind = b"cnumpy\ndtype\n" + text(dtype) + b"K\0K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb"
    made = b"c" + module + b"\n_reconstruct\ncnumpy\nndarray\nK\0\x85U\x01b\x87R"
    return made + b"(K\x01" + shape + kind + b"\x89" + text(values.tobytes()) + b"tb"


def dictionary(**entries: bytes) -> bytes:
    """A whole pickle of protocol 2."""
    return b"\x80\x02}(" + b"".join(text(key.encode()) + value for key, value in entries.items()) + b"u."


def batch(pixels: NDArray[np.uint8], labels: Sequence[int], key: str = "fine_labels", first: int = 0) -> bytes:
    """pixels: [N, 3072]."""
    names = [text(f"image_s_{first + i:06d}.png".encode()) for i in range(len(labels))]
    entries = {"filenames": items(names), "batch_label": text(b"a batch"), key: items([whole(v) for v in labels])}
    return dictionary(**entries, data=array(pixels))


def random_pixels(count: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, 3072), dtype=np.uint8)


def cifar100(root: Path, train: int = 7, test: int = 4, classes: int = 3) -> Path:
    """cifar-100-python/ with labels 0, 1, ... in turn. Returns the folder."""
    folder = root / "cifar-100-python"
    folder.mkdir(parents=True)
    for seed, (name, count) in enumerate((("train", train), ("test", test))):
        content = batch(random_pixels(count, seed), [i % classes for i in range(count)])
        (folder / name).write_bytes(content)
    names = items([text(f"class_{i}".encode()) for i in range(classes)])
    (folder / "meta").write_bytes(dictionary(fine_label_names=names))
    return folder


def cifar10(root: Path, count: int = 3) -> Path:
    """cifar-10-batches-py/ with `count` images in each of the six batches, two classes."""
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    for seed, name in enumerate((*(f"data_batch_{i}" for i in range(1, 6)), "test_batch")):
        content = batch(random_pixels(count, seed), [i % 2 for i in range(count)], "labels", first=100 * seed)
        (folder / name).write_bytes(content)
    (folder / "batches.meta").write_bytes(dictionary(label_names=items([text(b"airplane"), text(b"automobile")])))
    return folder


def packed(folder: Path, archive: Path) -> Path:
    """The folder as a .tar.gz."""
    with tarfile.open(archive, "w:gz", compresslevel=1) as file:
        file.add(folder, folder.name)
    return archive
