"""What beam search costs: `python -m benchmarks.captioning_beam [--decoders nic] [--beams 1 3] [--out FILE]`.

The batched search beside a careful search of one image at a time (`per_image` below), in interleaved rounds, with the
same network and the same rules; use the ratios. Images per second of the processor's time (one thread:
OMP_NUM_THREADS=1), on a GPU of the clock's.

Weights are random, but words are as likely as a trained model's: the output layer is scaled until the best word has
about a third of the probability, and END comes as it does in captions: either never before the last word (`--ends
full`: all captions are 20 words), or around an image's own length, nine and a half words on average (`real`).
Both searches get the features ready; `start` is counted. The share of equal captions is printed: the two sum the same
numbers in batches of other sizes, and near ties fall differently.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.quick import machine
from benchmarks.roofline import wait
from transfer.tasks.captioning.attention import Attention
from transfer.tasks.captioning.beam import Memory, Rules, State, search
from transfer.tasks.captioning.decoder import DecoderNetwork
from transfer.tasks.captioning.nic import NIC
from transfer.tasks.captioning.vocabulary import END, PAD, START, UNK

CHANNELS = 2048  # of a ResNet-50
PLACES = 49  # of its map, for a crop of 224
Caption = list[int]


def main() -> None:
    """Measure, print, and write JSON where asked."""
    args = arguments()
    device = torch.device(args.device)
    found: dict[str, Any] = {"machine": machine(), "torch": torch.__version__, "settings": vars(args) | {"out": ""}}
    for name in args.decoders:
        for ends in args.ends:
            for beam in args.beams:
                found[f"{name} {ends} beam {beam}"] = row = compared(name, beam, args, device, ends=ends)
                print(f"{name}, {ends}, beam {beam}: {row}", flush=True)
    if args.out:
        args.out.write_text(json.dumps(found, indent=1, default=str) + "\n")


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--decoders", nargs="+", default=["nic", "attention"], choices=["nic", "attention"])
    parser.add_argument("--ends", nargs="+", default=["full", "real"], choices=["full", "real"])
    parser.add_argument("--beams", type=int, nargs="+", default=[1, 3, 5, 20])
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--words", type=int, default=10_000, help="vocabulary")
    parser.add_argument("--hidden", type=int, default=512)
    parser.add_argument("--max-words", type=int, default=20)
    parser.add_argument("--alone", type=int, default=8, help="images of a round of the search one by one")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


@torch.inference_mode()
def compared(name: str, beam: int, args: argparse.Namespace, device: torch.device, *, ends: str) -> dict[str, Any]:
    """Images per second of both, and how much faster the batch is: medians of interleaved rounds."""
    torch.manual_seed(0)
    network = decoder(name, args.hidden, args.words).to(device).eval()
    features = torch.randn(args.batch, *([PLACES] if name == "attention" else []), CHANNELS, device=device).relu()
    model = Ending(network, args.max_words, never=ends == "full")
    rules = Rules(pad=PAD, start=START, end=END, never=(UNK,), max_words=args.max_words)
    lengths = torch.randn(args.batch, device=device).mul(2).add(9.5).clamp(5, 16)  # as COCO's captions: 9.5 +- 2

    def batched() -> list[Caption]:
        words, _ = search(model.step, *model.start(features, lengths), beam=beam, rules=rules)
        return [[w for w in row if w not in (PAD, END)] for row in words.tolist()]

    def alone() -> list[Caption]:
        chosen = range(args.alone)
        starts = (model.start(features[i : i + 1], lengths[i : i + 1]) for i in chosen)
        return [per_image(model.step, state, memory, beam=beam, rules=rules) for state, memory in starts]

    seconds: dict[str, list[float]] = {"batch": [], "alone": []}
    for turn in range(args.rounds + 1):
        one, ours = timed(batched, device), timed(alone, device)
        if turn:  # the first warms up
            seconds["batch"].append(one[0] / args.batch)
            seconds["alone"].append(ours[0] / args.alone)
    ratios = [a / b for a, b in zip(seconds["alone"], seconds["batch"], strict=True)]
    same = sum(a == b for a, b in zip(one[1], ours[1], strict=False)) / args.alone
    return {
        "images_per_s": round(1 / statistics.median(seconds["batch"]), 1),
        "one_by_one_images_per_s": round(1 / statistics.median(seconds["alone"]), 1),
        "times_faster": round(statistics.median(ratios), 2),
        "same_captions": round(same, 2),
        "mean_words": round(sum(map(len, one[1])) / args.batch, 1),
    }


def timed(work: Callable[[], list[Caption]], device: torch.device) -> tuple[float, list[Caption]]:
    """Seconds of a call, and what it gives: on a CPU of this process's work, else of the clock."""
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    wait(device)
    began = clock()
    found = work()
    wait(device)
    return clock() - began, found


