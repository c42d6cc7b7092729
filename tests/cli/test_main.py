"""The program as a whole: exit codes, streams, Ctrl-C, closed pipes, full disks, and files that cannot be written."""

import json
import os
import signal
import subprocess
import sys
from importlib.metadata import version

import pytest

from perfmodel import cli as program
from perfmodel.cli import VERBS, main, options

ENVIRONMENT = dict(os.environ)
NEEDS_FULL = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
NO_RIGHTS_NEEDED = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anything")


def test_the_overview(cli):
    for arguments, code in ((("--help",), 0), (("-h",), 0), ((), 2)):
        found = cli(*arguments)
        assert (found.code, found.err) == (code, "")
        assert found.out.startswith("usage: perfmodel VERB [ARGUMENT …]\n")
        assert all(f"\n  {verb} " in found.out for verb in VERBS)


@pytest.mark.parametrize("flag", ["-V", "--version"])
def test_the_version(cli, flag):
    found = cli(flag)
    assert (found.code, found.out, found.err) == (0, f"perfmodel {version('perfmodel')}\n", "")


ACTIONS = {"trace": "convert", "policy": "replay"}


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_each_verb(cli, verb):
    found = cli(verb, "--help")
    assert (found.code, found.err) == (0, "")
    assert found.out.startswith(f"usage: perfmodel {verb}")
    if "ACTION" in found.out:  # a verb of actions, each with options of its own
        found = cli(verb, ACTIONS[verb], "--help")
    assert "--output FILE" in found.out


@pytest.mark.parametrize(
    ("verb", "line"),
    [
        ("speedups", "E1000 verb 'speedups' is not known. Did you mean speedup?"),
        ("reproduc", "E1000 verb 'reproduc' is not known. Did you mean reproduce?"),
        (
            "",
            "E1000 verb '' is not known. Known: speedup, report, trace, breakdown, compare, advise, policy, train, "
            "reproduce, predict, calibrate, validate, profile",
        ),
        ("common", "E1000 verb 'common' is not known."),
        ("options", "E1000 verb 'options' is not known."),
        ("--verbose", "E1000 verb '--verbose' is not known."),
        ("\x1b[31m", "E1000 verb '\\x1b[31m' is not known."),
        ("x" * 10_000, "E1000 verb 'xxx"),
        ("\udcff", "E1000 verb '\\udcff' is not known."),
    ],
)
def test_unknown_verbs(cli, verb, line):
    found = cli(verb)
    assert found.refused(line), found
    assert len(found.err) < 400


# One wrong command for each verb, and the error's code and place.
WRONG = {
    "speedup": (("speedup", "nope.jsonl"), "E1201", "nope.jsonl"),
    "report": (("report", "run.jsonl", "-o", "a.txt"), "E1904", "a.txt:"),
    "breakdown": (("breakdown", "one.toml", "--batch", "0"), "E1105", "--batch"),
    "reproduce": (("reproduce", "table4"), "E1009", "target"),
    "predict": (("predict", "gemms.csv", "-o", "a.txt"), "E1904", "a.txt:"),
    "calibrate": (("calibrate", "--device", "h300", "gemms.csv"), "E1001", "device"),
    "validate": (("validate", "--data", "nope"), "E1602", "nope:"),
    "profile": (("profile", "one.toml", "--simulate", "drift"), "E2003", "-o"),
    "check": (("check", "nope.jsonl"), "E1201", "nope.jsonl"),
    "kernels": (("kernels", "h300"), "E1001", "device"),
    "networks": (("networks", "alexnot"), "E1002", "network"),
    "devices": (("devices", "h300"), "E1001", "device"),
    "schemes": (("schemes", "x"), "E1006", "scheme"),
    "traces": (("traces", "no.jsonl"), "E1201", "no.jsonl"),
    "trace": (("trace", "check", "no.jsonl"), "E1201", "no.jsonl"),
    "compare": (("compare", "one.toml", "--schemes", "mixt"), "E1006", "scheme"),
    "advise": (("advise", "one.toml", "--precision", "fp16"), "E1761", "--precision"),
    "policy": (("policy", "replay", "no.jsonl"), "E1201", "no.jsonl"),
    "train": (("train", "--epochs", "0", "-o", "a.jsonl"), "E1307", "epochs:"),
}


