"""What a frozen encoder says of images, computed once and kept on disk for all runs.

A set is a folder `<features>/<key>/`: `features.npy` (float16, [N, C] or [N, P, C], read by mapping it into memory),
`checksums.npy` (CRC-32 of every chunk of `CHUNK` images, -1 while there is none) and `features.json`, written last,
which says in words what the key is the digest of: the encoder's tensors and architecture, mean and std, the view,
whether the map is kept, the precision, the images by id and size, and `FORMAT`. Another encoder or view is another key.

A chunk counts as there if its checksum agrees. So a computation that was killed goes on with the chunks that are left,
and what was damaged since is no error but mended, with a warning, as a cache can always be made again: a file that was
cut off as a whole, one with other bytes in the chunks concerned. A folder whose features.json speaks of other features
than its name is refused. One process (or one job of several, which share the chunks) computes a set; others that want
it wait.

N: images, C: channels of layer4's output, P: places of its map.
"""

import contextlib
import json
import logging
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core import atomic, loop, processes
from core.config import differences, digest
from core.data.records import CaptionRecord, file_size
from core.errors import UserError
from core.lock import NAME as LOCK
from core.lock import Busy, Lock
from core.stage import Job
from transfer.tasks.captioning.data import side_by_side
from transfer.tasks.captioning.model import Captioner
from transfer.tasks.captioning.stored import ABSENT, CHUNK, VALUES, Features, Stored
from transfer.tasks.captioning.views import View

_log = logging.getLogger(__name__)
FORMAT = 1
ABOUT = "features.json"
_WAIT, _LOOK = 20.0, 0.2  # seconds: of one turn of waiting for another process, and between its looks


def features(records: Sequence[CaptionRecord], view: View, model: Captioner, job: Job, place: Path | None) -> Features:
    """[N, C], or [N, P, C] where the decoder is spatial, mapped from disk; what is not there is computed first.

    Args:
        records: the images, in the order of the rows.
        view: how each is shown; without `augment`.
        model: its encoder, on the job's device.
        job: precision, workers and progress; of several processes each calls this, on a folder that all can see.
        place: the folder of all sets; None: `features` in the folder of all runs.

    Raises:
        UserError: the folder cannot be written, has too little room, or holds other features; a feature is not finite.
        DataError: an image cannot be read.
    """
    assert not view.augment
    shape = (len(records), *_probe(model, view, job))
    about = processes.agree(job.fabric, lambda: _about(records, view, model, job))  # by one: it looks at every file
    folder = (place or _default(job)) / digest(about)
    stored = Stored(folder, shape)
    lock: list[Lock] = []  # of the first process

    @_told(folder)
    def begin() -> list[int] | None:
        """The chunks that are to be computed; None: another process is at it."""
        if _whole(stored, about):
            return []
        try:
            lock.append(Lock(folder))
        except Busy as error:
            _log.info("waiting for features: %s", error)
            _patience(folder)
            return None
        if _whole(stored, about):  # whoever had the lock has finished meanwhile
            return []
        return _made_room(stored, _missing(stored))

    try:
        while (missing := processes.agree(job.fabric, begin)) is None:
            pass
        if missing:
            _compute(records, view, model, job, stored, missing)
            processes.agree(job.fabric, _told(folder)(partial(_finish, stored, about, job)))
    finally:
        for held in lock:
            held.release()
    _log.info("features of %s images, %s: %s", f"{len(records):,}", _size(stored.nbytes), stored.folder)
    return stored.open()


@contextlib.contextmanager
def _told(folder: Path) -> Iterator[None]:
    """What the disk refuses, as an error that all processes of a job are told of, with the remedy."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{folder}: features cannot be kept there ({error.strerror or error}). --task.features FOLDER names "
            "another place; where there is room again the same command goes on"
        ) from error


def _default(job: Job) -> Path:
    return (job.shared or job.run.folder.parent) / "features"


@torch.no_grad()
def _probe(model: Captioner, view: View, job: Job) -> tuple[int, ...]:
    """The shape of one image's features."""
    blank = torch.zeros(1, 3, view.crop, view.crop, dtype=torch.uint8, device=job.fabric.device)
    return tuple(model.encode(blank).shape[1:])


def _about(records: Sequence[CaptionRecord], view: View, model: Captioner, job: Job) -> dict[str, Any]:
    """All that the features depend on."""
    spec = model.spec
    found = {
        "format": FORMAT,
        "chunk": CHUNK,
        "encoder": model.encoder_digest(),
        "architecture": [spec.architecture, spec.kwargs, {"layer4_stride1": spec.layer4_stride1}],
        "mean": list(spec.mean),
        "std": list(spec.std),
        "view": {**asdict(view), "interpolation": "bilinear, antialiased"},
        "of": "map" if model.spatial else "mean of the map",
        "precision": job.config.precision,
        "images": {"count": len(records), "digest": digest([[r.id, file_size(r.path)] for r in records])},
    }
    same: dict[str, Any] = json.loads(json.dumps(found))  # as it will be read again
    return same


