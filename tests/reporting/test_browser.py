"""The pages in a real browser: headless Chromium, driven through WebDriver and its DevTools protocol."""

import dataclasses
import json
import shutil
from types import SimpleNamespace

import pytest
from selenium.webdriver import Chrome, ChromeOptions, ChromeService, Keys
from selenium.webdriver.common.by import By

from lingjax.reporting import as_html, write_report_page, write_table
from lingjax.reporting.page import as_page

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
HOSTILE = "\"'><script>document.title='broken'</script><img src=x onerror=\"document.title='broken'\">"

# How many texts figures have, and those that reach beyond the box of their SVG.
CUT_OFF = """
const cut = [];
const texts = [...document.querySelectorAll("svg[role=img] text")];
for (const text of texts) {
  const box = text.getBoundingClientRect(), frame = text.closest("svg").getBoundingClientRect();
  const beyond = Math.max(frame.left - box.left, box.right - frame.right,
                          frame.top - box.top, box.bottom - frame.bottom);
  if (!box.width || beyond > 1) cut.push(`${text.textContent}: ${beyond}`);
}
return [texts.length, cut];
"""

pytestmark = pytest.mark.skipif(
    not (BROWSER and DRIVER), reason="Chromium and its driver are not installed: apt install chromium chromium-driver"
)

# The least contrast (WCAG 2.2, 1.4.3) between a text and the nearest opaque background behind it, and that text.
LEAST_CONTRAST = """
const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
const seen = new Map();
const channels = (css) => {
  if (!seen.has(css)) {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = css; canvas.fillRect(0, 0, 1, 1);
    seen.set(css, Array.from(canvas.getImageData(0, 0, 1, 1).data));
  }
  return seen.get(css);
};
const luminance = (rgb) => rgb.slice(0, 3)
  .map((c) => c / 255).map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
  .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
const background = (element) => {
  for (let e = element; e; e = e.parentElement) {
    const found = channels(getComputedStyle(e).backgroundColor);
    if (found[3] === 255) return found;
  }
  return [255, 255, 255, 255];
};
let least = [99, ""];
for (const element of document.querySelectorAll("body *:not(script, title)")) {
  const nodes = Array.from(element.childNodes).filter((node) => node.nodeType === Node.TEXT_NODE);
  const text = nodes.map((node) => node.data).join("").trim();
  if (!text) continue;
  const style = getComputedStyle(element);
  const ink = channels(element instanceof SVGElement ? style.fill : style.color);
  const [a, b] = [luminance(ink), luminance(background(element))].sort((x, y) => y - x);
  const ratio = (a + 0.05) / (b + 0.05);
  if (ratio < least[0]) least = [ratio, text];
}
return least;
"""
SPARE_WIDTH = "return document.documentElement.clientWidth - document.documentElement.scrollWidth"


@pytest.fixture(scope="module")
def browser():
    options = ChromeOptions()
    options.binary_location = BROWSER
    # The sandbox needs rights that a container may not have; the only pages are our own.
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = Chrome(options=options, service=ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def page(tmp_path_factory, make_report, full_report, report):
    """A page with everything that can be on it, on a model with published figures, one target with a hostile name."""
    model = report.model | {"init": {"kind": "pretrained", "source": "gpt2", "sha256": None}}
    synthetic = report.target | {"dataset": "x" * 70, "synthetic": True}
    reports = [
        make_report(skill=0.1, model=model),
        make_report(skill=2.0, seeds=8, rows=1999, target=report.target | {"dataset": HOSTILE}),
        dataclasses.replace(full_report, bands={**full_report.bands, HOSTILE: full_report.bands["length"]}),
        make_report(skill=1.0, target=synthetic),
    ]
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_report_page(path, reports, {"seed0": [(0, 1.0), (9, 0.5)], "random_init/seed0": [(0, 1.0), (9, 0.9)]})
    return path.as_uri()


@pytest.fixture
def opened(browser, page):
    """The page, freshly loaded on a desk's screen in daylight."""
    show(browser, page)
    return browser


def show(browser, page, *, width=1200, scheme="light", media=""):
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})
    screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    browser.get(page)


def column(browser, number):
    cells = browser.find_elements(By.CSS_SELECTOR, f".summary > .scroll tbody td:nth-child({number})")
    return [cell.text.split()[0] for cell in cells]


def heading(browser, text):
    found = browser.find_elements(By.CSS_SELECTOR, ".summary > .scroll th button")
    return next(button for button in found if button.text.startswith(text))


def number_of(browser, text):
    headings = browser.find_elements(By.CSS_SELECTOR, ".summary > .scroll th")
    return [one.text.startswith(text) for one in headings].index(True) + 1


def test_nothing_is_fetched_and_nothing_is_logged(browser, page):
    browser.get_log("browser"), browser.get_log("performance")
    show(browser, page)
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    requests = [one["params"]["request"]["url"] for one in messages if one["method"] == "Network.requestWillBeSent"]
    assert requests == [page]
    assert browser.get_log("browser") == []
    assert browser.title == "lingjax transfer report"


def test_no_foreign_script_runs_and_nothing_is_fetched_even_if_escaping_failed(browser, tmp_path):
    (tmp_path / "p.html").write_text(as_page("title", f"<main>{HOSTILE}</main>"))
    browser.get((tmp_path / "p.html").as_uri())
    assert browser.title == "title"
    assert "Content Security Policy" in json.dumps(browser.get_log("browser"))