@pytest.mark.parametrize("verb", VERBS)
def test_errors_as_json(cli, verb):
    arguments, code, place = WRONG[verb]
    plain, found = cli(*arguments), cli(*arguments, "--errors", "json")
    assert (found.code, found.out) == (2, "")
    assert found.err.endswith("}\n")
    (line,) = found.err.splitlines()
    problem = json.loads(line)
    assert list(problem) == ["code", "place", "found", "fix"]
    assert (problem["code"], problem["place"]) == (code, place)
    assert plain.err == " ".join(problem.values()) + "\n"  # the same, in one line


@pytest.mark.parametrize("verb", VERBS)
def test_errors_as_json_stand_anywhere(cli, verb):
    arguments, code, _ = WRONG[verb]
    for place in range(len(arguments) + 1):
        if "-o" not in arguments or arguments[place - 1] != "-o":
            found = cli(*arguments[:place], "--errors", "json", *arguments[place:])
            assert json.loads(found.err)["code"] == code


@pytest.mark.parametrize(
    "arguments",
    [("networks", "one.toml"), ("speedup", "run.jsonl"), ("schemes",), ("predict", "gemms.csv"), ("--help",)],
)
def test_without_errors_json_changes_nothing(cli, arguments):
    plain, found = cli(*arguments), cli(*arguments, "--errors", "json")
    assert plain == found
    assert (found.code, found.err) == (0, "")


def test_an_unknown_verb_as_json(cli):
    found = cli("speedups", "--errors", "json")
    assert (found.code, found.out) == (2, "")
    assert json.loads(found.err) == {
        "code": "E1000", "place": "verb", "found": "'speedups' is not known.", "fix": "Did you mean speedup?",
    }  # fmt: skip


def test_every_problem_is_an_object_of_its_own(cli, here):
    (here / "gemms.csv").write_text("m,n,k\n" + "x,2,3\n" * 30)
    found = cli("predict", "gemms.csv", "--errors", "json")
    problems = [json.loads(line) for line in found.err.splitlines()]
    assert found.code == 2
    assert [problem["place"] for problem in problems] == [f"gemms.csv:{n}:1" for n in range(2, 32)]  # none left out
    assert {problem["code"] for problem in problems} == {"E1207"}
    assert cli("predict", "gemms.csv").err.splitlines()[-1] == "… 10 more"


def test_hostile_names_as_json(cli):
    found = cli("networks", "\x1b[31m\u202e\n", "--errors", "json")
    assert found.err.isascii()
    assert found.err[:-1].isprintable()
    assert json.loads(found.err)["code"] == "E1002"
    found = cli("networks", "\x1b[31m\u202e\n.toml", "--errors", "json")
    assert found.err[:-1].isprintable()
    assert json.loads(found.err)["place"] == "\x1b[31m\u202e\n.toml"  # a JSON reader gives the path itself


@pytest.mark.parametrize("form", ["text", "JSON", ""])
def test_other_forms_of_errors_are_unknown(cli, form):
    assert cli("schemes", "--errors", form).refused("E1100 perfmodel schemes: unrecognized arguments: --errors")


def test_options_are_not_abbreviated(cli):
    assert cli("speedup", "run.jsonl", "--over", "ideal").refused(
        "E1100 perfmodel speedup: unrecognized arguments: --over"
    )


def test_arguments_come_from_the_command_line(here, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["perfmodel", "networks", "one.toml"])
    assert main() == 0
    assert capsys.readouterr().out.startswith("One layer\n")


