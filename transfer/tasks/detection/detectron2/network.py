"""The backbone as detectron2 takes it: its own ResNet where it has one, else our stages behind its interface.

Features are named as there: res2 to res5 are layer1 to layer4. Letters: N images, C channels, H and W of the input.
"""
# Types: detectron2 is absent where this is checked, as a rule.
# mypy: disable-error-code="import-not-found,import-untyped,misc,unused-ignore,no-untyped-call"

from typing import Any, NamedTuple

import torch
from detectron2.layers import ShapeSpec
from detectron2.modeling import Backbone as Detectron2Backbone
from detectron2.modeling.backbone.resnet import BasicBlock, BasicStem, BottleneckBlock, ResNet
from torch import Tensor, nn

from core.errors import UserError
from core.resnet import STAGES, Trunk, trunk
from transfer.tasks.detection.detectron2.names import detectron2_name
from transfer.tasks.detection.detectron2.shape import ResNetShape, describe
from transfer.tasks.detection.freezing import freeze

TOLERANCE = 1e-5  # largest difference of features to ours, in their largest value
NATIVE, WRAPPED = "its own ResNet", "this project's stages as its Backbone"
Places = dict[str, tuple[nn.Module, str]]  # a module, and the name of its tensor


class Body(NamedTuple):
    """The parts of a detector that come from the backbone."""

    bottom_up: Any
    """detectron2 Backbone: [N, 3, H, W] to {"res2": [N, C, H/4, W/4], ...}."""
    res5: nn.Module | None
    """layer4 as the head of regions (C4); None: it is part of `bottom_up`, or not used."""
    channels: tuple[int, int, int, int]
    """Of res2 to res5."""
    form: str
    """NATIVE or WRAPPED, and for the second why."""
    places: Places
    """Where each of the backbone's tensors that a detector uses is, by its name in the backbone file."""


def body(model: nn.Module, features: tuple[str, ...], *, freeze_at: int, norms_frozen: bool, head: bool) -> Body:
    """A ResNet for detectron2, its weights those of `model` (shared, not copied).

    Args:
        model: timm's or torchvision's; it is not to be used after.
        features: which of res2 to res5 the detector reads, finest first.
        freeze_at, norms_frozen: as in `Detection`.
        head: whether res5 is handed out by itself.

    Raises:
        UserError: the model is no ResNet.
    """
    ours = trunk(model)
    try:
        shape = describe(model)
    except UserError as error:
        return _wrapped(model, ours, features, freeze_at, norms_frozen, head, f"{WRAPPED} ({error})")
    native = _native(shape, model, features, freeze_at, norms_frozen, head)
    difference = _difference(native, ours)
    if not difference <= TOLERANCE:  # not a number is no agreement
        reason = f"detectron2's ResNet gives other features, by {difference:.1e} of the largest"
        return _wrapped(model, ours, features, freeze_at, norms_frozen, head, f"{WRAPPED} ({reason})")
    return native


def _native(
    shape: ResNetShape, model: nn.Module, features: tuple[str, ...], freeze_at: int, norms_frozen: bool, head: bool
) -> Body:
    # Frozen parts are built with frozen norms: detectron2's own freeze() would copy the loaded tensors to make them so.
    norms = ["FrozenBN" if norms_frozen or i < freeze_at else "BN" for i in range(5)]
    stem = BasicStem(3, shape.stem, norms[0])
    stages, before = [], shape.stem
    for stage, norm in zip(shape.stages, norms[1:], strict=True):
        kind: dict[str, Any] = {"bottleneck_channels": stage.width, "num_groups": stage.groups, "stride_in_1x1": False}
        strides = [stage.stride, *[1] * (stage.blocks - 1)]
        blocks = ResNet.make_stage(
            BottleneckBlock if shape.bottleneck else BasicBlock,
            stage.blocks,
            in_channels=before,
            out_channels=stage.channels,
            stride_per_block=strides,
            norm=norm,
            **(kind if shape.bottleneck else {}),
        )
        stages.append(blocks)
        before = stage.channels
    bottom_up = ResNet(stem, stages[:3] if head else stages, out_features=list(features), freeze_at=freeze_at)
    res5 = nn.Sequential(*stages[3]) if head else None
    whole = {"": bottom_up} if res5 is None else {"": bottom_up, "res5.": res5}
    places = _fill(whole, model.state_dict())
    if res5 is not None and freeze_at == 5:
        res5.requires_grad_(False)
    one, two, three, four = (stage.channels for stage in shape.stages)
    return Body(bottom_up, res5, (one, two, three, four), NATIVE, places)


