"""The command line."""

from connectfour.cli.entry import export_onnx_main, main

__all__ = ["export_onnx_main", "main"]
