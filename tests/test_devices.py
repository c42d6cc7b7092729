"""The bundled GPUs against hand-typed vendor figures, and what a broken device file says."""

import re
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from perfmodel.datafiles import DATA
from perfmodel.devices import device_names, find_device, read_device
from perfmodel.errors import InputError, UnknownName, Unsupported
from perfmodel.gemm import find_precision

# Compute capability, SMs, base and boost MHz, L2 KiB and B/clock, DRAM GB/s, GiB, and per SM shared KiB, threads, CTAs
FACTS = {
    "a100": ((8, 0), 108, 1095, 1410, 40960, 5120, 1555, 40, 164, 2048, 32),
    "a100-80gb": ((8, 0), 108, 1275, 1410, 40960, 5120, 2039, 80, 164, 2048, 32),
    "gtx-1080-ti": ((6, 1), 28, 1480, 1582, 2816, 1408, 484, 11, 96, 2048, 32),
    "h100-pcie": ((9, 0), 114, 1095, 1755, 51200, 5120, 2039, 80, 228, 2048, 32),
    "h100-sxm": ((9, 0), 132, 1590, 1980, 51200, 5120, 3350, 80, 228, 2048, 32),
    "h200": ((9, 0), 132, 1590, 1980, 61440, 6144, 4800, 141, 228, 2048, 32),
    "l4": ((8, 9), 58, 795, 2040, 49152, 1536, 300, 24, 100, 1536, 24),
    "p100": ((6, 0), 56, 1190, 1303, 4096, 2048, 732, 16, 64, 2048, 32),
    "p4": ((6, 1), 20, 810, 1063, 2048, 1024, 192, 8, 96, 2048, 32),
    "rtx-2070": ((7, 5), 36, 1410, 1620, 4096, 1024, 448, 8, 64, 1024, 16),
    "rtx-2080": ((7, 5), 46, 1515, 1710, 4096, 1024, 448, 8, 64, 1024, 16),
    "rtx-2080-super": ((7, 5), 48, 1650, 1815, 4096, 1024, 496, 8, 64, 1024, 16),
    "rtx-2080-ti": ((7, 5), 68, 1350, 1545, 5632, 1408, 616, 11, 64, 1024, 16),
    "rtx-3090": ((8, 6), 82, 1395, 1695, 6144, 1536, 936, 24, 100, 1536, 16),
    "rtx-4090": ((8, 9), 128, 2235, 2520, 73728, 2304, 1008, 24, 100, 1536, 24),
    "t4": ((7, 5), 40, 585, 1590, 4096, 1024, 320, 16, 64, 1024, 16),
    "titan-rtx": ((7, 5), 72, 1350, 1770, 6144, 1536, 672, 24, 64, 1024, 16),
    "titan-v": ((7, 0), 80, 1200, 1455, 4608, 1536, 652.8, 12, 96, 2048, 32),
    "v100": ((7, 0), 80, 1245, 1380, 6144, 2048, 900, 16, 96, 2048, 32),
    "v100-sxm2": ((7, 0), 80, 1312, 1530, 6144, 2048, 900, 16, 96, 2048, 32),
}
SUSTAINED_MHZ = {"rtx-2080-ti": 1750, "rtx-2080-super": 1800, "t4": 1350, "v100": 1380, "v100-sxm2": 1380}

