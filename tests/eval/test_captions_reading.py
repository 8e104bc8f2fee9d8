"""Results and references from files: what is read, and what is refused by the name of file and entry."""

import json
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from core.data.records import DataError
from eval.captions.reading import image_files, is_karpathy, matched, read_references, read_results, read_training
from eval.errors import EvalError

RESULTS = [{"image_id": 7, "caption": "a dog"}, {"image_id": 3, "caption": "a cat"}, {"image_id": 5, "caption": ""}]
COCO = {
    "images": [{"id": 7, "file_name": "7.jpg"}, {"id": 3, "file_name": "../3.jpg"}, {"id": 5, "file_name": "/5.jpg"}],
    "annotations": [
        {"id": 2, "image_id": 7, "caption": "Two dogs."},
        {"id": 1, "image_id": 7, "caption": " A dog\n runs. "},
        {"id": 4, "image_id": 3, "caption": "A cat."},
        {"id": 3, "image_id": 5, "caption": "A bus."},
    ],
}


def image(number: int, split: str, *texts: str) -> dict[str, Any]:
    sentences = [{"raw": text, "sentid": 10 * number + at} for at, text in enumerate(texts)]
    names = {"filepath": "val2014", "filename": f"{number}.jpg", "cocoid": 100 + number, "imgid": number}
    return {**names, "split": split, "sentences": sentences}


KARPATHY = {
    "dataset": "coco",
    "images": [
        image(0, "test", "A dog.", "Two dogs."), image(1, "train", "A cat."), image(2, "restval", "A bus."),
        image(3, "val", "A boat."),
    ],
}  # fmt: skip


def write(path: Path, content: object) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_results_in_the_files_order(tmp_path: Path) -> None:
    expected = {7: "a dog", 3: "a cat", 5: ""}
    for content in (RESULTS, {"annotations": RESULTS, "info": {}}, [entry | {"perplexity": 2.5} for entry in RESULTS]):
        found = read_results(write(tmp_path / "r.json", content))
        assert list(found.items()) == list(expected.items())


def test_results_of_other_programs(tmp_path: Path) -> None:
    """A byte order mark, Python's NaN beside the caption, and half a character of a broken one."""
    entries = '[{"image_id": 7, "caption": "a \\ud83d dog", "entropy": NaN}]'
    assert read_results(write(tmp_path / "r.json", entries)) == {7: "a \ud83d dog"}
    path = tmp_path / "mark.json"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(RESULTS).encode())
    assert len(read_results(path)) == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([*RESULTS, RESULTS[1]], "r.json: image 3 is there 2 times (entries $[1], $[3]); expected one caption"),
        ([*RESULTS, *RESULTS, RESULTS[0]], "image 7 is there 3 times (entries $[0], $[3], $[6]), and 2 images more"),
        ([], "r.json: no captions; expected COCO's results"),
        ({"annotations": []}, "r.json: no captions"),
        ([{"image_id": 7}], "missing required field `caption`"),
        ([*RESULTS, {"image_id": 7}], "$[3]"),
        ([{"caption": "a dog"}], "missing required field `image_id`"),
        ([{"image_id": "7", "caption": "a dog"}], "Expected `int`, got `str`"),
        ([{"image_id": True, "caption": "a dog"}], "Expected `int`, got `bool`"),
        ([{"image_id": 7, "caption": None}], "`$[0].caption`"),
        ([{"image_id": 7, "caption": ["a", "dog"]}], "`$[0].caption`"),
        ('[{"image_id": 7, "caption": NaN}]', "`$[0].caption`"),
        ({"results": RESULTS}, "annotations"),
        (json.dumps(RESULTS)[:-20], "r.json: malformed JSON"),
        ("", "r.json: malformed JSON"),
        ("7", "r.json"),
    ],
)
def test_results_that_are_refused(tmp_path: Path, content: object, message: str) -> None:
    with pytest.raises((EvalError, DataError)) as caught:
        read_results(write(tmp_path / "r.json", content))
    assert message in str(caught.value)
    assert "r.json: " in str(caught.value)


def test_a_results_file_that_is_not_there(tmp_path: Path) -> None:
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(DataError, match=rf"{path}: cannot be read"):
            read_results(path)


