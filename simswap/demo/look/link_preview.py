"""What other sites show of a link to this demo: its own title, words and picture, not Gradio's."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import jinja2
from gradio import routes

PAGES = ("frontend/index.html", "frontend/share.html")
GRADIOS = re.compile(r'<meta\s+(?:property|name)="(?:og|twitter):[^>]*?/>', re.DOTALL)
PICTURE = Path(__file__).parents[3] / "assets" / "logo.jpg"  # square; the page's icon too
TAGS = """<head>
<meta property="og:type" content="website" />
<meta property="og:title" content="SimSwap: swap faces in photos, videos and live" />
<meta property="og:description" content="One tap puts a face into another photo, with its pose, \
expression and light. For research; every result is marked as synthetic." />
<meta property="og:image" content="{{ config['root'] }}/favicon.ico" />
<meta name="twitter:card" content="summary" />"""


class Loader(jinja2.BaseLoader):
    """Gradio's templates, with our tags in place of its own."""

    def __init__(self, inner: jinja2.BaseLoader) -> None:
        self._inner = inner

    def get_source(
        self, environment: jinja2.Environment, template: str
    ) -> tuple[str, str | None, Callable[[], bool] | None]:
        """A template's text, its file, and whether it is up to date."""
        text, *rest = self._inner.get_source(environment, template)
        if template in PAGES:
            text = GRADIOS.sub("", text).replace("<head>", TAGS, 1)
        return text, *rest


def install() -> None:
    """Take it for Gradio's own; call it before the page is served."""
    routes.templates.env.loader = Loader(routes.templates.env.loader)