def _whole(stored: Stored, about: dict[str, Any]) -> bool:
    """Whether the set is finished and nothing is wrong with it, as far as one can see in some seconds.

    Raises:
        UserError: the folder holds features of something else.
    """
    path = stored.folder / ABOUT
    try:
        there = json.loads(path.read_text())["about"]
    except FileNotFoundError:
        return False
    except (ValueError, KeyError, TypeError) as error:
        _log.warning("%s cannot be read (%r): it is written anew, and all features are checked", path, error)
        return False
    if there != about:
        raise UserError(
            f"{path}: these are features of something else (there = that file, here = this run): "
            f"{'; '.join(differences(there, about)[:5])}. Was a folder renamed? Remove {stored.folder}"
        )
    return not stored.missing(some=True)


def _missing(stored: Stored) -> list[int]:
    """The chunks to compute of a set that is not whole, with a warning where it was; one at least."""
    missing = stored.missing(some=False)
    if missing and (stored.folder / ABOUT).exists():
        _log.warning(
            "%s: cut off or changed since it was written: %d of %d chunks do not agree with their checksums; they are "
            "computed anew", stored.folder / VALUES, len(missing), stored.chunks,
        )  # fmt: skip
    return missing or [stored.chunks - 1]  # its features.json alone is missing: the set ends as any other


def _made_room(stored: Stored, missing: list[int]) -> list[int]:
    """`missing`; the files are there after. UserError: the disk has too little room."""
    needed = stored.nbytes * len(missing) // stored.chunks
    free = shutil.disk_usage(stored.folder).free
    what = f"features of {stored.shape[0]:,} images, {' x '.join(f'{n:,}' for n in stored.shape[1:])} float16 each"
    if needed > free:
        raise UserError(
            f"{stored.folder}: {what}: expected {_size(needed)} of room, {_size(free)} are free. --task.features "
            "FOLDER names another place; sets of features that no run needs any more may be removed"
        )
    _log.info("%s: %s to be written to %s (%s free)", what, _size(needed), stored.folder, _size(free))
    stored.begin(missing)
    return missing


def _patience(folder: Path) -> None:
    """Wait a turn for another process, or until it has finished."""
    end = time.monotonic() + _WAIT
    while time.monotonic() < end and (folder / LOCK).exists():
        time.sleep(_LOOK)


@dataclass(frozen=True)
class _Shown:
    """The images of some chunks as samples."""

    records: Sequence[CaptionRecord]
    view: View
    indices: Sequence[int]

    def __len__(self) -> int:
        return len(self.indices)

    def seeded_sample(self, index: int, seed: int) -> tuple[int, Tensor]:
        """An image's index and pixels. DataError: it cannot be read."""
        return self.indices[index], self.view(self.records[self.indices[index]].path)

    def sample(self, index: int) -> tuple[int, Tensor]:
        """The same: nothing is random."""
        return self.seeded_sample(index, 0)


def _together(samples: list[tuple[int, Tensor]]) -> tuple[list[int], Tensor]:
    indices, pixels = zip(*samples, strict=True)
    return list(indices), side_by_side(pixels)


def _compute(
    records: Sequence[CaptionRecord], view: View, model: Captioner, job: Job, stored: Stored, missing: list[int]
) -> None:
    """Write these chunks; several processes share them."""

    def step(_: torch.nn.Module, batch: tuple[list[int], Tensor]) -> list[None]:
        indices, pixels = batch
        values = model.encode(pixels).half().cpu().numpy()
        bad = ~np.isfinite(values).reshape(len(values), -1).all(1)
        if bad.any():
            record = records[indices[int(bad.argmax())]]
            raise UserError(f"{record.path}: the encoder's features are not finite numbers in float16")
        with _told(stored.folder):
            stored.write(indices[0] // CHUNK, values)
        return [None] * len(indices)

    if not (stored.folder / VALUES).is_file():  # the first process has made it
        raise UserError(f"{stored.folder}: this process cannot see it; expected a folder that all processes share")
    # Of all chunks only the very last may be short, and it is the last here too: batches are chunks.
    indices = [i for chunk in missing for i in range(stored.shape[0])[stored.rows(chunk)]]
    speed = loop.Speed()
    loop.predict(
        job, model, samples=_Shown(records, view, indices), collate=_together, batch_size=CHUNK, step=step,
        phase="features", speed=speed,
    )  # fmt: skip
    _log.info("features: %s", speed)


def _finish(stored: Stored, about: dict[str, Any], job: Job) -> None:
    """Say that the set is whole, when it is on the disk."""
    absent = [i for i, found in enumerate(stored.checksums()) if found == ABSENT]
    if absent:
        raise UserError(
            f"{stored.folder}: {len(absent)} of {stored.chunks} chunks are not there; expected a folder that all "
            "processes share (--task.features FOLDER)"
        )
    stored.sync()
    made = {"torch": torch.__version__, "device": str(job.fabric.device)}
    atomic.write_json(stored.folder / ABOUT, {"about": about, "shape": list(stored.shape), "made": made})


def _size(count: int) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e8 else f"{count / 1e6:.2f} MB"
