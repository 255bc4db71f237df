"""`pilotlight route …`: kn's commands for Routes."""

from __future__ import annotations

import typer

from core.resources.serving import ROUTE
from pilotlight.cli.kn.describe import ROUTE_HEADER, describe_plain, route_row
from pilotlight.cli.kn.objects import (
    add_describe,
    add_list,
)

app = typer.Typer(help="Look at Routes.", no_args_is_help=True)
add_list(app, ROUTE, ROUTE_HEADER, route_row)
add_describe(app, ROUTE, describe_plain)
