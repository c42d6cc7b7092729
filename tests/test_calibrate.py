"""Timings of a CSV file, read and fitted."""

import pytest

from perfmodel.calibrate import calibrate, read_timings
from perfmodel.devices import find_device
from perfmodel.errors import InputError, Unsupported

HEADER = "m,n,k,seconds,precision,op_a,op_b,note\n"


@pytest.fixture
def csv(tmp_path):
    def write(text: str):
        path = tmp_path / "t.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_rows_of_one_precision_and_layout_stand_together_padded_as_kernels_need(csv):
    path = csv(HEADER + "3,5,7,1e-3,,,,x\n9,8,7,2e-3,fp16,N,T,y\n11,13,17,3e-3,fp32,T,N,z\n")
    fp32, fp16 = read_timings(path)
    assert (fp32.gemms.precision.name, fp32.gemms.layout) == ("fp32", "tn")
    assert (fp32.gemms.m.tolist(), fp32.gemms.k.tolist(), fp32.seconds.tolist()) == ([3, 11], [7, 17], [1e-3, 3e-3])
    assert (fp16.gemms.precision.name, fp16.gemms.layout) == ("fp16", "nt")
    assert (fp16.gemms.m.tolist(), fp16.gemms.n.tolist(), fp16.gemms.k.tolist()) == ([16], [8], [7])


@pytest.mark.parametrize(
    ("cell", "start"),
    [
        ("0", "E1624 {}:3:4 column seconds: 0 is not between 1e-07 and 100000."),
        ("-1", "E1624 {}:3:4 "), ("nan", "E1624 {}:3:4 "), ("inf", "E1624 {}:3:4 "), ("1e-9", "E1624 {}:3:4 "),
        ("", "E1207 {}:3:4 "), ("1_0", "E1207 {}:3:4 "), ("１２", "E1207 {}:3:4 "), ("fast", "E1207 {}:3:4 "),
    ],
)  # fmt: skip
def test_a_time_that_cannot_be_is_named_with_its_place(csv, cell, start):
    path = csv(f"m,n,k,seconds\n3,5,7,1\n3,5,7,{cell}\n")
    with pytest.raises(InputError) as caught:
        read_timings(path)
    (line,) = caught.value.lines()
    assert line.startswith(start.format(path)), line


def test_all_bad_times_are_told(csv):
    with pytest.raises(InputError) as caught:
        read_timings(csv("m,n,k,seconds\n3,5,7,x\n3,5,7,1\n3,5,7,y\n"))
    assert [line.split()[1].split(":")[-2] for line in caught.value.lines()] == ["2", "4"]


def test_the_column_is_needed(csv):
    with pytest.raises(InputError, match=r"E1209 .*:1: there is no column 'seconds'"):
        read_timings(csv("m,n,k\n3,5,7\n"))


def fitted(csv, device: str, text: str):
    return calibrate(find_device(device), read_timings(csv(text)), title="t", source="t.csv", date="2026-11-22")


def test_too_few_timings_are_refused_for_each_precision(csv):
    rows = "".join(f"{m},64,64,1e-4,fp32\n" for m in range(64, 64 + 19)) + "64,64,64,1e-4,fp16\n"
    with pytest.raises(InputError) as caught:
        fitted(csv, "t4", "m,n,k,seconds,precision\n" + rows)
    assert [line.split(";")[0] for line in caught.value.lines()] == [
        "E1625 t.csv: holds 19 timings of 19 shapes in fp32", "E1625 t.csv: holds 1 timings of 1 shapes in fp16",
    ]  # fmt: skip


def test_a_precision_that_the_device_lacks(csv):
    rows = "".join(f"{64 * m},64,64,1e-4,int8\n" for m in range(1, 21))
    with pytest.raises(Unsupported, match="E1103 device p100"):
        fitted(csv, "p100", "m,n,k,seconds,precision\n" + rows)


def test_one_shape_over_and_over_is_one_shape(csv):
    with pytest.raises(InputError, match=r"E1625 t\.csv: holds 20 timings of 1 shapes in fp32; an interval needs "):
        fitted(csv, "t4", "m,n,k,seconds\n" + "64,64,64,1e-4\n" * 20)


def test_times_that_no_gpu_takes_are_refused(csv):
    rows = "".join(f"1,1,{10**9 - i},{1e-7 if i % 2 else 1e5}\n" for i in range(40))
    with pytest.raises(InputError, match=r"E1627 t\.csv: gives a calibration that cannot be: "):
        fitted(csv, "t4", "m,n,k,seconds\n" + rows)


def test_timings_too_regular_to_be_true_keep_an_interval(csv):
    rows = "".join(f"{64 * m},64,64,1e-4\n" for m in range(1, 40))
    assert fitted(csv, "t4", "m,n,k,seconds\n" + rows).groups["fp32"].quantile == 0.5


def test_ten_shapes_twice_are_enough(csv):
    rows = "".join(f"{64 * m},64,64,1e-4\n" for m in range(1, 11))
    assert fitted(csv, "t4", "m,n,k,seconds\n" + rows + rows).groups["fp32"].timings == 20
