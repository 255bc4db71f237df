"""`pilotlight eventtype …`: kn's commands for EventTypes."""

from __future__ import annotations

import typer

from core.resources.eventing import EVENT_TYPE
from pilotlight.cli.kn.changing import add_changes
from pilotlight.cli.kn.eventing_describe import EVENT_TYPE_HEADER, describe_event_type, event_type_row
from pilotlight.cli.kn.eventing_options import EVENT_TYPE_FLAGS
from pilotlight.cli.kn.objects import add_describe, add_list

app = typer.Typer(help="Manage EventTypes.", no_args_is_help=True)
add_changes(app, EVENT_TYPE, EVENT_TYPE_FLAGS, required=("--type",))
add_list(app, EVENT_TYPE, EVENT_TYPE_HEADER, event_type_row)
add_describe(app, EVENT_TYPE, describe_event_type)
