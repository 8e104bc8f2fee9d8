"""Pixels against loops written plainly, and PxAP against wsolevaluation's published number."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.errors import EvalError
from eval.localization import ScoreMap, Settings, Truth, Window, evaluate, examine, report
from eval.localization.baselines import rings
from eval.localization.masks import count_pixels, read_mask, thresholds
from eval.localization.pixels import average_precision
from tests.eval.localization_case import reference_case


def write(path: Path, mask: np.ndarray) -> Path:
    cv2.imwrite(str(path), mask.astype(np.uint8) * 255)
    return path


def plain_average_precision(scores: list[float], inside: list[bool], weights: list[float]) -> float:
    """Percent; pixels one by one, those of equal score together."""
    total = sum(w for w, here in zip(weights, inside, strict=True) if here)
    found, before = 0.0, 0.0
    for score in sorted(set(scores), reverse=True):
        kept = [(w, here) for s, w, here in zip(scores, weights, inside, strict=True) if s >= score]
        hit = sum(w for w, here in kept if here)
        found += hit / sum(w for w, _ in kept) * (hit - before) / total
        before = hit
    return 100 * found


def test_pxap_of_wsolevaluation(real_data: Path, tmp_path: Path) -> None:
    case = reference_case(real_data)
    with np.load(case.folder / "masks.npz") as archive:
        shape = tuple(archive["shape"])
        masks, ignored = (np.unpackbits(archive[k])[: np.prod(shape)].reshape(shape) for k in ("mask", "ignore"))
    ids = [truth.id for truth in case.truths]
    truths = [
        Truth(
            name,
            (224, 224),
            masks=(write(tmp_path / f"{i}.png", masks[i]),),
            ignore=write(tmp_path / f"{i}i.png", ignored[i]),
        )
        for i, name in enumerate(ids)
    ]
    for levels in (100, 1000):
        config = Settings("compat", levels=levels)
        for maps in (case.maps, case.maps / 255.0):
            found = evaluate(zip(ids, maps, strict=True), truths, config, resamples=0)
            assert found.pixels is not None
            assert found.pixels.pxap.value == case.expected["pxap"][str(1 / levels)]
        assert found.measures == {}


def plain_scores(score_map: ScoreMap, truth: Truth, shape: tuple[int, int]) -> np.ndarray:
    """The map's value, as a share of its maximum, at the centre of every pixel of a mask; -1 beyond its window.

    What of the map has its centre beyond the image is padding: it is beyond the window as well.
    """
    height, width = shape
    x0, y0, x1, y1 = score_map.window or (0, 0, *truth.size)
    found, rows, columns = np.full(shape, -1.0), *score_map.values.shape
    known = {
        (row, column): score_map.values[row, column]
        for row in range(rows)
        for column in range(columns)
        if 0 <= y0 + (row + 0.5) / rows * (y1 - y0) < truth.size[1]
        and 0 <= x0 + (column + 0.5) / columns * (x1 - x0) < truth.size[0]
    }
    peak = max(known.values())
    for row in range(height):
        for column in range(width):
            x, y = (column + 0.5) * truth.size[0] / width, (row + 0.5) * truth.size[1] / height
            if x0 <= x < x1 and y0 <= y < y1:
                place = int((y - y0) / (y1 - y0) * rows), int((x - x0) / (x1 - x0) * columns)
                found[row, column] = known[place] / peak if place in known else -1
    return found


@given(st.integers(0, 2**32))
@settings(max_examples=25, deadline=None)
def test_corrected_against_pixels_one_by_one(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    """Masks and maps of any sizes, windows that miss a part of the image, ignored pixels, two instances."""
    rng, folder = np.random.default_rng(seed), tmp_path_factory.mktemp("masks")
    maps, truths, scores, inside, weights = [], {}, list[float](), list[bool](), list[float]()
    for name in "ab":
        shape = int(rng.integers(2, 9)), int(rng.integers(2, 9))
        objects, ignored = rng.random((2, *shape)) < 0.3, rng.random(shape) < 0.2
        objects[0, 0, 0] = True
        truth = Truth(
            name,
            (int(rng.integers(5, 50)), int(rng.integers(5, 50))),
            masks=tuple(write(folder / f"{name}{i}.png", objects[i]) for i in range(2)),
            ignore=write(folder / f"{name}.png", ignored),
        )
        window: Window | None = (1.3, -2.1, truth.size[0] - 1.7, truth.size[1] + 2.2) if rng.random() < 0.5 else None
        values = (rng.integers(0, 5, (int(rng.integers(1, 7)), int(rng.integers(1, 7)))) + 1) / 8
        values[0, 0] = 1.0 if values.size > 1 else values[0, 0]
        if values.min() == values.max():
            values = np.array([[0.25, 1.0]])
        maps.append(ScoreMap(name, values, window))
        truths[name] = truth
        union = objects[0] | objects[1]
        kept = union | ~ignored
        scores += plain_scores(maps[-1], truth, shape)[kept].tolist()
        inside += union[kept].tolist()
        weights += [1 / union.size] * int(kept.sum())
    found = report(lambda: iter([examine(maps, truths, Settings())]), Settings(), resamples=0).pixels
    assert found is not None
    assert found.pxap.value == pytest.approx(plain_average_precision(scores, inside, weights))
    score, there, weight = np.array(scores), np.array(inside), np.array(weights)
    plain = {
        t: 100 * weight[(score >= t) & there].sum() / weight[(score >= t) | there].sum()
        for t in [*np.unique(score), 0.15]
    }
    assert found.iou.fixed.value == pytest.approx(plain[0.15])
    assert found.iou.best.value == pytest.approx(max(value for t, value in plain.items() if t >= 0))


def test_intervals_of_pixels(tmp_path: Path) -> None:
    """Ten images alike: drawing them again changes nothing. A bad one among them: some resamples have it, some not."""
    mask = np.zeros((8, 8), bool)
    mask[2:5, 2:5] = True
    path = write(tmp_path / "m.png", mask)
    truths = {str(i): Truth(str(i), (8, 8), masks=(path,)) for i in range(10)}
    good = [ScoreMap(name, mask + 0.0) for name in truths]
    for maps, spread in ((good, False), ([*good[:9], ScoreMap("9", 1.0 - mask)], True)):
        pieces = [examine(some, truths, Settings()) for some in (maps[:4], maps[4:])]
        found = report(lambda pieces=pieces: iter(pieces), Settings(), resamples=50).pixels  # type: ignore[misc]
        assert found is not None
        for at in (found.pxap, found.iou.fixed, found.iou.best):
            assert at.interval is not None
            assert (at.interval[0] < at.value < at.interval[1]) is spread
            assert spread or at.interval == pytest.approx((100, 100))


def test_centre_gaussian(tmp_path: Path) -> None:
    """An object around the middle that no pixel outside is nearer to: a perfect baseline."""
    mask = np.zeros((9, 9), bool)
    mask[3:6, 3:6] = True
    truth = Truth("a", (90, 30), masks=(write(tmp_path / "m.png", mask),))
    found = report(lambda: iter([examine([ScoreMap("a", np.eye(3))], {"a": truth}, Settings())]), Settings())
    assert found.baselines["centre_gaussian"]["pxap"].value == pytest.approx(100)


def test_map_without_an_opinion_calls_all_object(tmp_path: Path) -> None:
    truth = Truth("a", (4, 4), masks=(write(tmp_path / "m.png", np.tri(4, dtype=bool)),))
    for value in (0.0, 7.0):
        flat = ScoreMap("a", np.full((2, 2), value, np.float32))
        found = report(lambda flat=flat: iter([examine([flat], {"a": truth}, Settings())]), Settings()).pixels  # type: ignore[misc]
        assert found is not None
        assert [found.pxap.value, found.iou.best.value] == pytest.approx([62.5, 62.5])


def test_padding_is_no_part_of_a_map(tmp_path: Path) -> None:
    """The brightest pixels are above the image: scaled by them, the object would be below every threshold but 0."""
    mask = np.zeros((4, 4), bool)
    mask[1:3, 1:3] = True
    values = np.vstack([np.full((2, 4), 1e9), mask * 0.5, np.full((2, 4), 1e9)])
    truth = Truth("a", (4, 4), masks=(write(tmp_path / "m.png", mask),))
    window = (0.0, -2.0, 4.0, 6.0)
    found = report(
        lambda: iter([examine([ScoreMap("a", values, window)], {"a": truth}, Settings())]), Settings()
    ).pixels
    assert found is not None
    assert (found.pxap.value, found.iou.fixed.value) == (100, 100)
    beyond = ScoreMap("a", np.eye(2), (4.0, 0.0, 8.0, 4.0))
    with pytest.raises(EvalError, match=r"a: the map's window .* has no pixel in the image"):
        examine([beyond], {"a": truth}, Settings())


def masks_of_all_kinds(folder: Path) -> dict[str, np.ndarray]:
    """Files that have the same pixels, by what they hold: where OpenCV's 8-bit grey is black all the same is False."""
    where = np.tri(4, dtype=np.uint8)
    alpha = np.full((4, 4), 255, np.uint8)
    kinds: dict[str, np.ndarray] = {
        "8 bits": where,
        "16 bits": where.astype(np.uint16) * 7,
        "16 bits, large": where.astype(np.uint16) * 256,
        "colour": np.stack([where, 0 * where, 0 * where], axis=2),
        "alpha": np.stack([where * 255] * 3 + [alpha], axis=2),
    }
    for name, pixels in kinds.items():
        cv2.imwrite(str(folder / f"{name}.png"), pixels)
    return kinds


