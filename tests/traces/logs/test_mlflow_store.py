"""MLflow's stores: a run's metrics in the order of logging, which run, damaged and hostile databases."""

import contextlib
import math
import os
import random
import sqlite3
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from perfmodel.errors import InputError
from perfmodel.traces.logs import series
from perfmodel.traces.logs.mlflow import files as mlruns
from perfmodel.traces.logs.mlflow import store as mlflow_store
from perfmodel.traces.logs.mlflow.files import read_mlruns
from perfmodel.traces.logs.mlflow.store import read_mlflow

RUNS = """CREATE TABLE runs (
    run_uuid VARCHAR(32) NOT NULL, name VARCHAR(250), status VARCHAR(9), start_time BIGINT, lifecycle_stage VARCHAR(20),
    experiment_id INTEGER, CONSTRAINT run_pk PRIMARY KEY (run_uuid),
    CONSTRAINT runs_lifecycle_stage CHECK (lifecycle_stage IN ('active', 'deleted')))"""
METRICS = """CREATE TABLE "metrics" (
    "key" VARCHAR(250) NOT NULL, value FLOAT NOT NULL, timestamp BIGINT NOT NULL, run_uuid VARCHAR(32) NOT NULL,
    step BIGINT DEFAULT '0' NOT NULL, is_nan BOOLEAN DEFAULT '0' NOT NULL,
    CONSTRAINT metric_pk PRIMARY KEY ("key", timestamp, step, run_uuid, value, is_nan),
    FOREIGN KEY(run_uuid) REFERENCES runs (run_uuid), CHECK (is_nan IN (0, 1)))"""
PARAMS = """CREATE TABLE "params" (
    "key" VARCHAR(250) NOT NULL, value VARCHAR(8000) NOT NULL, run_uuid VARCHAR(32) NOT NULL,
    CONSTRAINT param_pk PRIMARY KEY ("key", run_uuid), FOREIGN KEY(run_uuid) REFERENCES runs (run_uuid))"""
LOOSE = "CREATE TABLE metrics (key, value, timestamp, run_uuid, step, is_nan)"
TABLES = (RUNS, METRICS, PARAMS)
ACTIVE, DELETED = "active", "deleted"
METRIC = ("loss", 0.5, 1000, "a1", 0, 0)
LARGEST = 1.7976931348623157e308


def store(path, metrics=(METRIC,), params=(), runs=(("a1", "first", ACTIVE),), tables=TABLES, more=()):
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as base:
        for statement in ("PRAGMA synchronous = OFF", *tables, "BEGIN"):
            base.execute(statement)
        base.executemany("INSERT INTO runs (run_uuid, name, lifecycle_stage) VALUES (?, ?, ?)", runs)
        base.executemany("INSERT INTO metrics VALUES (?, ?, ?, ?, ?, ?)", metrics)
        base.executemany("INSERT INTO params VALUES (?, ?, ?)", params)
        for statement in ("COMMIT", *more):
            base.execute(statement)
    return path


def rows_of(path, run=None):
    found, _, _ = read_mlflow(path, run, "s.db")
    return list(found.rows(found.tags()))


def error_of(path, run=None):
    with pytest.raises(InputError) as caught:
        read_mlflow(path, run, "s.db")
    return str(caught.value)


# The SQLite store


def test_metrics_parameters_and_name_of_the_only_run(tmp_path):
    metrics = [("bits", 8.0, 1000, "a1", 0, 0), ("loss", 0.5, 1001, "a1", 0, 0), ("loss", 0.25, 1007, "a1", 3, 0)]
    path = store(tmp_path / "s.db", metrics, [("lr", "0.1", "a1"), ("opt/name", "sgd\nx", "a1")])
    found, params, name = read_mlflow(path, None, "s.db")
    assert list(found.rows(found.tags())) == [(0, {"bits": 8.0, "loss": 0.5}), (3, {"loss": 0.25})]
    assert params == {"lr": "0.1", "opt/name": "sgd\nx"}
    assert name == "first"
    assert found.corrections() == []