def _fill(parts: dict[str, nn.Module], tensors: dict[str, Tensor]) -> Places:
    """Put the loaded tensors themselves in the place of fresh ones; what a detector has no part for is left out."""
    sources = {theirs: ours for ours in tensors if (theirs := detectron2_name(ours)) is not None}
    places: Places = {}
    for prefix, module in parts.items():
        own = {name: sources[prefix + name] for name in module.state_dict()}
        module.load_state_dict({name: tensors[ours] for name, ours in own.items()}, assign=True)
        for name, ours in own.items():
            where, _, leaf = name.rpartition(".")
            places[ours] = module.get_submodule(where), leaf
    return places


@torch.no_grad()
def _difference(native: Body, ours: Trunk) -> float:
    """The largest difference of a feature to that of our stages, in the feature's largest value, in evaluation mode."""
    probe = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    probe = probe.to(next(ours.parameters()).device)
    modules = [ours, native.bottom_up, *([] if native.res5 is None else [native.res5])]
    modes = [(module, module.training) for whole in modules for module in whole.modules()]
    for whole in modules:
        whole.eval()
    expected = dict(zip(("res2", "res3", "res4", "res5"), ours(probe), strict=True))
    found: dict[str, Tensor] = native.bottom_up(probe)
    if native.res5 is not None:
        found = {**found, "res5": native.res5(expected["res4"])}
    for module, mode in modes:
        module.training = mode
    return max(float((found[name] - expected[name]).abs().max() / expected[name].abs().max()) for name in found)


def _wrapped(
    model: nn.Module, ours: Trunk, features: tuple[str, ...], freeze_at: int, norms_frozen: bool, head: bool, form: str
) -> Body:
    bottom_up, res5 = Stages(ours, features), ours.layer4 if head else None
    used = {module for part in (bottom_up, res5) if part is not None for module in part.modules()}
    split = {name: name.rpartition(".") for name in model.state_dict()}
    places = {name: (model.get_submodule(where), leaf) for name, (where, _, leaf) in split.items()}
    places = {name: place for name, place in places.items() if place[0] in used}
    freeze(ours, freeze_at, norms=norms_frozen)
    return Body(bottom_up, res5, ours.channels, form, places)


class Stages(Detectron2Backbone):
    """The stages of any ResNet behind detectron2's interface; those after the last feature are left out."""

    def __init__(self, ours: Trunk, features: tuple[str, ...]):
        super().__init__()
        self.stem = ours.stem
        last = int(features[-1][-1]) - 1
        self.stages = nn.ModuleDict({f"res{i + 2}": getattr(ours, STAGES[i]) for i in range(last)})
        self.features, self.channels = features, ours.channels

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """[N, 3, H, W] to the features asked for, by name."""
        x, found = self.stem(images), {}
        for name, stage in self.stages.items():
            x = stage(x)
            if name in self.features:
                found[name] = x
        return found

    def output_shape(self) -> dict[str, Any]:
        """Channels and stride of each feature."""
        numbers = {name: int(name[-1]) for name in self.features}
        return {name: ShapeSpec(channels=self.channels[i - 2], stride=2**i) for name, i in numbers.items()}
