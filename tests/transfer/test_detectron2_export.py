"""The files for detectron2's own trainer, written without detectron2: published configs key by key, and refusals."""

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml  # type: ignore[import-untyped]

from core import backbone as backbones
from core.backbone import Spec
from core.config import load
from core.errors import UserError
from core.recipe import SGD, AdamW, Cosine, Every, Recipe
from transfer.stage import Transfer
from transfer.tasks.detection.detectron2.__main__ import main
from transfer.tasks.detection.detectron2.config import Exported, exported
from transfer.tasks.detection.detectron2.names import detectron2_name
from transfer.tasks.detection.detectron2.shape import ResNetShape, describe
from transfer.tasks.faster_rcnn import C4, FPN, FasterRCNN
from transfer.tasks.ssd import SSD


def _shape(name: str) -> ResNetShape:
    with torch.device("meta"):
        return describe(backbones.build(Spec(name, 10, 64)))


# detectron2 at 02b5c4e: configs/PascalVOC-Detection/faster_rcnn_R_50_C4.yaml, Base-RCNN-C4.yaml and config/defaults.py;
# facebookresearch/moco at 7397dfe: detection/configs/pascal_voc_R_50_C4_24k_moco.yaml and Base-RCNN-C4-BN.yaml.
BOTH = {
    "MODEL.META_ARCHITECTURE": "GeneralizedRCNN",
    "MODEL.MASK_ON": False,
    "MODEL.BACKBONE.NAME": "build_resnet_backbone",
    "MODEL.RESNETS.DEPTH": 50,
    "MODEL.RESNETS.OUT_FEATURES": ["res4"],
    "MODEL.RESNETS.STRIDE_IN_1X1": False,
    "MODEL.RESNETS.STEM_OUT_CHANNELS": 64,
    "MODEL.RESNETS.RES2_OUT_CHANNELS": 256,
    "MODEL.RESNETS.NUM_GROUPS": 1,
    "MODEL.RESNETS.WIDTH_PER_GROUP": 64,
    "MODEL.ANCHOR_GENERATOR.SIZES": [[32, 64, 128, 256, 512]],
    "MODEL.ANCHOR_GENERATOR.ASPECT_RATIOS": [[0.5, 1.0, 2.0]],
    "MODEL.RPN.IN_FEATURES": ["res4"],
    "MODEL.RPN.BATCH_SIZE_PER_IMAGE": 256,
    "MODEL.RPN.PRE_NMS_TOPK_TRAIN": 12000,
    "MODEL.RPN.PRE_NMS_TOPK_TEST": 6000,
    "MODEL.RPN.POST_NMS_TOPK_TRAIN": 2000,
    "MODEL.RPN.POST_NMS_TOPK_TEST": 1000,
    "MODEL.RPN.NMS_THRESH": 0.7,
    "MODEL.RPN.SMOOTH_L1_BETA": 0.0,
    "MODEL.RPN.CONV_DIMS": [-1],
    "MODEL.ROI_HEADS.IN_FEATURES": ["res4"],
    "MODEL.ROI_HEADS.NUM_CLASSES": 20,
    "MODEL.ROI_HEADS.BATCH_SIZE_PER_IMAGE": 512,
    "MODEL.ROI_HEADS.POSITIVE_FRACTION": 0.25,
    "MODEL.ROI_HEADS.SCORE_THRESH_TEST": 0.05,
    "MODEL.ROI_HEADS.NMS_THRESH_TEST": 0.5,
    "MODEL.ROI_BOX_HEAD.POOLER_RESOLUTION": 14,
    "MODEL.ROI_BOX_HEAD.POOLER_SAMPLING_RATIO": 0,
    "MODEL.ROI_BOX_HEAD.POOLER_TYPE": "ROIAlignV2",
    "MODEL.ROI_BOX_HEAD.SMOOTH_L1_BETA": 0.0,
    "INPUT.FORMAT": "RGB",
    "INPUT.MIN_SIZE_TRAIN": [480, 512, 544, 576, 608, 640, 672, 704, 736, 768, 800],
    "INPUT.MIN_SIZE_TRAIN_SAMPLING": "choice",
    "INPUT.MAX_SIZE_TRAIN": 1333,
    "INPUT.MIN_SIZE_TEST": 800,
    "INPUT.MAX_SIZE_TEST": 1333,
    "INPUT.RANDOM_FLIP": "horizontal",
    "DATALOADER.ASPECT_RATIO_GROUPING": True,
    "DATASETS.TRAIN": ["voc_2007_trainval", "voc_2012_trainval"],
    "DATASETS.TEST": ["voc_2007_test"],
    "SOLVER.IMS_PER_BATCH": 16,
    "SOLVER.BASE_LR": 0.02,
    "SOLVER.MOMENTUM": 0.9,
    "SOLVER.NESTEROV": False,
    "SOLVER.WEIGHT_DECAY": 1e-4,
    "SOLVER.WEIGHT_DECAY_NORM": 0.0,
    "SOLVER.LR_SCHEDULER_NAME": "WarmupMultiStepLR",
    "SOLVER.GAMMA": 0.1,
    "SOLVER.WARMUP_ITERS": 100,
    "SOLVER.AMP.ENABLED": False,
    "TEST.DETECTIONS_PER_IMAGE": 100,
}
PUBLISHED = {
    "voc_frcnn_zoo_c4": {
        **BOTH,
        "MODEL.BACKBONE.FREEZE_AT": 2,
        "MODEL.RESNETS.NORM": "FrozenBN",
        "MODEL.ROI_HEADS.NAME": "Res5ROIHeads",
        "SOLVER.MAX_ITER": 18000,
        "SOLVER.STEPS": [12000, 16000],
        "TEST.PRECISE_BN.ENABLED": False,
    },
    "voc_frcnn_moco": {
        **BOTH,
        "MODEL.BACKBONE.FREEZE_AT": 0,
        "MODEL.RESNETS.NORM": "SyncBN",
        "MODEL.ROI_HEADS.NAME": "Res5ROIHeadsExtraNorm",
        "SOLVER.MAX_ITER": 24000,
        "SOLVER.STEPS": [18000, 22000],
        "TEST.PRECISE_BN.ENABLED": True,
        "TEST.PRECISE_BN.NUM_ITER": 200,
    },
}
OURS_ALONE = {"MODEL.WEIGHTS", "MODEL.PIXEL_MEAN", "MODEL.PIXEL_STD", "SOLVER.WARMUP_FACTOR"}


