"""The table of the ConfigMaps that configure the platform, and the admission rules of a ConfigMap.

The kind ConfigMap calls `validate_config_map` and `warn_config_map`; whoever needs settings in force calls
`settings_of`. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from core.errors import FieldError
from core.settings.autoscaler import AutoscalerSettings, parse_autoscaler
from core.settings.declaration import Settings, SettingsParser, unknown_keys
from core.settings.defaults import DefaultsSettings, parse_defaults
from core.settings.domain import parse_domain
from core.settings.features import FeatureSettings, parse_features
from core.settings.gc import GcSettings, parse_gc
from core.settings.network import NetworkSettings, parse_network

SYSTEM_NAMESPACE: Final = "knative-serving"

AUTOSCALER: Final = "config-autoscaler"
DEFAULTS: Final = "config-defaults"
DOMAIN: Final = "config-domain"
FEATURES: Final = "config-features"
GC: Final = "config-gc"
NETWORK: Final = "config-network"

CONFIG_MAPS: Final[Mapping[str, SettingsParser]] = MappingProxyType(
    {
        AUTOSCALER: parse_autoscaler,
        DEFAULTS: parse_defaults,
        DOMAIN: parse_domain,
        FEATURES: parse_features,
        GC: parse_gc,
        NETWORK: parse_network,
    }
)

DECLARATIONS: Final[Mapping[str, type[Settings]]] = MappingProxyType(
    {
        AUTOSCALER: AutoscalerSettings,
        DEFAULTS: DefaultsSettings,
        FEATURES: FeatureSettings,
        GC: GcSettings,
        NETWORK: NetworkSettings,
    }
)
"""Those with a fixed set of keys (every key of config-domain is a domain)."""


def is_settings(obj: Mapping[str, Any]) -> bool:
    """Whether a ConfigMap is one of the platform's own."""
    metadata = obj.get("metadata") or {}
    return metadata.get("namespace") == SYSTEM_NAMESPACE and metadata.get("name") in CONFIG_MAPS


def validate_config_map(obj: Mapping[str, Any]) -> Sequence[FieldError]:
    """What is wrong with a ConfigMap of the platform; any other ConfigMap may hold anything.

    A value that is not text is the schema's to refuse.
    """
    if not is_settings(obj) or not all(isinstance(value, str) for value in (obj.get("data") or {}).values()):
        return ()
    parsed = CONFIG_MAPS[obj["metadata"]["name"]](obj.get("data") or {})
    return parsed if isinstance(parsed, list) else ()


def warn_config_map(obj: Mapping[str, Any]) -> Sequence[str]:
    """Keys that nobody reads."""
    declared = DECLARATIONS.get(obj["metadata"]["name"]) if is_settings(obj) else None
    return unknown_keys(declared, obj.get("data") or {}) if declared else ()


def settings_of(name: str, obj: Mapping[str, Any] | None) -> Any | None:
    """The settings of a ConfigMap, defaults where there is none; None where it is not valid: keep the old ones."""
    parsed = CONFIG_MAPS[name]((obj or {}).get("data") or {})
    return None if isinstance(parsed, list) else parsed
