"""`python -m eval captions`: what it prints and writes, from files of both formats, and what it refuses."""

import csv
import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from eval.__main__ import main
from eval.captions.bootstrap import differences, intervals
from eval.captions.scores import METRICS, score
from eval.captions.summary import TITLES
from eval.errors import EvalError
from tests.eval.commands import Run, running, write
from tests.test_architecture import BLOCK_TORCH, ROOT

REGEX = ("--tokenizer", "regex")
"""No Java to wait for."""
FAST = (*REGEX, "--metrics", "bleu,rouge_l,cider")
TEXTS: dict[int, tuple[str, ...]] = {
    7: ("A dog runs on the grass.", "The brown dog is running, fast!"),
    3: ("Two cats sleep on a sofa.", "A pair of cats on the couch"),
    5: ("A man rides a red motorcycle down a street", "A man on a motorcycle"),
}
CAPTIONS = {7: "A brown dog runs on grass.", 3: "two cats on a couch", 5: "two cats on a couch"}
RESULTS: list[dict[str, Any]] = [{"image_id": image, "caption": caption} for image, caption in CAPTIONS.items()]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return running("captions", capsys)


def coco(texts: dict[int, tuple[str, ...]]) -> dict[str, Any]:
    pairs = [(image, text) for image, each in texts.items() for text in each]
    return {
        "images": [{"id": image, "file_name": f"{image}.jpg"} for image in texts],
        "annotations": [{"id": at, "image_id": image, "caption": text} for at, (image, text) in enumerate(pairs)],
    }


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    return write(tmp_path / "captions.json", coco(TEXTS))


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return write(tmp_path / "r.json", RESULTS)


def lines_of(out: str) -> dict[str, list[str]]:
    return {line.split()[0]: line.split()[1:] for line in out.splitlines() if line.strip()}


