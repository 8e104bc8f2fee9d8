"""One evaluation from its request to its table: match, trace in parts, reduce, write."""

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from eval.errors import EvalError
from eval.localization import version
from eval.localization.part import Part, examine
from eval.localization.report import Report, report
from eval.localization.settings import Geometry, Settings
from wsol.evaluate import figures, folder, gallery, pool, progress, rows, table
from wsol.evaluate.inputs import Split, load
from wsol.evaluate.request import Request
from wsol.evaluate.work import Work

SCHEMA = 1


def run(request: Request, err: TextIO, stop: Callable[[], None], *, terminal: bool) -> str:
    """Evaluate and return the table to print; with `request.out` everything is written there too.

    Args:
        request: what to do. err: for progress. stop: called where nothing is lost; it may raise.
        terminal: whether the table may have colours.

    Raises:
        EvalError, UserError: input, options or output folder that the user can mend.
        WorkerDied: a worker process was killed.
    """
    began = time.monotonic()
    if request.images is not None and not request.images.is_dir():
        raise EvalError(f"--images {request.images}: expected the folder of the images")
    settings, splits = _settings(request), _splits(request)
    _check_images(request.images, splits[0])
    config = _config(request, settings, splits)
    if request.out is not None and (known := folder.finished(request.out, config, _files(request))):
        err.write(f"{request.out / folder.RESULT} is there already\n")
        return table.text(known, terminal=terminal)
    with _folder(request, config, err) as held:
        work = Work(splits, settings, request.skip_bad, held.parts)
        _trace(work, request.jobs, err, stop)
        reports = _reports(work, request.resamples, stop)
        if request.out is not None:
            _write(request, work, reports)
        result = {**_result(work, config, reports), "seconds": round(time.monotonic() - began, 3)}
        held.finish(result)
    return table.text(result, terminal=terminal)


def _settings(request: Request) -> tuple[Settings, ...]:
    names: tuple[Geometry, ...] = ("corrected", "compat") if request.geometry == "both" else (request.geometry,)
    return tuple(Settings(name, request.threshold, request.scale, request.levels) for name in names)


def _splits(request: Request) -> tuple[Split, ...]:
    shared: dict[str, Any] = {
        "mask_root": request.mask_root,
        "classes": request.classes,
        "window": request.window,
        "skip_bad": request.skip_bad,
    }
    first = load(request.maps, request.metadata, ids=request.ids, predicted=request.predictions, **shared)
    others = (request.select_metadata, request.select_ids, request.select_predictions)
    if request.select_on is None:
        if any(others):
            raise EvalError("--select-metadata, --select-ids and --select-predictions belong to --select-on MAPS")
        return (first,)
    if request.select_metadata is None:
        raise EvalError("--select-on MAPS needs --select-metadata FOLDER, the annotations of that split")
    _, ids, predicted = others
    return first, load(request.select_on, request.select_metadata, ids=ids, predicted=predicted, **shared)


def _check_images(folder: Path | None, split: Split) -> None:
    """EvalError: none of the first images is in the folder of the images."""
    some = split.ids[:100]
    if folder is not None and not any(gallery.file_of(folder, name) for name in some):
        raise EvalError(f"--images {folder}: none of the first {len(some)} images is below it, e.g. {folder / some[0]}")


def _notes(splits: tuple[Split, ...]) -> list[str]:
    """What the input alone says."""
    notes = [note for split in splits for note in split.notes]
    if len(splits) > 1 and (both := set(splits[0].ids) & set(splits[1].ids)):
        notes.append(
            f"{len(both):,} of {len(splits[0].ids):,} ids are in the split that chooses thresholds too (e.g. "
            f"{min(both)}): if they are the same images, `selected` was chosen on what it is measured on"
        )
    return notes


def _config(request: Request, settings: tuple[Settings, ...], splits: tuple[Split, ...]) -> dict[str, Any]:
    """Everything that can change a number; not processes, rows or figures."""
    return {
        "schema": SCHEMA,
        "code": version.code(),
        "settings": {one.geometry: {**vars(one), "ious": list(one.ious)} for one in settings},
        "resamples": request.resamples,
        "skip_bad": request.skip_bad,
        "input": splits[0].fingerprint(),
        "select": splits[1].fingerprint() if len(splits) > 1 else None,
    }