def test_references_of_coco(tmp_path: Path) -> None:
    path = write(tmp_path / "captions.json", COCO)
    assert read_references(path) == {3: ("A cat.",), 5: ("A bus.",), 7: ("A dog runs.", "Two dogs.")}
    assert not is_karpathy(path)
    assert read_training(path) == ["A cat.", "A bus.", "A dog runs.", "Two dogs."]
    with pytest.raises(EvalError, match=r"--split test: of Karpathy's.*captions.json is no such file"):
        read_references(path, "test")


def test_references_of_karpathy(tmp_path: Path) -> None:
    path = write(tmp_path / "dataset.json", KARPATHY)
    assert read_references(path, "test") == {100: ("A dog.", "Two dogs.")}
    assert read_references(path, "val") == {103: ("A boat.",)}
    assert read_training(path) == ["A cat.", "A bus."]
    with pytest.raises(EvalError, match=r"several splits: say --split train\|restval\|val\|test"):
        read_references(path)
    with pytest.raises(EvalError, match=r"--split dev: .* has no such split; there are train, restval, val, test"):
        read_references(path, "dev")


def test_karpathy_without_a_split_to_train_on(tmp_path: Path) -> None:
    path = write(tmp_path / "dataset.json", {"images": [image(0, "test", "A dog.")]})
    with pytest.raises(EvalError, match="no split to train on: expected train or restval, there are test"):
        read_training(path)


@pytest.mark.parametrize("content", ["", "[", "[]", {"images": []}, {"images": 3}, {}, {"annotations": []}])
def test_references_that_are_malformed_are_refused_by_their_reader(tmp_path: Path, content: object) -> None:
    path = write(tmp_path / "captions.json", content)
    for read in (read_references, read_training):
        with pytest.raises(DataError, match=r"captions.json"):
            read(path)
    with pytest.raises(DataError, match=r"none.json: cannot be read"):
        read_references(tmp_path / "none.json")


def test_a_file_that_is_cut_off_is_told_as_such(tmp_path: Path) -> None:
    for content in (KARPATHY, COCO):
        path = write(tmp_path / "cut.json", json.dumps(content)[:-30])
        for split in (None, "test"):
            with pytest.raises(DataError, match=r"cut.json: malformed JSON .* is it whole"):
                read_references(path, split)


def test_where_images_lie(tmp_path: Path) -> None:
    """None that a file would fetch from elsewhere."""
    assert image_files(write(tmp_path / "captions.json", COCO)) == {7: PurePosixPath("7.jpg")}
    found = image_files(write(tmp_path / "dataset.json", KARPATHY))
    assert found == {100 + number: PurePosixPath(f"val2014/{number}.jpg") for number in range(4)}
    flickr = image(4, "test", "A dog.")
    del flickr["filepath"], flickr["cocoid"]
    assert image_files(write(tmp_path / "dataset.json", {"images": [flickr]})) == {4: PurePosixPath("4.jpg")}


def test_images_are_matched() -> None:
    files = (Path("r.json"), "captions.json")
    references = {image: (f"caption of {image}",) for image in range(20)}
    whole = dict.fromkeys(reversed(range(20)), "a dog")
    found = matched(files[0], whole, files[1], references, False)
    assert list(found.items()) == list(references.items()), "the results' order changes nothing"
    some = {5: "a dog", 2: "a cat"}
    assert list(matched(files[0], some, files[1], references, True)) == [2, 5]
    with pytest.raises(EvalError) as caught:
        matched(files[0], some, files[1], references, False)
    assert "r.json: no caption of 18 images of captions.json (0, 1, 3, 4, 6, 7, 8, 9, 10, 11, ...). All" in str(
        caught.value
    )
    assert "--subset scores those 2 alone" in str(caught.value)
    for subset in (False, True):
        with pytest.raises(
            EvalError, match=r"r.json: captions of 1 image that captions.json does not have \(99\)\. It has 20"
        ):
            matched(files[0], {**whole, 99: "a bus"}, files[1], references, subset)


def test_real_files(real_data: Path) -> None:
    folder = real_data / "metrics/captions"
    results = read_results(folder / "captions_val2014_fakecap_results.json")
    where = folder / "captions_val2014_fakecap1000.json"
    references = read_references(where)
    assert len(results) == len(references) == 1000
    assert set(matched(folder, results, str(where), references, False)) == set(results)
    assert image_files(where)[404464].name == "COCO_val2014_000000404464.jpg"
    assert len(read_training(real_data / "coco/annotations/captions_train2017.json")) == 600
