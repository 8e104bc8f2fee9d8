"""FFCV's JPEG mode, for `benchmarks.input --ffcv-python PATH`: run by a Python that has ffcv, which ours has not.

Packs an ImageFolder once (JPEGs of quality 90, longer side at most 500 pixels), says "ready", and for each line that it
is sent reads it once: random crops of 224 pixels, flipped, uint8 batches of 64. It answers with the CPU seconds.
"""

import sys
import time
from pathlib import Path
from typing import Any


def main(folder: Path, packed: Path) -> None:
    """Answer until there is no line more."""
    from ffcv.fields import IntField, RGBImageField  # type: ignore[import-not-found, unused-ignore]
    from ffcv.fields.decoders import IntDecoder, RandomResizedCropRGBImageDecoder  # type: ignore[import-not-found, unused-ignore]
    from ffcv.loader import Loader, OrderOption  # type: ignore[import-not-found, unused-ignore]
    from ffcv.transforms import RandomHorizontalFlip, ToTensor, ToTorchImage  # type: ignore[import-not-found, unused-ignore]
    from ffcv.writer import DatasetWriter  # type: ignore[import-not-found, unused-ignore]
    from torchvision.datasets import ImageFolder

    image = RGBImageField(write_mode="jpg", max_resolution=500, jpeg_quality=90)
    DatasetWriter(str(packed), {"image": image, "label": IntField()}, num_workers=1).from_indexed_dataset(
        ImageFolder(str(folder))
    )
    pipelines: dict[str, list[Any]] = {
        "image": [RandomResizedCropRGBImageDecoder((224, 224)), RandomHorizontalFlip(), ToTensor(), ToTorchImage()],
        "label": [IntDecoder(), ToTensor()],
    }
    loader = Loader(
        str(packed), batch_size=64, num_workers=1, order=OrderOption.RANDOM, pipelines=pipelines, os_cache=True
    )
    sum(len(batch[0]) for batch in loader)  # compiles
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for _ in sys.stdin:
        began = time.process_time()
        seen = sum(len(batch[0]) for batch in loader)
        sys.stdout.write(f"{(time.process_time() - began) / seen}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