def test_nan_and_infinity_as_mlflow_stores_them(tmp_path):
    metrics = [("x", 0.0, 1, "a1", 1, 1), ("x", LARGEST, 2, "a1", 2, 0), ("x", -LARGEST, 3, "a1", 3, 0)]
    (_, first), *others = rows_of(store(tmp_path / "s.db", metrics))
    assert math.isnan(first["x"])
    assert others == [(2, {"x": math.inf}), (3, {"x": -math.inf})]


@pytest.mark.parametrize("seed", [3, 5, 7])
def test_the_time_tells_the_order_of_logging(tmp_path, seed):
    steps = [0, 1, 2, 3, 2, 3, 4]
    metrics = [("x", float(i), 1000 + i, "a1", step, 0) for i, step in enumerate(steps)]
    random.Random(seed).shuffle(metrics)
    found, _, _ = read_mlflow(store(tmp_path / "s.db", metrics), None, "s.db")
    assert [row["x"] for _, row in found.rows(["x"])] == [0.0, 1.0, 4.0, 5.0, 6.0]
    assert found.corrections() == ["restart: 'x' went back from step 3 to 2; steps 2 to 3 were replaced"]


def test_a_batch_of_one_time_is_in_the_order_of_steps(tmp_path):
    metrics = [("x", step / 8, 1000, "a1", step, 0) for step in (5, 3, 9, 7)]
    found, _, _ = read_mlflow(store(tmp_path / "s.db", metrics), None, "s.db")
    assert list(found.steps("x")) == [3, 5, 7, 9]
    assert found.corrections() == []


RUNS_OF_THREE = (("a1", "first", ACTIVE), ("b2", "twin", ACTIVE), ("c3", "twin", ACTIVE), ("d4", "gone", DELETED))
METRICS_OF_THREE = [("x", value, 1, run, 0, 0) for value, run in ((3.0, "a1"), (5.0, "b2"), (7.0, "c3"), (9.0, "d4"))]


@pytest.mark.parametrize(("run", "expected"), [("a1", 3.0), ("first", 3.0), ("c3", 7.0), ("d4", 9.0)])
def test_a_run_by_id_or_name(tmp_path, run, expected):
    path = store(tmp_path / "s.db", METRICS_OF_THREE, runs=RUNS_OF_THREE)
    assert rows_of(path, run) == [(0, {"x": expected})]


@pytest.mark.parametrize(
    ("run", "found"),
    [
        (None, "holds several runs: a1 ('first'), b2 ('twin'), c3 ('twin')."),
        ("twin", "holds several runs named 'twin': b2 ('twin'), c3 ('twin')."),
        ("gone", "does not hold the run 'gone': a1 ('first'), b2 ('twin'), c3 ('twin')."),
        ("a", "does not hold the run 'a': a1 ('first'), b2 ('twin'), c3 ('twin')."),
    ],
)
def test_which_run_is_not_clear(tmp_path, run, found):
    path = store(tmp_path / "s.db", METRICS_OF_THREE, runs=RUNS_OF_THREE)
    assert error_of(path, run) == f"E1343 s.db: {found} Give --run ID."


def test_a_run_that_no_store_can_name(tmp_path):
    assert error_of(store(tmp_path / "s.db"), "a\udc80").startswith("E1343 s.db: does not hold the run 'a?'")


def test_a_deleted_run_is_not_in_the_way(tmp_path):
    runs = (("d4", "gone", DELETED), ("a1", None, ACTIVE))
    assert read_mlflow(store(tmp_path / "s.db", runs=runs), None, "s.db")[2] == "a1"


def test_no_run_and_many_runs(tmp_path):
    assert error_of(store(tmp_path / "no.db", (), runs=())).startswith("E1343 s.db: holds no run.")
    found = error_of(store(tmp_path / "many.db", runs=[(f"id{i}", f"n{i}", ACTIVE) for i in range(31)]))
    assert "id19 ('n19'), …. Give --run ID." in found
    assert "id20" not in found


