"""Every ConfigMap: upstream's defaults, what is read, what is refused and how that is said.

Covers core.settings.declaration, core.settings.autoscaler, core.settings.defaults, core.settings.gc,
core.settings.network, core.settings.domain, core.settings.features and core.settings.config_maps.
"""

from __future__ import annotations

from typing import Any

import pytest

from core.errors import FieldError, FieldProblem
from core.settings.autoscaler import AutoscalerSettings, parse_autoscaler
from core.settings.config_maps import CONFIG_MAPS, DECLARATIONS, settings_of, validate_config_map, warn_config_map
from core.settings.declaration import declared_keys
from core.settings.defaults import DefaultsSettings, parse_defaults
from core.settings.domain import DomainSettings, parse_domain
from core.settings.features import Flag
from core.settings.gc import GcSettings
from core.settings.network import NetworkSettings, parse_network


def config_map(name: str, data: dict[str, str] | None, namespace: str = "knative-serving") -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": namespace}, "data": data}


def test_autoscaler_defaults_are_upstreams() -> None:
    assert parse_autoscaler({}) == AutoscalerSettings(
        target_fraction=0.7,
        concurrency_target=100,
        rps_target=200,
        target_burst_capacity=211,
        stable_window_s=60,
        panic_window_percentage=10,
        panic_threshold_percentage=200,
        max_scale_up_rate=1000,
        max_scale_down_rate=2,
        enable_scale_to_zero=True,
        scale_to_zero_grace_period_s=30,
        scale_to_zero_pod_retention_period_s=0,
        scale_down_delay_s=0,
        pod_autoscaler_class="kpa.autoscaling.knative.dev",
        activator_capacity=100,
        initial_scale=1,
        allow_zero_initial_scale=False,
        min_scale=0,
        max_scale=0,
        max_scale_limit=0,
    )


READ = [
    ("config-autoscaler", "stable-window", "6s", "stable_window_s", 6.0),
    ("config-autoscaler", "stable-window", "1h", "stable_window_s", 3600.0),
    ("config-autoscaler", "container-concurrency-target-percentage", "70", "target_fraction", 0.7),
    ("config-autoscaler", "container-concurrency-target-percentage", "1", "target_fraction", 1.0),  # trap: not 1 %
    ("config-autoscaler", "container-concurrency-target-percentage", "0.5", "target_fraction", 0.5),
    ("config-autoscaler", "target-burst-capacity", "-1", "target_burst_capacity", -1.0),
    ("config-autoscaler", "panic-threshold-percentage", "5000", "panic_threshold_percentage", 5000.0),
    ("config-autoscaler", "enable-scale-to-zero", "f", "enable_scale_to_zero", False),
    ("config-defaults", "revision-timeout-seconds", "600", "revision_timeout_s", 600),
    ("config-defaults", "revision-timeout-seconds", "200", "revision_response_start_timeout_s", 200),
    ("config-defaults", "enable-service-links", "default", "enable_service_links", None),
    ("config-defaults", "revision-memory-limit", "200Mi", "revision_memory_limit", "200Mi"),
    ("config-gc", "retain-since-create-time", "disabled", "retain_since_create_s", None),
    ("config-gc", "retain-since-create-time", "1h", "retain_since_create_s", 3600.0),
    ("config-gc", "max-non-active-revisions", "Disabled", "max_non_active_revisions", None),
    ("config-network", "rollout-duration", "120", "rollout_duration_s", 120),
    ("config-network", "rolloutDuration", "7", "rollout_duration_s", 7),
    ("config-network", "http-protocol", "redirected", "http_protocol", "Redirected"),
    ("config-network", "auto-tls", "enabled", "external_domain_tls", "Enabled"),
    ("config-features", "tag-header-based-routing", "enabled", "tag_header_based_routing", Flag.ENABLED),
    ("config-features", "kubernetes.podspec-dryrun", "DISABLED", "dryrun", Flag.DISABLED),
    ("config-features", "secure-pod-defaults", "allowrootbounded", "secure_pod_defaults", "AllowRootBounded"),
]


@pytest.mark.parametrize(("name", "key", "text", "field", "value"), READ)
def test_reads(name: str, key: str, text: str, field: str, value: object) -> None:
    settings = CONFIG_MAPS[name]({key: text})
    assert not isinstance(settings, list), settings
    assert getattr(settings, field) == value


