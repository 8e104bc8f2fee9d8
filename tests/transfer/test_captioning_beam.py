"""Beam search against a plain search, one image and one beam at a time, written from the rules in beam.py."""

import itertools
import math

import pytest
import torch
from torch import Tensor

from transfer.tasks.captioning.beam import Memory, Rules, State, search
from transfer.tasks.captioning.nic import NICNetwork

PAD, START, END, UNK = range(4)
WORDS = 9


def table(seed: int, images: int, *, end: float = 0.0) -> tuple[State, "Transitions"]:
    """A random model in which the next word depends on the image, the last word and the one before."""
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(images, WORDS, WORDS, WORDS, generator=generator, dtype=torch.float64)
    logits[..., END] += end
    return (torch.arange(images), torch.full((images,), PAD)), Transitions(logits)


class Transitions:
    def __init__(self, logits: Tensor) -> None:
        self.logits = logits  # [N, last but one, last, next]
        self.calls = 0

    def __call__(self, last: Tensor, state: State, memory: Memory) -> tuple[Tensor, State]:
        self.calls += 1
        image, before = state
        return self.logits[image, before, last], (image, last)

    def log_probability(self, image: int, words: list[int]) -> float:
        """Of a whole caption, END included."""
        past = [PAD, START, *words]
        steps = [self.logits[image, a, b].log_softmax(0)[c] for a, b, c in zip(past, past[1:], past[2:], strict=False)]
        return float(sum(steps))


def oracle(model: Transitions, image: int, beam: int, rules: Rules) -> tuple[list[int], float]:
    """The rules of beam.py with lists: a beam search, and greedy's caption where that is better."""
    searched = plain(model, image, beam, rules)
    greedy = plain(model, image, 1, rules)
    return greedy if greedy[1] > searched[1] else searched


def plain(model: Transitions, image: int, beam: int, rules: Rules) -> tuple[list[int], float]:
    kept: list[tuple[float, list[int]]] = [(0.0, [])]
    for length in range(rules.max_words + 1):
        found = []
        for score, words in kept:
            if words and words[-1] == END:
                found.append((score, words))
                continue
            past = [PAD, START, *words]
            log_p = model.logits[image, past[-2], past[-1]].log_softmax(0).tolist()
            for word in range(WORDS):
                if word in (PAD, START, *rules.never) or (word == END and length == 0):
                    continue
                if length == rules.max_words and word != END:
                    continue
                found.append((score + log_p[word], [*words, word]))
        kept = sorted(found, key=lambda f: -f[0])[:beam]
        over = [words[-1] == END for _, words in kept]
        if over[0] if rules.alpha == 0 else all(over):
            break
    finished = [(score / len(words) ** rules.alpha, words) for score, words in kept if words[-1] == END]
    score, words = max(finished, key=lambda f: f[0])
    return words, score


def rules(max_words: int = 6, alpha: float = 0.0) -> Rules:
    return Rules(pad=PAD, start=START, end=END, never=(UNK,), max_words=max_words, alpha=alpha)


def unpadded(words: Tensor) -> list[list[int]]:
    return [[w for w in row if w != PAD] for row in words.tolist()]


@pytest.mark.parametrize("alpha", [0.0, 0.7])
@pytest.mark.parametrize("beam", [1, 2, 3, 5, 20])
@pytest.mark.parametrize("end", [-3.0, 0.0, 2.0])
def test_the_batch_finds_what_a_plain_search_of_each_image_finds(beam: int, alpha: float, end: float) -> None:
    state, model = table(seed=beam, images=25, end=end)
    words, scores = search(model, state, (), beam=beam, rules=rules(alpha=alpha))
    for image, (found, score) in enumerate(zip(unpadded(words), scores.tolist(), strict=True)):
        expected, expected_score = oracle(model, image, beam, rules(alpha=alpha))
        assert found == expected
        assert score == pytest.approx(expected_score, abs=1e-9)