TURING = "fp16 fp16+fp16 fp32 int4 int8"
VOLTA = "fp16 fp16+fp16 fp32 fp64 int8"
GP10X = "fp16 fp16+fp16 fp32 int8"
AMPERE = "bf16 fp16 fp16+fp16 fp32 int4 int8 tf32"
FP8 = "fp8_e4m3 fp8_e4m3+fp16 fp8_e5m2 fp8_e5m2+fp16"
ADA = f"{AMPERE} {FP8}"
HOPPER = f"bf16 fp16 fp16+fp16 fp32 fp64 int8 tf32 {FP8}"
PRECISIONS = {
    "p100": "fp16 fp16+fp16 fp32 fp64", "p4": GP10X, "gtx-1080-ti": GP10X, "v100": VOLTA, "v100-sxm2": VOLTA,
    "rtx-2070": TURING, "rtx-2080": TURING, "rtx-2080-super": TURING, "rtx-2080-ti": TURING, "titan-rtx": TURING,
    "t4": TURING, "a100": f"{AMPERE} fp64", "a100-80gb": f"{AMPERE} fp64", "rtx-3090": AMPERE,
    "rtx-4090": ADA, "l4": ADA, "h100-pcie": HOPPER, "h100-sxm": HOPPER, "h200": HOPPER,
}  # fmt: skip

# Dense TFLOP/s that NVIDIA prints; more than one for each chip, so that unit, SMs and clock all count.
PRINTED = {
    "p100": {"fp64": 4.7, "fp32": 9.3, "fp16+fp16": 18.7},
    "p4": {"fp32": 5.5, "int8": 22},
    "gtx-1080-ti": {"fp32": 11.3},
    "v100": {"fp64": 7, "fp32": 14, "fp16": 112},
    "v100-sxm2": {"fp64": 7.8, "fp32": 15.7, "fp16": 125, "fp16+fp16": 125},
    "rtx-2070": {"fp32": 7.5, "fp16+fp16": 59.7, "fp16": 29.9, "int8": 119.4, "int4": 238.9},
    "rtx-2080": {"fp32": 10.1, "fp16+fp16": 80.5, "fp16": 40.3, "int8": 161.1, "int4": 322.2},
    "rtx-2080-super": {"fp32": 11.2, "fp16+fp16": 89.2, "fp16": 44.6, "int8": 178.4, "int4": 356.8},
    "rtx-2080-ti": {"fp32": 13.4, "fp16+fp16": 107.6, "fp16": 53.8, "int8": 215.2, "int4": 430.3},
    "titan-v": {},
    "titan-rtx": {"fp32": 16.3, "fp16+fp16": 130.5, "fp16": 130.5, "int8": 261, "int4": 522},
    "t4": {"fp32": 8.1, "fp16": 65, "int8": 130, "int4": 260},
    "a100": {"fp64": 19.5, "fp32": 19.5, "tf32": 156, "bf16": 312, "fp16": 312, "int8": 624, "int4": 1248},
    "a100-80gb": {"fp64": 19.5, "fp32": 19.5, "tf32": 156, "bf16": 312, "fp16": 312, "int8": 624, "int4": 1248},
    "rtx-3090": {"fp32": 35.6, "tf32": 35.6, "bf16": 71, "fp16+fp16": 142, "fp16": 71, "int8": 284, "int4": 568},
    "rtx-4090": {
        "fp32": 82.6, "tf32": 82.6, "bf16": 165.2, "fp16+fp16": 330.3, "fp16": 165.2, "fp8_e4m3+fp16": 660.6,
        "fp8_e4m3": 330.3, "fp8_e5m2+fp16": 660.6, "fp8_e5m2": 330.3, "int8": 660.6, "int4": 1321.2,
    },
    "l4": {"fp32": 30.3, "tf32": 60, "bf16": 121, "fp16": 121, "fp8_e4m3": 242.5, "fp8_e5m2": 242.5, "int8": 242.5},
    "h100-pcie": {"fp64": 51.2, "fp32": 51.2, "tf32": 378, "bf16": 756, "fp16": 756, "fp8_e4m3": 1513, "int8": 1513},
    "h100-sxm": {
        "fp64": 66.9, "fp32": 66.9, "tf32": 494.7, "bf16": 989.4, "fp16": 989.4, "fp8_e4m3": 1978.9, "int8": 1978.9,
    },
    "h200": {"fp64": 67, "fp32": 67, "tf32": 494.5, "bf16": 989.5, "fp16": 989.5, "fp8_e4m3": 1979, "int8": 1979},
}  # fmt: skip
EXACT = [  # worked by hand at the vendor's clock
    ("rtx-2080-ti", "fp16", 53.79), ("rtx-2080-ti", "fp16+fp16", 107.58), ("v100", "int8", 56.52),
    ("v100", "fp16+fp16", 113.05), ("p4", "fp16", 5.443), ("p4", "fp16+fp16", 0.08504),
    ("gtx-1080-ti", "fp16", 11.34), ("gtx-1080-ti", "int8", 45.36), ("p100", "fp16", 9.340),
    ("t4", "fp16+fp16", 65.13), ("l4", "int4", 484.6), ("l4", "fp8_e5m2+fp16", 242.3), ("h100-sxm", "fp64", 66.91),
    ("h100-pcie", "fp16+fp16", 756.4), ("h200", "fp8_e5m2+fp16", 1978.9),
]  # fmt: skip


