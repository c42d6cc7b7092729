"""Runs from values by tag and step: which steps are epochs, and what was logged without any."""

import pytest

from perfmodel.errors import InputError
from perfmodel.traces.logs.given import Given
from perfmodel.traces.logs.logfile import LogFile
from perfmodel.traces.logs.series import Series
from perfmodel.traces.logs.serieslog import series_run

EPOCHS = {"step_is": "epoch", "bits": "dfx"}


def run_of(folder, tags, **said):
    """`tags` holds the values by step of each tag."""
    path = folder / "log"
    path.write_text("x")
    series = Series("log:")
    for tag, values in tags.items():
        for step, value in values:
            series.add(tag, step, value)
    return series_run("series", (LogFile(path),), Given(**said), series)


def counted(last, value=0.5):
    return [(step, value) for step in range(last + 1)]


def precisions(run):
    return [stretch.precision and stretch.precision.fprop[0] for stretch in run.stretches]


def test_the_shortest_tag_with_every_step_counts_the_epochs(tmp_path):
    run = run_of(tmp_path, {"loss": counted(99), "acc": counted(4)}, **EPOCHS)
    assert [stretch.epoch for stretch in run.stretches] == [0, 1, 2, 3, 4]
    assert "'loss' go beyond step 4, the last of 'acc': no steps of epochs, left out" in run.corrections[0]


def test_a_precision_that_is_logged_at_changes_is_no_clock(tmp_path):
    run = run_of(tmp_path, {"loss": counted(9), "bits": [(0, 8.0), (5, 32.0)]}, **EPOCHS)
    assert precisions(run) == ["dfx8"] * 5 + ["fp32"] * 5
    run = run_of(tmp_path, {"loss": counted(9), "bits": [(0, 8.0), (1, 32.0)]}, **EPOCHS)
    assert precisions(run) == ["dfx8"] + ["fp32"] * 9


def test_a_tag_that_lacks_its_last_value_keeps_no_epoch_from_being_counted(tmp_path):
    run = run_of(tmp_path, {"loss": counted(9), "lr": counted(8)}, step_is="epoch", precision="fp16")
    assert len(run.stretches) == 10
    assert (run.stretches[8].lr, run.stretches[9].lr) == (0.5, None)


def test_tags_with_few_values_count_nothing(tmp_path):
    run = run_of(tmp_path, {"loss": [(0, 3.0), (4, 2.0)], "acc": [(2, 1.0)]}, step_is="epoch", precision="fp16")
    assert [stretch.epoch for stretch in run.stretches] == [0, 2, 4]


def test_values_that_were_logged_without_steps_are_refused(tmp_path):
    with pytest.raises(InputError) as error:
        run_of(tmp_path, {"loss": [(0, 3.0), (0, 2.0), (0, 1.0)]}, **EPOCHS)
    assert "all values were logged at step 0, each over the one before." in str(error.value)
