"""Iterations from steps, and the precision of each: made-up runs are read back from their logs."""

import itertools

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from perfmodel.errors import InputError
from perfmodel.traces.logs import Given, read_log
from perfmodel.traces.logs.epochs import Epoch
from perfmodel.traces.logs.steps import Steps, number_epochs

FUZZ = settings(max_examples=500, suppress_health_check=[HealthCheck.function_scoped_fixture])
SAID = {"network": "net", "dataset": "data", "scheme": "own", "batch": 3, "reader": "csv"}


def steps_of(*seen, first=0, **said):
    """Of epochs as (first step, last step, largest distance)."""
    epochs = {first + i: Epoch(1, begin, end, gap) for i, (begin, end, gap) in enumerate(seen)}
    steps = Steps.of(epochs, **said)
    return steps.base, [(count.before, count.iterations) for count in steps.counts.values()]


def test_every_step_from_0_or_from_1():
    assert steps_of((0, 6, 1), (7, 13, 1)) == (0, [(0, 7), (7, 7)])
    assert steps_of((1, 7, 1), (8, 14, 1)) == (1, [(0, 7), (7, 7)])
    assert steps_of((0, 6, 1), (7, 11, 1)) == (0, [(0, 7), (7, 5)])  # the last epoch was cut short
    assert steps_of((0, 6, 1)) == (0, [(0, 7)])


def test_every_step_anew_in_each_epoch():
    assert steps_of((0, 6, 1), (0, 6, 1), (0, 2, 1)) == (0, [(0, 7), (0, 7), (0, 3)])
    assert steps_of((1, 7, 1), (1, 7, 1)) == (1, [(0, 7), (0, 7)])


def test_logged_steps_are_not_stretched_to_what_samples_make():
    assert steps_of((0, 6, 1), (7, 13, 1), samples=30, batch=3) == (0, [(0, 7), (7, 7)])
    assert steps_of((0, 6, 1), (0, 6, 1), samples=30, batch=3) == (0, [(0, 7), (0, 7)])


def test_one_row_at_the_end_of_each_epoch():
    assert steps_of((6, 6, 0), (13, 13, 0), (20, 20, 0)) == (0, [(0, 7), (7, 7), (14, 7)])
    assert steps_of((7, 7, 0), (14, 14, 0), (21, 21, 0)) == (1, [(0, 7), (7, 7), (14, 7)])
    assert steps_of((7, 7, 0), (7, 7, 0), samples=21, batch=3) == (1, [(0, 7), (0, 7)])
    assert steps_of((6, 6, 0), (6, 6, 0), samples=21, batch=3) == (0, [(0, 7), (0, 7)])
    assert steps_of((7, 7, 0), (7, 7, 0))[1] == [(0, None), (0, None)]  # 7 or 8


def test_one_row_at_the_begin_of_each_epoch():
    assert steps_of((0, 0, 0), (7, 7, 0), (14, 14, 0), samples=21, batch=3) == (0, [(0, 7), (7, 7), (14, 7)])
    assert steps_of((0, 0, 0), (0, 0, 0), samples=21, batch=3) == (0, [(0, 7), (0, 7)])


def test_rows_apart_tell_the_one_length_that_fits():
    # 391 iterations, every 50th logged: the fifth epoch needs as many, the seventh begins too early for more
    seen = [(0, 350), (400, 750), (800, 1150), (1200, 1550), (1600, 1950), (2000, 2300), (2350, 2700)]
    base, counts = steps_of(*((a, b, 50) for a, b in seen), samples=50_000, batch=128)
    assert (base, counts) == (0, [(391 * i, 391) for i in range(7)])
    assert steps_of(*((a, b, 50) for a, b in seen)) == (base, counts)
    assert steps_of(*((a, b, 50) for a, b in seen[:6]))[1] == [(0, None)] * 6  # or 400
    aligned = [(a + 1, b + 1, 3) for a, b in ((0, 9), (12, 21), (24, 30), (33, 42))]  # 11 iterations, every third
    assert steps_of(*aligned) == (1, [(0, 11), (11, 11), (22, 11), (33, 11)])


