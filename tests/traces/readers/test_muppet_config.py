"""The configuration of a MuPPET run: what stands there, what follows from it, and what is wrong with it."""

from pathlib import Path

import pytest
from hypothesis import given, settings

from perfmodel.errors import InputError
from perfmodel.networks import find_network
from perfmodel.traces.logs import Given, read_log
from perfmodel.traces.logs.logfile import LogFile
from perfmodel.traces.logs.muppet.config import config_of
from perfmodel.traces.logs.muppet.facts import NETWORKS, facts_of, network_of, scheme_params

SAMPLES = Path(__file__).parents[2] / "data" / "logs" / "samples" / "muppet"
RUN = "Run_Muppet: True\n"


def config(folder, text, name="config.ini"):
    (folder / "log.csv").write_text("Epoch\n")
    (folder / name).write_text(text)
    notes = []
    return config_of(LogFile(folder / "log.csv"), notes), notes


def test_keys_have_any_case_either_sign_and_blanks(tmp_path):
    found, _ = config(
        tmp_path, "[a]\n RUN_muppet: True\nrun_MUPPET = yes \n\n; x: 1\n# y: 2\nTotal_Epochs:7\nGamma : 0.1\n"
    )
    assert (found.policy, found.whole("total_epochs"), found.number("gamma")) == (True, 7, 0.1)
    assert (found.text("x"), found.text("total"), found.place("total_epochs")[-2:]) == (None, None, ":7")


def test_a_trailing_nan_of_a_random_schedule_is_dropped(tmp_path):
    found, _ = config(tmp_path, RUN + "Prec_Epoch_Schedule: 2 14 36 43 nan\nPrec_Schedule: 8 12 -1 nan\n")
    assert found.epochs("prec_epoch_schedule") == [2, 14, 36, 43]
    assert found.bits("prec_schedule") == ["8", "12", "-1"]


def test_parameters_of_a_static_schedule_have_its_switches(tmp_path):
    found, _ = config(tmp_path, RUN + "Prec_Epoch_Schedule: 2 14\nPolicy_Resolution: 3\nPolicy_Patience: 2\n")
    assert scheme_params(found) == {"switches": [2, 14], "resolution": 3, "patience": 2, "stopping": "reference"}


@pytest.mark.parametrize(
    ("dataset", "architecture", "depth", "network"),
    [
        ("cifar10", "resnet", 20, "resnet20"),
        ("cifar100", "ResNet", 20, "resnet20-cifar100"),
        ("cifar10", "alexnet", 29, "alexnet-cifar"),
        ("cifar100", "googlenet", 29, "googlenet-cifar100"),
        ("imagenet", "alexnet", 29, "alexnet-reference"),
        ("imagenet", "resnet", 18, "resnet18"),
        ("imagenet", "googlenet_quant", 29, "googlenet-aux"),
        ("cifar10", "resnet", 56, None),
        ("cifar10", "toy", 20, None),
    ],
)
def test_networks_that_are_bundled(tmp_path, dataset, architecture, depth, network):
    text = f"{RUN}Dataset: {dataset}\nArchitecture: {architecture}\nDepth: {depth}\n"
    assert network_of(config(tmp_path, text)[0]) == network


def test_all_networks_are_there():
    for name in NETWORKS.values():
        assert find_network(name)


@pytest.mark.parametrize(
    ("lines", "samples"),
    [
        ("Dataset: cifar100\nTrain_Val_Split: 0.9\n", 45_000),
        ("Dataset: imagenet\nTrain_Val_Split: 0.8\n", 1_024_933),
        ("Dataset: cifar10\nTrain_Val_Split: 0.8\nSub_Classes: cat\n", None),
        ("Dataset: cifar10\nTrain_Val_Split: 1.5\n", None),
        ("Dataset: mnist\nTrain_Val_Split: 0.8\n", None),
        ("Dataset: cifar10\n", None),
    ],
)
def test_samples_are_the_training_part_of_the_data(tmp_path, lines, samples):
    facts, derived = facts_of(config(tmp_path, RUN + lines)[0], Given())
    assert (facts["samples"].value if "samples" in facts else None) == samples
    assert len(derived) == (samples is not None)
    assert facts_of(config(tmp_path, RUN + lines)[0], Given(samples=7))[1] == []


