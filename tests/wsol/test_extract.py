"""Extraction: what is written equals what the CAM says image by image, goes on after a kill, and can be evaluated."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from core import backbone
from core.config import CHECKOUT
from core.data.cub import CUB
from core.data.images import read_rgb
from core.data.records import ImageRecord
from core.errors import UserError
from core.images import normalize, to_tensor
from tests.core.networks import TINY_SPEC
from tests.data import layouts
from wsol.__main__ import main as wsol
from wsol.cam.cam import WeightCAM
from wsol.crops import upsample
from wsol.extract import Request, extract, main, to_float16
from wsol.geometry import Geometry, Letterbox, ShortSide
from wsol.maps.source import open_source
from wsol.metadata.text import read
from wsol.stage import Localize

SPEC = replace(TINY_SPEC, num_classes=2)
CONFIG = """
from core.data.cub import CUB
from wsol.__main__ import main as wsol
from wsol.cam.cam import WeightCAM
from wsol.geometry import Geometry
from wsol.stage import Localize
config = Localize(data=CUB(), split="test", geometry=Geometry(40, 32), cam=WeightCAM(), device="cpu", batch_size=3)
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    layouts.cub(tmp_path, classes=2, per_class=8)  # 48 x 32 pixels, boxes; 8 of them are the test's
    torch.manual_seed(0)
    backbone.save(tmp_path / "two.safetensors", backbone.build(SPEC), SPEC)
    layouts.write(tmp_path / "tiny.py", CONFIG)
    return tmp_path


def _config(root: Path, **changes: Any) -> Localize:
    values = {"data": CUB(), "split": "test", "geometry": Geometry(40, 32), "cam": WeightCAM(), "device": "cpu"}
    return Localize(**{**values, "batch_size": 3, "data_root": root, **changes})


def _extract(config: Localize, root: Path, name: str = "out", **changes: Any) -> int:
    request = Request(str(root / changes.pop("backbone", "two.safetensors")), root / name, **changes)
    return extract(config, request, lambda counts, total, done: counts)


def _records(config: Localize) -> tuple[ImageRecord, ...]:
    return config.data.records(config.root, config.split)


@torch.no_grad()
def _by_hand(config: Localize, record: ImageRecord, root: Path, label: int | None) -> tuple[Tensor, Tensor]:
    """One image's map [h, w] and logits [K]; label None: the best one."""
    network = backbone.load(root / "two.safetensors", layer4_stride1=config.layer4_stride1).model.eval()
    image = normalize(to_tensor(config.geometry.prepare(read_rgb(record.path)))[None], SPEC.mean, SPEC.std)
    maps = config.cam.bind(network)(image, lambda x: x.argmax(1) if label is None else torch.tensor([label]))
    return maps.scores[0], maps.logits[0]


def _same(found: np.ndarray, expected: Tensor) -> None:
    """Equal but for float16 and a factor that is a power of two."""
    peak = float(expected.abs().max())
    factor = 2.0 ** np.round(np.log2(float(np.abs(found).max()) / peak))
    np.testing.assert_allclose(found / factor, expected.numpy(), rtol=2e-3, atol=1e-3 * peak)


@pytest.mark.parametrize("geometry", [Geometry(40, 32), ShortSide(40, 32), Letterbox(32, 32)])
@pytest.mark.parametrize("side", [None, 0, 20])
def test_maps_windows_sizes_and_ranks(root: Path, geometry: Geometry, side: int | None) -> None:
    config = _config(root, geometry=geometry)
    assert _extract(config, root, side=side) == 8
    records, source = _records(config), open_source(root / "out")
    assert source.ids == tuple(record.id for record in records)
    for record, found in zip(records, source.read(source.ids), strict=True):
        scores, logits = _by_hand(config, record, root, record.label)
        expected = scores if side == 0 else upsample(scores[None], side or 32)[0]
        assert found.values.dtype == np.float16
        _same(found.values, expected)
        assert found.window == pytest.approx(geometry.window((48, 32)))
        assert source.sizes[record.id] == (48, 32)
        assert list(found.ranked or ()) == logits.argsort(descending=True).tolist()


def test_the_class_predicted_and_k_maps_of_each_image(root: Path) -> None:
    config = _config(root)
    _extract(config, root, "predicted", which="predicted")
    _extract(config, root, "top", which="top2")
    one, first, second = (open_source(root / name) for name in ("predicted", "top/top1", "top/top2"))
    for record in _records(config):
        best, logits = _by_hand(config, record, root, None)
        np.testing.assert_array_equal(one.get(record.id).values, first.get(record.id).values)
        _same(one.get(record.id).values, upsample(best[None], 32)[0])
        worse = _by_hand(config, record, root, int(logits.argmin()))[0]
        _same(second.get(record.id).values, upsample(worse[None], 32)[0])


def test_metadata_is_what_the_data_set_says(root: Path) -> None:
    config = _config(root)
    _extract(config, root)
    for record, truth in zip(_records(config), read(root / "out/metadata"), strict=True):
        assert (truth.id, truth.size, truth.label) == (record.id, (48, 32), record.label)
        assert truth.boxes.tolist() == [list(box) for box in record.boxes]


def _killed(counts: Iterator[int], total: int, done: int) -> Iterator[int]:
    """Stop after the third batch of two was handed to the writer."""
    yield next(counts)
    yield next(counts)
    next(counts)
    raise KeyboardInterrupt