REFUSED = [
    ("config-autoscaler", {"stable-window": "5s"}, "stable-window = 5s, must be in [6s; 1h0m0s] range"),
    ("config-autoscaler", {"stable-window": "61m"}, "stable-window = 61m, must be in [6s; 1h0m0s] range"),
    ("config-autoscaler", {"stable-window": "6500ms"}, "must be specified with at most second precision"),
    ("config-autoscaler", {"stable-window": "60"}, "a number with a unit"),
    ("config-autoscaler", {"max-scale-up-rate": "1"}, "max-scale-up-rate = 1, must be greater than 1.0"),
    ("config-autoscaler", {"max-scale-down-rate": "0.5"}, "must be greater than 1.0"),
    ("config-autoscaler", {"panic-window-percentage": "0"}, "must be in [1, 100] interval"),
    ("config-autoscaler", {"panic-window-percentage": "101"}, "must be in [1, 100] interval"),
    ("config-autoscaler", {"panic-window-percentage": "ten"}, "panic-window-percentage = ten, must be in [1, 100]"),
    ("config-autoscaler", {"target-burst-capacity": "-2"}, "must be either non-negative or -1 (for unlimited)"),
    ("config-autoscaler", {"container-concurrency-target-percentage": "0"}, "must be in (0, 100]"),
    ("config-autoscaler", {"container-concurrency-target-percentage": "101"}, "must be in (0, 100]"),
    ("config-autoscaler", {"container-concurrency-target-default": "0.01"}, "can't be less than 0.01"),
    ("config-autoscaler", {"requests-per-second-target-default": "0"}, "must be at least 0.01"),
    ("config-autoscaler", {"scale-to-zero-grace-period": "0s"}, "must be a positive duration"),
    ("config-autoscaler", {"scale-down-delay": "-1s"}, "must be a duration of at least 0s"),
    ("config-autoscaler", {"scale-down-delay": "1500ms"}, "second precision"),
    ("config-autoscaler", {"scale-to-zero-pod-retention-period": "-1s"}, "at least 0s"),
    ("config-autoscaler", {"activator-capacity": "0.9"}, "must be at least 1"),
    ("config-autoscaler", {"initial-scale": "0"}, "at least 1 when allow-zero-initial-scale is false"),
    ("config-autoscaler", {"initial-scale": "-1"}, "must be a whole number of at least 0"),
    ("config-autoscaler", {"max-scale-limit": "5"}, "must be in [1, max-scale-limit(5)] range"),
    ("config-autoscaler", {"max-scale-limit": "5", "max-scale": "6"}, "max-scale = 6"),
    ("config-autoscaler", {"max-scale": "2", "min-scale": "3"}, "must be at most max-scale(2)"),
    ("config-autoscaler", {"enable-scale-to-zero": "maybe"}, "must be true or false"),
    ("config-autoscaler", {"max-scale-up-rate": "NaN"}, "must be greater than 1.0"),
    ("config-autoscaler", {"max-scale-up-rate": "1_0"}, "must be greater than 1.0"),
    ("config-defaults", {"revision-timeout-seconds": "601"}, "cannot be greater than max-revision-timeout-seconds"),
    ("config-defaults", {"revision-idle-timeout-seconds": "301"}, "cannot be greater than revision-timeout-seconds"),
    ("config-defaults", {"revision-response-start-timeout-seconds": "301"}, "than revision-timeout-seconds (300)"),
    ("config-defaults", {"container-concurrency": "1001"}, "container-concurrency-max-limit(1000)"),
    ("config-defaults", {"container-concurrency-max-limit": "0"}, "at least 1"),
    ("config-defaults", {"container-name-template": "{{.Nope}}"}, "the fields are Name, Namespace"),
    ("config-defaults", {"revision-cpu-limit": "1 core"}, "must be a quantity"),
    ("config-gc", {"min-non-active-revisions": "-1"}, "at least 0"),
    ("config-gc", {"max-non-active-revisions": "1"}, "must be <= max-non-active-revisions(1)"),
    ("config-gc", {"retain-since-create-time": "2d"}, "or disabled"),
    ("config-network", {"rollout-duration": "-1"}, "at least 0"),
    ("config-network", {"http-protocol": "https"}, "must be one of Enabled, Redirected, Disabled"),
    ("config-network", {"domain-template": "{{.Domain"}, "unclosed"),
    ("config-network", {"domain-template": "{{.Domain}}/{{.Name}}"}, "must make a host name"),
    ("config-network", {"tag-template": "{{.Tag}}/{{.Name}}"}, "must make a host name"),
    ("config-domain", {"UPPER.example": ""}, "the key must be a domain"),
    ("config-domain", {"a.example": "selector: ["}, "must be empty or YAML"),
    ("config-domain", {"a.example": "selector: [a]"}, "must be empty or YAML"),
    ("config-features", {"multi-container": "yes"}, "must be one of Enabled, Allowed, Disabled"),
]


