"""MuPPET's log.csv: the sample's oracle, logs made from known schedules as the code would write them, broken ones."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfmodel.errors import InputError
from perfmodel.traces.logs import Given, read_log
from perfmodel.traces.logs.logfile import LogFile
from perfmodel.traces.readers import muppet_console, muppet_csv

SAMPLES = Path(__file__).parents[2] / "data" / "logs" / "samples" / "muppet"
TOY = Given(network="resnet20", samples=192)
BARE = replace(TOY, dataset="cifar10", batch=32)
HEADER = (
    "Epoch,\tLR,\tTrain_Loss,\tTrain_Top1,\tTrain_Top5,\tTest_Loss,\tTest_Top1,\tTest_Top5,\tVal_Loss,\tVal_Top1,\t"
    "Val_Top5,\tDataType,\tBitWidth"
)
POLICY_HEADER = HEADER + ",\tMeanGD,\tMaxGD,\tRatio,\tThreshold,\tGDViolations"
CONFIG = """\
[dataset]
Dataset: cifar10
[cnn]
Architecture: resnet
Depth: 20
[training_hyperparameters]
Total_Epochs: {total}
Train_Batch: 32
Learning_Rate: {lr}
Min_LR: {least}
Gamma: 0.1
Train_Val_Split: 0.8
[muppet_hyperparameters]
Run_Muppet: {policy}
Bit_Width: {bits}
Data_Type: {kind}
Policy_Resolution: 3
Policy_Patience: 2
Fp32_Epochs_Per_Lr: {every}
Prec_Schedule: 8 12 14 16 -1
[pytorch_parameters]
Resume: False
Branch: {branch}
"""
LADDER = (8, 12, 14, 16, -1)


def config_text(total=60, lr=0.05, least=0.0005, policy=True, bits=8, kind="DFixed", every=5, branch=False):
    return CONFIG.format(**locals())


def row(epoch, lr, bits, *gd, loss=1.5):
    """A row as the code writes it; `gd` are MeanGD to GDViolations."""
    cells = [epoch, lr, loss, *[50.0] * 8, "Float" if bits == -1 else "DFixed", bits, *gd]
    return ",\t".join(map(str, cells))


def simulated(switches, lr, least, every, total):
    """Rows of a run that switched at the ends of these epochs, and (bits, learning rate) of each epoch it trained.

    The code: train; change precision; in FP32 count, and at each multiple lower the rate or end without a row.
    """
    rows, trained, rung, counted, mean, peak = [], [], 0, 0, 1, 0
    for epoch in range(total):
        trained.append((LADDER[rung], lr))
        threshold = -1
        if epoch % 3 == 2 and LADDER[rung] != -1:
            mean, peak, threshold = 1 / (epoch + 1), 0.5, 1 + 1.5 * math.exp(-0.1 * epoch)
        checked = threshold if threshold > 0 else (rows[-1][5] if rows else -1)
        if epoch in switches:
            rung, peak = rung + 1, 0
        if LADDER[rung] == -1:
            counted += 1
            if counted % every == 0:
                if lr <= least:
                    break
                lr *= 0.1
        rows.append((epoch, lr, LADDER[rung], mean, peak, checked, 0))
    text = [row(epoch, rate, bits, a, b, b / a, t, n) for epoch, rate, bits, a, b, t, n in rows]
    return text, trained


def written(folder, lines, config=None, header=POLICY_HEADER):
    (folder / "log.csv").write_text("\n".join([header, *lines]) + "\n")
    if config is not None:
        (folder / "config.ini").write_text(config)
    return folder / "log.csv"


def epochs_of(trace):
    """Format of fprop and learning rate by epoch."""
    return [(segment.epoch, segment.precision.label, segment.lr) for segment in trace.segments]


def name_of(bits):
    return "fp32" if bits == -1 else f"dfx{bits}"


# The sample


def test_muppet_sample_trained_in_the_precisions_of_the_rows_before():
    trace = read_log(SAMPLES / "log.csv", TOY)
    labels = [segment.precision.label for segment in trace.segments]
    assert labels == ["dfx8"] * 6 + ["dfx12"] * 6 + ["dfx14"] * 6 + ["dfx16"] * 9 + ["fp32"] * 19
    assert [segment.inferred for segment in trace.segments] == [False] * 45 + [True]
    assert (trace.segments[45].epoch, dict(trace.segments[45].metrics)) == (45, {})
    rates = [segment.lr for segment in trace.segments]
    assert (
        rates == [0.05] * 31 + [0.005000000000000001] * 5 + [0.0005000000000000001] * 5 + [5.0000000000000016e-05] * 5
    )
    assert trace.segments[0].precision.master == "fp32"
    assert trace.segments[27].precision.master is None


def test_muppet_sample_has_gradient_diversity_where_the_policy_checked():
    trace = read_log(SAMPLES / "log.csv", TOY)
    checked = {segment.epoch: segment.gradient_diversity for segment in trace.segments if segment.gradient_diversity}
    assert list(checked) == [2, 5, 8, 11, 14, 17, 20, 23, 26]
    assert checked[2] == {
        "mean": 0.33634209632873535, "max": 0.33634209632873535, "ratio": 1.0, "threshold": 1.0, "violations": 0.0,
    }  # fmt: skip
    assert checked[5] == {"mean": 0.3357539772987366, "threshold": 1.0}


def test_muppet_sample_takes_the_header_from_its_configuration():
    trace = read_log(SAMPLES / "log.csv", Given(network="resnet20"))
    assert (trace.dataset, trace.samples, trace.batch, trace.scheme) == ("cifar10", 40_000, 32, "muppet")
    assert {segment.iterations for segment in trace.segments} == {1250}
    assert trace.inferred[0] == "samples: 40000 = 0.8 x 50000, Train_Val_Split of the training set of cifar10"
    assert trace.scheme_params == {
        "ladder": ["dfx8", "dfx12", "dfx14", "dfx16", "fp32"], "min_dwell": 6, "resolution": 3, "patience": 1,
        "lr0": 0.05, "min_lr": 0.0005, "gamma": 0.1, "epochs_per_lr": 5, "most_epochs": 60, "stopping": "reference",
    }  # fmt: skip
    assert trace.source["with"][0]["path"] == "config.ini"


def test_muppet_sample_reports_what_it_corrected():
    trace = read_log(SAMPLES / "log.csv", TOY)
    assert "log.csv:2 a row is written after the policy ran" in trace.corrections[0]
    assert any("log.csv:46 epoch 45 was added" in text for text in trace.corrections)
    with pytest.raises(InputError) as error:
        read_log(SAMPLES / "log.csv")
    assert [problem.place for problem in error.value.problems] == ["network:"]


def test_muppet_without_its_configuration_leaves_open_what_it_would_say(tmp_path):
    (tmp_path / "log.csv").write_bytes((SAMPLES / "log.csv").read_bytes())
    with pytest.raises(InputError) as error:
        read_log(tmp_path / "log.csv")
    missing = ["network:", "dataset:", "batch:", "samples:"]
    assert sorted(problem.place for problem in error.value.problems) == sorted(missing)
    trace = read_log(tmp_path / "log.csv", BARE)
    assert trace.epochs_by_precision() == {"dfx8": 6, "dfx12": 6, "dfx14": 6, "dfx16": 9, "fp32": 18}
    assert trace.inferred[0].startswith("precision and learning rate of epoch 0: those of its row")
    assert trace.inferred[1].startswith("no epoch after 44, the last row's")


# Logs as the code writes them


@settings(max_examples=150, deadline=None)
@given(
    dwells=st.lists(st.integers(1, 4), min_size=4, max_size=4),
    lr=st.sampled_from([0.1, 0.01, 0.001]),
    every=st.integers(2, 6),
    total=st.integers(3, 80),
)
def test_muppet_round_trip(tmp_path_factory, dwells, lr, every, total):
    switches = [3 * sum(dwells[: i + 1]) - 1 for i in range(4)]
    lines, trained = simulated(switches, lr, lr / 100, every, total)
    config = config_text(total=total, lr=lr, least=lr / 100, every=every)
    trace = read_log(written(tmp_path_factory.mktemp("muppet"), lines, config))
    assert epochs_of(trace) == [(epoch, name_of(bits), rate) for epoch, (bits, rate) in enumerate(trained)]
    assert (trace.network, trace.samples, trace.batch) == ("resnet20", 40_000, 32)
    added = len(trained) > len(lines)
    assert [segment.inferred for segment in trace.segments] == [False] * len(lines) + [True] * added
    checks = [segment.epoch for segment in trace.segments if segment.gradient_diversity]
    assert checks == [e for e, (bits, _) in enumerate(trained) if e % 3 == 2 and bits != -1]


def test_muppet_with_a_rate_of_a_tenth_runs_59_epochs_in_fp32(tmp_path):
    lines, trained = simulated([20, 38, 50, 62], 0.1, 0.001, 15, 150)
    assert (len(lines), len(trained)) == (121, 122)
    trace = read_log(written(tmp_path, lines, config_text(total=150, lr=0.1, least=0.001, every=15)))
    assert trace.epochs_by_precision() == {"dfx8": 21, "dfx12": 18, "dfx14": 12, "dfx16": 12, "fp32": 59}


@pytest.mark.parametrize("cut", [1, 2, 7])
def test_muppet_killed_before_its_end_has_its_rows_and_no_more(tmp_path, cut):
    lines, trained = simulated([2, 5, 8, 11], 0.1, 0.001, 4, 60)
    trace = read_log(written(tmp_path, lines[:-cut], config_text(lr=0.1, least=0.001, every=4)))
    assert trace.epochs == len(trained) - 1 - cut
    assert any("the run was stopped, or goes on" in text for text in trace.corrections)


def test_muppet_resumed_in_its_fp32_phase_may_have_an_epoch_more(tmp_path):
    lines, _ = simulated([2, 5, 8, 11], 0.1, 0.001, 4, 60)
    twice = [*lines[:14], *(row(14 + i, 0.1, -1, 0.1, 0, 0.0, 1.5, 0) for i in range(4))]
    trace = read_log(written(tmp_path, twice, config_text(lr=0.1, least=0.001, every=4)))
    assert trace.epochs == 18
    assert trace.inferred[1].startswith("no epoch after 17, the last row's: whether the stopping rule ended one more")


def test_muppet_with_the_full_number_of_epochs_has_all_rows(tmp_path):
    lines, trained = simulated([2, 5, 8, 11], 0.1, 0.001, 4, 20)
    assert len(lines) == len(trained) == 20
    trace = read_log(written(tmp_path, lines, config_text(total=20, lr=0.1, least=0.001, every=4)))
    assert (trace.epochs, any("stopped" in text for text in trace.corrections)) == (20, False)


def test_without_the_policy_a_row_says_what_its_own_epoch_trained_in(tmp_path):
    lines = [row(epoch, 0.1 if epoch < 2 else 0.01, -1) for epoch in range(4)]
    config = config_text(policy=False, bits=-1, kind="Float", total=4)
    trace = read_log(written(tmp_path, lines, config, HEADER))
    assert epochs_of(trace) == [(0, "fp32", 0.1), (1, "fp32", 0.1), (2, "fp32", 0.01), (3, "fp32", 0.01)]
    assert (trace.scheme, trace.scheme_params) == ("fp32", {})
    assert not any("row is written after" in text for text in trace.corrections)


def test_precision_that_changes_without_columns_of_the_policy_was_changed_by_it(tmp_path):
    lines = [row(epoch, 0.1, 8 if epoch < 2 else 12) for epoch in range(4)]
    trace = read_log(written(tmp_path, lines, None, HEADER), BARE)
    assert [label for _, label, _ in epochs_of(trace)] == ["dfx8", "dfx8", "dfx8", "dfx12"]
    assert trace.inferred[0].startswith("MuPPET steered the run")
    trace = read_log(written(tmp_path, lines, config_text(), HEADER))
    assert [label for _, label, _ in epochs_of(trace)] == ["dfx8", "dfx8", "dfx8", "dfx12"]


def test_more_epochs_than_any_run_has(tmp_path):
    lines = [row(epoch, 0.1, 8) for epoch in range(50_001)]
    with pytest.raises(InputError) as error:
        read_log(written(tmp_path, lines, None, HEADER), BARE)
    assert (error.value.problems[0].code, error.value.problems[0].place) == ("E1328", f"{tmp_path / 'log.csv'}:50002:")


def test_a_branch_without_the_policy_follows_rows_with_it(tmp_path):
    parent = [row(epoch, 0.1, 8, 1, 0, 0.0, -1, 0) for epoch in range(2)]
    branch = [row(epoch, 0.1, -1) for epoch in (2, 3)]
    config = config_text(policy=False, bits=-1, kind="Float", branch=True, total=4)
    trace = read_log(written(tmp_path, [*parent, "-" * 47, *branch], config))
    assert [label for _, label, _ in epochs_of(trace)] == ["dfx8", "dfx8", "fp32", "fp32"]
    assert any(":4 the line of dashes" in text for text in trace.corrections)


def test_a_branch_with_the_policy_begins_as_configured(tmp_path):
    parent = [row(epoch, 0.1, 8, 1, 0, 0.0, -1, 0) for epoch in range(2)]
    branch = [row(2, 0.2, 14, 0.4, 0, 0.0, -1, 0), row(3, 0.2, 14, 0.4, 0, 0.0, -1, 0)]
    path = written(tmp_path, [*parent, "-" * 47, *branch], config_text(bits=12, lr=0.2, branch=True))
    assert epochs_of(read_log(path)) == [(0, "dfx8", 0.1), (1, "dfx8", 0.1), (2, "dfx12", 0.2), (3, "dfx14", 0.2)]
    (tmp_path / "config.ini").unlink()
    trace = read_log(path, BARE)
    assert epochs_of(trace)[2] == (2, "dfx14", 0.2)
    assert [text[:40] for text in trace.inferred[:2]] == [
        "precision and learning rate of epoch 0: ", "precision and learning rate of epoch 2: ",
    ]  # fmt: skip


def test_rows_after_a_restart_replace_those_before(tmp_path):
    lines, trained = simulated([2, 5, 8, 11], 0.1, 0.001, 4, 20)
    again = [*lines[:9], *lines[5:]]
    trace = read_log(written(tmp_path, again, config_text(total=20, lr=0.1, least=0.001, every=4)))
    assert [(name_of(bits), rate) for bits, rate in trained] == [entry[1:] for entry in epochs_of(trace)]
    assert any(":11 restart: epochs 5 to 8 were replaced by what follows" in text for text in trace.corrections)


def test_a_repeated_header_is_left_out(tmp_path):
    lines, trained = simulated([2, 5, 8, 11], 0.1, 0.001, 4, 20)
    path = written(tmp_path, [*lines[:4], POLICY_HEADER, *lines[4:]], config_text(total=20, lr=0.1, least=0.001))
    trace = read_log(path)
    assert [name_of(bits) for bits, _ in trained] == [label for _, label, _ in epochs_of(trace)]
    assert any(":6 the header was repeated" in text for text in trace.corrections)


def test_a_gap_in_which_the_precision_changed_leaves_candidates(tmp_path):
    rows = [row(0, 0.1, 8, 1, 0, 0.0, -1, 0), row(4, 0.1, 14, 1, 0, 0.0, -1, 0), row(6, 0.1, 14, 1, 0, 0.0, -1, 0)]
    trace = read_log(written(tmp_path, rows, config_text()))
    assert [label for _, label, _ in epochs_of(trace)] == ["dfx8", "dfx8|dfx12|dfx14", "dfx14"]
    assert trace.gaps == ((1, 3), (5, 5))
    assert [text for text in trace.corrections if "no row of epochs 1 to 3" in text]


def test_losses_that_are_no_numbers_are_left_out_and_told_of(tmp_path):
    rows = [row(e, 0.1, 8, 1, 0, 0.0, -1, 0, loss="nan" if e > 1 else 2.5) for e in range(4)]
    trace = read_log(written(tmp_path, rows, config_text()))
    assert [segment.metrics.get("train_loss") for segment in trace.segments] == [2.5, 2.5, None, None]
    assert any(
        "train_loss is not a finite number in epochs 2 to 3 and left out there: the run diverged" in text
        for text in trace.corrections
    )


def test_the_torn_last_line_of_a_run_that_goes_on_is_left_out(tmp_path):
    lines, _ = simulated([2, 5, 8, 11], 0.1, 0.001, 4, 20)
    path = written(tmp_path, lines[:3], config_text())
    whole = path.read_text()
    for cut in range(len("\n".join([POLICY_HEADER, *lines[:2]])) + 2, len(whole) - 2):
        path.write_text(whole[:cut])
        trace = read_log(path)
        assert trace.epochs == 2
        assert any(":4 the last line was not written to its end" in text for text in trace.corrections)
    path.write_text(whole[:-1])
    assert read_log(path).epochs == 3


@pytest.mark.parametrize(
    ("old", "new", "code", "place"),
    [
        ("DFixed,\t12", "DFixed,\t20", "E1322", ":3:13"),
        ("DFixed,\t12", "DFixed,\t-1", "E1322", ":3:13"),
        ("DFixed,\t12", "Fixed,\t12", "E1322", ":3:13"),
        ("1,\t0.1", "1,\t0.1.2", "E1207", ":3:2"),
        ("1,\t0.1", "-1,\t0.1", "E1207", ":3:1"),
        ("1,\t0.1", "１,\t0.1", "E1207", ":3:1"),
        ("1,\t0.1", "1_0,\t0.1", "E1207", ":3:1"),
        ("1,\t0.1", "1", "E1208", ":3:"),
        ("\tBitWidth", "\tBitwidth", "E1209", ":1:"),
        ("\tTrain_Top1", "\tTrain_Loss", "E1209", ":1:"),
    ],
)
def test_muppet_errors_name_their_cells(tmp_path, old, new, code, place):
    rows = [row(0, 0.1, 8, 1, 0, 0.0, -1, 0), row(1, 0.1, 12, 1, 0, 0.0, -1, 0), row(2, 0.1, 12, 1, 0, 0.0, -1, 0)]
    path = written(tmp_path, rows, config_text())
    text = path.read_text()
    path.write_text(text.replace(old if old != "1,\t0.1" else "\n1,\t0.1", new if old != "1,\t0.1" else "\n" + new, 1))
    with pytest.raises(InputError) as error:
        read_log(path, Given(reader="muppet-csv"))
    assert (error.value.problems[0].code, error.value.problems[0].place) == (code, f"{path}{place}")


def test_muppet_takes_formats_and_precision_from_the_user():
    trace = read_log(SAMPLES / "log.csv", replace(TOY, formats={"8": "int8"}))
    assert trace.epochs_by_precision()["int8"] == 6
    trace = read_log(SAMPLES / "log.csv", replace(TOY, precision="bf16"))
    assert trace.epochs_by_precision() == {"bf16": 46}
    with pytest.raises(InputError) as error:
        read_log(SAMPLES / "log.csv", replace(TOY, keys={"precision": "BitWidth"}))
    assert error.value.problems[0].code == "E1320"


def test_muppet_reads_what_a_spreadsheet_saved(tmp_path):
    text = (SAMPLES / "log.csv").read_text().replace(",\t", ";").replace(".", ",")
    (tmp_path / "log.csv").write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    (tmp_path / "config.ini").write_bytes((SAMPLES / "config.ini").read_bytes())
    trace = read_log(tmp_path / "log.csv", replace(TOY, decimal="comma"))
    assert trace.segments == read_log(SAMPLES / "log.csv", TOY).segments


def test_muppet_files_are_told_from_its_console():
    assert muppet_csv.recognises(LogFile(SAMPLES / "log.csv"))
    assert not muppet_csv.recognises(LogFile(SAMPLES / "stdout.txt"))
    assert not muppet_csv.recognises(LogFile(SAMPLES / "stderr_tail.txt"))
    others = [SAMPLES.parent / "keras" / "training.csv", SAMPLES.parent / "cpt" / "log_train.txt"]
    assert not any(module.recognises(LogFile(path)) for module in (muppet_csv, muppet_console) for path in others)


def test_a_folder_of_a_run_is_its_log(tmp_path):
    for name in ("log.csv", "config.ini"):
        (tmp_path / name).write_bytes((SAMPLES / name).read_bytes())
    assert read_log(tmp_path, TOY).epochs == 46


# Broken logs


def test_mutations_of_a_muppet_log(fuzzed):
    fuzzed("muppet/log.csv", TOY, {"config.ini": (SAMPLES / "config.ini").read_bytes()})


def test_mutations_of_a_muppet_log_alone(fuzzed):
    fuzzed("muppet/log.csv", BARE)


def test_a_muppet_log_cut_off_anywhere(truncated):
    truncated("muppet/log.csv", BARE)
