"""Chromium, driven as a user's browser."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")
HEIGHT = 900


class Browser:
    """A browser with a screen of a chosen width and colour scheme."""

    def __init__(self, driver: Any) -> None:
        # Selenium's types are not whole.
        self.driver = driver

    def show(self, path: Path, *, width: int = 1200, scheme: str = "light", media: str = "screen") -> None:
        """Opens the file and clears the log."""
        screen = {"width": width, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": width < HEIGHT}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        self.set_media(scheme, media)
        self.driver.get("about:blank")
        self.driver.get_log("browser")
        self.driver.get_log("performance")
        self.driver.get(path.as_uri())

    def set_media(self, scheme: str, media: str = "screen") -> None:
        """Changes the colour scheme under an open page."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})

    def run(self, script: str) -> Any:
        """Runs a function body in the page and returns its result."""
        return self.driver.execute_script(script)

    def complaints(self) -> list[str]:
        """All messages in the console."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """Addresses of all requests since the page was opened."""
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        return [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]


def _found(*names: str) -> str:
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        pytest.skip("Chromium is not installed: run make browser")
    return path


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    options = ChromeOptions()
    options.binary_location = _found("chromium", "chromium-browser", "google-chrome")
    for flag in FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = Chrome(options=options, service=Service(_found("chromedriver")))
    yield Browser(driver)
    driver.quit()
