"""All components of a map at all thresholds in one pass: the component tree (max-tree), walked while it is built.

Pixels join from the brightest level to the darkest; joining pixels found, widen or merge components, and a component's
box, area and IoU hold from the level where it last changed down to the one where it changes next. Three things make it
fast: which neighbours joined before is worked out for all pixels at once and kept as eight bits; these bits name one
neighbour of each connected group among them (nearly always there is one group, so no merge is tried); and components,
not pixels, are what the union-find is over. Every pixel is looked at once after one counting sort.

Najman and Couprie, "Building the component tree in quasi-linear time" (IEEE TIP 2006) is the way; a test holds it
against connected components found at each threshold.

Letters: H x W pixels, L levels, G ground-truth boxes; S = W + 2, the row length of an image with a border of one pixel.
"""

from typing import Any

import numpy as np
from numba import njit

LARGEST_AREA, LARGEST_CONTOUR, NO_LARGEST = 0, 1, 2
"""Which component is the largest: by area, of equals the one whose first pixel in raster order comes first; by
the polygon around it with holes filled, of equals the one whose first pixel comes last; or none is asked for."""

_INDEX = np.uint64
"""Of an index that may be negative numba asks each time whether it is: a fifth of the whole time."""
COMPONENT = np.dtype(
    [
        *[(name, np.int32) for name in ("x0", "y0", "x1", "y1")],  # half-open, map pixels
        ("since", np.int32),  # the level where it last changed
        ("shape", np.int64),  # the sum of `Rings.gain`
        *[(name, np.int64) for name in ("low", "high")],  # between what its size lies
        ("iou", np.float64),
    ]
)


def space(shape: Any, dtype: Any) -> Any:
    """What `prepare` and `sweep` write into, for maps [H, W] of one shape and type of levels: made once."""
    padded = (shape[0] + 2) * (shape[1] + 2)
    arrays = np.zeros(padded, dtype), np.zeros(padded, np.uint8), np.empty(shape[0] * shape[1], np.int32)
    return *arrays, np.zeros(padded, np.int32)


@njit(nogil=True, cache=True)
def prepare(levels: Any, count: int, space: Any) -> Any:
    """Levels [H, W] of 0..count-1, of a type that holds count -> (padded, ring, order, counts, label).

    padded: [(H + 2) * S] levels plus 1, the border 0. ring: the same shape, uint8, which neighbours join before a
    pixel. order: [H * W] int32, y << 16 | x of the pixels, brightest first, equals in raster order. counts: [L].
    label: room for each pixel's component, the border's 0. All but counts lie in `space` and hold until the next call.
    """
    height, width = levels.shape
    row = width + 2
    padded, ring, order, label = space
    counts = np.zeros(count, np.int32)
    for y in range(height):
        inside = padded[(y + 1) * row + 1 : (y + 2) * row - 1]
        for x in range(width):
            inside[x] = levels[y, x] + 1
            counts[_INDEX(levels[y, x])] += 1
    for y in range(height):
        _rings(padded, ring, (y + 1) * row + 1, row, width)
    start = np.zeros(count, np.int32)
    for level in range(count - 2, -1, -1):
        start[level] = start[level + 1] + counts[level + 1]
    for y in range(height):
        for x in range(width):
            mine = _INDEX(levels[y, x])
            at = start[mine]
            order[_INDEX(at)] = y << 16 | x
            start[mine] = at + 1
    return padded, ring, order, counts, label


@njit(nogil=True, cache=True)
def _rings(padded: Any, ring: Any, begin: int, row: int, width: int) -> None:
    """One row's rings. Neighbours that come later in raster order must be brighter to have joined before."""
    here, out = padded[begin : begin + width], ring[begin : begin + width]
    n, s = padded[begin - row : begin - row + width], padded[begin + row : begin + row + width]
    e, w = padded[begin + 1 : begin + 1 + width], padded[begin - 1 : begin - 1 + width]
    ne, nw = padded[begin - row + 1 : begin - row + 1 + width], padded[begin - row - 1 : begin - row - 1 + width]
    se, sw = padded[begin + row + 1 : begin + row + 1 + width], padded[begin + row - 1 : begin + row - 1 + width]
    for x in range(width):  # written so that the compiler makes vector instructions of it
        level = here[x]
        bits = np.uint8(0)
        if n[x] >= level:
            bits |= np.uint8(1)
        if ne[x] >= level:
            bits |= np.uint8(2)
        if e[x] > level:
            bits |= np.uint8(4)
        if se[x] > level:
            bits |= np.uint8(8)
        if s[x] > level:
            bits |= np.uint8(16)
        if sw[x] > level:
            bits |= np.uint8(32)
        if w[x] >= level:
            bits |= np.uint8(64)
        if nw[x] >= level:
            bits |= np.uint8(128)
        out[x] = bits


