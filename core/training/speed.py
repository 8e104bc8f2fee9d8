"""How fast a pass over images was, and how much of its time went by in waiting for them."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass
class Speed:
    """Images, the seconds that they took, and how many of these seconds nothing was done but wait for batches."""

    images: int = 0
    """Of all processes together."""
    seconds: float = 0.0
    """Of this process; starting the workers that load data is among them, checkpoints and validations are not."""
    waited: float = 0.0
    """Of these seconds."""

    @property
    def waiting(self) -> float:
        """The share of the time that was spent waiting for data, in [0, 1]."""
        return self.waited / max(self.seconds, 1e-9)

    def add(self, images: int, seconds: float, waited: float) -> None:
        """Take in a part of the pass."""
        self.images += images
        self.seconds += seconds
        self.waited += waited

    def numbers(self) -> dict[str, float]:
        """What result.json holds of it: "images", "seconds", "images_per_second" and the share "waiting"."""
        rate = self.images / max(self.seconds, 1e-9)
        return {
            "images": self.images, "seconds": round(self.seconds, 6), "images_per_second": round(rate, 2),
            "waiting": round(self.waiting, 4),
        }  # fmt: skip

    def __str__(self) -> str:
        rate = self.images / max(self.seconds, 1e-9)
        return f"{self.images:,} images at {rate:,.1f} images/s, {self.waiting:.1%} of the time waiting for data"


def waited_for(batches: Iterable[T], speed: Speed) -> Iterator[T]:
    """The same batches; `speed.waited` grows by the time that each is waited for."""
    source = iter(batches)
    while True:
        began = time.monotonic()
        try:
            batch = next(source)
        except StopIteration:
            return
        finally:
            speed.waited += time.monotonic() - began
        yield batch