def peak_tflop_per_s(name, precision):
    return find_device(name).peak_flop_per_s(find_precision(precision)) / 1e12


def test_bundled_names():
    assert device_names() == sorted(FACTS)


@pytest.mark.parametrize("name", FACTS)
def test_facts(name):
    device = find_device(name)
    capability, sms, base, boost, l2_kib, l2_clock, dram, memory, shared_kib, threads, ctas = FACTS[name]
    assert (device.name, device.compute_capability, device.sms) == (name, capability, sms)
    assert (device.base_clock_hz, device.boost_clock_hz) == (base * 1e6, boost * 1e6)
    assert device.sustained_clock_hz == SUSTAINED_MHZ.get(name, boost) * 1e6
    assert (device.l2_bytes, device.l2_bytes_per_clock) == (l2_kib * 1024, l2_clock)
    assert (device.dram_bytes_per_s, device.memory_bytes) == (dram * 1e9, memory * 1024**3)
    assert (device.shared_bytes_per_sm, device.threads_per_sm, device.ctas_per_sm) == (shared_kib * 1024, threads, ctas)
    assert device.registers_per_sm == 65536
    assert device.shared_bytes_per_clock == (64 if capability == (7, 5) else 128)
    family = {6: "pascal", 7: "volta", 8: "ampere", 9: "hopper"}[capability[0]]
    assert device.architecture == {(7, 5): "turing", (8, 9): "ada"}.get(capability, family)


@pytest.mark.parametrize("name", PRECISIONS)
def test_has_exactly_these_precisions(name):
    rates = find_device(name).rates
    assert sorted(find_precision(*key).name for key in rates) == sorted(PRECISIONS[name].split())


@pytest.mark.parametrize("name", FACTS)
def test_derived_peaks_meet_the_published_ones(name):
    device = find_device(name)
    published = {find_precision(*key).name: rate.published_flop_per_s for key, rate in device.rates.items()}
    for precision, tflop_per_s in PRINTED[name].items():
        assert published[precision] == pytest.approx(tflop_per_s * 1e12), precision
    for precision, flop_per_s in published.items():
        if flop_per_s:
            assert device.peak_flop_per_s(find_precision(precision)) == pytest.approx(flop_per_s, rel=0.015), precision


@pytest.mark.parametrize(("name", "precision", "tflop_per_s"), EXACT)
def test_peak_by_hand(name, precision, tflop_per_s):
    assert peak_tflop_per_s(name, precision) == pytest.approx(tflop_per_s, rel=2e-4)


def test_peak_at_another_clock():
    ti, hopper = find_device("rtx-2080-ti"), find_device("h100-sxm")
    assert ti.peak_flop_per_s(find_precision("fp16"), 1.75e9) == pytest.approx(60.928e12)
    assert hopper.peak_flop_per_s(find_precision("fp64"), 1e9) == pytest.approx(33.792e12)  # its own clock yields too


