"""Faster R-CNN (Ren et al., arXiv 1506.01497) on any ResNet, as FPN (Lin et al., arXiv 1612.03144) or C4.

C4 is the form of the CutMix paper's code (jwyang/faster-rcnn.pytorch) and of MoCo's detection transfer: one map, from
layer3, proposes and is pooled; layer4 is the head of every region.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from torch import nn

from core.backbone import Backbone
from core.resnet import Trunk
from transfer.tasks.detection.data import Fit, MultiScale, Scenes, flip
from transfer.tasks.detection.necks import C4, FPN, Layer3, Neck, Parts, Pyramid
from transfer.tasks.detection.rcnn import Predictor, ProposalHead, Proposals, Regions, TwoStage
from transfer.tasks.detection.task import Detection

__all__ = ["C4", "FPN", "FasterRCNN", "Layer3", "Neck", "Pyramid"]


@dataclass(frozen=True)
class FasterRCNN(Detection):
    """Faster R-CNN; the defaults are FPN at the usual scale."""

    neck: Neck = field(default_factory=FPN)
    """FPN(...) or C4(...)."""
    size: Fit = field(default_factory=Fit)
    """Size of the images in the test, and in training where `train_shorts` is empty."""
    train_shorts: tuple[int, ...] = ()
    """Short sides (pixels) in training, one drawn for each image; the long side's limit is that of `size`. Empty: as
    in the test."""
    group_by_aspect: bool = False
    """Whether a training batch holds images of one orientation, wide or tall: less padding. As detectron2 does."""
    engine: Literal["torchvision", "detectron2"] = "torchvision"
    """Whose network, losses and post-processing. detectron2 must be installed; data, schedule and evaluator are the
    same for both."""
    anchors_per_image: int = 256
    """Anchors that count in the proposals' loss."""
    regions_per_image: int = 512
    """Proposals that count in the regions' loss."""
    foreground_share: float = 0.25
    """Of these, at most this share are objects."""
    proposal_beta: float = 1 / 9
    """Where the proposals' smooth L1 loss turns from a square to a line; 0 is L1, detectron2's default."""
    box_beta: float = 1 / 9
    """The same for the regions' boxes; 1 in jwyang's code."""
    proposal_channels: int | None = None
    """Width of the proposals' 3 x 3 convolution; None: that of the map. jwyang: 512."""
    proposal_nms_iou: float = 0.7
    """Of two proposals of a map that overlap more than this, the weaker is dropped."""
    candidates: tuple[int, int] = (2000, 1000)
    """Proposals of a map before non-maximum suppression, in training and test."""
    proposals: tuple[int, int] = (2000, 1000)
    """Proposals of an image that go on, in training and test."""

    def __post_init__(self) -> None:
        """Check the fields."""
        super().__post_init__()
        if any(short < 1 for short in self.train_shorts):
            raise ValueError(f"train_shorts: expected sides of 1 pixel or more, got {self.train_shorts}")
        if not 0 < self.foreground_share <= 1:
            raise ValueError(f"foreground_share: expected a share above 0, at most 1, got {self.foreground_share}")
        for name, beta in {"proposal_beta": self.proposal_beta, "box_beta": self.box_beta}.items():
            if beta < 0:
                raise ValueError(f"{name}: expected 0 (L1) or more, got {beta}")

    def check(self, root: Path) -> None:
        """That the engine is there, and what every detection task checks."""
        if self.engine == "detectron2":
            from transfer.tasks.detection.detectron2.available import require

            require()
        super().check(root)

    def build(self, backbone: Backbone, classes: int) -> nn.Module:
        """The network of `engine`; detectron2's freezes and normalises by itself."""
        if self.engine == "torchvision":
            return super().build(backbone, classes)
        from transfer.tasks.detection.detectron2.model import build

        model: nn.Module = build(self, backbone, classes)
        return model

    def input_size(self) -> Fit:
        """The same as in training."""
        return self.size

    def sizes(self) -> str:
        """Short sides, and the long side's limit."""
        test = f"short side {self.size.short}, long side at most {self.size.long}"
        shorts = ", ".join(map(str, self.train_shorts))
        return f"{test}; in training one of {shorts}" if shorts else test

    def divisor(self) -> int:
        """As the neck needs it."""
        return self.neck.divisor()

    def stages(self) -> int:
        """Those that the neck reads."""
        return self.neck.stages()

    def train_samples(self, records: Sequence[Any]) -> Scenes:
        """Flips, at one of the training sizes."""
        return Scenes(
            records,
            MultiScale(self.train_shorts, self.size.long) if self.train_shorts else self.size,
            flip(),
            keep_difficult=self.keep_difficult,
            cache=self.cache_images,
            by_aspect=self.group_by_aspect,
        )

    def detector(self, body: Trunk, backbone: Backbone, classes: int) -> nn.Module:
        """torchvision's two stages with the neck's parts."""
        parts = self.neck.parts(body)
        proposals, regions = self._proposals(parts), self._regions(parts, classes)
        return TwoStage(parts.maps, proposals, regions, nn.Identity())

    def _proposals(self, parts: Parts) -> Proposals:
        channels = parts.maps.out_channels
        assert isinstance(channels, int)
        anchors = parts.anchors.num_anchors_per_location()[0]
        return Proposals(
            parts.anchors,
            ProposalHead(channels, self.proposal_channels or channels, anchors),
            fg_iou_thresh=0.7,
            bg_iou_thresh=0.3,
            batch_size_per_image=self.anchors_per_image,
            positive_fraction=0.5,
            pre_nms_top_n={"training": self.candidates[0], "testing": self.candidates[1]},
            post_nms_top_n={"training": self.proposals[0], "testing": self.proposals[1]},
            nms_thresh=self.proposal_nms_iou,
            beta=self.proposal_beta,
        )

    def _regions(self, parts: Parts, classes: int) -> Regions:
        return Regions(
            parts.pool,
            parts.head,
            Predictor(parts.width, classes + 1),
            fg_iou_thresh=0.5,
            bg_iou_thresh=0.5,
            batch_size_per_image=self.regions_per_image,
            positive_fraction=self.foreground_share,
            bbox_reg_weights=None,  # 10, 10, 5, 5: one over the deviations .1, .1, .2, .2 of every published code
            score_thresh=self.score_threshold,
            nms_thresh=self.nms_iou,
            detections_per_img=self.detections,
            beta=self.box_beta,
        )
