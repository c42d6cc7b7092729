"""Event files: what real writers wrote, tensors of every type, torn and damaged files."""

import contextlib
import io
import math
import random
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfmodel.errors import InputError
from perfmodel.traces.logs.series import Series
from perfmodel.traces.logs.tensorboard import records as tfrecord
from perfmodel.traces.logs.tensorboard.events import looks_like_events, read_events
from perfmodel.traces.logs.tensorboard.records import Records, checksum

SAMPLES = Path(__file__).parents[2] / "data" / "logs" / "samples"
TORCH = SAMPLES / "tensorboard" / "torch" / "events.out.tfevents.1795328157.host.17084.0"
TENSORBOARDX = SAMPLES / "tensorboard" / "tensorboardX" / "events.out.tfevents.1795328157.host"
KERAS = SAMPLES / "keras" / "tb" / "train" / "events.out.tfevents.1795328510.host.26867.0.v2"


def record(payload):
    length = struct.pack("<Q", len(payload))
    return length + struct.pack("<I", checksum(length)) + payload + struct.pack("<I", checksum(payload))


def varint(number):
    number &= 2**64 - 1
    out = []
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def field(number, payload):
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def event(step, *values, rest=b""):
    summary = b"".join(field(1, value) for value in values)
    return record(b"\x09" + struct.pack("<d", 1.5e9) + b"\x10" + varint(step) + field(5, summary) + rest)


def simple(tag, value):
    return field(1, tag.encode()) + b"\x15" + struct.pack("<f", value)


def tensor(tag, dtype, content, shape=b"", plugin="scalars"):
    metadata = field(9, field(1, field(1, plugin.encode()))) if plugin else b""
    return field(1, tag.encode()) + field(8, b"\x08" + varint(dtype) + field(2, shape) + content) + metadata


def dimensions(*sizes):
    return b"".join(field(2, b"\x08" + varint(size)) for size in sizes)


VERSION = record(b"\x09" + struct.pack("<d", 1.5e9) + field(3, b"brain.Event:2"))
PARTS = event(3, simple("loss", 0.5)), event(7, simple("loss", 0.25), simple("bits", 8)), event(11, simple("lr", 2))
ONE = VERSION + b"".join(PARTS)


def read(data, tags=None):
    series = Series("run:")
    corrections = read_events(io.BytesIO(data), "run", series)
    return list(series.rows(tags or series.tags())), [*corrections, *series.corrections()]


def error_of(data):
    with pytest.raises(InputError) as caught:
        read(data)
    return str(caught.value)


def sample(path):
    series = Series("run:")
    with path.open("rb") as file:
        assert read_events(file, "run", series) == []
    return series


# What real writers wrote


def test_torch_wrote_bits_of_every_epoch():
    series = sample(TORCH)
    bits = [8] * 7 + [12] * 5 + [14] * 6 + [16] * 4 + [32] * 8
    assert list(series.rows(["precision/bits"])) == [(i, {"precision/bits": bit}) for i, bit in enumerate(bits)]
    assert series.tags() == {
        "train/loss": 30, "val/top1": 30, "lr": 30, "precision/bits": 30, "precision/meanGD": 30, "iter/loss": 150,
        "precision/format/text_summary": 2,
    }  # fmt: skip
    formats = [row["precision/format/text_summary"] for _, row in series.rows(["precision/format/text_summary"])]
    assert formats == ["dfx8", "dfx12"]
    assert series.corrections() == []


def test_tensorboardx_wrote_the_same():
    ours, others = sample(TORCH), sample(TENSORBOARDX)
    assert ours.tags() == others.tags()
    assert list(ours.rows(ours.tags())) == list(others.rows(others.tags()))


def test_keras_wrote_tensors():
    series = sample(KERAS)
    assert list(series.rows(["epoch_bits"])) == [(i, {"epoch_bits": bits}) for i, bits in enumerate((8, 8, 16, 16))]
    assert set(series.tags().values()) == {4}


@pytest.mark.parametrize("path", [TORCH, TENSORBOARDX, KERAS], ids=["torch", "tensorboardX", "keras"])
def test_real_files_look_like_events(path):
    assert looks_like_events(path.read_bytes()[:21])


@pytest.mark.parametrize(
    "head",
    [
        b"", VERSION[:20], b"epoch,loss\n" * 9, bytes(64), b"\x01" + VERSION[1:], VERSION[:8] + b"\0" + VERSION[9:],
        record(field(1, b"a tf.train.Example begins so")), record(b"\x09short"),
        struct.pack("<QI", 2**40, checksum(struct.pack("<Q", 2**40))) + VERSION[12:],
    ],
)  # fmt: skip
def test_other_beginnings_do_not(head):
    assert not looks_like_events(head)