@pytest.mark.parametrize("name", ["rtx-2070", "rtx-2080", "rtx-2080-super", "rtx-2080-ti", "rtx-3090", "rtx-4090"])
def test_geforce_halves_the_rate_of_fp32_accumulation(name):
    assert peak_tflop_per_s(name, "fp16+fp16") == 2 * peak_tflop_per_s(name, "fp16")


@pytest.mark.parametrize("name", ["titan-rtx", "t4", "l4", "v100", "v100-sxm2", "a100", "a100-80gb", "h100-sxm"])
def test_other_cards_keep_the_full_rate(name):
    assert peak_tflop_per_s(name, "fp16+fp16") == peak_tflop_per_s(name, "fp16")


def test_units():
    units = {"p4": "dp4a", "gtx-1080-ti": "dp4a", "v100": "dp4a", "t4": "tensor", "h200": "tensor"}
    assert {name: find_device(name).rate(find_precision("int8")).unit for name in units} == units
    fp64 = {"p100": "simt", "v100": "simt", "a100": "tensor", "h100-pcie": "tensor"}
    assert {name: find_device(name).rate(find_precision("fp64")).unit for name in fp64} == fp64
    assert {find_device(name).rate(find_precision("fp32")).unit for name in FACTS} == {"simt"}
    assert find_device("p100").rate(find_precision("fp16")).unit == "simt"


@pytest.mark.parametrize("name", FACTS)
def test_cites_and_confesses(name):
    raw = tomllib.loads((DATA / "devices" / f"{name}.toml").read_text("utf-8"))
    source = " ".join(raw["source"].split())
    assert re.search(r"NVIDIA [^,;]*(whitepaper|data sheet|product page)[^,;]* \(20\d\d\)", source)
    assert f"CUDA C++ Programming Guide, compute capability {raw['compute_capability']}:" in source
    assert find_device(name).assumed == tuple(raw.get("assumed", ()))
    assert set(raw.get("assumed", ())) <= set(raw) - {"assumed", "rates", "source", "title"}
    assert ("sustained_mhz" in raw) == ("sustained_mhz" in raw.get("assumed", ()))
    documented = name.startswith(("a100", "v100"))  # the A100 whitepaper states both
    assert ("l2_bytes_per_clock" in raw.get("assumed", ())) != documented


@pytest.mark.parametrize(
    ("name", "precision", "line"),
    [
        ("p100", "int8", "E1103 device p100: has no unit for int8. It computes in fp16, fp32, fp64."),
        ("rtx-2080-ti", "bf16",
         "E1103 device rtx-2080-ti: has no unit for bf16. It computes in fp16, fp32, int4, int8."),
        ("rtx-2080-ti", "fp8_e4m3",
         "E1103 device rtx-2080-ti: has no unit for fp8_e4m3. It computes in fp16, fp32, int4, int8."),
        ("v100", "int4", "E1103 device v100: has no unit for int4. It computes in fp16, fp32, fp64, int8."),
        ("t4", "tf32", "E1103 device t4: has no unit for tf32. It computes in fp16, fp32, int4, int8."),
        ("a100", "bf16+fp16", "E1103 device a100: has no unit for bf16 with fp16 accumulation. It has bf16 with fp32."),
        ("h100-sxm", "int4",
         "E1103 device h100-sxm: has no unit for int4. "
         "It computes in bf16, fp16, fp32, fp64, fp8_e4m3, fp8_e5m2, int8, tf32."),
    ],
)  # fmt: skip
def test_refuses_what_the_chip_has_no_unit_for(name, precision, line):
    with pytest.raises(Unsupported) as caught:
        peak_tflop_per_s(name, precision)
    assert caught.value.lines() == [line]


@pytest.mark.parametrize(("name", "nearest"), [("rtx-2080ti", "rtx-2080-ti"), ("H100-SXM5", "h100-sxm"), ("p40", "p4")])
def test_unknown_name_says_the_nearest(name, nearest):
    with pytest.raises(UnknownName) as caught:
        find_device(name)
    (line,) = caught.value.lines()
    assert line.startswith(f"E1001 device '{name}' is not known. Did you mean {nearest}")


