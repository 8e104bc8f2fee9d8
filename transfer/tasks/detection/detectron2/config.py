"""A transfer config as a config of detectron2's own trainer (`tools/train_net.py`), without detectron2.

For who wants its loop, data and evaluator too: the network, its sampling, sizes and schedule are written out under
detectron2's keys (`config/defaults.py`, commit 02b5c4e), every one that a recipe of ours has a say in, so that none of
its defaults slips in. What its keys cannot say is refused, or is a note in the file where it moves little.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.backbone import Spec
from core.data.voc import VOC
from core.errors import UserError
from core.recipe import SGD, Constant, Cosine, Recipe, Steps
from transfer.stage import Transfer
from transfer.tasks.detection.anchors import RATIOS
from transfer.tasks.detection.detectron2.shape import ResNetShape
from transfer.tasks.detection.necks import C4, FPN
from transfer.tasks.faster_rcnn import FasterRCNN

Settings = dict[str, Any]
"""Values by their dotted keys ("MODEL.RPN.NMS_THRESH")."""
DEPTHS: dict[tuple[bool, tuple[int, ...]], int] = {
    (False, (2, 2, 2, 2)): 18,
    (False, (3, 4, 6, 3)): 34,
    (True, (3, 4, 6, 3)): 50,
    (True, (3, 4, 23, 3)): 101,
    (True, (3, 8, 36, 3)): 152,
}
"""Whether blocks are bottlenecks, and how many each stage has: what MODEL.RESNETS.DEPTH can say."""


@dataclass(frozen=True)
class Exported:
    """A config for detectron2's trainer."""

    settings: Settings
    notes: tuple[str, ...]
    """What that trainer does otherwise than the transfer config."""

    def text(self, head: str = "") -> str:
        """YAML, the notes as comments above. head: what the file is, in one line."""
        comments = "".join(f"# {line}\n" for line in (*filter(None, [head]), *self.notes))
        return f"{comments}VERSION: 2\n{_yaml(_nested(self.settings))}"


def exported(
    config: Transfer, shape: ResNetShape, spec: Spec, *, classes: int, images: int | None, weights: str
) -> Exported:
    """The config for detectron2's trainer.

    Args:
        config: a transfer with a FasterRCNN task and a recipe.
        shape, spec: of the backbone.
        classes: without the background.
        images: of the training split; None will do where the recipe counts in steps.
        weights: where the exported backbone is, as MODEL.WEIGHTS says it.

    Raises:
        UserError: something that detectron2's keys cannot say.
    """
    task, recipe = config.task, config.recipe
    if not isinstance(task, FasterRCNN) or recipe is None:
        raise UserError(f"expected a config with a FasterRCNN task and a recipe, got {type(task).__name__}")
    notes: list[str] = []
    settings = {
        "MODEL.META_ARCHITECTURE": "GeneralizedRCNN",
        "MODEL.WEIGHTS": weights,
        "MODEL.MASK_ON": False,
        "MODEL.PIXEL_MEAN": [255 * value for value in spec.mean],
        "MODEL.PIXEL_STD": [255 * value for value in spec.std],
        **_resnet(shape, task, recipe),
        **_neck(shape, task, notes),
        **_heads(task, classes),
        **_input(task),
        **_datasets(task, notes),
        **_solver(recipe, task, images, notes),
        "SOLVER.AMP.ENABLED": config.precision.endswith("mixed"),
        "TEST.DETECTIONS_PER_IMAGE": task.detections,
        "TEST.PRECISE_BN.ENABLED": (precise := task.precise_bn > 0 and not task.norms_frozen),
        **({"TEST.PRECISE_BN.NUM_ITER": task.precise_bn} if precise else {}),
    }
    if config.precision not in ("32-true", "16-mixed"):
        notes.append(f"its trainer has float32, or float16 with float32 weights, not {config.precision}")
    return Exported(settings, tuple(notes))


def _resnet(shape: ResNetShape, task: FasterRCNN, recipe: Recipe) -> Settings:
    first, stages = shape.stages[0], shape.stages
    depth = DEPTHS.get((shape.bottleneck, tuple(stage.blocks for stage in stages)))
    doubling = all(
        (stage.channels, stage.width, stage.groups) == (first.channels << i, first.width << i, first.groups)
        for i, stage in enumerate(stages)
    )
    if depth is None or not doubling:
        blocks = [stage.blocks for stage in stages]
        raise UserError(
            f"detectron2's config has depths {', '.join(str(d) for d in DEPTHS.values())} with widths that double; "
            f"this backbone has stages of {blocks} blocks. engine=detectron2 can train on it all the same"
        )
    norm = "FrozenBN" if task.norms_frozen else "SyncBN" if recipe.sync_batchnorm else "BN"
    return {
        "MODEL.BACKBONE.FREEZE_AT": task.freeze_at,
        "MODEL.RESNETS.DEPTH": depth,
        "MODEL.RESNETS.NORM": norm,
        "MODEL.RESNETS.STRIDE_IN_1X1": False,
        "MODEL.RESNETS.STEM_OUT_CHANNELS": shape.stem,
        "MODEL.RESNETS.RES2_OUT_CHANNELS": first.channels,
        "MODEL.RESNETS.NUM_GROUPS": first.groups,
        "MODEL.RESNETS.WIDTH_PER_GROUP": first.width // first.groups,
    }


