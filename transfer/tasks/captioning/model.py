"""A ResNet that looks and a decoder that talks. N images, C channels, P places of the map, V vocabulary."""

import hashlib
from typing import Any

import torch
from torch import Tensor, nn

from core.backbone import Spec
from core.images import normalize
from core.resnet import Trunk
from transfer.tasks.captioning.beam import Rules, search
from transfer.tasks.captioning.data import Batch
from transfer.tasks.captioning.decoder import DecoderNetwork, Said
from transfer.tasks.captioning.vocabulary import Vocabulary


class Captioner(nn.Module):
    """Encoder and decoder. The encoder's batch normalisations always use the statistics of pretraining.

    A gradient reaches the encoder from batches that are `tuned` alone; else its tensors stay as they are, bit for bit.

    Args:
        trunk, spec: the encoder, and what normalises its input.
        decoder: its network. vocabulary: its words.
        spatial: whether the decoder reads the map, not its mean.
        finetune: whether the encoder is ever trained.
        freeze_at: how many of its parts (stem, layer1, ..., layer4) are not trained even then.
    """

    facts: dict[str, Any]
    """What is known of the training data, for the report."""

    def __init__(
        self,
        trunk: Trunk,
        spec: Spec,
        decoder: DecoderNetwork,
        vocabulary: Vocabulary,
        *,
        spatial: bool,
        finetune: bool,
        freeze_at: int = 0,
    ) -> None:
        super().__init__()
        self.encoder, self.decoder, self.vocabulary = trunk, decoder, vocabulary
        self.spec, self.spatial, self.facts = spec, spatial, {}
        for i, part in enumerate((trunk.stem, trunk.layer1, trunk.layer2, trunk.layer3, trunk.layer4)):
            part.requires_grad_(finetune and i >= freeze_at)
        self.encoder.to(memory_format=torch.channels_last)
        self.train()

    def train(self, mode: bool = True) -> "Captioner":
        """Training or test mode of the decoder; the encoder stays in test mode."""
        super().train(mode)
        self.encoder.eval()
        return self

    def encode(self, pixels: Tensor) -> Tensor:
        """Uint8 [N, 3, S, S] -> layer4's output, [N, P, C], or its mean over the image, [N, C]."""
        map_: Tensor = self.encoder(normalize(pixels, self.spec.mean, self.spec.std))[-1]  # [N, C, h, w]
        return map_.flatten(2).transpose(1, 2) if self.spatial else map_.mean((2, 3))

    def encoder_digest(self) -> str:
        """SHA-256 of the encoder's tensors, with their names, types and shapes."""
        found = hashlib.sha256()
        for name, tensor in sorted(self.encoder.state_dict().items()):
            found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
            found.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
        return found.hexdigest()

    def features(self, batch: Batch) -> Tensor:
        """Of a batch's images, float32: those that it has, else the encoder's of its pixels."""
        if batch.features is not None:
            return batch.features.float()
        assert batch.pixels is not None
        with torch.set_grad_enabled(batch.tuned and torch.is_grad_enabled()):
            return self.encode(batch.pixels).float()

    def forward(self, batch: Batch, sampled: float = 0.0) -> Said:
        """Teacher forcing on a training batch; `sampled` as in `DecoderNetwork.forward`."""
        assert batch.tokens is not None
        said: Said = self.decoder(self.features(batch), batch.tokens, sampled)
        return said

    def describe(self, batch: Batch, beam: int, rules: Rules) -> list[str]:
        """A caption for each of the images."""
        state, memory = self.decoder.start(self.features(batch))
        words, _ = search(self.decoder.step, state, memory, beam=beam, rules=rules)
        return [self.vocabulary.decode(row) for row in words.tolist()]
