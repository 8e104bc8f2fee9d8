"""ImageNet (ILSVRC 2012) as class folders, with the boxes of its val images where there are any.

Source: Russakovsky et al., IJCV 2015. Labels are the sorted class folders ("n01440764", ...) of `train`, the order
that torchvision, timm and wsolevaluation use. Class folders of `val` may be a subset of these. Boxes come from one of
- wsolevaluation's metadata (clovaai/wsolevaluation): `localization.txt`, `image_sizes.txt` and, to check it against
  the class folders, `class_labels.txt`;
- the ILSVRC XML files, `ILSVRC2012_val_*.xml`,
matched to the images by file name without suffix, as published ids have no class folder ("val/ILSVRC2012_val_...").

Both hold the same numbers: corners x0, y0, x1, y1 of pixels counted from 0, x1 and y1 inclusive (in the published
metadata x0 = 0 is frequent and x1 never exceeds width - 1; the ILSVRC kit and wsolevaluation both count x1 - x0 + 1
pixels). Here they become (x0, y0, x1 + 1, y1 + 1), clipped to the image. `ImageRecord.size` is the size in whose
pixels boxes are given, from the annotation: the file itself may have been resized since.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from core.data.folders import file_names, folder_names, image_names, stem_of
from core.data.imagenet_boxes import METADATA, Boxes, metadata_boxes, xml_boxes
from core.data.published import say_once
from core.data.records import DataError, DataSet, ImageRecord


@dataclass(frozen=True)
class ImageNet(DataSet[ImageRecord]):
    """ImageNet, or any set of images in class folders. `id` is "<class folder>/<file>"; only val has boxes.

    A val split can be read without a train folder; its classes are then its own folders.
    """

    name: ClassVar[str] = "ImageNet"
    layout: ClassVar[str] = """
imagenet/train/<class folder>/*.JPEG   class folders named by WordNet id: n01440764, ...
imagenet/val/<class folder>/*.JPEG     the val images sorted into the same class folders
imagenet/localization/*                for localization alone: boxes of the val images, as wsolevaluation's metadata
                                       (localization.txt, image_sizes.txt) or ILSVRC XML (ILSVRC2012_val_*.xml)
"""
    official: ClassVar[dict[str, int]] = {"train": 1_281_167, "val": 50_000}

    folder: str = "imagenet"
    """The folder that holds train and val."""
    train: str = "train"
    """The folder of the split "train", below `folder`."""
    val: str = "val"
    """The folder of the split "val", below `folder`."""
    boxes: str = "localization"
    """The folder of wsolevaluation metadata or of ILSVRC XML files, below `folder`. May be absent for a classifier."""

    def classes(self, root: Path) -> tuple[str, ...]:
        """The class folders of train, sorted; those of val where there is no train folder."""
        train = self._folder(Path(root), "train")
        folder = train if train.is_dir() else self._folder(Path(root), "val")
        if not folder.is_dir():
            raise DataError(f"{self.name}: folder {train} does not exist.\n{self._expected(Path(root))}")
        return tuple(folder_names(folder))

    def _folder(self, root: Path, split: str) -> Path:
        return root / self.folder / (self.train if split == "train" else self.val)

    def _needs(self, root: Path, split: str) -> Iterable[tuple[Path, str]]:
        yield root / self.folder, "folder"
        yield self._folder(root, split), "folder"

    def watched(self, root: Path, split: str) -> tuple[Path, ...]:
        """The class folders too, which change with their images, and the metadata's files."""
        folder = self._folder(Path(root), split)
        classes = [folder / name for name in folder_names(folder)] if folder.is_dir() else []
        metadata = [Path(root) / self.folder / self.boxes / f"{table}.txt" for table in METADATA]
        return (*super().watched(root, split), *classes, *metadata)

    def _box_needs(self, root: Path, split: str) -> Iterable[tuple[Path, str]]:
        yield root / self.folder / self.boxes, "folder"

    def _misplaced(self, root: Path, split: str) -> str | None:
        folder = self._folder(root, split)
        if folder_names(folder):
            return None
        names = file_names(folder)
        if not names:
            return f"folder {folder} is empty"
        if any(name.endswith(".tar") for name in names):
            return f"folder {folder} holds {len(names)} archives ({min(names)}, ...): unpack each into its class folder"
        return (
            f"folder {folder} holds {len(names)} files ({min(names)}, ...) and no class folders: "
            f"move each image into the folder of its class, {folder.name}/n01440764/{min(names)}"
        )

    def _read(self, root: Path, split: str) -> tuple[ImageRecord, ...]:
        folder = self._folder(root, split)
        classes = self.classes(root)
        labels = {name: label for label, name in enumerate(classes)}
        present = classes if split == "train" else folder_names(folder)
        if strangers := [name for name in present if name not in labels]:
            raise DataError(
                f"{folder}: {len(strangers)} of {len(present)} class folders are not in "
                f"{self._folder(root, 'train')}: {', '.join(strangers[:10])}{', ...' if len(strangers) > 10 else ''}"
            )
        if len(present) < len(classes):
            say_once(
                f"{folder}: {len(present)} of the {len(classes)} class folders of train; the others are not tested"
            )
        files = {name: image_names(folder / name) for name in present}
        if empty := [name for name, images in files.items() if not images]:
            raise DataError(f"{folder}: no image (.jpg, .jpeg, .png) in class folder {', '.join(empty[:10])}")
        boxes = self._boxes(root, files) if split == "val" else None
        records: list[ImageRecord] = []
        for name, images in files.items():
            base, label = folder / name, labels[name]
            for image in images:
                found, size = ((), None) if boxes is None else boxes[stem_of(image)]
                records.append(ImageRecord(f"{name}/{image}", base / image, label, found, size))
        return tuple(records)

    def _boxes(self, root: Path, files: dict[str, list[str]]) -> Boxes | None:
        """Boxes by file name without suffix for exactly these images; None where there is no folder of boxes."""
        folder = root / self.folder / self.boxes
        if not folder.is_dir():
            return None
        classes = {stem_of(image): name for name, images in files.items() for image in images}
        if (count := sum(map(len, files.values()))) != len(classes):
            raise DataError(f"{folder}: boxes are found by file name, but only {len(classes)} of {count} names differ")
        read = metadata_boxes if (folder / "localization.txt").is_file() else xml_boxes
        return read(folder, classes)
