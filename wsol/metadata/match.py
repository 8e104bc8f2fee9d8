"""Do maps and metadata speak of the same images?"""

from collections.abc import Iterable, Mapping, Sequence

from eval.localization.truth import Truth


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
    raise NotImplementedError
