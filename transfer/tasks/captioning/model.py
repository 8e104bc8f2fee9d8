"""A ResNet that looks and an LSTM that talks. N images, C channels of the pooled features, M words, V vocabulary."""

import logging
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from core.backbone import Spec
from core.errors import UserError
from core.images import normalize
from core.resnet import Trunk
from transfer.tasks.captioning.beam import Rules, search
from transfer.tasks.captioning.data import Batch, View
from transfer.tasks.captioning.decoder import NIC
from transfer.tasks.captioning.vocabulary import Vocabulary

_log = logging.getLogger(__name__)
_CHUNK = 64  # images at once when features are computed: fixed, so that a run that goes on finds the same bits
_SAY_EVERY = 10.0  # seconds between lines while features are computed


class Captioner(nn.Module):
    """Encoder and decoder. The encoder's batch normalisations always use the statistics of pretraining.

    With a frozen encoder no gradient reaches it either, so that its tensors stay as they are, bit for bit.
    """

    def __init__(self, trunk: Trunk, spec: Spec, nic: NIC, vocabulary: Vocabulary, *, finetune: bool) -> None:
        super().__init__()
        self.encoder, self.nic, self.vocabulary, self.finetune = trunk, nic, vocabulary, finetune
        self.mean, self.std = spec.mean, spec.std
        self.encoder.requires_grad_(finetune)
        self.bank: Bank | None = None
        self.train()

    def train(self, mode: bool = True) -> "Captioner":
        """Training or test mode of the decoder; the encoder stays in test mode."""
        super().train(mode)
        self.encoder.eval()
        return self

    def encode(self, pixels: Tensor) -> Tensor:
        """Uint8 [N, 3, S, S] -> the mean of layer4's output over the image, [N, C]."""
        with torch.set_grad_enabled(self.finetune and torch.is_grad_enabled()):
            features: Tensor = self.encoder(normalize(pixels, self.mean, self.std))[-1].mean((2, 3))
        return features

    def forward(self, batch: Batch) -> Tensor:
        """The logits [M, V] of all words of a training batch (`NIC.forward`); features from the bank or the pixels."""
        assert batch.tokens is not None
        if batch.pixels is not None:
            features = self.encode(batch.pixels)
        else:
            assert self.bank is not None
            features = self.bank.features(self)[batch.images]
        logits: Tensor = self.nic(features, batch.tokens)
        return logits

    def describe(self, pixels: Tensor, beam: int, rules: Rules) -> list[str]:
        """A caption for each of the images, uint8 [N, 3, S, S]."""
        words, _ = search(self.nic.step, self.nic.start(self.encode(pixels)), beam=beam, rules=rules)
        return [self.vocabulary.decode(row) for row in words.tolist()]

    def get_extra_state(self) -> dict[str, Any]:
        """The vocabulary, kept in checkpoints beside the weights that it numbers."""
        return {"words": list(self.vocabulary.words)}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Check that the weights belong to this vocabulary. UserError: they were trained with other words."""
        own, theirs = self.vocabulary.words, tuple(state["words"])
        if own != theirs:
            raise UserError(
                f"captioning: the checkpoint's vocabulary has {len(theirs)} words, this run's has {len(own)}; "
                f"not in both: {', '.join(sorted(set(own) ^ set(theirs))[:5]) or 'none, only the order differs'}"
            )


class Bank:
    """The frozen encoder's features of all training images, computed once, when they are first asked for.

    They are a function of images and encoder alone (no augmentation, nothing random), so that a run that goes on from a
    checkpoint computes the same ones again.
    """

    def __init__(self, paths: Sequence[Path], view: View) -> None:
        self.paths, self.view = paths, view
        self._features: Tensor | None = None

    def features(self, model: Captioner) -> Tensor:
        """[images, C] float32 on the model's device."""
        if self._features is None:
            self._features = self._compute(model)
        return self._features

    @torch.no_grad()
    def _compute(self, model: Captioner) -> Tensor:
        started = said = time.monotonic()
        device, parts = next(model.parameters()).device, []
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:  # Pillow decodes outside the interpreter's lock
            for start in range(0, len(self.paths), _CHUNK):
                pixels = torch.stack(list(pool.map(self.view, self.paths[start : start + _CHUNK])))
                parts.append(model.encode(pixels.to(device)).float())
                if time.monotonic() - said > _SAY_EVERY:
                    said = time.monotonic()
                    _log.info("features: %s/%s images", f"{start + len(pixels):,}", f"{len(self.paths):,}")
        _log.info("features of %s images in %.1f s", f"{len(self.paths):,}", time.monotonic() - started)
        return torch.cat(parts)