def test_a_click_sorts_and_another_turns_the_order(opened):
    number = number_of(opened, "AUROC")
    written = column(opened, number)
    assert written != sorted(written)
    for order, turned in (("ascending", False), ("descending", True)):
        heading(opened, "AUROC").click()
        assert column(opened, number) == sorted(written, key=float, reverse=turned)
        (marked,) = opened.find_elements(By.CSS_SELECTOR, ".summary > .scroll [aria-sort]")
        assert (marked.get_attribute("aria-sort"), marked.text[:5]) == (order, "AUROC")


def test_numbers_sort_as_numbers_after_names_too(opened):
    number = number_of(opened, "Best control")
    heading(opened, "Best control").click()
    cells = opened.find_elements(By.CSS_SELECTOR, f".summary > .scroll tbody td:nth-child({number})")
    figures = [float(cell.text.split()[1]) for cell in cells]
    assert figures == sorted(figures)
    heading(opened, "Seeds").click()
    assert column(opened, number_of(opened, "Seeds")) == ["3", "3", "3", "8"]


@pytest.mark.parametrize(
    "in_order",
    [
        ("–", "-0.25 [-0.5, 0.1]", "+0.1", "0.45", "0.5", "9", "1,234"),
        ("–", "[-0.1, +0.9]", "[+0.05, +0.1]", "[+0.2, +0.3]"),
        ("b 0.45", "a 0.5", "a 0.61"),
        ("run 2", "run2", "run10", "Zebra"),
    ],
)
def test_any_column_sorts_as_people_read_it(browser, tmp_path, in_order):
    written = [SimpleNamespace(value=text) for text in (*in_order[::2], *in_order[1::2])]
    (tmp_path / "p.html").write_text(as_page("t", as_html(written, {"value": "Value"})))
    show(browser, (tmp_path / "p.html").as_uri())
    browser.find_element(By.TAG_NAME, "button").click()
    assert [cell.text.replace("\n", " ") for cell in browser.find_elements(By.TAG_NAME, "td")] == [*in_order]


@pytest.mark.parametrize("key", [Keys.ENTER, Keys.SPACE])
def test_keys_sort_too(opened, key):
    button = heading(opened, "Target")
    button.send_keys(key)
    names = column(opened, number_of(opened, "Target"))
    assert names == sorted(names)
    assert opened.switch_to.active_element == button


def test_rows_keep_their_cells_together(opened):
    def rows():
        return {row.text for row in opened.find_elements(By.CSS_SELECTOR, ".summary > .scroll tbody tr")}

    written = rows()
    heading(opened, "AUROC").click()
    assert rows() == written


def test_without_script_the_table_stands_as_written(browser, page):
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        show(browser, page)
        assert not browser.find_elements(By.TAG_NAME, "button")
        assert column(browser, number_of(browser, "AUROC"))
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


@pytest.mark.parametrize("width", [360, 700, 1200])
def test_the_page_never_scrolls_sideways(browser, page, width):
    show(browser, page, width=width)
    assert browser.execute_script(SPARE_WIDTH) >= 0
    overflowing = browser.execute_script(
        "return Array.from(document.querySelectorAll('section > *, figure, .figures > *'))"
        ".filter((e) => e.scrollWidth > e.clientWidth + 1 && !e.matches('.scroll, .scroll *')).map((e) => e.outerHTML)"
    )
    assert overflowing == []


@pytest.mark.parametrize("width", [400, 1200])
def test_no_text_of_a_figure_is_cut_off(browser, page, width):
    show(browser, page, width=width)
    browser.execute_script("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    seen, cut = browser.execute_script(CUT_OFF)
    assert seen > 100
    assert cut == []


def test_a_table_page_fits_a_phone_too(browser, tmp_path, report):
    write_table(tmp_path / "table.html", [report, report])
    show(browser, (tmp_path / "table.html").as_uri(), width=360)
    assert browser.execute_script(SPARE_WIDTH) >= 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_its_background(browser, page, scheme):
    show(browser, page, scheme=scheme)
    ratio, text = browser.execute_script(LEAST_CONTRAST)
    assert ratio >= 4.5, text


def test_dark_is_dark_and_paper_is_white(browser, page):
    backgrounds = []
    for scheme, media in (("light", ""), ("dark", ""), ("dark", "print")):
        show(browser, page, scheme=scheme, media=media)
        colour = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
        backgrounds.append(tuple(int(part) for part in colour.removeprefix("rgb(").removesuffix(")").split(",")))
    light, dark, paper = backgrounds
    assert min(light) > 230 > 60 > max(dark)
    assert paper == (255, 255, 255)


def test_print_shows_what_is_folded_and_whole_tables(browser, page):
    show(browser, page, media="print")
    hidden = "return getComputedStyle(document.querySelector('details'), '::details-content').contentVisibility"
    assert browser.execute_script(hidden) == "visible"
    assert browser.execute_script("return getComputedStyle(document.querySelector('.scroll')).overflowX") == "visible"


def test_keyboard_reaches_tables_that_scroll_and_links_lead_to_targets(opened):
    for frame in opened.find_elements(By.CSS_SELECTOR, ".wide .scroll"):
        assert (frame.get_attribute("tabindex"), frame.get_attribute("role")) == ("0", "region")
        assert frame.get_attribute("aria-label")
    links = opened.find_elements(By.CSS_SELECTOR, "nav a")
    links[2].send_keys(Keys.ENTER)
    top = "return document.getElementById('target-2').getBoundingClientRect().top"
    assert abs(opened.execute_script(top)) < 2