def _neck(shape: ResNetShape, task: FasterRCNN, notes: list[str]) -> Settings:
    neck = task.neck
    if isinstance(neck, C4):
        return {**_c4(shape, task, neck, notes), **_pooling(neck)}
    if isinstance(neck, FPN):
        return {**_fpn(neck), **_pooling(neck)}
    raise UserError(f"expected the neck C4 or FPN, got {type(neck).__name__}")


def _pooling(neck: C4 | FPN) -> Settings:
    return {
        "MODEL.ROI_BOX_HEAD.POOLER_RESOLUTION": neck.roi_size,
        "MODEL.ROI_BOX_HEAD.POOLER_SAMPLING_RATIO": neck.sampling_ratio,
        "MODEL.ROI_BOX_HEAD.POOLER_TYPE": "ROIAlignV2" if neck.aligned else "ROIAlign",
    }


def _c4(shape: ResNetShape, task: FasterRCNN, neck: C4, notes: list[str]) -> Settings:
    if not shape.bottleneck:
        raise UserError("detectron2's C4 head is made of bottlenecks: resnet18 and 34 need an FPN there")
    if task.freeze_at == 5:
        raise UserError("freeze_at=5: detectron2 has no key that freezes layer4 as the head of C4")
    if neck.extra_norm:
        if task.norms_frozen:
            raise UserError("extra_norm with norms_frozen: detectron2 has one kind of norm for both, none is frozen")
        notes.append("Res5ROIHeadsExtraNorm is registered by MoCo's detection/train_net.py: start that one")
    return {
        "MODEL.BACKBONE.NAME": "build_resnet_backbone",
        "MODEL.RESNETS.OUT_FEATURES": ["res4"],
        "MODEL.ANCHOR_GENERATOR.SIZES": [list(neck.anchors)],
        "MODEL.RPN.IN_FEATURES": ["res4"],
        "MODEL.ROI_HEADS.NAME": "Res5ROIHeadsExtraNorm" if neck.extra_norm else "Res5ROIHeads",
        "MODEL.ROI_HEADS.IN_FEATURES": ["res4"],
    }


def _fpn(neck: FPN) -> Settings:
    if neck.levels[-1] != 4:
        raise UserError(f"levels {neck.levels}: detectron2's config has pyramids up to layer4 alone")
    if neck.canonical_side != 224:
        raise UserError(f"canonical_side={neck.canonical_side}: detectron2's config has 224 alone")
    pooled = [f"p{level + 1}" for level in neck.levels]
    maps = [*pooled, *(["p6"] if neck.extra_level else [])]
    features = [f"res{level + 1}" for level in neck.levels]
    return {
        "MODEL.BACKBONE.NAME": "build_resnet_fpn_backbone",
        "MODEL.RESNETS.OUT_FEATURES": features,
        "MODEL.FPN.IN_FEATURES": features,
        "MODEL.FPN.OUT_CHANNELS": neck.channels,
        "MODEL.ANCHOR_GENERATOR.SIZES": [[round(neck.anchor_scale * 2 ** int(name[1]))] for name in maps],
        "MODEL.RPN.IN_FEATURES": maps,
        "MODEL.ROI_HEADS.NAME": "StandardROIHeads",
        "MODEL.ROI_HEADS.IN_FEATURES": pooled,
        "MODEL.ROI_BOX_HEAD.NAME": "FastRCNNConvFCHead",
        "MODEL.ROI_BOX_HEAD.NUM_FC": 2,
        "MODEL.ROI_BOX_HEAD.FC_DIM": neck.head_width,
    }


def _heads(task: FasterRCNN, classes: int) -> Settings:
    return {
        "MODEL.ANCHOR_GENERATOR.ASPECT_RATIOS": [list(RATIOS)],
        "MODEL.RPN.BATCH_SIZE_PER_IMAGE": task.anchors_per_image,
        "MODEL.RPN.PRE_NMS_TOPK_TRAIN": task.candidates[0],
        "MODEL.RPN.PRE_NMS_TOPK_TEST": task.candidates[1],
        "MODEL.RPN.POST_NMS_TOPK_TRAIN": task.proposals[0],
        "MODEL.RPN.POST_NMS_TOPK_TEST": task.proposals[1],
        "MODEL.RPN.NMS_THRESH": task.proposal_nms_iou,
        "MODEL.RPN.SMOOTH_L1_BETA": task.proposal_beta,
        "MODEL.RPN.CONV_DIMS": [task.proposal_channels or -1],
        "MODEL.ROI_HEADS.NUM_CLASSES": classes,
        "MODEL.ROI_HEADS.BATCH_SIZE_PER_IMAGE": task.regions_per_image,
        "MODEL.ROI_HEADS.POSITIVE_FRACTION": task.foreground_share,
        "MODEL.ROI_HEADS.SCORE_THRESH_TEST": task.score_threshold,
        "MODEL.ROI_HEADS.NMS_THRESH_TEST": task.nms_iou,
        "MODEL.ROI_BOX_HEAD.SMOOTH_L1_BETA": task.box_beta,
    }