def test_rows_apart_count_from_0_or_from_1():
    assert steps_of((50, 350, 50), (400, 750, 50), samples=50_000, batch=128)[0] == 1
    assert steps_of((49, 349, 50), (399, 749, 50), samples=50_000, batch=128)[0] == 0
    assert steps_of((49, 349, 50), base=1)[0] == 1  # as the format fixes it


def test_rows_apart_do_not_tell_how_long_epochs_are_that_count_anew():
    assert steps_of((0, 350, 50), (0, 350, 50))[1] == [(0, None), (0, None)]
    assert steps_of((0, 350, 50), (0, 350, 50), samples=50_000, batch=128)[1] == [(0, 391), (0, 391)]
    assert steps_of((50, 350, 50), (50, 200, 50), samples=50_000, batch=128) == (1, [(0, 391), (0, 200)])


def test_the_last_batch_may_be_dropped():
    seen = [(0, 6, 2), (7, 13, 2), (14, 20, 2), (21, 27, 2)]  # 22 samples in batches of 3, the last of 1 dropped
    assert steps_of(*seen, samples=22, batch=3) == (0, [(0, 7), (7, 7), (14, 7), (21, 7)])


def test_rows_of_an_end_may_have_the_number_of_the_next_step():
    assert steps_of((0, 7, 1), (7, 14, 1), (14, 21, 1)) == (0, [(0, 7), (7, 7), (14, 7)])


def test_a_log_may_begin_late():
    for begin in (210, 211):  # whatever the first one was
        seen = [(begin, begin + 6, 1), (begin + 7, begin + 13, 1)]
        assert [count for _, count in steps_of(*seen, first=30)[1]] == [7, 7]
    assert steps_of((210, 216, 1), (217, 223, 1), first=30, samples=21, batch=3) == (0, [(210, 7), (217, 7)])
    assert steps_of((211, 217, 1), (218, 224, 1), first=30, samples=21, batch=3) == (1, [(210, 7), (217, 7)])
    assert steps_of((0, 6, 1), (7, 13, 1), first=30) == (0, [(0, 7), (7, 7)])  # the counter began anew
    assert steps_of((212, 215, 3), (218, 221, 3), first=30, samples=21, batch=3)[1] == [(210, 7), (217, 7)]
    assert steps_of((217, 217, 0), (224, 224, 0), first=30)[1] == [(210, 7), (217, 7)]


def test_of_two_first_numbers_the_one_is_taken_with_which_epochs_fit():
    assert steps_of((3, 3, 0), (6, 6, 0), (9, 12, 3), samples=12, batch=3) == (1, [(0, 4), (4, 4), (8, 4)])
    assert steps_of((3, 10, 7), (13, 22, 9), samples=33, batch=3) == (1, [(0, 11), (11, 11)])


def test_a_counter_may_begin_anew_where_the_run_was_continued():
    assert steps_of((0, 6, 1), (7, 13, 1), (0, 6, 1), (7, 13, 1)) == (0, [(0, 7), (7, 7), (0, 7), (7, 7)])


def test_epochs_cut_short_do_not_move_the_others():
    seen = [(0, 8, 2), (10, 14, 2), (15, 25, 2), (27, 35, 2)]  # 11 iterations; the second was left after its fifth
    assert steps_of(*seen, samples=33, batch=3)[1] == [(0, 10), (10, 5), (15, 11), (26, 11)]


def test_steps_may_count_epochs():
    assert number_epochs({0: Epoch(1, 1, 1), 1: Epoch(2, 2, 2)})
    assert not number_epochs({0: Epoch(1, 1, 1)})
    assert not number_epochs({0: Epoch(1, 1, 1), 1: Epoch(2, 3, 3)})
    assert not number_epochs({0: Epoch(1, 0, 1), 1: Epoch(2, 2, 3)})


def trace_of(folder, text, **said):
    path = folder / "log.csv"
    path.write_text(text)
    return read_log(path, Given(**SAID | said))


def parts(trace):
    return [(part.epoch, part.iterations, part.precision.label) for part in trace.segments]


