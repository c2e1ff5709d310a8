"""The page in a real browser, from disk: filters, slider, overlay, keyboard, narrow, dark; no script of strangers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from faceloom.pipelines.gallery.write_gallery import gallery_html
from faceloom.pipelines.preview import all_rejects
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.sources.registry import open_source
from faceloom.pipelines.store.build_record import read_record
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.source_spec import SourceSpec
from tests.patience import on_busy_machine
from tests.pipelines.gallery.conftest import NAMES

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
pytest.importorskip("selenium", reason="selenium is not installed")
pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="chromium and chromedriver are not installed")


@pytest.fixture(scope="module")
def page(strange_build: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    storage = Storage(str(strange_build))
    source = open_source(SourceSpec(path=str(strange_build.parent / "photos" / "photos.csv")))
    data = gallery_html(
        storage,
        "strange </title><script>document.title='owned'</script> names",
        read_record(storage).shards,
        all_rejects(storage),
        Watcher(),
        sources={"<i>photos": source},
    )
    file = tmp_path_factory.mktemp("page") / "gallery.html"
    file.write_bytes(data)
    return file


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    profile = tmp_path_factory.mktemp("profile")
    for word in ("headless=new", "no-sandbox", "disable-gpu", "no-first-run", f"user-data-dir={profile}"):
        options.add_argument(f"--{word}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    made = webdriver.Chrome(options=options, service=Service(DRIVER))
    try:
        made.get("about:blank")  # away from the start page, which loads files of the browser
        yield made
    finally:
        made.quit()


@pytest.fixture
def browser(driver: Any, page: Path) -> Iterator[Any]:
    """The page, freshly loaded; afterwards nothing was requested and nothing went wrong."""
    from selenium.webdriver.support.wait import WebDriverWait

    emulate(driver)
    driver.get("about:blank")  # so that no elements of the page before are found
    for kind in ("browser", "performance"):
        driver.get_log(kind)
    driver.get(page.as_uri())
    WebDriverWait(driver, on_busy_machine(30)).until(
        lambda one: one.execute_script("return document.readyState") == "complete"
    )
    yield driver
    assert [entry["message"] for entry in driver.get_log("browser")] == []
    events = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    urls = {event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"}
    assert page.as_uri() in urls
    assert {url for url in urls if not url.startswith("data:")} == {page.as_uri()}


def emulate(driver: Any, width: int = 1200, scheme: str = "light") -> None:
    """Set the size of the window and the colours that the user prefers."""
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    features = {"prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce"}
    wanted = [{"name": name, "value": value} for name, value in features.items()]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": wanted})


def found(browser: Any, selector: str) -> list[Any]:
    elements: list[Any] = browser.find_elements("css selector", selector)
    return elements


def one(browser: Any, selector: str) -> Any:
    return browser.find_element("css selector", selector)


def cards(browser: Any) -> list[Any]:
    return [card for card in found(browser, ".card") if card.is_displayed()]


def status(browser: Any) -> str:
    return str(one(browser, "#status").text)


def masked(browser: Any, mask: str) -> int:
    """Number of cards with a mask, shown or not."""
    tags = [card.find_element("css selector", ".tags").get_attribute("textContent") for card in found(browser, ".card")]
    return sum(mask in text.split() for text in tags)


def choose(browser: Any, name: str, text: str) -> None:
    from selenium.webdriver.support.select import Select

    Select(one(browser, f"select[data-filter={name}]")).select_by_visible_text(text)


def test_filters_show_the_cards_that_fit(browser: Any) -> None:
    assert len(cards(browser)) == 24 and status(browser) == "24 of 24 samples"
    surgical = masked(browser, "surgical")
    assert 4 < surgical < 20, "two masks of one weight"
    choose(browser, "mask", "surgical")
    assert len(cards(browser)) == surgical and status(browser) == f"{surgical} of 24 samples"
    choose(browser, "split", "test")
    shown = cards(browser)
    assert {tuple(card.find_element("css selector", ".tags").text.split("\n")) for card in shown} == {
        ("test", "surgical")
    }
    assert status(browser) == f"{len(shown)} of 24 samples" and 0 < len(shown) < surgical
    one(browser, "button[type=reset]").click()
    assert status(browser) == "24 of 24 samples"


def test_a_person_is_found_by_a_part_of_the_name_in_any_case(browser: Any) -> None:
    one(browser, "#person").send_keys("ZOË")
    assert {card.find_element("css selector", ".name").text for card in cards(browser)} == {"Zoë Ünal"}
    one(browser, "#person").send_keys(" unknown")
    assert cards(browser) == [] and one(browser, "#none").is_displayed()
    one(browser, "#clear").click()
    assert len(cards(browser)) == 24 and not one(browser, "#none").is_displayed()
    assert browser.switch_to.active_element.tag_name == "select"


def clip(browser: Any, number: int = 0) -> str:
    return str(found(browser, ".after")[number].value_of_css_property("clip-path"))


def test_the_slider_moves_with_the_pointer_and_with_keys(browser: Any) -> None:
    from selenium.webdriver import ActionChains, Keys

    assert clip(browser) == "inset(0px 0px 0px 50%)"
    slider = one(browser, ".picture input")
    ActionChains(browser).move_to_element_with_offset(slider, 60, 0).click().perform()
    moved = int(slider.get_attribute("value"))
    assert moved > 60 and clip(browser) == f"inset(0px 0px 0px {moved}%)"
    slider.send_keys(Keys.ARROW_LEFT)
    assert clip(browser) == f"inset(0px 0px 0px {moved - 1}%)" and clip(browser, 1) == "inset(0px 0px 0px 50%)"
    assert slider.get_attribute("aria-valuetext").startswith(f"{moved - 1} per cent")


def test_one_slider_moves_all(browser: Any) -> None:
    from selenium.webdriver import Keys

    one(browser, "#all-sliders").send_keys(Keys.HOME)
    assert {clip(browser, number) for number in range(24)} == {"inset(0px 0px 0px 0%)"}


def test_the_overlay_shows_the_ground_truth(browser: Any) -> None:
    truths = found(browser, ".truth")
    assert len(truths) == 24 and not any(truth.is_displayed() for truth in truths)
    one(browser, "#overlay").click()
    assert all(truth.is_displayed() for truth in truths)
    assert truths[0].get_attribute("alt") == "Ground truth: mask, guide, landmarks"
    one(browser, "#overlay").click()
    assert not any(truth.is_displayed() for truth in truths)


def test_the_page_works_by_keyboard_and_the_focus_is_seen(browser: Any) -> None:
    from selenium.webdriver import ActionChains, Keys

    def press(*keys: str) -> Any:
        ActionChains(browser).send_keys(*keys).perform()
        return browser.switch_to.active_element

    assert press(Keys.TAB).text == "Skip to the samples"
    assert press(Keys.ENTER).get_attribute("id") == "samples"
    assert press(Keys.TAB).get_attribute("data-filter") == "split"
    assert press(Keys.TAB).get_attribute("data-filter") == "mask"
    select = press("s")
    assert select.get_attribute("data-filter") == "mask"
    assert status(browser) == f"{masked(browser, 'surgical')} of 24 samples"
    assert select.value_of_css_property("outline-style") == "solid"
    press(Keys.TAB, Keys.TAB, Keys.TAB)
    assert press(Keys.TAB).get_attribute("id") == "overlay"
    press(Keys.SPACE)
    assert one(browser, ".card:not([hidden]) .truth").is_displayed()
    assert press(Keys.TAB).get_attribute("type") == "reset"
    slider = press(Keys.TAB)
    assert slider.get_attribute("aria-label").startswith("Face before and after the mask")
    box = slider.find_element("xpath", "..")
    assert box.value_of_css_property("outline-style") == "solid"


@pytest.mark.parametrize("width", [320, 400, 1200])
def test_nothing_needs_to_be_scrolled_sideways(browser: Any, width: int) -> None:
    emulate(browser, width)
    for details in found(browser, "details"):
        browser.execute_script("arguments[0].open = true", details)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width


def brightness(browser: Any, of: str) -> float:
    rgb = one(browser, "body").value_of_css_property(of).partition("(")[2].rstrip(")").split(",")[:3]
    return sum(map(float, rgb)) / 3


def test_colours_follow_the_preference_of_the_user(browser: Any) -> None:
    assert brightness(browser, "background-color") > 200 > 60 > brightness(browser, "color")
    emulate(browser, scheme="dark")
    assert brightness(browser, "background-color") < 60 < 200 < brightness(browser, "color")


def test_names_of_strangers_stay_text(browser: Any) -> None:
    assert browser.title == "strange </title><script>document.title='owned'</script> names"
    shown = {card.find_element("css selector", ".name").text for card in cards(browser)}
    assert shown == {name.replace("\u202e", "\\u202e") for name in NAMES}
    assert len(found(browser, "script")) == 1 and found(browser, "img[src=x], i, main b:not(summary b)") == []
    options = {option.get_attribute("value") for option in found(browser, "#people option")}
    assert NAMES[0] in options and NAMES[1] in options


def test_the_policy_admits_no_other_script_or_style(browser: Any) -> None:
    browser.execute_script(
        "const s = document.createElement('script'); s.textContent = \"document.title = 'owned'\";"
        "document.body.append(s); document.body.setAttribute('style', 'width: 1px'); document.body.append("
        "Object.assign(document.createElement('img'), {src: 'https://example.org/x.png'}))"
    )
    assert browser.title != "owned" and one(browser, "body").size["width"] > 100
    refused = [entry["message"] for entry in browser.get_log("browser")]
    assert len(refused) >= 3 and all("Content Security Policy" in text for text in refused)
    browser.get_log("performance")
    browser.refresh()


def test_all_pictures_are_described_and_decoded(browser: Any) -> None:
    pictures = found(browser, "img")
    assert all(picture.get_attribute("alt") for picture in pictures)
    # Rejected photos are in closed sections; decode() waits for a picture wherever it is.
    script = (
        "const done = arguments[0]; Promise.all([...document.images].map((i) => i.decode())).then(() => done(true))"
    )
    assert browser.execute_async_script(script) is True
    assert {picture.get_property("naturalWidth") for picture in found(browser, ".picture img")} == {64}


def test_rejects_show_reason_and_photo(browser: Any) -> None:
    for summary in found(browser, ".reason summary"):
        summary.click()
    texts = [reason.text for reason in found(browser, ".reason")]
    assert [text.split("\n")[0] for text in texts] == ["missing_file 1 scan", "degenerate_points 1 analyse"]
    assert "<i>photos/flat.png" in texts[1]
    assert [picture.get_attribute("alt") for picture in found(browser, ".rejects img")] == [
        "Rejected photo <i>photos/flat.png"
    ]


def described(browser: Any, chart: Any, attribute: str) -> str:
    """The text that a program that reads pages aloud finds for a chart."""
    return str(one(browser, f"#{chart.get_attribute(attribute)}").get_attribute("textContent"))


def test_charts_have_words(browser: Any) -> None:
    tables = {described(browser, table, "aria-labelledby"): table for table in found(browser, "figure table")}
    rows = [row.text.split() for row in tables["Samples by split"].find_elements("tag name", "tr")]
    assert rows == [["test", "12"], ["train", "12"]]
    pictures = {described(browser, picture, "aria-labelledby"): picture for picture in found(browser, "svg[role=img]")}
    yaw = next(picture for title, picture in pictures.items() if title.startswith("Yaw of the head"))
    bins = [part.rpartition(": ") for part in described(browser, yaw, "aria-describedby").split("; ")]
    assert sum(int(count) for _, _, count in bins) == 24 and all(" to " in label for label, _, _ in bins)
    texts = [text.get_attribute("textContent") for text in yaw.find_elements("tag name", "text")]
    assert "degrees, positive to the right edge" in texts and "0" in texts
    bars = yaw.find_elements("tag name", "rect")
    assert len(bars) == len(bins) and max(bar.size["height"] for bar in bars) > 60


def test_labels_are_whole_and_wrap_after_signs_before_they_wrap_inside_of_words(browser: Any) -> None:
    assert {th.text for th in found(browser, "figure th")} >= {"surgical", "polygon-A", "<i>photos"}
    assert "…" not in one(browser, "#distributions").text
    emulate(browser, 320)
    browser.execute_script(
        "const name = document.querySelector('.card .name bdi'); name.textContent = '';"
        "name.append('Konstantin_Alexandrowitsch', '_', document.createElement('wbr'), 'Constantinopolitanski')"
    )
    lines = browser.execute_script(
        "const name = document.querySelector('.card .name bdi'); return [...name.childNodes].map((n) => {"
        "const r = document.createRange(); r.selectNodeContents(n); return r.getClientRects().length})"
    )
    assert lines[0] == 1 == lines[-1]


def test_a_legend_explains_the_overlay(browser: Any) -> None:
    assert not one(browser, "#legend").is_displayed()
    one(browser, "#overlay").click()
    assert one(browser, "#legend").text.split() == ["Ground", "truth:", "mask", "guide", "landmarks"]
    colours = [swatch.value_of_css_property("background-color") for swatch in found(browser, "#legend .swatch")]
    assert [colour.replace("rgba(", "rgb(").replace(", 1)", ")") for colour in colours] == [
        "rgb(255, 64, 0)", "rgb(0, 150, 255)", "rgb(255, 255, 255)",
    ]  # fmt: skip