def test_float_begins_in_fp32_whatever_the_width(tmp_path):
    assert config(tmp_path, "Bit_Width: 8\nData_Type: Float\n")[0].first_bits == "-1"
    assert config(tmp_path, "Bit_Width: 8\nData_Type: DFixed\n")[0].first_bits == "8"
    assert config(tmp_path, "Run_Muppet: True\n")[0].first_bits is None


@pytest.mark.parametrize(
    "text",
    [
        "Train_Batch: many", "Train_Batch: 0", "Train_Batch: 1.5", "Train_Batch: 1_0", "Train_Batch: 1e10",
        "Train_Batch: nan", "Min_LR: -1", "Gamma: 1e999", "Prec_Schedule: 8 fp16", "Prec_Schedule: 8 128",
        "Prec_Epoch_Schedule: 1 -2", "Prec_Epoch_Schedule: 1 1234567", "Bit_Width: eight", "Total_Epochs: ３",
    ],
)  # fmt: skip
def test_values_of_another_kind(tmp_path, text):
    (tmp_path / "log.csv").write_bytes((SAMPLES / "log.csv").read_bytes())
    base = [
        line for line in (SAMPLES / "config.ini").read_text().split("\n") if not line.startswith(text.split(":")[0])
    ]
    (tmp_path / "config.ini").write_text("\n".join([text, *base]))
    with pytest.raises(InputError) as error:
        read_log(tmp_path / "log.csv", Given(network="resnet20"))
    assert (error.value.problems[0].code, error.value.problems[0].place) == ("E1336", f"{tmp_path / 'config.ini'}:1:")


def test_a_key_that_occurs_twice(tmp_path):
    with pytest.raises(InputError) as error:
        config(tmp_path, "Run_Muppet: True\nGamma: 1\ngamma: 2\n")
    assert (error.value.problems[0].code, error.value.problems[0].place) == ("E1336", f"{tmp_path / 'config.ini'}:3:")


def test_a_key_is_told_without_the_blanks_behind_it(tmp_path):
    with pytest.raises(InputError, match="'Gamma' occurs twice"):
        config(tmp_path, "Run_Muppet: True\nGamma \t: 1\nGamma  = 2\n")


def test_lines_of_many_blanks_or_digits_end(tmp_path):
    blanks, digits = " " * 500_000, "1" * 500_000  # what takes the square of their number would never end
    found, _ = config(tmp_path, f"{RUN}a{blanks}b\nMin_LR: {digits}x\n")
    assert found.text("a") is None
    with pytest.raises(InputError, match="E1336"):
        found.number("min_lr")


def test_the_only_configuration_may_have_another_name(tmp_path):
    found, notes = config(tmp_path, RUN, "resnet_muppet.ini")
    assert (found.file.name, notes) == ("resnet_muppet.ini", [])
    (tmp_path / "other.ini").write_text(RUN)
    found, notes = config(tmp_path, RUN, "resnet_muppet.ini")
    assert found is None
    assert "several .ini files beside it, none read" in notes[0]
    assert config(tmp_path, RUN)[0].file.name == "config.ini"


def test_a_configuration_of_something_else_is_not_read(tmp_path):
    found, notes = config(tmp_path, "[core]\nbatch: x\n")
    assert found is None
    assert notes == [f"{tmp_path / 'config.ini'} not read: it has neither Run_Muppet nor Bit_Width"]


def test_mutations_of_a_configuration(mutations, reads):
    log, seed = (SAMPLES / "log.csv").read_bytes(), (SAMPLES / "config.ini").read_bytes()

    @settings(max_examples=500, deadline=None)
    @given(mutations(seed))
    def check(data):
        reads(log, "log.csv", Given(network="resnet20", samples=192), {"config.ini": data})

    check()
