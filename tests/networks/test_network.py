"""Reading a network file: shape inference, pools, shared weights, base and set, and what goes wrong."""

import random
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfmodel.datafiles import bundled
from perfmodel.errors import InputError, PerfModelError, UnknownName
from perfmodel.networks import Network, find_network, network_names, read_network

ABOUT = 'title = "t"\nsource = "s"\n'
CONV = '{ op = "conv", name = "c", out = 4, kernel = 1 }'


@pytest.fixture
def read(tmp_path):
    def read_text(text, shape="[4, 9, 9]", about=ABOUT):
        path = tmp_path / "net.toml"
        path.write_text(f"{about}input = {shape}\n{text}" if shape else about + text, encoding="utf-8")
        return read_network(path)

    return read_text


def layers(*rows):
    return f"layers = [{', '.join(rows)}]"


def problem(read, *args, **keys):
    """The single problem that a text raises."""
    with pytest.raises(PerfModelError) as caught:
        read(*args, **keys)
    (found,) = caught.value.problems
    return found


def shapes(network):
    return [layer.out_shape for layer in network.layers]


# What a file gives


def test_a_network_knows_its_name_title_source_and_input(read):
    network = read(layers(CONV), about='title = "A title"\nsource = "a paper"\n', shape="[3, 5, 7]")
    assert (network.name, network.title, network.source, network.input) == ("net", "A title", "a paper", (3, 5, 7))
    assert network.layers[0].in_shape == (3, 5, 7)


def test_totals_are_sums_over_the_layers(read):
    rows = ('{ op = "conv", out = 2, kernel = 3 }', '{ op = "batch_norm" }', '{ op = "linear", out = 5 }')
    network = read(layers(*rows))
    assert network.macs == 2 * 49 * 4 * 9 + 98 * 5
    assert network.parameters == (2 * 4 * 9 + 2) + 2 * 2 + (98 * 5 + 5)
    assert [layer.op for layer in network.gemm_layers] == ["conv", "linear"]


