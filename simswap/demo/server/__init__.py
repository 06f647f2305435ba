"""The door before Gradio: routes, sizes, shares, sockets."""
