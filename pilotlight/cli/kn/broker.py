"""`pilotlight broker …`: kn's commands for Brokers."""

from __future__ import annotations

import typer

from core.resources.eventing import BROKER
from pilotlight.cli.kn.changing import add_changes
from pilotlight.cli.kn.eventing_describe import BROKER_HEADER, broker_row, describe_broker
from pilotlight.cli.kn.eventing_options import BROKER_FLAGS
from pilotlight.cli.kn.objects import add_describe, add_list

app = typer.Typer(help="Manage Brokers.", no_args_is_help=True)
add_changes(app, BROKER, BROKER_FLAGS)
add_list(app, BROKER, BROKER_HEADER, broker_row)
add_describe(app, BROKER, describe_broker)
