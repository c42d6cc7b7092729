"""The quantisers in PyTorch give what those in NumPy give, bit for bit, from the same numbers u."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="needs PyTorch (extra train)")

from perfmodel.errors import InputError  # noqa: E402
from perfmodel.quantisers import affine, blocks, dynamic, floats, program  # noqa: E402
from perfmodel.training import rounding  # noqa: E402, F401
from perfmodel.training.noise import Noise  # noqa: E402
from perfmodel.training.rounding import affine as affine_torch  # noqa: E402
from perfmodel.training.rounding import blocks as blocks_torch  # noqa: E402
from perfmodel.training.rounding import dynamic as dynamic_torch  # noqa: E402
from perfmodel.training.rounding import floats as floats_torch  # noqa: E402
from perfmodel.training.rounding import program as program_torch  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy's, of infinities that are meant
FORMATS = list(floats.FLOATS.values())
FINITE = st.floats(width=32, allow_nan=False, allow_infinity=False)
ANY = st.one_of(FINITE, st.sampled_from([0.0, -0.0, 2.0**-149, -(2.0**-140), 3.4e38, -3.4e38, 127.5, 0.5, -0.5, 1.5]))
SPECIAL = st.sampled_from([np.nan, np.inf, -np.inf])
UNIT = st.one_of(st.floats(0, 1, width=32, exclude_max=True), st.sampled_from([0.0, 0.5, 0.25, 1 - 2.0**-24]))
QUICK = settings(max_examples=150, deadline=None)


SIDE = st.integers(1, 6)


@st.composite
def tensors(draw, elements=ANY, rows=SIDE, columns=SIDE):
    """A matrix and numbers u for it."""
    shape = (draw(rows), draw(columns))
    count = shape[0] * shape[1]
    scale = 2.0 ** draw(st.integers(-30, 30)) if draw(st.booleans()) else 1.0
    values = np.array(draw(st.lists(elements, min_size=count, max_size=count)), np.float64)
    with np.errstate(over="ignore"):
        x = (values * scale if scale < 1 else values).astype(np.float32).reshape(shape)
    u = np.array(draw(st.lists(UNIT, min_size=count, max_size=count)), np.float32).reshape(shape)
    return x, u if draw(st.booleans()) else None


def torched(array):
    return None if array is None else torch.from_numpy(array)


def same(ours, theirs):
    """Equal to the bit, NaN where NaN."""
    found = ours.numpy()
    assert found.dtype == np.float32
    theirs = np.asarray(theirs, np.float32)
    nan = np.isnan(theirs)
    np.testing.assert_array_equal(np.isnan(found), nan)
    np.testing.assert_array_equal(found[~nan].view(np.uint32), theirs[~nan].view(np.uint32))


@QUICK
@given(tensors(st.one_of(ANY, SPECIAL)), st.integers(2, 16))
def test_dynamic(given_, bits):
    x, u = given_
    scale, inverse = dynamic.scale_pair(dynamic.absmax(x), bits)
    codes = dynamic.quantise_nearest(x, scale, bits) if u is None else dynamic.quantise_stochastic(x, scale, bits, u)
    same(dynamic_torch.rounded(torched(x), bits, torched(u)) + 0.0, dynamic.dequantise(codes, inverse) + 0.0)  # -0 is 0


@QUICK
@given(tensors(st.one_of(ANY, st.just(np.nan))), st.integers(2, 16), st.booleans())
def test_program(given_, bits, per_image):
    x, u = given_
    values, _ = program.rounded(x, bits, u, per_image=per_image)
    same(program_torch.rounded(torched(x), bits, torched(u), per_image=per_image), values)


def test_program_stops_at_an_infinity():
    with pytest.raises(InputError, match="E1524"):
        program_torch.rounded(torch.tensor([1.0, np.inf]), 8)


@pytest.mark.parametrize("format_", FORMATS, ids=lambda one: one.name)
@QUICK
@given(given_=tensors(st.one_of(ANY, SPECIAL)), saturate=st.booleans())
def test_floats(format_, given_, saturate):
    x, u = given_
    same(floats_torch.rounded(torched(x), format_, torched(u), saturate), floats.rounded(x, format_, u, saturate))


@pytest.mark.parametrize("format_", FORMATS, ids=lambda one: one.name)
def test_floats_of_random_bits(format_):
    random = np.random.default_rng(5)
    x = random.integers(0, 2**32, 20_000, dtype=np.uint64).astype(np.uint32).view(np.float32)
    x = np.concatenate([x, np.ldexp(random.normal(size=20_000), random.integers(-30, 20, 20_000)).astype(np.float32)])
    for u in (None, random.random(len(x), np.float32)):
        same(floats_torch.rounded(torched(x), format_, torched(u)), floats.rounded(x, format_, u))


@QUICK
@given(tensors(), st.integers(1, 16), st.sampled_from(affine.RULES), st.booleans())
def test_affine(given_, bits, rule, by_channel):
    x, u = given_
    within = affine.channel_range(x) if by_channel else affine.tensor_range(x, rule)
    ours = affine_torch.rounded(torched(x), bits, torched(u), rule=rule, by_channel=by_channel)
    theirs = affine.rounded(x, bits, within, u)
    same(ours + 0.0, theirs + 0.0)


@QUICK
@given(tensors(st.one_of(ANY, SPECIAL), columns=st.integers(1, 9)), st.integers(1, 22), st.integers(0, 4))
def test_blocks(given_, bits, tile):
    x, u = given_
    same(blocks_torch.rounded(torched(x), bits, tile, torched(u)), blocks.rounded(x, bits, tile, u))
    same(blocks_torch.rounded_by_sample(torched(x), bits, torched(u)), blocks.rounded_by_sample(x, bits, u))


@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (2, 3, 5), (2, 3, 4, 5), (1, 70, 2, 3)])
def test_shapes(shape):
    x = np.random.default_rng(2).normal(size=shape).astype(np.float32)
    t = torch.from_numpy(np.asarray(x))
    scale, inverse = dynamic.scale_pair(dynamic.absmax(x), 8)
    codes = dynamic.quantise_nearest(x, scale, 8)
    same(dynamic_torch.rounded(t, 8) + 0.0, dynamic.dequantise(codes, inverse))  # codes have no -0
    same(program_torch.rounded(t, 8), program.rounded(x, 8)[0])
    same(floats_torch.rounded(t, floats.E5M2), floats.rounded(x, floats.E5M2))
    same(affine_torch.rounded(t, 4), affine.rounded(x, 4, affine.tensor_range(x)))
    same(blocks_torch.rounded(t, 7), blocks.rounded(x, 7))
    same(blocks_torch.rounded_by_sample(t, 7), blocks.rounded_by_sample(x, 7))


def test_nothing_is_changed_in_place():
    x, noise = torch.randn(4, 6, generator=torch.Generator().manual_seed(3)), Noise(4)
    before, u = x.clone(), noise.uniform((4, 6))
    kept = u.clone()
    for numbers in (noise, u, None):
        dynamic_torch.rounded(x, 8, numbers)
        program_torch.rounded(x, 8, numbers)
        floats_torch.rounded(x, floats.E5M2, numbers)
        affine_torch.rounded(x, 8, numbers)
        blocks_torch.rounded(x, 7, 3, numbers)
    assert torch.equal(x, before)
    assert torch.equal(u, kept)


def test_noise_is_uniform_and_goes_on_where_it_was():
    noise = Noise(11)
    u = noise.uniform((40_000,))
    assert abs(u.mean().item() - 0.5) < 0.01
    assert abs(u.var().item() - 1 / 12) < 0.002
    counts = torch.histc(u, 16, 0, 1)
    assert (counts - 2500).abs().max() < 250  # five deviations
    assert 0 < u.min() < 2e-4
    assert 1 - 2e-4 < u.max() < 1
    lag = torch.corrcoef(torch.stack([u[:-1], u[1:]]))[0, 1]
    assert abs(lag.item()) < 0.03
    state = noise.state()
    first = noise.uniform((3, 7))
    noise.restore(state)
    assert torch.equal(noise.uniform((3, 7)), first)
    assert not torch.equal(noise.uniform((3, 7)), first)


def test_stochastic_rounding_with_a_stream_is_unbiased():
    x, noise = torch.tensor([0.3, -1.7, 0.02, 1.9]), Noise(6)
    for rounder in (lambda: dynamic_torch.rounded(x, 8, noise), lambda: program_torch.rounded(x, 8, noise)):
        mean = torch.stack([rounder() for _ in range(4000)]).mean(dim=0)
        assert (mean - x).abs().max() < 4 * 2.0**-6 / 2 / 4000**0.5
