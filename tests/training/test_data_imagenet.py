"""Folders of images by class, made up with a few small images, whole and broken."""

import os

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

torch = pytest.importorskip("torch", reason="needs PyTorch (extra train)")

from perfmodel.errors import InputError  # noqa: E402
from perfmodel.training.data import find_dataset  # noqa: E402

MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
RED, BLUE = (255, 0, 0), (0, 0, 255)


def write(path, colour=RED, size=(300, 260), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).convert(mode).save(path, "PNG" if mode == "P" else "JPEG")


@pytest.fixture
def folder(tmp_path):
    """Two training images of one class and one of another, a validation image of each."""
    write(tmp_path / "train" / "n02" / "n02_7.JPEG", BLUE)
    write(tmp_path / "train" / "n01" / "n01_9.JPEG")
    write(tmp_path / "train" / "n01" / "n01_10.JPEG")
    write(tmp_path / "val" / "n01" / "v_1.JPEG")
    write(tmp_path / "val" / "n02" / "v_2.JPEG", BLUE, (40, 50))
    return tmp_path


def refusal(folder):
    with pytest.raises(InputError) as error:
        find_dataset("imagenet", str(folder))
    (problem,) = error.value.problems
    assert problem.fix
    return problem


def test_classes_are_numbered_by_their_sorted_names_and_images_sorted_in_them(folder):
    (folder / "train" / ".DS_Store").touch()
    (folder / "val" / "n01" / ".hidden").touch()
    train, val = find_dataset("imagenet", str(folder))
    assert (train.name, train.shape, train.classes, len(train), len(val)) == ("imagenet", (3, 224, 224), 2, 3, 2)
    assert train.paths == ("n01/n01_10.JPEG", "n01/n01_9.JPEG", "n02/n02_7.JPEG")
    assert train.labels.tolist() == [0, 0, 1]
    assert val.labels.tolist() == [0, 1]


def test_images_are_read_in_any_order_and_normalised(folder):
    _, val = find_dataset("imagenet", str(folder))
    images, labels = val.batch(np.array([1, 0]), None)
    assert images.shape == (2, 3, 224, 224)
    assert (images.dtype, labels.dtype, labels.tolist()) == (torch.float32, torch.int64, [1, 0])
    # JPEG keeps pure colours to within some levels of 255, 0.018 / 0.225 in these units
    for image, colour in zip(images, (BLUE, RED), strict=True):
        expected = (np.array(colour) / 255 - MEAN) / STD
        assert np.abs(image.numpy() - expected[:, None, None]).max() < 0.05


@pytest.mark.parametrize(("size", "stripe"), [((512, 256), 200), ((1024, 512), 400)])
def test_tests_see_the_middle_of_the_image_scaled_to_a_shorter_side_of_256(folder, size, stripe):
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    pixels[:, stripe:] = 255  # white from there on
    Image.fromarray(pixels).save(folder / "val" / "n01" / "v_1.png")
    (folder / "val" / "n01" / "v_1.JPEG").unlink()
    _, val = find_dataset("imagenet", str(folder))
    rows = (val.batch(np.array([0]), None)[0][0].numpy() * STD[:, None, None] + MEAN[:, None, None])[0]
    np.testing.assert_allclose(rows[:, :55], 0, atol=1e-6)  # 200 left of the edge in 512×256, of which 144 are cut off
    np.testing.assert_allclose(rows[:, 57:], 1, atol=1e-6)


def test_training_takes_random_parts_and_mirrors_reproducibly(folder):
    noise = np.random.default_rng(0).integers(0, 256, (260, 300, 3)).astype(np.uint8)
    Image.fromarray(noise).save(folder / "train" / "n01" / "n01_9.JPEG")
    train, _ = find_dataset("imagenet", str(folder))
    same = np.array([1, 1, 1, 0])
    one, two = (train.batch(same, np.random.default_rng(5))[0] for _ in range(2))
    assert torch.equal(one, two)
    assert one.shape == (4, 3, 224, 224)
    assert not torch.equal(one[0], one[1])
    assert not torch.equal(one[0], train.batch(same, np.random.default_rng(6))[0][0])


def test_about_half_of_the_training_images_are_mirrored(folder):
    brighter = np.tile(np.linspace(0, 255, 300).astype(np.uint8)[None, :, None], (260, 1, 3))
    Image.fromarray(brighter).save(folder / "train" / "n01" / "n01_9.JPEG")
    train, _ = find_dataset("imagenet", str(folder))
    images, _ = train.batch(np.ones(60, int), np.random.default_rng(4))
    mirrored = (images[..., 0] > images[..., -1]).all(2).all(1)
    upright = (images[..., 0] < images[..., -1]).all(2).all(1)
    assert mirrored.sum() + upright.sum() == 60
    assert 15 < mirrored.sum() < 45


def test_the_order_in_which_the_system_lists_a_folder_does_not_matter(folder, monkeypatch):
    listed = os.scandir

    class Backwards(list):
        __enter__ = list.__iter__

        def __exit__(self, *_):
            pass

    def scandir(path):
        return Backwards(sorted(listed(path), key=lambda entry: entry.name, reverse=True))

    monkeypatch.setattr(os, "scandir", scandir)
    train, _ = find_dataset("imagenet", str(folder))
    assert train.paths == ("n01/n01_10.JPEG", "n01/n01_9.JPEG", "n02/n02_7.JPEG")