def interrupt(*arguments, **keywords):
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    "place", ["perfmodel.cli.logs.find", "perfmodel.simulate.compare", "perfmodel.cli.writing.emit"]
)
def test_ctrl_c_inside(cli, monkeypatch, place):
    monkeypatch.setattr(place, interrupt)
    found = cli("speedup", "run.jsonl")
    assert (found.code, found.out, found.err) == (130, "", "interrupted\n")


@pytest.mark.parametrize(
    ("place", "suffix"),
    [("os.replace", "txt"), ("matplotlib.figure.Figure.savefig", "png"), ("os.chmod", "csv")],
)
def test_ctrl_c_while_writing_leaves_the_old_file(cli, here, monkeypatch, place, suffix):
    target = here / f"a.{suffix}"
    target.write_text("old")
    before = sorted(here.iterdir())
    monkeypatch.setattr(place, interrupt)
    found = cli("speedup", "run.jsonl", "-o", target)
    assert (found.code, found.out, found.err) == (130, "", "interrupted\n")
    assert target.read_text() == "old"
    assert sorted(here.iterdir()) == before


def test_ctrl_c_for_real(here):
    """A signal to the process while a verb works."""
    code = (
        "import sys, time\n"
        "from perfmodel.cli import main, schemes\n"
        "schemes.run = lambda arguments: (print('working', flush=True), time.sleep(60))\n"
        "sys.exit(main(['schemes']))\n"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout.readline() == "working\n"
        running.send_signal(signal.SIGINT)
        _, err = running.communicate(timeout=30)
    assert (running.returncode, err) == (130, "interrupted\n")


@pytest.mark.parametrize(
    "arguments", [("devices",), ("speedup", "run.jsonl"), ("--help",), ("speedup", "--help"), ("predict", "gemms.csv")]
)
def test_a_reader_that_has_left(process, arguments):
    read, write = os.pipe()
    os.close(read)
    try:
        found = process(*arguments, stdout=write)
    finally:
        os.close(write)
    assert (found.code, found.err) == (0, "")


def test_head(here):
    done = subprocess.run(
        f"'{sys.executable}' -m perfmodel devices | head -1", shell=True, capture_output=True, text=True, timeout=60,
        check=True,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("Devices, peaks in TFLOP/s\n", "")


@NEEDS_FULL
@pytest.mark.parametrize("arguments", [("devices",), ("--help",), ("predict", "gemms.csv")])
def test_a_full_disk(process, arguments):
    with open("/dev/full", "w") as full:
        found = process(*arguments, stdout=full)
    assert found.code == 2
    assert found.err == "E1906 standard output: cannot be written: No space left on device. Check free space.\n"


def test_a_closed_output(here):
    command = f"'{sys.executable}' -m perfmodel schemes >&-"
    done = subprocess.run(command, shell=True, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_terminal_without_unicode(process):
    found = process("trace", "show", "run.jsonl", env=ENVIRONMENT | {"PYTHONIOENCODING": "ascii"})
    assert (found.code, found.err) == (0, "")
    assert found.out.isascii()
    assert "dfx16 |" in found.out


def test_results_and_errors_go_to_different_streams(process):
    good, bad = process("networks", "one.toml"), process("networks", "two.toml")
    assert (good.code, good.err) == (0, "")
    assert (bad.code, bad.out) == (2, "")
    assert bad.err == "E1201 two.toml does not exist. Check the path.\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("networks",), ("devices",), ("schemes",), ("traces",), ("networks", "resnet18"), ("reproduce", "table3"),
        ("speedup", "muppet-resnet20-cifar100"), ("breakdown", "alexnet", "--by", "kind"),
    ],
)  # fmt: skip
def test_an_empty_folder_is_enough(process, here, tmp_path_factory, arguments):
    empty = tmp_path_factory.mktemp("empty")
    found = process(*arguments, cwd=empty)
    assert (found.code, found.err) == (0, "")
    assert len(found.out) > 200
    assert list(empty.iterdir()) == []  # and nothing is left there


def outputs_of(here):
    """A command that writes each kind of output."""
    return {
        "a.txt": ("speedup", "run.jsonl"), "a.csv": ("predict", "gemms.csv"), "a.json": ("reproduce", "table3"),
        "a.md": ("traces", "run.jsonl"), "a.png": ("breakdown", "one.toml"),
    }  # fmt: skip


@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.json", "a.md", "a.png"])
def test_links_are_not_followed(cli, here, name):
    (here / "real").write_text("old")
    (here / name).symlink_to(here / "real")
    found = cli(*outputs_of(here)[name], "-o", name)
    assert found.refused(f"E1902 {name}: is a symbolic link."), found
    assert (here / "real").read_text() == "old"


@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.json", "a.md", "a.png"])
def test_folders_and_pipes_are_no_files(cli, here, name):
    (here / name).mkdir()
    assert cli(*outputs_of(here)[name], "-o", name).refused(f"E1905 {name}: is a folder.")
    (here / name).rmdir()
    os.mkfifo(here / name)
    assert cli(*outputs_of(here)[name], "-o", name).refused(f"E1905 {name}: is not a regular file.")


@NO_RIGHTS_NEEDED
@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.png"])
def test_a_folder_that_must_not_be_written(cli, here, name):
    (here / "locked").mkdir(mode=0o555)
    found = cli(*outputs_of(here)[name], "-o", f"locked/{name}")
    assert found.refused(f"E1906 locked/{name}: cannot be written: "), found


@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.json", "a.md", "a.png"])
def test_a_disk_that_fills_up(cli, here, monkeypatch, name):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    (here / name).write_text("old")
    monkeypatch.setattr("os.replace", refuse)
    found = cli(*outputs_of(here)[name], "-o", name)
    assert found.refused(f"E1906 {name}: cannot be written: No space left on device."), found
    assert (here / name).read_text() == "old"
    assert not [path for path in here.iterdir() if path.name.startswith(".")]


def test_wrong_arguments_are_found_before_anything_is_computed(cli, monkeypatch):
    monkeypatch.setattr("perfmodel.simulate.step_cost", interrupt)
    for arguments in (("speedup", "run.jsonl", "-o", "a.xyz"), ("breakdown", "one.toml", "-o", "a.xyz")):
        assert cli(*arguments).refused("E1904 a.xyz")
    assert cli("breakdown", "one.toml", "--by", "x").refused("E1008")


def test_an_unforeseen_error_keeps_its_traceback(cli, monkeypatch):
    def break_down(*_):
        raise OSError(2, "No such file or directory", "lost.toml")

    monkeypatch.setattr("perfmodel.cli.schemes.run", break_down)
    with pytest.raises(FileNotFoundError):  # a file's error that nobody put into words is a bug, not a full disk
        cli("schemes")


@pytest.mark.parametrize("text", ["1", "-3", "+7", "0", "9" * 18])
def test_whole_numbers(text):
    assert options.whole(text) == int(text)


@pytest.mark.parametrize("text", ["", "1_0", "１２", " 5", "5 ", "1.0", "1e3", "0x1", "9" * 19, "--1", "1\n"])
def test_what_is_no_whole_number(text):
    with pytest.raises(options.argparse.ArgumentTypeError, match="is not a whole number"):
        options.whole(text)


def test_the_documented_exit_codes():
    assert (program.OK, program.BAD_INPUT, program.INTERRUPTED) == (0, 2, 130)


def test_too_little_memory_is_one_line(cli, monkeypatch):
    def exhausted(*_):
        raise MemoryError

    monkeypatch.setattr("perfmodel.networks.find_network", exhausted)
    found = cli("breakdown", "one.toml", "--batch", "1")
    assert (found.code, found.out) == (2, "")
    assert found.err == "E1010 memory: there is not enough for this input. Split it.\n"