def test_names_are_escaped(tmp_path):
    runs = (("a1", "\x1b[31m", ACTIVE), ("b\x1b2", "x", ACTIVE))
    assert "\x1b" not in error_of(store(tmp_path / "s.db", runs=runs))


@pytest.mark.parametrize("name", ["a b.db", "a?mode=rwc.db", "a#b%41.db", "é.db", "a&immutable=1.db"])
def test_any_name_of_a_file(tmp_path, name):
    path = store(tmp_path / name)
    assert rows_of(path) == [(0, {"loss": 0.5})]
    assert os.listdir(tmp_path) == [name]


# What is no store


@pytest.mark.parametrize("data", [b"", b"x", b"SQLite format 3\0", b"x" * 999, b"SQLite format 3\0" + bytes(999)])
def test_other_files(tmp_path, data):
    path = tmp_path / "s.db"
    path.write_bytes(data)
    assert error_of(path).startswith("E1344 s.db: ")


def test_missing_files_and_folders(tmp_path):
    assert error_of(tmp_path / "none.db").startswith("E1201 ")
    assert error_of(tmp_path).startswith("E1202 ")


VIEW = (
    "CREATE VIEW metrics AS SELECT 'x' AS key, 1.0 AS value, 1 AS timestamp, 'a1' AS run_uuid, 0 AS step, 0 AS is_nan"
)
FTS = "CREATE VIRTUAL TABLE metrics USING fts5(key, value, timestamp, run_uuid, step, is_nan)"
COMPUTED = "CREATE TABLE metrics (key, value AS (1.5), timestamp, run_uuid, step, is_nan)"


@pytest.mark.parametrize(
    ("tables", "found"),
    [
        ((RUNS, PARAMS), "has no table metrics."),
        ((RUNS, METRICS), "has no table params."),
        ((RUNS, PARAMS, VIEW), "has no table metrics."),
        ((RUNS, PARAMS, FTS), "has no table metrics."),
        ((RUNS, PARAMS, COMPUTED), "its table metrics has no column value."),
        ((RUNS, PARAMS, "CREATE TABLE metrics (key, value, timestamp, run_uuid)"), "has no column step, is_nan."),
        ((RUNS, PARAMS, LOOSE.replace("key", "key PRIMARY KEY") + " WITHOUT ROWID"), "no such column: rowid"),
    ],
)
def test_other_tables(tmp_path, tables, found):
    path = tmp_path / "s.db"
    with contextlib.closing(sqlite3.connect(path)) as base:
        for statement in tables:
            try:
                base.execute(statement)
            except sqlite3.OperationalError as error:
                pytest.skip(str(error))  # a SQLite without FTS5
        base.execute("INSERT INTO runs (run_uuid) VALUES ('a1')")
        base.commit()
    message = error_of(path)
    assert message.startswith("E1344 s.db: ")
    assert found in message


@pytest.mark.parametrize(
    "metric",
    [
        (None, 0.5, 1, "a1", 0, 0), (7, 0.5, 1, "a1", 0, 0), (b"x", 0.5, 1, "a1", 0, 0),
        ("x", "0.5", 1, "a1", 0, 0), ("x", None, 1, "a1", 0, 0), ("x", b"0", 1, "a1", 0, 0),
        ("x", 0.5, "1", "a1", 0, 0), ("x", 0.5, 1.5, "a1", 0, 0), ("x", 0.5, None, "a1", 0, 0),
        ("x", 0.5, 1, "a1", "0", 0), ("x", 0.5, 1, "a1", None, 0), ("x", 0.5, 1, "a1", 0, 7),
        ("x", 0.5, 1, "a1", 0, None), ("x", 0.5, 1, "a1", 0, "no"),
    ],
)  # fmt: skip
def test_values_of_other_kinds_have_their_row(tmp_path, metric):
    path = store(tmp_path / "s.db", [METRIC, metric], tables=(RUNS, LOOSE, PARAMS))
    assert error_of(path).startswith("E1344 s.db: metrics row 2: ")