@njit(nogil=True, cache=True)
def inverted(padded: Any, ring: Any, order: Any, counts: Any, label: Any) -> Any:
    """What `prepare` would give for the map upside down, where the darkest pixels join first and the border before all.

    In place. Equal pixels join in the opposite order, so a neighbour has joined before exactly where it had not.
    `sweep` needs `padded` for a largest component only, which is not asked for here.
    """
    for place in range(len(ring)):
        ring[place] = ~ring[place]
    last = len(order) - 1
    for position in range(len(order) // 2):
        order[position], order[last - position] = order[last - position], order[position]
    return padded, ring, order, counts[::-1].copy(), label


@njit(nogil=True, cache=True)
def root(parent: Any, component: int) -> int:
    """The component that a component has become part of."""
    while True:
        up = parent[_INDEX(component)]
        if up == component:
            return component
        above = parent[_INDEX(up)]
        parent[_INDEX(component)] = above
        component = above


@njit(nogil=True, cache=True)
def best_iou(it: Any, truth: Any, clip: Any, margin: int, extra: int) -> float:
    """IoU of a component's box with the best of the boxes [G, 4].

    The box is widened by `margin` on all sides and by `extra` to the right and below, then clipped.
    """
    x0, y0 = max(float(it.x0 - margin), clip[0]), max(float(it.y0 - margin), clip[1])
    x1, y1 = min(float(it.x1 + margin + extra), clip[2]), min(float(it.y1 + margin + extra), clip[3])
    area = (x1 - x0) * (y1 - y0)
    best = 0.0
    for g in range(truth.shape[0]):
        width = min(x1, truth[g, 2]) - max(x0, truth[g, 0])
        height = min(y1, truth[g, 3]) - max(y0, truth[g, 1])
        if width > 0 and height > 0:
            both = width * height
            known = (truth[g, 2] - truth[g, 0]) * (truth[g, 3] - truth[g, 1])
            best = max(best, both / (area + known - both))
    return best


@njit(nogil=True, cache=True)
def _raise_between(table: Any, low: int, high: int, value: float) -> None:
    """Note that levels low..high-1 have at least `value`: two entries of the table cover them, however many."""
    power = 0
    while (2 << power) <= high - low:
        power += 1
    table[power, low] = max(table[power, low], value)
    table[power, high - (1 << power)] = max(table[power, high - (1 << power)], value)


@njit(nogil=True, cache=True)
def _bits(number: int) -> int:
    bits = 0
    while number >> bits:
        bits += 1
    return bits


@njit(nogil=True, cache=True)
def _settle(table: Any) -> Any:
    """The best value noted for each level, [L]."""
    count = table.shape[1]
    for power in range(table.shape[0] - 1, 0, -1):
        half = 1 << (power - 1)
        for level in range(count - 2 * half + 1):
            value = table[power, level]
            table[power - 1, level] = max(table[power - 1, level], value)
            table[power - 1, level + half] = max(table[power - 1, level + half], value)
    return table[0]


@njit(nogil=True, cache=True)
def polygon_area(padded: Any, label: Any, parent: Any, components: Any, component: int, level: int, row: int) -> int:
    """Twice the area of the polygon around a component, its holes filled: by flooding its box from outside."""
    it = components[component]
    width, height = it.x1 - it.x0 + 2, it.y1 - it.y0 + 2
    filled = np.ones((height, width), np.uint8)
    for y in range(1, height - 1):
        for x in range(1, width - 1):
            place = (it.y0 + y) * row + it.x0 + x
            if padded[place] > level and root(parent, label[place]) == component:
                filled[y, x] = 2
    stack = np.empty(height * width, np.int32)
    stack[0], filled[0, 0], top = 0, 0, 1
    while top:
        top -= 1
        y, x = stack[top] // width, stack[top] % width
        for dy, dx in ((-1, 0), (1, 0), (0, -1), (0, 1)):
            if 0 <= y + dy < height and 0 <= x + dx < width and filled[y + dy, x + dx] == 1:
                filled[y + dy, x + dx] = 0
                stack[top] = (y + dy) * width + x + dx
                top += 1
    twice = 0
    for y in range(height - 1):
        for x in range(width - 1):
            inside = 0
            for dy in range(2):
                for dx in range(2):
                    inside += filled[y + dy, x + dx] > 0
            twice += max(inside - 2, 0)
    return twice


@njit(nogil=True, cache=True)
def _touch(components: Any, component: int, level: int, table: Any, changed: Any, touched: int) -> int:
    """A component is about to change at `level`: its IoU held down to the level above. Returns how many changed."""
    it = components[_INDEX(component)]
    if it.since == level:
        return touched
    _raise_between(table, level + 1, it.since + 1, it.iou)
    it.since = level
    changed[touched] = component
    return touched + 1


@njit(nogil=True, cache=True)
def _merge(components: Any, parent: Any, one: int, two: int) -> int:
    """Make one component of two; returns which of them goes on. The outside (NO_LARGEST) is the greatest."""
    if components[two].shape > components[one].shape:
        one, two = two, one
    kept, gone = components[one], components[two]
    parent[two] = one
    kept.shape += gone.shape
    kept.x0, kept.y0 = min(kept.x0, gone.x0), min(kept.y0, gone.y0)
    kept.x1, kept.y1 = max(kept.x1, gone.x1), max(kept.y1, gone.y1)
    return one


@njit(nogil=True, cache=True)
def _bounds(it: Any, rule: int) -> None:
    """Between what the component's size lies: exact but for a polygon around holes."""
    it.low = it.high = (it.shape + (1 << 31)) >> 32
    if rule == LARGEST_CONTOUR and it.shape - (it.low << 32) != 1:
        it.high = 2 * (it.x1 - it.x0 - 1) * (it.y1 - it.y0 - 1)


@njit(nogil=True, cache=True)
def _first(padded: Any, label: Any, parent: Any, it: Any, component: int, level: int, row: int) -> int:
    """The place of a component's first pixel in raster order: the leftmost one in the top row of its box."""
    place: int = (it.y0 + 1) * row + it.x0 + 1
    while padded[place] <= level or root(parent, label[place]) != component:
        place += 1
    return place


@njit(nogil=True, cache=True)
def _is_larger(
    components: Any, one: int, two: int, rule: int, padded: Any, label: Any, parent: Any, level: int, row: int
) -> bool:
    """Whether component `one` is the largest rather than `two`; polygons are worked out only where they must be."""
    new, old = components[one], components[two]
    if rule == LARGEST_CONTOUR and new.high >= old.low and new.low <= old.high:
        if new.low != new.high:
            new.low = new.high = polygon_area(padded, label, parent, components, one, level, row)
        if old.low != old.high:
            old.low = old.high = polygon_area(padded, label, parent, components, two, level, row)
    if new.low == old.low and new.high == old.high:
        before = _first(padded, label, parent, new, one, level, row) < _first(
            padded, label, parent, old, two, level, row
        )
        return before == (rule == LARGEST_AREA)
    return bool(new.low > old.high)


@njit(nogil=True, cache=True)
def _largest(
    components: Any, changed: Any, touched: int, new: int, largest: int, before: int, rule: int, padded: Any,
    label: Any, parent: Any, level: int, row: int,
) -> int:  # fmt: skip
    """The largest component, from that of the level above, whose size was at most `before`.

    As a rule only components that changed can have overtaken it.
    """
    largest = root(parent, max(largest, 1))
    if rule == LARGEST_CONTOUR and components[largest].low <= before:
        # A line that grew by a pixel: with its first pixel it may lose the tie that it won, and to any component.
        touched = new - 1
        for one in range(touched):
            changed[one] = one + 1
    for one in changed[:touched]:
        candidate = parent[one] == one and one != largest
        if candidate and _is_larger(components, one, largest, rule, padded, label, parent, level, row):
            largest = one
    return largest


@njit(nogil=True, cache=True)
def sweep(prepared: Any, shape: Any, rings: Any, truth: Any, clip: Any, rule: int, margin: int, extra: int) -> Any:
    """Every component at every level.

    Args:
        prepared: from `prepare`.
        shape: (H, W).
        rings: `Rings.tables`.
        truth: [G, 4] float64 boxes in map pixels, half-open.
        clip: [4] float64, what boxes are clipped to before they are compared.
        rule: which component is the largest. NO_LARGEST: what is beyond the map's border counts as a component that
            has no box, as the outside is to holes.
        margin, extra: see `best_iou`.

    Returns:
        (boxes [L, 4] int32, iou [L], best [L]): at each level, of the mask of that level and the brighter ones, the
        largest component's box and its IoU, and the best IoU of any component.
    """
    padded, ring, order, counts, label = prepared
    groups, firsts, gain, near = rings
    row, levels = shape[1] + 2, len(counts)
    steps = np.array([-row, -row + 1, 1, row + 1, row, row - 1, -1, -row - 1])
    step = np.array([steps[first] for first in firsts[:, 0]])
    founded = 1
    for bits in ring:
        founded += (bits & near) == 0  # the border's too: a few too many
    parent = np.arange(founded)
    components = np.zeros(founded, COMPONENT)
    components[0].shape, components[0].since = (1 << 62 if rule == NO_LARGEST else 0), levels - 1
    changed = np.empty(founded, np.int32)
    table = np.zeros((_bits(levels), levels))
    boxes, ious = np.zeros((levels, 4), np.int32), np.zeros(levels)
    new, largest, before, position = 1, 0, 0, 0
    for level in range(levels - 1, -1, -1):
        touched, end = 0, position + counts[level]
        while position < end:
            pixel = order[_INDEX(position)]
            position += 1
            y, x = pixel >> 16, pixel & 0xFFFF
            place = (y + 1) * row + x + 1
            bits = ring[_INDEX(place)]
            if groups[bits] == 0:
                here = new
                new += 1
                _found(components[here], x, y, level, gain[bits])
                changed[touched] = here
                touched += 1
            else:
                here = root(parent, label[_INDEX(place + step[bits])])
                if rule == NO_LARGEST and here == 0 and groups[bits] == 1:
                    label[_INDEX(place)] = 0  # most pixels join the outside, and nothing is asked of it
                    continue
                touched = _touch(components, here, level, table, changed, touched)
                for group in range(1, groups[bits]):
                    other = root(parent, label[place + steps[firsts[bits, group]]])
                    if other != here:
                        touched = _touch(components, other, level, table, changed, touched)
                        here = _merge(components, parent, here, other)
                _widen(components[_INDEX(here)], x, y, gain[bits])
            label[_INDEX(place)] = here
        for one in changed[:touched]:
            if parent[one] == one and not (rule == NO_LARGEST and one == 0):
                components[one].iou = best_iou(components[one], truth, clip, margin, extra)
                _bounds(components[one], rule)
        if rule != NO_LARGEST and new > 1:
            largest = _largest(
                components, changed, touched, new, largest, before, rule, padded, label, parent, level, row
            )
            it = components[largest]
            before = it.high
            boxes[level, 0], boxes[level, 1], boxes[level, 2], boxes[level, 3] = it.x0, it.y0, it.x1, it.y1
            ious[level] = it.iou
    for one in range(new):
        if parent[one] == one:
            _raise_between(table, 0, components[one].since + 1, components[one].iou)
    return boxes, ious, _settle(table)


@njit(nogil=True, cache=True)
def _found(it: Any, x: int, y: int, level: int, gain: int) -> None:
    """A component of one pixel."""
    it.x0, it.y0, it.x1, it.y1 = x, y, x + 1, y + 1
    it.since, it.shape = level, gain


@njit(nogil=True, cache=True)
def _widen(it: Any, x: int, y: int, gain: int) -> None:
    """One more pixel."""
    it.shape += gain
    if x < it.x0:  # branches that are seldom taken are faster here than four minima
        it.x0 = x
    elif x >= it.x1:
        it.x1 = x + 1
    if y < it.y0:
        it.y0 = y
    elif y >= it.y1:
        it.y1 = y + 1
