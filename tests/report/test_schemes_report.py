"""Training schemes as tables and bars: bundled ones, figures of the spec, levels, and plans of one's own."""

import pandas as pd
import pytest

from perfmodel.devices import device_names, find_device
from perfmodel.networks import find_network, network_names
from perfmodel.report.scheme_formats import formats_table
from perfmodel.report.schemes import cycles_table, distinct_stretches, scheme_tables, schemes_tables
from perfmodel.report.sidebyside_figure import schemes_figure
from perfmodel.schemes import Overhead, find_scheme, read_scheme, scheme_names
from perfmodel.schemes.schedule import Cyclic

PLAN = """
title = "Mine"
source = "made up"
tensors = { format = "int8" }
conversions = [{ kind = "quantise", of = ["inputs", "weights"] }]

[[layers]]
match = "first"
format = "fp16"

[[epochs]]
until = 3
format = "int4"
layers = [{ match = "linear", format = "fp32" }]

[[epochs]]
until = 5
weights = "int4"
"""


def extra(name, network=None, batch=256, overhead="current"):
    """The rows of a scheme's extra kernels."""
    network = network and find_network(network)
    return scheme_tables(find_scheme(name), None, network, batch, Overhead(overhead))[2]


def rows_of(table, *columns):
    return list(zip(*(table.values(column) for column in columns), strict=True))


# ---- lists and the whole of what is bundled --------------------------------------------------------------------------


def test_the_list_has_every_scheme_and_level():
    schemes, levels = schemes_tables()
    assert list(schemes.frame["scheme"]) == scheme_names()
    assert list(levels.frame["level"]) == [
        "ideal", "epilogue", "delayed", "current", "naive", "unfused", "measured", "table3", "a number",
    ]  # fmt: skip
    assert levels.values("kernels") == [0, 0, 1, 2, 8, 14, 2, None, None]
    assert levels.values("bytes_per_element") == [0, 1, 5, 9, 57, 72, 9, None, None]


@pytest.mark.parametrize("name", scheme_names())
def test_every_scheme_is_explained_on_every_device_and_network(name):
    scheme = find_scheme(name)
    assert len(scheme_tables(scheme)) == (4 if name == "cpt" else 3)
    for network in map(find_network, network_names()):
        assert len(scheme_tables(scheme, None, network, 7)[2].frame) == len(scheme.conversions) + 1
    for device in map(find_device, device_names()):
        table = formats_table(scheme, distinct_stretches(scheme), device)
        assert set(table.frame["pass"]) == {"fprop", "dgrad", "wgrad"}
        refused = [unit for unit in table.values("unit") if unit.startswith("refused")]
        assert not refused or device.name == "p100"


# ---- formats ---------------------------------------------------------------------------------------------------------


def test_formats_of_fp8_with_its_exceptions():
    fp8 = find_scheme("fp8-chunked")
    table = formats_table(fp8, distinct_stretches(fp8))
    e5m2 = "fp8_e5m2"
    assert rows_of(table, "layers", "pass", "operands", "unit", "sums_in", "writes") == [
        ("others", "fprop", f"activations {e5m2} x weights {e5m2}", e5m2, "fp16", "fp16"),
        ("others", "dgrad", f"errors {e5m2} x weights {e5m2}", e5m2, "fp16", "fp16"),
        ("others", "wgrad", f"errors {e5m2} x activations {e5m2}", e5m2, "fp16", "fp16"),
        ("last", "fprop", "activations fp16 x weights fp16", "fp16", "fp16", "fp16"),
        ("last", "dgrad", "errors fp16 x weights fp16", "fp16", "fp16", "fp16"),
        ("last", "wgrad", "errors fp16 x activations fp16", "fp16", "fp16", "fp16"),
        ("first", "fprop", f"activations fp16 x weights {e5m2}", "fp16", "fp16", "fp16"),
        ("first", "dgrad", f"errors {e5m2} x weights {e5m2}", e5m2, "fp16", "fp16"),
        ("first", "wgrad", f"errors {e5m2} x activations fp16", "fp16", "fp16", "fp16"),
    ]


def test_units_of_a_device_with_proxies_and_refusals():
    muppet = find_scheme("muppet")
    found = {
        name: rows_of(formats_table(muppet, distinct_stretches(muppet), find_device(name)), "step", "unit", "proxy")[
            ::3
        ]
        for name in ("rtx-2080-ti", "p100")
    }
    sixteen = [(f"dfx{bits}", "fp16", f"dfx{bits} timed as fp16") for bits in (12, 14, 16)]
    assert found["rtx-2080-ti"] == [("dfx8", "int8", None), *sixteen, ("fp32", "fp32", None)]
    assert found["p100"] == [("dfx8", "refused: has no unit for int8.", None), *sixteen, ("fp32", "fp32", None)]


