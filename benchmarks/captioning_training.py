"""What training a caption decoder costs: `python -m benchmarks.captioning_training [--decoders nic] [--out FILE]`.

Steps on cached features (float16, memory-mapped), in interleaved rounds; captions per second of the processor's time
(one thread: OMP_NUM_THREADS=1), on a GPU of the clock's. Use the ratios.
- ours: batches from the loader in this process, teacher forcing, `Objective`, backward, Adam; and which share of the
  clock's time it waited for batches.
- plain: the same sizes as public code writes them: stevehuanghe's NIC (the LSTM called word by word, logits for PAD
  too) or sgrvinod's attention (word by word over captions sorted by length); batches are there, in memory.
- bare: only what nobody can leave out: the LSTM over the whole sequence, one product with the vocabulary for the words
  that are there, the loss, backward, Adam; inputs are there. There is none for attention.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from benchmarks.quick import machine
from benchmarks.roofline import wait
from core.data.records import CaptionRecord
from core.loader import on_device, train_stream
from core.training.speed import Speed, waited_for
from transfer.tasks.captioning.attention import Attention
from transfer.tasks.captioning.data import Batch, Captions, Pairs, collate
from transfer.tasks.captioning.decoder import Decoder, DecoderNetwork, Said, targets
from transfer.tasks.captioning.linear import Linear
from transfer.tasks.captioning.nic import NIC
from transfer.tasks.captioning.objective import Objective, ScheduledSampling
from transfer.tasks.captioning.views import View
from transfer.tasks.captioning.vocabulary import END, PAD, START, UNK

CHANNELS = 2048  # of a ResNet-50
PLACES = 49  # of its map, for a crop of 224
Step = Callable[[Batch], None]


def main() -> None:
    """Measure, print, and write JSON where asked."""
    args = arguments()
    device = torch.device(args.device)
    found: dict[str, Any] = {"machine": machine(), "torch": torch.__version__, "settings": vars(args) | {"out": ""}}
    for name in args.decoders:
        found[name] = compared(name, args, device)
        print(f"{name}: {found[name]}", flush=True)
    if args.out:
        args.out.write_text(json.dumps(found, indent=1, default=str) + "\n")


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--decoders", nargs="+", default=["nic", "attention"], choices=["nic", "attention"])
    parser.add_argument("--batch", type=int, default=80)
    parser.add_argument("--words", type=int, default=10_000, help="vocabulary")
    parser.add_argument("--hidden", type=int, default=512)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=3, help="steps of a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


def compared(name: str, args: argparse.Namespace, device: torch.device) -> dict[str, Any]:
    """Captions per second of each arm, ours in shares of the others', and the share of waiting."""
    torch.manual_seed(0)
    chosen: Decoder = NIC(args.hidden, args.hidden) if name == "nic" else Attention(args.hidden, args.hidden)
    network = chosen.build(CHANNELS, args.words).to(device).train()
    theirs = (PlainNIC if name == "nic" else PlainAttention)(args.words, args.hidden).to(device).train()
    with tempfile.TemporaryDirectory() as folder:
        samples = pairs(Path(folder) / "features", args, spatial=chosen.spatial)
        speed = Speed()
        stream = waited_for(on_device(batches(samples, args, len(samples)), device), speed)
        ready = [next(stream) for _ in range(args.steps)]
        arms = {"ours": (stepper(Forced(network), args.steps), stream), "plain": (optimised(theirs, theirs), ready)}
        if name == "nic":
            arms["bare"] = (bare(args.words, args.hidden, device), ready)
        seconds: dict[str, list[float]] = {arm: [] for arm in arms}
        for turn in range(args.rounds + 1):
            if turn == 1:  # the round before warmed up
                speed.waited = 0.0
            for arm, (step, source) in arms.items():
                began = time.monotonic()
                took = timed(step, iter(source), args.steps, device)
                if turn > 0:
                    seconds[arm].append(took / (args.steps * args.batch))
                    speed.seconds += time.monotonic() - began if arm == "ours" else 0.0
    ratios = {arm: [o / s for s, o in zip(seconds["ours"], seconds[arm], strict=True)] for arm in arms}
    return {
        "captions_per_s": {arm: round(1 / statistics.median(each), 1) for arm, each in seconds.items()},
        "ours_is_times_as_fast_as": {arm: round(statistics.median(r), 2) for arm, r in ratios.items() if arm != "ours"},
        "waiting_share": round(speed.waiting, 4),
    }


def pairs(path: Path, args: argparse.Namespace, *, spatial: bool) -> Pairs:
    """Random features on disk, five captions an image, as long as COCO's (ten and a half words on average)."""
    shape = (args.images, *([PLACES] if spatial else []), CHANNELS)
    draw = np.random.default_rng(0)
    features = np.memmap(path, np.float16, "w+", shape=shape)
    for image in range(args.images):
        features[image] = draw.standard_normal(shape[1:], np.float32).clip(0)
    lengths = draw.normal(10.5, 2.4, 5 * args.images).round().clip(6, 20).astype(int)
    words = ([START, *draw.integers(UNK + 1, args.words, length), END] for length in lengths)
    records = [CaptionRecord(i, Path(), ("",)) for i in range(args.images)]
    mapped = np.memmap(path, np.float16, "c", shape=shape)  # writable, since torch asks for that
    return Pairs(records, np.repeat(np.arange(args.images), 5), Captions(words), View(256, 224), features=mapped)


