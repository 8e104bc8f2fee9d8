"""Sources of score maps: every kind gives the same maps; what is damaged or does not match is named; no pickles."""

import multiprocessing
import os
import pickle
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from core.errors import UserError
from wsol.maps.source import Source, open_source

IDS = ("val/n02/c d.JPEG", "val/n01/a.JPEG", "val/n01/b.jpg")
Save = Callable[[Path, np.ndarray], Path]


def maps(dtype: str, count: int = 3, shape: tuple[int, int] = (5, 4)) -> np.ndarray:
    values = np.random.default_rng(0).integers(0, 256, (count, *shape))
    return values.astype(dtype) if dtype == "uint8" else (values / 255).astype(dtype)


def folder_of_npy(root: Path, values: np.ndarray) -> Path:
    for id, value in zip(IDS, values, strict=True):
        (root / "folder" / id).parent.mkdir(parents=True, exist_ok=True)
        np.save(root / "folder" / id, value)  # numpy adds .npy to a name that does not end so
    return root / "folder"


def folder_of_npz(root: Path, values: np.ndarray) -> Path:
    for id, value in zip(IDS, values, strict=True):
        (root / "folder" / id).parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(root / "folder" / f"{id}.npz", cam=value)
    return root / "folder"


def array_file(root: Path, values: np.ndarray) -> Path:
    np.save(root / "maps.npy", values)
    (root / "ids.txt").write_text("\n".join(IDS) + "\n")
    return root / "maps.npy"


def one_npz_of_arrays(root: Path, values: np.ndarray) -> Path:
    np.savez(root / "maps.npz", **dict(zip(IDS, values, strict=True)))
    return root / "maps.npz"


def one_npz_with_ids(root: Path, values: np.ndarray) -> Path:
    np.savez(root / "maps.npz", ids=np.array(IDS), maps=values)
    return root / "maps.npz"


def one_compressed_npz(root: Path, values: np.ndarray) -> Path:
    np.savez_compressed(root / "maps.npz", ids=np.array(IDS), maps=values)
    return root / "maps.npz"


def folder_of_shards(root: Path, values: np.ndarray) -> Path:
    (root / "shards").mkdir()
    np.savez(root / "shards/0.npz", ids=np.array(IDS[:2]), maps=values[:2])
    np.savez(root / "shards/1.npz", ids=np.array(IDS[2:]), maps=values[2:])
    return root


def zipped(root: Path, values: np.ndarray, kind: int = zipfile.ZIP_STORED) -> Path:
    folder = folder_of_npy(root, values)
    with zipfile.ZipFile(root / "maps.zip", "w", kind) as archive:
        archive.writestr("__MACOSX/val/n01/._a.JPEG.npy", b"not a map")
        for id in IDS:
            archive.write(folder / f"{id}.npy", f"{id}.npy")
    return root / "maps.zip"


def deflated(root: Path, values: np.ndarray) -> Path:
    return zipped(root, values, zipfile.ZIP_DEFLATED)


KINDS: Sequence[Save] = (
    *(folder_of_npy, folder_of_npz, array_file, one_npz_of_arrays, one_npz_with_ids, one_compressed_npz),
    *(folder_of_shards, zipped, deflated),
)


def opened(path: Path) -> Source:
    return open_source(path, path.parent / "ids.txt" if path.suffix == ".npy" else None)


@pytest.mark.parametrize("dtype", ["uint8", "float16", "float32", "float64"])
@pytest.mark.parametrize("save", KINDS, ids=lambda save: save.__name__)
def test_every_kind_gives_the_maps_that_were_saved(save: Save, dtype: str, tmp_path: Path) -> None:
    values = maps(dtype)
    source = opened(save(tmp_path, values))
    assert sorted(source.ids) == sorted(IDS)
    # Any order, and the same one twice: nothing depends on what was read before.
    order = [IDS[2], IDS[0], IDS[1], IDS[0]]
    found = list(source.read(order))
    assert [one.id for one in found] == order
    for one, place in zip(found, [2, 0, 1, 0], strict=True):
        assert one.values.dtype == values.dtype
        np.testing.assert_array_equal(one.values, values[place])
        assert one.values.flags.c_contiguous
        assert one.values.flags.aligned
        assert one.values.flags.writeable
        assert one.window is None
        assert one.ranked is None


@pytest.mark.parametrize("save", KINDS, ids=lambda save: save.__name__)
def test_a_source_goes_to_another_process_and_knows_its_files(save: Save, tmp_path: Path) -> None:
    path = save(tmp_path, maps("float32"))
    source = opened(path)
    next(source.read(IDS))  # its files are open
    again: Source = pickle.loads(pickle.dumps(source))
    np.testing.assert_array_equal(again.get(IDS[1]).values, source.get(IDS[1]).values)
    before = source.fingerprint()
    assert again.fingerprint() == before == opened(path).fingerprint()
    file = path if path.is_file() else next(file for file in sorted(path.rglob("*.np?")))
    os.utime(file, ns=(1, 1))  # made anew: the same name and size
    assert opened(path).fingerprint() != before


