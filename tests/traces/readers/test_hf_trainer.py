"""Hugging Face's trainer_state.json: the sample by hand, what is strict and where, and any history back again."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given as with_given
from hypothesis import settings
from hypothesis import strategies as st

from perfmodel.errors import InputError
from perfmodel.traces.logs import Given, read_log

SAMPLE = "hf/trainer_state.json"
SAMPLES = Path(__file__).parents[2] / "data" / "logs" / "samples"
GIVEN = Given(network="net", dataset="data", precision="bf16")
ENTRY = {"epoch": 1.0, "step": 5, "loss": 2.5}


def write(folder, text):
    path = folder / "trainer_state.json"
    path.write_text(text if isinstance(text, str) else json.dumps(text, indent=2))
    return path


def problems(path, given=GIVEN):
    with pytest.raises(InputError) as error:
        read_log(path, given)
    return [(one.code, one.place.removeprefix(str(path))) for one in error.value.problems]


def test_the_sample():
    trace = read_log(SAMPLES / SAMPLE, GIVEN)
    assert (trace.source["reader"], trace.scheme, trace.batch, trace.samples) == ("hf-trainer", "bf16", 8, 64)
    assert (trace.corrections, trace.notes) == ((), "")
    assert "one device" in trace.inferred[0]
    assert trace.inferred[1] == "samples: 8 iterations an epoch, as step / epoch says, x batch 8"
    assert [(one.epoch, one.iterations, one.precision.label, one.lr) for one in trace.segments] == [
        (0, 8, "bf16", 2.8125000000000003e-05), (1, 8, "bf16", 3.125e-06),
    ]  # fmt: skip
    assert [one.metrics["loss"] for one in trace.segments] == [3.902315139770508, 3.8921899795532227]
    assert trace.segments[1].metrics == {
        "loss": 3.8921899795532227, "grad_norm": 0.577937126159668, "eval_loss": 3.9059863090515137,
        "eval_runtime": 0.0739, "eval_samples_per_second": 216.545, "eval_steps_per_second": 27.068,
    }  # fmt: skip


def test_the_folder_stands_for_the_file():
    assert read_log(SAMPLES / "hf", GIVEN) == read_log(SAMPLES / SAMPLE, GIVEN)


def test_the_precision_is_in_a_pickle():
    with pytest.raises(InputError) as error:
        read_log(SAMPLES / SAMPLE)
    assert [one.code for one in error.value.problems] == ["E1321"] * 3
    assert [one.place for one in error.value.problems] == ["network:", "dataset:", "precision:"]
    assert "training_args.bin" in str(error.value)


def test_the_sum_up_is_no_epoch(tmp_path):
    sum_up = {"epoch": 1.0, "step": 5, "train_loss": 2.25, "train_runtime": 7.5, "total_flos": 1e9}
    trace = read_log(write(tmp_path, {"log_history": [ENTRY, sum_up], "train_batch_size": 3}), GIVEN)
    assert [(one.iterations, one.metrics) for one in trace.segments] == [(5, {"loss": 2.5})]


def test_an_evaluation_before_and_one_after_the_training(tmp_path):
    done = {"epoch": 1.0, "step": 5, "eval_loss": 2.25, "eval_runtime": 1.5, "eval_steps_per_second": 3.5}
    before = {"epoch": 0, "step": 0, "eval_loss": 4.5, "eval_runtime": 1.75}
    history = [before, ENTRY, done, done | {"eval_runtime": 1.25, "eval_steps_per_second": 4.5}]
    trace = read_log(write(tmp_path, {"log_history": history, "train_batch_size": 3}), GIVEN)
    assert [(one.epoch, one.iterations, one.metrics) for one in trace.segments] == [
        (0, 5, {"loss": 2.5, "eval_loss": 2.25, "eval_runtime": 1.5, "eval_steps_per_second": 3.5}),
    ]  # fmt: skip


def test_a_run_that_is_not_done_says_so(tmp_path):
    state = {"epoch": 1.4, "log_history": [ENTRY, {"epoch": 1.4, "step": 7}], "num_train_epochs": 3}
    trace = read_log(write(tmp_path, state), replace(GIVEN, batch=3))
    assert trace.notes == "1.4 of 3 epochs (num_train_epochs) are done"
    assert [(one.epoch, one.iterations) for one in trace.segments] == [(0, 5), (1, 2)]


def test_the_batch_that_the_user_gives_wins(tmp_path):
    path = write(tmp_path, {"log_history": [ENTRY], "train_batch_size": 3})
    trace = read_log(path, replace(GIVEN, batch=12))
    assert (trace.batch, trace.samples) == (12, 60)  # 5 iterations
    assert trace.corrections == ("trainer_state.json:9: batch 12 as given, not 3",)
    assert not any("one device" in note for note in trace.inferred)


def test_iterations_come_from_the_progress(tmp_path):
    steps = [50, 100, 150, 200, 250, 300]  # of epochs of 77: none is logged at its end
    state = {"log_history": [{"epoch": step / 77, "step": step} for step in steps], "train_batch_size": 3}
    trace = read_log(write(tmp_path, state), GIVEN)
    assert (trace.samples, [(one.epoch, one.iterations) for one in trace.segments]) == (
        231, [(0, 77), (1, 77), (2, 77), (3, 77)],
    )  # fmt: skip


def test_a_progress_that_was_rounded_says_nothing(tmp_path):
    history = [{"epoch": round(step / 77, 2), "step": step} for step in (50, 100, 150, 200, 250)]
    state = {"log_history": history, "train_batch_size": 3}
    assert problems(write(tmp_path, state)) == [("E1321", "samples:")]


def test_a_loss_that_is_no_number_marks_divergence(tmp_path):
    text = '{"log_history": [{"epoch": 1.0, "step": 5, "loss": NaN, "grad_norm": Infinity}], "train_batch_size": 3}'
    trace = read_log(write(tmp_path, text), GIVEN)
    assert trace.segments[0].metrics == {}
    assert [("diverged" in note, "epoch 0" in note) for note in trace.corrections] == [(True, True), (False, True)]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"log_history": [\n{"epoch": 1.0, "step": 5, "loss": 1, "loss": 2}]}', ("E1302", ":2:1")),
        ('{"log_history": [],\n"epoch": 1, "epoch": 2}', ("E1302", ":2:")),
        ('{"log_history": [\n\n{"epoch": 1.0, "step": 5 "loss": 1}]}', ("E1301", ":3:26")),
        ('{"log_history": [{"epoch": 1.0, "step": 5}', ("E1301", ":1:43")),
        ('{"log_history": [{"epoch": 1.0, "step": 5}]}\n}', ("E1301", ":2:1")),
        ('{"log_history": [\n 5]}', ("E1301", ":2:")),
        ('{"log_history": [\n{"epoch": 1e999}]}', ("E1207", ":2:1")),
        ('{"log_history": [\n{"a": ' + "[" * 64 + "]" * 64 + "}]}", ("E1301", ":2:1")),
        ('{"log_history": [\n' + "[" * 50_000, ("E1301", ":2:1")),
        ('{"log_history": [], "a":\n"' + "b" * 2**20 + '"}', ("E1313", ":2:1")),
        ('{"log_history": [{"epoch": -1, "step": 5}]}', ("E1207", ":1:")),
    ],
)
def test_errors_have_their_place(tmp_path, text, problem):
    assert problems(write(tmp_path, text)) == [problem]


def test_a_file_that_is_too_large(tmp_path):
    path = write(tmp_path, '{"log_history": [')
    with open(path, "ab") as file:
        file.truncate(64 * 10**6 + 1)
    assert problems(path) == [("E1203", ":")]


@settings(max_examples=50)
@with_given(
    st.lists(st.tuples(st.floats(0, 1e6), st.floats(1e-9, 1), st.none() | st.floats(0, 9)), min_size=1, max_size=9),
    st.integers(2, 7),
)
def test_a_history_comes_back(tmp_path_factory, rows, iterations):
    history = []
    for epoch, (loss, lr, eval_loss) in enumerate(rows):
        done = {"step": (epoch + 1) * iterations, "epoch": epoch + 1.0}
        middle = {"step": epoch * iterations + 1, "epoch": epoch + 1 / iterations, "loss": loss + 1}
        history += [middle, {"loss": loss, "learning_rate": lr} | done]
        history += [] if eval_loss is None else [{"eval_loss": eval_loss} | done]
    path = write(tmp_path_factory.mktemp("hf"), {"log_history": history, "train_batch_size": 3})
    trace = read_log(path, GIVEN)
    assert (trace.batch, trace.samples) == (3, 3 * iterations)
    assert [(one.epoch, one.iterations) for one in trace.segments] == [(i, iterations) for i in range(len(rows))]
    assert [(one.metrics["loss"], one.lr, one.metrics.get("eval_loss")) for one in trace.segments] == rows


def test_mutations(fuzzed):
    fuzzed(SAMPLE, GIVEN)


def test_truncations(truncated):
    truncated(SAMPLE, GIVEN)


def ends(path, **said):
    trace = read_log(path, replace(GIVEN, **said))
    return [(one.epoch, one.iterations) for one in trace.segments]


def test_what_came_after_the_last_entry_counts(tmp_path):
    """Entries come every 4 steps; 1.5 epochs of 7 steps were trained."""
    history = [{"epoch": step / 7, "step": step, "loss": 1.0} for step in (4, 8)]
    state = {"epoch": 11 / 7, "global_step": 11, "log_history": history, "train_batch_size": 3}
    assert ends(write(tmp_path, state)) == [(0, 7), (1, 4)]


def test_a_run_that_was_too_short_for_an_entry_still_trained(tmp_path):
    """The default is an entry every 500 steps."""
    state = {"epoch": 3.0, "global_step": 21, "log_history": [], "train_batch_size": 3}
    assert ends(write(tmp_path, state)) == [(0, 7), (1, 7), (2, 7)]


def test_the_end_of_an_epoch_that_was_logged_is_not_told_twice(tmp_path):
    history = [{"epoch": 1.0, "step": 7, "loss": 1.0}, {"epoch": 2.0, "step": 14, "loss": 0.5}]
    state = {"epoch": 2.0, "global_step": 14, "log_history": history, "train_batch_size": 3}
    path = write(tmp_path, state)
    assert ends(path) == [(0, 7), (1, 7)]
    assert not any("repeat" in text for text in read_log(path, GIVEN).corrections)


@pytest.mark.parametrize(("rate", "doubted"), [(24.0, True), (6.0, False)])
def test_more_samples_a_step_than_one_batch_are_told(tmp_path, rate, doubted):
    """Gradients of four batches of 3 were summed up: 10 steps saw 120 samples in 5 s."""
    closing = {"epoch": 2.0, "step": 10, "train_runtime": 5.0, "train_samples_per_second": rate}
    history = [ENTRY, ENTRY | {"epoch": 2.0, "step": 10}, closing]
    state = {"epoch": 2.0, "global_step": 10, "log_history": history, "train_batch_size": 3}
    path = write(tmp_path, state)
    told = [text for text in read_log(path, GIVEN).corrections if "a step saw some 12 samples" in text]
    assert len(told) == doubted
    assert not any("a step saw" in text for text in read_log(path, replace(GIVEN, batch=12)).corrections)
