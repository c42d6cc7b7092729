"""Rows of a network file: names, `from`, blocks, parameters, `when`, `names`, and the limits of unfolding."""

import time

import pytest

from perfmodel.errors import InputError, PerfModelError
from perfmodel.networks import read_network
from perfmodel.networks.rows import DEEPEST, MOST_ROWS, known

HEAD = 'title = "t"\nsource = "s"\ninput = [4, 9, 9]\n'
CONV = '{ op = "conv", name = "c", out = 4, kernel = 1 }'


@pytest.fixture
def read(tmp_path):
    def read_text(text, head=HEAD):
        path = tmp_path / "net.toml"
        path.write_text(head + text, encoding="utf-8")
        return read_network(path)

    return read_text


def names(network):
    return [layer.name for layer in network.layers]


def inputs(network):
    return {layer.name: layer.inputs for layer in network.layers}


def problem(read, text):
    """The single problem that a text raises."""
    with pytest.raises(PerfModelError) as caught:
        read(text)
    (found,) = caught.value.problems
    return found


# Names


def test_a_row_without_a_name_is_called_by_its_operation_and_a_number(read):
    network = read(f'layers = [{CONV}, {{ op = "relu" }}, {{ op = "relu" }}, {{ op = "dropout" }}, {{ op = "relu" }}]')
    assert names(network) == ["c", "relu", "relu2", "dropout", "relu3"]


def test_an_automatic_name_steps_over_a_given_one(read):
    rows = '{ op = "relu", name = "relu2" }, { op = "relu" }, { op = "relu" }, { op = "relu" }'
    assert names(read(f"layers = [{CONV}, {rows}]")) == ["c", "relu2", "relu", "relu3", "relu4"]


def test_a_block_without_a_name_is_called_by_its_block_even_if_that_ends_in_a_digit(read):
    uses = '{ use = "b1" }, { use = "b1" }, { use = "b1" }'
    text = f'layers = [{CONV}, {uses}]\n[blocks.b1]\nlayers = [{{ op = "relu" }}]'
    assert names(read(text)) == ["c", "b1.relu", "b12.relu", "b13.relu"]


def test_names_inside_a_block_carry_the_name_of_the_row_that_uses_it(read):
    text = f'layers = [{CONV}, {{ use = "b", name = "x.0" }}]\n[blocks.b]\nlayers = [{{ op = "relu", name = "r" }}]'
    assert names(read(text)) == ["c", "x.0.r"]


# `from`


def test_a_row_reads_the_row_before_it_unless_from_says_otherwise(read):
    network = read(
        f"""layers = [
        {CONV},
        {{ op = "relu" }},
        {{ op = "conv", name = "d", out = 4, kernel = 1, from = "c" }},
        {{ op = "conv", name = "e", out = 4, kernel = 1, from = ["input"] }},
        {{ op = "add", from = ["relu", "d", "e"] }},
        {{ op = "dropout" }},
        ]"""
    )
    assert inputs(network) == {
        "c": ("input",), "relu": ("c",), "d": ("c",), "e": ("input",), "add": ("relu", "d", "e"), "dropout": ("add",),
    }  # fmt: skip


def test_input_in_a_block_is_the_input_of_the_block(read):
    text = f"""layers = [{CONV}, {{ op = "relu" }}, {{ use = "b", from = "c" }}]
        [blocks.b]
        layers = [{{ op = "relu6" }}, {{ op = "add", from = ["relu6", "input"] }}]"""
    assert inputs(read(text))["b.add"] == ("b.relu6", "c")


def test_the_name_of_a_block_stands_for_its_last_layer(read):
    text = f"""layers = [{CONV}, {{ use = "b" }}, {{ op = "dropout", from = "c" }}, {{ op = "add", from = ["b", "c"] }}]
        [blocks.b]
        layers = [{{ op = "relu" }}, {{ op = "relu6" }}]"""
    assert inputs(read(text))["add"] == ("b.relu6", "c")


def test_a_block_whose_rows_are_all_left_out_passes_its_input_on(read):
    text = f"""parameters = {{ more = false }}
        layers = [{CONV}, {{ use = "b" }}, {{ op = "relu" }}, {{ op = "add", from = ["b", "relu"] }}]
        [blocks.b]
        layers = [{{ op = "relu6", when = "more" }}]"""
    assert inputs(read(text)) == {"c": ("input",), "relu": ("c",), "add": ("c", "relu")}


def test_names_of_another_scope_cannot_be_reached(read):
    inside = f'layers = [{CONV}, {{ use = "b" }}, {{ op = "relu", from = "b.r" }}]\n'
    inside += '[blocks.b]\nlayers = [{ op = "relu", name = "r" }]'
    assert problem(read, inside).code == "E1405"
    outside = f'layers = [{CONV}, {{ use = "b" }}]\n[blocks.b]\nlayers = [{{ op = "relu", from = "c" }}]'
    assert problem(read, outside).code == "E1405"