@pytest.mark.parametrize(("name", "data", "message"), REFUSED, ids=lambda value: str(value)[:50])
def test_refuses(name: str, data: dict[str, str], message: str) -> None:
    errors = validate_config_map(config_map(name, data))
    assert len(errors) == 1
    assert message in errors[0].message
    key = errors[0].path.removeprefix("data[").removesuffix("]")
    assert errors[0].message.startswith(f"{key} = "), "names the key and what was found"
    assert settings_of(name, config_map(name, data)) is None


def test_names_every_wrong_key_at_once_and_the_reason_of_a_closed_set() -> None:
    errors = validate_config_map(config_map("config-network", {"http-protocol": "x", "rollout-duration": "y"}))
    assert {error.path for error in errors} == {"data[http-protocol]", "data[rollout-duration]"}
    by_path: dict[str, FieldError] = {error.path: error for error in errors}
    assert by_path["data[http-protocol]"].problem is FieldProblem.NOT_SUPPORTED
    assert by_path["data[rollout-duration]"].problem is FieldProblem.INVALID


def test_the_new_spelling_wins_over_the_old_one() -> None:
    settings = parse_network({"rolloutDuration": "1", "rollout-duration": "2"})
    assert isinstance(settings, NetworkSettings)
    assert settings.rollout_duration_s == 2


def test_an_own_start_timeout_may_be_off() -> None:
    settings = parse_defaults({"revision-response-start-timeout-seconds": "0"})
    assert isinstance(settings, DefaultsSettings)
    assert settings.revision_response_start_timeout_s == 0


def test_gc_defaults_are_upstreams() -> None:
    assert CONFIG_MAPS["config-gc"]({}) == GcSettings(
        retain_since_create_s=48 * 3600,
        retain_since_last_active_s=15 * 3600,
        min_non_active_revisions=20,
        max_non_active_revisions=1000,
    )


@pytest.mark.parametrize(
    ("labels", "domain"),
    [
        ({}, "example.org"),
        ({"app": "prod"}, "prod.example.org"),
        ({"app": "prod", "tier": "1"}, "tier.example.org"),
        ({"app": "dev"}, "example.org"),
    ],
)
def test_the_most_specific_domain_wins(labels: dict[str, str], domain: str) -> None:
    settings = parse_domain(
        {
            "example.org": "",
            "prod.example.org": "selector:\n  app: prod\n",
            "tier.example.org": "selector: {app: prod, tier: '1'}",
            "_example": "not: [read",
        }
    )
    assert isinstance(settings, DomainSettings)
    assert settings.for_labels(labels) == domain


def test_every_route_has_a_domain() -> None:
    settings = parse_domain({"prod.example.org": "selector: {app: prod}"})
    assert isinstance(settings, DomainSettings)
    assert settings.for_labels({}) == "localhost"


def test_of_equal_domains_the_first_by_name_wins() -> None:
    settings = parse_domain({"b.example": "", "a.example": ""})
    assert isinstance(settings, DomainSettings)
    assert settings.for_labels({"any": "label"}) == "a.example"


def test_unknown_keys_are_accepted_with_a_warning_that_names_the_likely_one() -> None:
    obj = config_map("config-autoscaler", {"stable-windw": "60s", "_example": "…", "stable-window": "60s"})
    assert not validate_config_map(obj)
    assert list(warn_config_map(obj)) == [
        "data[stable-windw]: unknown key, ignored; did you mean 'stable-window'?",
    ]


def test_config_maps_of_others_may_hold_anything() -> None:
    data = {"stable-window": "never"}
    assert not validate_config_map(config_map("config-autoscaler", data, namespace="default"))
    assert not validate_config_map(config_map("mine", data))
    assert not warn_config_map(config_map("mine", data))
    assert not validate_config_map(config_map("config-autoscaler", None))


@pytest.mark.parametrize("name", DECLARATIONS)
def test_every_key_says_what_it_is_and_what_it_takes(name: str) -> None:
    keys = declared_keys(DECLARATIONS[name])
    assert len({key.name for key in keys.values()}) == len(keys)
    assert all(key.help and key.reader.allowed for key in keys.values())
