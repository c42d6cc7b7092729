"""The examples of docs/quantisers.md give what it shows, and it names every module."""

import doctest
import re
from pathlib import Path

import perfmodel.quantisers

PAGE = (Path(__file__).parents[2] / "docs" / "quantisers.md").read_text(encoding="utf-8")


def test_the_examples_give_what_the_page_shows():
    text = re.sub(r"^```.*$", "", PAGE, flags=re.MULTILINE)
    examples = doctest.DocTestParser().get_doctest(text, {}, "docs/quantisers.md", None, 0)
    results = doctest.DocTestRunner().run(examples)
    assert results.attempted >= 9
    assert results.failed == 0


def test_every_family_is_on_the_page():
    modules = {path.stem for path in Path(perfmodel.quantisers.__file__).parent.glob("*.py")}
    inner = {"__init__", "tensors", "philox", "casts", "update"}
    assert {name for name in modules - inner if f"`{name}`" not in PAGE} == set()