# `names`


def test_names_repeats_a_layer_each_reading_the_one_before(read):
    rows = '{ op = "relu" }, { op = "conv", names = ["x", "y"], out = 4, kernel = 1, from = "c" }'
    assert inputs(read(f"layers = [{CONV}, {rows}]")) == {"c": ("input",), "relu": ("c",), "x": ("c",), "y": ("x",)}


def test_names_repeats_a_block(read):
    text = f"""layers = [{CONV}, {{ use = "b", names = ["s.0", "s.1"] }}, {{ op = "dropout" }}]
        [blocks.b]
        layers = [{{ op = "relu" }}, {{ op = "add", from = ["relu", "input"] }}]"""
    assert inputs(read(text)) == {
        "c": ("input",),
        "s.0.relu": ("c",), "s.0.add": ("s.0.relu", "c"),
        "s.1.relu": ("s.0.add",), "s.1.add": ("s.1.relu", "s.0.add"),
        "dropout": ("s.1.add",),
    }  # fmt: skip


# Parameters and blocks in blocks


def test_blocks_in_blocks_hand_parameters_down(read):
    text = f"""parameters = {{ wide = 6 }}
        layers = [{CONV}, {{ use = "outer", name = "o", out = "wide" }}]
        [blocks.outer]
        layers = [{{ use = "inner", name = "i", out = "out", kernel = 3 }}, {{ use = "inner", name = "j", out = 5 }}]
        [blocks.inner]
        parameters = {{ kernel = 1 }}
        layers = [{{ op = "conv", out = "out", kernel = "kernel" }}]"""
    network = read(text)
    assert names(network) == ["c", "o.i.conv", "o.j.conv"]
    assert [layer.out_shape for layer in network.layers] == [(4, 9, 9), (6, 7, 7), (5, 7, 7)]


def test_a_given_parameter_beats_the_blocks_default_which_beats_the_files(read):
    text = """parameters = { out = 3 }
        layers = [{ use = "plain" }, { use = "preset" }, { use = "preset", out = 7 }]
        [blocks.plain]
        layers = [{ op = "conv", out = "out", kernel = 1 }]
        [blocks.preset]
        parameters = { out = 5 }
        layers = [{ op = "conv", out = "out", kernel = 1 }]"""
    assert [layer.out_shape[0] for layer in read(text).layers] == [3, 5, 7]


def test_parameters_may_be_true_or_false_and_pairs(read):
    text = """parameters = { bias = false, kernel = [1, 3] }
        layers = [{ op = "conv", out = 2, kernel = "kernel", bias = "bias" }]"""
    (layer,) = read(text).layers
    assert (layer.kernel, layer.bias) == ((1, 3), False)


@pytest.mark.parametrize(("value", "kept"), [("true", ["c", "relu"]), ("false", ["c", "dropout"])])
def test_when_keeps_a_row_if_the_parameter_is_true_or_not(read, value, kept):
    rows = '{ op = "relu", when = "on" }, { op = "dropout", when = "not on" }'
    assert names(read(f"parameters = {{ on = {value} }}\nlayers = [{CONV}, {rows}]")) == kept


def test_the_next_row_reads_past_a_row_that_is_left_out(read):
    rows = '{ op = "relu", when = "on" }, { op = "dropout" }'
    assert inputs(read(f"parameters = {{ on = false }}\nlayers = [{CONV}, {rows}]"))["dropout"] == ("c",)


# Limits


def chain(depth):
    """A file whose blocks nest `depth` deep."""
    blocks = "".join(f'[blocks.b{i}]\nlayers = [{{ use = "b{i + 1}" }}]\n' for i in range(1, depth))
    return f'layers = [{CONV}, {{ use = "b1" }}]\n{blocks}[blocks.b{depth}]\nlayers = [{{ op = "relu" }}]\n'


def test_blocks_nest_as_deep_as_allowed_and_no_deeper(read):
    assert len(read(chain(DEEPEST)).layers) == 2
    found = problem(read, chain(DEEPEST + 1))
    assert found.code == "E1403"
    assert f"more than {DEEPEST} deep" in found.found


@pytest.mark.parametrize(
    "blocks",
    [
        '[blocks.a]\nlayers = [{ use = "a" }]',
        '[blocks.a]\nlayers = [{ op = "relu" }, { use = "b" }, { use = "a" }]\n[blocks.b]\nlayers = [{ use = "a" }]',
    ],
)
def test_a_block_that_uses_itself_is_an_error(read, blocks):
    assert problem(read, f'layers = [{CONV}, {{ use = "a" }}]\n{blocks}').code == "E1403"


