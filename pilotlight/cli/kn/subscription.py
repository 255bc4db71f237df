"""`pilotlight subscription …`: kn's commands for Subscriptions."""

from __future__ import annotations

import typer

from core.resources.messaging import SUBSCRIPTION
from pilotlight.cli.kn.changing import add_changes
from pilotlight.cli.kn.eventing_describe import SUBSCRIPTION_HEADER, describe_subscription, subscription_row
from pilotlight.cli.kn.eventing_options import SUBSCRIPTION_FLAGS
from pilotlight.cli.kn.objects import add_describe, add_list

app = typer.Typer(help="Manage Subscriptions.", no_args_is_help=True)
add_changes(app, SUBSCRIPTION, SUBSCRIPTION_FLAGS, required=("--channel",))
add_list(app, SUBSCRIPTION, SUBSCRIPTION_HEADER, subscription_row)
add_describe(app, SUBSCRIPTION, describe_subscription)
