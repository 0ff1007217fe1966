"""The command line."""

from __future__ import annotations

import sys

from connectfour.errors import ConnectFourError
from connectfour.system.package_check import check_packages


def main() -> None:
    """Run the command line; an expected error prints one sentence and sets the exit code."""
    try:
        check_packages()
        from connectfour.cli.entry import app  # after the check: it imports what may be shadowed

        app()
    except ConnectFourError as error:
        sys.stderr.write(f"connectfour: {error}\n")
        sys.exit(error.exit_code)
    except OSError as error:
        where = "" if error.filename is None else f"{error.filename}: "
        reason = (error.strerror or str(error) or type(error).__name__).lower()
        sys.stderr.write(f"connectfour: {where}{reason}; check the path, its permissions and free space\n")
        sys.exit(1)


def export_onnx_main() -> None:
    """Run ``export-onnx`` as a standalone command."""
    sys.argv.insert(1, "export-onnx")
    main()