def _files(request: Request) -> tuple[str, ...]:
    rows_file = () if request.rows == "none" else (f"{rows.NAME}.{request.rows}",)
    return (*rows_file, *(("figures",) if request.figures else ()))


@contextlib.contextmanager
def _folder(request: Request, config: dict[str, Any], err: TextIO) -> Iterator[folder.Folder]:
    """The folder of this evaluation; without --out one that is gone afterwards."""
    if request.out is not None:
        with folder.opened(request.out, config, resume=request.resume, out=err) as held:
            yield held
        return
    if request.resume:
        raise EvalError("--resume needs --out FOLDER: without it nothing is kept")
    with tempfile.TemporaryDirectory(prefix="wsol-evaluate-") as path:
        yield folder.Folder(Path(path))


def _trace(work: Work, jobs: int, err: TextIO, stop: Callable[[], None]) -> None:
    """Make the parts that are not there yet."""
    tasks = work.tasks()
    todo = [task for task in tasks if not task.path.is_file()]
    total = sum(work.images(task) for task in tasks)
    done = total - sum(work.images(task) for task in todo)
    if done:
        err.write(f"going on: {done:,} of {total:,} maps are done already\n")
    if jobs > 1 and len(todo) > 1:
        _warm(work)
    for _ in progress.shown(pool.run(work, todo, jobs, stop), total, done, err):
        pass


def _warm(work: Work) -> None:
    """Import and compile once, before processes fork, rather than in each; what is wrong, a part will say."""
    split = work.splits[0]
    if any(truth.masks for truth in split.truths.values()):
        import cv2

        cv2.setNumThreads(0)  # its threads would not live on in a fork, where their work would wait for them
    with contextlib.suppress(ValueError):
        first = next(split.maps(split.ids[:1]))
        for settings in work.settings:
            examine([first], split.truths, settings)


def _reports(work: Work, resamples: int, stop: Callable[[], None]) -> dict[str, Report]:
    return {
        settings.geometry: report(
            partial(_parts, work, 0, index, stop),
            settings,
            select=partial(_parts, work, 1, index, stop) if len(work.splits) > 1 else None,
            resamples=resamples,
        )
        for index, settings in enumerate(work.settings)
    }


def _parts(work: Work, split: int, geometry: int, stop: Callable[[], None]) -> Iterator[Part]:
    for part in work.parts(split, geometry):
        stop()
        yield part


def _result(work: Work, config: dict[str, Any], reports: dict[str, Report]) -> dict[str, Any]:
    plain = {name: found.as_dict() for name, found in reports.items()}
    unmatched = [entry for split in work.splits for entry in split.unmatched]
    unread = dict.fromkeys(entry for found in reports.values() for entry in found.skipped)
    return {
        **config,
        "geometries": plain,
        "difference": _difference(plain) if len(plain) == 2 else None,
        "skipped": [{"id": name, "why": why} for name, why in (*unmatched, *unread)],
        "notes": _notes(work.splits),
    }


def _difference(plain: dict[str, dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Corrected minus compat, in percent: {measure: {"fixed": ..., "best": ...}}."""
    ours, theirs = (_scores(plain[name]) for name in ("corrected", "compat"))
    return {
        name: {mark: found["value"] - theirs[name][mark]["value"] for mark, found in marks.items() if found}
        for name, marks in ours.items()
    }


def _scores(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """{measure: {"fixed": ..., "selected": ..., "best": ...}}; PxAP has no threshold: it stands under "best"."""
    pixels = report["pixels"]
    return {**report["measures"], **({"PxAP": {"best": pixels["pxap"]}, "mask IoU": pixels["iou"]} if pixels else {})}


def _write(request: Request, work: Work, reports: dict[str, Report]) -> None:
    assert request.out is not None
    if request.rows != "none":
        every = ({"geometry": name, **row} for name, found in reports.items() for row in found.rows())
        rows.write(request.out, every, request.rows)
    if request.figures:
        figures.write(request.out / "figures", reports, work.splits[0], request.images)