def read_all(source: Source, times: int) -> bool:
    """Whether map k is all k, however often read."""
    return all((one.values == int(one.id)).all() for _ in range(times) for one in source.read(source.ids))


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_forked_processes_do_not_disturb_one_another(save: Callable[..., None], tmp_path: Path) -> None:
    values = np.repeat(np.arange(40, dtype=np.float32), 900).reshape(40, 30, 30)
    save(tmp_path / "maps.npz", ids=np.arange(40), maps=values)
    source = open_source(tmp_path / "maps.npz")
    next(source.read(source.ids))
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert all(pool.starmap(read_all, [(source, 5)] * 4))


def test_big_endian_and_fortran_maps_become_what_compiled_code_reads(tmp_path: Path) -> None:
    values = maps("float32")[0]
    (tmp_path / "folder").mkdir()
    np.save(tmp_path / "folder/a.npy", np.asfortranarray(values))
    np.save(tmp_path / "folder/b.npy", values.astype(">f4"))
    for one in open_source(tmp_path / "folder").read(["a", "b"]):
        np.testing.assert_array_equal(one.values, values)
        assert one.values.dtype.isnative
        assert one.values.flags.c_contiguous


def spoil(path: Path, what: bytes, by: bytes) -> None:
    data = path.read_bytes()
    assert what in data
    path.write_bytes(data.replace(what, by, 1))


@pytest.mark.parametrize("save", [one_npz_of_arrays, zipped])
def test_a_damaged_member_is_named_and_others_are_read(save: Save, tmp_path: Path) -> None:
    values = maps("float32")
    path = save(tmp_path, values)
    spoil(path, values[1].tobytes(), values[2].tobytes())
    source = open_source(path)
    with pytest.raises(UserError, match=r"a\.JPEG\.npy' is damaged \(its checksum differs"):
        source.get(IDS[1])
    skipped: list[tuple[str, str]] = []
    assert [one.id for one in source.read(IDS, skipped)] == [IDS[0], IDS[2]]
    assert [id for id, _ in skipped] == [IDS[1]]
    assert "checksum" in skipped[0][1]


@pytest.mark.parametrize("save", [one_npz_with_ids, one_compressed_npz])
def test_a_damaged_array_of_maps_is_named(save: Save, tmp_path: Path) -> None:
    path = save(tmp_path, maps("uint8", shape=(200, 200)))
    middle = path.stat().st_size // 2
    data = path.read_bytes()
    path.write_bytes(data[:middle] + bytes(64) + data[middle + 64 :])
    with pytest.raises(UserError, match=r"maps\.npz: member 'maps\.npy' is damaged"):
        open_source(path)


@pytest.mark.parametrize("save", [one_npz_with_ids, zipped, folder_of_shards])
def test_a_truncated_archive_is_named(save: Save, tmp_path: Path) -> None:
    path = save(tmp_path, maps("float32"))
    file = path if path.is_file() else path / "shards/1.npz"
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(UserError, match=f"{file.name}: damaged, or not a zip archive"):
        open_source(path)


@pytest.mark.parametrize(
    ("spoiled", "reason"),
    [
        (lambda data: data[:-1], "expected 80 bytes of values .* came 79"),
        (lambda data: data[:5], "bytes that start with"),
        (lambda data: b"", "bytes that start with"),
        (lambda data: data.replace(b"'shape'", b"'shipe'"), "damaged header"),
    ],
)
def test_a_damaged_npy_file_is_named(spoiled: Callable[[bytes], bytes], reason: str, tmp_path: Path) -> None:
    folder = folder_of_npy(tmp_path, maps("float32"))
    file = folder / f"{IDS[0]}.npy"
    file.write_bytes(spoiled(file.read_bytes()))
    with pytest.raises(UserError, match=rf"c d\.JPEG\.npy: .*{reason}"):
        open_source(folder).get(IDS[0])