def batches(samples: Pairs, args: argparse.Namespace, count: int) -> Iterator[Batch]:
    """The loader's, epoch after epoch, without an end that matters here."""
    each = count // args.batch
    yield from train_stream(
        samples, collate, seed=0, batch_size=args.batch, steps_per_epoch=each, first=0, last=1000 * each
    )


def timed(step: Step, source: Iterator[Batch], steps: int, device: torch.device) -> float:
    """Seconds of some steps: on a CPU of this process's work, else of the clock."""
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    wait(device)
    began = clock()
    for _ in range(steps):
        step(next(source))
    wait(device)
    return clock() - began


class Forced(nn.Module):
    """Teacher forcing on the features of a batch, as `Captioner` does it."""

    def __init__(self, decoder: DecoderNetwork) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, batch: Batch, sampled: float) -> Said:
        """What the decoder says."""
        assert batch.features is not None
        assert batch.tokens is not None
        said: Said = self.decoder(batch.features.float(), batch.tokens, sampled)
        return said


def stepper(model: nn.Module, steps_per_epoch: int) -> Step:
    """A step of ours."""
    objective = Objective(0.0, ScheduledSampling(), steps_per_epoch)
    generator = torch.Generator()
    return optimised(model, lambda batch: objective(model, batch, generator)[0])


def optimised(model: nn.Module, loss: Callable[[Batch], Tensor]) -> Step:
    """Loss, backward, Adam."""
    optimizer = torch.optim.Adam(model.parameters(), 4e-4)

    def step(batch: Batch) -> None:
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss(batch))
        optimizer.step()

    return step


def bare(words: int, hidden: int, device: torch.device) -> Step:
    """The LSTM, the words' product and the loss alone; embeddings stand in for image and words."""
    embed, lstm, output = nn.Embedding(words, hidden), nn.LSTM(hidden, hidden, batch_first=True), Linear(hidden, words)
    model = nn.ModuleList([embed, lstm, output]).to(device)

    def loss(batch: Batch) -> Tensor:
        assert batch.tokens is not None
        outputs = lstm(embed(batch.tokens[:, :-1]))[0][batch.tokens[:, 1:] != PAD]
        return nn.functional.cross_entropy(output(outputs), targets(batch.tokens))

    return optimised(model, loss)


class PlainNIC(nn.Module):
    """Show and Tell word by word, PAD among the targets."""

    def __init__(self, words: int, hidden: int) -> None:
        super().__init__()
        self.image, self.norm = nn.Linear(CHANNELS, hidden), nn.BatchNorm1d(hidden, momentum=0.01)
        self.embed, self.lstm = nn.Embedding(words, hidden), nn.LSTM(hidden, hidden)
        self.dropout, self.output = nn.Dropout(0.1), nn.Linear(hidden, words)

    def forward(self, batch: Batch) -> Tensor:
        """The loss."""
        assert batch.features is not None
        assert batch.tokens is not None
        image = self.norm(self.image(batch.features.float()))
        _, state = self.lstm(image[None])
        logits = []
        for word in self.embed(batch.tokens[:, :-1]).unbind(1):
            out, state = self.lstm(word[None], state)
            logits.append(self.output(self.dropout(out[0])))
        return nn.functional.cross_entropy(torch.stack(logits, 1).flatten(0, 1), batch.tokens[:, 1:].flatten())


class PlainAttention(nn.Module):
    """Show, Attend and Tell word by word, captions sorted by length, those that ended left out."""

    def __init__(self, words: int, hidden: int) -> None:
        super().__init__()
        self.first, self.of_map, self.of_state = (
            nn.Linear(CHANNELS, 2 * hidden), nn.Linear(CHANNELS, 512), nn.Linear(hidden, 512),
        )  # fmt: skip
        self.weigh, self.gate = nn.Linear(512, 1), nn.Linear(hidden, CHANNELS)
        self.embed, self.cell = nn.Embedding(words, hidden), nn.LSTMCell(hidden + CHANNELS, hidden)
        self.dropout, self.output = nn.Dropout(0.5), nn.Linear(hidden, words)

    def forward(self, batch: Batch) -> Tensor:
        """The loss, with the doubly stochastic penalty."""
        assert batch.features is not None
        assert batch.tokens is not None
        lengths, order = (batch.tokens[:, 1:] != PAD).sum(1).sort(descending=True)
        map_, tokens = batch.features.float()[order], batch.tokens[order]
        words, sizes = self.embed(tokens), lengths.tolist()
        hidden, cell = self.first(map_.mean(1)).chunk(2, dim=1)
        logits = words.new_zeros(len(map_), max(sizes), self.output.out_features)
        looks = words.new_zeros(len(map_), max(sizes), map_.shape[1])
        for time_step in range(max(sizes)):
            count = sum(size > time_step for size in sizes)
            query = self.of_state(hidden[:count])[:, None]
            look = self.weigh((self.of_map(map_[:count]) + query).relu())[:, :, 0].softmax(1)
            context = (map_[:count] * look[:, :, None]).sum(1) * self.gate(hidden[:count]).sigmoid()
            hidden, cell = self.cell(torch.cat([words[:count, time_step], context], 1), (hidden[:count], cell[:count]))
            logits[:count, time_step], looks[:count, time_step] = self.output(self.dropout(hidden)), look
        said = pack_padded_sequence(logits, sizes, batch_first=True).data
        wanted = pack_padded_sequence(tokens[:, 1:], sizes, batch_first=True).data
        penalty: Tensor = (1 - looks.sum(1)).square().mean()
        return nn.functional.cross_entropy(said, wanted) + penalty


if __name__ == "__main__":
    main()
