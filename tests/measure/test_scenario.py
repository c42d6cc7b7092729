"""Scenario files: the bundled ones hold what they promise, and every wrong key is one line that names its place."""

import hashlib
from math import inf

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perfmodel.datafiles import DATA
from perfmodel.errors import InputError, PerfModelError, UnknownName
from perfmodel.measure.simulated import Simulated, find_scenario, read_scenario, scenario_names
from perfmodel.measure.simulated.faults import KINDS
from perfmodel.measure.simulated.scenario import Instrument, Noise
from perfmodel.measure.simulated.world import ClockModel, Environment, Span

HEAD = 'title = "A test"\nsource = "Assumed."\ndevice = "rtx-2080-ti"\n'


def read(tmp_path, text, head=HEAD):
    path = tmp_path / "mine.toml"
    path.write_text(head + text, encoding="utf-8")
    return read_scenario(path)


def test_bundled_names():
    assert scenario_names() == ["calm", "drift", "h200", "hot", "noisy", "tenant", "throttle"]


@pytest.mark.parametrize("name", scenario_names())
def test_bundled_scenarios_load_and_run(name):
    scenario = find_scenario(name)
    assert scenario.name == name
    assert scenario.title
    assert len(scenario.source) > 100
    content = (DATA / "scenarios" / f"{name}.toml").read_bytes()
    assert scenario.digest == hashlib.sha256(content).hexdigest()
    card = Simulated(scenario)
    card.copy(10**6)
    card.synchronise(1.0)
    assert card.now_s() > 0


def test_drift_is_the_published_noise_model():
    drift = find_scenario("drift")
    assert drift.device.name == "rtx-2080-ti"
    assert drift.clock == ClockModel(0.012, 2.0, 0.010, 60.0, 0.12, 0.35, 3.0, 0.5)
    assert drift.noise == Noise(0.003, 0.0, 0.01, 60e-6, 0.004)
    assert drift.instrument == Instrument(1.024e-6, 32e-9, 12e-6, 5e-6, 0.0, 3e-6)
    assert drift.environment == Environment()
    assert drift.faults == ()


def test_the_others_differ_from_it_as_they_say():
    drift = find_scenario("drift")
    for name in ("throttle", "hot", "tenant", "h200"):
        assert (find_scenario(name).clock, find_scenario(name).noise) == (drift.clock, drift.noise)
    assert find_scenario("throttle").environment.throttles == (Span(25.0, 27.0, 0.5),)
    assert find_scenario("hot").environment.throttles == (Span(0.0, inf, 0.6),)
    assert find_scenario("tenant").environment.tenants == (Span(21.0, 23.0, 0.2),)
    assert find_scenario("noisy").noise == Noise(sample_jitter=0.3)
    assert find_scenario("noisy").clock == find_scenario("calm").clock == ClockModel()
    assert find_scenario("calm").noise == Noise(jitter=0.001)
    h200 = find_scenario("h200")
    assert (h200.device.name, h200.instrument.event_tick_s) == ("h200", 32e-9)


def test_unknown_names():
    with pytest.raises(UnknownName, match=r"^E1011 scenario 'drfit' is not known\. Did you mean drift\?$"):
        find_scenario("drfit")
    with pytest.raises(InputError, match=r"^E1201 missing\.toml does not exist"):
        find_scenario("missing.toml")
    assert Simulated(find_scenario(str(DATA / "scenarios" / "calm.toml"))).scenario.name == "calm"


def test_little_is_required(tmp_path):
    scenario = read(tmp_path, "")
    assert (scenario.name, scenario.title, scenario.source) == ("mine", "A test", "Assumed.")
    assert (scenario.clock, scenario.noise, scenario.instrument) == (ClockModel(), Noise(), Instrument())
    assert (scenario.environment, scenario.faults) == (Environment(), ())
    with pytest.raises(InputError) as error:
        read(tmp_path, "", head="")
    assert [line.split(": ", 1)[1] for line in error.value.lines()] == [
        "title: is missing. Add title.", "source: is missing. Add source.", "device: is missing. Add device.",
    ]  # fmt: skip