def test_exceptions_are_roles_or_the_layers_of_a_network():
    cpt = find_scheme("cpt")
    stretches = distinct_stretches(cpt)
    plain = rows_of(formats_table(cpt, stretches), "step", "layers")[18::3]
    assert plain == [("all", "first, shortcuts (images from 64 pixels)"), ("all", "linear")]
    for network, names in (
        ("resnet18", "conv1, layer2.0.down, layer3.0.down, layer4.0.down, fc"), ("resnet20", "fc"),
    ):  # fmt: skip
        found = formats_table(cpt, stretches, None, find_network(network))
        assert rows_of(found, "step", "layers")[18::3] == [("all", names)]


def test_a_plan_is_told_by_its_epochs(tmp_path):
    (tmp_path / "mine.toml").write_text(PLAN)
    scheme = read_scheme(tmp_path / "mine.toml")
    table = scheme_tables(scheme)[0]
    assert rows_of(table, "step", "layers", "operands")[::3] == [
        ("epochs 0-2: int4", "others", "activations int4 x weights int4"),
        ("epochs 3-4: int8", "others", "activations int8 x weights int4"),
        ("epochs 5-: int8", "others", "activations int8 x weights int8"),
        ("epochs 0-2: int4", "linear", "activations fp32 x weights fp32"),
        ("all", "first", "activations fp16 x weights fp16"),
    ]
    assert "Schedule: the plan of its file, epoch by epoch." in table.notes


def test_formats_that_come_back_name_all_their_epochs(tmp_path):
    stages = [
        f'[[epochs]]\nuntil = {until}\nformat = "{name}"\n' for until, name in ((3, "int4"), (4, "int8"), (9, "int4"))
    ]
    (tmp_path / "mine.toml").write_text(
        f'title = "t"\nsource = "s"\ntensors = {{ format = "int8" }}\n{"".join(stages)}'
    )
    table = scheme_tables(read_scheme(tmp_path / "mine.toml"))[0]
    assert rows_of(table, "step", "layers")[::3] == [
        ("epochs 0-2: int4, epochs 4-8: int4", "all"), ("epoch 3: int8, epochs 9-: int8", "all"),
    ]  # fmt: skip


def test_an_exception_of_a_stage_takes_the_place_of_the_schemes_own(tmp_path):
    (tmp_path / "mine.toml").write_text(
        'title = "t"\nsource = "s"\ntensors = { format = "int8" }\n'
        '[[layers]]\nmatch = ["first", "last"]\nformat = "fp16"\n'
        '[[epochs]]\nuntil = 3\nformat = "int4"\nlayers = [{ match = "first", format = "fp32" }]\n'
    )
    table = scheme_tables(read_scheme(tmp_path / "mine.toml"))[0]
    assert rows_of(table, "step", "layers", "computed_in")[::3] == [
        ("epochs 0-2: int4", "others", "int4"), ("epochs 3-: int8", "others", "int8"),
        ("epochs 0-2: int4", "first", "fp32"), ("epochs 0-2: int4", "last", "fp16"),
        ("epochs 3-: int8", "first, last", "fp16"),
    ]  # fmt: skip


def test_a_schedule_that_changes_no_format_is_one_step(tmp_path):
    (tmp_path / "mine.toml").write_text(
        'title = "t"\nsource = "s"\nformats = ["int3", "int4", "int5", "int8"]\ntensors = { format = "int4" }\n'
        'schedule = { kind = "cyclic", low = 3, high = 5, backward = 8, cycles = 3 }\n'
    )
    table = scheme_tables(read_scheme(tmp_path / "mine.toml"))[0]
    assert rows_of(table, "step", "pass") == [("int4", "fprop"), ("int4", "dgrad"), ("int4", "wgrad")]


# ---- extra kernels ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("network", "millions"), [("alexnet-reference", 422.9), ("resnet18", 1230.3), ("googlenet-aux", 2053.1)]
)
def test_elements_that_muppet_quantises(network, millions):
    table = extra("muppet", network)
    assert f"{millions} M are quantised." in table.notes[-1]
    counts = [(kind, often, count) for kind, often, count in rows_of(table, "kind", "often", "elements")]
    total = sum(float(often) * count for kind, often, count in counts if kind == "quantise")
    assert total / 1e6 == pytest.approx(millions, abs=0.05)