def _input(task: FasterRCNN) -> Settings:
    return {
        "INPUT.FORMAT": "RGB",
        "INPUT.MIN_SIZE_TRAIN": list(task.train_shorts or (task.size.short,)),
        "INPUT.MIN_SIZE_TRAIN_SAMPLING": "choice",
        "INPUT.MAX_SIZE_TRAIN": task.size.long,
        "INPUT.MIN_SIZE_TEST": task.size.short,
        "INPUT.MAX_SIZE_TEST": task.size.long,
        "INPUT.RANDOM_FLIP": "horizontal",
        "DATALOADER.ASPECT_RATIO_GROUPING": task.group_by_aspect,
    }


def _datasets(task: FasterRCNN, notes: list[str]) -> Settings:
    if not isinstance(task.data, VOC):
        notes.append(f"DATASETS is left out: register {task.data.name} with detectron2 and name it there")
        return {}
    if not task.keep_difficult:
        notes.append("detectron2's reader of VOC learns from difficult objects too (keep_difficult is False here)")
    train, test = ([f"voc_{year}_{images}" for year, images in pairs] for pairs in (task.data.train, task.data.test))
    return {"DATASETS.TRAIN": train, "DATASETS.TEST": test}


def _solver(recipe: Recipe, task: FasterRCNN, images: int | None, notes: list[str]) -> Settings:
    optimizer = recipe.optimizer
    if not isinstance(optimizer, SGD):
        raise UserError(f"detectron2's trainer has SGD alone, the recipe {type(optimizer).__name__}")
    if recipe.steps is None and images is None:
        raise UserError("the recipe counts in epochs: give --data-root, so that they can be counted in steps")
    settings: Settings = {
        "SOLVER.IMS_PER_BATCH": recipe.batch_size,
        "SOLVER.BASE_LR": recipe.base_lr,
        "SOLVER.MOMENTUM": optimizer.momentum,
        "SOLVER.NESTEROV": optimizer.nesterov,
        "SOLVER.WEIGHT_DECAY": optimizer.weight_decay,
        "SOLVER.WEIGHT_DECAY_NORM": optimizer.weight_decay if task.decay_norms else 0.0,
        "SOLVER.MAX_ITER": recipe.total_steps(images or 0),
        "SOLVER.WARMUP_ITERS": recipe.warmup,
        "SOLVER.WARMUP_FACTOR": 1.0 / max(1, recipe.warmup),
        **_schedule(recipe, images or 0),
    }
    if not task.decay_biases:  # its default, no key at all, is the weights' decay
        settings["SOLVER.WEIGHT_DECAY_BIAS"] = 0.0
    if recipe.clip_value is not None:
        clip = {"ENABLED": True, "CLIP_TYPE": "value", "CLIP_VALUE": recipe.clip_value}
        settings |= {f"SOLVER.CLIP_GRADIENTS.{key}": value for key, value in clip.items()}
    absent = {"clip_norm": recipe.clip_norm, "ema_decay": recipe.ema_decay}
    absent["accumulate"] = recipe.accumulate if recipe.accumulate > 1 else None
    notes += [f"its trainer has no {name} (here {value})" for name, value in absent.items() if value is not None]
    return settings


def _schedule(recipe: Recipe, images: int) -> Settings:
    schedule = recipe.schedule
    if isinstance(schedule, Cosine):
        return {"SOLVER.LR_SCHEDULER_NAME": "WarmupCosineLR", "SOLVER.BASE_LR_END": schedule.final * recipe.base_lr}
    if not isinstance(schedule, Steps | Constant):
        raise UserError(f"detectron2's trainer has steps and cosine, the recipe {type(schedule).__name__}")
    unit = recipe.stretch if recipe.steps is not None else recipe.steps_per_epoch(images)
    marks, gamma = (schedule.at, schedule.gamma) if isinstance(schedule, Steps) else ((), 0.1)
    return {
        "SOLVER.LR_SCHEDULER_NAME": "WarmupMultiStepLR",
        "SOLVER.STEPS": [round(mark * unit) for mark in marks],
        "SOLVER.GAMMA": gamma,
    }


def _nested(settings: Settings) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for key, value in settings.items():
        *folders, leaf = key.split(".")
        node = tree
        for folder in folders:
            node = node.setdefault(folder, {})
        node[leaf] = value
    return tree


def _yaml(tree: Mapping[str, Any], indent: str = "") -> str:
    """YAML 1.1 of nested mappings, lists and plain values."""
    lines = []
    for key, value in tree.items():
        if isinstance(value, Mapping):
            lines.append(f"{indent}{key}:\n{_yaml(value, indent + '  ')}")
        else:
            lines.append(f"{indent}{key}: {_value(value)}\n")
    return "".join(lines)


def _value(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, float):  # "1e-05" is a string to YAML 1.1, "1.0e-05" a number
        text = repr(value)
        return text.replace("e", ".0e") if "e" in text and "." not in text else text
    return json.dumps(value)
