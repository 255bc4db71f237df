"""The table of the ConfigMaps that configure the platform, and the admission rules of a ConfigMap.

Settings go by the name of their ConfigMap; those of eventing have its namespace in front, for both namespaces have a
`config-features`. The kind ConfigMap calls `validate_config_map` and `warn_config_map`; whoever needs settings in force
calls `settings_of`. Pure.
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
from core.settings.eventing import (
    EVENTING_NAMESPACE,
    EventingFeatures,
    parse_broker_defaults,
    parse_channel_defaults,
    parse_eventing_features,
)
from core.settings.features import FeatureSettings, parse_features
from core.settings.gc import GcSettings, parse_gc
from core.settings.network import NetworkSettings, parse_network
from core.settings.sinks import SinkSettings, parse_sinks

SYSTEM_NAMESPACE: Final = "knative-serving"

AUTOSCALER: Final = "config-autoscaler"
DEFAULTS: Final = "config-defaults"
DOMAIN: Final = "config-domain"
FEATURES: Final = "config-features"
GC: Final = "config-gc"
NETWORK: Final = "config-network"
BROKER_DEFAULTS: Final = f"{EVENTING_NAMESPACE}/config-br-defaults"
CHANNEL_DEFAULTS: Final = f"{EVENTING_NAMESPACE}/default-ch-webhook"
EVENTING_FEATURES: Final = f"{EVENTING_NAMESPACE}/config-features"
SINKS: Final = f"{EVENTING_NAMESPACE}/config-sinks"

CONFIG_MAPS: Final[Mapping[str, SettingsParser]] = MappingProxyType(
    {
        AUTOSCALER: parse_autoscaler,
        DEFAULTS: parse_defaults,
        DOMAIN: parse_domain,
        FEATURES: parse_features,
        GC: parse_gc,
        NETWORK: parse_network,
        BROKER_DEFAULTS: parse_broker_defaults,
        CHANNEL_DEFAULTS: parse_channel_defaults,
        EVENTING_FEATURES: parse_eventing_features,
        SINKS: parse_sinks,
    }
)

DECLARATIONS: Final[Mapping[str, type[Settings]]] = MappingProxyType(
    {
        AUTOSCALER: AutoscalerSettings,
        DEFAULTS: DefaultsSettings,
        FEATURES: FeatureSettings,
        GC: GcSettings,
        NETWORK: NetworkSettings,
        EVENTING_FEATURES: EventingFeatures,
        SINKS: SinkSettings,
    }
)
"""Those with a fixed set of keys (every key of config-domain is a domain)."""


def settings_name(namespace: str, name: str) -> str | None:
    """What the settings of a ConfigMap go by; None where it is not one of the platform's own."""
    known = name if namespace == SYSTEM_NAMESPACE else f"{namespace}/{name}"
    return known if known in CONFIG_MAPS else None


def config_map_of(settings: str) -> tuple[str, str]:
    """Namespace and name of the ConfigMap."""
    namespace, slash, name = settings.rpartition("/")
    return (namespace if slash else SYSTEM_NAMESPACE), name


def is_settings(obj: Mapping[str, Any]) -> bool:
    """Whether a ConfigMap is one of the platform's own."""
    return _name_of(obj) is not None


def validate_config_map(obj: Mapping[str, Any]) -> Sequence[FieldError]:
    """What is wrong with a ConfigMap of the platform; any other ConfigMap may hold anything.

    A value that is not text is the schema's to refuse.
    """
    name = _name_of(obj)
    if name is None or not all(isinstance(value, str) for value in (obj.get("data") or {}).values()):
        return ()
    parsed = CONFIG_MAPS[name](obj.get("data") or {})
    return parsed if isinstance(parsed, list) else ()


def warn_config_map(obj: Mapping[str, Any]) -> Sequence[str]:
    """Keys that nobody reads."""
    declared = DECLARATIONS.get(_name_of(obj) or "")
    return unknown_keys(declared, obj.get("data") or {}) if declared else ()


def settings_of(name: str, obj: Mapping[str, Any] | None) -> Any | None:
    """The settings of a ConfigMap, defaults where there is none; None where it is not valid: keep the old ones."""
    parsed = CONFIG_MAPS[name]((obj or {}).get("data") or {})
    return None if isinstance(parsed, list) else parsed


def _name_of(obj: Mapping[str, Any]) -> str | None:
    metadata = obj.get("metadata") or {}
    return settings_name(metadata.get("namespace", ""), metadata.get("name", ""))
