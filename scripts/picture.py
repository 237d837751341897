"""Writes docs/images/report.png: the top of the report on five specs, as Chromium shows it."""

import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

PICTURE = Path(__file__).parents[1] / "docs" / "images" / "report.png"
WIDTH, HEIGHT = 1100, 610
# Enough for the flat colours of the report.
COLOURS = 64
SPECS = {
    "GradientTape": "method=gradient-tape",
    "fit": "method=fit",
    "train_step": "method=custom-train-step",
    "fit, MSE": "method=fit loss=mean-squared-error",
    "wrong metric": "method=custom-train-step accuracy-metric=categorical-on-labels",
}


def write(folder: Path) -> None:
    """Train the specs, and write the picture of their report."""
    specs = [word for label, spec in SPECS.items() for word in ("--spec", f"{label}: {spec}")]
    command = [str(Path(sys.executable).with_name("loopbench")), "compare", "--dataset", "digits", *specs]
    subprocess.run([*command, "--report", str(folder)], check=True)  # noqa: S603  # nosec B603  # a fixed command
    take(folder / "index.html")


def take(page: Path) -> None:
    """Write the picture of a page."""
    PICTURE.parent.mkdir(exist_ok=True)
    size = f"--window-size={WIDTH},{HEIGHT}"
    chromium = ["chromium", "--headless", "--no-sandbox", "--hide-scrollbars", size, f"--screenshot={PICTURE}"]
    subprocess.run([*chromium, page.as_uri()], check=True)  # noqa: S603  # nosec B603  # a fixed command
    Image.open(PICTURE).convert("RGB").quantize(COLOURS).save(PICTURE, optimize=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        write(Path(temporary))
