"""The command line: ``dcm4py-leading``, also ``python -m dcm4py_leading``.

Results go to stdout, remarks and the log to stderr. Exit codes are those of `cli.command`. Every option can be given
as environment variable ``DCM4PY_<OPTION>``; what is on the command line goes before it.
"""

from __future__ import annotations

import click

from dcm4py_leading import __version__
from dcm4py_leading.cli.command import CONTEXT_SETTINGS, LazyGroup
from dcm4py_leading.cli.commands import COMMANDS


@click.group(cls=LazyGroup, listed=COMMANDS, context_settings=CONTEXT_SETTINGS)
@click.version_option(__version__, prog_name="dcm4py-leading")
def main() -> None:
    """DICOM query/retrieve service that delivers the attributes of a leading archive, configured from LDAP.

    COMMAND -h tells the options of a command, with examples.
    """


if __name__ == "__main__":
    main()