@pytest.mark.parametrize("innermost", ['{ op = "relu" }', "", '{ op = "relu", when = "off" }'])
def test_blocks_that_multiply_stop_quickly(read, innermost):
    levels = 10
    text = f'parameters = {{ off = false }}\nlayers = [{CONV}, {{ use = "b0" }}]\n'
    for i in range(levels):
        ten = ", ".join([f'{{ use = "b{i + 1}" }}'] * 10)
        text += f"[blocks.b{i}]\nlayers = [{ten}]\n"
    text += f"[blocks.b{levels}]\nlayers = [{innermost}]\n"
    start = time.perf_counter()
    found = problem(read, text)
    assert time.perf_counter() - start < 10  # unfolded, it would be 10^10 blocks
    assert (found.code, f"more than {MOST_ROWS} rows" in found.found) == ("E1403", True)


def test_as_many_rows_as_allowed_and_no_more(read):
    rows = ", ".join([CONV, *['{ op = "relu" }'] * (MOST_ROWS - 1)])
    start = time.perf_counter()
    assert len(read(f"layers = [{rows}]").layers) == MOST_ROWS
    assert time.perf_counter() - start < 20  # naming the rows must not take time square in their number
    assert problem(read, f'layers = [{rows}, {{ op = "relu" }}]').code == "E1403"
    many = ", ".join(f'"n{i}"' for i in range(MOST_ROWS))
    assert problem(read, f'layers = [{CONV}, {{ op = "relu", names = [{many}] }}]').code == "E1403"


# Errors


@pytest.mark.parametrize(
    ("text", "code", "place", "fragment"),
    [
        (f'layers = [{CONV}, {{ op = "conv3d" }}]', "E1401", "layers[1].op", "'conv3d' is no operation"),
        (f'layers = [{CONV}, {{ use = "b" }}]', "E1402", "layers[1].use", "'b' is no block"),
        (f'layers = [{CONV}, {{ op = "relu", name = "c" }}]', "E1404", "layers[1].name", "'c' is taken"),
        (f'layers = [{CONV}, {{ op = "relu", name = "input" }}]', "E1404", "layers[1].name", "'input' is taken"),
        (f'layers = [{CONV}, {{ op = "relu", name = "" }}]', "E1404", "layers[1].name", "'' is no name"),
        (f'layers = [{CONV}, {{ op = "relu", name = "a\\nb" }}]', "E1404", "layers[1].name", "'a\\nb' is no name"),
        (f'layers = [{CONV}, {{ op = "relu", names = [] }}]', "E1404", "layers[1].names", "is empty"),
        (f'layers = [{CONV}, {{ op = "relu", names = ["a", 1] }}]', "E1404", "layers[1].names", "1 is no name"),
        (f'layers = [{CONV}, {{ op = "relu", names = ["a", "a"] }}]', "E1404", "layers[1].names", "'a' is taken"),
        (
            f'layers = [{CONV}, {{ op = "relu", name = "b.relu" }}, {{ use = "b" }}]\n'
            '[blocks.b]\nlayers = [{ op = "relu" }]',
            "E1404", "blocks.b.layers[0].name", "'b.relu' is taken",
        ),
        (f'layers = [{CONV}, {{ op = "relu", from = "d" }}]', "E1405", "layers[1].from", "'d' is no earlier row"),
        (f'layers = [{CONV}, {{ op = "relu", from = [1] }}]', "E1405", "layers[1].from", "1 is no earlier row"),
        (f'layers = [{CONV}, {{ op = "relu", from = [] }}]', "E1405", "layers[1].from", "is empty"),
        (
            f'layers = [{CONV}, {{ use = "b", from = ["c", "input"] }}]\n[blocks.b]\nlayers = [{{ op = "relu" }}]',
            "E1405", "layers[1].from", "a block takes one input, not 2",
        ),
        ('layers = [{ op = "conv", out = "wide", kernel = 1 }]', "E1406", "layers[0].out", "'wide' is no parameter"),
        (f'layers = [{CONV}, {{ op = "relu", when = "on" }}]', "E1406", "layers[1].when", "'on' is no true-or-false"),
        (
            f'parameters = {{ on = 1 }}\nlayers = [{CONV}, {{ op = "relu", when = "not on" }}]',
            "E1406", "layers[1].when", "'on' is no true-or-false",
        ),
        (
            'layers = [{ use = "b", out = 3, strid = 2 }]\n[blocks.b]\nparameters = { stride = 1 }\n'
            'layers = [{ op = "conv", out = "out", kernel = 1, stride = "stride" }]',
            "E1406", "layers[0].use", "block b has no parameter 'strid'",
        ),
        (f'layers = [{CONV}, {{ name = "x" }}]', "E1210", "layers[1].op", "is missing"),
        (f'layers = [{CONV}, {{ op = 7 }}]', "E1211", "layers[1].op", "7 is not a text"),
        (f'layers = [{CONV}, {{ op = " " }}]', "E1211", "layers[1].op", "is blank"),
        (f'layers = [{CONV}, {{ use = true }}]', "E1211", "layers[1].use", "True is not a text"),
        (f'layers = [{CONV}, {{ op = "relu", names = "a" }}]', "E1211", "layers[1].names", "'a' is not a list"),
        (f"layers = [{CONV}, 3]", "E1211", "layers[1]", "3 is not a table"),
        (f'layers = [{CONV}, {{ use = "b" }}]\nblocks = {{ b = 3 }}', "E1211", "blocks.b", "3 is not a table"),
        (f'layers = [{CONV}, {{ use = "b" }}]\n[blocks.b]\n', "E1210", "blocks.b.layers", "is missing"),
        (f'layers = [{CONV}, {{ use = "b" }}]\n[blocks.b]\nlayers = [7]', "E1211", "blocks.b.layers[0]", "7 is not a"),
        (f'layers = [{CONV}, {{ use = "b" }}]\n[blocks.b]\nrows = 1\nlayers = []', "E1213", "blocks.b.rows", "not a"),
        (
            f'layers = [{CONV}, {{ use = "b", op = "relu" }}]\n[blocks.b]\nlayers = [{{ op = "relu" }}]',
            "E1213", "layers[1].op", "not a key",
        ),
        (f'layers = [{CONV}, {{ op = "relu", name = "a", names = ["b"] }}]', "E1213", "layers[1].name", "not a key"),
        (f'layers = [{CONV}, {{ op = "relu", kernel = 3 }}]', "E1213", "layers[1].kernel", "not a key"),
    ],
)  # fmt: skip
def test_an_error_is_one_line_with_file_and_key(read, text, code, place, fragment):
    found = problem(read, text)
    line = str(found)
    assert line.startswith(f"{code} ")
    assert found.place.endswith(f"net.toml: {place}:")
    assert fragment in found.found
    assert found.fix
    assert line.isprintable()  # one line, nothing that a terminal would act on