def test_texts_that_are_not_utf8(tmp_path):
    more = ["UPDATE metrics SET key = CAST(x'ff' AS TEXT)"]
    assert error_of(store(tmp_path / "s.db", more=more)).startswith("E1344 s.db: cannot be read: ")


def test_parameters_and_runs_of_other_kinds(tmp_path):
    loose = "CREATE TABLE params (key, value, run_uuid)"
    path = store(tmp_path / "p.db", params=[("lr", 0.1, "a1")], tables=(RUNS, METRICS, loose))
    assert error_of(path).startswith("E1344 s.db: params row 1: ")
    path = store(tmp_path / "r.db", runs=[("a1", b"x", ACTIVE)])
    assert error_of(path).startswith("E1344 s.db: runs row 1: ")


def test_bounds(tmp_path, monkeypatch):
    metrics = [("x", 0.5, i, "a1", i, 0) for i in range(4)]
    path = store(tmp_path / "s.db", [*metrics, ("yy", 0.5, 9, "a1", 0, 0)], [("lr", "0.1", "a1"), ("n", "3", "a1")])
    for name, bound in (
        ("MOST_VALUES", 4),
        ("MOST_TAGS", 1),
        ("LONGEST_TAG", 1),
        ("MOST_PARAMS", 1),
        ("MOST_CHARACTERS", 6),
    ):
        with monkeypatch.context() as patched:
            patched.setattr(mlflow_store, name, bound)
            assert error_of(path).startswith("E1340 s.db: ")
            patched.setattr(mlflow_store, name, bound + 1)
            assert len(rows_of(path)) == 4


def test_a_large_cell_is_refused(tmp_path):
    path = store(tmp_path / "s.db", params=[("lr", "x" * (2**20 + 1), "a1")])
    assert error_of(path).startswith("E1344 s.db: cannot be read: ")


def test_checking_has_an_end(tmp_path, monkeypatch):
    monkeypatch.setattr(mlflow_store, "LONGEST_S", -1.0)
    path = store(tmp_path / "s.db", [("x", 0.5, i, "a1", i, 0) for i in range(9999)])
    assert "E1344 s.db: cannot be read: it takes longer than" in error_of(path)


# Nothing is written


def files_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_reading_leaves_the_folder_as_it_is(tmp_path):
    path = store(tmp_path / "s.db")
    before = files_of(tmp_path)
    rows_of(path)
    assert files_of(tmp_path) == before


def test_a_store_with_a_finished_log_is_read(tmp_path):
    path = store(tmp_path / "s.db", more=["PRAGMA journal_mode = WAL", "DELETE FROM params"])
    before = files_of(tmp_path)
    assert list(before) == ["s.db"]
    assert rows_of(path) == [(0, {"loss": 0.5})]
    (tmp_path / "s.db-wal").touch()
    assert rows_of(path) == [(0, {"loss": 0.5})]
    assert files_of(tmp_path) == before | {"s.db-wal": b""}


@pytest.mark.parametrize("mode", ["WAL", "DELETE"])
def test_a_log_beside_the_store_is_refused_and_stays(tmp_path, mode):
    path = store(tmp_path / "s.db", more=[f"PRAGMA journal_mode = {mode}"])
    (tmp_path / "s.db-wal").write_bytes(b"x" * 99)
    before = files_of(tmp_path)
    assert error_of(path).startswith("E1344 s.db: has a write-ahead log beside it, ")
    assert files_of(tmp_path) == before


def test_a_store_in_the_middle_of_being_written_is_refused(tmp_path):
    path = tmp_path / "live" / "s.db"
    path.parent.mkdir()
    store(path, [("x", 0.5, i, "a1", i, 0) for i in range(999)])
    copy = tmp_path / "copy"
    copy.mkdir()
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as base:
        base.execute("PRAGMA cache_size = 3")
        base.execute("BEGIN")
        base.execute("UPDATE metrics SET value = 7.5")
        for name, data in files_of(path.parent).items():
            (copy / name).write_bytes(data)
        base.execute("ROLLBACK")
    before = files_of(copy)
    assert sorted(before) == ["s.db", "s.db-journal"]
    assert error_of(copy / "s.db").startswith("E1344 s.db: cannot be read: ")
    assert files_of(copy) == before


