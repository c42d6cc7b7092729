"""CIFAR's files in both published layouts, made up with 3 and 2 images, whole and broken."""

import os
import pickle
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="needs PyTorch (extra train)")

from perfmodel.errors import InputError  # noqa: E402
from perfmodel.training.data import cifar as module  # noqa: E402
from perfmodel.training.data import find_dataset  # noqa: E402
from perfmodel.training.data.cifar import read_cifar  # noqa: E402
from perfmodel.training.data.pickles import Array, read_pickle  # noqa: E402

CIFAR10 = replace(module.CIFAR10, train_images=3, test_images=2)
CIFAR100 = replace(module.CIFAR100, train_images=3, test_images=2)
TENTH = {"train": [[0, 1, 9], [2, 2, 2], [3, 4, 5], [6, 7, 8], [9, 9, 0]], "test": [5, 6]}


def pixels_of(labels):
    """Images whose red planes start with their label, and whose blue planes end in 255."""
    pixels = np.zeros((len(labels), 3072), np.uint8)
    pixels[:, 0], pixels[:, 3071] = labels, 255
    return pixels


def python2(pixels, labels, key=b"labels", order=b"K\x00"):
    """A dictionary as Python 2's cPickle writes it, protocol 2: texts are bytes there, types come from numpy.core."""
    count, width = (b"M" + int(side).to_bytes(2, "little") for side in pixels.shape)
    raw = pixels.tobytes(order="C" if order == b"K\x00" else "F")
    data = (
        b"cnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\nndarray\nq\x02K\x00\x85U\x01b\x87Rq\x03"
        b"(K\x01" + count + width + b"\x86cnumpy\ndtype\nq\x04U\x02u1K\x00K\x01\x87Rq\x05"
        b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb" + order +
        b"T" + len(raw).to_bytes(4, "little") + raw + b"tb"
    )  # fmt: skip
    listed = b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    return b"\x80\x02}q\x00(U\x04data" + data + b"U" + bytes([len(key)]) + key + listed + b"u."


def write_python(folder, tenth=TENTH):
    folder.mkdir(parents=True, exist_ok=True)
    for number, labels in enumerate(tenth["train"], 1):
        (folder / f"data_batch_{number}").write_bytes(python2(pixels_of(labels), labels))
    (folder / "test_batch").write_bytes(python2(pixels_of(tenth["test"]), tenth["test"]))


def binary(rows):
    """Records of labels and pixels; each row is the labels of one image."""
    return b"".join(bytes(row) + pixels_of([row[-1]]).tobytes() for row in rows)


def write_binary(folder, tenth=TENTH):
    folder.mkdir(parents=True, exist_ok=True)
    for number, labels in enumerate(tenth["train"], 1):
        (folder / f"data_batch_{number}.bin").write_bytes(binary([[label] for label in labels]))
    (folder / "test_batch.bin").write_bytes(binary([[label] for label in tenth["test"]]))


GOOD = pixels_of([1, 2])


def refusal(kind, folder):
    with pytest.raises(InputError) as error:
        read_cifar(kind, folder)
    (problem,) = error.value.problems
    assert problem.fix
    return problem


@pytest.mark.parametrize("write", [write_python, write_binary])
@pytest.mark.parametrize("below", [True, False])
def test_both_layouts_read_from_their_folder_and_from_the_one_above(tmp_path, write, below):
    folder = tmp_path / ("cifar-10-batches-py" if write is write_python else "cifar-10-batches-bin")
    write(folder)
    train, test = read_cifar(CIFAR10, folder if below else tmp_path)
    assert (train.name, train.shape, train.classes, len(train), len(test)) == ("cifar10", (3, 32, 32), 10, 15, 2)
    assert train.labels.tolist() == [0, 1, 9, 2, 2, 2, 3, 4, 5, 6, 7, 8, 9, 9, 0]
    assert train.pixels[:, 0, 0, 0].tolist() == train.labels.tolist()
    assert test.labels.tolist() == test.pixels[:, 0, 0, 0].tolist() == [5, 6]
    assert test.pixels[0].sum() == 5 + 255
    assert test.pixels[0, 2, 31, 31] == 255  # the last byte is blue, of the last row and column


