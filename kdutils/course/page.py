"""The static HTML page of an executed notebook: for a phone, in a train, with no network at all.

Formulas are MathML, which browsers draw themselves, and there is no script: nbconvert's own page asks another host for
MathJax and for mermaid.
"""

import copy
import html
import re

import latex2mathml.converter
from nbconvert import HTMLExporter
from nbconvert.preprocessors import TagRemovePreprocessor
from nbformat import NotebookNode

from kdutils.course.session import RECORD
from kdutils.live.settings import LOOK

_CODE = re.compile(r"(^```.*?^```|`[^`\n]+`)", re.MULTILINE | re.DOTALL)
_FORMULA = re.compile(r"\$\$(?P<display>.+?)\$\$|(?<![\\$])\$(?P<inline>[^$\n]+?)(?<!\\)\$", re.DOTALL)
_ANSWER = re.compile(r"<details><summary>(.*?)</summary>.*?</details>\n?", re.DOTALL)
_SCRIPT = re.compile(r"<script\b.*?</script>", re.IGNORECASE | re.DOTALL)
# What is wider than a phone scrolls inside itself, not the page.
STYLE = """<style>
.jp-RenderedHTMLCommon table, .formula { display: block; max-width: 100%; overflow-x: auto; }
.formula { padding: .3em 0; overflow-y: hidden; }
.jp-RenderedHTMLCommon pre, .jp-OutputArea-output pre, .jp-InputArea-editor { max-width: 100%; overflow-x: auto; }
.jp-RenderedImage img { max-width: 100%; height: auto; }
.jp-Cell details { margin: .3em 0; }
/* Readers who see colours badly: words as dark as they must be on their ground, links that are not known by colour. */
html:root { --jp-cell-prompt-not-active-opacity: 1; --jp-cell-editor-background: #fff; }
.jp-RenderedHTMLCommon a:not(.anchor-link) { text-decoration: underline; }
@media (max-width: 700px) {
  body.jp-Notebook { padding: 4px; }
  .jp-InputPrompt, .jp-OutputPrompt { display: none; }
  .jp-Cell { padding: 2px; }
  .jp-RenderedHTMLCommon, .jp-OutputArea-output { overflow-wrap: anywhere; min-width: 0; }
  .jp-RenderedHTMLCommon table { overflow-wrap: normal; }
  .jp-Cell-inputWrapper, .jp-Cell-outputWrapper, .jp-InputArea, .jp-OutputArea-child { min-width: 0; max-width: 100%; }
}
</style>"""


def page(executed: NotebookNode, title: str) -> str:
    """The page as one file of HTML that asks no host for anything.

    Code that JupyterLab folds, which holds the answer of a prediction, is left out of it: nbconvert knows a tag for
    that, and not JupyterLab's mark.
    """
    shown, formulas = copy.deepcopy(executed), {}
    for cell in shown.cells:
        if cell.metadata.get("jupyter", {}).get("source_hidden"):
            cell.metadata["tags"] = [*cell.metadata.get("tags", []), "folded"]
        if "outputs" in cell:  # a quiet record has nothing for the eye, of which nbconvert would warn
            cell.outputs = [output for output in cell.outputs if set(output.get("data", {})) != {RECORD}]
        if cell.cell_type == "markdown":
            cell.source = _with_marks(cell.source, formulas)
    exporter = HTMLExporter(require_js_url="", jquery_url="", mathjax_url="")
    exporter.register_preprocessor(TagRemovePreprocessor(remove_input_tags={"folded"}), enabled=True)
    text, _ = exporter.from_notebook_node(shown, {"metadata": {"name": title}})
    text = _SCRIPT.sub("", text)
    for mark, formula in formulas.items():
        text = text.replace(mark, formula)
    return text.replace("</head>", f"{STYLE}</head>", 1)


def handout(executed: NotebookNode, title: str) -> str:
    """One page to print: the formula, three figures and the questions of the recall, of the cells tagged `handout`."""
    shown = copy.deepcopy(executed)
    shown.cells = [cell for cell in shown.cells if "handout" in cell.metadata.get("tags", [])]
    for cell in shown.cells:
        if cell.cell_type == "code":  # the figure alone
            cell.metadata["jupyter"] = {"source_hidden": True}
            cell.outputs = [one for one in cell.outputs if LOOK not in one.get("data", {}).get("text/html", "")]
        else:
            cell.source = _ANSWER.sub(r"- \1\n", cell.source)
    head = NotebookNode(cell_type="markdown", id="title", metadata={}, source=f"# {title.replace('_', ' ')}")
    shown.cells.insert(0, head)
    return page(shown, title)


def mathml(formula: str, display: bool = False) -> str:
    """A TeX formula as MathML, with its TeX as the label that a screen reader may say."""
    drawn = latex2mathml.converter.convert(formula.strip(), display="block" if display else "inline")
    label = html.escape(" ".join(formula.split()))
    drawn = drawn.replace("<math ", f'<math aria-label="{label}" ', 1)
    return f'<span class="formula">{drawn}</span>' if display else drawn


def _with_marks(source: str, formulas: dict[str, str]) -> str:
    """The Markdown with a mark for each formula, which Markdown leaves alone; fills `formulas`: {mark: MathML}."""
    def marked(match: re.Match) -> str:
        mark = f"kdformula{len(formulas):04d}end"
        formulas[mark] = mathml(match["display"] or match["inline"], match["display"] is not None)
        return mark

    pieces = _CODE.split(source)  # code at every other place
    return "".join(piece if place % 2 else _FORMULA.sub(marked, piece) for place, piece in enumerate(pieces))
