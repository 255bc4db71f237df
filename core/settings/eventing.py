"""The ConfigMaps of namespace `knative-eventing`: what a Broker or Channel is where its document does not say.

`config-br-defaults` and `default-ch-webhook` hold YAML under one key each, with a part for the cluster and parts for
namespaces (knative.dev/eventing/pkg/apis/{config,messaging/config}); `config-features` has one flag a key. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

import yaml

from core.errors import FieldError
from core.settings.declaration import Settings, invalid, key, parse_settings

EVENTING_NAMESPACE: Final = "knative-eventing"
DEFAULT_CLASS: Final = "Pilotlight"
DEFAULT_DELIVERY: Final[Mapping[str, Any]] = MappingProxyType(
    {"retry": 10, "backoffPolicy": "exponential", "backoffDelay": "PT0.2S"}
)
"""As Knative ships it."""
DEFAULT_CHANNEL: Final[Mapping[str, Any]] = MappingProxyType(
    {"apiVersion": "messaging.knative.dev/v1", "kind": "InMemoryChannel"}
)
BROKER_KEY: Final = "default-br-config"
CHANNEL_KEY: Final = "default-ch-config"
_REFERENCE: Final = ("apiVersion", "kind", "name", "namespace")
_MAPPING: Final = "must be YAML with clusterDefault and namespaceDefaults"


@dataclass(frozen=True, slots=True)
class BrokerDefault:
    """For one class: the reference that becomes `spec.config`, and what becomes `spec.delivery`."""

    config: Mapping[str, Any] = field(default_factory=dict)
    delivery: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scope:
    """One part of `default-br-config`: the class, its default, and those of other classes."""

    broker_class: str = ""
    default: BrokerDefault = BrokerDefault()
    classes: Mapping[str, BrokerDefault] = field(default_factory=dict)


_CLUSTER: Final = Scope(DEFAULT_CLASS, BrokerDefault(delivery=DEFAULT_DELIVERY))


@dataclass(frozen=True, slots=True)
class BrokerDefaults:
    cluster: Scope = _CLUSTER
    namespaces: Mapping[str, Scope] = field(default_factory=dict)

    def class_of(self, namespace: str) -> str:
        return self._scope(namespace).broker_class or self.cluster.broker_class or DEFAULT_CLASS

    def of(self, namespace: str, broker_class: str) -> BrokerDefault:
        """What the namespace says of the class, or else the cluster; the plain default serves every other class."""
        scope = self._scope(namespace)
        found = scope.classes.get(broker_class) or self.cluster.classes.get(broker_class)
        if found is None:
            own = scope if scope.default != BrokerDefault() else self.cluster
            named = own.broker_class or DEFAULT_CLASS
            found = own.default if named == broker_class else BrokerDefault(delivery=own.default.delivery)
        return found

    def _scope(self, namespace: str) -> Scope:
        return self.namespaces.get(namespace, self.cluster)


@dataclass(frozen=True, slots=True)
class ChannelDefaults:
    """Templates of the channel that a Channel becomes: apiVersion, kind, spec."""

    cluster: Mapping[str, Any] = field(default_factory=lambda: DEFAULT_CHANNEL)
    namespaces: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def of(self, namespace: str) -> Mapping[str, Any]:
        return self.namespaces.get(namespace, self.cluster)


def parse_broker_defaults(data: Mapping[str, str]) -> BrokerDefaults | list[FieldError]:
    parts = _parts(data, BROKER_KEY)
    if isinstance(parts, list):
        return parts
    cluster, namespaces = parts
    return BrokerDefaults(
        _scope_of(cluster) if cluster else _CLUSTER, {name: _scope_of(part) for name, part in namespaces.items()}
    )


def parse_channel_defaults(data: Mapping[str, str]) -> ChannelDefaults | list[FieldError]:
    parts = _parts(data, CHANNEL_KEY)
    if isinstance(parts, list):
        return parts
    cluster, namespaces = parts
    if any(part and not (part.get("apiVersion") and part.get("kind")) for part in (cluster, *namespaces.values())):
        return [invalid(CHANNEL_KEY, data[CHANNEL_KEY].strip(), "must name apiVersion and kind of each template")]
    return ChannelDefaults(cluster or DEFAULT_CHANNEL, namespaces)


def _parts(data: Mapping[str, str], name: str) -> tuple[Mapping[str, Any], dict[str, Any]] | list[FieldError]:
    """The cluster's part and those of namespaces, empty where the key is not there."""
    text = data.get(name, "")
    try:
        parsed = yaml.safe_load(text)
    except yaml.YAMLError:
        return [invalid(name, text.strip(), _MAPPING)]
    if parsed is None:
        return {}, {}
    if not isinstance(parsed, dict):
        return [invalid(name, text.strip(), _MAPPING)]
    cluster, namespaces = parsed.get("clusterDefault") or {}, parsed.get("namespaceDefaults") or {}
    whole = isinstance(cluster, dict) and isinstance(namespaces, dict)
    if not whole or not all(isinstance(part, dict) for part in namespaces.values()):
        return [invalid(name, text.strip(), _MAPPING)]
    return cluster, namespaces