@pytest.mark.parametrize("mode", ["L", "CMYK", "P"])
def test_grey_cmyk_and_palette_images_become_rgb_whatever_the_suffix_says(folder, mode):
    write(folder / "val" / "n01" / "v_1.JPEG", (255, 255, 255), mode=mode)
    _, val = find_dataset("imagenet", str(folder))
    white = (1 - MEAN) / STD
    assert np.abs(val.batch(np.array([0]), None)[0][0].numpy() - white[:, None, None]).max() < 0.05


@pytest.mark.parametrize("part", ["train", "val"])
def test_a_missing_part_is_a_named_error(folder, part):
    os.rename(folder / part, folder / "elsewhere")
    problem = refusal(folder)
    assert (problem.code, problem.found) == ("E1714", f"{part}/ missing.")


def test_validation_images_that_are_not_in_folders_of_classes_are_a_named_error(folder):
    for name in ("n01", "n02"):
        os.rename(folder / "val" / name, folder / name)
    write(folder / "val" / "ILSVRC2012_val_00000001.JPEG")
    problem = refusal(folder)
    assert (problem.code, problem.found) == ("E1718", "0 folders of classes; there must be 2 or more.")
    assert "val/<wnid>/" in problem.fix


def test_classes_that_differ_are_named(folder):
    os.rename(folder / "val" / "n02", folder / "val" / "n03")
    problem = refusal(folder)
    assert (problem.code, problem.place) == ("E1718", f"{folder / 'val'}:")
    assert problem.found == "not the classes of train/: n02, n03 in one of them only."
    for number in range(4, 8):
        (folder / "val" / f"n0{number}").mkdir()
    assert refusal(folder).found == "not the classes of train/: n02, n03, n04 … (6 in all) in one of them only."


def test_a_class_without_images_is_a_named_error(folder):
    (folder / "train" / "n02" / "n02_7.JPEG").unlink()
    problem = refusal(folder)
    assert (problem.code, problem.place, problem.found) == ("E1718", f"{folder / 'train' / 'n02'}:", "holds no images.")


@pytest.mark.parametrize("name", ["n01.tar", "notes.txt", "folder.JPEG"])
def test_a_file_that_is_no_image_by_its_name_is_a_named_error(folder, name):
    path = folder / "train" / "n01" / name
    path.mkdir() if name == "folder.JPEG" else path.touch()
    problem = refusal(folder)
    assert (problem.code, problem.place, problem.found) == ("E1718", f"{path}:", "is not an image file.")


def test_a_folder_that_cannot_be_listed_is_a_named_error(folder, monkeypatch):
    listed = os.scandir

    def scandir(path):
        if str(path).endswith("n02"):
            raise PermissionError(13, "Permission denied")
        return listed(path)

    monkeypatch.setattr(os, "scandir", scandir)
    problem = refusal(folder)
    assert (problem.code, problem.found) == ("E1718", "cannot be read: Permission denied.")


def truncated(path):
    path.write_bytes(path.read_bytes()[:-500])


def damaged_png(path):
    Image.new("RGB", (64, 64)).save(path, "PNG")
    raw = bytearray(path.read_bytes())
    raw[raw.index(b"IDAT") + 6] ^= 0xFF
    path.write_bytes(raw)


def another_format(path):
    Image.new("RGB", (64, 64)).save(path, "GIF")


def bomb(path):
    """A PNG of a few bytes that says it is 2¹⁶ × 2¹⁶."""
    header = (2**16).to_bytes(4, "big") * 2 + b"\x08\x02\0\0\0"
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        PngImagePlugin.putchunk(file, b"IHDR", header)
        PngImagePlugin.putchunk(file, b"IDAT", b"")


NEITHER = "is no JPEG or PNG image."


@pytest.mark.parametrize(
    ("spoil", "found"),
    [(truncated, "does not read: image file is truncated"), (damaged_png, "does not read: "),
     (bomb, "does not read: Image size"), (lambda path: path.unlink(), "does not read: "),
     (lambda path: path.write_bytes(b""), NEITHER), (lambda path: path.write_text("not found"), NEITHER),
     (another_format, NEITHER)],
)  # fmt: skip
@pytest.mark.parametrize("rng", [None, 0])
def test_an_image_that_is_not_whole_is_a_named_error(folder, spoil, found, rng):
    train, _ = find_dataset("imagenet", str(folder))
    path = folder / "train" / "n01" / "n01_9.JPEG"
    spoil(path)
    with pytest.raises(InputError) as error:
        train.batch(np.array([0, 1, 2]), None if rng is None else np.random.default_rng(rng))
    (problem,) = error.value.problems
    assert (problem.code, problem.place) == ("E1719", f"{path}:")
    assert problem.found.startswith(found)
    assert len(train.batch(np.array([0, 2]), None)[0]) == 2  # the others still read
