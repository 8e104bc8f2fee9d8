"""The localization stage: hand-made maps give the expected boxes and scores; what it refuses; its command."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from core import backbone
from core.config import CHECKOUT, CONFIGS, load
from core.data.cub import CUB
from core.data.imagenet import ImageNet
from core.errors import UserError
from core.stage import Job
from eval.errors import EvalError
from eval.localization.truth import ScoreMap, Truth
from tests.core.networks import TINY_SPEC, job
from tests.data import layouts
from wsol.__main__ import main
from wsol.cam.base import CAM, Maps
from wsol.cam.cam import WeightCAM
from wsol.crops import upsample
from wsol.geometry import Geometry
from wsol.run import Finished, execute, outcome
from wsol.stage import Localize

CONFIG = """
from core.data.cub import CUB
from wsol.cam.cam import WeightCAM
from wsol.geometry import Geometry
from wsol.stage import Localize
config = Localize(data=CUB(), split="test", geometry=Geometry(36, 32), cam=WeightCAM(), device="cpu")
"""


@dataclass(frozen=True)
class Drawn(CAM):
    """The same 8 x 8 map for every image, and logits that always say class 0."""

    low: float = -5.0

    def bind(self, network: nn.Module) -> Callable[[Tensor, Any], Maps]:
        scores = torch.full((8, 8), self.low)
        scores[2:5, 1:6] = 10.0
        return lambda images, choose: Maps(scores.expand(len(images), 8, 8), torch.eye(2)[[0] * len(images)])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    layouts.cub(tmp_path, classes=2, per_class=4)  # 48 x 32 pixels, box x 3 to 33 and y 2 to 22
    torch.manual_seed(0)
    spec = replace(TINY_SPEC, num_classes=2)
    backbone.save(tmp_path / "two.safetensors", backbone.build(spec), spec)
    return tmp_path


def _config(**changes: Any) -> Localize:
    values = {"data": CUB(), "split": "test", "geometry": Geometry(8, 8), "cam": Drawn(), "device": "cpu"}
    return Localize(**{**values, **changes})


def _job(root: Path, config: Localize, source: str = "two.safetensors") -> Job:
    return replace(job(root / "run"), root=root, config=config, backbone=str(root / source))


def test_a_drawn_map_gives_its_box_in_original_pixels_and_the_class_must_be_right(root: Path) -> None:
    config = _config()
    found = execute(config, _job(root, config))
    entries = json.loads((root / "run/boxes.json").read_text())
    assert [entry["label"] for entry in entries] == [0, 0, 1, 1]
    assert {tuple(entry["ranked"]) for entry in entries} == {(0, 1)}
    # Columns 1 to 5 and rows 2 to 4 of 8 are x 1/8 to 6/8 of 48 and y 2/8 to 5/8 of 32.
    assert all(entry["box"] == [6.0, 8.0, 36.0, 20.0] for entry in entries)
    values = {name: metric.value for name, metric in found.metrics.items()}
    # Intersection with (3, 2, 33, 22): 27 x 12 = 324; union 360 + 600 - 324 = 636; IoU .509.
    assert values["gtknown_loc"] == 100.0
    assert values["top1_loc"] == values["top1_error"] == 50.0
    assert values["maxboxacc_v2"] == pytest.approx((100 + 100 + 0) / 3)


def test_a_box_in_a_centre_crop_is_mapped_back(root: Path) -> None:
    config = _config(geometry=Geometry(resize=16, crop=8))
    execute(config, _job(root, config))
    box = json.loads((root / "run/boxes.json").read_text())[0]["box"]
    assert box == [(4 + 1) * 3, (4 + 2) * 2, (4 + 6) * 3, (4 + 5) * 2]  # a cell is 48 / 16 by 32 / 16 pixels


def test_the_minimum_is_subtracted_only_when_asked(root: Path) -> None:
    # Background 2 of 10 is above .15 x 10: the whole map; above the minimum it is nothing.
    for subtract, expected in ((False, [0, 0, 48, 32]), (True, [6, 8, 36, 20])):
        shutil.rmtree(root / "run", ignore_errors=True)
        config = _config(cam=Drawn(low=2.0), subtract_minimum=subtract)
        execute(config, _job(root, config))
        assert json.loads((root / "run/boxes.json").read_text())[0]["box"] == expected


def test_the_map_asked_for_is_the_ground_truth_classs(root: Path) -> None:
    asked: list[int] = []

    @dataclass(frozen=True)
    class Asking(Drawn):
        def bind(self, network: nn.Module) -> Callable[[Tensor, Any], Maps]:
            inner = Drawn().bind(network)

            def explain(images: Tensor, choose: Any) -> Maps:
                maps = inner(images, choose)
                asked.extend(choose(maps.logits).tolist())
                return maps

            return explain

    config = _config(cam=Asking())
    execute(config, _job(root, config))
    assert asked == [0, 0, 1, 1]


def test_the_numbers_by_hand(root: Path) -> None:
    """Maps of 10 x 10 over images of 10 x 10; IoU .9 with the second box, .5 (not above), .6."""
    finished = Finished(root / "parts", _config())
    boxes = np.array([[0.0, 0, 10, 10], [20, 20, 30, 30]])
    for name, label, guess, (x0, y0, x1, y1) in (
        ("a", 0, 0, (20, 20, 30, 29)), ("b", 1, 1, (0, 0, 10, 5)), ("c", 1, 0, (0, 0, 10, 6)),
    ):  # fmt: skip
        score_map = np.zeros((30, 30), np.float32)
        score_map[y0:y1, x0:x1] = 1
        finished.add([ScoreMap(name, score_map, None, [guess])], [Truth(name, (30, 30), boxes, label)])
    values, more = _values(finished)
    assert values["gtknown_loc"] == pytest.approx(200 / 3)
    assert values["top1_loc"] == pytest.approx(100 / 3)
    assert values["top1_error"] == pytest.approx(100 / 3)
    assert values["top5_loc"] is None
    assert values["maxboxacc"] == 100.0  # at least .5
    assert values["maxboxacc_v2"] == pytest.approx((100 + 100 + 100 / 3) / 3)
    assert more["choe"]["measures"]["max_box_acc_v2_70"]["best"]["value"] == pytest.approx(100 / 3)


def _values(finished: Finished) -> tuple[dict[str, float | None], dict[str, Any]]:
    found = outcome(finished.entries(), finished.report(finished.paper), finished.report(finished.choe))
    return {name: metric.value for name, metric in found.metrics.items()}, found.more


@pytest.mark.parametrize(
    ("name", "content", "again"),
    [("00001.minmax.npz", b"PK", 2), ("00001.json", b"[{", 2), ("00000.json", b"[]", 4), ("code", b"older", 4)],
)
def test_a_cell_goes_on_after_its_last_sound_part(
    root: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: bytes, again: int
) -> None:
    monkeypatch.setattr("wsol.run._PART", 2)
    config = _config(batch_size=2)
    whole = execute(config, _job(root, config))
    parts = root / "run" / "parts"
    (parts / name).write_bytes(content)  # damaged, or of another version: made again, as what a kill left
    seen: list[int] = []

    @dataclass(frozen=True)
    class Counting(Drawn):
        def bind(self, network: nn.Module) -> Callable[[Tensor, Any], Maps]:
            inner = Drawn().bind(network)

            def explain(images: Tensor, choose: Any) -> Maps:
                seen.append(len(images))
                return inner(images, choose)

            return explain

    assert execute(_config(cam=Counting(), batch_size=2), _job(root, config)) == whole
    assert sum(seen) == again


def test_upsampled_cells_tile_the_crop() -> None:
    scores = torch.zeros(1, 4, 4)
    scores[0, 1, 2] = 1.0
    big = upsample(scores, 64)[0]
    assert big.shape == (64, 64)
    centre = (big * torch.arange(64)[:, None]).sum() / big.sum(), (big * torch.arange(64)).sum() / big.sum()
    assert centre == pytest.approx((1.5 * 16 - 0.5, 2.5 * 16 - 0.5))


def test_images_without_boxes_are_refused(root: Path) -> None:
    layouts.imagenet(root, {split: {"n01": 1, "n02": 1} for split in ("train", "val")}, boxes=False)
    config = _config(data=ImageNet(), split="val")
    with pytest.raises(UserError, match=r"2 of 2 have none.*\n"):
        execute(config, _job(root, config))


def test_no_backbone_is_refused(root: Path) -> None:
    config = _config()
    with pytest.raises(UserError, match="--backbone"):
        execute(config, replace(_job(root, config), backbone=None))


@pytest.mark.parametrize(("classes", "reason"), [(0, "no head"), (3, "head of 3 classes, the data has 2")])
def test_a_head_of_other_classes_has_no_number_but_a_reason(root: Path, classes: int, reason: str) -> None:
    spec = replace(TINY_SPEC, num_classes=classes)
    backbone.save(root / "other.safetensors", backbone.build(spec), spec)
    config = _config(cam=WeightCAM(), geometry=Geometry(36, 32))
    found = execute(config, _job(root, config, "other.safetensors"))
    assert {metric.value for metric in found.metrics.values()} == {None}
    assert found.more["reason"] == reason
    assert not (root / "run/boxes.json").exists()


def test_weights_that_are_not_finite_are_named_by_image(root: Path) -> None:
    config = _config(cam=Drawn(low=float("nan")))
    with pytest.raises(EvalError, match=r"Bird_0002\.jpg: the score map holds NaN"):
        execute(config, _job(root, config))


def test_the_command_runs_and_skips(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    config = layouts.write(root / "tiny.py", CONFIG)
    args = ["run", str(config), "--backbone", str(root / "two.safetensors"), "--run", str(root / "cell")]
    args += ["--data-root", str(root)]
    assert main(args) == 0
    result = json.loads((root / "cell/result.json").read_text())
    assert (result["stage"], result["metrics"]["top1_loc"]["higher_is_better"]) == ("wsol", True)
    assert result["metrics"]["top1_error"]["higher_is_better"] is False
    assert len(json.loads((root / "cell/boxes.json").read_text())) == 4
    assert main(args) == 0
    assert "done already" in capfd.readouterr().out


def test_unknown_commands_are_told_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluat"]) == 2
    told = capsys.readouterr().err
    assert "evaluat" in told
    assert "run" in told
    assert main([]) == 2


def test_help_and_the_configs_need_no_torch() -> None:
    code = (
        "import sys; sys.modules['torch'] = None; from wsol.__main__ import main; from core.config import load; "
        "assert main(['--help']) == 0; print(load('wsol/cub_cam').geometry.crop)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "usage: python -m wsol" in done.stdout
    assert done.stdout.endswith("224\n")


@pytest.mark.parametrize("stem", sorted(path.stem for path in (CONFIGS / "wsol").glob("[!_]*.py")))
def test_every_config_loads(stem: str) -> None:
    config = load(f"wsol/{stem}")
    assert isinstance(config, Localize)
    assert (config.layer4_stride1, config.threshold) == (True, 0.15)
    assert config.images(lambda need: 7) == 7
