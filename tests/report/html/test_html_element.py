"""Elements: what is escaped, and that there is no way around it."""

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from perfmodel.report.html.element import Element, Trusted, render
from perfmodel.report.html.page import json_text
from perfmodel.report.table import visible


class Parsed(HTMLParser):
    def __init__(self, markup):
        super().__init__(convert_charrefs=True)
        self.tags, self.texts = [], []
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, attrs))

    def handle_data(self, data):
        self.texts.append(data)


@given(st.text(), st.text())
def test_text_and_attributes_come_out_as_they_went_in(text, value):
    found = Parsed(render(Element("p", text, title=value)))
    assert found.tags == [("p", [("title", visible(value))])]
    assert "".join(found.texts) == visible(text)


def test_attributes():
    made = Element("td", class_="number", data_value=0.1, hidden=True, title=None, open_=False)
    assert render(made) == '<td class="number" data-value="0.1" hidden></td>'
    assert render(Element("br")) == "<br>"
    assert render(Element("p", None, Trusted("<b>1</b>"), "<")) == "<p><b>1</b>&lt;</p>"


def test_json_cannot_end_its_script():
    text = json_text({"a": "</ScRiPt><!-- & \u2028"})
    assert text == '{"a":"\\u003c/ScRiPt\\u003e\\u003c!-- \\u0026 \\u2028"}'
