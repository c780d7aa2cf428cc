"""The HTML page of every notebook as a file, with the network off: on a phone and on a laptop."""

from axe_playwright_python.sync_playwright import Axe

# What stands out of the page to the right: not what scrolls inside itself.
WIDER = """() => document.documentElement.scrollWidth - document.documentElement.clientWidth"""
UNDRAWN = """() => [...document.querySelectorAll('math')].filter(one => {
    for (let at = one; at; at = at.parentElement) if (at.tagName === 'DETAILS' && !at.open) return false;
    const box = one.getBoundingClientRect(); return box.width < 3 || box.height < 3; }).length"""


def test_the_page_is_read_without_a_network(notebook, execute, browser):
    """Catches a formula left as TeX, a table that pushes a phone's page sideways or is left as its source (a bar
    in a cell is enough), a script from another host; words too pale for their ground, a link that only its colour
    marks.
    """
    html = execute(notebook, profile="smoke").html
    for width, height in ((360, 740), (1280, 800)):
        context = browser.new_context(viewport={"width": width, "height": height}, offline=True)
        page, asked, said = context.new_page(), [], []
        page.on("request", lambda request, asked=asked: asked.append(request.url))
        page.on("console", lambda line, said=said: said.append(line.text))
        page.on("pageerror", lambda error, said=said: said.append(str(error)))
        page.goto(html.as_uri())
        assert [url for url in asked if not url.startswith("data:")] == [html.as_uri()]
        assert not said
        assert "|---" not in page.inner_text("body"), "a table was not drawn"
        assert page.evaluate(WIDER) <= 0, f"{width} px: the page is {page.evaluate(WIDER)} px wider"
        assert page.evaluate(UNDRAWN) == 0
        assert page.evaluate("document.querySelectorAll('details details[open]').length") == 0
        for one in page.locator("img").all():
            assert one.get_attribute("alt")
        if width > 700:  # the words are the same on a phone
            found = Axe().run(page).response["violations"]
            assert not [(one["id"], one["nodes"][0]["html"]) for one in found
                        if one["impact"] in ("serious", "critical")]
        context.close()