def test_images_are_normalised_with_muppets_constants(tmp_path):
    write_python(tmp_path)
    _, test = read_cifar(CIFAR10, tmp_path)
    images, labels = test.batch(np.array([1]), None)
    assert images[0, 2, 31, 31].item() == pytest.approx((1 - 0.4465) / 0.2010, rel=1e-6)
    assert images[0, 0, 0, 0].item() == pytest.approx((6 / 255 - 0.4914) / 0.2023, rel=1e-6)
    assert images[0, 1, 0, 0].item() == pytest.approx(-0.4822 / 0.1994, rel=1e-6)
    assert labels.tolist() == [6]


def test_training_images_are_augmented_and_reproducibly(tmp_path):
    write_binary(tmp_path)
    train, _ = read_cifar(CIFAR10, tmp_path)
    every = np.arange(15)
    one, two = (train.batch(every, np.random.default_rng(3))[0] for _ in range(2))
    assert torch.equal(one, two)
    assert not torch.equal(one, train.batch(every, None)[0])


def test_cifar_100_has_two_labels_of_which_the_fine_one_counts(tmp_path):
    for name, labels in (("train", [99, 0, 42]), ("test", [7, 8])):
        (tmp_path / name).write_bytes(python2(pixels_of(labels), labels, b"fine_labels"))
    train, test = read_cifar(CIFAR100, tmp_path)
    assert (train.classes, train.labels.tolist(), test.labels.tolist()) == (100, [99, 0, 42], [7, 8])
    folder = tmp_path / "other" / "cifar-100-binary"
    folder.mkdir(parents=True)
    (folder / "train.bin").write_bytes(binary([(19, 99), (0, 0), (3, 42)]))
    (folder / "test.bin").write_bytes(binary([(1, 7), (1, 8)]))
    train, test = read_cifar(CIFAR100, tmp_path / "other")
    assert (train.labels.tolist(), test.labels.tolist()) == ([99, 0, 42], [7, 8])
    assert train.pixels[:, 0, 0, 0].tolist() == [99, 0, 42]


@pytest.mark.parametrize("protocol", [3, 4])
def test_pickles_that_numpy_2_writes_anew_read_too(tmp_path, protocol):
    write_python(tmp_path)
    raw = pickle.dumps({b"data": pixels_of([1, 2]), b"labels": [1, 2], b"filenames": [b"a", "b"]}, protocol=protocol)
    (tmp_path / "test_batch").write_bytes(raw)
    assert read_cifar(CIFAR10, tmp_path)[1].pixels[:, 0, 0, 0].tolist() == [1, 2]


def test_an_array_by_columns_is_turned(tmp_path):
    pixels = np.arange(6144, dtype=np.uint16).astype(np.uint8).reshape(2, 3072)
    raw = python2(pixels, [1, 2], order=b"K\x01")
    np.testing.assert_array_equal(read_pickle(raw, tmp_path)[b"data"].rows(3072), pixels)


def test_an_array_whose_shape_and_bytes_disagree_is_none(tmp_path):
    raw = python2(GOOD, [1, 2])
    for other in (b"M\x00\x06", b"M\x01\x0c", b"J\x00\xf4\xff\xff"):  # 1536, 3073 and -3072 columns
        assert read_pickle(raw.replace(b"M\x00\x0c", other), tmp_path)[b"data"].rows(3072) is None
    assert read_pickle(raw, tmp_path)[b"data"].rows(3072).shape == (2, 3072)


