"""How fast maps are evaluated: `python -m benchmarks.wsol [--peer FOLDER] [--images N] [--out FILE]`.

One process, one thread, score maps of 224 x 224 in memory: everything from the map to the number, without reading
files and without intervals. With --peer, a checkout of clovaai/wsolevaluation, its evaluators (unmodified; `np.float`
is given back to numpy) score the same maps in the same run, in turn with ours, and equal results are asserted.
"""

import argparse
import contextlib
import functools
import json
import os
import platform
import statistics
import sys
import tempfile
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import numpy as np

from eval.localization.evaluate import evaluate
from eval.localization.settings import Settings
from eval.localization.truth import Truth
from wsol.metadata import text

SIDE = 224
TASKS = {
    "MaxBoxAccV2, .001": (1000, True, 100),
    "MaxBoxAccV2, .01": (100, True, 8),
    "MaxBoxAcc, .001": (1000, False, None),
    "MaxBoxAcc, .01": (100, False, None),
}
"""Name -> levels, whether all contours count, and the ratio that is aimed at."""


def main() -> None:
    """Measure and print; write JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--peer", type=Path, help="a checkout of clovaai/wsolevaluation")
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--noise", type=float, nargs="+", default=[0.0, 12.0], help="grey levels of noise on each pixel (default: 0 12)"
    )
    parser.add_argument("--out", type=Path, help="write the numbers to this JSON file")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    found: dict[str, Any] = {"cpu": cpu(), "python": platform.python_version(), "numpy": np.__version__}
    found |= {"opencv": cv2.__version__, "images": args.images, "unit": "maps per CPU-second"}
    for noise in args.noise:
        print(f"{args.images} maps, {noise:g} grey levels of noise")
        found[f"noise {noise:g}"] = measured(*made(args.images, noise), args.peer, args.repeats)
    if args.out:
        args.out.write_text(json.dumps(found, indent=1) + "\n")


def measured(maps: np.ndarray, truths: list[Truth], peer: Path | None, repeats: int) -> dict[str, Any]:
    """Ours alone in every mode, then beside the peer."""
    found: dict[str, Any] = {"ours": {}}
    for name, settings, kind in (
        ("corrected, uint8", Settings(), np.uint8),
        ("corrected, float32, 1000 levels", Settings(), np.float32),
        ("corrected, float32, exact", Settings(levels="exact"), np.float32),
        ("compat, uint8", Settings(geometry="compat"), np.uint8),
    ):
        given = maps if kind is np.uint8 else (maps / 255).astype(kind)
        call = functools.partial(ours, given, truths, settings)
        seconds = [timed(call)[0] for _ in range(repeats + 1)][1:]  # the first one compiles
        found["ours"][name] = round(len(maps) / statistics.median(seconds))
        print(f"{name:34} {found['ours'][name]:>6,} maps/s")
    if peer is not None:
        with tempfile.TemporaryDirectory() as folder:
            text.write(Path(folder), truths)
            beside = Peer(peer, Path(folder))
            found["beside wsolevaluation"] = {
                name: compare(name, maps, truths, beside, levels, every, aim, repeats)
                for name, (levels, every, aim) in TASKS.items()
            }
    return found


def compare(
    name: str,
    maps: np.ndarray,
    truths: list[Truth],
    peer: "Peer",
    levels: int,
    every: bool,
    aim: float | None,
    repeats: int,
) -> dict[str, float]:
    """Both in turn on the same maps; the results must be equal."""
    settings, theirs, mine = Settings(geometry="compat", levels=levels), [], []
    for _ in range(repeats):
        seconds, measured = timed(lambda: ours(maps, truths, settings))
        mine.append(seconds)
        seconds, expected = timed(lambda: peer.box_accuracy(maps, truths, 1 / levels, every))
        theirs.append(seconds)
        key = "max_box_acc_v2" if every else "max_box_acc"
        got = [measured.measures[f"{key}_{delta}"].best.value for delta in (30, 50, 70)]
        assert np.allclose(got, expected, rtol=0, atol=1e-9), (name, got, expected)
    ratio = statistics.median(theirs) / statistics.median(mine)
    rates = [round(len(maps) / statistics.median(seconds), 1) for seconds in (mine, theirs)]
    wanted = f"  (aim {aim:g})" if aim else ""
    print(f"{name:20} ours {rates[0]:>8,} maps/s   wsolevaluation {rates[1]:>6,}   ratio {ratio:6.1f}{wanted}   equal")
    return {"ours": rates[0], "peer": rates[1], "ratio": round(ratio, 1)}


def ours(maps: np.ndarray, truths: list[Truth], settings: Settings) -> Any:
    """Everything from the maps to the report."""
    return evaluate(
        ((truth.id, score_map) for truth, score_map in zip(truths, maps, strict=True)), truths, settings, resamples=0
    )


class Peer:
    """wsolevaluation's box evaluator, as it is."""

    def __init__(self, folder: Path, metadata: Path) -> None:
        munch = types.ModuleType("munch")
        munch.Munch = Names  # type: ignore[attr-defined]  # the one name that its data_loaders needs
        sys.modules.setdefault("munch", munch)
        vars(np)["float"] = float  # it was written for a numpy that had this name
        sys.path.insert(0, str(folder))
        import evaluation  # type: ignore[import-not-found]  # the peer's

        self.module = evaluation
        self.metadata = evaluation.configure_metadata(str(metadata))

    def box_accuracy(self, maps: np.ndarray, truths: list[Truth], interval: float, every: bool) -> list[float]:
        """MaxBoxAcc at IoU .3, .5, .7 in percent."""
        evaluator = self.module.BoxEvaluator(
            metadata=self.metadata, dataset_name="CUB", split="test", mask_root="", multi_contour_eval=every,
            cam_threshold_list=list(np.arange(0, 1, interval)), iou_threshold_list=[30, 50, 70],
        )  # fmt: skip
        with contextlib.redirect_stdout(sys.stderr):
            for truth, score_map in zip(truths, maps, strict=True):
                evaluator.accumulate(score_map / 255.0, truth.id)
            return [float(value) for value in evaluator.compute()]


