"""The roof: builds everything once and passes it down."""

from typing import Final

VERSION: Final = "0.1.0"
"""Here for the build and for the platform: what asks the installed distribution takes longer than opening the store."""
