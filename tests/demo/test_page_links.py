"""The links below the page: to the paper, and on a Space to its own pages."""

from simswap.demo.look.theme import PAPER, fine_print


def test_a_space_offers_its_duplicate_and_its_papers(monkeypatch):
    monkeypatch.setenv("SPACE_ID", "some body/simswap")
    page, place = fine_print("", [], ""), "https://huggingface.co/spaces/some%20body/simswap"
    assert f'href="{place}?duplicate=true"' in page
    assert f'href="{place}/blob/main/LICENSE"' in page


def test_elsewhere_only_the_paper_is_linked(monkeypatch):
    monkeypatch.delenv("SPACE_ID", raising=False)
    page = fine_print("", [], "")
    assert PAPER in page
    assert "huggingface.co" not in page
