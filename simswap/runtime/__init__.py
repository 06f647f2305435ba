"""How a network runs: by torch, on any device, or by OpenVINO, which is faster on a CPU."""
