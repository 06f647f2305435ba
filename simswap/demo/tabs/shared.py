"""What the tabs share: the choice of a model, the people to put in, and the consent."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from types import MethodType

import gradio as gr
from gradio.events import EventListener

from simswap.demo import consent, models
from simswap.demo.calls.arguments import Text, declare
from simswap.demo.tabs import people
from simswap.demo.tabs.people import People
from simswap.demo.tabs.video import job

# The tabs' boxes are one, and the browser remembers it until its own tab is closed. Of a visit
# nothing else is kept but the token by which its video is found again (see video/job.py).
SAY_ALL_JS = """
(agreed) => {{
  sessionStorage.setItem("simswap-consent", agreed ? "given" : "");
  return Array({count}).fill(agreed);
}}
"""
REMEMBER_JS = """
() => Array({count}).fill(sessionStorage.getItem("simswap-consent") === "given")
"""


@dataclass(frozen=True)
class Shared:
    """model: an input of whatever uses a model, for its name. consents: the boxes of the tabs.

    clock: makes the page ask for its video, whatever tab is open.
    """

    model: gr.Dropdown
    people: People
    clock: gr.Timer
    consents: list[gr.Checkbox] = field(default_factory=list)

    def build_consent(self, elem_id: str) -> gr.Checkbox:
        """A tab's box, an input of whatever swaps there; `elem_id`: its name on the page."""
        self.consents.append(consent.build(elem_id))
        return self.consents[-1]

    def join_consents(self, page: gr.Blocks) -> None:
        """Let all boxes say the same; call it when the tabs are built."""
        in_browser = {"fn": None, "api_visibility": "private"}
        texts = {"count": len(self.consents)}
        for box in self.consents:
            box.input(
                js=SAY_ALL_JS.format(**texts), inputs=box, outputs=self.consents, **in_browser
            )
        page.load(js=REMEMBER_JS.format(**texts), outputs=self.consents, **in_browser)


def any_of(*changes: EventListener | partial) -> list[EventListener | MethodType]:
    """The same, for `gr.on`, which does not take what a script of a gr.HTML tells."""
    return [MethodType(one.func, *one.args) if isinstance(one, partial) else one for one in changes]


def build() -> Shared:
    """The part above the tabs: the models, shown where there is more than one to choose."""
    names = models.names()
    model = gr.Dropdown(
        names,
        value=names[0],
        label="Model",
        filterable=False,
        visible=len(names) > 1,
        elem_id="model",
    )
    declare(model, "model", Text())
    return Shared(model, people.build(model), job.build_clock())