def settings_of(
    config: Transfer, name: str = "timm:resnet50", images: int | None = None
) -> tuple[dict[str, Any], Exported]:
    found = exported(config, _shape(name), Spec(name, 10, 224), classes=20, images=images, weights="backbone.pkl")
    return found.settings, found


@pytest.mark.parametrize(("name", "published"), PUBLISHED.items())
def test_the_published_recipes_export_to_the_published_configs(name: str, published: dict[str, Any]) -> None:
    settings, _ = settings_of(load(f"transfer/{name}"))
    assert {key: value for key, value in settings.items() if key not in OURS_ALONE} == published
    assert settings["MODEL.PIXEL_MEAN"] == pytest.approx([123.675, 116.28, 103.53])
    assert settings["MODEL.PIXEL_STD"] == pytest.approx([58.395, 57.12, 57.375])
    assert settings["SOLVER.WARMUP_FACTOR"] == pytest.approx(0.01)


TASK = FasterRCNN(neck=FPN(aligned=True), keep_difficult=True)
RECIPE = Recipe(optimizer=SGD(lr=0.02, weight_decay=1e-5), batch_size=16, steps=100)
CONFIG = Transfer(task=TASK, recipe=RECIPE)


def test_a_pyramid_names_its_levels() -> None:
    """Strides 8 to 32 with one more of 64: p3, p4, p5, p6, anchors of 8 strides."""
    task = replace(TASK, neck=FPN(channels=64, levels=(2, 3, 4), head_width=128))
    settings, _ = settings_of(replace(CONFIG, task=task), "timm:resnet18")
    assert settings["MODEL.FPN.IN_FEATURES"] == ["res3", "res4", "res5"]
    assert settings["MODEL.RPN.IN_FEATURES"] == ["p3", "p4", "p5", "p6"]
    assert settings["MODEL.ROI_HEADS.IN_FEATURES"] == ["p3", "p4", "p5"]
    assert settings["MODEL.ANCHOR_GENERATOR.SIZES"] == [[64], [128], [256], [512]]
    assert (settings["MODEL.RESNETS.DEPTH"], settings["MODEL.RESNETS.RES2_OUT_CHANNELS"]) == (18, 64)
    assert settings["MODEL.FPN.OUT_CHANNELS"] == 64
    assert settings["MODEL.ROI_BOX_HEAD.FC_DIM"] == 128
    assert settings["MODEL.ROI_BOX_HEAD.POOLER_TYPE"] == "ROIAlign"