def test_an_error_names_what_there_was_to_choose_from(read):
    assert "Known: input, c." in str(problem(read, f'layers = [{CONV}, {{ op = "relu", from = "d" }}]'))
    assert "Known: b." in str(problem(read, f'layers = [{CONV}, {{ use = "c" }}]\n[blocks.b]\nlayers = []'))


def test_what_there_was_to_choose_from_stays_one_short_line():
    assert known([]) == "Known: none."
    assert known(["a\nb", "it's"]) == "Known: a\\nb, it's."
    assert len(known(f"row{i}" for i in range(10_000))) < 320


def test_errors_are_input_errors(read):
    with pytest.raises(InputError):
        read("layers = []")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("parameters = { " + ", ".join(f"p{i} = 1" for i in range(1001)) + " }\n", "E1403"),
        ("", "E1405"),
    ],
)
def test_what_would_take_too_long_is_refused(tmp_path, text, code):
    many = ", ".join(['"a"'] * 257)
    rows = '{ op = "conv", name = "a", out = 1 },\n' + (
        f'{{ op = "concat", from = [{many}] }},\n' if code == "E1405" else ""
    )
    path = tmp_path / "n.toml"
    path.write_text(f'title = "t"\nsource = "s"\ninput = [1, 3, 3]\n{text}layers = [\n{rows}]\n')
    with pytest.raises(InputError, match=f"^{code} "):
        read_network(path)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("parameters = { clases = 7 }\n", r"E1406 .*: parameters\.clases: is named by no row\."),
        ("[blocks.pair]\nlayers = []\n", r"E1402 .*: blocks\.pair: is used by no row\."),
        ('[blocks.pair]\nlayers = [{ use = ["x"] }]\n', r"E1402 .*: blocks\.pair: is used by no row\."),
        ("[blocks]\npair = 7\n", r"E1211 .*: blocks\.pair: 7 is not a table\."),
        ("[blocks.pair]\nlayers = 7\n", r"E1211 .*: blocks\.pair\.layers: 7 is not a list of tables\."),
    ],
)
def test_what_nothing_uses_is_a_typing_slip(tmp_path, text, line):
    path = tmp_path / "n.toml"
    head = 'title = "t"\nsource = "s"\ninput = [1, 3, 3]\nlayers = [{ op = "linear", out = 2 }]\n'
    path.write_text(head + text)
    with pytest.raises(InputError, match=rf"^{line}"):
        read_network(path)
