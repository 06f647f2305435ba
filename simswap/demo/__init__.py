"""What the demo's page is made of, apart from the callbacks in app.py."""
