"""Captions of images by a decoder on a ResNet, scored with BLEU-4. Source: CutMix paper, section 4.3 and table 10.

Stated differences from the code that the paper names (stevehuanghe/image_captioning): the encoder's batch normalisation
keeps its statistics (there it runs in train mode, with no gradient); features come from the centre crop, once per image
(there from random crops and flips, in the test too; `augment=True` trains on those); the loss is a mean over words
(there over the batch's padded positions); the beam search knows the end of a caption and sums over finished ones only
(there it ran on to 20 words); punctuation is no word; images are resized as torchvision's v2 does it (there by Pillow:
pixels differ by one step of 255 at most).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from torch import nn

from core import processes
from core.backbone import Backbone
from core.config import unhashed
from core.data.coco import CocoCaptions
from core.data.records import CaptionRecord, CaptionSet, Need
from core.loader import Samples
from core.recipe import Recipe
from core.resnet import trunk
from core.stage import Job, Outcome
from transfer.facts import check_pixels
from transfer.task import Task
from transfer.tasks.captioning import scoring
from transfer.tasks.captioning.beam import Rules
from transfer.tasks.captioning.data import Batch, Example, Pairs, Pictures, collate
from transfer.tasks.captioning.decoder import Decoder
from transfer.tasks.captioning.features import features
from transfer.tasks.captioning.model import Captioner
from transfer.tasks.captioning.nic import NIC
from transfer.tasks.captioning.objective import Objective, ScheduledSampling
from transfer.tasks.captioning.report import report
from transfer.tasks.captioning.splits import check_splits
from transfer.tasks.captioning.views import View
from transfer.tasks.captioning.vocabulary import END, FILE, PAD, START, UNK, Vocabulary
from transfer.weights import compare, loaded


@dataclass(frozen=True)
class Captioning(Task):
    """A decoder on a frozen or fine-tuned encoder. Sizes by default are those of the paper's code."""

    data: CaptionSet = field(default_factory=CocoCaptions)
    """Images with captions; trained on its split "train"."""
    test_split: str = "val"
    """The split that is described and scored."""
    resize: int = 256
    """Images are stretched to a square of this side (pixels)."""
    crop: int = 224
    """The part of it that the encoder sees (pixels): its centre, unless `augment`."""
    test_resize: int | None = None
    """`resize` in the test, where it is another; equal to `crop`: the whole image is seen."""
    keep_aspect: bool = False
    """Images keep their shape: `resize` is the short side then."""
    augment: bool = False
    """Train on random crops and flips. Every image is then read and encoded for each of its captions, each epoch."""
    finetune_from: int | None = None
    """The epoch (from 0) from which the encoder is trained too; its batch normalisations keep their statistics. Before,
    and with None throughout, it is frozen, and its features are computed once unless `augment`."""
    freeze_at: int = 0
    """How many parts of the encoder are not trained even then, of stem, layer1, ..., layer4: 2 is stem and layer1."""
    encoder_lr_scale: float = 0.01
    """Factor of the learning rate for the encoder when it is trained."""
    features: Path | None = unhashed(None)
    """The folder that keeps a frozen encoder's features, for all runs. None: `features` in the folder of all runs, or,
    of a run that was given a folder of its own, beside that."""
    decoder: Decoder = field(default_factory=NIC)
    """What talks: `NIC` or `Attention`."""
    smoothing: float = 0.0
    """Label smoothing: the share of a word's probability that goes to all words alike."""
    sampling: ScheduledSampling = field(default_factory=ScheduledSampling)
    """Scheduled sampling; off by default."""
    min_count: int = 4
    """Words that occur less often in the training captions are unknown."""
    max_words: int = 20
    """Longest caption; longer ones are cut in training, and the search ends a caption there."""
    beam: int = 20
    """Captions that the search keeps for an image; 1 is greedy."""
    alpha: float = 0.0
    """Length normalisation: captions compete by log-probability / length ** alpha. 0: none."""
    min_words: int = 1
    """Shortest caption that the search writes."""
    no_repeat: int = 0
    """The search writes no n-gram of this length twice in a caption. 0: it may."""
    metrics: tuple[str, ...] = ("bleu", "meteor", "rouge_l", "cider")
    """What is computed; BLEU-4, the headline, always is."""

    def __post_init__(self) -> None:
        """Check the fields."""
        for name in ("resize", "crop", "min_count", "max_words", "beam", "min_words"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected at least 1, got {getattr(self, name)}")
        for name, side in (("resize", self.resize), ("test_resize", self.test_resize)):
            if side is not None and self.crop > side:
                raise ValueError(f"crop: expected at most {name}={side}, got {self.crop}")
        if self.finetune_from is not None and not (self.finetune_from >= 0 and self.finetune_from % 1 == 0):
            raise ValueError(f"finetune_from: expected an epoch, 0 or more, got {self.finetune_from}")
        if not 0 <= self.freeze_at <= 4:
            raise ValueError(f"freeze_at: expected 0 (nothing) to 4 (all but layer4), got {self.freeze_at}")
        if self.min_words > self.max_words:
            raise ValueError(f"min_words: expected at most max_words={self.max_words}, got {self.min_words}")
        if not 0 <= self.smoothing < 1 or self.alpha < 0 or self.encoder_lr_scale < 0 or self.no_repeat < 0:
            raise ValueError("expected smoothing in [0, 1), and alpha, encoder_lr_scale, no_repeat of 0 or more")

    def needs(self) -> tuple[Need, ...]:
        """Training and test split."""
        return Need(self.data, "train"), Need(self.data, self.test_split)

    def check(self, root: Path) -> None:
        """Refuse splits that are missing or share images, unknown metrics, and a machine without Java."""
        scoring.check(self.metrics)
        check_splits(self.data, self.test_split, root)

    def check_network(self, network: nn.Module) -> None:
        """Refuse what is no ResNet (`core.resnet`)."""
        trunk(network)

    def model(self, backbone: Backbone, root: Path) -> nn.Module:
        """Encoder and a fresh decoder for the words of the training captions.

        Raises:
            UserError: not a ResNet, one that was not loaded whole, one whose mean and deviation are not of RGB pixels
                in 0..1; or no word is frequent enough.
        """
        check_pixels(backbone.spec)
        body, decoder = trunk(backbone.model), self.decoder
        before = loaded(backbone, body, stages=4)
        vocabulary = self._vocabulary(self.data.records(root, "train"))
        network = decoder.build(body.channels[-1], len(vocabulary))
        finetune = self.finetune_from is not None
        captioner = Captioner(
            body, backbone.spec, network, vocabulary, spatial=decoder.spatial, finetune=finetune,
            freeze_at=self.freeze_at,
        )  # fmt: skip
        compare(captioner, before, backbone.name)
        return captioner

    def parameters(self, model: nn.Module) -> list[dict[str, Any]]:
        """The decoder; with `finetune_from` the encoder at its own learning rate."""
        model = cast(Captioner, model)
        groups: list[dict[str, Any]] = [{"params": list(model.decoder.parameters())}]
        if self.finetune_from is not None:
            trained = [p for p in model.encoder.parameters() if p.requires_grad]
            groups.append({"params": trained, "lr_scale": self.encoder_lr_scale})
        return groups

    def some_unused(self) -> bool:
        """Yes, where the encoder is trained from a later epoch on."""
        return bool(self.finetune_from)

    def train_data(self, root: Path) -> Pairs:
        """All (image, caption) pairs."""
        records = self.data.records(root, "train")
        return Pairs.of(records, self._vocabulary(records), self.max_words, self._view(), self.finetune_from)

    def samples(self, images: int) -> int:
        """Five pairs an image; in COCO a few images in a thousand have six or seven captions."""
        return 5 * images

    def test_data(self, root: Path) -> Pictures:
        """The test images: their centres."""
        return Pictures(self.data.records(root, self.test_split), self._test_view())

    def prepared(self, samples: Samples, model: nn.Module, job: Job) -> Samples:
        """With the features of all images, as long as the encoder stays as it is and the images too.

        The vocabulary is kept in the run's folder; one that is there already must be the same.
        """
        assert isinstance(samples, Pairs | Pictures)
        model = cast(Captioner, model)
        processes.agree(job.fabric, lambda: model.vocabulary.keep(job.run.path(FILE)))
        if isinstance(samples, Pairs):
            model.facts["captions"] = samples.coverage()
            changed = self.finetune_from == 0
        else:
            changed = self.finetune_from is not None
        if changed or samples.view.augment:
            return samples
        return replace(samples, features=features(samples.records, samples.view, model, job, self.features))

    def report(
        self, model: nn.Module, backbone: Backbone, recipe: Recipe | None, ranks: int, samples: int
    ) -> dict[str, Any]:
        """Weights, pixels, frozen and trained parts, decoder, vocabulary, views; see `report.report`."""
        return report(self, cast(Captioner, model), backbone, recipe, samples)

    def views(self) -> str:
        """How images are shown, in words."""
        return f"training: {self._view()}; test: {self._test_view()}"

    def _view(self) -> View:
        return View(self.resize, self.crop, self.augment, self.keep_aspect)

    def _test_view(self) -> View:
        return View(self.test_resize or self.resize, self.crop, keep_aspect=self.keep_aspect)

    def collate(self, samples: list[Example]) -> Batch:
        """Examples as a batch."""
        return collate(samples)

    def objective(self, recipe: Recipe, samples: int) -> Objective:
        """Cross-entropy of the next word, a mean over all words and ends of the batch."""
        return Objective(self.smoothing, self.sampling, recipe.steps_per_epoch(samples))

    def predict(self, model: nn.Module, batch: Batch) -> list[Any]:
        """An entry of COCO's caption results for each image."""
        rules = Rules(
            pad=PAD, start=START, end=END, never=(UNK,), max_words=self.max_words, alpha=self.alpha,
            min_words=self.min_words, no_repeat=self.no_repeat,
        )  # fmt: skip
        captions = cast(Captioner, model).describe(batch, self.beam, rules)
        return [{"image_id": id, "caption": caption} for id, caption in zip(batch.ids.tolist(), captions, strict=True)]

    def score(self, saved: Any, root: Path) -> Outcome:
        """BLEU-4 (the headline), BLEU-1 to 3 and the other `metrics`, in percent, as papers give them."""
        return scoring.outcome(saved, self.data, self.test_split, root, self.metrics)

    def _vocabulary(self, records: Sequence[CaptionRecord]) -> Vocabulary:
        return Vocabulary.build((caption for record in records for caption in record.captions), self.min_count)