def told(trace):
    texts = [text.split("log.csv", 1)[1] for text in trace.corrections]
    return [text for text in texts if "the last batch not dropped" not in text]  # see test_log_run.py


def test_precision_logged_only_when_it_changes_holds_from_then_on(tmp_path):
    said = {0: "fp16", 5: "fp32"}
    rows = "".join(f"{step // 3},{step},{said.get(step, '')},7\n" for step in range(12))
    assert parts(trace_of(tmp_path, "epoch,step,precision,loss\n" + rows)) == [
        (0, 3, "fp16"), (1, 2, "fp16"), (1, 1, "fp32"), (2, 3, "fp32"), (3, 3, "fp32"),
    ]  # fmt: skip


def test_precision_logged_at_the_end_of_each_epoch_is_that_of_the_epoch(tmp_path):
    said = {2: "fp16", 5: "fp32", 8: "fp16"}
    rows = "".join(f"{step // 3},{step},{said.get(step, '')},7\n" for step in range(9))
    trace = trace_of(tmp_path, "epoch,step,precision,loss\n" + rows)
    assert parts(trace) == [(0, 3, "fp16"), (1, 3, "fp32"), (2, 3, "fp16")]


def test_precision_from_the_third_epoch_on_is_taken_for_the_first_two(tmp_path):
    text = "epoch,precision,loss\n0,,5\n1,,5\n2,fp16,5\n3,,5\n4,fp32,5\n"
    trace = trace_of(tmp_path, text, samples=21)
    assert parts(trace) == [(0, 7, "fp16"), (1, 7, "fp16"), (2, 7, "fp16"), (3, 7, "fp16"), (4, 7, "fp32")]
    assert told(trace) == [" the precision of epochs 0 to 1 is taken from epoch 2, the first that says it"]


def test_rates_that_no_step_is_made_with_are_left_out(tmp_path):
    trace = trace_of(tmp_path, "epoch,lr,loss\n0,0,1\n1,0.5,1\n2,-1,1\n", samples=21, precision="fp16")
    assert [part.lr for part in trace.segments] == [None, 0.5, None]
    assert told(trace) == [" the learning rate is not above 0 in epochs 0, 2 and left out there"]


def test_short_epochs_are_told(tmp_path):
    text = "epoch,step,bits\n" + "".join(f"{step // 7},{step},32\n" for step in range(18))
    assert told(trace_of(tmp_path, text, samples=21)) == [" partial epoch: 4 of 7 iterations of epoch 2, the last"]
    assert told(trace_of(tmp_path, text, samples=24)) == [
        " epochs 0 to 2 counted as logged: 4 to 7 iterations, not ceil(samples / batch) = 8"
    ]
    with pytest.raises(InputError, match=r"E1311 .*epoch 0 has 7 iterations by the log .*and so 1 more"):
        trace_of(tmp_path, text, samples=15)


def test_iterations_that_the_log_counts_are_taken(tmp_path):
    text = "epoch,iterations,precision\n0,7,fp16\n1,5,fp16\n"
    assert parts(trace_of(tmp_path, text)) == [(0, 7, "fp16"), (1, 5, "fp16")]


def test_steps_that_count_epochs_are_no_iterations(tmp_path):
    text = "epoch,step,precision\n0,1,fp16\n1,2,fp16\n"
    trace = trace_of(tmp_path, text, samples=21)
    assert parts(trace) == [(0, 7, "fp16"), (1, 7, "fp16")]
    assert told(trace) == [" steps rise by one with each epoch: taken for epochs, not iterations"]
    assert parts(trace_of(tmp_path, text, samples=3, step_is="iteration")) == [(0, 1, "fp16"), (1, 1, "fp16")]
    assert told(trace_of(tmp_path, text, samples=21, step_is="epoch")) == []


FORMATS = st.sampled_from(["fp16", "fp32", "dfx8"])


