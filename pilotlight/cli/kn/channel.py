"""`pilotlight channel …`: kn's commands for Channels."""

from __future__ import annotations

import typer

from core.resources.messaging import CHANNEL, IN_MEMORY_CHANNEL
from pilotlight.cli.kn.changing import add_changes
from pilotlight.cli.kn.eventing_describe import CHANNEL_HEADER, channel_row, describe_channel
from pilotlight.cli.kn.eventing_options import CHANNEL_FLAGS
from pilotlight.cli.kn.formats import AsJson
from pilotlight.cli.kn.objects import add_describe, add_list, print_types

app = typer.Typer(help="Manage Channels.", no_args_is_help=True)
add_changes(app, CHANNEL, CHANNEL_FLAGS)
add_list(app, CHANNEL, CHANNEL_HEADER, channel_row)
add_describe(app, CHANNEL, describe_channel)


@app.command("list-types")
def list_types_command(as_json: AsJson = False) -> None:
    """List what a Channel can become."""
    print_types([IN_MEMORY_CHANNEL], as_json=as_json)