@pytest.mark.parametrize("journal", [b"", b"x" * 999, bytes(999)])
def test_a_journal_that_is_none_stays(tmp_path, journal):
    path = store(tmp_path / "s.db")
    (tmp_path / "s.db-journal").write_bytes(journal)
    before = files_of(tmp_path)
    with contextlib.suppress(InputError):
        assert rows_of(path) == [(0, {"loss": 0.5})]
    assert files_of(tmp_path) == before


# Whatever the bytes


SEED = []


@pytest.fixture(autouse=True, scope="module")
def _seed(tmp_path_factory):
    metrics = [("x" * (i % 9 + 1), i / 8, i, "a1", i, 0) for i in range(99)]
    SEED.append(store(tmp_path_factory.mktemp("seed") / "s.db", metrics, [("lr", "0.1", "a1")]).read_bytes())


@settings(max_examples=500)
@given(number=st.integers(0, 2**32), cut=st.booleans())
@example(number=364, cut=False)  # SQLite's message then quotes bytes that are no UTF-8
def test_damaged_stores(tmp_path_factory, number, cut):
    data, source = bytearray(SEED[0]), random.Random(number)
    for _ in range(source.randint(1, 9)):
        data[source.randrange(len(data))] ^= 1 << source.randrange(8)
    if cut:
        del data[source.randrange(len(data)) :]
    folder = tmp_path_factory.getbasetemp() / "damaged"
    folder.mkdir(exist_ok=True)
    path = folder / "s.db"
    path.write_bytes(data)
    with contextlib.suppress(InputError):
        rows_of(path)
    assert list(files_of(folder)) == ["s.db"]


# The file store


def run_folder(folder, metrics=None, params=None):
    for kind, files in (("metrics", metrics or {}), ("params", params or {})):
        for key, data in files.items():
            path = folder / kind / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data.encode() if isinstance(data, str) else data)
    return folder


def mlruns_error(folder):
    with pytest.raises(InputError) as caught:
        read_mlruns(folder, "run")
    return str(caught.value)


def test_a_folder_as_mlflow_writes_it(tmp_path):
    loss = "1795367514772 1.0 0\n1795367514773 0.5 1\n1795367514774 nan 2\n1795367514775 inf 3\n1795367514776 -inf 4\n"
    metrics = {
        "train/loss": loss,
        "precision/bits": "1795367514772 8 0\n1795367514773 16 1 data 77ab\n",
        "old": "7 0.5\n",
    }
    found, params = read_mlruns(run_folder(tmp_path, metrics, {"lr": "0.1", "opt/name": "sgd\nx"}), "run")
    assert found.tags() == {"old": 1, "precision/bits": 2, "train/loss": 5}
    rows = dict(found.rows(found.tags()))
    assert rows[0] == {"train/loss": 1.0, "precision/bits": 8.0, "old": 0.5}
    assert rows[1] == {"train/loss": 0.5, "precision/bits": 16.0}
    assert math.isnan(rows[2]["train/loss"])
    assert (rows[3], rows[4]) == ({"train/loss": math.inf}, {"train/loss": -math.inf})
    assert params == {"lr": "0.1", "opt/name": "sgd\nx"}
    assert found.corrections() == []


def test_a_restart_in_a_file(tmp_path):
    found, _ = read_mlruns(run_folder(tmp_path, {"x": "1 0.5 7\n2 0.5 9\n3 0.25 8\n"}), "run")
    assert list(found.rows(["x"])) == [(7, {"x": 0.5}), (8, {"x": 0.25})]
    assert found.corrections() == ["restart: 'x' went back from step 9 to 8; steps 8 to 9 were replaced"]