def test_missing_files_are_named(tmp_path):
    write_python(tmp_path)
    (tmp_path / "data_batch_3").unlink()
    (tmp_path / "test_batch").unlink()
    problem = refusal(CIFAR10, tmp_path)
    assert (problem.code, problem.found) == ("E1714", "data_batch_3, test_batch missing.")


def test_a_packed_archive_is_to_be_unpacked(tmp_path):
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(b"")
    problem = refusal(CIFAR10, tmp_path)
    assert (problem.code, problem.fix) == ("E1714", "Unpack it: tar xzf cifar-10-binary.tar.gz")


def test_an_empty_folder_says_what_is_looked_for(tmp_path):
    with pytest.raises(InputError, match=r"E1714 .*no CIFAR-100 here\. Give cifar-100-python or cifar-100-binary"):
        find_dataset("cifar100", str(tmp_path))


@pytest.mark.parametrize(
    ("change", "found"),
    [(lambda raw: raw[:-1], "has 6145 bytes, which are no whole number of images of 3073 bytes each."),
     (lambda raw: raw[:3073], "holds 1 images; 2 were published."),
     (lambda raw: b"", "holds 0 images; 2 were published."),
     (lambda raw: raw * 2, "holds 4 images; 2 were published.")],
)  # fmt: skip
def test_a_binary_file_of_another_size_is_refused(tmp_path, change, found):
    write_binary(tmp_path)
    path = tmp_path / "test_batch.bin"
    path.write_bytes(change(path.read_bytes()))
    problem = refusal(CIFAR10, tmp_path)
    assert (problem.code, problem.place, problem.found) == ("E1715", f"{path}:", found)


def test_labels_out_of_range_are_refused_with_file_and_image(tmp_path):
    write_binary(tmp_path, {**TENTH, "test": [5, 10]})
    problem = refusal(CIFAR10, tmp_path)
    assert (problem.code, problem.place) == ("E1716", f"{tmp_path / 'test_batch.bin'}: image 1:")
    assert problem.found == "label 10; labels go from 0 to 9."
    write_python(tmp_path, {**TENTH, "test": [11, 0]})
    problem = refusal(CIFAR10, tmp_path)
    assert (problem.code, problem.place) == ("E1716", f"{tmp_path / 'test_batch'}: image 0:")


def test_a_coarse_label_out_of_range_is_refused_too(tmp_path):
    (tmp_path / "train.bin").write_bytes(binary([(19, 99), (20, 0), (3, 42)]))
    (tmp_path / "test.bin").write_bytes(binary([(1, 7), (1, 8)]))
    problem = refusal(CIFAR100, tmp_path)
    assert (problem.code, problem.found) == ("E1716", "label 20; labels go from 0 to 19.")
    assert problem.place.endswith("image 1:")


@pytest.mark.parametrize(
    ("batch", "code", "found"),
    [({b"data": GOOD}, "E1715", "key b'labels' missing."),
     ({"data": GOOD, "labels": [1, 2]}, "E1715", "key b'data' and b'labels' missing."),
     ({b"data": GOOD.astype(np.int16), b"labels": [1, 2]}, "E1715", "key b'data' is no array of bytes [N, 3072]."),
     ({b"data": GOOD.view(np.int8), b"labels": [1, 2]}, "E1715", "key b'data' is no array of bytes [N, 3072]."),
     ({b"data": GOOD.reshape(2, 3, 1024), b"labels": [1, 2]}, "E1715", "key b'data' is no array of bytes [N, 3072]."),
     ({b"data": GOOD[:, :-1].copy(), b"labels": [1, 2]}, "E1715", "key b'data' is no array of bytes [N, 3072]."),
     ({b"data": b"\0" * 6144, b"labels": [1, 2]}, "E1715", "key b'data' is no array of bytes [N, 3072]."),
     ({b"data": GOOD, b"labels": [1, 2, 3]}, "E1715", "key b'labels' is no list of 2 labels."),
     ({b"data": GOOD, b"labels": 2}, "E1715", "key b'labels' is no list of 2 labels."),
     ({b"data": GOOD[:1], b"labels": [1]}, "E1715", "holds 1 images; 2 were published."),
     ({b"data": GOOD, b"labels": [1, -1]}, "E1716", "label -1; labels go from 0 to 9."),
     ({b"data": GOOD, b"labels": [1, 2.0]}, "E1716", "label 2.0; labels go from 0 to 9."),
     ({b"data": GOOD, b"labels": [10**5000, 1]}, "E1716", "label int of thousands of digits; labels go from 0 to 9."),
     ([GOOD, [1, 2]], "E1717", "holds a list, not a dictionary.")],
)  # fmt: skip
def test_a_pickle_with_other_contents_is_refused(tmp_path, batch, code, found):
    write_python(tmp_path)
    (tmp_path / "test_batch").write_bytes(pickle.dumps(batch, protocol=4))
    problem = refusal(CIFAR10, tmp_path)
    assert (problem.code, problem.found) == (code, found)