class Names(dict[str, Any]):
    """A dictionary whose keys are attributes too."""

    __getattr__ = dict.__getitem__
    __setattr__ = dict.__setitem__


def made(images: int, noise: float) -> tuple[np.ndarray, list[Truth]]:
    """Maps [N, 224, 224] like a CAM's, with one to three boxes around the blob that most of them show.

    A blob and a little noise of 14 x 14 cells, enlarged bicubically, min to max, 8 bits; `noise` grey levels of each
    pixel's own on top, which no CAM has: it is what costs a component tree most.
    """
    generator, maps, truths = np.random.default_rng(0), [], []
    y, x = np.mgrid[:14, :14] / 13
    for i in range(images):
        centre, spread = generator.uniform(0.2, 0.8, 2), generator.uniform(0.08, 0.3)
        coarse = np.exp(-((y - centre[1]) ** 2 + (x - centre[0]) ** 2) / (2 * spread**2))
        fine = cv2.resize(coarse + 0.25 * generator.random((14, 14)), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
        fine += noise / 255 * np.ptp(fine) * generator.uniform(-1, 1, fine.shape)
        maps.append((255 * (fine - fine.min()) / np.ptp(fine)).astype(np.uint8))
        size = generator.integers(200, 600, 2)
        middles = np.vstack(
            [centre + generator.normal(0, 0.08, 2), generator.random((int(generator.integers(0, 3)), 2))]
        )
        half = generator.uniform(0.6, 2.2, middles.shape) * spread
        low, high = np.clip(middles - half, 0, 0.9), np.clip(middles + half, 0.1, 1)
        boxes = np.hstack([np.floor(low * size), np.ceil(high * size)])
        truths.append(Truth(f"im/{i:05}.jpg", (int(size[0]), int(size[1])), boxes, label=0))
    return np.stack(maps), truths


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds of this process, and the result."""
    started = time.process_time()
    result = call()
    return time.process_time() - started, result


def cpu() -> str:
    """The processor's name."""
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if "model name" in line
    ]
    return names[0] if names else platform.processor()


if __name__ == "__main__":
    main()