class Trap:
    """Unpickling this makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.touch, (self.path,)


def test_pickles_are_never_read(tmp_path: Path) -> None:
    trap = np.array([Trap(tmp_path / "sprung")], dtype=object)
    (tmp_path / "folder").mkdir()
    np.save(tmp_path / "folder/a.npy", trap, allow_pickle=True)
    np.savez(tmp_path / "maps.npz", a=trap)
    np.savez(tmp_path / "ids.npz", ids=trap, maps=maps("float32"))
    for path in ("folder", "maps.npz", "ids.npz"):
        with pytest.raises(UserError, match="holds Python objects"):
            open_source(tmp_path / path).get("a")
    assert not (tmp_path / "sprung").exists()


def test_an_id_twice_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "twice.npz", ids=np.array(["a", "b", "a"]), maps=maps("float32"))
    with pytest.raises(UserError, match=r"1 ids are there twice: 'a'"):
        open_source(tmp_path / "twice.npz")
    with zipfile.ZipFile(tmp_path / "twice.zip", "w") as archive:
        archive.writestr("a.npy", b"")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a.npy", b"")
    with pytest.raises(UserError, match=r"1 ids are there twice: 'a'"):
        open_source(tmp_path / "twice.zip")


def test_another_number_of_ids_than_maps_is_refused(tmp_path: Path) -> None:
    path = array_file(tmp_path, maps("float32"))
    (tmp_path / "ids.txt").write_text("a\n\nb\n")
    with pytest.raises(UserError, match=r"ids\.txt: expected 3 ids, a line for each map of .*, came 2"):
        open_source(path, tmp_path / "ids.txt")
    with pytest.raises(UserError, match="--ids FILE"):
        open_source(path)
    np.savez(tmp_path / "both.npz", ids=np.array(["a", "b"]), maps=maps("float32"))
    with pytest.raises(UserError, match=r"an id for each of 3 maps, came 2 ids"):
        open_source(tmp_path / "both.npz")


def test_eight_bit_among_floats_is_refused_wherever_reading_starts(tmp_path: Path) -> None:
    values = maps("float32")
    np.savez(tmp_path / "maps.npz", a=values[0], b=(values[1] * 255).astype(np.uint8), c=values[2].astype(np.float64))
    for order in (["a", "b"], ["b", "a"]):
        with pytest.raises(UserError, match=r"map of 'b' is uint8, others are floats"):
            list(open_source(tmp_path / "maps.npz").read(order))
    assert len(list(open_source(tmp_path / "maps.npz").read(["a", "c"]))) == 2


def both_kinds(path: Path) -> None:
    path.mkdir()
    np.save(path / "a", 1)
    np.savez(path / "b", 1)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: None, "does not exist"),
        (lambda path: path.mkdir(), "expected .npy or .npz files in it or below, there is none"),
        (lambda path: path.write_text(""), "expected a folder of score maps, or a file .npy, .npz, .zip"),
        (both_kinds, "came 1 .npy, 1 .npz"),
    ],
)
def test_what_holds_no_maps_is_refused(make: Callable[[Path], object], reason: str, tmp_path: Path) -> None:
    make(tmp_path / "there")
    with pytest.raises(UserError, match=reason):
        open_source(tmp_path / "there")


def test_a_stack_must_have_three_axes_and_all_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text("a\n")
    for shape in ((4, 5), (1, 1, 4, 5)):
        np.save(tmp_path / "maps.npy", np.zeros(shape))
        with pytest.raises(UserError, match=r"expected an array \[N, H, W\]"):
            open_source(tmp_path / "maps.npy", tmp_path / "ids.txt")
    path = array_file(tmp_path, maps("float64"))
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(UserError, match=r"truncated, expected 480 bytes .* came 472"):
        open_source(path, tmp_path / "ids.txt")


def test_a_map_that_nobody_has_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"has no map of 'x'; ids there are: 'val/n01/a\.JPEG'"):
        open_source(folder_of_npy(tmp_path, maps("float32"))).get("x")


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"windows": np.zeros((3, 4))}, "expected x0 < x1"),
        ({"windows": np.ones((2, 4))}, r"expected numbers of shape \(3, 4\), came float64 of shape \(2, 4\)"),
        ({"ranked": np.ones((3, 5))}, "expected whole numbers of shape"),
        ({"sizes": np.ones((3, 3), int)}, r"expected whole numbers of shape \(3, 2\)"),
    ],
)
def test_what_stands_beside_maps_is_checked(more: dict[str, np.ndarray], reason: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "maps.npz", ids=np.array(IDS), maps=maps("float32"), **more)  # type: ignore[arg-type]
    with pytest.raises(UserError, match=reason):
        open_source(tmp_path / "maps.npz")


def test_memory_does_not_grow_with_the_maps(tmp_path: Path) -> None:
    import tracemalloc

    np.save(tmp_path / "maps.npy", np.zeros((400, 100, 100), np.float32))  # 16 MB
    (tmp_path / "ids.txt").write_text("\n".join(map(str, range(400))))
    tracemalloc.start()
    for one in open_source(tmp_path / "maps.npy", tmp_path / "ids.txt").read([str(i) for i in range(400)]):
        del one
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000