class Malicious:
    """Runs a command wherever it is unpickled by Python's own means."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_a_malicious_pickle_runs_nothing(tmp_path, protocol):
    made = tmp_path / "made-by-the-pickle"
    raw = pickle.dumps({b"data": GOOD, b"labels": Malicious(made)}, protocol=protocol)
    pickle.loads(raw)
    assert made.is_dir()  # it does what it is meant to
    made.rmdir()
    write_python(tmp_path)
    (tmp_path / "test_batch").write_bytes(pickle.dumps({1: Malicious(made)}, protocol=protocol))
    problem = refusal(CIFAR10, tmp_path)
    assert problem.code == "E1717"
    assert "asks for" in problem.found
    assert "mkdir" in problem.found
    assert not made.exists()


@pytest.mark.parametrize(
    "raw",
    [b"cbuiltins\neval\n(S'1'\ntR.", b"cnumpy\nload\n.", b"cnumpy.core.multiarray\n__dict__\n.", b"c__main__\nArray\n.",
     b"\x80\x04\x8c\x05numpy\x8c\x12core.multiarray.os\x93.", b"(ios\nsystem\n.", b"Pperson\n.", b"\x82\x01.",
     b"cnumpy\nndarray\n(}S'state'\nI1\nsb.", b"cnumpy\ndtype\n}b.",
     b"", b".", b"\x80\x63.", b"}}s.", b"r\xff\xff\xff\xff."],
)  # fmt: skip
def test_a_pickle_of_other_things_is_a_named_error_and_changes_nothing(tmp_path, raw):
    with pytest.raises(InputError) as error:
        read_pickle(raw, tmp_path / "file")
    assert error.value.problems[0].code == "E1717"
    assert Array.state is None


def test_asking_for_gigabytes_in_a_few_bytes_gets_none(tmp_path):
    """Python's C unpickler makes room for as many entries as the highest number that is remembered."""
    assert read_pickle(b"\x80\x02}r\xff\xff\xff\xff.", tmp_path) == {}


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_damaged_pickle_reads_or_is_a_named_error(data):
    raw = bytearray(python2(np.zeros((2, 7), np.uint8), [1, 2]))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    with suppress(InputError):  # anything else is a bug
        array = read_pickle(bytes(raw[: data.draw(st.integers(0, len(raw)))]), Path("file")).get(b"data")
        rows = array.rows(7) if isinstance(array, Array) else None
        assert rows is None or (rows.dtype, rows.shape[1]) == (np.uint8, 7)


def test_a_fifo_or_a_huge_file_is_not_read(tmp_path, monkeypatch):
    write_binary(tmp_path)
    monkeypatch.setattr(module, "LARGEST_BYTES", 1000)
    assert refusal(CIFAR10, tmp_path).code == "E1203"
    (tmp_path / "test_batch.bin").unlink()
    os.mkfifo(tmp_path / "test_batch.bin")
    assert refusal(CIFAR10, tmp_path).code == "E1714"
