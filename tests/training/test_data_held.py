"""The sets that need no files, what is common to sets in memory, and how a set is found by its name."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="needs PyTorch (extra train)")

from perfmodel.errors import InputError, UnknownName  # noqa: E402
from perfmodel.training.data import find_dataset  # noqa: E402
from perfmodel.training.data.digits import held_out  # noqa: E402
from perfmodel.training.data.images import Held, Scale  # noqa: E402
from perfmodel.training.data.synthetic import Synthetic, make_synthetic  # noqa: E402

QUICK = settings(max_examples=60, deadline=None)


def code_of(error):
    return error.value.problems[0].code


def test_pixels_are_scaled_by_channel():
    scale = Scale(full=16.0, mean=(0.5, 0.25), std=(0.5, 0.125))
    pixels = np.array([[[[0, 16]], [[4, 8]]]], np.uint8)
    np.testing.assert_array_equal(scale.tensor(pixels).numpy(), [[[[-1, 1]], [[0, 2]]]])
    assert scale.tensor(pixels).dtype == torch.float32
    np.testing.assert_array_equal(pixels, [[[[0, 16]], [[4, 8]]]])  # left as it was


def test_a_held_set_gives_the_images_asked_for_and_augments_in_training_only():
    pixels = np.arange(6, dtype=np.uint8).reshape(3, 1, 1, 2)
    scale = Scale(1.0, (0.0,), (1.0,))
    held = Held("made", "made up", pixels, np.array([7, 8, 9]), 10, scale, lambda images, rng: images[..., ::-1])
    assert (len(held), held.shape) == (3, (1, 1, 2))
    images, labels = held.batch(np.array([2, 0]), None)
    assert images.tolist() == [[[[4, 5]]], [[[0, 1]]]]
    assert labels.tolist() == [9, 7]
    assert labels.dtype == torch.int64
    images, _ = held.batch(np.array([2]), np.random.default_rng(0))
    assert images.tolist() == [[[[5, 4]]]]
    assert held.pixels.tolist() == [[[[0, 1]]], [[[2, 3]]], [[[4, 5]]]]


@pytest.fixture(scope="module")
def digits():
    pytest.importorskip("sklearn", reason="needs scikit-learn (extra train)")
    return find_dataset("digits")


def test_the_digits_are_split_in_1437_and_360_with_equal_shares_of_each_class(digits):
    train, test = digits
    assert (train.name, train.shape, train.classes) == ("digits", (1, 8, 8), 10)
    assert (len(train), len(test)) == (1437, 360)
    # scikit-learn has 178 182 177 183 181 182 181 179 174 180 of the digits 0 to 9
    assert np.bincount(test.labels).tolist() == [35, 37, 35, 37, 36, 36, 37, 36, 34, 37]
    assert np.bincount(train.labels).tolist() == [143, 145, 142, 146, 145, 146, 144, 143, 140, 143]


def test_the_digits_are_all_there_once_and_normalised_over_the_training_part(digits):
    from sklearn.datasets import load_digits

    train, test = digits
    both = np.concatenate([train.pixels, test.pixels]).reshape(-1, 64)
    given = load_digits().data.astype(np.uint8)
    assert sorted(row.tobytes() for row in both) == sorted(row.tobytes() for row in given)
    images, _ = train.batch(np.arange(1437), None)
    assert images.mean().item() == pytest.approx(0, abs=2e-4)
    assert images.std().item() == pytest.approx(1, abs=2e-4)
    augmented, _ = train.batch(np.arange(1437), np.random.default_rng(0))
    assert torch.equal(images, augmented)  # digits are not augmented


def test_digits_without_scikit_learn_are_a_named_error(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(InputError, match=r"pip install 'perfmodel\[train\]'") as error:
        find_dataset("digits")
    assert code_of(error) == "E1712"


def test_every_third_image_of_a_class_is_held_out():
    labels = np.array([1, 0, 1, 0, 1, 0, 1, 1, 1])
    # in order of class: images 1 3 5 of class 0, then 0 2 4 6 7 8 of class 1
    assert np.flatnonzero(held_out(labels, 3)).tolist() == [4, 5, 8]


@QUICK
@given(st.lists(st.integers(0, 4), min_size=1, max_size=80), st.data())
def test_as_many_are_held_out_as_asked_for_and_of_each_class_its_share(labels, data):
    labels = np.array(labels)
    count = data.draw(st.integers(0, len(labels)))
    chosen = held_out(labels, count)
    assert chosen.sum() == count
    for label in set(labels.tolist()):
        here = labels == label
        assert abs(chosen[here].sum() - count * here.sum() / len(labels)) <= 1


def test_made_up_images_do_not_depend_on_the_batch_they_come_in():
    train, _ = make_synthetic("synthetic-2x5x7-3")
    together, labels = train.batch(np.array([4, 9, 2047]), None)
    alone, _ = train.batch(np.array([9]), np.random.default_rng(1))
    assert together.shape == (3, 2, 5, 7)
    assert torch.equal(together[1:2], alone)
    assert labels.tolist() == [1, 0, 1]
    assert not torch.equal(together[0], together[1])


def test_the_parts_of_the_made_up_set_are_one_sequence_and_the_seed_tells():
    train, test = make_synthetic("synthetic-1x4x4-10")
    longer = Synthetic("longer", (1, 4, 4), 10, 2049)
    images, labels = test.batch(np.array([0]), None)
    assert labels.tolist() == [2048 % 10]
    assert torch.equal(images, longer.batch(np.array([2048]), None)[0])
    other = Synthetic("other", (1, 4, 4), 10, 1, seed=1)
    assert not torch.equal(other.batch(np.array([0]), None)[0], train.batch(np.array([0]), None)[0])


def test_made_up_images_are_about_normal_and_of_the_size_that_the_name_says():
    train, test = find_dataset("synthetic")
    assert (train.shape, train.classes, len(train), len(test)) == ((3, 32, 32), 10, 2048, 512)
    images, labels = train.batch(np.arange(256), None)
    assert images.mean().item() == pytest.approx(0, abs=0.05)
    assert images.std().item() == pytest.approx(1, abs=0.05)
    assert (images.dtype, labels.dtype) == (torch.float32, torch.int64)
    wide, _ = find_dataset("synthetic-3x224x224-1000")
    assert (wide.name, wide.shape, wide.classes) == ("synthetic-3x224x224-1000", (3, 224, 224), 1000)


def test_made_up_images_carry_their_class():
    train, test = make_synthetic("synthetic-3x8x8-4")
    images, labels = train.batch(np.arange(len(train)), None)
    centres = torch.stack([images[labels == label].mean(0) for label in range(4)])
    images, labels = test.batch(np.arange(len(test)), None)
    nearest = (images[:, None] - centres[None]).square().sum((2, 3, 4)).argmin(1)
    assert (nearest == labels).float().mean().item() > 0.6  # guessing gives 0.25


def test_the_pictures_of_made_up_classes_have_parts():
    train, _ = make_synthetic("synthetic-1x4x4-2")
    images, labels = train.batch(np.arange(len(train)), None)
    for label in range(2):
        centre = images[labels == label].mean(0)
        assert centre.std() > 0.1  # the noise leaves 0.03


def test_an_image_beyond_the_end_is_refused():
    train, _ = make_synthetic("synthetic-1x4x4-2")
    with pytest.raises(IndexError):
        train.batch(np.array([2048]), None)


@pytest.mark.parametrize(
    "name",
    ["digit", "CIFAR10", "", "synthetic-", "synthetic-3x0x4-2", "synthetic-3x32x32", "synthetic-1x1x1000-2", "\0"],
)
def test_an_unknown_name_is_a_named_error(name):
    with pytest.raises(UnknownName) as error:
        find_dataset(name)
    assert code_of(error) == "E1711"


@pytest.mark.parametrize(
    ("name", "folder"),
    [("cifar10", None), ("imagenet", None), ("cifar100", "/nowhere/at-all"), ("cifar10", ""), ("imagenet", "a\0b"),
     ("digits", "."), ("synthetic", "."), ("synthetic-1x4x4-2", ".")],
)  # fmt: skip
def test_a_folder_that_is_missing_or_too_many_is_a_named_error(name, folder):
    with pytest.raises(InputError) as error:
        find_dataset(name, folder)
    assert code_of(error) == "E1713"
