"""How long the command line takes to start, against what Python and its libraries take anyway."""

import subprocess
import sys
from statistics import median
from time import perf_counter

RUNS = 9
PAIRS = {  # what is timed: its arguments, and those of what it is compared with
    "--help": (("-m", "perfmodel", "--help"), "python -c pass", ("-c", "pass")),
    "reproduce table3": (
        ("-m", "perfmodel", "reproduce", "table3"),
        "import pandas, matplotlib",
        ("-c", "import pandas, matplotlib"),
    ),
}
TARGET = 2


def seconds(arguments):
    """Wall-clock seconds of one run of Python with these arguments."""
    start = perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return perf_counter() - start


def main():
    print(f"{'command':<30}{'min ms':>9}{'median ms':>11}")
    for command, (arguments, other, baseline) in PAIRS.items():
        seconds(arguments), seconds(baseline)  # fills the caches of the file system and of compiled modules
        pairs = [(seconds(arguments), seconds(baseline)) for _ in range(RUNS)]  # interleaved: load hits both alike
        ours, theirs = zip(*pairs, strict=True)
        for name, times in ((command, ours), (other, theirs)):
            print(f"{name:<30}{min(times) * 1e3:>9.0f}{median(times) * 1e3:>11.0f}")
        least, usual = min(ours) / min(theirs), median(ours) / median(theirs)
        print(f"{'ratio':<30}{least:>9.2f}{usual:>11.2f}   target: at most {TARGET}")
    print(f"{RUNS} interleaved runs of each.")


if __name__ == "__main__":
    main()