def test_a_version_without_a_time_looks_like_events():
    assert looks_like_events(record(field(3, b"brain.Event:2") + b"\x10\x00"))


# Values


def test_rows_of_a_small_file():
    assert read(ONE) == ([(3, {"loss": 0.5}), (7, {"loss": 0.25, "bits": 8.0}), (11, {"lr": 2.0})], [])


def test_known_checksums():
    assert checksum(b"123456789") == (((0xE3069283 >> 15) | (0xE3069283 << 17)) + 0xA282EAD8) & 0xFFFFFFFF
    assert checksum(bytes(32)) == (((0x8A9136AA >> 15) | (0x8A9136AA << 17)) + 0xA282EAD8) & 0xFFFFFFFF


@pytest.mark.parametrize("length", [0, 1, 3, 4, 5, 4095, 4096, 4097, 8197])
def test_checksums_of_any_length(length):
    data = bytes(i * 7 % 251 for i in range(length))
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    assert checksum(data) == ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


@pytest.mark.parametrize(
    ("dtype", "content", "expected"),
    [
        (1, field(4, struct.pack("<f", 0.375)), 0.375),
        (1, field(5, struct.pack("<f", 0.375)), 0.375),
        (1, b"\x2d" + struct.pack("<f", 0.375), 0.375),
        (2, field(4, struct.pack("<d", 0.7)), 0.7),
        (2, field(6, struct.pack("<d", 0.7)), 0.7),
        (2, b"\x31" + struct.pack("<d", 0.7), 0.7),
        (3, field(4, struct.pack("<i", -7)), -7.0),
        (3, field(7, varint(-7)), -7.0),
        (3, b"\x38\x0d", 13.0),
        (4, field(7, b"\x08"), 8.0),
        (5, field(4, struct.pack("<h", -9)), -9.0),
        (6, field(4, b"\xfb"), -5.0),
        (9, field(10, varint(-(2**40))), -(2.0**40)),
        (9, field(4, struct.pack("<q", 31)), 31.0),
        (10, field(11, b"\x01"), 1.0),
        (14, field(13, varint(0x4110)), 9.0),
        (14, field(4, b"\x10\x41"), 9.0),
        (17, field(4, b"\xff\xff"), 65535.0),
        (19, field(13, varint(0x4480)), 4.5),
        (19, field(4, b"\x80\x44"), 4.5),
        (22, b"\x80\x01" + varint(2**31), 2.0**31),
        (23, field(17, varint(2**63)), 2.0**63),
        (1, b"", 0.0),
    ],
)
def test_tensors_of_one_number(dtype, content, expected):
    for shape in (b"", dimensions(1), dimensions(1, 1)):
        assert read(VERSION + event(5, tensor("x", dtype, content, shape)))[0] == [(5, {"x": expected})]


def test_tensors_after_the_first_of_a_tag():
    steps = [event(i, tensor("x", 1, field(4, struct.pack("<f", i / 8)))) for i in (1, 3, 5)]
    steps += [event(i, tensor("yy", 2, field(4, struct.pack("<d", i / 8)))) for i in (7, 9)]
    assert read(VERSION + b"".join(steps))[0] == [
        (1, {"x": 0.125}), (3, {"x": 0.375}), (5, {"x": 0.625}), (7, {"yy": 0.875}), (9, {"yy": 1.125}),
    ]  # fmt: skip


def test_events_of_one_length_are_told_apart():
    a, b = struct.pack("<f", 3.0), struct.pack("<f", 5.0)
    after = field(1, b"x") + b"\x15" + a + b"\x3a\x00"
    before = b"\x3a\x00" + field(1, b"x") + b"\x15" + b
    other = field(1, b"xyz") + b"\x15" + b
    data = VERSION + event(1, after) + event(2, before) + event(3, other) + event(4, after) + event(5, before)
    rows = [(1, {"x": 3.0}), (2, {"x": 5.0}), (3, {"xyz": 5.0}), (4, {"x": 3.0}), (5, {"x": 5.0})]
    assert read(data)[0] == rows


@pytest.mark.parametrize(
    "value",
    [
        tensor("x", 1, field(4, struct.pack("<6f", *range(6))), dimensions(2, 3)),
        tensor("x", 1, field(4, b""), dimensions(0)),
        tensor("x", 1, field(4, struct.pack("<f", 7)), b"\x18\x01"),
        tensor("x", 8, field(4, bytes(8))),
        tensor("x", 1, field(4, struct.pack("<f", 7)), plugin="pr_curves"),
        tensor("x", 7, field(8, b"png"), plugin="images"),
        tensor("x", 7, field(8, b"one") + field(8, b"two"), plugin="text"),
        tensor("x", 7, field(8, b"one"), dimensions(2), plugin="text"),
        tensor("x", 1, field(4, struct.pack("<f", 7)), plugin="text"),
        field(1, b"x") + field(5, b"a histogram"),
        field(1, b"x") + field(9, field(1, field(1, b"hparams") + field(2, b"anything"))),
        field(1, b"x"),
    ],
)
def test_what_is_no_scalar_is_passed_over(value):
    assert read(VERSION + event(3, value) + event(5, simple("y", 1))) == ([(5, {"y": 1.0})], [])