def test_masks_of_any_kind(tmp_path: Path) -> None:
    where = np.tri(4, dtype=bool)
    for name in masks_of_all_kinds(tmp_path):
        path = tmp_path / f"{name}.png"
        assert (read_mask(path, "corrected") == where).all(), name
        assert (read_mask(path, "compat") == (np.asarray(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)) > 0)).all(), name
    assert not read_mask(tmp_path / "16 bits.png", "compat").any()


def test_what_is_kept_of_the_centre_gaussian_is_small() -> None:
    """Of photographs it would be the evaluation's largest memory."""
    assert rings(300, 400).dtype == np.uint8
    assert rings.cache_info().maxsize == 2
    assert (int(rings(301, 401)[150, 200]), int(rings(1500, 1500).min())) == (199, 0)


def test_of_masks_of_two_sizes_the_first_is_asked(tmp_path: Path) -> None:
    """Compared with OpenCV's resize by the nearest pixel, as wsolevaluation resizes."""
    small, large = np.eye(2, dtype=bool), np.tri(6, dtype=bool)
    truth = Truth("a", (6, 6), masks=(write(tmp_path / "l.png", large), write(tmp_path / "s.png", small)))
    counted = count_pixels(np.ones((1, 2)), truth, (0, 0, 6, 6), Settings())
    union = large | (cv2.resize(small.astype(np.uint8), (6, 6), interpolation=cv2.INTER_NEAREST) > 0)
    assert (counted.inside.sum(), counted.outside.sum(), counted.total) == (union.sum(), 36 - union.sum(), 36)