def test_a_network_file_at_a_path_is_found(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(f"{ABOUT}input = [4, 9, 9]\n{layers(CONV)}", encoding="utf-8")
    assert find_network(str(path)).name == "mine"
    assert find_network(str(path)) == read_network(path)


def test_every_bundled_name_is_found():
    assert network_names() == sorted(bundled("networks"))
    assert find_network("resnet18").name == "resnet18"


# Shape inference


@pytest.mark.parametrize(
    ("row", "shape"),
    [
        ('{ op = "conv", out = 6, kernel = 3 }', (6, 3, 9)),
        ('{ op = "conv", out = 6, kernel = [3, 5] }', (6, 3, 7)),
        ('{ op = "conv", out = 6, kernel = [5, 3], pad = [0, 1] }', (6, 1, 11)),
        ('{ op = "conv", out = 6, kernel = 2, stride = [2, 3] }', (6, 2, 4)),
        ('{ op = "conv", out = 6, kernel = 3, dilation = [2, 5] }', (6, 1, 1)),
        ('{ op = "conv", out = 6, kernel = 3, groups = 2 }', (6, 3, 9)),
        ('{ op = "linear", out = 6 }', (6, 1, 1)),
        ('{ op = "batch_norm" }', (4, 5, 11)),
        ('{ op = "relu" }', (4, 5, 11)),
        ('{ op = "relu6" }', (4, 5, 11)),
        ('{ op = "dropout" }', (4, 5, 11)),
        ('{ op = "softmax" }', (4, 5, 11)),
        ('{ op = "add", from = ["c", "c"] }', (4, 5, 11)),
        ('{ op = "concat", from = ["c", "input", "c"] }', (11, 5, 11)),
        ('{ op = "adaptive_avg_pool" }', (4, 1, 1)),
        ('{ op = "adaptive_avg_pool", out = 4 }', (4, 4, 4)),
        ('{ op = "max_pool", kernel = 2 }', (4, 2, 5)),
        ('{ op = "max_pool", kernel = 2, ceil = true }', (4, 3, 6)),
        ('{ op = "avg_pool", kernel = [2, 3], stride = 1 }', (4, 4, 9)),
        ('{ op = "max_pool", kernel = 3, stride = 2, pad = 1 }', (4, 3, 6)),
        ('{ op = "max_pool", kernel = [5, 1] }', (4, 1, 11)),
    ],
)
def test_output_shape_by_hand(read, row, shape):
    assert shapes(read(layers(CONV, row), shape="[3, 5, 11]"))[-1] == shape


def test_groups_divide_the_weights(read):
    (layer,) = read(layers('{ op = "conv", out = 6, kernel = 3, groups = 2, bias = false }')).layers
    assert (layer.groups, layer.weights, layer.macs) == (2, 6 * 2 * 9, 6 * 2 * 9 * 49)


@pytest.mark.parametrize(
    ("n", "kernel", "stride", "pad", "floor", "ceil"),
    [
        (7, 2, 2, 0, 3, 4),  # windows start at 0 2 4; rounding up adds 6
        (5, 1, 3, 0, 2, 2),  # 0 3; rounding up would add 6, which is outside
        (3, 2, 2, 1, 2, 2),  # -1 1; rounding up would add 3, which lies in the padding: PyTorch drops it
        (4, 2, 2, 1, 3, 3),  # -1 1 3
        (6, 3, 2, 0, 2, 3),  # 0 2; rounding up adds 4, half outside
        (112, 3, 2, 0, 55, 56),  # GoogLeNet's first pool
        (14, 2, 2, 0, 7, 7),
        (1, 1, 1, 0, 1, 1),
        (2, 2, 5, 1, 1, 1),  # -1; rounding up would add 4, outside
    ],
)
def test_pool_size_by_hand(read, n, kernel, stride, pad, floor, ceil):
    row = f'op = "max_pool", kernel = {kernel}, stride = {stride}, pad = {pad}'
    text = layers(CONV, f"{{ {row} }}", f'{{ {row}, ceil = true, from = "c" }}')
    assert shapes(read(text, shape=f"[1, {n}, {n}]"))[1:] == [(4, floor, floor), (4, ceil, ceil)]


def pool_windows(n, kernel, stride, pad, up):
    """Windows of a pool, counted; rounding up, one more for the rest, unless it starts in the right padding."""
    starts = [start for start in range(0, n + 2 * pad, stride) if start + kernel <= n + 2 * pad]
    following = starts[-1] + stride
    covered = starts[-1] + kernel == n + 2 * pad
    return len(starts) + (up and not covered and following < n + pad)


@given(st.data())
def test_pool_size_is_the_number_of_windows(tmp_path_factory, data):
    kernel = data.draw(st.tuples(st.integers(1, 5), st.integers(1, 5)), "kernel")
    size = tuple(data.draw(st.integers(k, 15)) for k in kernel)
    pad = tuple(data.draw(st.integers(0, k // 2)) for k in kernel)
    stride = data.draw(st.tuples(st.integers(1, 6), st.integers(1, 6)), "stride")
    up = data.draw(st.booleans(), "ceil")
    path = tmp_path_factory.getbasetemp() / "pool.toml"
    keys = f"kernel = {[*kernel]}, stride = {[*stride]}, pad = {[*pad]}, ceil = {str(up).lower()}"
    pool = f'{{ op = "avg_pool", {keys} }}'
    path.write_text(f"{ABOUT}input = [1, {size[0]}, {size[1]}]\n{layers(CONV, pool)}", encoding="utf-8")
    counted = tuple(pool_windows(*one, up) for one in zip(size, kernel, stride, pad, strict=True))
    assert read_network(path).layers[-1].out_shape == (4, *counted)


# Who reads whom


def test_consumers_counts_the_readers_of_each_output(read):
    text = layers(
        CONV, '{ op = "relu" }', '{ op = "add", from = ["relu", "c", "c"] }', '{ op = "dropout", from = "input" }'
    )
    assert read(text).consumers() == {"input": 2, "c": 3, "relu": 1, "add": 0, "dropout": 0}


def test_a_layer_needs_an_input_gradient_only_below_something_trained(read):
    network = read(
        layers(
            '{ op = "dropout" }',
            '{ op = "conv", name = "first", out = 4, kernel = 1, bias = false }',
            '{ op = "relu" }',
            '{ op = "conv", name = "second", out = 4, kernel = 1 }',
            '{ op = "conv", name = "beside", out = 4, kernel = 1, from = "dropout" }',
            '{ op = "add", from = ["dropout", "second"] }',
            '{ op = "max_pool", kernel = 1, from = "input" }',
        )
    )
    needs = {layer.name: network.trains_before(layer) for layer in network.layers}
    assert needs == {
        "dropout": False, "first": False, "relu": True, "second": True, "beside": False, "add": True, "max_pool": False,
    }  # fmt: skip


def test_the_main_path_is_all_that_the_last_layer_needs(read):
    rows = (CONV, '{ op = "relu" }', '{ op = "dropout", from = "c" }', '{ op = "add", from = ["relu", "c"] }')
    assert read(layers(*rows)).main_path == {"c", "relu", "add"}


def test_a_batch_norm_is_trained_too(read):
    network = read(layers('{ op = "batch_norm" }', CONV))
    assert [network.trains_before(layer) for layer in network.layers] == [False, True]


def test_networks_compare_by_what_they_hold(read):
    network = read(layers(CONV))
    assert network == read(layers(CONV))
    assert hash(network) == hash(read(layers(CONV)))
    assert network != replace(network, title="another")


# Shared weights


def test_shared_weights_are_named_in_full_and_counted_once(read):
    text = """layers = [{ use = "b", name = "x" }, { op = "conv", name = "again", out = 4, kernel = 1, shares = "x.c" }]
        [blocks.b]
        layers = [{ op = "conv", name = "c", out = 4, kernel = 1 }]"""
    network = read(text)
    assert network.layers[1].shares == "x.c"
    assert network.parameters == 4 * 4 + 4
    assert network.macs == 2 * 16 * 81
    assert network.trains_before(network.layers[1])


def test_borrowed_weights_are_trained_too(read):
    rows = (CONV, '{ op = "conv", name = "d", out = 4, kernel = 1, shares = "c", from = "input" }', '{ op = "relu" }')
    network = read(layers(*rows))
    assert {layer.name: network.trains_before(layer) for layer in network.layers} == {
        "c": False, "d": False, "relu": True,
    }  # fmt: skip


LINEAR = '{ op = "linear", name = "f", out = 4 }'


@pytest.mark.parametrize(
    ("rows", "code", "fragment"),
    [
        ((CONV, '{ op = "conv", out = 4, kernel = 1, shares = "d" }'), "E1405", "'d' is no earlier layer"),
        (('{ op = "conv", name = "x", out = 4, kernel = 1, shares = "x" }',), "E1405", "'x' is no earlier layer"),
        (
            (CONV, '{ op = "batch_norm" }', '{ op = "conv", out = 4, kernel = 1, shares = "batch_norm" }'),
            "E1405", "'batch_norm' is no earlier layer with weights",
        ),
        (
            (CONV, '{ op = "conv", name = "d", out = 4, kernel = 1, shares = "c" }',
             '{ op = "conv", out = 4, kernel = 1, shares = "d" }'),
            "E1405", "'d' is no earlier layer with weights of its own",
        ),
        ((CONV, '{ op = "conv", out = 4, kernel = 3, shares = "c" }'), "E1409", "'c' has weights or a bias of another"),
        ((CONV, '{ op = "conv", out = 4, kernel = 1, bias = false, shares = "c" }'), "E1409", "another shape"),
        (
            ('{ op = "conv", name = "a", out = 4, kernel = [1, 3] }',
             '{ op = "conv", out = 4, kernel = [3, 1], shares = "a" }'),
            "E1409", "another shape",
        ),
        ((LINEAR, '{ op = "linear", out = 4, from = "input", bias = false, shares = "f" }'), "E1409", "another shape"),
        ((LINEAR, '{ op = "linear", out = 4, shares = "f" }'), "E1409", "another shape"),
        ((CONV, '{ op = "adaptive_avg_pool" }', '{ op = "linear", out = 4, shares = "c" }'), "E1409", "another shape"),
    ],
)  # fmt: skip
def test_weights_are_shared_between_equal_layers_only(read, rows, code, fragment):
    found = problem(read, layers(*rows))
    assert found.code == code
    assert found.place.endswith(f"layers[{len(rows) - 1}].shares:")
    assert fragment in found.found


def test_a_linear_layer_may_share_with_an_equal_one(read):
    rows = ('{ op = "linear", name = "f", out = 324 }', '{ op = "linear", out = 324, shares = "f" }')
    assert read(layers(*rows)).parameters == 324 * 324 + 324


# base and set


def test_a_base_gives_the_layers_and_set_changes_its_parameters(read):
    network = read('base = "resnet20"\nset = { classes = 7 }', shape="")
    assert (network.name, network.title, network.source) == ("net", "t", "s")
    assert network.layers[-1].out_shape == (7, 1, 1)
    assert network.layers[:-2] == find_network("resnet20").layers[:-2]


def test_set_may_be_left_out(read):
    assert read('base = "resnet20"', shape="").layers == find_network("resnet20").layers


@pytest.mark.parametrize(
    ("text", "code", "place", "fragment"),
    [
        ('base = "resnet21"', "E1402", "base", "'resnet21' is no bundled network"),
        ('base = "resnet34"', "E1402", "base", "'resnet34' has itself a base"),
        ("base = 3", "E1211", "base", "3 is not a text"),
        ('base = "resnet20"\nset = { clases = 7 }', "E1406", "set", "'clases' is no parameter of resnet20"),
        ('base = "resnet20"\nset = { classes = "7" }', "E1406", "set", "classes = '7' is of another type than 10"),
        ('base = "resnet20"\nset = { classes = true }', "E1406", "set", "of another type"),
        ('base = "resnet20"\nset = 3', "E1211", "set", "3 is not a table"),
        ('base = "resnet20"\ninput = [3, 9, 9]', "E1213", "input", "is not a key"),
        (f'set = {{ classes = 7 }}\ninput = [4, 9, 9]\n{layers(CONV)}', "E1213", "set", "is not a key"),
    ],
)  # fmt: skip
def test_errors_of_base_and_set_name_the_file_that_says_so(read, text, code, place, fragment):
    found = problem(read, text, shape="")
    assert (found.code, found.place.split("/")[-1]) == (code, f"net.toml: {place}:")
    assert fragment in found.found
    assert str(found).isprintable()


def test_a_value_that_the_base_cannot_take_is_an_error(read):
    assert problem(read, 'base = "resnet20"\nset = { classes = 0 }', shape="").code == "E1212"


# Errors


@pytest.mark.parametrize(
    ("rows", "code", "place", "fragment"),
    [
        ((CONV, '{ op = "relu", from = ["c", "input"] }'), "E1405", "layers[1].from", "relu takes one input, not 2"),
        (('{ op = "relu" }',), "E1407", "layers", "hold no convolution"),
        ((), "E1407", "layers", "hold no convolution"),
        ((CONV, '{ op = "conv", out = 1, kernel = 11 }'), "E1408", "layers[1]", "'conv' would produce (1, -1, -1)"),
        ((CONV, '{ op = "max_pool", kernel = 10 }'), "E1408", "layers[1]", "'max_pool' would produce (4, 0, 0)"),
        ((CONV, '{ op = "adaptive_avg_pool", out = 1000001 }'), "E1408", "layers[1]", "would produce (4, 1000001"),
        ((CONV, '{ op = "adaptive_avg_pool", out = 1000000 }'), "E1408", "layers[1]", "would produce (4, 1000000"),
        (('{ op = "conv", out = 1, kernel = 1, pad = 1000000 }',), "E1408", "layers[0]", "would produce (1, 2000009"),
        (
            ('{ op = "linear", out = 1000000 }', '{ op = "adaptive_avg_pool", out = 9 }',
             '{ op = "linear", out = 1000000 }'),
            "E1408", "layers[2]", "81000000000000 MACs",
        ),
        ((CONV, '{ op = "add" }'), "E1408", "layers[1].from", "add cannot join (4, 9, 9)"),
        (
            (CONV, '{ op = "conv", name = "d", out = 3, kernel = 1 }', '{ op = "add", from = ["c", "d"] }'),
            "E1408", "layers[2].from", "add cannot join (4, 9, 9), (3, 9, 9)",
        ),
        (
            (CONV, '{ op = "max_pool", kernel = 3 }', '{ op = "concat", from = ["c", "max_pool"] }'),
            "E1408", "layers[2].from", "concat cannot join (4, 9, 9), (4, 3, 3)",
        ),
        (('{ op = "conv", out = 4, kernel = 1, groups = 3 }',), "E1409", "layers[0].groups", "3 does not divide 4 and"),
        (('{ op = "conv", out = 6, kernel = 1, groups = 4 }',), "E1409", "layers[0].groups", "4 does not divide 4 and"),
        ((CONV, '{ op = "max_pool", kernel = 3, pad = 2 }'), "E1409", "layers[1].pad", "(2, 2) is more than half of"),
        (('{ op = "conv", kernel = 1 }',), "E1210", "layers[0].out", "is missing"),
        (('{ op = "conv", out = 1 }',), "E1210", "layers[0].kernel", "is missing"),
        (('{ op = "linear" }',), "E1210", "layers[0].out", "is missing"),
        ((CONV, '{ op = "max_pool" }'), "E1210", "layers[1].kernel", "is missing"),
        (('{ op = "conv", out = 1.5, kernel = 1 }',), "E1211", "layers[0].out", "1.5 is not a whole number"),
        (('{ op = "conv", out = true, kernel = 1 }',), "E1211", "layers[0].out", "True is not a whole number"),
        (('{ op = "conv", out = 1, kernel = 1.0 }',), "E1211", "layers[0].kernel", "1.0 is not a whole number"),
        (('{ op = "conv", out = 1, kernel = 1, bias = 1 }',), "E1211", "layers[0].bias", "1 is not true or false"),
        ((CONV, '{ op = "max_pool", kernel = 1, ceil = 1 }'), "E1211", "layers[1].ceil", "1 is not true or false"),
        (('{ op = "conv", out = 1, kernel = 1, shares = 1 }',), "E1211", "layers[0].shares", "1 is not a text"),
        (('{ op = "conv", out = 0, kernel = 1 }',), "E1212", "layers[0].out", "0 is not between 1 and 1000000"),
        (('{ op = "linear", out = 1000001 }',), "E1212", "layers[0].out", "1000001 is not between"),
        (('{ op = "conv", out = 4, kernel = 1, groups = 0 }',), "E1212", "layers[0].groups", "0 is not between"),
        (('{ op = "conv", out = 1, kernel = 0 }',), "E1212", "layers[0].kernel", "0 is not a whole number between 1"),
        (('{ op = "conv", out = 1, kernel = [1, 2, 3] }',), "E1212", "layers[0].kernel", "[1, 2, 3] is not"),
        (('{ op = "conv", out = 1, kernel = [1, true] }',), "E1212", "layers[0].kernel", "[1, True] is not"),
        (('{ op = "conv", out = 1, kernel = 1, pad = -1 }',), "E1212", "layers[0].pad", "-1 is not a whole number"),
        (('{ op = "conv", out = 1, kernel = 1, stride = 0 }',), "E1212", "layers[0].stride", "0 is not a whole number"),
        (('{ op = "conv", out = 1, kernel = 1, width = 1 }',), "E1213", "layers[0].width", "is not a key"),
        (('{ op = "linear", out = 1, kernel = 1 }',), "E1213", "layers[0].kernel", "is not a key"),
    ],
)  # fmt: skip
def test_an_error_is_one_line_with_file_and_key(read, rows, code, place, fragment):
    found = problem(read, layers(*rows))
    assert str(found).startswith(f"{code} ")
    assert found.place.endswith(f"net.toml: {place}:")
    assert fragment in found.found
    assert found.fix
    assert str(found).isprintable()


@pytest.mark.parametrize(
    ("text", "code", "place", "fragment"),
    [
        (f'source = "s"\ninput = [4, 9, 9]\n{layers(CONV)}', "E1210", "title", "is missing"),
        (f'title = "t"\ninput = [4, 9, 9]\n{layers(CONV)}', "E1210", "source", "is missing"),
        (f'title = "t"\nsource = " "\ninput = [4, 9, 9]\n{layers(CONV)}', "E1211", "source", "is blank"),
        (f"{ABOUT}{layers(CONV)}", "E1210", "input", "is missing"),
        (f"{ABOUT}input = 3\n{layers(CONV)}", "E1211", "input", "3 is not [channels, height, width]"),
        (f"{ABOUT}input = [3, 9]\n{layers(CONV)}", "E1211", "input", "[3, 9] is not [channels, height, width]"),
        (f"{ABOUT}input = [3, 9, 0]\n{layers(CONV)}", "E1211", "input", "[3, 9, 0] is not"),
        (f"{ABOUT}input = [3, 9, 9.5]\n{layers(CONV)}", "E1211", "input", "[3, 9, 9.5] is not"),
        (f"{ABOUT}input = [3, 1000000, 1000000]\n{layers(CONV)}", "E1212", "input", "more than 1e+10 elements"),
        (f"{ABOUT}input = [4, 9, 9]", "E1210", "layers", "is missing"),
        (f"{ABOUT}input = [4, 9, 9]\nlayers = 3", "E1211", "layers", "3 is not a list of tables"),
        (f"{ABOUT}input = [4, 9, 9]\nparameters = 3\n{layers(CONV)}", "E1211", "parameters", "3 is not a table"),
        (f"{ABOUT}input = [4, 9, 9]\nblocks = 3\n{layers(CONV)}", "E1211", "blocks", "3 is not a table"),
        (f"{ABOUT}input = [4, 9, 9]\nbatch = 3\n{layers(CONV)}", "E1213", "batch", "is not a key"),
        ("title = ", "E1206", "", "not valid TOML"),
    ],
)  # fmt: skip
def test_an_error_of_the_file_is_one_line_with_file_and_key(read, text, code, place, fragment):
    found = problem(read, text, shape="", about="")
    assert str(found).startswith(f"{code} ")
    assert found.place.endswith(f"net.toml: {place}:" if place else "net.toml:")
    assert fragment in found.found
    assert str(found).isprintable()


def test_an_unknown_name_lists_the_nearest():
    with pytest.raises(UnknownName, match=r"^E1002 network 'resnet19' is not known\. Did you mean .*resnet18"):
        find_network("resnet19")


def test_a_file_that_does_not_exist_is_an_error(tmp_path):
    with pytest.raises(InputError, match=r"^E1201 .*none\.toml does not exist"):
        find_network(str(tmp_path / "none.toml"))


def test_a_folder_is_not_a_network(tmp_path):
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(InputError, match=r"^E1202 .*folder\.toml "):
        find_network(str(tmp_path / "folder.toml"))


def test_a_file_that_is_no_text_is_an_error(tmp_path):
    path = tmp_path / "net.toml"
    path.write_bytes(b"title = \xff")
    with pytest.raises(InputError, match=r"^E1205 .*net\.toml: byte 8: 0xff is not UTF-8"):
        read_network(path)


# Damaged files


def damaged(text, rng):
    """A bundled file, cut short or with a few characters, numbers, words or lines changed."""
    kind = rng.choice(["cut", "characters", "number", "word", "line"])
    if kind == "cut":
        return text[: rng.randrange(len(text))]
    if kind == "characters":
        characters = list(text)
        for _ in range(rng.randint(1, 4)):
            characters[rng.randrange(len(characters))] = rng.choice(["", *' "[}=9-x\né'])
        return "".join(characters)
    if kind == "line":
        lines = text.splitlines(keepends=True)
        place, other = rng.randrange(len(lines)), rng.randrange(len(lines))
        lines[place : place + rng.randint(0, 2)] = [lines[other]]
        return "".join(lines)
    pattern = r"\b\d+\b" if kind == "number" else r'"[a-z0-9_.]+"|\btrue\b|\bfalse\b'
    found = rng.choice(list(re.finditer(pattern, text)))
    values = ["0", "-1", "7", "1.5", "1e9", "99999999999", "true", '"x"', "[]", "[1, 2]", "{ a = 1 }", "1979-05-27"]
    words = ['"input"', '"relu"', '"add"', '""', '["bn2", "input"]', "3", '"kernel"', '"conv"']
    return text[: found.start()] + rng.choice(values if kind == "number" else values + words) + text[found.end() :]


@pytest.mark.parametrize("name", ["resnet18", "googlenet", "alexnet", "mobilenetv2", "googlenet-5x5-aux"])
def test_a_damaged_file_gives_a_network_or_a_line(tmp_path, name):
    text = bundled("networks")[name].read_text(encoding="utf-8")
    path = tmp_path / "net.toml"
    outcomes = []
    for seed in range(200):
        path.write_text(damaged(text, random.Random(seed)), encoding="utf-8")
        outcomes.append(outcome(path))
    assert all(found.isprintable() for found in outcomes if isinstance(found, str))
    networks = [found for found in outcomes if isinstance(found, Network)]
    assert all(network.macs > 0 for network in networks)
    assert len(networks) >= 5  # a comment or a title may change
    assert len({found.split()[0] for found in outcomes if isinstance(found, str)}) >= 4  # codes


def outcome(path):
    """The network, or the one line that says what is wrong."""
    try:
        return read_network(path)
    except PerfModelError as error:
        return str(error)