def test_everything_can_be_said(tmp_path):
    scenario = read(
        tmp_path,
        """
[[throttle]]
factor = 0.7
[[throttle]]
from_s = 3
to_s = 5.5
factor = 0.3
[[tenant]]
from_s = 7
slowdown = 0.9
[[clock_steps]]
at_s = 9
factor = 1.1
[[clock_steps]]
at_s = 5
factor = 0.9
[bimodal]
factor = 0.8
period_s = 0.3
[readings]
mig = true
power_limit_w = 130
compute_mode = "exclusive"
[instrument]
event_tick_s = 0
""",
    )
    environment = scenario.environment
    assert environment.throttles == (Span(0.0, inf, 0.7), Span(3.0, 5.5, 0.3))
    assert environment.tenants == (Span(7.0, inf, 0.9),)
    assert environment.clock_steps == ((5.0, 0.9), (9.0, 1.1))
    assert environment.bimodal == (0.8, 0.3)
    card = Simulated(scenario)
    assert [card.reading(name) for name in ("mig", "mps", "power_limit_w", "compute_mode")] == [
        True, False, 130, "exclusive",
    ]  # fmt: skip
    assert scenario.instrument.event_tick_s == 0


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_fault_is_read(tmp_path, kind):
    extra = {"bad samples": 'value = "nan"', "bad clock": 'value = "inf"', "wrong": 'how = "tf32"',
             "late enqueue": "factor = 3"}.get(kind, "")  # fmt: skip
    trigger = "" if kind == "late enqueue" else "counter = 3\ncall = 5\ntimes = 7\nalways = true\n"
    (fault,) = read(tmp_path, f'[[faults]]\nkind = "{kind}"\n{trigger}{extra}').faults
    assert fault.kind == kind
    if trigger:
        assert (fault.counter, fault.call, fault.times, fault.always) == (3, 5, 7, True)


@pytest.mark.parametrize(("kind", "times"), [("build", 1), ("hang", 1), ("capture", 0), ("reading", 0), ("wrong", 0)])
def test_how_often_faults_happen_by_default(tmp_path, kind, times):
    (fault,) = read(tmp_path, f'[[faults]]\nkind = "{kind}"\n' + ('how = "guard"' if kind == "wrong" else "")).faults
    assert (fault.times, fault.call, fault.counter, fault.always) == (times, 1, None, False)


