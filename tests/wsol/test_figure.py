"""The figure: its mixtures by formula, what a model sees by the CAM itself, and a PNG at the end."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from core import backbone
from core.data.cub import CUB
from core.data.records import ImageRecord
from core.errors import UserError
from core.images import normalize
from tests.core.networks import TINY_SPEC
from tests.data import layouts
from wsol.cam.cam import WeightCAM
from wsol.crops import upsample
from wsol.figure import main, mixed, pair, see
from wsol.geometry import Geometry
from wsol.stage import Localize

SPEC = replace(TINY_SPEC, num_classes=2)
CONFIG = """
from core.data.cub import CUB
from wsol.cam.cam import WeightCAM
from wsol.geometry import Geometry
from wsol.stage import Localize
config = Localize(data=CUB(), split="test", geometry=Geometry(40, 32), cam=WeightCAM(), device="cpu")
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    layouts.cub(tmp_path, classes=2, per_class=4)
    for seed in (0, 1):
        torch.manual_seed(seed)
        backbone.save(tmp_path / f"{seed}.safetensors", backbone.build(SPEC), SPEC)
    layouts.write(tmp_path / "tiny.py", CONFIG)
    return tmp_path


def test_the_mixtures() -> None:
    a, b = torch.full((3, 8, 8), 200, dtype=torch.uint8), torch.full((3, 8, 8), 100, dtype=torch.uint8)
    inputs = mixed(a, b)
    assert list(inputs) == ["A", "B", "Mixup", "Cutout", "CutMix"]
    assert (inputs["Mixup"] == 150).all()
    box = torch.zeros(8, 8, dtype=torch.bool)
    box[2:6, 2:6] = True
    assert (inputs["CutMix"][:, box] == 100).all()
    assert (inputs["CutMix"][:, ~box] == 200).all()
    assert inputs["Cutout"][:, 4, 4].tolist() == [124, 116, 104]
    assert (inputs["Cutout"][:, ~box] == 200).all()
    assert (a == 200).all(), "the images given are left as they were"


def test_the_pair_is_of_two_classes() -> None:
    records = [ImageRecord(name, Path(), label) for name, label in (("a", 0), ("b", 0), ("c", 1))]
    assert [record.id for record in pair(records, None)] == ["a", "c"]
    assert [record.id for record in pair(records, ["c", "b"])] == ["c", "b"]
    with pytest.raises(UserError, match=r"no image 'x'.*'a', 'b', 'c'"):
        pair(records, ["a", "x"])
    for wrong in (records[:2], records):
        with pytest.raises(UserError, match="different classes"):
            pair(wrong, ["a", "b"] if wrong is records else None)


@torch.no_grad()
def test_what_a_model_sees(root: Path) -> None:
    config = Localize(
        data=CUB(), split="test", geometry=Geometry(40, 32), cam=WeightCAM(), data_root=root, device="cpu"
    )
    inputs = torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8)
    seen = see(config, "one", str(root / "0.safetensors"), inputs, [1, 0])
    network = backbone.load(root / "0.safetensors", layer4_stride1=True).model.eval()
    explain, images = WeightCAM().bind(network), normalize(inputs, SPEC.mean, SPEC.std)
    for row, label in enumerate((1, 0)):
        maps = explain(images, lambda _, label=label: torch.full((3,), label))  # type: ignore[misc]  # mypy and defaults of lambdas
        expected = upsample(maps.scores, 32).clamp_min(0)
        for i in range(3):
            scaled = expected[i] / expected[i].max() if expected[i].max() else expected[i]
            np.testing.assert_allclose(seen.scores[row, i], scaled.numpy(), atol=1e-5)
            assert seen.probabilities[row, i] == pytest.approx(float(maps.logits[i].softmax(0)[label]), abs=1e-5)


@torch.no_grad()
def test_device_and_precision_are_the_configs(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = Localize(
        data=CUB(), split="test", geometry=Geometry(40, 32), cam=WeightCAM(), data_root=root, device="cpu",
        precision="bf16-mixed",
    )  # fmt: skip
    inputs, source = torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8), root / "0.safetensors"
    seen = see(config, "one", str(source), inputs, [1, 0])
    network = backbone.load(source, layer4_stride1=True).model.eval()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = network(normalize(inputs, SPEC.mean, SPEC.std)).float()
    np.testing.assert_allclose(seen.probabilities, logits.softmax(1).numpy().T[[1, 0]], atol=1e-6)
    full = see(replace(config, precision="32-true"), "one", str(source), inputs, [1, 0])
    assert (seen.probabilities != full.probabilities).any(), "this oracle shows nothing"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match="device=cuda"):
        see(replace(config, device="cuda"), "one", str(source), inputs, [1, 0])


def test_stopped_by_hand(root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("wsol.figure.draw", stop)
    out, source = root / "figure.png", str(root / "0.safetensors")
    args = [str(root / "tiny.py"), "--data-root", str(root), "--out", str(out), "--backbone", source]
    assert main(args) == 130
    assert capsys.readouterr().err.endswith("\nstopped; no figure was written\n")
    assert not out.exists()


def test_the_command_writes_a_png(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    args = [str(root / "tiny.py"), "--data-root", str(root), "--out", str(root / "figure.png")]
    for seed, name in ((0, "baseline="), (1, "CutMix=")):
        args += ["--backbone", f"{name}{root / f'{seed}.safetensors'}"]
    assert main(args) == 0
    assert "2 models" in capsys.readouterr().err
    with Image.open(root / "figure.png") as image:
        assert image.format == "PNG"
        assert np.array(image.convert("L")).std() > 20, "it shows something"
        one = image.height
    assert main([*args, "--backbone", str(root / "0.safetensors")]) == 0
    with Image.open(root / "figure.png") as image:
        assert image.height > one, "two more rows for one more model"


def test_mistakes_are_told(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = replace(SPEC, num_classes=3)
    backbone.save(root / "three.safetensors", backbone.build(spec), spec)
    args = [str(root / "tiny.py"), "--data-root", str(root), "--out", str(root / "figure.png")]
    assert main([*args, "--backbone", str(root / "three.safetensors")]) == 2
    assert "3 classes, the data has 2" in capsys.readouterr().err
    assert main([*args, "--backbone", "x=nothing.safetensors"]) == 2
    assert "no such backbone" in capsys.readouterr().err
    assert main([]) == 2
    assert main(["--help"]) == 0
