"""Commands that export policies for use elsewhere: parsing, wiring, printing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from connectfour.system.observer import ConsoleObserver


def export_onnx(
    player: Annotated[str, typer.Argument(help="A run folder (its best network), snapshot:RUN/vN or checkpoint:PATH.")],
    output: Annotated[Path, typer.Option(help="File to write.")] = Path("model.onnx"),
) -> None:
    """Export a policy as one ONNX file, after checking that onnxruntime and Torch agree on it."""
    from connectfour.export.onnx_file import export_onnx as export

    done = export(player, output)
    ConsoleObserver().say(
        f"{done.path}: {done.player} ({done.reason}), {done.size:,} bytes, opset {done.opset}; onnxruntime agrees with "
        f"Torch on {done.positions:,} positions at batch sizes 1, 7 and 1,024 (largest difference "
        f"{done.difference:.1e})."
    )


def space(
    run: Annotated[Path, typer.Argument(help="Run folder, preferably ranked.")],
    output: Annotated[Path, typer.Option(help="Folder to write.")],
    top: Annotated[int, typer.Option(min=1, help="Number of networks to include, strongest first.")] = 8,
) -> None:
    """Write the web app and the best networks of a run into a folder to push as a Hugging Face Space."""
    from connectfour.export.space import write_space

    with ConsoleObserver() as observer:
        players = write_space(run, output, top=top, observer=observer)
    observer.say(
        f"{output}: {len(players)} players, the strongest is {players[-1].id}.\n"
        f"Try it:      pip install -r {output}/requirements.txt, then python {output}/app.py\n"
        "Publish it:  create a Gradio Space, copy the folder into its repository, commit and push"
    )