def test_resnext_and_cosine_in_epochs() -> None:
    """2 epochs of 100 images in batches of 16: 12 steps."""
    recipe = Recipe(optimizer=SGD(lr=0.1), batch_size=16, epochs=2, schedule=Cosine(0.1), clip_value=0.5)
    settings, _ = settings_of(replace(CONFIG, recipe=recipe), "timm:resnext50_32x4d", images=100)
    assert (settings["MODEL.RESNETS.NUM_GROUPS"], settings["MODEL.RESNETS.WIDTH_PER_GROUP"]) == (32, 4)
    assert settings["SOLVER.MAX_ITER"] == 12
    assert settings["SOLVER.LR_SCHEDULER_NAME"] == "WarmupCosineLR"
    assert settings["SOLVER.BASE_LR_END"] == pytest.approx(0.01)
    assert settings["SOLVER.CLIP_GRADIENTS.CLIP_VALUE"] == 0.5


def test_fewer_images_a_step_scale_rate_and_steps() -> None:
    """MoCo's rule for fewer GPUs: half the batch, half the rate, twice the steps."""
    moco = load("transfer/voc_frcnn_moco")
    settings, _ = settings_of(replace(moco, recipe=replace(moco.recipe, batch_size=8)))
    assert settings["SOLVER.BASE_LR"] == pytest.approx(0.01)
    assert settings["SOLVER.MAX_ITER"] == 48000
    assert settings["SOLVER.STEPS"] == [36000, 44000]
    assert settings["SOLVER.WARMUP_ITERS"] == 200


def test_the_file_is_yaml_with_the_same_values_and_types() -> None:
    """PyYAML, which detectron2 reads with, takes 1e-05 for a string: numbers must come back as numbers."""
    settings, found = settings_of(CONFIG)
    tree = yaml.safe_load(found.text("a config"))
    assert tree.pop("VERSION") == 2
    flat: dict[str, Any] = {}

    def walk(node: dict[str, Any], prefix: str = "") -> None:
        for key, value in node.items():
            if isinstance(value, dict):
                walk(value, f"{prefix}{key}.")
            else:
                flat[prefix + key] = value

    walk(tree)
    assert flat == settings
    assert {key: type(value) for key, value in flat.items()} == {key: type(value) for key, value in settings.items()}
    assert flat["SOLVER.WEIGHT_DECAY"] == 1e-5


def test_what_its_trainer_does_otherwise_is_noted() -> None:
    task = replace(TASK, keep_difficult=False, neck=C4(extra_norm=True), norms_frozen=False)
    recipe = replace(RECIPE, clip_norm=10.0, accumulate=2, ema_decay=0.9)
    _, found = settings_of(Transfer(task=task, recipe=recipe, precision="bf16-mixed"))
    said = "\n".join(found.notes)
    for word in ("difficult", "MoCo", "clip_norm", "accumulate", "ema_decay", "float16"):
        assert word in said
    assert all(f"# {note}" in found.text() for note in found.notes)
    assert not settings_of(CONFIG)[1].notes


