"""Exact best thresholds against a plain loop over all that could differ."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.localization.accuracy import Hits, hits, join_hits
from tests.eval.localization_runs import Image, every_threshold, images, iou_at, runs

SMALL = settings(max_examples=200, deadline=None)


def found(some: list[Image], iou: float) -> Hits:
    made = runs(some)
    return hits(made, made.iou >= iou)


def plain_counts(some: list[Image], iou: float, thresholds: list[float]) -> list[int]:
    return [sum(iou_at(image, threshold) >= iou for image in some) for threshold in thresholds]


@given(images(), st.sampled_from([0.1, 0.5, 0.7]))
@SMALL
def test_best_of_all_thresholds(some: list[Image], iou: float) -> None:
    thresholds = every_threshold(some)
    counts = plain_counts(some, iou, thresholds)
    threshold, count = found(some, iou).best()
    assert count == max(counts)
    # the lowest best piece, up to its end: beyond it another number of images, or other ones, are hit
    first = counts.index(max(counts))
    hit = [{i for i, image in enumerate(some) if iou_at(image, t) >= iou} for t in thresholds]
    last = next((place for place in range(first, len(hit)) if hit[place] != hit[first]), len(hit)) - 1
    assert threshold == thresholds[last]


@given(images(), st.sampled_from([0.1, 0.5, 0.7]), st.floats(0, 1))
@SMALL
def test_counts_and_who_is_hit(some: list[Image], iou: float, between: float) -> None:
    thresholds = sorted([*every_threshold(some), 0.0, between])
    where = found(some, iou)
    assert where.counts(np.array(thresholds)).tolist() == plain_counts(some, iou, thresholds)
    for threshold in thresholds:
        assert where.at(threshold).tolist() == [iou_at(image, threshold) >= iou for image in some]


@given(images(), st.integers(1, 9))
@SMALL
def test_best_of_a_grid_is_the_lowest(some: list[Image], levels: int) -> None:
    grid = np.arange(0, 1, 1 / levels)
    counts = plain_counts(some, 0.5, grid.tolist())
    place = counts.index(max(counts))
    assert found(some, 0.5).best(grid) == (grid[place], counts[place])


@given(images(), st.data())
@SMALL
def test_joined_and_chosen_images(some: list[Image], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(some)))
    parts = [found(part, 0.5) for part in (some[:cut], some[cut:]) if part]
    whole, thresholds = found(some, 0.5), np.array(every_threshold(some))
    assert join_hits(parts).counts(thresholds).tolist() == whole.counts(thresholds).tolist()
    assert [join_hits(parts).at(t).tolist() for t in thresholds] == [whole.at(t).tolist() for t in thresholds]
    allowed = np.array(data.draw(st.lists(st.booleans(), min_size=len(some), max_size=len(some))))
    for threshold in thresholds:
        assert whole.among(allowed).at(threshold).tolist() == (whole.at(threshold) & allowed).tolist()


def test_by_hand() -> None:
    """Two images are hit together on (.2, .3] alone, which no grid of tenths with its ends left out would see."""
    some = [[(0.2, 0.0), (0.3, 0.6), (1.0, 0.0)], [(0.3, 0.9), (1.0, 0.0)], [(1.0, 0.1)]]
    assert found(some, 0.5).best() == (0.3, 2)
    assert found(some, 0.5).best(np.array([0.0, 0.1, 0.2])) == (0.0, 1)
    assert found(some, 0.95).best() == (1.0, 0)
    assert len(join_hits([]).at(0.5)) == 0


def test_a_piece_begins_above_its_threshold() -> None:
    """A run is closed above: at .2 itself the run before it holds still."""
    where = found([[(0.2, 1.0), (1.0, 0.0)], [(0.2, 0.0), (1.0, 1.0)]], 0.5)
    assert where.at(0.2).tolist() == [True, False]
    assert where.at(np.nextafter(0.2, 1)).tolist() == [False, True]
    assert where.best() == (0.2, 1)
