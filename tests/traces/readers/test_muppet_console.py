"""MuPPET's console output: the same run as its log.csv, what stands between the rows, and broken output."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from perfmodel.errors import InputError
from perfmodel.traces.logs import Given, read_log
from perfmodel.traces.logs.logfile import LogFile
from perfmodel.traces.readers import muppet_console

SAMPLES = Path(__file__).parents[2] / "data" / "logs" / "samples" / "muppet"
TOY = Given(network="resnet20", samples=192)
BARE = replace(TOY, dataset="cifar10", batch=32)
STDOUT = (SAMPLES / "stdout.txt").read_text()
CONFIG = (SAMPLES / "config.ini").read_text()
HEADER = STDOUT.split("\n")[0]


def line(epoch, bits, lr=0.1, loss=1.5):
    """A row as the code prints it."""
    cells = [f"{epoch},\t{lr}", *[f"{loss:10.5f}"] * 9, "Float" if bits == -1 else "DFixed", f"\t{bits}"]
    return ",\t".join(cells)


def check(mean=0.25, peak=0.5, ratio=2.0, threshold=1.5, violations=1):
    found = f"meanGD = {mean}, maxGD = {peak}, ratio = {ratio}"
    return f"{found}, threshold = {threshold}, gdViolations = {violations}"


def trace_of(folder, text, said=BARE, config=None):
    (folder / "out.txt").write_text(text)
    if config is not None:
        (folder / "config.ini").write_text(config)
    return read_log(folder / "out.txt", said)


def labels(trace):
    return [segment.precision.label for segment in trace.segments]


def switches(trace):
    """The epochs after which another precision came."""
    found = labels(trace)
    return [epoch for epoch in range(len(found) - 1) if found[epoch] != found[epoch + 1]]


# The sample


def test_console_and_file_of_the_sample_agree():
    console, file = read_log(SAMPLES / "stdout.txt", TOY), read_log(SAMPLES / "log.csv", TOY)
    assert switches(console) == switches(file) == [5, 11, 17, 26]
    assert labels(console) == labels(file)
    assert [segment.lr for segment in console.segments] == [segment.lr for segment in file.segments]
    for printed, written in zip(console.segments, file.segments, strict=True):
        assert printed.metrics == pytest.approx(written.metrics, abs=1e-5)
        found = {name: printed.gradient_diversity[name] for name in written.gradient_diversity}
        assert found == written.gradient_diversity
    for key in ("dataset", "samples", "batch", "scheme", "scheme_params"):
        assert getattr(console, key) == getattr(file, key)


def test_the_console_knows_the_ratio_that_triggered_a_switch():
    trace = read_log(SAMPLES / "stdout.txt", TOY)
    assert trace.segments[5].gradient_diversity == {
        "mean": 0.3357539772987366, "max": 0.33634209632873535, "ratio": 1.0017516613006592, "threshold": 1.0,
        "violations": 1.0,
    }  # fmt: skip


def test_the_console_knows_that_training_ended(tmp_path):
    trace = trace_of(tmp_path, STDOUT)
    assert (trace.epochs, trace.segments[45].inferred) == (46, False)
    assert any(":60 epoch 45 was added: training ended after it" in text for text in trace.corrections)
    stopped = trace_of(tmp_path, STDOUT.replace("Ending training\n", ""))
    assert stopped.epochs == 45


def test_without_a_configuration_the_first_epoch_is_its_row(tmp_path):
    trace = trace_of(tmp_path, STDOUT)
    assert trace.inferred[0].startswith("precision and learning rate of epoch 0")
    assert trace.segments == read_log(SAMPLES / "stdout.txt", TOY).segments


# What stands between the rows


def test_progress_bars_colours_and_prefixes_change_nothing(tmp_path):
    bar = "\rtraining:  65%|██████▌   | 39/60 [00:25<00:09,  2.18it/s]"
    lines = STDOUT.split("\n")
    mixed = ["Preparing dataset cifar10", "Creating Quantized Model toy", lines[0]]
    for number, text in enumerate(lines[1:-1]):
        before = ("", bar, "\x1b[A\x1b[32m", "2026-11-22 06:35:01 INFO ")[number % 4]
        mixed += [before + text + "\x1b[0m" * (number % 4 == 2), bar, "epoch: 6it [00:00, 11.71it/s]   \x1b[A"]
    trace = trace_of(tmp_path, "\n".join(mixed) + "\n", TOY, CONFIG)
    expected = read_log(SAMPLES / "stdout.txt", TOY)
    assert trace.segments == expected.segments


def test_values_may_be_tensors(tmp_path):
    tensor = re.sub(r"(meanGD|maxGD|ratio) = ([\d.]+)", r"\1 = tensor(\2, device='cuda:0')", STDOUT)
    assert "device='cuda:0'" in tensor
    assert trace_of(tmp_path, tensor, TOY, CONFIG).segments == read_log(SAMPLES / "stdout.txt", TOY).segments


def test_tabs_may_have_become_blanks(tmp_path):
    assert (
        trace_of(tmp_path, STDOUT.expandtabs(), TOY, CONFIG).segments == read_log(SAMPLES / "stdout.txt", TOY).segments
    )


# Ends and beginnings


def test_a_check_without_its_row_is_an_epoch(tmp_path):
    text = "\n".join([HEADER, line(0, 8), line(1, 8), check(), "GD violation detected, precision changed to 12"])
    trace = trace_of(tmp_path, text + "\n")
    assert labels(trace) == ["dfx8", "dfx8", "dfx8"]
    assert trace.segments[2].gradient_diversity["ratio"] == 2.0
    assert any(":4 epoch 2 was added: it was checked" in text for text in trace.corrections)


def test_a_second_process_goes_on_with_what_the_first_had(tmp_path):
    text = [
        HEADER,
        line(0, 8),
        line(1, 8),
        check(),
        line(2, 12),
        line(3, 12),
        HEADER,
        line(3, 12),
        check(),
        line(4, 14),
    ]
    trace = trace_of(tmp_path, "\n".join([*text, line(5, 14)]) + "\n")
    assert labels(trace) == ["dfx8", "dfx8", "dfx8", "dfx12", "dfx12", "dfx14"]
    assert any(":8 restart: epoch 3 was replaced by what follows" in text for text in trace.corrections)
    assert any(":7 the header was repeated" in text for text in trace.corrections)


def test_rows_without_the_policy_are_their_own_epochs(tmp_path):
    rows = [line(0, -1, 0.1), line(1, -1, 0.1), line(2, -1, 0.01)]
    trace = trace_of(tmp_path, "\n".join([HEADER, *rows]) + "\n")
    assert [segment.lr for segment in trace.segments] == [0.1, 0.1, 0.01]
    assert (trace.scheme, labels(trace)) == ("fp32", ["fp32"] * 3)


def test_a_static_schedule_has_no_gradient_diversity(tmp_path):
    change = "GD violation detected, precision changed to 12"
    trace = trace_of(tmp_path, "\n".join([HEADER, line(0, 8), change, line(1, 12), line(2, 12)]) + "\n")
    assert labels(trace) == ["dfx8", "dfx8", "dfx12"]
    assert [dict(segment.gradient_diversity) for segment in trace.segments] == [{}, {}, {}]


@pytest.mark.parametrize(
    ("lines", "code", "place"),
    [
        ([line(0, 8), "GD violation detected, precision changed to 12", line(1, 14)], "E1337", 4),
        ([line(0, 8), line(1, 20)], "E1322", 3),
        ([line(0, 8), line(1, 8).replace("   1.50000", "   1.5.000", 1)], "E1207", 3),
        ([line(0, 8), "\t1.50000,\tDFixed,\t\t8"], "E1208", 3),
        ([line(0, 8), check(mean="x"), line(1, 8)], "E1207", 3),
        ([line(0, 8), check(mean="1_0"), line(1, 8)], "E1207", 3),
        ([], "E1330", None),
    ],
)
def test_console_errors(tmp_path, lines, code, place):
    with pytest.raises(InputError) as error:
        trace_of(tmp_path, "\n".join(["Preparing dataset", HEADER, *lines][1 if lines else 0 :]) + "\n")
    problem = error.value.problems[0]
    assert (problem.code, problem.place) == (code, f"{tmp_path / 'out.txt'}:" + (f"{place}:" if place else ""))


def test_the_console_is_recognised_by_its_rows_and_lines(tmp_path):
    assert muppet_console.recognises(LogFile(SAMPLES / "stdout.txt"))
    assert not muppet_console.recognises(LogFile(SAMPLES / "log.csv"))
    assert not muppet_console.recognises(LogFile(SAMPLES / "stderr_tail.txt"))
    assert not muppet_console.recognises(LogFile(SAMPLES / "config.ini"))
    for text in (check(), line(3, -1), f"Preparing dataset cifar10\n{HEADER}\n", f"{HEADER}\nepoch:  0%|   | 0/5\n"):
        (tmp_path / "some.txt").write_text(text)
        assert muppet_console.recognises(LogFile(tmp_path / "some.txt")), text


# Broken output


def test_mutations_of_muppets_console(fuzzed):
    fuzzed("muppet/stdout.txt", TOY, {"config.ini": CONFIG.encode()})


def test_mutations_of_muppets_console_alone(fuzzed):
    fuzzed("muppet/stdout.txt", BARE)


def test_muppets_console_cut_off_anywhere(truncated):
    truncated("muppet/stdout.txt", BARE)