@pytest.mark.parametrize(
    ("config", "name", "why"),
    [
        (replace(CONFIG, task=replace(TASK, neck=C4())), "timm:resnet18", "resnet18 and 34 need an FPN"),
        (replace(CONFIG, task=replace(TASK, neck=C4(), freeze_at=5)), "timm:resnet50", "freeze_at=5"),
        (replace(CONFIG, task=replace(TASK, neck=C4(extra_norm=True))), "timm:resnet50", "norms_frozen"),
        (replace(CONFIG, task=replace(TASK, neck=FPN(levels=(1, 2, 3)))), "timm:resnet50", "up to layer4"),
        (replace(CONFIG, task=replace(TASK, neck=FPN(canonical_side=64))), "timm:resnet50", "canonical_side"),
        (replace(CONFIG, recipe=replace(RECIPE, optimizer=AdamW(lr=1e-3))), "timm:resnet50", "SGD alone.*AdamW"),
        (replace(CONFIG, recipe=replace(RECIPE, schedule=Every(3))), "timm:resnet50", "cosine.*Every"),
        (replace(CONFIG, recipe=replace(RECIPE, steps=None, epochs=2)), "timm:resnet50", "--data-root"),
        (replace(CONFIG, task=SSD()), "timm:resnet50", "FasterRCNN.*SSD"),
        (replace(CONFIG, recipe=None), "timm:resnet50", "a recipe"),
        (CONFIG, "timm:resnet26", r"stages of \[2, 2, 2, 2\] blocks"),
    ],
)
def test_what_its_config_cannot_say_is_refused(config: Transfer, name: str, why: str) -> None:
    with pytest.raises(UserError, match=why):
        settings_of(config, name)


NARROW = {"layers": [1, 1, 1, 1], "channels": [8, 16, 32, 64], "stem_width": 8}


def saved(folder: Path, name: str = "timm:resnet18", **kwargs: Any) -> Path:
    torch.manual_seed(0)
    spec = Spec(name, 3, 32, kwargs)
    backbones.save(folder / "start.safetensors", backbones.build(spec), spec)
    return folder / "start.safetensors"


def test_the_command_writes_weights_and_config(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = saved(tmp_path)
    argv = ["voc_frcnn_zoo_fpn", "--backbone", str(source), "--out", str(tmp_path / "out"), "--task.freeze-at", "3"]
    assert main([f"transfer/{argv[0]}", *argv[1:]]) == 0
    assert "train_net.py --config-file" in capsys.readouterr().out
    tree = yaml.safe_load((tmp_path / "out/config.yaml").read_text())
    assert tree["MODEL"]["BACKBONE"]["FREEZE_AT"] == 3
    file = Path(tree["MODEL"]["WEIGHTS"])
    assert file == (tmp_path / "out/backbone.pkl").resolve()
    written = pickle.loads(file.read_bytes())
    assert written["matching_heuristics"] is True
    state = backbones.load(source).model.state_dict()
    expected = {name: tensor for name, tensor in state.items() if not name.startswith("fc.")}
    frozen = {name for name in expected if not name.endswith("num_batches_tracked")}
    assert len(written["model"]) == len(frozen) == 100
    for name in frozen:
        there = written["model"][detectron2_name(name)]
        assert torch.equal(torch.from_numpy(there), expected[name])


@pytest.mark.parametrize(
    ("network_name", "kwargs", "why"),
    [("timm:test_resnet", {}, "stem.conv1 is a Sequential"), ("timm:resnet18", NARROW, "depths 18, 34, 50, 101, 152")],
)
def test_the_command_says_why_it_cannot_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], network_name: str, kwargs: dict[str, Any], why: str
) -> None:
    source, out = saved(tmp_path, network_name, **kwargs), tmp_path / "out"
    assert main(["transfer/voc_frcnn_zoo_fpn", "--backbone", str(source), "--out", str(out)]) == 2
    said = capsys.readouterr().err
    assert why in said
    assert "engine=detectron2 can train on it" in said
    assert not out.exists()


def test_the_command_looks_at_the_task_before_the_backbone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = saved(tmp_path, "timm:test_resnet")
    assert main(["transfer/mini_voc_ssd", "--backbone", str(source), "--out", str(tmp_path / "out")]) == 2
    assert "expected a config with a FasterRCNN task, got SSD" in capsys.readouterr().err
