"""Traces from what a log says and what the user says."""

import pytest

from perfmodel.errors import PerfModelError
from perfmodel.traces.logs.given import Given
from perfmodel.traces.logs.logfile import LogFile
from perfmodel.traces.logs.names import whole_run
from perfmodel.traces.logs.run import Fact, Run, Said, Stretch, make_trace, shortened

FP16, FP32 = whole_run("fp16"), whole_run("fp32")
SAID = {"network": "net", "dataset": "data", "batch": 3, "samples": 20, "scheme": "own"}


def run_of(folder, *stretches, **more):
    path = folder / "log.csv"
    path.write_bytes(b"a log")
    return Run("csv", (LogFile(path),), stretches, **more)


def fault(run, **said):
    with pytest.raises(PerfModelError) as error:
        make_trace(run, Given(**said))
    return [line.replace(run.place, "F") for line in error.value.lines()]


def told(run, **said):
    trace = make_trace(run, Given(**SAID | said))
    texts = [text.replace(run.files[0].name, "F") for text in trace.corrections]
    return trace, [text for text in texts if "the last batch not dropped" not in text]


def parts(trace):
    return [(part.epoch, part.iterations, part.precision.label) for part in trace.segments]


def test_what_neither_says_is_one_line_each(tmp_path):
    assert fault(run_of(tmp_path, Stretch(0), Stretch(1))) == [
        "E1321 network: F: the log does not say it (csv). Give --network NAME.",
        "E1321 dataset: F: the log does not say it (csv). Give --dataset NAME.",
        "E1321 batch: F: the log does not say it (csv). Give --batch N.",
        "E1321 precision: F: nothing in the log is known as the precision (csv). "
        "Give --map precision=KEY where the log has it, or --precision FORMAT for the whole run.",
        "E1321 samples: F: the log does not say it (csv), nor do steps. Give --samples N.",
    ]
    fp8 = whole_run("fp8_e4m3")
    assert fault(run_of(tmp_path, Stretch(0, FP32, 7), Stretch(1, fp8, 7)), network="n", dataset="d", batch=3) == [
        "E1321 scheme: F: the log does not say which scheme trains in fp32, fp8_e4m3. Give --scheme NAME."
    ]
    assert fault(run_of(tmp_path, Stretch(3, FP32), Stretch(4)), **SAID) == [
        "E1321 precision: F: the log does not say that of epoch 4. Give --precision FORMAT."
    ]


def test_a_run_without_epochs_is_none(tmp_path):
    assert fault(run_of(tmp_path)) == ["E1330 F: no epoch is in it. Give the log of a run that trained."]


def test_iterations_that_no_one_says_are_those_that_samples_and_batch_make(tmp_path):
    trace, _ = told(run_of(tmp_path, Stretch(0, FP16), Stretch(1, FP16, 3), Stretch(1, FP32)))
    assert parts(trace) == [(0, 7, "fp16"), (1, 3, "fp16"), (1, 4, "fp32")]
    assert any("7 iterations an epoch: ceil(20 / 3), the last batch not dropped" in text for text in trace.corrections)


def test_samples_follow_from_the_longest_epoch(tmp_path):
    run = run_of(tmp_path, Stretch(0, FP16, 2), Stretch(0, FP32, 5), Stretch(1, FP32, 4))
    trace, _ = told(run, samples=None)
    assert trace.samples == 21
    assert trace.inferred == ("samples: 7 iterations of the longest epoch x batch 3; no log says it",)
    assert trace.partial == (1,)


def test_the_user_wins_over_the_log_and_that_is_told(tmp_path):
    facts = {key: Fact(value, "F:9") for key, value in {"network": "own", "batch": 5, "samples": 20}.items()}
    facts |= {"title": Fact("a run", "F:1"), "precision": Fact(FP16, "F:2"), "scheme": Fact("mixed", "F:3")}
    trace, corrections = told(run_of(tmp_path, Stretch(0), facts=facts))
    assert (trace.network, trace.batch, trace.samples, trace.scheme, trace.title) == ("net", 3, 20, "own", "a run")
    assert corrections == [
        "F:9 network net as given, not own", "F:9 batch 3 as given, not 5", "F:3 scheme own as given, not mixed",
    ]  # fmt: skip
    trace, corrections = told(run_of(tmp_path, Stretch(0), facts=facts), network=None, batch=None, scheme=None)
    assert (trace.network, trace.batch, trace.scheme, corrections) == ("own", 5, "mixed", [])
    assert parts(trace) == [(0, 4, "fp16")]


