"""Do maps and metadata speak of the same images, of the same size, and of classes that there are?"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from core.data.folders import stem_of
from eval.errors import EvalError
from eval.localization.truth import Truth

_SHOWN = 10


def match(
    source_ids: Sequence[str],
    truths: Mapping[str, Truth] | Iterable[Truth],
    skipped: list[tuple[str, str]] | None = None,
) -> tuple[str, ...]:
    """The ids that both have, in the source's order (which reads fastest).

    Args:
        source_ids: the maps'.
        truths: the metadata.
        skipped: where given, ids that one side lacks are appended to it, (id, which side lacks it).

    Raises:
        EvalError: they differ (how many and which, up to ten on each side; what the ids' ends or folders have to do
            with it), unless `skipped` is given; no id is common.
    """
    ids = [*truths] if isinstance(truths, Mapping) else [truth.id for truth in truths]
    known, mapped = set(ids), set(source_ids)
    common = tuple(id for id in source_ids if id in known)
    strangers = [id for id in source_ids if id not in known]
    without = [id for id in ids if id not in mapped]
    if (strangers or without) and (skipped is None or not common):
        raise EvalError(_told(len(mapped), len(ids), strangers, without))
    if skipped is not None:
        skipped += [(id, "has a map, but no metadata") for id in strangers]
        skipped += [(id, "has metadata, but no map") for id in without]
    return common


def check_sizes(
    sizes: Mapping[str, tuple[int, int]],
    truths: Iterable[Truth],
    skipped: list[tuple[str, str]] | None = None,
) -> tuple[str, ...]:
    """The ids of the images that had the same (width, height) when their maps were made (`Source.sizes`).

    Else the map's window and the boxes are in pixels of two images, e.g. of an original and of its resized copy. Where
    one of the sizes is not known, nothing is said.

    Args:
        sizes: (width, height) by id, of some images.
        truths: the metadata; a size of 0 is not known.
        skipped: where given, the other ids are appended to it, (id, both sizes).

    Raises:
        EvalError: sizes differ (how many, and the first), unless `skipped` is given; they do of all.
    """
    same, other = [], []
    for truth in truths:
        made = sizes.get(truth.id, truth.size)
        if min(truth.size) > 0 and made != truth.size:
            was, said = (f"{width} x {height}" for width, height in (made, truth.size))
            other.append((truth.id, f"was {was} when its map was made, the metadata says {said}"))
        else:
            same.append(truth.id)
    if other and (skipped is None or not same):
        id, what = other[0]
        raise EvalError(f"{len(other)} images were of another size when their maps were made: {id!r} {what}")
    if skipped is not None:
        skipped += other
    return tuple(same)


def check_classes(truths: Iterable[Truth], classes: int) -> None:
    """EvalError: labels beyond the classes 0 to `classes` - 1 that the classifier knows."""
    beyond = [(truth.id, truth.label) for truth in truths if truth.label is not None and truth.label >= classes]
    if beyond:
        shown = ", ".join(f"{id!r}: {label}" for id, label in beyond[:_SHOWN])
        raise EvalError(
            f"{len(beyond)} images have a class beyond 0 to {classes - 1}, which the classifier knows: {shown}"
        )


def _told(maps: int, truths: int, strangers: list[str], without: list[str]) -> str:
    lines = [f"the maps' ids ({maps}) and the metadata's ({truths}) differ"]
    lines += [f"{len(without)} images have no map: {_some(without)}"] if without else []
    lines += [f"{len(strangers)} maps have no metadata: {_some(strangers)}"] if strangers else []
    lines += _explained(strangers, without)
    return "\n".join(lines)


def _explained(strangers: list[str], without: list[str]) -> list[str]:
    """How the ids of one side become the other's, where one change explains most of them."""
    ours, names = set(strangers), Counter(map(stem_of, strangers))
    by_stem = {stem_of(id): id for id in strangers if names[stem_of(id)] == 1}
    # "a.b", whose stem is "a", may be "a.b.jpg" without its end.
    near = {id: cut if (cut := id.rpartition(".")[0]) in ours else by_stem.get(stem_of(id)) for id in without}
    changes = Counter(change for id, other in near.items() if other and (change := _change(other, id)))
    if not changes:
        return []
    (what, count), *_ = changes.most_common(1)
    return [f"{count} would match: {what}"] if 2 * count > min(len(strangers), len(without)) else []


def _change(ours: str, theirs: str) -> str:
    """What turns a map's id into that of the metadata, where it is something at its start or end."""
    for lacking, having, whole, part in (("maps", "metadata", theirs, ours), ("metadata", "maps", ours, theirs)):
        found = re.fullmatch(rf"(.*/)?{re.escape(part)}(\.[^/]*)?", whole)
        if found:
            start, end = found.groups()
            more = [f"{start!r} before" if start else "", f"{end!r} at their end" if end else ""]
            return f"the ids of the {lacking} lack {' and '.join(filter(None, more))}, which those of the {having} have"
    return (
        f"the maps' ids look like {ours!r}, the metadata's like {theirs!r}"
        if ours.count("/") != theirs.count("/")
        else ""
    )


def _some(ids: list[str]) -> str:
    return ", ".join(map(repr, ids[:_SHOWN])) + (", ..." if len(ids) > _SHOWN else "")
