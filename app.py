"""The demo: a Gradio page and its named endpoints.

Run `python app.py` and open the address it prints; nothing is fetched from the network.
SIMSWAP_MODEL names another model than the bundled one: a folder, or a repo id on the Hub;
SIMSWAP_MODELS names more that visitors may choose.
"""

from __future__ import annotations

import os
import sys

from simswap.demo.process import descriptors, own_address, retention

# Read when gradio and others are imported.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ.update(retention.variables(retention.private_folder()))
os.environ.update(own_address.variables())
# Read by the server: whose word is taken for a visitor's address is for visitors.py to say.
os.environ["FORWARDED_ALLOW_IPS"] = ""

import gradio as gr

from simswap import SimSwapError
from simswap.demo import about, models, photo_endpoints, verify_endpoint, video_endpoints
from simswap.demo.calls import addresses, mcp_tools, openapi, remembered, sessions
from simswap.demo.calls.page import Page
from simswap.demo.calls.queue import job_routes, waiting_line
from simswap.demo.look import link_preview
from simswap.demo.look import theme as look
from simswap.demo.process import quiet_log
from simswap.demo.server import door, timed_connections, upload_limits, webcam_socket
from simswap.demo.server.visitors import Proxies
from simswap.demo.services import live, nsfw
from simswap.demo.tabs import image, shared, verify, webcam
from simswap.demo.tabs.video import tab as video
from simswap.media.photos import MAX_FILE_BYTES
from simswap.memory import keep_large_blocks_apart

# Each has a build(shared).
TABS = {
    "Image": image,
    "Video": video,
    "Webcam": webcam,
    "Verify": verify,
}
ENDPOINTS = (photo_endpoints, video_endpoints, verify_endpoint)


def build_page() -> Page:
    """The page: its tabs, and the endpoints, whose components no visitor sees."""
    with Page(title="SimSwap") as page:
        gr.HTML(look.HEADER)
        with gr.Row(elem_id="above-tabs", equal_height=False):
            above = shared.build()
        with gr.Tabs():
            for name, tab in TABS.items():
                with gr.Tab(name) as opened:
                    tab.build(above)
                above.people.show_in(opened)
        look.build_history()
        above.join_consents(page)
        gr.HTML(look.fine_print(about.machine(), models.names(), about.signing()))
        with gr.Row(visible=False):
            for endpoints in ENDPOINTS:
                endpoints.build()
    return page


def queued_page() -> Page:
    """The page with its queue. Raises SimSwapError if that is configured wrongly."""
    page = build_page().queue(
        max_size=waiting_line.size(),
        default_concurrency_limit=1,
        api_open=False,  # nothing goes past the queue
    )
    waiting_line.keep_in_order(page._queue, remembered.jobs.waits)
    return page


def main() -> None:
    """Serve the page until the process ends; ends it if a setting is wrong."""
    keep_large_blocks_apart()
    descriptors.allow_more()
    addresses.refuse_addresses()
    mcp_tools.install()
    upload_limits.bound_progress()
    link_preview.install()
    try:
        nsfw.is_refused()
        timed_connections.time_connections(Proxies())
        page = queued_page()
        retention.forget_now_and_then(page.temp_file_sets)
        routes = [
            webcam_socket.route(live.sessions),
            job_routes.camera_route(page._queue),
            job_routes.cancel_route(page._queue),
            openapi.route(page),
        ]
        application = door.Application(routes)
        port = own_address.free_port()
    except SimSwapError as error:
        sys.exit(f"app.py: {error}")
    page.launch(
        server_port=port,
        theme=look.theme(),
        css_paths=look.PAGE_CSS,
        js=look.page_js(),
        favicon_path=link_preview.PICTURE,
        max_file_size=MAX_FILE_BYTES,
        state_session_capacity=sessions.CAPACITY,
        footer_links=["api"],
        ssr_mode=False,
        mcp_server=True,
        run_history=False,  # the browser would keep every photo
        enable_monitoring=False,
        prevent_thread_lock=True,
        _app=application,
    )
    quiet_log.keep_inputs_out()
    page.block_thread()


if __name__ == "__main__":
    main()
