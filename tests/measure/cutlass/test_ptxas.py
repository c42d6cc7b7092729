"""What ptxas -v says becomes numbers per kernel."""

from perfmodel.measure.cutlass.ptxas import read_ptxas, resources_of

LOG = """\
ptxas info    : 11 bytes gmem, 88 bytes cmem[4]
ptxas info    : Compiling entry function '_ZN7cutlass7Kernel2I6one_a1EEvNT_6ParamsE' for 'sm_75'
ptxas info    : Function properties for _ZN7cutlass7Kernel2I6one_a1EEvNT_6ParamsE
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 124 registers, used 1 barriers, 720 bytes cmem[0], 12 bytes cmem[2]
ptxas info    : Compile time = 229.368 ms
ptxas info    : Compiling entry function '_ZN7cutlass7Kernel2I7one_a16EEvNT_6ParamsE' for 'sm_75'
ptxas info    : Function properties for _ZN7cutlass7Kernel2I7one_a16EEvNT_6ParamsE
    48 bytes stack frame, 20 bytes spill stores, 36 bytes spill loads
ptxas info    : Used 255 registers, used 1 barriers, 1024 bytes smem, 720 bytes cmem[0]
"""


def test_every_number_is_read():
    first, second = read_ptxas(LOG).values()
    assert first == {"stack_bytes": 0, "spilled_bytes": 0, "registers": 124, "shared_bytes": 0}
    assert second == {"stack_bytes": 48, "spilled_bytes": 56, "registers": 255, "shared_bytes": 1024}


def test_a_name_is_not_taken_for_the_beginning_of_another():
    found = resources_of(LOG, ["one_a1", "one_a16"])
    assert {name: each["registers"] for name, each in found.items()} == {"one_a1": 124, "one_a16": 255}


def test_a_name_that_ends_another_is_not_taken_for_it():
    log = LOG.replace("6one_a1E", "16cutlass_x_one_a1E")
    assert resources_of(log, ["one_a1"]) == {}


def test_device_functions_do_not_count_as_the_kernel():
    log = LOG.replace(
        "    48 bytes stack frame",
        "    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads\n"
        "ptxas info    : Function properties for _ZN7cutlass6helperI7one_a16EEvv\n    48 bytes stack frame",
    )
    assert "registers" not in read_ptxas(log)["_ZN7cutlass7Kernel2I7one_a16EEvNT_6ParamsE"]
    log = log.replace(
        "ptxas info    : Used 255", "ptxas info    : Function properties for other\nptxas info    : Used 255"
    )
    assert resources_of(log, ["one_a16"]) == {}


def test_a_log_of_another_kind_says_nothing():
    assert read_ptxas("") == {}
    assert read_ptxas("error: no such file\nUsed 12 registers\n") == {}