def test_the_precision_that_the_user_gives_is_that_of_all(tmp_path):
    run = run_of(
        tmp_path,
        Stretch(0, FP16, 2, 0.5, {"mean": 3.0}, {"loss": 5.0}),
        Stretch(0, FP32, 4, None, {}, {"acc": 7.0}),
        Stretch(1, FP32),
    )
    trace, corrections = told(run, precision="bf16")
    assert parts(trace) == [(0, 6, "bf16"), (1, 7, "bf16")]
    first = trace.segments[0]
    assert (first.lr, first.gradient_diversity, first.metrics) == (0.5, {"mean": 3.0}, {"loss": 5.0, "acc": 7.0})
    assert corrections == ["F precision bf16 as given, not that of the log (epoch 0 on)"]
    assert told(run_of(tmp_path, Stretch(0), Stretch(1, FP16)), precision="half")[1] == []


def test_it_does_not_matter_that_the_log_cannot_place_changes_that_the_user_overrules(tmp_path):
    run = run_of(tmp_path, Stretch(2, FP16), Stretch(2, FP32))
    assert parts(told(run, precision="fp32")[0]) == [(2, 7, "fp32")]
    assert fault(run, **SAID) == [
        "E1331 F: the precision changes within epoch 2, and the log does not say at which iteration. "
        "Give --map step=KEY, or convert a finer log."
    ]


def test_more_iterations_than_samples_allow_are_an_error(tmp_path):
    run = run_of(tmp_path, Stretch(0, FP16, 7), Stretch(1, FP16, 8), Stretch(2, FP16, 9))
    assert fault(run, **SAID) == [
        "E1311 F: epoch 1 has 8 iterations by the log (and so 1 more); 20 samples in batches of 3 make 7. "
        "Correct --samples or --batch: those of one optimiser step."
    ]


@pytest.mark.parametrize(
    ("formats", "scheme"),
    [
        (("fp32",), "fp32"), (("fp16",), "mixed"), (("bf16",), "bf16"), (("tf32",), "tf32"),
        (("dfx8", "fp32"), "muppet"),
        (("fp16", "fp32"), None), (("fp16", "bf16"), None), (("int8",), None), (("fp32", "dfx8", "fp16"), None),
    ],
)  # fmt: skip
def test_some_formats_are_those_of_one_scheme(tmp_path, formats, scheme):
    run = run_of(tmp_path, *(Stretch(i, whole_run(name), 7) for i, name in enumerate(formats)))
    said = SAID | {"scheme": None}
    if scheme is None:
        assert fault(run, **said)[0].startswith("E1321 scheme: F: the log does not say which scheme trains in ")
    else:
        trace, _ = told(run, scheme=None)
        assert trace.scheme == scheme
        assert trace.inferred == (f"scheme {scheme}: all formats are {', '.join(formats)}",)


def test_values_that_no_trace_can_hold_are_told_with_the_file(tmp_path):
    run = run_of(tmp_path, Stretch(0, FP16, 7, lr=-1.0))
    assert fault(run, **SAID)[0].startswith("E1307 F: lr: -1.0 is not a finite number above 0")
    run = run_of(tmp_path, Stretch(1, FP16, 7), Stretch(0, FP16, 7))
    assert fault(run, **SAID)[0].startswith("E1309 F: segments[1]: epoch 0 follows epoch 1.")


def test_the_source_names_the_files_and_their_fingerprints(tmp_path):
    run = run_of(tmp_path, Stretch(0, FP16))
    other = tmp_path / "config.ini"
    other.write_bytes(b"")
    run = Run("own", (*run.files, LogFile(other)), run.stretches)
    trace, _ = told(run)
    assert trace.source == {
        "reader": "own",
        "path": "log.csv",
        "sha256": "5775e775a009a883570f8738b2efba72ebd889bebd792398088abf4b78a55133",
        "with": [{"path": "config.ini", "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}],
    }


def test_notes_are_shortened():
    assert shortened(("a",) * 200) == ("a",) * 200
    assert shortened(("a",) * 203) == (*("a",) * 200, "… 3 more")


@pytest.mark.parametrize(("samples", "batch", "whole"), [(20, 3, 7), (21, 3, 7), (None, 3, None), (20, None, None)])
def test_what_is_said_makes_iterations(samples, batch, whole):
    assert Said(samples, batch).whole == whole
    facts = {"samples": Fact(21, "F"), "batch": Fact(7, "F")}
    assert Said.of(Given(samples=samples, batch=batch), facts) == Said(samples or 21, batch or 7)