def test_a_killed_extraction_goes_on_and_ends_with_the_same_maps(root: Path) -> None:
    config = replace(_config(root), batch_size=2)
    _extract(config, root, "whole")
    request = Request(str(root / "two.safetensors"), root / "killed", shard_size=3)  # made 4: whole batches
    with pytest.raises(KeyboardInterrupt):
        extract(config, request, _killed)
    assert len(open_source(root / "killed").ids) == 4  # of 6: one whole shard
    assert _extract(config, root, "killed", shard_size=3) == 4
    assert _extract(config, root, "killed", shard_size=3) == 0
    whole, killed = open_source(root / "whole"), open_source(root / "killed")
    assert whole.ids == killed.ids
    for id in whole.ids:  # to the bit, since the batches are the same
        np.testing.assert_array_equal(whole.get(id).values, killed.get(id).values)


def test_k_writers_that_were_killed_between_each_other_go_on_apart(root: Path) -> None:
    config = replace(_config(root), batch_size=2)
    _extract(config, root, "whole", which="top2")
    _extract(config, root, "torn", which="top2", shard_size=4)
    (root / "torn/top2/shards/00001.npz").unlink()
    assert _extract(config, root, "torn", which="top2", shard_size=4) == 4
    for name in ("top1", "top2"):
        assert open_source(root / "torn" / name).ids == open_source(root / "whole" / name).ids


def test_other_settings_are_refused_and_nothing_is_overwritten(root: Path) -> None:
    _extract(_config(root), root)
    before = {path: path.read_bytes() for path in (root / "out").rglob("*") if path.is_file()}
    with pytest.raises(UserError, match=r"split: .*test.* there, .*train"):
        _extract(_config(root, split="train"), root)
    assert {path: path.read_bytes() for path in (root / "out").rglob("*") if path.is_file()} == before


def test_two_processes_in_one_folder_are_refused(root: Path) -> None:
    code = "import sys; from pathlib import Path; from core.lock import Lock; held = Lock(Path(sys.argv[1])); print()"
    code += "; sys.stdout.flush(); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(root / "out")], cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(UserError, match=f"process {other.pid} on .* is at work"):
            _extract(_config(root), root)
        other.communicate(b"\n")
    assert _extract(_config(root), root) == 8


def test_a_head_of_other_classes(root: Path) -> None:
    spec = replace(SPEC, num_classes=3)
    backbone.save(root / "three.safetensors", backbone.build(spec), spec)
    with pytest.raises(UserError, match="3 classes, the data has 2"):
        _extract(_config(root), root, backbone="three.safetensors")
    with pytest.raises(UserError, match="3 classes has no top4"):
        _extract(_config(root), root, backbone="three.safetensors", which="top4")
    _extract(_config(root), root, backbone="three.safetensors", which="predicted")
    source = open_source(root / "out")
    assert not source.get(source.ids[0]).ranked, "classes that are not the data's are no ranking of them"


def test_weights_that_are_not_finite_are_named_by_image(root: Path) -> None:
    model = backbone.build(SPEC)
    torch.nn.init.constant_(model.get_parameter("fc.weight"), float("nan"))
    backbone.save(root / "nan.safetensors", model, SPEC)
    with pytest.raises(UserError, match=r"Bird_0002\.jpg: its score map holds NaN"):
        _extract(_config(root), root, backbone="nan.safetensors")


def test_float16_keeps_values_or_divides_by_a_power_of_two() -> None:
    record = ImageRecord("a", Path(), 0)
    shape = np.array([[[-3.0, 0.25], [0.5, 1.0]]], np.float32)
    for factor, expected in ((1.0, 1.0), (20_000.0, 20_000.0), (1e6, 1e6 / 2**20), (1e-9, 1e-9 * 2**29)):
        np.testing.assert_allclose(to_float16(shape * np.float32(factor), [record]), shape * expected, rtol=1e-3)
    assert (to_float16(np.zeros((1, 2, 2), np.float32), [record]) == 0).all()
    low = to_float16(np.array([[[-1e9, 1.0]]], np.float32), [record])
    assert low.tolist() == [[[-65504.0, 1.0]]], "what is far below 0 is clipped, not infinite"
    assert (to_float16(np.full((1, 1, 2), -1e9, np.float32), [record]) < 0).all()


def test_minmax_is_what_compat_takes(root: Path) -> None:
    record = ImageRecord("a", Path(), 0)
    maps = np.array([[[-4.0, 0.0], [2.0, 4.0]], [[7.0, 7.0], [7.0, 7.0]]], np.float32)
    assert to_float16(maps, [record, record], minmax=True).tolist() == [[[0, 0.5], [0.75, 1]], [[0, 0], [0, 0]]]
    _extract(_config(root), root, minmax=True, side=224)
    words = ["--metadata", str(root / "out/metadata"), "--geometry", "compat", "--resamples", "0"]
    assert wsol(["evaluate", str(root / "out"), *words]) == 2  # a centre crop's maps are not of the whole image
    whole = replace(_config(root), geometry=Geometry(32, 32))
    _extract(whole, root, "squashed", minmax=True, side=224)
    assert wsol(["evaluate", str(root / "squashed"), *words]) == 0


@pytest.mark.parametrize("which", ["top", "top0", "best", "topx"])
def test_an_unknown_class_is_told_what_there_is(which: str, root: Path) -> None:
    with pytest.raises(UserError, match="expected truth, predicted or topK"):
        Request("x", root, which)


def test_the_command(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    args = [str(root / "tiny.py"), "--backbone", str(root / "two.safetensors"), "--out", str(root / "out")]
    assert main([*args, "--data-root", str(root), "--class", "predicted", "--side", "0", "--batch-size", "5"]) == 0
    assert "8 images now" in capsys.readouterr().err
    assert open_source(root / "out").get(_records(_config(root))[0].id).values.shape == (2, 2)
    assert main([*args, "--data-root", str(root), "--class", "all"]) == 2
    assert "topK" in capsys.readouterr().err
    assert main([]) == 2
    assert main(["--help"]) == 0
    assert "--shard-size" in capsys.readouterr().out
