"""The demo as a process: its folder, its address, its log."""