def test_beam_1_is_greedy() -> None:
    state, model = table(seed=1, images=40)
    words, _ = search(model, state, (), beam=1, rules=rules(max_words=5))
    for image, found in enumerate(unpadded(words)):
        greedy: list[int] = []
        while END not in greedy:
            past = [PAD, START, *greedy]
            logits = model.logits[image, past[-2], past[-1]].clone()
            logits[[PAD, START, UNK, *([END] if not greedy else [])]] = -math.inf
            greedy.append(END if len(greedy) == 5 else int(logits.argmax()))
        assert found == greedy


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_no_beam_is_worse_than_greedy_and_some_are_better(alpha: float) -> None:
    state, model = table(seed=3, images=300)
    greedy = search(model, state, (), beam=1, rules=rules(alpha=alpha))[1]
    for beam in (2, 3, 4, 8):
        scores = search(model, state, (), beam=beam, rules=rules(alpha=alpha))[1]
        assert (scores >= greedy - 1e-12).all()
        assert (scores > greedy + 1e-6).any()


def test_greedys_caption_is_kept_where_a_plain_beam_loses_it() -> None:
    state, model = table(seed=3, images=300)
    lost = [i for i in range(300) if plain(model, i, 2, rules())[1] < plain(model, i, 1, rules())[1] - 1e-9]
    assert lost  # such images exist: the search of greedy's caption beside the beam is needed
    scores = search(model, state, (), beam=2, rules=rules())[1]
    for image in lost:
        assert scores[image].item() == pytest.approx(plain(model, image, 1, rules())[1], abs=1e-9)


def test_a_beam_that_holds_everything_finds_the_most_probable_caption() -> None:
    state, model = table(seed=4, images=4)
    words, scores = search(model, state, (), beam=400, rules=rules(max_words=3))
    usable = [w for w in range(WORDS) if w not in (PAD, START, END, UNK)]
    captions = [[*c, END] for n in (1, 2, 3) for c in itertools.product(usable, repeat=n)]
    for image, (found, score) in enumerate(zip(unpadded(words), scores.tolist(), strict=True)):
        best = max(captions, key=lambda c, image=image: model.log_probability(image, c))  # type: ignore[misc]
        assert found == best
        assert score == pytest.approx(model.log_probability(image, best), abs=1e-9)


@pytest.mark.parametrize("beam", [1, 3])
def test_every_caption_is_finished_not_empty_and_free_of_forbidden_words(beam: int) -> None:
    state, model = table(seed=5, images=60)
    model.logits[..., [PAD, START, UNK]] += 9  # the model wants nothing else
    model.logits[20:40, ..., END] += 20  # these would be empty captions
    model.logits[40:, ..., END] -= 20  # these would never end
    words, scores = search(model, state, (), beam=beam, rules=rules(max_words=6))
    assert scores.isfinite().all()
    for image, caption in enumerate(words.tolist()):
        end = caption.index(END)
        assert 1 <= end <= 6
        assert not {PAD, START, UNK, END} & set(caption[:end])
        assert set(caption[end + 1 :]) <= {PAD}
        assert end == 1 if 20 <= image < 40 else True
        assert end == 6 if image >= 40 else True


def test_scores_are_the_models_log_probabilities() -> None:
    state, model = table(seed=6, images=30)
    words, scores = search(model, state, (), beam=3, rules=rules())
    for image, (found, score) in enumerate(zip(unpadded(words), scores.tolist(), strict=True)):
        assert score == pytest.approx(model.log_probability(image, found), abs=1e-9)


def test_the_search_stops_when_all_images_are_done() -> None:
    state, model = table(seed=7, images=5, end=30.0)
    search(model, state, (), beam=3, rules=rules(max_words=50))
    assert model.calls <= 3  # one word and END; then greedy's, if that was lost


def test_an_image_gets_the_same_caption_alone_and_in_a_batch_of_an_lstm() -> None:
    torch.manual_seed(0)
    nic = NICNetwork(6, 12, embed=8, hidden=10, dropout=0.5).double().eval()
    torch.nn.init.normal_(nic.output.weight)
    features = torch.randn(7, 6, dtype=torch.float64)
    allowed = rules(max_words=8)
    with torch.inference_mode():
        state, memory = nic.start(features)
        words, scores = search(nic.step, state, memory, beam=4, rules=allowed)
        for image in range(7):
            alone, score = search(nic.step, tuple(s[image : image + 1] for s in state), (), beam=4, rules=allowed)
            assert unpadded(alone)[0] == unpadded(words)[image]
            assert score.item() == pytest.approx(scores[image].item(), abs=1e-9)
        logits = nic(features[:1], torch.tensor([[START, *unpadded(words)[0]]])).logits
    steps = logits.log_softmax(1).gather(1, torch.tensor(unpadded(words)[0])[:, None])
    assert steps.sum().item() == pytest.approx(scores[0].item(), abs=1e-9)