def decoder(name: str, hidden: int, words: int) -> DecoderNetwork:
    """A network with random weights whose most probable word has about a third of the probability."""
    chosen = NIC(embed=hidden, hidden=hidden) if name == "nic" else Attention(hidden, hidden, hidden)
    network = chosen.build(CHANNELS, words)
    weights = network.state_dict()
    nn.init.normal_(weights["embed.weight"])
    nn.init.normal_(weights["output.weight"])
    weights["output.bias"].zero_()
    features = torch.randn(64, *([PLACES] if name == "attention" else []), CHANNELS).relu()
    state, memory = network.eval().start(features)
    for _ in range(3):
        logits, state = network.step(torch.randint(UNK + 1, words, (64,)), state, memory)
    weights["output.weight"].mul_(5 / logits.std())
    return network


class Ending(nn.Module):
    """A network that ends captions around given lengths [N], or never before it must. The state counts the words."""

    def __init__(self, network: DecoderNetwork, max_words: int, *, never: bool) -> None:
        """network: the decoder. never: END is as good as impossible."""
        super().__init__()
        self.network, self.max_words, self.never = network, max_words, never

    def start(self, features: Tensor, lengths: Tensor) -> tuple[State, Memory]:
        """The network's; the state also has the words that are left."""
        state, memory = self.network.start(features)
        return (*state, lengths), memory

    def step(self, words: Tensor, state: State, memory: Memory) -> tuple[Tensor, State]:
        """One word further."""
        *inner, left = state
        logits, inner_ = self.network.step(words, tuple(inner), memory)
        logits[:, END] = -100.0 if self.never else logits.amax(1) - 2 * left.clamp(min=-2)
        return logits, (*inner_, left - 1)


def per_image(
    step: Callable[[Tensor, State, Memory], tuple[Tensor, State]],
    state: State,
    memory: Memory,
    *,
    beam: int,
    rules: Rules,
) -> Caption:
    """A beam search of one image, its beams as the batch: the words of the best caption.

    Written as public code does it (sgrvinod's caption.py), with care: one topk over all beams, one transfer a step, and
    it stops when no beam can beat the best finished caption.
    """
    device = state[0].device
    never = torch.tensor([rules.pad, rules.start, *rules.never], device=device)
    scores = torch.zeros(1, device=device)
    said: list[Caption] = [[]]
    last = torch.tensor([rules.start], device=device)
    best: tuple[float, Caption] = (-torch.inf, [])
    for length in range(rules.max_words + 1):
        logits, state = step(last, state, memory)
        log_p = logits.log_softmax(1)
        log_p[:, never] = -torch.inf
        if length == 0:
            log_p[:, rules.end] = -torch.inf
        if length == rules.max_words:  # what is not finished ends here
            values = (scores + log_p[:, rules.end]).tolist()
            best = max(best, *zip(values, said, strict=True), key=lambda pair: pair[0])
            break
        vocabulary = log_p.shape[1]
        top, picked = (scores[:, None] + log_p).view(-1).topk(min(beam, log_p.numel()))
        values, places = top.tolist(), picked.tolist()
        captions = [[*said[place // vocabulary], place % vocabulary] for place in places]
        live = [i for i, caption in enumerate(captions) if caption[-1] != rules.end]
        for i, caption in enumerate(captions):
            if caption[-1] == rules.end and values[i] > best[0]:
                best = (values[i], caption[:-1])
        if not live or values[live[0]] <= best[0]:
            break
        said, rows = [captions[i] for i in live], picked[live]
        scores, last = top[live], rows % vocabulary
        state = tuple(tensor.index_select(0, rows // vocabulary) for tensor in state)
    return best[1]


if __name__ == "__main__":
    main()