T4 = (DATA / "devices" / "t4.toml").read_text("utf-8")


def test_device_file_at_a_path(tmp_path):
    path = tmp_path / "my.card.toml"
    path.write_text("\ufeff" + T4, "utf-8")  # some editors write a byte-order mark
    assert replace(find_device(str(path)), name="t4") == find_device("t4")
    assert find_device(path).name == "my.card"


def put(key, value):
    """t4.toml with the first `key = …` replaced; without it where `value` is None."""
    pattern = r'^source = """[^"]*"""\n' if key == "source" else rf"^{key} = .*\n"
    text, count = re.subn(pattern, "" if value is None else f"{key} = {value}\n", T4, flags=re.M)
    assert count == 1
    return text


def swap(old, new):
    """t4.toml with one piece of text replaced."""
    assert old in T4
    return T4.replace(old, new, 1)


FP32_ROW = 'operand = "fp32", accumulate = "fp32",  unit = "simt", '
BROKEN = [
    *((put(key, None), "E1210", f"{key}: is missing.") for key in re.findall(r"^(\w+) = ", T4, re.M)
      if key not in ("sustained_mhz", "power_w", "assumed", "rates")),
    (put("title", "7"), "E1211", "title: 7 is not a text."),
    (put("source", '"  "'), "E1211", "source: is blank."),
    (put("sms", "40.0"), "E1211", "sms: 40.0 is not a whole number."),
    (put("sms", "true"), "E1211", "sms: True is not a whole number."),
    (put("base_mhz", '"585"'), "E1211", "base_mhz: '585' is not a number."),
    (put("compute_capability", '"7,5"'), "E1211", "compute_capability: is not of the form '7.5'."),
    (put("compute_capability", '"7.' + 5000 * "5" + '"'), "E1211", "compute_capability: is not of the form '7.5'."),
    (put("compute_capability", "7.5"), "E1211", "compute_capability: 7.5 is not a text."),
    (put("assumed", '"l2_kib"'), "E1211", "assumed: 'l2_kib' is not a list."),
    (put("sms", "-40"), "E1212", "sms: -40 is not between 1 and 10000."),
    (put("sms", "0"), "E1212", "sms: 0 is not between 1 and 10000."),
    (put("sms", "0x" + 5000 * "f"), "E1212", "sms: is beyond 64 bits."),
    (put("boost_mhz", "-1590"), "E1212", "boost_mhz: -1590 is not a number above 1e-09 and up to 1e+12."),
    (put("dram_gb_per_s", "0"), "E1212", "dram_gb_per_s: 0 is not a number above 1e-09 and up to 1e+12."),
    (put("dram_gb_per_s", "inf"), "E1212", "dram_gb_per_s: inf is not a number above 1e-09 and up to 1e+12"),
    (put("sustained_mhz", "nan"), "E1212", "sustained_mhz: nan is not a number above 1e-09 and up to 1e+12."),
    (put("memory_gib", "1e308"), "E1212", "memory_gib: 1e+308 is not a number above 1e-09 and up to 1e+12."),
    (put("boost_mhz", "1" + 400 * "0"), "E1212", "boost_mhz: is beyond 64 bits."),
    (put("boost_mhz", "1" + 5000 * "0"), "E1206", "not valid TOML"),
    (put("sms", "40\nsmms = 40"), "E1213", "smms: is not a key of this table."),
    (swap(FP32_ROW, FP32_ROW + "sparse = true, "), "E1213", "rates[0].sparse: is not a key of this table."),
    (swap(FP32_ROW, FP32_ROW.replace("simt", "cuda")), "E1211", "rates[0].unit: 'cuda' is not one of simt, dp4a"),
    (swap('operand = "fp32"', 'operand = "fp23"'), "E1211", "rates[0].operand: 'fp23' is not one of fp64, fp32"),
    (swap('operand = "int8"', 'operand = "int4"'), "E1211", "rates[4].operand: int4 with int32 stands here twice."),
    (swap(FP32_ROW, FP32_ROW.replace("accumulate", "acc")), "E1210", "rates[0].accumulate: is missing."),
    (swap("tflop_per_s = 8.1", "tflop_per_s = 0"), "E1212", "rates[0].tflop_per_s: 0 is not a number above 1e-09"),
    (swap("tflop_per_s = 8.1", "mhz = -1"), "E1212", "rates[0].mhz: -1 is not a number above 1e-09 and up to 1e+12."),
    (T4[: T4.index("rates")] + "rates = []", "E1210", "rates: is empty."),
    (T4[: T4.index("rates")] + "rates = [7]", "E1211", "rates[0]: 7 is not a table."),
    (T4 + "\0", "E1205", "a NUL byte."),
    (T4.encode() + b"# \xb5s", "E1205", "0xb5 is not UTF-8."),
    (put("sms", ""), "E1206", "not valid TOML: Invalid value (at line"),
    (T4 + "x = " + 5000 * "[", "E1206", "is nested too deeply."),
]  # fmt: skip


