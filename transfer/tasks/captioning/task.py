"""Captions of COCO images by NIC, scored with BLEU. Source: CutMix paper, section 4.3 and table 10.

Stated differences from the code that the paper names (stevehuanghe/image_captioning): the encoder's batch normalisation
keeps its statistics (there it runs in train mode, with no gradient); features come from the centre crop, once per image
(there from random crops and flips, in the test too; `augment=True` trains on those); the loss is a mean over words
(there over the batch's padded positions); the beam search knows the end of a caption and sums over finished ones only
(there it ran on to 20 words); punctuation is no word.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from core.backbone import Backbone
from core.data.coco import CocoCaptions
from core.data.records import CaptionRecord, Need
from core.resnet import trunk
from core.stage import Metric, Outcome
from eval.captions import bleu
from transfer.task import Task
from transfer.tasks.captioning.beam import Rules
from transfer.tasks.captioning.data import Batch, Example, Pairs, Pictures, View, collate
from transfer.tasks.captioning.decoder import NIC, targets
from transfer.tasks.captioning.model import Bank, Captioner
from transfer.tasks.captioning.vocabulary import END, PAD, START, UNK, Vocabulary


@dataclass(frozen=True)
class Captioning(Task):
    """NIC on a frozen or fine-tuned encoder. Sizes by default are those of the paper's code."""

    data: CocoCaptions = field(default_factory=CocoCaptions)
    """Images with captions; trained on its split "train", tested on "val"."""
    resize: int = 256
    """Images are stretched to a square of this side (pixels)."""
    crop: int = 224
    """The part of it that the encoder sees (pixels): its centre, unless `augment`."""
    augment: bool = False
    """Train on random crops and flips. Every image is then read and encoded for each of its captions, each epoch."""
    finetune: bool = False
    """Train the encoder too (its batch normalisations keep their statistics). Else its features are computed once."""
    encoder_lr_scale: float = 0.01
    """Factor of the learning rate for the encoder when `finetune`."""
    embed: int = 100
    """Size of a word's and of the image's embedding."""
    hidden: int = 300
    """Units of the LSTM."""
    dropout: float = 0.1
    """Probability that an output of the LSTM is dropped in training."""
    min_count: int = 4
    """Words that occur less often in the training captions are unknown."""
    max_words: int = 20
    """Longest caption; longer ones are cut in training, and the search ends a caption there."""
    beam: int = 20
    """Captions that the search keeps for an image; 1 is greedy."""
    alpha: float = 0.0
    """Length normalisation: captions compete by log-probability / length ** alpha. 0: none."""

    def __post_init__(self) -> None:
        """Check the fields."""
        positive = ("resize", "crop", "embed", "hidden", "min_count", "max_words", "beam")
        for name in positive:
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected at least 1, got {getattr(self, name)}")
        if self.crop > self.resize:
            raise ValueError(f"crop: expected at most resize={self.resize}, got {self.crop}")
        if not 0 <= self.dropout < 1 or self.alpha < 0 or self.encoder_lr_scale < 0:
            raise ValueError("expected dropout in [0, 1), alpha and encoder_lr_scale of 0 or more")

    def needs(self) -> tuple[Need, ...]:
        """Train and val split."""
        return Need(self.data, "train"), Need(self.data, "val")

    def model(self, backbone: Backbone, root: Path) -> nn.Module:
        """Encoder and a fresh decoder for the words of the training captions."""
        records = self.data.records(root, "train")
        vocabulary = self._vocabulary(records)
        body = trunk(backbone.model)
        nic = NIC(body.channels[-1], len(vocabulary), embed=self.embed, hidden=self.hidden, dropout=self.dropout)
        model = Captioner(body, backbone.spec, nic, vocabulary, finetune=self.finetune)
        if self._cached:
            model.bank = Bank([record.path for record in records], View(self.resize, self.crop))
        return model

    def parameters(self, model: nn.Module) -> list[dict[str, Any]]:
        """The decoder; with `finetune` the encoder at its own learning rate."""
        model = cast(Captioner, model)
        groups: list[dict[str, Any]] = [{"params": list(model.nic.parameters())}]
        if self.finetune:
            groups.append({"params": list(model.encoder.parameters()), "lr_scale": self.encoder_lr_scale})
        return groups

    def train_data(self, root: Path) -> Pairs:
        """All (image, caption) pairs."""
        view = None if self._cached else View(self.resize, self.crop, self.augment)
        records = self.data.records(root, "train")
        return Pairs.of(records, self._vocabulary(records), self.max_words, view)

    def samples(self, images: int) -> int:
        """Five pairs an image; in COCO a few images in a thousand have six or seven captions."""
        return 5 * images

    def test_data(self, root: Path) -> Pictures:
        """The test images, centre crops."""
        return Pictures(self.data.records(root, "val"), View(self.resize, self.crop))

    def collate(self, samples: list[Example]) -> Batch:
        """Examples as a batch."""
        return collate(samples)

    def loss(self, model: nn.Module, batch: Batch, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Cross-entropy of the next word, a mean over all words and ends of the batch."""
        assert batch.tokens is not None
        loss = nn.functional.cross_entropy(model(batch), targets(batch.tokens))
        return loss, {"perplexity": loss.detach().exp()}

    def predict(self, model: nn.Module, batch: Batch) -> list[Any]:
        """An entry of COCO's caption results for each image."""
        assert batch.pixels is not None
        rules = Rules(pad=PAD, start=START, end=END, never=(UNK,), max_words=self.max_words, alpha=self.alpha)
        captions = cast(Captioner, model).describe(batch.pixels, self.beam, rules)
        return [{"image_id": id, "caption": caption} for id, caption in zip(batch.ids, captions, strict=True)]

    def score(self, saved: Any, root: Path) -> Outcome:
        """BLEU-4 (the headline) and BLEU-1 to 3, in percent, as the paper gives them."""
        references = {record.id: list(record.captions) for record in self.data.records(root, "val")}
        found = bleu({entry["image_id"]: entry["caption"] for entry in saved}, references)
        values = {"bleu4": found.bleu4, "bleu1": found.bleu1, "bleu2": found.bleu2, "bleu3": found.bleu3}
        metrics = {name: Metric(100 * value, "%", higher_is_better=True) for name, value in values.items()}
        different = len({entry["caption"] for entry in saved})
        lengths = {"candidate_length": found.candidate_length, "reference_length": found.reference_length}
        return Outcome(metrics, {**lengths, "different_captions": different})

    @property
    def _cached(self) -> bool:
        return not (self.finetune or self.augment)

    def _vocabulary(self, records: Sequence[CaptionRecord]) -> Vocabulary:
        return Vocabulary.build((caption for record in records for caption in record.captions), self.min_count)