def test_what_is_printed(results: Path, truth: Path, run: Run) -> None:
    """BLEU-1 by hand: 6 of 6 words are right, 5 of 5, and 2 of 5 (on, a); 16 words, 6 + 6 + 5 in the references."""
    out = run(results, "--references", truth, *FAST)
    assert out.startswith(f"{results}: 3 captions\n{truth}: 3 images, 6 references\ntokens: regex, close to")
    found = lines_of(out)
    assert list(found)[3:10] == ["%", "BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "ROUGE-L", "CIDEr"]
    one = score(CAPTIONS, TEXTS, ("bleu", "rouge_l", "cider"), "regex")
    assert found["BLEU-1"] == [f"{100 * 13 / 16 * math.exp(1 - 17 / 16):.2f}"]
    assert found["BLEU-4"] == [f"{100 * one.values['bleu4']:.2f}"]
    assert found["CIDEr"] == [f"{100 * one.values['cider']:.2f}"]
    assert found["different"] == ["2", "of", "3", "captions", "(66.67%)"]
    assert found["vocabulary"] == ["9", "words"]
    assert found["distinct-1"][0] == "56.25%"
    assert found["distinct-2"][0] == "69.23%", "9 of 5 + 4 + 4"
    assert found["mean"][:2] == ["length", "5.33"]
    assert "novel" not in found


def test_every_number_has_a_title() -> None:
    keys = [key for name in METRICS for key in ([f"bleu{n}" for n in (1, 2, 3, 4)] if name == "bleu" else [name])]
    assert list(TITLES) == keys


def test_published_numbers(real_data: Path, run: Run, tmp_path: Path) -> None:
    """The caption server's example: all digits of BLEU-4, all published ones of the rest."""
    folder, out = real_data / "metrics/captions", tmp_path / "new" / "out.json"
    references = folder / "captions_val2014_fakecap1000.json"
    text = run(folder / "captions_val2014_fakecap_results.json", "--references", references, "--json", out, *FAST[2:])
    expected, found = json.loads((folder / "expected.json").read_text()), json.loads(out.read_text())
    assert found["scores"]["bleu4"] / 100 == expected["Bleu_4_full_digits"]
    names = {"bleu1": "Bleu_1", "bleu2": "Bleu_2", "bleu3": "Bleu_3", "rouge_l": "ROUGE_L", "cider": "CIDEr"}
    for key, name in names.items():
        assert round(found["scores"][key] / 100, 3) == expected[name]
    assert (found["candidate_length"], found["reference_length"]) == (expected["guess"][0], expected["reflen"])
    assert lines_of(text)["BLEU-4"] == ["19.08"]
    assert "tokens: Stanford's PTB" in text
    assert found["tokenizer"] == "ptb"
    assert text.endswith(f"Written: {out}\n")


def test_json_holds_what_was_asked_for(results: Path, truth: Path, run: Run, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    run(results, "--references", truth, "--json", out, "--metrics", "rouge_l", *REGEX)
    found = json.loads(out.read_text())
    assert set(found) == {
        "results", "references", "images", "tokenizer", "scores", "candidate_length", "reference_length", "diversity"
    }  # fmt: skip
    assert (list(found["scores"]), found["tokenizer"], found["images"]) == (["rouge_l"], "regex", 3)
    assert found["references"] == {"name": str(truth), "images": 3, "captions": 6}
    assert found["diversity"]["novel"] is None
    assert found["diversity"]["distinct1"] == 56.25
    run(results, "--references", truth, "--json", out, "--bootstrap", 100, "--against", results, *FAST)
    found = json.loads(out.read_text())
    assert (found["intervals"]["resamples"], found["intervals"]["seed"], found["intervals"]["level"]) == (100, 0, 0.95)
    cider = found["scores"]["cider"]
    same = {"first": cider, "second": cider, "value": 0.0, "interval": [0.0, 0.0], "share_above": 0.0}
    assert found["difference"] == {"against": str(results), "resamples": 100, "seed": 0} | {
        key: same | {"first": value, "second": value} for key, value in found["scores"].items()
    }


def test_karpathys_file_and_training_captions(results: Path, run: Run, tmp_path: Path) -> None:
    """The same images as a split of Karpathy's; the same captions from two formats."""
    training: dict[int, tuple[str, ...]] = {1: ("Two cats on a couch!", "A bus."), 2: ("A brown dog runs.",)}
    splits: dict[str, dict[int, tuple[str, ...]]]
    splits = {"test": TEXTS, "train": {1: training[1]}, "restval": {2: training[2]}}
    images: list[dict[str, Any]] = []
    for split, texts in splits.items():
        for image, each in texts.items():
            sentences = [{"raw": text, "sentid": 10 * len(images) + at} for at, text in enumerate(each)]
            names = {"cocoid": image, "imgid": len(images), "filepath": "val2014", "filename": f"{image}.jpg"}
            images.append({**names, "split": split, "sentences": sentences})
    dataset = write(tmp_path / "dataset.json", {"images": images})
    other = write(tmp_path / "training.json", coco(training))
    for where in (dataset, other):
        out = run(results, "--references", dataset, "--split", "test", "--training", where, *FAST)
        assert out.splitlines()[1] == f"{dataset} test: 3 images, 6 references"
        assert f"novel        1 of 3 captions (33.33%): not in the 3 captions of {where}" in out
    said = run(results, "--references", dataset, "--split", "train", *FAST, code=2)
    assert said.startswith(f"{results}: captions of 3 images that {dataset} train does not have (7, 3, 5). It has 1,")
    whole = run(results, "--references", write(tmp_path / "c.json", coco(TEXTS)), *FAST)
    assert lines_of(whole)["CIDEr"] == lines_of(out)["CIDEr"]


def test_a_subset_is_asked_for(truth: Path, run: Run, tmp_path: Path) -> None:
    some = write(tmp_path / "some.json", RESULTS[:2])
    said = run(some, "--references", truth, *FAST, code=2)
    assert said.startswith(f"{some}: no caption of 1 image of {truth} (5). All 3 count")
    out = run(some, "--references", truth, "--subset", *FAST)
    assert "3 images, 6 references; scored are the 2 that have a caption" in out
    unknown = write(tmp_path / "unknown.json", [*RESULTS, {"image_id": 9, "caption": "a bus"}])
    for args in ((), ("--subset",)):
        said = run(unknown, "--references", truth, *args, *FAST, code=2)
        assert said == f"{unknown}: captions of 1 image that {truth} does not have (9). It has 3, such as 3, 5, 7\n"


def test_a_difference_is_paired_by_image(results: Path, truth: Path, run: Run, tmp_path: Path) -> None:
    """Other results in another order, and with --subset more of them; numbers as from `differences`."""
    other = [{**entry, "caption": "a dog on a street"} for entry in RESULTS]
    path, out = write(tmp_path / "o.json", other[::-1]), tmp_path / "out.json"
    names = ("bleu", "rouge_l")
    args = ("--references", truth, "--metrics", "bleu,rouge_l", "--json", out, "--seed", 4, *REGEX)
    texts = dict(sorted(TEXTS.items()))  # the order of the references, which the resamples go by
    mine = score(CAPTIONS, texts, names, "regex")
    others = score(dict.fromkeys(CAPTIONS, "a dog on a street"), texts, names, "regex")
    for more, resamples in (((), 1000), (("--bootstrap", 150), 150)):
        text = run(results, "--against", path, *args, *more)
        expected = differences(mine, others, resamples, 4)["rouge_l"]
        found = json.loads(out.read_text())["difference"]["rouge_l"]
        assert (found["value"], found["share_above"]) == (expected.value, expected.share_above)
        assert tuple(found["interval"]) == expected.interval
        assert f"against {path}, in the same {resamples} resamples of the images" in text
        found = json.loads(out.read_text())["difference"]
        assert (found["resamples"], found["seed"]) == (resamples, 4)
    assert json.loads(out.read_text())["intervals"]["values"]["bleu1"] == list(intervals(mine, 150, 4).values["bleu1"])
    some = write(tmp_path / "some.json", RESULTS[:2])
    assert f"against {path}" in run(some, "--against", path, "--subset", *args)
    said = run(results, "--against", some, "--subset", *args, code=2)
    assert said == f"{some}: no caption of 1 image of {results} (5)\n"
    assert run(results, "--against", some, *args, code=2).startswith(f"{some}: no caption of 1 image of {truth} (5).")


def test_files_image_by_image(truth: Path, run: Run, tmp_path: Path) -> None:
    caption = 'A "brown", dog\nruns =on grass\x00'
    results = write(tmp_path / "r.json", [{"image_id": 7, "caption": caption}, *RESULTS[1:]])
    out = tmp_path / "out.csv"
    run(results, "--references", truth, "--per-image", out, "--metrics", "rouge_l,bleu", *REGEX)
    with out.open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert list(lines[0]) == ["image_id", "words", "rouge_l", "bleu1", "bleu2", "bleu3", "bleu4", "caption"]
    assert [line["image_id"] for line in lines] == ["3", "5", "7"]
    assert lines[2]["caption"] == 'A "brown", dog runs =on grass'
    assert (lines[0]["words"], lines[0]["bleu1"]) == ("5", "81.8731"), "4 words are 5 of 5, but the closest has 6"
    one = score({**CAPTIONS, 7: caption}, TEXTS, ("rouge_l",), "regex")
    assert np.mean([float(line["rouge_l"]) for line in lines]) == pytest.approx(100 * one.values["rouge_l"], rel=1e-5)


def test_a_page_of_captions(results: Path, truth: Path, run: Run, tmp_path: Path) -> None:
    for image in (7, 3):
        Image.new("RGB", (64, 48)).save(tmp_path / f"{image}.jpg")
    page = tmp_path / "page.html"
    out = run(results, "--references", truth, "--gallery", page, "--images", tmp_path, "--against", results, *FAST)
    assert out.endswith(f"Written: {page}\n")
    assert page.read_text().count("data:image/jpeg") == 2
    assert page.read_text().count("two cats on a couch") == 4
    assert "<h2>Median by CIDEr</h2>" in page.read_text()
    args = ("--gallery-by", "bleu2", "--gallery-count", 1, "--metrics", "bleu", *REGEX)
    run(results, "--references", truth, "--gallery", page, *args)
    assert "<h2>Best by BLEU-2</h2>" in page.read_text()
    assert "data:image" not in page.read_text()
    assert "Tokens: regex, close to" in page.read_text()


def test_captions_without_words_are_a_warning_that_names_the_file(
    results: Path,
    truth: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    entries = [{"image_id": 7, "caption": "a"}, {"image_id": 3, "caption": ""}, {"image_id": 5, "caption": " \n"}]
    empty = write(tmp_path / "e.json", entries)
    for path, other, named in ((empty, results, 1), (results, empty, 1), (empty, empty, 1), (results, results, 0)):
        assert main(["captions", str(path), "--references", str(truth), "--against", str(other), *FAST]) == 0
        said = capsys.readouterr().err
        assert said.count("\n") == said.count(f"warning: {empty}: 2 of 3 captions have no words") == named
    assert not caplog.records  # said once, though somebody listens to all logs


def test_images_that_are_not_there_are_a_warning(
    results: Path, truth: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGB", (64, 48)).save(tmp_path / "3.jpg")
    args = ["--references", truth, "--gallery", tmp_path / "page.html", "--images", tmp_path, *FAST]
    assert main(["captions", str(results), *map(str, args)]) == 0
    said = capsys.readouterr().err
    assert said.startswith("warning: 2 images cannot be shown, such as ")
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--metrics", "bleu,blue"), "metrics blue, expected some of bleu,"),
        (("--seed", "3"), "--seed: of --bootstrap and --against"),
        (("--images", "."), "--images: of --gallery"),
        (("--gallery-by", "cider", "--gallery-count", "3"), "--gallery-by, --gallery-count: of --gallery"),
        (("--gallery", "p.html", "--images", "none"), "--images none: no such folder"),
        (("--gallery", "p.html", "--images", "/"), "--images /: none of the 3 files that "),
        (
            ("--gallery", "p.html", "--metrics", "bleu"),
            "cider, which --metrics does not ask for: --gallery-by bleu1|",
        ),
        (("--gallery", "p.html", "--gallery-by", "bleu"), "ranks by bleu, which"),
        (("--gallery", "p.html", "--gallery-by", "bleu5"), "ranks by bleu5"),
        (("--json", "."), ".: cannot be written: a folder has this name"),
        (("--per-image", f"{__file__}/out.csv"), f"{__file__} is no folder"),
        (("--json", "o", "--per-image", "./o"), "o, o: two files of one name"),
        (("--against", "none.json"), "none.json"),
        (("--training", "none.json"), "none.json"),
        (("--split", "test"), "--split test: of Karpathy's"),
    ],
)
def test_refused_before_anything_is_scored(
    results: Path, truth: Path, run: Run, monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...], message: str
) -> None:
    def scored(*_: object) -> None:
        raise AssertionError("scored")

    monkeypatch.setattr("eval.captions.evaluation.score", scored)
    assert message in run(results, "--references", truth, *args, code=2)


def test_what_is_missing_is_said_before_files_are_read(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> None:
        raise EvalError("no Java")

    monkeypatch.setattr("eval.captions.scores.runtime", none)
    assert run("none.json", "--references", "none.json", code=2) == "no Java\n"


def test_references_from_a_pipe_are_refused(results: Path, run: Run) -> None:
    """They are read twice; the second time there would be nothing."""
    reader, writer = os.pipe()
    os.close(writer)
    path = Path(f"/dev/fd/{reader}")
    for args in (("--references", path), ("--references", results, "--training", path)):
        assert run(results, *args, *FAST, code=2).startswith(f"{path}: a pipe, which can be read only once")
    os.close(reader)


def test_no_input_is_written_over(results: Path, truth: Path, run: Run) -> None:
    before = (results.read_bytes(), truth.read_bytes())
    assert "is read; it is not written over" in run(results, "--references", truth, "--json", results, code=2)
    assert "is read; it is not written over" in run(results, "--references", truth, "--gallery", truth, code=2)
    assert (results.read_bytes(), truth.read_bytes()) == before


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--bootstrap", "10", "expected at least 100"),
        ("--seed", "-1", "-1, expected a whole number, 0 or more"),
        ("--gallery-count", "0", "0, expected a whole number, 1 or more"),
        ("--metrics", ",", "expected at least one name"),
        ("--tokenizer", "nltk", "invalid choice: 'nltk'"),
    ],
)
def test_values_that_are_refused(capsys: pytest.CaptureFixture[str], option: str, value: str, message: str) -> None:
    with pytest.raises(SystemExit):
        main(["captions", "r.json", "--references", "c.json", option, value])
    assert message in capsys.readouterr().err