FAULT = '[[faults]]\nkind = "build"\n'
WRONG = [  # text, code, where, what the line holds
    ("nonsense = 1", "E1213", "nonsense", "is not a key of this table"),
    ("clock = 3", "E1211", "clock", "3 is not a table"),
    ("[clock]\nspeed = 3", "E1213", "clock.speed", "is not a key of this table"),
    ("[clock]\nsd = -0.1", "E1212", "clock.sd", "-0.1 is not a number from 0 to 1"),
    ("[clock]\nsd = nan", "E1212", "clock.sd", "nan is not a number from 0 to 1"),
    ('[clock]\nslow_sd = "3"', "E1211", "clock.slow_sd", "'3' is not a number"),
    ("[clock]\nslow_sd = true", "E1211", "clock.slow_sd", "True is not a number"),
    ("[clock]\ntau_s = 0", "E1212", "clock.tau_s", "0 is not a number from 1e-12 to 1e+09"),
    ("[clock]\nslow_tau_s = inf", "E1212", "clock.slow_tau_s", "inf is not a number"),
    ("[clock]\nheat_tau_s = 0.0", "E1212", "clock.heat_tau_s", "0.0 is not a number"),
    ("[clock]\ndroop = 2", "E1212", "clock.droop", "2 is not a number from 0 to 1"),
    ("[clock]\ndroop_from = 1.0", "E1212", "clock.droop_from", "1.0 is not a number from 0 to 0.99"),
    ("[clock]\nlowest = 0", "E1212", "clock.lowest", "0 is not a number from 0.01 to 1"),
    ("[noise]\njitter = 7", "E1212", "noise.jitter", "7 is not"),
    ("[noise]\nsample_jitter = -1", "E1212", "noise.sample_jitter", "-1 is not"),
    ("[noise]\ninterrupt_share = 1.5", "E1212", "noise.interrupt_share", "1.5 is not"),
    ("[noise]\ninterrupt_s = []", "E1211", "noise.interrupt_s", "[] is not a number"),
    ("[noise]\nplacement = 0.5", "E1212", "noise.placement", "0.5 is not a number from 0 to 0.1"),
    ("[noise]\nloud = 1", "E1213", "noise.loud", "is not a key"),
    ("[instrument]\nevent_tick_s = -1", "E1212", "instrument.event_tick_s", "-1 is not"),
    ("[instrument]\ntimer_tick_s = nan", "E1212", "instrument.timer_tick_s", "nan is not"),
    ("[instrument]\nlatency_s = 1e99", "E1212", "instrument.latency_s", "1e+99 is not"),
    ('[instrument]\nenqueue_s = ""', "E1211", "instrument.enqueue_s", "'' is not a number"),
    ("[instrument]\ngraph_gap_s = -3", "E1212", "instrument.graph_gap_s", "-3 is not"),
    ("[instrument]\ngraph_offset_s = -3", "E1212", "instrument.graph_offset_s", "-3 is not"),
    ("[instrument]\nempty_s = -3", "E1212", "instrument.empty_s", "-3 is not"),
    ("[instrument]\ncopy_share = 0", "E1212", "instrument.copy_share", "0 is not"),
    ("[instrument]\nevent_tick_s = 99999999999999999999", "E1212", "instrument.event_tick_s", "is beyond 64 bits"),
    ("[instrument]\nticks = 1", "E1213", "instrument.ticks", "is not a key"),
    ("throttle = 3", "E1211", "throttle", "3 is not a list of tables"),
    ("throttle = [3]", "E1211", "throttle[0]", "3 is not a table"),
    ("[[throttle]]\nfrom_s = 3", "E1210", "throttle[0].factor", "is missing"),
    ("[[throttle]]\nfactor = 0", "E1212", "throttle[0].factor", "0 is not"),
    ("[[throttle]]\nfactor = 1.5", "E1212", "throttle[0].factor", "1.5 is not"),
    ("[[throttle]]\nfactor = 0.5\nfrom_s = -1", "E1212", "throttle[0].from_s", "-1 is not"),
    ("[[throttle]]\nfactor = 0.5\nfrom_s = 3\nto_s = 3", "E1212", "throttle[0].to_s", "3 is not after from_s, 3"),
    ("[[throttle]]\nfactor = 0.5\nslowdown = 3", "E1213", "throttle[0].slowdown", "is not a key"),
    ("[[tenant]]\nfrom_s = 3", "E1210", "tenant[0].slowdown", "is missing"),
    ("[[tenant]]\nslowdown = -0.1", "E1212", "tenant[0].slowdown", "-0.1 is not"),
    ("[[clock_steps]]\nfactor = 1", "E1210", "clock_steps[0].at_s", "is missing"),
    ("[[clock_steps]]\nat_s = 1", "E1210", "clock_steps[0].factor", "is missing"),
    ("[[clock_steps]]\nat_s = 1\nfactor = 0", "E1212", "clock_steps[0].factor", "0 is not"),
    ("[[clock_steps]]\nat_s = 1\nfactor = 1\nto_s = 3", "E1213", "clock_steps[0].to_s", "is not a key"),
    ("bimodal = []", "E1211", "bimodal", "[] is not a table"),
    ("[bimodal]\nfactor = 0.5", "E1210", "bimodal.period_s", "is missing"),
    ("[bimodal]\nperiod_s = 3", "E1210", "bimodal.factor", "is missing"),
    ("[bimodal]\nfactor = 0.5\nperiod_s = 0", "E1212", "bimodal.period_s", "0 is not"),
    ("[bimodal]\nfactor = 0.5\nperiod_s = 1\nphase = 1", "E1213", "bimodal.phase", "is not a key"),
    ("[readings]\ncolour = 1", "E1213", "readings.colour", "is not a key"),
    ("[readings]\nmig = 1", "E1211", "readings.mig", "1 is not true or false"),
    ("[readings]\nclock_reasons = 0.5", "E1211", "readings.clock_reasons", "0.5 is not a whole number"),
    ("[readings]\npower_w = true", "E1211", "readings.power_w", "True is not"),
    ("[readings]\npower_w = inf", "E1212", "readings.power_w", "inf is not a finite number"),
    ("[readings]\ncompute_mode = 3", "E1211", "readings.compute_mode", "3 is not a text"),
    ('[[faults]]\nkernel = "a"', "E1210", "faults[0].kind", "is missing"),
    ('[[faults]]\nkind = "flood"', "E1211", "faults[0].kind", "'flood' is not one of out of memory, build"),
    ("[[faults]]\nkind = 3", "E1211", "faults[0].kind", "3 is not a text"),
    (FAULT + "kernel = 3", "E1211", "faults[0].kernel", "3 is not a text"),
    (FAULT + "counter = -1", "E1212", "faults[0].counter", "-1 is not between 0"),
    (FAULT + "counter = 1.5", "E1211", "faults[0].counter", "1.5 is not a whole number"),
    (FAULT + "call = 0", "E1212", "faults[0].call", "0 is not between 1"),
    (FAULT + "times = -1", "E1212", "faults[0].times", "-1 is not between 0"),
    (FAULT + "always = 1", "E1211", "faults[0].always", "1 is not true or false"),
    (FAULT + "message = 1", "E1211", "faults[0].message", "1 is not a text"),
    (FAULT + 'how = "tf32"', "E1213", "faults[0].how", "is not a key"),
    ('[[faults]]\nkind = "hang"\nreal = 1', "E1211", "faults[0].real", "1 is not true or false"),
    ('[[faults]]\nkind = "out of memory"\nfree_bytes = -1', "E1212", "faults[0].free_bytes", "-1 is not between 0"),
    ('[[faults]]\nkind = "reading"\nnames = "all"', "E1211", "faults[0].names", "'all' is not a list of names"),
    ('[[faults]]\nkind = "reading"\nnames = ["fan"]', "E1211", "faults[0].names", "'fan' is not a reading"),
    ('[[faults]]\nkind = "reading"\nnames = [[]]', "E1211", "faults[0].names", "[] is not a reading"),
    ('[[faults]]\nkind = "reading"\nkernel = "a"', "E1213", "faults[0].kernel", "is not a key"),
    ('[[faults]]\nkind = "bad samples"', "E1210", "faults[0].value", "is missing"),
    ('[[faults]]\nkind = "bad samples"\nvalue = "big"', "E1211", "faults[0].value", "'big' is not one of nan, inf"),
    ('[[faults]]\nkind = "bad clock"\nvalue = ""', "E1211", "faults[0].value", "is blank"),
    ('[[faults]]\nkind = "wrong"', "E1210", "faults[0].how", "is missing"),
    ('[[faults]]\nkind = "wrong"\nhow = "badly"', "E1211", "faults[0].how", "'badly' is not one of tf32"),
    ('[[faults]]\nkind = "late enqueue"', "E1210", "faults[0].factor", "is missing"),
    ('[[faults]]\nkind = "late enqueue"\nfactor = -1', "E1212", "faults[0].factor", "-1 is not"),
    ('[[faults]]\nkind = "late enqueue"\nfactor = 2\ncounter = 3', "E1213", "faults[0].counter", "is not a key"),
    ('[[faults]]\nkind = "late enqueue"\nfactor = 2\nto_s = 0', "E1212", "faults[0].to_s", "0 is not after"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "code", "where", "found"), WRONG)