def test_texts():
    first = tensor("format", 7, field(8, b"fp16"), plugin="text")
    second = tensor("format", 7, field(8, "bf16 é".encode()), dimensions(1), plugin="")
    assert read(VERSION + event(0, first) + event(7, second))[0] == [(0, {"format": "fp16"}), (7, {"format": "bf16 é"})]


def test_unknown_fields_are_passed_over():
    rest = b"\x78\x05" + b"\x7d" + bytes(4) + b"\x79" + bytes(8) + field(99, b"new")
    value = b"\x78\x05" + simple("x", 7) + field(99, b"new")
    assert read(VERSION + event(3, value, rest=rest))[0] == [(3, {"x": 7.0})]


def test_the_step_may_stand_behind_and_be_negative_or_missing():
    summary = field(5, field(1, simple("x", 7)))
    assert read(VERSION + record(summary + b"\x10\x05"))[0] == [(5, {"x": 7.0})]
    assert read(VERSION + record(summary))[0] == [(0, {"x": 7.0})]
    assert read(VERSION + event(-3, simple("x", 7)))[0] == [(-3, {"x": 7.0})]


def test_values_that_are_not_finite_are_kept():
    rows, _ = read(VERSION + event(1, simple("x", math.nan)) + event(2, simple("x", math.inf)))
    assert math.isnan(rows[0][1]["x"])
    assert rows[1] == (2, {"x": math.inf})


def test_a_restart_within_a_file():
    data = VERSION + b"".join(event(step, simple("x", 7)) for step in (10, 20, 30, 20))
    assert read(data)[1] == ["restart: 'x' went back from step 30 to 20; steps 20 to 30 were replaced"]


def test_a_record_larger_than_what_is_read_at_once(monkeypatch):
    monkeypatch.setattr(tfrecord, "CHUNK", 16)
    large = event(13, field(1, b"h") + field(5, bytes(999)))
    assert read(ONE + large + event(17, simple("loss", 7)))[0][-1] == (17, {"loss": 7.0})


def test_lengths_without_end_are_not_remembered(monkeypatch):
    monkeypatch.setattr(tfrecord, "MOST_HEADS", 2)
    values = [event(i, simple("x" * i, 7)) for i in (1, 2, 3, 4)]
    assert len(read(VERSION + b"".join(values * 2))[0]) == 4
    records = Records(io.BytesIO(VERSION + b"".join(values)), "run")
    assert len(list(records)) == 5
    assert len(records._heads) <= 2


# Torn and damaged files


def test_truncated_at_each_byte_the_whole_records_survive():
    ends = [len(VERSION)]
    for data in PARTS:
        ends.append(ends[-1] + len(data))
    rows = read(ONE)[0]
    for cut in range(len(ONE)):
        whole = sum(end <= cut for end in ends)
        if not whole:
            assert error_of(ONE[:cut]).startswith("E1341 run: does not begin as an event file of TensorBoard.")
            continue
        torn = cut - ends[whole - 1]
        note = f"torn tail: the last {torn} bytes from byte {ends[whole - 1]} are no whole record"
        assert read(ONE[:cut]) == (rows[: whole - 1], [note] if torn else [])


def test_zeros_at_the_end_are_a_torn_tail():
    note = f"torn tail: the last 64 bytes from byte {len(ONE)} are no whole record"
    assert read(ONE + bytes(64)) == (read(ONE)[0], [note])
    half = event(13, simple("x", 7))[:30] + bytes(64)
    assert read(ONE + half)[1] == [f"torn tail: the last 94 bytes from byte {len(ONE)} are no whole record"]


def test_a_damaged_length_has_its_place():
    at = len(VERSION)
    data = bytearray(ONE)
    data[at + 8] ^= 1
    found = error_of(bytes(data))
    assert found.startswith(f"E1341 run: byte {at}: the record has a length that does not match its checksum.")


def test_damaged_bytes_have_their_place():
    at = len(VERSION)
    data = bytearray(ONE)
    data[at + 20] ^= 1
    assert error_of(bytes(data)).startswith(f"E1341 run: byte {at}: the record does not match its checksum.")


def test_damage_in_a_large_record_is_passed_over():
    data = bytearray(ONE + event(13, field(1, b"h") + field(4, bytes(2**17))) + event(17, simple("loss", 7)))
    data[len(ONE) + 2**16] ^= 1
    assert read(bytes(data))[0][-1] == (17, {"loss": 7.0})