def test_files_that_are_missing_are_named(results: Path, truth: Path, run: Run, tmp_path: Path) -> None:
    none = tmp_path / "none.json"
    assert run(none, "--references", truth, code=2).startswith(f"{none}: cannot be read (No such file")
    assert run(results, "--references", none, code=2).startswith(f"{none}: cannot be read (No such file")
    results.write_bytes(results.read_bytes()[:-9])
    assert run(results, "--references", truth, code=2).startswith(f"{results}: malformed JSON")


def test_numbers_are_printed_though_a_file_cannot_be_written(
    results: Path, truth: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    args = [results, "--references", truth, "--json", tmp_path / "out.json", "--metrics", "rouge_l", *REGEX]
    assert main(["captions", *map(str, args)]) == 2
    captured = capsys.readouterr()
    assert "cannot be written: No space left" in captured.err
    assert re.search(r"^ROUGE-L +\d", captured.out, re.MULTILINE)
    assert not list(tmp_path.glob("*out.json*"))


def test_a_closed_pipe_is_no_traceback_and_costs_no_file(results: Path, truth: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    args = ["captions", results, "--references", truth, "--json", out, "--metrics", "rouge_l", *REGEX]
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer) as pipe:
        command = [sys.executable, "-m", "eval", *map(str, args)]
        done = subprocess.run(command, stdout=pipe, stderr=subprocess.PIPE, text=True, cwd=ROOT, check=False)
    assert (done.returncode, done.stderr) == (1, "")
    assert json.loads(out.read_text())["scores"]["rouge_l"] > 0


def test_runs_without_torch(results: Path, truth: Path, tmp_path: Path) -> None:
    args = ["eval", "captions", results, "--references", truth, "--bootstrap", "100", "--gallery", tmp_path / "p.html"]
    argv = [*map(str, args), *FAST]
    code = f"{BLOCK_TORCH}\nsys.argv = {argv!r}\nimport runpy\nrunpy.run_module('eval', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"^BLEU-1 +\d+\.\d\d +\d+\.\d\d to \d+\.\d\d$", done.stdout, re.MULTILINE)


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom eval.__main__ import main\n"
        "try:\n    main(['captions', '--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'numpy', 'msgspec', 'pycocoevalcap', 'PIL', 'torch', 'numba'} & set(sys.modules)\n"
        "sys.exit(', '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "--references FILE" in done.stdout