def test_a_wrong_key_is_one_line(tmp_path, text, code, where, found):
    with pytest.raises(InputError) as error:
        read(tmp_path, text)
    (line,) = error.value.lines()
    assert line.startswith(f"{code} {tmp_path}/mine.toml: {where}: ")
    assert found in line
    assert line.isprintable()


@pytest.mark.parametrize(
    ("key", "value", "line"),
    [
        ("title", '" "', "E1211 {}: title: is blank. Give a text."),
        ("source", "3", "E1211 {}: source: 3 is not a text. Correct the value."),
        ("device", '"h20"', "E1001 {}: device: device 'h20' is not known. Did you mean h200?"),
    ],
)
def test_a_wrong_head(tmp_path, key, value, line):
    head = "".join(
        f"{row.split(' = ')[0]} = {value}\n" if row.startswith(key) else f"{row}\n" for row in HEAD.split("\n")
    )
    with pytest.raises(PerfModelError) as error:
        read(tmp_path, "", head)
    assert error.value.lines() == [line.format(tmp_path / "mine.toml")]


PARTS = st.sampled_from([
    "[clock]\n", "[noise]\n", "[[faults]]\n", "[[throttle]]\n", "[readings]\n", "[bimodal]\n", "sd = 1\n",
    "kind = 'hang'\n", "factor = 0.5\n", "from_s = 1\n", "mig = true\n", "x = nan\n", "value = 'nan'\n",
    "names = [1]\n", "period_s = 1e-9\n", "real = 3\n", "counter = 99999999999999999999\n", "\x1b", "tau_s = inf\n",
    "kernel = '\\u202e'\n", "= 3\n",
])  # fmt: skip


@settings(
    max_examples=500, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(PARTS, max_size=6))
def test_garbage_gives_a_scenario_or_lines(tmp_path, parts):
    lines = []
    try:
        read(tmp_path, "".join(parts))
    except PerfModelError as error:
        lines = error.lines()
    assert all(line.startswith("E") and line.isprintable() for line in lines)


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("throttle", "factor = 0.5"), ("tenant", "slowdown = 0.5"), ("clock_steps", "at_s = 3\nfactor = 0.5"),
        ("faults", 'kind = "hang"'),
    ],
)  # fmt: skip
def test_a_hundred_tables_of_a_kind_and_no_more(tmp_path, name, row):
    text = f"[[{name}]]\n{row}\n"
    read(tmp_path, 100 * text)
    with pytest.raises(InputError, match=rf"E1212 .*mine.toml: {name}: there are 101, and at most 100 "):
        read(tmp_path, 101 * text)


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("throttle", "factor = 0.01"), ("tenant", "slowdown = 100"),
        ("faults", 'kind = "late enqueue"\nfactor = 1e6'),
    ],
)  # fmt: skip
def test_a_hundred_extremes_together_stay_finite(tmp_path, name, row):
    scenario = read(tmp_path, 100 * f"[[{name}]]\n{row}\n")
    card = Simulated(scenario)
    card.copy(10**6)
    card.event()
    state = card.state()
    assert all(0 <= value < 1e15 for key, value in state.items() if key.endswith("_s"))
    assert 1e-9 <= scenario.environment.clock_factor(0.0) <= scenario.environment.slowdown(0.0) <= 1e9
