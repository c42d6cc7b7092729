"""Epochs from rows."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfmodel.errors import InputError
from perfmodel.traces.logs import plans as plans_module
from perfmodel.traces.logs import table as table_module
from perfmodel.traces.logs.epochs import spans
from perfmodel.traces.logs.given import Given
from perfmodel.traces.logs.keys import Keys
from perfmodel.traces.logs.table import Table


def table_of(*rows, whole=None, **said):
    given = Given(**said)
    table = Table("F", given, Keys(given), whole)
    for line, row in enumerate(rows, start=2):
        table.add(line, {name: float(value) if isinstance(value, int) else value for name, value in row.items()})
    return table


def epochs_of(*rows, **said):
    return table_of(*rows, **said).epochs()


def kept(*rows, **said):
    return {number: epoch.kept for number, epoch in epochs_of(*rows, **said).items()}


def fault(*rows, **said):
    with pytest.raises(InputError) as error:
        epochs_of(*rows, **said)
    return error.value.lines()


def told(*rows, **said):
    table = table_of(*rows, **said)
    table.epochs()
    return table.corrections


def steps(*rows, **said):
    return {number: (epoch.first, epoch.last, epoch.gap) for number, epoch in epochs_of(*rows, **said).items()}


def precisions(*rows, **said):
    return [
        [(*entry[0].fprop, *entry[1:]) for entry in epoch.precisions] for epoch in epochs_of(*rows, **said).values()
    ]


def test_rows_of_an_epoch_are_joined_and_the_last_value_counts():
    rows = {"epoch": 0, "loss": 5}, {"epoch": 0, "acc": 7}, {"epoch": 1, "loss": 3}
    assert kept(*rows) == {0: {"epoch": 0, "loss": 5, "acc": 7}, 1: {"epoch": 1, "loss": 3}}
    rows = {"epoch": 0, "step": 1, "loss": 5}, {"epoch": 0, "step": 2, "loss": 3}
    assert kept(*rows) == {0: {"epoch": 0, "step": 2, "loss": 3}}


def test_rows_without_an_epoch_belong_to_the_next_that_has_one():
    rows = {"lr": 0.5, "step": 0}, {"epoch": 0, "step": 3}, {"lr": 0.25, "step": 4}, {"epoch": 1, "step": 7}
    assert {number: values["lr"] for number, values in kept(*rows).items()} == {0: 0.5, 1: 0.25}
    assert steps(*rows) == {0: (0, 3, 3), 1: (4, 7, 3)}
    assert told(*rows, {"lr": 0.125, "step": 8}) == [
        "F:6 1 rows after the last epoch's belong to none that was logged; left out"
    ]


def test_rows_without_any_epoch_are_refused():
    assert fault({"loss": 5}, {"loss": 3}) == [
        "E1323 F:2: no epoch is known for the rows of a log with 'loss'. "
        "Give --map epoch=KEY; or --step-is epoch, or --step-is iteration with --samples and --batch."
    ]


def test_steps_may_be_epochs_or_tell_them():
    rows = [{"step": step, "loss": 3} for step in range(5)]
    assert list(epochs_of(*rows, step_is="epoch")) == [0, 1, 2, 3, 4]
    assert steps(*rows, step_is="iteration", whole=3) == {0: (0, 2, 1), 1: (3, 4, 1)}
    assert steps(*rows[1:], step_is="iteration", whole=3) == {0: (1, 3, 1), 1: (4, 4, 0)}  # from 1
    assert "E1323" in fault(*rows, step_is="iteration")[0]


def test_epochs_from_1_are_renumbered():
    assert list(epochs_of({"epoch": 1}, {"epoch": 2})) == [0, 1]
    assert told({"epoch": 1}, {"epoch": 2}) == ["F epochs counted from 1 were renumbered from 0"]
    assert list(epochs_of({"epoch": 30}, {"epoch": 31})) == [30, 31]


def test_epochs_may_say_how_many_are_done():
    rows = [{"epoch": value, "loss": 3} for value in (0.5, 1.0, 1.5, 2.0, 2.0000000001, 2.5)]
    assert list(epochs_of(*[row | {"step": i} for i, row in enumerate(rows)])) == [0, 1, 2]
    assert list(epochs_of({"epoch": 1}, {"epoch": 2}, epoch_is="progress")) == [0, 1]
    assert told({"epoch": 0.5}) == ["F:2 'epoch' says how many epochs are done (0.5), not which one"]
    assert fault({"epoch": 3}, {"epoch": 3.5}) == [
        "E1323 F:3: epoch 3.5 is not whole. Give --epoch-is progress if 1.0 says that one epoch is done."
    ]
    assert "E1323" in fault({"epoch": 0.5}, epoch_is="index")[0]


@pytest.mark.parametrize("value", [-1, 10**6 + 1, 1e300, "x", float("nan"), float("inf")])
def test_what_is_no_epoch_is_refused(value):
    assert fault({"epoch": value})[0].startswith("E1207 F:2: 'epoch': ")


@pytest.mark.parametrize("value", [-1, 0.5, 1e13, "x", float("nan"), float("inf")])
def test_what_is_no_step_is_refused(value):
    assert fault({"epoch": 0, "step": value})[0].startswith("E1207 F:2: 'step': ")


def test_all_problems_are_told_together():
    assert [line[:13] for line in fault({"epoch": -1}, {"epoch": 0}, {"epoch": "x"})] == [
        "E1207 F:2: 'e",
        "E1207 F:4: 'e",
    ]


def test_a_restart_replaces_what_came_after_it():
    rows = [{"epoch": epoch, "loss": loss} for epoch, loss in ((0, 9), (1, 7), (2, 5), (1, 8), (2, 6))]
    assert {number: values["loss"] for number, values in kept(*rows).items()} == {0: 9, 1: 8, 2: 6}
    assert told(*rows) == ["F:5 restart: epochs 1 to 2 were replaced by what follows"]
    rows = [{"epoch": epoch} for epoch in (0, 1, 2, 1)]
    assert list(epochs_of(*rows)) == [0, 1]


def test_a_restart_within_an_epoch_keeps_what_came_before_it():
    said = [(0, 0, "fp16"), (0, 1, "fp32"), (0, 2, "fp16"), (1, 3, "fp16"), (0, 2, "bf16"), (1, 3, "bf16")]
    rows = [{"epoch": epoch, "step": step, "precision": name} for epoch, step, name in said]
    assert precisions(*rows) == [[("fp16", 0, 0), ("fp32", 1, 1), ("bf16", 2, 2)], [("bf16", 3, 3)]]
    assert len(told(*rows)) == 1


def test_rows_of_one_moment_must_agree():
    rows = {"epoch": 3, "loss": 5}, {"epoch": 3, "loss": 7}
    assert fault(*rows) == [
        "E1326 F:3: 'loss' is 7.0 after 5.0 in the same epoch and step. "
        "Give --on-duplicate last or first, or --map step=KEY."
    ]
    assert kept(*rows, on_duplicate="last")[3]["loss"] == 7
    assert kept(*rows, on_duplicate="first")[3]["loss"] == 5
    assert told(*rows, on_duplicate="last") == ["F 1 rows contradict one of the same moment; the later were kept"]
    assert told(rows[0], rows[0]) == ["F 1 rows that repeat the one before were left out"]
    nan = {"epoch": 3, "loss": float("nan")}
    assert len(told(nan, nan)) == 2  # the same, although NaN is unlike itself


@pytest.mark.parametrize(("choice", "name"), [("last", "fp32"), ("first", "fp16")])
@pytest.mark.parametrize("step", [{}, {"step": 5}])
def test_precisions_of_one_moment_must_agree(step, choice, name):
    rows = {"epoch": 0, "precision": "fp16"} | step, {"epoch": 0, "precision": "fp32"} | step
    assert "E1326 F:3: 'precision' is 'fp32' after 'fp16'" in fault(*rows)[0]
    assert [entry[0] for entry in precisions(*rows, on_duplicate=choice)[0]] == [name]


def test_any_pass_may_contradict():
    rows = [{"epoch": 0, "fprop": "fp16", "dgrad": name, "wgrad": "fp16"} for name in ("fp16", "bf16")]
    assert "E1326 F:3: 'dgrad' is 'bf16' after 'fp16'" in fault(*rows)[0]
    (entry,) = epochs_of(*rows, on_duplicate="last")[0].precisions
    assert entry[0].dgrad == ("bf16",)


def test_the_precision_of_a_row_is_of_one_key_or_of_three():
    assert precisions({"epoch": 0, "precision": "half"}) == [[("fp16", None, None)]]
    row = {"epoch": 0, "fprop": "e4m3", "dgrad": "e5m2", "wgrad": "e5m2", "precision_master": "fp32"}
    (entry,) = epochs_of(row)[0].precisions
    assert (entry[0].fprop, entry[0].dgrad, entry[0].master) == (("fp8_e4m3",), ("fp8_e5m2",), "fp32")
    assert fault({"epoch": 0, "fprop": "fp16"}) == [
        "E1322 F:2: the row gives the precision of fprop but not of dgrad, wgrad. "
        "Give --map for all three passes, or --map precision=KEY."
    ]
    assert "E1322 F:2: 'precision': '0.93' is no format." in fault({"epoch": 0, "precision": 0.93})[0]
    assert precisions({"epoch": 0, "precision": 0.93}, precision="fp16") == [[]]


def test_what_is_not_finite_is_told():
    nan = float("nan")
    rows = [{"epoch": epoch, "loss": value} for epoch, value in enumerate((3, nan, 5, nan, nan))]
    (note,) = told(*rows)
    assert "'loss' is not a finite number" in note
    assert "epochs 1, 3 to 4" in note
    assert "diverged" in note
    assert told(*rows, *[{"epoch": epoch, "loss": 1} for epoch in range(1, 5)]) == [
        "F:7 restart: epochs 1 to 4 were replaced by what follows"
    ]


def test_a_name_that_is_mapped_must_be_there():
    assert "E1320 F: there is no 'rate' for lr" in fault({"epoch": 0, "lr": 5}, keys={"lr": "rate"})[0]


@pytest.mark.parametrize(
    ("constant", "rows"),
    [
        ("MOST_EPOCHS", [{"epoch": epoch} for epoch in range(8)]),
        ("MOST_VALUES", [{"epoch": epoch, "loss": 3} for epoch in range(8)]),
        ("MOST_VALUES", [{"epoch": 0, "step": i, "bits": 32 - i % 2 * 16} for i in range(9)]),  # precisions
        ("MOST_NAMES", [{"epoch": 0, f"loss{i}": 3} for i in range(8)]),
        ("LONGEST_NAME", [{"epoch": 0, "x" * 8: 3}]),
    ],
)
def test_what_is_kept_is_bounded(monkeypatch, constant, rows):
    assert len(epochs_of(*rows, bits="int")) >= 1
    monkeypatch.setattr(plans_module if "NAME" in constant else table_module, constant, 7)
    (line,) = fault(*rows, bits="int")
    assert line.startswith("E1328 F:")


def test_rows_that_wait_for_an_epoch_are_bounded(monkeypatch):
    monkeypatch.setattr(table_module, "MOST_WAITING", 7)
    assert "E1323" in fault(*[{"loss": i} for i in range(8)], {"epoch": 0})[0]


def test_many_restarts_cost_no_more_than_their_rows():
    rows = [{"epoch": epoch} for epoch in range(2000)] + [{"epoch": 1998 + i % 2} for i in range(4000)]
    table = table_of(*rows)
    assert len(table.epochs()) == 2000
    assert len(table.corrections) < 1000  # the rest is counted


def test_runs_of_numbers_are_spelt_shortly():
    assert spans([3]) == "epoch 3"
    assert spans([1, 3, 4, 5]) == "epochs 1, 3 to 5"
    assert spans(range(0, 30, 2)) == "epochs 0, 2, 4, 6, 8, 10, 12, 14, 16, 18 …"


@pytest.mark.parametrize("whole", [3, 5])
def test_a_row_at_the_step_after_the_last_epoch_belongs_to_it(whole):
    """`add_scalar("val", v, step)` after the loop has raised its step."""
    rows = [{"step": step, "loss": 1.0} for step in range(2 * whole)]
    epochs = table_of(*rows, {"step": 2 * whole, "val": 7.0}, whole=whole, step_is="iteration").epochs()
    assert {number: (epoch.first, epoch.last) for number, epoch in epochs.items()} == {
        0: (0, whole - 1),
        1: (whole, 2 * whole - 1),
    }
    assert epochs[1].kept["val"] == 7.0


@pytest.mark.parametrize("first", [0, 1])
def test_steps_may_begin_anew_with_each_epoch_that_they_tell(first):
    rows = [{"step": step + first, "loss": 1.0} for _ in range(3) for step in range(0, 9, 2)]
    epochs = table_of(*rows, whole=9, step_is="iteration").epochs()
    assert {number: (epoch.first, epoch.last) for number, epoch in epochs.items()} == dict.fromkeys(
        range(3), (first, 8 + first)
    )


def test_a_name_that_is_better_for_a_field_after_rows_were_taken_is_refused():
    rows = [{"epoch": 0, "bits": 32.0}, {"epoch": 1, "bits": 32.0, "precision": "fp16"}]
    assert fault(*rows) == [
        "E1320 F:3: both 'bits' and 'precision' may be the precision. Choose with --map precision=NAME."
    ]
    assert precisions(*rows, keys={"precision": "bits"}) == [[("fp32", None, None)], [("fp32", None, None)]]


values = st.sampled_from([0.0, 1.0, 2.0, 3.0, 5.0])
row = st.fixed_dictionaries(
    {"epoch": st.sampled_from([0.0, 1.0, 2.0]), "step": st.integers(0, 9).map(float), "loss": values},
    optional={"precision": st.sampled_from(["fp32", "fp16"]), "val": values, "lr": values},
)


@settings(max_examples=500)
@given(st.lists(row, min_size=1, max_size=12), st.sampled_from(["first", "last", "error"]), st.booleans())
def test_quick_rows_say_what_rows_say(rows, choice, ordered):
    if ordered:
        rows = sorted(rows, key=lambda row: (row["epoch"], row["step"]))
    found = []
    for add in (lambda t, n, r: t.add(n, r), lambda t, n, r: t.add_values(n, tuple(r), list(r.values()))):
        said = Given(on_duplicate=choice)
        table = Table("F", said, Keys(said))
        try:
            for number, one in enumerate(rows):
                add(table, number, one)
            found.append((table.epochs(), table.corrections))
        except InputError as error:
            found.append(error.lines())
    assert found[0] == found[1]


def test_rounding_makes_no_epoch():
    rows = [{"epoch": 0.5, "step": 1}, {"epoch": 1.0000000002, "step": 2}, {"epoch": 2.0000000004, "step": 4}]
    assert list(epochs_of(*rows)) == [0, 1]


def test_a_restart_within_an_epoch_takes_back_its_precisions_from_there_on():
    rows = [{"epoch": 0, "step": step, "precision": "fp16" if step < 5 else "fp32"} for step in range(9)]
    assert precisions(*rows, {"epoch": 0, "step": 3, "precision": "bf16"}) == [[("fp16", 2, 0), ("bf16", 3, 3)]]
    assert precisions(*rows, {"epoch": 0, "step": 7, "precision": "bf16"}) == [
        [("fp16", 4, 0), ("fp32", 6, 5), ("bf16", 7, 7)]
    ]


def test_values_of_epochs_that_were_replaced_make_room(monkeypatch):
    monkeypatch.setattr(table_module, "MOST_VALUES", 9)
    rows = [{"epoch": number, "loss": 1.0} for number in (0, 1, 0, 1, 0, 1, 0, 1)]
    assert list(epochs_of(*rows)) == [0, 1]
