"""Players: heuristics, networks and ONNX models behind one contract, built by name."""