def test_average_precision_of_nothing_found_is_nothing() -> None:
    assert average_precision(np.array([4.0, 0, 0]), np.array([6.0, 0, 5])) == pytest.approx(100 * 4 / 15)


def test_at_most_a_thousand_thresholds() -> None:
    assert [len(thresholds(Settings(levels=levels))) for levels in (20, 5000)] == [22, 1002]
    assert len(thresholds(Settings(levels="exact"))) == 1002


def test_refused(tmp_path: Path) -> None:
    good = write(tmp_path / "m.png", np.tri(4, dtype=bool))
    bad, none = tmp_path / "bad.png", tmp_path / "none.png"
    bad.write_bytes(good.read_bytes()[:20])
    square, whole = np.ones((224, 224)), (0.0, 0.0, 4.0, 4.0)
    for masks, ignore, message in (
        ((good, none), None, f"a: mask {none} cannot be read: No such file"),
        ((bad,), None, f"a: mask {bad} is not an image, or damaged"),
        ((good,), bad, f"a: mask {bad} is not an image"),
    ):
        with pytest.raises(EvalError, match=message):
            count_pixels(square, Truth("a", (4, 4), masks=masks, ignore=ignore), whole, Settings())
    truth, compat = Truth("a", (4, 4), masks=(good,)), Settings("compat")
    for values, window, message in (
        (np.ones((4, 4)), whole, "a: compat compares masks with maps of 224 x 224 only"),
        (square, (0.0, 0.0, 2.0, 4.0), "a: compat knows maps of the whole image"),
        (square + 1, whole, "a: compat expects values from 0 to 1, came 2 to 2"),
    ):
        with pytest.raises(EvalError, match=message):
            count_pixels(values, truth, window, compat)
    black = Truth("a", (4, 4), masks=(write(tmp_path / "b.png", np.zeros((4, 4), bool)),))
    with pytest.raises(EvalError, match="no pixel of an object in any mask"):
        evaluate([("a", square)], [black])
