"""Many networks as ONNX files, exported by another process: this one never loads Torch.

One process exports them all, because loading Torch and tracing the first network take several seconds. It verifies as
many networks at once as there are cores, in threads: Torch and onnxruntime compute without Python's lock.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from connectfour.errors import ExportError, PlayerError
from connectfour.players.encoded import EncodedPlayer
from connectfour.players.onnx_model import check_model
from connectfour.system.files import write_atomically
from connectfour.system.machine import usable_cores
from connectfour.system.observer import Observer
from connectfour.version import __version__


def write_model_files(players: Mapping[Path, EncodedPlayer], observer: Observer) -> None:
    """Write the ONNX file of each player to its path; files that are up to date stay as they are.

    Raises:
        ExportError: onnxruntime does not play an export as Torch does, or the exporting process was killed.
    """
    missing = [(path, player) for path, player in players.items() if not _is_up_to_date(path, player)]
    if not missing:
        return
    cores = usable_cores()
    batches = [missing[start : start + cores] for start in range(0, len(missing), cores)]
    written: list[Path] = []

    def progress() -> str:
        return f"Exported {len(written)} of {len(missing)} networks"

    observer.show(progress)
    process = _other_process()
    try:
        for export in [process.submit(_write_batch, batch) for batch in batches]:
            written += export.result()
            observer.show(progress)
    except BrokenProcessPool:
        raise ExportError("the process that exports networks was killed: check that enough memory is free") from None
    finally:
        process.shutdown(cancel_futures=True)


def _other_process() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(
        1,
        mp_context=multiprocessing.get_context("spawn"),
        # Ctrl-C reaches every process of the terminal; only this one reports it.
        initializer=signal.signal,
        initargs=(signal.SIGINT, signal.SIG_IGN),
    )


def _is_up_to_date(path: Path, player: EncodedPlayer) -> bool:
    """Return whether ``path`` holds the model of ``player`` as this version writes it."""
    try:
        data = path.read_bytes()
        metadata = {entry.key: entry.value for entry in check_model(data, str(path)).metadata_props}
    except (OSError, PlayerError):
        return False
    return data == player.data or (metadata.get("sha256"), metadata.get("version")) == (player.data_sha256, __version__)


def _write_batch(batch: Sequence[tuple[Path, EncodedPlayer]]) -> list[Path]:
    """Write the files of a few networks at once, and return their paths; runs in the other process."""
    import torch

    torch.set_num_threads(1)
    with ThreadPoolExecutor(len(batch)) as threads:
        return list(threads.map(_write_model_file, *zip(*batch, strict=True)))


def _write_model_file(path: Path, player: EncodedPlayer) -> Path:
    if player.kind == "onnx":
        write_atomically(path, player.data)
    else:
        from connectfour.export.onnx_file import export_onnx

        export_onnx(player, path)
    return path
