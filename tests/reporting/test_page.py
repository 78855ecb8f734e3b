"""The page of a comparison: by its text, and in a real browser where there is one."""

import json
import re
import shutil
import subprocess
from html import escape, unescape
from html.parser import HTMLParser

import pytest

from ctxext.reporting.page import as_html
from ctxext.reporting.sheet import sheet

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
in_browser = pytest.mark.skipif(
    BROWSER is None, reason="needs a browser: no chromium, chromium-browser or google-chrome on the PATH"
)
WIDE, PHONE = (1280, 900), (390, 844)
HOSTILE = "<script>document.title='broken'</script>|*&\"'`"
# A frame of the page's size, since a window has a least width; what the script finds becomes the wrapper's title.
FRAME = """<!doctype html><body style="margin:0">
<iframe id="frame" style="border:0" width="{width}" height="{height}" srcdoc="{page}"></iframe>
<script>frame.addEventListener("load", () => {{
  const inside = frame.contentDocument, root = inside.documentElement;
  const boxes = [...inside.querySelectorAll(".scroll")].map((box) => box.getBoundingClientRect().right);
  document.title = JSON.stringify({{title: inside.title, width: root.scrollWidth, height: root.scrollHeight,
    right: Math.max(...boxes), scripts: inside.scripts.length, text: inside.body.innerText}});
}});</script>"""

TAGS = (
    "main",
    "section",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "svg",
    "g",
    "figure",
    "ul",
    "ol",
    "aside",
    "header",
)


class Tree(HTMLParser):
    """The tags of a page, which must be closed in the order in which they were opened."""

    def __init__(self, page):
        super().__init__()
        self.open, self.attributes, self.seen = [], [], set()
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.seen.add(tag)
        self.attributes += attributes
        if tag in TAGS:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag in TAGS:
            assert self.open.pop() == tag


def browse(path, *options):
    """What the browser prints of the page in `path`, and what it says on the console."""
    own = path.parent / "profile"
    command = [
        BROWSER,
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        f"--user-data-dir={own}",
    ]
    command += ["--enable-logging=stderr", "--virtual-time-budget=3000", *options, path.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def framed(page, size, tmp_path):
    """Write `page` into a frame of `size`, and return the path."""
    path = tmp_path / "frame.html"
    path.write_text(FRAME.format(width=size[0], height=size[1], page=escape(page)), encoding="utf-8")
    return path


def test_the_page_is_one_well_formed_file_that_asks_for_nothing_else(comparison):
    page = as_html(comparison)
    tree = Tree(page)
    assert tree.open == []
    assert "script" not in tree.seen
    links = [value for name, value in tree.attributes if name in ("src", "href", "srcset", "action", "data")]
    assert links
    assert all(link.startswith("#") for link in links)
    assert "url(" not in page.replace("url(#", "")
    assert "@import" not in page
    assert not [name for name, _ in tree.attributes if name.startswith("on")]
    assert "default-src 'none'" in page
    assert "prefers-color-scheme" in page
    assert '<meta name="viewport" content="width=device-width' in page
    assert len(page) < 100_000


def test_every_link_and_label_has_its_target(comparison):
    page = as_html(comparison)
    identities = re.findall(r' id="([^"]+)"', page)
    assert len(set(identities)) == len(identities)
    wanted = re.findall(r'href="#([^"]+)"', page) + re.findall(r"url\(#([^)]+)\)", page)
    wanted += " ".join(re.findall(r'aria-labelledby="([^"]+)"', page)).split()
    assert set(wanted) <= set(identities)


def test_every_cell_of_the_comparison_is_on_the_page(comparison):
    page = as_html(comparison)
    text = unescape(re.sub(r"<[^>]+>", "", page))
    for block in sheet(comparison).blocks:
        for cell in (cell for row in block.rows for cell in row):
            first, _, second = re.sub(r" \[\d+\]$", "", cell).partition("\n")
            assert first in text
            assert second in text
    for sentence in [comparison["verdict"], *comparison["warnings"], "out of memory at batch 1"]:
        assert sentence in text


def test_text_of_users_is_shown_and_never_markup(comparison):
    for key in ("verdict",):
        comparison[key] = HOSTILE
    comparison["warnings"] = comparison["missing"] = comparison["same"] = [HOSTILE]
    comparison["config"]["differ"].append({"key": HOSTILE, "values": {"A": HOSTILE}})
    for table in comparison["tables"]:
        table["title"] = table["measure"] = table["note"] = HOSTILE
        table["rows"][-1]["missing"], table["rows"][-1]["values"] = {"128": HOSTILE}, {"512": {"value": 0.5}}
    for row in [*comparison["differences"], *comparison["export"], *comparison["effective_length"]]:
        row["measure"] = row["format"] = row["label"] = row["reason"] = row["rule"] = HOSTILE
    page = as_html(comparison)
    assert "<script" not in page
    assert Tree(page).open == []
    assert page.count(escape(HOSTILE)) > 10


def test_each_picture_has_a_text_for_those_who_do_not_see_it(comparison):
    page = as_html(comparison)
    texts = re.findall(r"<desc[^>]*>(.*?)</desc>", page, re.DOTALL)
    assert len(texts) == page.count('role="img"') == 3
    assert "perplexity against length in tokens, trained at 256." in texts[0]
    assert "22.2 at 1024" in texts[0]
    assert "1 at no filler" in texts[1]


def test_a_comparison_with_nothing_measured_is_still_a_page(comparison):
    for key in ("tables", "differences", "effective_length", "cost", "export", "missing", "warnings"):
        comparison[key] = []
    page = as_html(comparison)
    assert Tree(page).open == []
    assert "<svg" not in page


@in_browser
@pytest.mark.parametrize(("which", "size"), [("comparison", PHONE), ("many", PHONE), ("many", WIDE)])
def test_in_a_browser_nothing_sticks_out_and_no_script_of_a_name_runs(size, which, request, tmp_path):
    page = as_html(request.getfixturevalue(which))
    dom, said = browse(framed(page, size, tmp_path), "--dump-dom", "--window-size=1400,1000")
    found = json.loads(unescape(re.search("<title>(.*?)</title>", dom, re.DOTALL)[1]))
    assert said == []
    assert found["width"] == size[0]
    assert found["right"] <= size[0]
    assert found["scripts"] == 0
    assert found["title"].endswith("runs side by side")
    for text in ("<script>document.title", "Perplexity", "Effective length", "out of memory at batch 1", "23.05"):
        assert text in found["text"]


@in_browser
def test_in_a_browser_the_file_itself_is_drawn_and_says_nothing_on_the_console(comparison, tmp_path):
    path, picture = tmp_path / "page.html", tmp_path / "page.png"
    path.write_text(as_html(comparison), encoding="utf-8")
    _, said = browse(path, f"--screenshot={picture}", f"--window-size={WIDE[0]},{WIDE[1]}")
    content = picture.read_bytes()
    assert said == []
    assert content.startswith(b"\x89PNG")
    assert int.from_bytes(content[20:24], "big") == WIDE[1]
    assert len(content) > 20_000