def test_a_length_beyond_all_bounds(monkeypatch):
    head = struct.pack("<Q", 2**62)
    torn = head + struct.pack("<I", checksum(head)) + b"x"
    assert read(ONE + torn)[1] == [f"torn tail: the last 13 bytes from byte {len(ONE)} are no whole record"]
    monkeypatch.setattr(tfrecord, "LARGEST_RECORD", 99)
    found = error_of(ONE + record(bytes(100)))
    assert found.startswith(f"E1341 run: byte {len(ONE)}: the record has 100 bytes; at most 99 are read.")


@pytest.mark.parametrize(
    ("payload", "what"),
    [
        (b"\x0b", "a field has the kind 3"),
        (b"\x10", "a number has no end"),
        (b"\x10" + b"\xff" * 11, "a number has more than ten bytes"),
        (b"\x2a\x05x", "a field ends after its message"),
        (b"\x09" + bytes(7), "a field ends after its message"),
        (field(5, field(1, field(1, b"\xff") + b"\x15" + bytes(4))), "invalid start byte"),
        (field(5, field(1, tensor("x", 1, field(4, bytes(5))))), "4 bytes"),
        (field(5, field(1, tensor("x", 1, field(5, bytes(8))))), "holds several"),
        (field(5, field(1, tensor("x", 3, field(7, b"\x80")))), "a number has no end"),
        (field(5, b"") * 1001, "more than 1000 summaries"),
    ],
)
def test_malformed_events_have_their_number_and_place(payload, what):
    found = error_of(ONE + record(payload))
    assert found.startswith(f"E1342 run: byte {len(ONE)}: record 5 is not an event: ")
    assert what in found


@pytest.mark.parametrize("data", [b"", b"x", b"epoch,loss\n1,0.5\n" * 99, bytes(999), record(field(1, b"x" * 99))])
def test_other_files_are_no_event_files(data):
    assert error_of(data).startswith("E1341 run: ")


def test_more_tags_than_are_read():
    assert error_of(VERSION + b"".join(event(1, simple(f"tag{i}", 7)) for i in range(1001))).startswith("E1340 run: ")


class Endless(io.RawIOBase):
    """A first record, then one after the other without end, and a count of what was read."""

    def __init__(self):
        self.largest = 0
        self._parts = [VERSION, struct.pack("<QI", 2**26, checksum(struct.pack("<Q", 2**26)))]

    def read(self, size=-1):
        self.largest = max(self.largest, size)
        return self._parts.pop(0) if self._parts else b""


def test_a_length_asks_for_at_most_its_own_bytes():
    file = Endless()
    read_events(file, "run", Series("run:"))
    assert file.largest <= 2**26 + 16


# Whatever the bytes

HALF = VERSION + event(3, tensor("x", 14, field(13, b"\x90\x41")))
SEEDS = [ONE, TORCH.read_bytes()[:3000], KERAS.read_bytes(), HALF]
EVENTS = [payload for data in (ONE, KERAS.read_bytes(), HALF) for _, payload in Records(io.BytesIO(data), "run")]


def reads_or_says_why(data):
    with contextlib.suppress(InputError):
        read(data)


@settings(max_examples=500)
@given(st.sampled_from(SEEDS), st.integers(0, 2**32))
def test_flipped_bits(seed, number):
    data, source = bytearray(seed), random.Random(number)
    for _ in range(source.randint(1, 5)):
        data[source.randrange(len(data))] ^= 1 << source.randrange(8)
    reads_or_says_why(bytes(data))


@settings(max_examples=500)
@given(st.sampled_from(SEEDS), st.sampled_from(SEEDS), st.integers(0, 4000), st.integers(0, 4000))
def test_spliced_files(one, other, first, second):
    reads_or_says_why(one[:first] + other[second:])


@settings(max_examples=500)
@given(st.binary(max_size=300))
def test_garbage_in_a_record(payload):
    reads_or_says_why(VERSION + record(payload))
    reads_or_says_why(VERSION + record(field(5, field(1, payload))))
    reads_or_says_why(VERSION + record(field(5, field(1, field(1, b"x") + field(8, payload)))))


@settings(max_examples=500)
@given(st.sampled_from(EVENTS), st.integers(0, 2**32))
def test_damaged_events_with_right_checksums(payload, number):
    data, source = bytearray(payload), random.Random(number)
    for _ in range(source.randint(1, 5)):
        data[source.randrange(len(data))] = source.randrange(256)
    reads_or_says_why(VERSION + record(bytes(data)))


@settings(max_examples=500)
@given(st.binary(max_size=100))
def test_garbage_in_a_file(data):
    reads_or_says_why(data)
    assert looks_like_events(data) in (True, False)
