"""CPT's log: the sample's oracle, logs made from known schedules as the code would print them, and broken ones."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfmodel.errors import InputError
from perfmodel.traces.logs import Given, read_log
from perfmodel.traces.logs.cpt.cyclic import Cycle, cycles_of, lengths_by_drop, lengths_of, mean_cost, parts_of
from perfmodel.traces.logs.logfile import LogFile
from perfmodel.traces.readers import cpt

SAMPLE = Path(__file__).parents[2] / "data" / "logs" / "samples" / "cpt" / "log_train.txt"
TOY = Given(network="resnet20", samples=24, batch=4)  # six iterations an epoch


def bits_of(trace):
    """Format of fprop by iteration."""
    return [segment.precision.label for segment in trace.segments for _ in range(segment.iterations)]


def formula(first, last, length, iteration):
    """What the code computes, with NumPy."""
    return int(np.rint(first + 0.5 * (last - first) * (1 + np.cos(np.pi * ((iteration % length) / length) + np.pi))))


def cifar_log(total, cycles, forward, backward, freq, every, stop=None, rate=0.1):
    """What the code for CIFAR prints until it stopped."""
    length, lines, costs = int(total / cycles), ["11-22-26 06:35:start training cifar10_resnet_38"], []
    for i in range(total if stop is None else stop):
        bits, grads = formula(*forward, length, i), formula(*backward, length, i)
        if i % every == 0:
            lines.append(f"11-22-26 06:35:Iter [{i}] learning rate = {rate}")
            lines.append(f"11-22-26 06:35:Iter [{i}] num_bits = {bits}.0 num_grad_bits = {grads}.0 cyclic precision")
        costs.append((bits * bits + 2 * bits * grads) / 32 / 32 / 3)
        done = i + 1
        if done % freq == 0:
            lines.append(f"11-22-26 06:36:Num bit {bits}.0\tNum grad bit {grads}.0\t")
            lines.append(
                f"11-22-26 06:36:Iter: [{done}/{total}]\tTime 1.000 (1.000)\tData 0.000 (0.000)\tLoss 2.000 (3.000)\t"
                f"Prec@1 25.000 (12.500)\tTraining FLOPS ratio: {costs[-1]:.6f} ({sum(costs) / done:.6f})\t"
            )
        if done % every == 0 or done == total:
            lines.append("11-22-26 06:37:Test: [0/2]\tTime: 0.6345(0.6345)\tLoss: 9.511(9.511)\tPrec@1: 5.0(5.0)\t")
            lines.append(f"11-22-26 06:37:Step {done} * Prec@1 {done / total:.3f}")
    return "\n".join(lines) + "\n"


def imagenet_log(epochs, per_epoch, cycles, forward, grads, freq, stop=None, cyclic=True):
    """What the code for ImageNet prints."""
    length, lines = int(epochs * per_epoch / cycles), ["01-02-26 06:35:start training resnet50"]
    for epoch in range(epochs):
        for i in range(per_epoch):
            t = epoch * per_epoch + i
            if stop is not None and t >= stop:
                return "\n".join(lines) + "\n"
            bits = formula(*forward, length, t)
            if cyclic and t % 10 == 0:
                lines.append(
                    f"01-02-26 06:35:Iter [{t}] num_bits = {bits}.0 num_grad_bits = {grads}.0 cyclic precision"
                )
            if i % freq == 0:
                lines.append(
                    f"01-02-26 06:35:Iter: [{epoch}][{i}/{per_epoch}]\tTime 1.0 (1.0)\tData 0.0 (0.0)\t"
                    f"Loss 2.000 (3.000)\tPrec@1 25.000 (12.500)\t"
                )
        lines.append(f"01-02-26 06:35:Epoch {epoch} * Prec@1 {epoch + 30:.3f}")
        lines.append(f"01-02-26 06:35:Epoch [{epoch + 1}] num_bits = {bits} num_grad_bits = {grads}")
        lines.append("01-02-26 06:35:Current Best Prec@1: 5 ")
    return "\n".join(lines) + "\n"


def trace_of(tmp_path, text, said=TOY):
    path = tmp_path / "log_train.txt"
    path.write_text(text)
    return read_log(path, said)


# The sample


def test_cpt_sample_trained_24_iterations_in_these_bits():
    trace = read_log(SAMPLE, TOY)
    bits = bits_of(trace)
    assert trace.iterations == len(bits) == 24
    printed = {0: 3, 3: 3, 7: 4, 11: 5, 12: 6, 15: 6, 19: 7, 23: 8}
    assert {t: bits[t] for t in printed} == {t: f"int{n}" for t, n in printed.items()}
    assert bits == ["int3"] * 5 + ["int4"] * 4 + ["int5"] * 3 + ["int6"] * 4 + ["int7"] * 4 + ["int8"] * 4
    assert {segment.precision.dgrad for segment in trace.segments} == {("int8",)}
    assert {segment.precision.wgrad for segment in trace.segments} == {("int8",)}
    assert [segment.epoch for segment in trace.segments] == [0, 0, 1, 1, 2, 2, 3, 3]
    assert {segment.lr for segment in trace.segments} == {0.1}
    assert trace.segments[3].metrics == {"train_loss": 7.931, "train_top1": 18.75, "test_top1": 25.0}
    assert (trace.scheme, trace.dataset, trace.partial) == ("cpt", "cifar10", ())
    assert trace.scheme_params == {
        "bits": [3, 8], "gradient_bits": [8, 8], "cycle_iterations": 24, "iterations": 48, "cycles": 2,
    }  # fmt: skip
    end = "log_train.txt iteration 24 of 48 is the last: the run was stopped, or goes on"
    assert any(text.endswith(end) for text in trace.corrections)


def test_cpt_sample_with_epochs_of_seven_iterations_ends_in_a_partial_one():
    trace = read_log(SAMPLE, replace(TOY, samples=25))
    assert (trace.epochs, trace.partial) == (4, (3,))
    end = "log_train.txt partial epoch: 3 of 7 iterations of epoch 3, the last"
    assert any(text.endswith(end) for text in trace.corrections)


def test_cpt_for_cifar_says_in_one_go_what_it_cannot_know():
    with pytest.raises(InputError) as error:
        read_log(SAMPLE)
    assert [(p.code, p.place) for p in error.value.problems] == [
        ("E1321", "network:"), ("E1321", "samples:"), ("E1321", "batch:"),
    ]  # fmt: skip


def test_cpt_takes_formats_and_precision_from_the_user():
    assert read_log(SAMPLE, replace(TOY, formats={"3": "int4"})).epochs_by_precision()["int4"] == 2
    trace = read_log(SAMPLE, replace(TOY, precision="fp16"))
    assert trace.epochs_by_precision() == {"fp16": 4}
    assert trace.iterations == 24


# Logs as the code prints them


@settings(max_examples=60, deadline=None)
@given(
    cycles=st.integers(1, 8),
    first=st.integers(3, 5),
    rise=st.integers(1, 5),
    freq=st.sampled_from([2, 3, 5]),
    every=st.sampled_from([7, 24]),
)
def test_cpt_round_trip_of_complete_cifar_runs(tmp_path_factory, cycles, first, rise, freq, every):
    text = cifar_log(240, cycles, (first, first + rise), (8, 8), freq, every)
    trace = trace_of(tmp_path_factory.mktemp("cpt"), text, replace(TOY, samples=90, batch=4))
    length = int(240 / cycles)
    assert trace.iterations == 240 - 240 % freq or trace.iterations == 240
    assert bits_of(trace) == [f"int{formula(first, first + rise, length, t)}" for t in range(trace.iterations)]


def test_cpt_with_cyclic_gradients(tmp_path):
    text = cifar_log(96, 2, (3, 8), (6, 8), 2, 24)
    trace = trace_of(tmp_path, text)
    assert bits_of(trace) == [f"int{formula(3, 8, 48, t)}" for t in range(96)]
    grads = [segment.precision.dgrad[0] for segment in trace.segments for _ in range(segment.iterations)]
    assert grads == [f"int{formula(6, 8, 48, t)}" for t in range(96)]
    assert trace.scheme_params["gradient_bits"] == [6, 8]


def test_cpt_for_imagenet_counts_epochs_itself(tmp_path):
    trace = trace_of(tmp_path, imagenet_log(6, 50, 2, (3, 8), 8, 10), Given(dataset="imagenet", batch=256))
    assert (trace.network, trace.samples, trace.epochs, trace.iterations) == ("resnet50", 50 * 256, 6, 300)
    agreeing = [a == f"int{formula(3, 8, 150, t)}" for t, a in enumerate(bits_of(trace))]
    assert agreeing.count(False) <= 3  # one of a hundred iterations, where several lengths fit
    tests = [s.metrics["test_top1"] for s in trace.segments if "test_top1" in s.metrics]
    assert tests == [30, 31, 32, 33, 34, 35]
    assert any("the cycle" in text or "only cycle" in text for text in trace.inferred)


def test_cpt_for_imagenet_without_cycles_has_the_bits_of_its_epochs(tmp_path):
    text = imagenet_log(2, 20, 1, (6, 6), 8, 10, cyclic=False)
    trace = trace_of(tmp_path, text, Given(dataset="imagenet", batch=256))
    assert trace.epochs_by_precision() == {"int6": 2}
    assert trace.scheme_params == {"bits": 6, "gradient_bits": 8}


def test_cpt_for_imagenet_within_its_first_cycle_cannot_be_told(tmp_path):
    with pytest.raises(InputError) as error:
        trace_of(tmp_path, imagenet_log(6, 50, 1, (3, 8), 8, 10, stop=200), Given(dataset="imagenet", batch=256))
    assert error.value.problems[0].code == "E1338"


@pytest.mark.parametrize(("bits", "label"), [(0, "fp32"), (32, "fp32"), (8, "int8")])
def test_cpt_without_cycles_in_cifar(tmp_path, bits, label):
    lines = [f"x:Num bit {bits}\tNum grad bit {bits}\t\nx:Iter: [{n}/12]\tLoss 1.0 (1.0)\t" for n in (6, 12)]
    trace = trace_of(tmp_path, "\n".join(lines) + "\n", replace(TOY, dataset="cifar10"))
    assert (trace.epochs_by_precision(), trace.segments[0].precision.dgrad) == ({label: 2}, (label,))
    assert trace.segments[0].precision.master == ("fp32" if label != "fp32" else None)


def test_cpt_keeps_the_iterations_after_a_restart(tmp_path):
    first, second = cifar_log(96, 2, (3, 8), (8, 8), 4, 24, stop=60), cifar_log(96, 2, (3, 8), (8, 8), 4, 24)
    resumed = second[second.index("11-22-26 06:35:Iter [48] learning") :]
    trace = trace_of(tmp_path, first + resumed)
    assert trace == replace(trace_of(tmp_path, second), source=trace.source, corrections=trace.corrections)
    assert any("restart: iterations 48 to 59 were replaced" in text for text in trace.corrections)


def test_cpt_of_a_resumed_run_begins_where_it_went_on(tmp_path):
    text = cifar_log(96, 2, (3, 8), (8, 8), 4, 24)
    trace = trace_of(tmp_path, text[text.index("11-22-26 06:35:Iter [48] learning") :], replace(TOY, dataset="cifar10"))
    assert (trace.gaps, trace.iterations) == (((0, 7),), 48)
    assert any("begins with iteration 48" in text for text in trace.corrections)


def test_cpt_leaves_out_losses_that_are_no_numbers(tmp_path):
    trace = trace_of(tmp_path, cifar_log(48, 2, (3, 8), (8, 8), 4, 24).replace("Loss 2.000 (3.000)", "Loss nan (nan)"))
    assert {"train_loss"} & {name for segment in trace.segments for name in segment.metrics} == set()
    assert any("train_loss is not a finite number in epochs 0 to 7" in text for text in trace.corrections)
    assert any("diverged" in text for text in trace.corrections)


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("Iter [12] num_bits = 6.0", "Iter [12] num_bits = 7.0", "E1339"),  # the print after that iteration has 6
        ("Num bit 4.0", "Num bit 5.0", "E1338"),
        ("Num bit 4.0", "Num bit 4.5", "E1322"),
        ("Num bit 4.0", "Num bit 4_0", "E1207"),
        ("[8/48]", "[8/4]", "E1339"),
        ("[8/48]", "[8/96]", "E1339"),
        ("[1/48]", "[1/99999999]", "E1328"),
    ],
)
def test_cpt_errors(tmp_path, old, new, code):
    text = cifar_log(48, 2, (3, 8), (8, 8), 1, 12, stop=32)
    assert old in text
    with pytest.raises(InputError) as error:
        trace_of(tmp_path, text.replace(old, new, 1))
    assert code in {problem.code for problem in error.value.problems}


def test_cpt_is_recognised_by_its_lines(tmp_path):
    assert cpt.recognises(LogFile(SAMPLE))
    (tmp_path / "a.txt").write_text("Epoch: [0][0/5005]\tTime 1 (1)\tLoss 1 (1)\tPrec@1 1 (1)\n")
    assert not cpt.recognises(LogFile(tmp_path / "a.txt"))


# Cycles


def test_the_exact_shares_and_costs_of_the_published_setting():
    parts, disputed = parts_of([(Cycle(3, 8, 2000), Cycle(8, 8, 1))], 64_000)
    done = {}
    for part in parts:
        done[part.bits[0][0]] = done.get(part.bits[0][0], 0) + part.end - part.start
    assert disputed == 0
    assert {b: n / 64_000 for b, n in done.items()} == {3: 0.205, 4: 0.1645, 5: 0.1305, 6: 0.131, 7: 0.1645, 8: 0.2045}
    for first, last, cost in [(3, 8, 0.039579), (4, 8, 0.043683), (3, 6, 0.024593), (4, 6, 0.027883)]:
        assert math.isclose(mean_cost(Cycle(first, last, 2000), Cycle(last, last, 1), 64_000), cost, abs_tol=5e-7)


@given(st.integers(2, 16), st.integers(2, 16), st.integers(1, 300), st.integers(1, 1000))
def test_a_cycle_changes_where_its_bits_do(first, last, length, end):
    cycle = Cycle(first, last, length)
    bits = [formula(first, last, length, t) for t in range(end)]
    assert [cycle.bits(t) for t in range(end)] == bits
    starts = [0] + [t for t in range(1, end) if bits[t] != bits[t - 1]]
    assert [t for t in cycle.starts(end) if t == 0 or bits[t] != bits[t - 1]] == starts


def test_lengths_are_those_of_whole_numbers_of_cycles():
    assert lengths_of(10) == [10, 5, 3, 2, 1]
    assert set(lengths_of(977)) == {977 // n for n in range(1, 978)}
    assert lengths_by_drop(20, 23) == [21, 22, 23]
    assert lengths_by_drop(20, 23, 2) == [11, 21, 22, 23]


def test_several_cycles_that_differ_much_leave_candidates():
    steady = Cycle(8, 8, 1)
    parts, disputed = parts_of([(Cycle(3, 4, 10), steady), (Cycle(3, 4, 20), steady)], 10)
    assert [(part.start, part.end, part.bits) for part in parts] == [(0, 5, ((3, 8),)), (5, 10, ((4, 8), (3, 8)))]
    assert (disputed, [part.guessed for part in parts]) == (5, [False, False])


def test_cycles_that_differ_little_stand_for_one():
    steady, cycles = Cycle(8, 8, 1), [Cycle(3, 8, length) for length in (999, 1000, 1001)]
    parts, disputed = parts_of([(cycle, steady) for cycle in cycles], 1000)
    taken = [part.bits[0][0] for part in parts for _ in range(part.end - part.start)]
    assert taken == [cycles[1].bits(t) for t in range(1000)]
    assert 0 < disputed == sum(part.end - part.start for part in parts if part.guessed) <= 10


def test_one_print_leaves_many_cycles():
    assert len(cycles_of([0], [3], lengths_of(48))) > 50
    assert cycles_of([0, 3, 7, 11], [3, 3, 4, 9], lengths_of(24)) == []


# Broken logs


def test_mutations_of_a_cpt_log(fuzzed):
    fuzzed("cpt/log_train.txt", TOY)


def test_a_cpt_log_cut_off_anywhere(truncated):
    truncated("cpt/log_train.txt", TOY)
