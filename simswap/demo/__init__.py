"""The demo: its page, its endpoints, and the server that it brings along; app.py starts it."""