@st.composite
def runs(draw):
    """A made-up run: iterations of an epoch, and the precision of each iteration; the last epoch may be cut short."""
    length, epochs = draw(st.integers(2, 7)), draw(st.integers(1, 6))
    changes = draw(st.lists(st.tuples(st.integers(1, 9), FORMATS), min_size=1, max_size=9))
    precisions = [name for count, name in changes for _ in range(count)]
    total = length * epochs - draw(st.integers(0, length - 1 if epochs > 1 else 0))
    return length, (precisions + [precisions[-1]] * total)[:total]


def row(i, run, base, anew, first=0):
    length, precisions = run
    return f"{first + i // length},{(i % length if anew else first * length + i) + base},{precisions[i]},0.5\n"


def written(run, base, anew, kept=lambda i: True, first=0):
    rows = [row(i, run, base, anew, first) for i in range(len(run[1])) if kept(i)]
    return "epoch,step,precision,loss\n" + "".join(rows)


def expanded(trace):
    return [(part.epoch, part.precision.label) for part in trace.segments for _ in range(part.iterations)]


def truth(run, first=0):
    return [(first + i // run[0], name) for i, name in enumerate(run[1])]


@FUZZ
@given(run=runs(), base=st.integers(0, 1), anew=st.booleans(), said=st.booleans(), first=st.sampled_from([0, 2, 30]))
def test_a_log_of_every_iteration_reads_back_to_the_run(tmp_path, run, base, anew, said, first):
    trace = trace_of(tmp_path, written(run, base, anew, first=first), samples=3 * run[0] if said else None)
    assert expanded(trace) == truth(run, first)
    assert trace.samples == 3 * (run[0] if said else min(run[0], len(run[1])))


@FUZZ
@given(run=runs(), base=st.integers(0, 1), anew=st.booleans(), every=st.integers(3, 9))
def test_a_log_of_every_nth_iteration_has_all_epochs_and_is_right_at_its_rows(tmp_path, run, base, anew, every):
    length, precisions = run
    kept = range(base * (every - 1), len(precisions), every)  # as steps 0, 3, 6 … or 3, 6, 9 …
    assume(len(kept) > 0 and len({i // length for i in kept}) == -(-len(precisions) // length))
    assume(len(precisions) % length == 0)
    assume(any(b - a == every and b // length == a // length for a, b in itertools.pairwise(kept)))
    trace = trace_of(tmp_path, written(run, base, anew, kept.__contains__), samples=3 * length)
    found, true = expanded(trace), truth(run)
    assert [epoch for epoch, _ in found] == [epoch for epoch, _ in true]
    assert [found[i] for i in kept] == [true[i] for i in kept]


@FUZZ
@given(run=runs(), base=st.integers(0, 1), anew=st.booleans(), data=st.data())
def test_a_restart_from_an_earlier_epoch_reads_back_to_the_run(tmp_path, run, base, anew, data):
    length, precisions = run
    cut = data.draw(st.integers(2, len(precisions)))
    back = data.draw(st.integers(0, (cut - 2) // length)) * length  # the last row twice would be a contradiction
    stopped = (length, ["fp64" if i >= back else name for i, name in enumerate(precisions)])  # what was replaced
    head = written(stopped, base, anew, lambda i: i < cut)
    tail = "".join(row(i, run, base, anew) for i in range(back, len(precisions)))
    trace = trace_of(tmp_path, head + tail, samples=3 * length)
    assert expanded(trace) == truth(run)
    assert sum(" restart" in text for text in told(trace)) == 1


@FUZZ
@given(run=runs(), base=st.integers(0, 1), anew=st.booleans(), data=st.data())
def test_a_restart_within_an_epoch_reads_back_to_the_run(tmp_path, run, base, anew, data):
    length, precisions = run
    cut = data.draw(st.integers(2, len(precisions)))
    back = data.draw(st.integers(0, cut - 2))
    stopped = (length, ["fp64" if i >= back else name for i, name in enumerate(precisions)])
    head = written(stopped, base, anew, lambda i: i < cut)
    tail = "".join(row(i, run, base, anew) for i in range(back, len(precisions)))
    assert expanded(trace_of(tmp_path, head + tail, samples=3 * length)) == truth(run)