@pytest.mark.parametrize(
    ("level", "current", "one_pass", "cast"),
    [
        ("ideal", (0, 0), (0, 0), (0, 0)), ("epilogue", (0, 1), (0, 1), (1, 3)), ("delayed", (1, 5), (1, 3), (1, 3)),
        ("current", (2, 9), (1, 3), (1, 3)), ("naive", (8, 57), (8, 29), (1, 3)),
        ("unfused", (14, 72), (14, 36), (1, 3)),
    ],
)  # fmt: skip
def test_kernels_and_bytes_by_level(level, current, one_pass, cast):
    """MuPPET quantises FP32, with a maximum; FP8 with FP16 tensors and without one: 2 B read instead of 4."""
    assert rows_of(extra("muppet", overhead=level), "kernels", "bytes_each")[0] == current
    assert rows_of(extra("fp8", overhead=level), "kernels", "bytes_each")[:2] == [one_pass, cast]


def test_a_given_time_has_no_kernels():
    tables = scheme_tables(find_scheme("muppet"), overhead=Overhead("given", 0.003))
    assert tables[2].values("kernels") == [None, None, None, 1]
    assert "3 ms for each quantised iteration" in tables[2].notes[0]


def test_the_update_and_what_is_done_seldom():
    assert rows_of(extra("mixed-adaptive"), "kind", "tensors", "often", "bytes_each") == [
        ("cast", "parameters", "1", 6), ("check", "parameters", "1", 8), ("scale", "output_gradients", "1", 4),
        ("scale", "output_gradients, weights", "once in 1000", 4), ("update", "parameters", "1", 20),
    ]  # fmt: skip
    assert rows_of(extra("fp8-chunked"), "kind", "bytes_each")[-1] == ("update", 10)  # FP16: 2 + 2 + 2 read, 4 written
    assert rows_of(extra("hbfp"), "kind", "bytes_each")[-1] == ("update", 16)  # 2-byte master: 2 + 4 + 4, 2 + 4


@pytest.mark.parametrize(("name", "said"), [("hbfp", True), ("hbfp-tensor", False), ("muppet", False)])
def test_sums_of_tiles_are_mentioned(name, said):
    assert any(note.startswith("Sums of 24 products") for note in extra(name).notes) is said


# ---- cycles ----------------------------------------------------------------------------------------------------------


def test_cycles_have_the_digits_of_the_paper():
    table = cycles_table(Cyclic(3, 8, 8, 32))
    assert table.rows() == [
        ["3-8", "8", "0.039579", "0.062500", "36.7 %", "0.2050", "0.1645", "0.1305", "0.1310", "0.1645", "0.2045"],
        ["4-8", "8", "0.043683", "0.062500", "30.1 %", "–", "0.2305", "0.1895", "0.1605", "0.1895", "0.2300"],
        ["3-6", "6", "0.024593", "0.035156", "30.0 %", "0.2680", "0.2325", "0.2320", "0.2675", "–", "–"],
        ["4-6", "6", "0.027883", "0.035156", "20.7 %", "–", "0.3335", "0.3335", "0.3330", "–", "–"],
    ]


def test_a_cycle_of_ones_own_comes_first():
    rows = cycles_table(Cyclic(2, 2, 8, 5)).rows()
    assert rows[0] == ["2-2", "8", "0.011719", "0.011719", "0.0 %", "1.0000", *["–"] * 6]  # (4 + 32)/3072
    assert [row[0] for row in rows[1:]] == ["3-8", "4-8", "3-6", "4-6"]


# ---- the figure of schemes side by side ------------------------------------------------------------------------------

BARS = pd.DataFrame(
    {
        "scheme": ["a", "b$x$", "c"], "epoch_s": [180.0, 120.0, None], "speedup": [1.0, 1.5, None],
        "gemm_share": [0.5, 0.25, None], "other_share": [0.25, 0.25, None], "conversions_share": [0.125, 0.25, None],
        "update_share": [0.125, 0.25, None], "refusal": [None, None, "E1103 device d: has no unit. It has others."],
    }
)  # fmt: skip


def test_bars_are_as_long_as_their_times():
    (axes,) = schemes_figure(BARS, "title").axes
    ends = [[bar.get_x() + bar.get_width() for bar in bars] for bars in axes.containers]
    assert ends == [[1.5, 0.5, 0], [2.25, 1.0, 0], [2.625, 1.5, 0], [3.0, 2.0, 0]]  # minutes
    assert [text.get_text() for text in axes.texts] == [
        "3 min 00 s, 1.00x", "2 min 00 s, 1.50x", "refused: E1103 device d: has no unit",
    ]  # fmt: skip
    assert axes.get_xlabel() == "minutes for an epoch"
    assert [text.get_text() for text in axes.get_yticklabels()] == ["a", r"b\$x\$", "c"]
    assert axes.get_xlim()[0] == 0


@pytest.mark.parametrize("frame", [BARS.iloc[:0], BARS.drop(columns="speedup"), BARS.iloc[2:]])
def test_no_figure_of_nothing(frame):
    with pytest.raises(ValueError, match=r"price|columns"):
        schemes_figure(frame, "title")