def test_a_torn_last_line(tmp_path):
    found, _ = read_mlruns(run_folder(tmp_path, {"x": "1 0.5 7\n2 0.5 1"}), "run")
    assert list(found.rows(["x"])) == [(7, {"x": 0.5})]
    assert found.corrections() == ["torn tail: 'x': the last 7 bytes from byte 8 are no whole line"]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("1 0.5 7 x\n", "E1344"), ("1\n", "E1344"), ("\n", "E1344"), ("x 0.5 7\n", "E1344"), ("1 0.5 7.5\n", "E1344"),
        ("1 0.5 ７\n", "E1344"), ("1 ０.5 7\n", "E1344"), ("1  0.5 7\n", "E1344"),
        ("1 0.5 " + "7" * 19 + "\n", "E1344"),
        ("1 1_0 7\n", "E1207"), ("1 0,5 7\n", "E1207"), ("1 1e999 7\n", "E1207"), ("1 x 7\n", "E1207"),
        ("1 0.5 7" + " " * 2000, "E1344"), ("\0\n", "E1344"),
    ],
)  # fmt: skip
def test_lines_that_are_no_metric(tmp_path, line, code):
    folder = run_folder(tmp_path, {"x": "1 0.5 3\n" + line})
    assert mlruns_error(folder).startswith(f"{code} {folder / 'metrics' / 'x'}:2: ")


def test_no_folder_of_a_run(tmp_path):
    assert mlruns_error(tmp_path).startswith("E1344 run: ")
    assert mlruns_error(tmp_path / "none").startswith("E1344 run: ")


def test_links_are_not_followed(tmp_path):
    outside = tmp_path / "outside"
    outside.write_text("1 0.5 3\n")
    folder = run_folder(tmp_path / "run", {"x": "1 0.5 3\n"})
    (folder / "metrics" / "link").symlink_to(outside)
    (folder / "metrics" / "up").symlink_to(tmp_path)
    (folder / "params").symlink_to(tmp_path)
    found, params = read_mlruns(folder, "run")
    assert found.tags() == {"x": 1}
    assert params == {}
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "metrics").symlink_to(folder / "metrics")
    assert mlruns_error(tmp_path / "other").startswith("E1344 run: ")


@pytest.mark.parametrize("name", ["MOST_FILES", "MOST_ENTRIES", "DEEPEST"])
def test_bounds_of_a_folder(tmp_path, monkeypatch, name):
    folder = run_folder(tmp_path, {"a": "1 0.5 3\n", "b/c/d": "1 0.5 3\n"})
    monkeypatch.setattr(mlruns, name, 1)
    assert mlruns_error(folder).startswith("E1340 run: ")


def test_bounds_of_files(tmp_path, monkeypatch):
    folder = run_folder(tmp_path, {"a": "1 0.5 3\n"}, {"lr": "0.1"})
    for name, bound, code in (
        ("LARGEST_BYTES", 7, "E1203"),
        ("LARGEST_PARAM", 2, "E1203"),
        ("MOST_CHARACTERS", 4, "E1340"),
    ):
        with monkeypatch.context() as patched:
            patched.setattr(mlruns, name, bound)
            assert mlruns_error(folder).startswith(f"{code} ")
    monkeypatch.setattr(series, "MOST_VALUES", 0)
    assert mlruns_error(folder).startswith("E1340 run: ")


def test_a_parameter_that_is_no_text(tmp_path):
    assert mlruns_error(run_folder(tmp_path, {"a": "1 0.5 3\n"}, {"lr": b"\xff"})).startswith("E1205 ")


def test_a_name_that_is_not_utf8(tmp_path):
    folder = run_folder(tmp_path, {"a": "1 0.5 3\n"})
    try:
        Path(os.fsdecode(os.fsencode(folder) + b"/metrics/\xff")).write_text("1 0.5 3\n")
    except OSError as error:
        pytest.skip(str(error))  # a file system of Unicode names
    assert mlruns_error(folder).startswith("E1344 run: ")


@settings(max_examples=500)
@given(st.binary(max_size=60))
def test_any_bytes_of_a_metric(tmp_path_factory, data):
    folder = run_folder(tmp_path_factory.getbasetemp() / "any", {"x": b"1 0.5 3\n" + data})
    with contextlib.suppress(InputError):
        assert read_mlruns(folder, "run")[0].tags()
