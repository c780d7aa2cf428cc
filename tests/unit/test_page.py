"""The static page: formulas a browser draws by itself, no script, no host; answers folded."""

import json
import re
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat", reason="needs the notebook packages")
pages = pytest.importorskip("kdutils.course.page", reason="needs the notebook packages", exc_type=ImportError)

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
ASKING = re.compile(r"""(?:src|href)=["']?(https?:)?//(?!www\.w3\.org)|@import|url\(["']?(https?:)?//|<script""")


def notebook(*texts):
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text) for text in texts])


def test_a_formula_becomes_mathml_and_code_stays():
    text = "The gain $p_k = \\frac{a}{b}$, `$HOME`, and\n\n$$x^2 * y_1 * z_2$$\n\n```\n$5 and $6\n```"
    drawn = pages.page(notebook(text), "tiny")
    assert drawn.count("<math ") == 2 and "<mfrac>" in drawn and 'display="block"' in drawn
    assert "$HOME" in drawn and "$5 and $6" in drawn
    assert "<em>" not in drawn and "\\frac{a}{b}$" not in drawn and "kdformula" not in drawn
    assert 'aria-label="p_k = \\frac{a}{b}"' in drawn


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_page_asks_no_host_and_draws_every_formula(path):
    """Catches a TeX command that the converter leaves as text, and a host of a new version of the converter."""
    stored = nbformat.read(path, as_version=4)
    drawn = pages.page(stored, path.stem)
    texts = "\n".join(cell.source for cell in stored.cells if cell.cell_type == "markdown")
    body = drawn[drawn.index("<main>"):]
    assert (body.count("<math ") > 0) == ("$" in texts)
    assert "kdformula" not in drawn and "$$" not in body
    assert not [found for found in re.findall(r"<m\w+[^>]*>([^<]*)</m", body) if "\\" in found], "a command as text"
    links = re.sub(r'<a [^>]*href="[^"]*"', "<a", drawn)  # a reader may follow a link; the page itself asks nobody
    assert not ASKING.search(links), ASKING.search(links)


def test_a_host_would_be_found():
    for asking in ('<script src="x.js">', '<img src="https://a.b/c.png">', "@import 'x'", "url(//a.b/c.woff)"):
        assert ASKING.search(asking), asking
    assert not ASKING.search('<svg xmlns="http://www.w3.org/2000/svg">')


def test_the_answer_of_a_prediction_is_folded(monkeypatch):
    """Catches a page for a phone that prints the answer three lines below its question."""
    from kdutils.course.predict import Prediction

    monkeypatch.setenv("KDUTILS_HEADLESS", "1")
    asked = Prediction("Which <T>?", ["4", "16"], answer="16", because="It is softer.")
    question = asked._repr_mimebundle_()["text/html"]
    told = asked.reveal()._repr_mimebundle_()["text/html"]
    assert question.count("<details>") == 2 and "That is what happens." in question.split("16")[1]
    outside = re.sub(r"<details>.*?</details>", "", question + told, flags=re.DOTALL)
    assert "softer" not in outside and "happens" not in outside and "Which &lt;T&gt;?" in outside
    assert "What happens: 16." in told and json.dumps(told)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_handout_has_the_formula_three_figures_and_questions_without_answers(path):
    stored = nbformat.read(path, as_version=4)
    figures = [cell for cell in stored.cells if cell.cell_type == "code" and "handout" in cell.metadata.get("tags", [])]
    assert len(figures) == 3
    for cell in figures:  # as a run leaves them
        cell.outputs = [nbformat.v4.new_output("display_data", {"text/html": "<b>a figure</b>"})]
    drawn = pages.handout(stored, path.stem)
    body = drawn[drawn.index("<main>"):]
    assert body.count("<b>a figure</b>") == 3 and 'display="block"' in body
    assert "**Right" not in body and "<strong>Right" not in body and "<details>" not in body
    assert 4 <= body.count("<h4") <= 6 and body.count("<li>") >= 12