@pytest.mark.parametrize(("content", "code", "found"), BROKEN, ids=[found[:40] for *_, found in BROKEN])
def test_broken_file_is_one_clear_line(tmp_path, content, code, found):
    path = tmp_path / "card.toml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError) as caught:
        find_device(str(path))
    (line,) = caught.value.lines()
    assert line.startswith(f"{code} {path}:")
    assert found in line
    assert line.isprintable()


@pytest.mark.parametrize(("kind", "code"), [("missing", "E1201"), ("folder", "E1202"), ("huge", "E1203")])
def test_what_is_no_device_file_is_one_clear_line(tmp_path, kind, code):
    path = tmp_path / "card.toml"
    if kind == "folder":
        path.mkdir()
    if kind == "huge":
        path.write_bytes(bytes(5 * 2**20))
    with pytest.raises(InputError) as caught:
        read_device(path)
    (line,) = caught.value.lines()
    assert line.startswith(f"{code} {path} ")


def test_all_missing_keys_are_named_at_once(tmp_path):
    path = tmp_path / "card.toml"
    path.write_text('title = "A card"\nsms = 7\n')
    with pytest.raises(InputError) as caught:
        find_device(str(path))
    lines = caught.value.lines()
    assert len(lines) == 15  # of 17 required keys
    assert lines[0] == f"E1210 {path}: source: is missing. Add source."
    assert lines[-1] == f"E1210 {path}: rates: is missing. Add rates."


@pytest.mark.parametrize(("peak", "accepted"), [("130", True), ("133", True), ("260", False), ("126", False)])
def test_a_published_peak_must_be_that_of_the_rate(tmp_path, peak, accepted):
    # INT8 on the T4: 2 · 1024 · 40 SMs · 1.59 GHz = 130.3 TOP/s; 260 would be twice that, as with sparsity.
    path = tmp_path / "card.toml"
    path.write_text(T4.replace("tflop_per_s = 130 ", f"tflop_per_s = {peak} "))
    assert (path.read_text() == T4) is (peak == "130")
    if accepted:
        assert find_device(str(path)).sms == 40
        return
    with pytest.raises(InputError, match=rf"E1214 .*tflop_per_s: {peak} is not the 130\.3 of 1024 MAC per clock"):
        find_device(str(path))


def test_the_example_of_the_page_is_a_device(tmp_path):
    page = (Path(__file__).parents[1] / "docs" / "devices.md").read_text(encoding="utf-8")
    path = tmp_path / "mine.toml"
    path.write_text(page.partition("```toml\n")[2].partition("```")[0])
    device = find_device(str(path))
    assert (device.sms, device.assumed, len(device.rates)) == (68, ("l2_bytes_per_clock",), 3)
