"""Shards, as `python -m wsol extract` writes them: what is added comes back; a killed writer goes on."""

import json
from pathlib import Path

import numpy as np
import pytest

from core.errors import UserError
from wsol.maps.shards import ShardWriter
from wsol.maps.source import open_source


def batch(first: int, count: int, shape: tuple[int, int] = (5, 4)) -> dict[str, np.ndarray | list[str]]:
    numbers = np.arange(first, first + count)
    return {
        "ids": [f"n/{i}.jpg" for i in numbers],
        "maps": numbers[:, None, None] + np.random.default_rng(first).random((count, *shape)),
        "windows": np.stack([numbers, numbers, numbers + 100.5, numbers + 50], axis=1),
        "sizes": np.stack([numbers + 100, numbers + 60], axis=1),
        "ranked": numbers[:, None] + np.arange(5),
    }


def write(folder: Path, *batches: dict[str, np.ndarray | list[str]], size: int = 4) -> None:
    with ShardWriter(folder, settings={"cam": "CAM", "crop": [224, 224]}, shard_size=size) as writer:
        for one in batches:
            writer.add(**one)  # type: ignore[arg-type]


def test_shards_give_back_what_was_added(tmp_path: Path) -> None:
    write(tmp_path, batch(0, 3), batch(3, 4), batch(7, 2, shape=(3, 3)))
    assert sorted(path.name for path in tmp_path.glob("shards/*")) == ["00000.npz", "00001.npz", "00002.npz"]
    source = open_source(tmp_path)
    assert source.ids == tuple(f"n/{i}.jpg" for i in range(9))
    assert source.sizes["n/8.jpg"] == (108, 68)
    for i, one in enumerate(source.read(source.ids)):
        added = batch(i, 1)
        assert one.values.dtype == np.float16
        assert one.window == (float(i), float(i), i + 100.5, i + 50.0)
        assert list(one.ranked or ()) == np.asarray(added["ranked"])[0].tolist()
        assert one.values.shape == ((5, 4) if i < 7 else (3, 3))
    np.testing.assert_array_equal(source.get("n/3.jpg").values, np.asarray(batch(3, 4)["maps"])[0].astype(np.float16))


def test_a_classifier_of_other_classes_has_no_ranked_ones(tmp_path: Path) -> None:
    write(tmp_path, {**batch(0, 3), "ranked": np.empty((3, 0), int)})
    assert [one.ranked for one in open_source(tmp_path).read(["n/0.jpg", "n/2.jpg"])] == [None, None]


def test_a_killed_extraction_goes_on_after_its_last_whole_shard(tmp_path: Path) -> None:
    writer = ShardWriter(tmp_path, settings={"cam": "CAM", "crop": [224, 224]}, shard_size=4)
    writer.add(**batch(0, 6))  # type: ignore[arg-type]
    del writer  # killed: two maps were not written
    (tmp_path / "shards/.00001.npz.123.tmp").write_bytes(b"half a shard")
    again = ShardWriter(tmp_path, settings={"cam": "CAM", "crop": (224, 224)}, shard_size=4)
    assert again.done_ids() == {f"n/{i}.jpg" for i in range(4)}
    with pytest.raises(ValueError, match=r"there already, or twice: \['n/3\.jpg'\]"):
        again.add(**batch(3, 2))  # type: ignore[arg-type]
    again.add(**batch(4, 3))  # type: ignore[arg-type]
    again.close()
    assert open_source(tmp_path).ids == tuple(f"n/{i}.jpg" for i in range(7))


def test_ids_that_come_twice_at_once_are_named(tmp_path: Path) -> None:
    twice = {**batch(0, 3), "ids": ["b", "a", "b"]}
    with pytest.raises(ValueError, match=r"ids are there already, or twice: \['b'\]"):
        write(tmp_path, twice)


def test_how_many_classes_the_classifier_knows_is_in_the_settings(tmp_path: Path) -> None:
    write(tmp_path, batch(0, 1))
    assert open_source(tmp_path).classes is None
    (tmp_path / "settings.json").write_text('{"cam": "CAM", "classes": 200}')
    assert open_source(tmp_path).classes == 200
    assert open_source(tmp_path / "shards/00000.npz").classes is None
    for damaged in ("{", "[200]"):
        (tmp_path / "settings.json").write_text(damaged)
        with pytest.raises(UserError, match=r"settings\.json: expected a JSON object"):
            _ = open_source(tmp_path).classes


def test_maps_of_other_settings_are_not_added_to(tmp_path: Path) -> None:
    write(tmp_path, batch(0, 1))
    with pytest.raises(UserError, match='cam: "CAM" there, "Grad-CAM" here'):
        ShardWriter(tmp_path, settings={"cam": "Grad-CAM", "crop": [224, 224]})
    assert json.loads((tmp_path / "settings.json").read_text()) == {"cam": "CAM", "crop": [224, 224]}
    (tmp_path / "settings.json").unlink()
    with pytest.raises(UserError, match=r"holds 1 shards and no settings\.json"):
        ShardWriter(tmp_path, settings={"cam": "CAM"})


@pytest.mark.parametrize("value", [1e5, 1e-6])
def test_maps_that_float16_cannot_hold_are_refused(value: float, tmp_path: Path) -> None:
    one = batch(0, 2)
    np.asarray(one["maps"])[1] = value
    with pytest.raises(ValueError, match=r"'n/1\.jpg' reaches .*scale"):
        write(tmp_path, one)


def test_a_damaged_map_in_a_shard_is_named(tmp_path: Path) -> None:
    write(tmp_path, batch(0, 3))
    stored = np.asarray(batch(0, 3)["maps"]).astype(np.float16)
    shard = tmp_path / "shards/00000.npz"
    shard.write_bytes(shard.read_bytes().replace(stored[1].tobytes(), stored[2].tobytes()))
    source = open_source(tmp_path)
    skipped: list[tuple[str, str]] = []
    assert [one.id for one in source.read(source.ids, skipped)] == ["n/0.jpg", "n/2.jpg"]
    assert skipped[0][0] == "n/1.jpg"
    assert "00000.npz: the map of 'n/1.jpg' is damaged" in skipped[0][1]
