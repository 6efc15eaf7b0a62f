"""The datasheet says what the simulator does now."""

import re

import pytest

from fraud_ml.data.simulator.datasheet import PAGE, PICTURES, draw_sample, renewed
from fraud_ml.errors import BadInput
from fraud_ml.settings import PROJECT

DOCS = PROJECT / "docs"


def test_its_figures_are_those_of_the_code() -> None:
    page = (DOCS / PAGE).read_text(encoding="utf-8")

    assert renewed(page, draw_sample()) == page


def test_it_shows_small_pictures_that_exist() -> None:
    shown = re.findall(r"!\[[^]]+\]\(([^)]+)\)", (DOCS / PAGE).read_text(encoding="utf-8"))

    assert sorted(shown) == sorted(f"simulator-{name}.png" for name in PICTURES)
    assert all(0 < (DOCS / name).stat().st_size < 150_000 for name in shown)


def test_a_page_without_a_place_for_its_figures_is_refused() -> None:
    with pytest.raises(BadInput, match="no place for `shares`"):
        renewed("# Another page", draw_sample(claims=400))