def _scope_of(part: Mapping[str, Any]) -> Scope:
    classes = part.get("brokerClasses") or {}
    return Scope(
        str(part.get("brokerClass") or ""),
        _default_of(part),
        {name: _default_of(each) for name, each in classes.items() if isinstance(each, dict)},
    )


def _default_of(part: Mapping[str, Any]) -> BrokerDefault:
    config = {name: part[name] for name in _REFERENCE if part.get(name)}
    return BrokerDefault(config, part.get("delivery") or {})


@dataclass(frozen=True, slots=True)
class _FlagReader:
    """Knative's flags also take words of their own (`strict`, `allow-same-namespace`); those are kept as they are."""

    words: tuple[str, ...] = ("enabled", "disabled")

    @property
    def allowed(self) -> str:
        return f"must be one of {', '.join(self.words)}"

    def read(self, text: str) -> str:
        word = text.lower()
        if word not in self.words:
            raise ValueError
        return word


def _flag(name: str, default: str, help: str, *words: str) -> Any:
    return key(name, _FlagReader(("enabled", "disabled", *words)), default, help)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventingFeatures(Settings):
    """What `config-features` of `knative-eventing` says."""

    eventtype_auto_create: str = _flag("eventtype-auto-create", "enabled", "an EventType for each new type and source")
    delivery_timeout: str = _flag("delivery-timeout", "enabled", "delivery.timeout", "allowed")
    delivery_retryafter: str = _flag("delivery-retryafter", "enabled", "delivery.retryAfterMax", "allowed")
    delivery_backoffmax: str = _flag("delivery-backoff-max", "enabled", "delivery.backoffMax", "allowed")
    trigger_filters: str = _flag("new-trigger-filters", "enabled", "filters of Triggers", "allowed")
    source_filters: str = _flag("new-apiserversource-filters", "enabled", "filters of ApiServerSources", "allowed")
    cross_namespace: str = _flag("cross-namespace-event-links", "enabled", "Triggers of another namespace's Broker")
    kreference_group: str = _flag("kreference-group", "enabled", "references by group", "allowed")
    kreference_mapping: str = _flag("kreference-mapping", "disabled", "addresses of kinds that are not Addressable")
    transport_encryption: str = _flag(
        "transport-encryption", "disabled", "TLS between parts", "permissive", "strict", "allowed"
    )
    authentication_oidc: str = _flag("authentication-oidc", "disabled", "identities of senders")
    authorization_mode: str = _flag(
        "default-authorization-mode",
        "allow-same-namespace",
        "who may send where no EventPolicy says it",
        "allow-all",
        "deny-all",
        "allow-same-namespace",
    )


def parse_eventing_features(data: Mapping[str, str]) -> EventingFeatures | list[FieldError]:
    return parse_settings(EventingFeatures, data)
