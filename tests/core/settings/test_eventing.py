"""The ConfigMaps of eventing: what they hold, what is refused, and that each namespace has a config-features."""

from __future__ import annotations

import pytest

from core.settings import config_maps
from core.settings.config_maps import config_map_of, settings_name, settings_of, validate_config_map, warn_config_map
from core.settings.eventing import (
    DEFAULT_CHANNEL,
    DEFAULT_DELIVERY,
    BrokerDefaults,
    ChannelDefaults,
    parse_broker_defaults,
    parse_channel_defaults,
    parse_eventing_features,
)


def test_defaults_without_a_config_map() -> None:
    brokers = settings_of(config_maps.BROKER_DEFAULTS, None)
    assert isinstance(brokers, BrokerDefaults)
    assert (brokers.class_of("any"), brokers.of("any", "Pilotlight").delivery) == ("Pilotlight", DEFAULT_DELIVERY)
    channels = settings_of(config_maps.CHANNEL_DEFAULTS, None)
    assert isinstance(channels, ChannelDefaults)
    assert channels.of("any") == DEFAULT_CHANNEL


def test_channels_by_namespace() -> None:
    text = """
clusterDefault: {apiVersion: messaging.knative.dev/v1, kind: InMemoryChannel}
namespaceDefaults:
  some: {apiVersion: messaging.knative.dev/v1, kind: InMemoryChannel, spec: {delivery: {retry: 2}}}
"""
    found = parse_channel_defaults({"default-ch-config": text})
    assert isinstance(found, ChannelDefaults)
    assert found.of("some")["spec"] == {"delivery": {"retry": 2}}
    assert "spec" not in found.of("other")


@pytest.mark.parametrize("text", ["[]", "a: [", "clusterDefault: 1", "namespaceDefaults: {a: 1}"])
def test_what_is_no_mapping_is_refused(text: str) -> None:
    for parse, key in ((parse_broker_defaults, "default-br-config"), (parse_channel_defaults, "default-ch-config")):
        found = parse({key: text})
        assert isinstance(found, list)
        assert found[0].path == f"data[{key}]"


def test_a_channel_template_names_its_kind() -> None:
    found = parse_channel_defaults({"default-ch-config": "clusterDefault: {kind: InMemoryChannel}"})
    assert isinstance(found, list)


def test_flags() -> None:
    found = parse_eventing_features({"eventtype-auto-create": "Disabled", "transport-encryption": "strict"})
    assert not isinstance(found, list)
    assert (found.eventtype_auto_create, found.transport_encryption) == ("disabled", "strict")
    assert isinstance(parse_eventing_features({"eventtype-auto-create": "perhaps"}), list)


def test_both_namespaces_have_features_of_their_own() -> None:
    assert settings_name("knative-serving", "config-features") == config_maps.FEATURES
    assert settings_name("knative-eventing", "config-features") == config_maps.EVENTING_FEATURES
    assert settings_name("default", "config-features") is None
    assert config_map_of(config_maps.FEATURES) == ("knative-serving", "config-features")
    assert config_map_of(config_maps.EVENTING_FEATURES) == ("knative-eventing", "config-features")
    metadata = {"name": "config-features", "namespace": "knative-eventing"}
    assert validate_config_map({"metadata": metadata, "data": {"eventtype-auto-create": "no"}})
    assert warn_config_map({"metadata": metadata, "data": {"multi-container": "Enabled"}})
