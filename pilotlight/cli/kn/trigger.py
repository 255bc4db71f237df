"""`pilotlight trigger …`: kn's commands for Triggers."""

from __future__ import annotations

import typer

from core.resources.eventing import TRIGGER
from pilotlight.cli.kn.changing import add_changes
from pilotlight.cli.kn.eventing_describe import TRIGGER_HEADER, describe_trigger, trigger_row
from pilotlight.cli.kn.eventing_options import TRIGGER_FLAGS
from pilotlight.cli.kn.objects import add_describe, add_list

app = typer.Typer(help="Manage Triggers.", no_args_is_help=True)
add_changes(app, TRIGGER, TRIGGER_FLAGS, required=("--sink",))
add_list(app, TRIGGER, TRIGGER_HEADER, trigger_row)
add_describe(app, TRIGGER, describe_trigger)
