import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from adapters.mono_hydra.loops.appearance import AppearanceIndex
from adapters.mono_hydra.loops.options import LoopOptions

OPTIONS = LoopOptions(loop_word_bits=8, loop_word_tables=3)


def descriptors(seed: int, count: int = 40) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 32), dtype=np.uint8)


def with_changed_bits(original: np.ndarray, bits: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    unpacked = np.unpackbits(original, axis=1)
    for row in unpacked:
        row[random.choice(256, bits, replace=False)] ^= 1
    return np.packbits(unpacked, axis=1)


def index_of(count: int, options: LoopOptions = OPTIONS) -> AppearanceIndex:
    index = AppearanceIndex(options, seed=0)
    for seed in range(count):
        index.add(index.words_of(descriptors(seed)))
    return index


def test_a_keyframe_is_as_similar_as_can_be_to_itself():
    index = index_of(5)
    similarities = index.similarities(index.words_of(descriptors(3)))
    assert similarities.argmax() == 3
    np.testing.assert_allclose(similarities[3], 1.0, rtol=1e-5)


def test_a_keyframe_is_found_among_many_though_bits_have_changed():
    index = index_of(150, LoopOptions())
    for place in (0, 63, 64, 149):
        changed = with_changed_bits(descriptors(place), 25, seed=place)
        similarities = index.similarities(index.words_of(changed))
        assert similarities.argmax() == place
        assert similarities[place] > 3 * np.delete(similarities, place).max()


@given(count=st.integers(1, 140), query=st.integers(0, 300))
def test_similarities_are_the_shared_weight_of_words_however_many_keyframes_there_are(count, query):
    index = index_of(count)
    words = index.words_of(descriptors(query))
    bags = [set(index.words_of(descriptors(seed)).tolist()) for seed in range(count)]
    rarity = {word: np.log((count + 1) / (sum(word in bag for bag in bags) + 0.5)) for word in words.tolist()}
    shared = [sum(weight for word, weight in rarity.items() if word in bag) for bag in bags]
    expected = np.array(shared) / sum(rarity.values())
    np.testing.assert_allclose(index.similarities(words), expected, atol=1e-5)
    other = index.words_of(descriptors(0))
    np.testing.assert_allclose(index.similarity(words, other), expected[0], atol=1e-5)


def test_an_image_without_features_is_similar_to_nothing():
    index = index_of(3)
    nothing = index.words_of(np.zeros((0, 32), np.uint8))
    np.testing.assert_array_equal(index.similarities(nothing), np.zeros(3))
    assert index.similarity(nothing, index.words_of(descriptors(0))) == 0.0


def test_nothing_is_similar_before_anything_was_added():
    index = index_of(0)
    assert index.similarities(index.words_of(descriptors(0))).shape == (0,)


def test_the_seed_alone_decides_on_the_words():
    words = [AppearanceIndex(OPTIONS, seed).words_of(descriptors(0)) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(words[0], words[1])
    assert not np.array_equal(words[0], words[2])
