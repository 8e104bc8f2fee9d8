"""The synthetic world's numbers, and its one way onto the disk: whole or not at all, once."""

import contextlib
import dataclasses
import fcntl
import json
import os
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core import atomic
from core.errors import UserError

VERSION = 1
"""Of the renderer: raised whenever the same fields give other bytes."""

MARK = "world.json"
"""The file that says that a folder is a finished world, and which one."""


@dataclass(frozen=True)
class World:
    """Pictures of made-up species, in the official layouts of ImageNet, CUB-200-2011, Pascal VOC and COCO captions.

    A class is told by a small part that sits on a large body; bodies tell the family and only hint at the class. The
    bytes are a function of these fields alone, not of the order or the number of processes that write.
    """

    name: str = "quick"
    """Of the folder: data/world_<name>."""
    seed: int = 0
    """Seed of every picture. The classes are the same in every world."""

    imagenet_classes: int = 20
    """Species over all families."""
    imagenet_train: int = 200
    """Training images a class."""
    imagenet_val: int = 25
    """Validation images a class, with boxes."""
    imagenet_size: int = 64
    """Width and height in pixels."""
    imagenet_scale: tuple[float, float] = (0.5, 0.95)
    """Least and greatest length of an object, as a fraction of the image's side."""

    cub_classes: int = 10
    """Species of birds, whose parts ImageNet's species do not have."""
    cub_train: int = 40
    """Training images a class."""
    cub_test: int = 25
    """Test images a class."""
    cub_size: int = 80
    """Mean width in pixels; widths and heights vary."""

    voc_trainval: int = 400
    """Scenes to train on."""
    voc_test: int = 150
    """Scenes to test on."""
    voc_size: int = 128
    """Longer side in pixels; the other one is 3/4 to 1 of it."""
    voc_objects: int = 5
    """Most objects in a scene."""

    coco_train: int = 500
    """Pictures with captions to train on."""
    coco_val: int = 120
    """Pictures with captions to test on."""
    coco_size: int = 96
    """Longer side in pixels; the other one is 2/3 to 1 of it."""
    coco_objects: int = 3
    """Most objects in a picture with captions, at most 5."""

    body_hint: float = 0.5
    """Probability that a body wears its class's own texture, and its own colour, rather than any."""
    hidden_part: float = 0.08
    """Probability that an object's part is turned away."""
    stray_part: float = 0.25
    """Probability of another class's part without a body in the background."""
    clutter: int = 8
    """Most shapes in a background that are no objects."""

    def __post_init__(self) -> None:
        """Refuse numbers that no world can have, with a UserError."""
        if not re.fullmatch(r"\w[\w.-]*", self.name):
            raise UserError(f"world name {self.name!r}: expected letters, digits, '_', '-', '.'")
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            least = {"seed": None, "clutter": 0}.get(field.name, 32 if field.name.endswith("_size") else 1)
            if field.type is int and least is not None and value < least:
                raise UserError(f"world: {field.name} = {value}; expected at least {least}")
            if field.type is float and not 0 <= value <= 1:
                raise UserError(f"world: {field.name} = {value}; expected a probability, 0 to 1")
        if not 0.2 <= self.imagenet_scale[0] <= self.imagenet_scale[1] <= 1:
            raise UserError(f"world: imagenet_scale = {self.imagenet_scale}; expected 0.2 <= least <= greatest <= 1")
        if self.coco_objects > 5:
            raise UserError(f"world: coco_objects = {self.coco_objects}; captions count to 5")

    def default_root(self) -> Path:
        """Where this world stands unless told otherwise: data/world_<name>."""
        return Path("data") / f"world_{self.name}"

    def images(self, data: str, split: str) -> int | None:
        """How many images a split of a data set, by its name, will have; None for one that no world has."""
        counts = {
            ("ImageNet", "train"): self.imagenet_classes * self.imagenet_train,
            ("ImageNet", "val"): self.imagenet_classes * self.imagenet_val,
            ("CUB-200-2011", "train"): self.cub_classes * self.cub_train,
            ("CUB-200-2011", "test"): self.cub_classes * self.cub_test,
            ("VOC", "train"): self.voc_trainval,
            ("VOC", "test"): self.voc_test,
            ("COCO captions", "train"): self.coco_train,
            ("COCO captions", "val"): self.coco_val,
        }
        return counts.get((data, split))

    def ensure(self, root: Path) -> None:
        """Write the world to the folder `root`, unless it is there already.

        A second process that calls meanwhile waits for the first. After a kill the next call starts over.

        Raises:
            UserError: another world, or something else, is in that folder.
        """
        if self.there(root):
            return
        root.parent.mkdir(parents=True, exist_ok=True)
        with _only_one(root.with_name(f".{root.name}.lock")):
            if self.there(root):
                return
            from core.data.synthetic.writing import write

            unfinished = root.with_name(f".{root.name}.unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
            try:
                write(self, unfinished)
                atomic.write_json(unfinished / MARK, self._mark())
                os.replace(unfinished, root)  # noqa: PTH105  (an empty folder may stand there)
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)

    def _mark(self) -> dict[str, Any]:
        """What a finished world says about itself, as JSON has it."""
        mark: dict[str, Any] = json.loads(json.dumps({"version": VERSION, **dataclasses.asdict(self)}))
        return mark

    def there(self, root: Path) -> bool:
        """Whether this very world is finished in that folder; UserError where something else is."""
        advice = "choose another folder, or delete this one"
        try:
            found = json.loads((root / MARK).read_text())
        except FileNotFoundError:
            if root.exists() and (not root.is_dir() or any(root.iterdir())):
                raise UserError(f"{root}: holds something that is no synthetic world (no {MARK}); {advice}") from None
            return False
        except ValueError as error:
            raise UserError(f"{root / MARK}: not JSON ({error}); {advice}") from error
        mine = self._mark()
        if found == mine:
            return True
        if not isinstance(found, dict):
            raise UserError(f"{root / MARK}: expected a JSON object, found {found!r}; {advice}")
        differing = [
            f"{key}: there {found.get(key, 'absent')}, asked for {mine.get(key, 'absent')}"
            for key in sorted({*found, *mine})
            if found.get(key) != mine.get(key)
        ]
        raise UserError(f"{root}: holds another synthetic world ({'; '.join(differing)}); {advice}")


@contextlib.contextmanager
def _only_one(lock: Path) -> Iterator[None]:
    """Hold the lock file; the system lets go of it when this process ends, however it ends."""
    with lock.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.stderr.write(f"{lock}: another process is writing this world; waiting for it\n")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
