"""Upstream's tables of metadata and authentication, replayed (rabbitmq_scaler_test.go); and where it all leads."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from core.clients.rabbitmq_access import Access
from core.clients.tls import ClientTls
from core.resources.meta import ObjectKey
from scalers.params import parse
from scalers.rabbitmq_parameters import (
    Mode,
    Place,
    RabbitmqParameters,
    amqp_access,
    companion_apis,
    management_api,
    vhost_and_path,
)
from scalers.readings import Trigger

ENV = {"HOST": "amqp://user:sercet@somehost.com:5236/vhost", "NAME": "user", "WORD": "Password"}
AMQP = {"queueName": "sample", "hostFromEnv": "HOST"}
HTTP = {"queueName": "sample", "host": "http://somehost.com"}
HTTPS = {"queueName": "sample", "host": "https://somehost.com"}
PLAIN_AMQP = {"queueName": "sample", "host": "amqp://somehost.com"}
AMQPS = {"queueName": "sample", "host": "amqps://somehost.com"}
OAUTH = {"oauthTokenURI": "https://oauth.example.com/token", "clientID": "my-client", "clientSecret": "my-secret"}
NONE: dict[str, str] = {}


def found(metadata: Mapping[str, str], auth: Mapping[str, str] = NONE) -> RabbitmqParameters | dict[str, str]:
    """The parameters, or what is wrong with which."""
    trigger = Trigger(ObjectKey("default", "x"), 0, "rabbitmq", metadata, auth=auth, env=ENV)
    read = parse(RabbitmqParameters, trigger)
    if isinstance(read, list):
        return {each.path.removeprefix("spec.triggers[0].metadata."): each.message for each in read}
    return read


def good(metadata: Mapping[str, str], auth: Mapping[str, str] = NONE) -> RabbitmqParameters:
    read = found(metadata, auth)
    assert isinstance(read, RabbitmqParameters), read
    return read


def modes(mode: str, host: Mapping[str, str], **more: str) -> dict[str, str]:
    return {**host, "mode": mode, "value": "1000", **more}


METADATA = [
    pytest.param({}, {"queueName", "host"}, id="nothing passed"),
    pytest.param({**AMQP, "queueLength": "10"}, None, id="properly formed"),
    pytest.param({**AMQP, "queueLength": "AA"}, {"queueLength"}, id="malformed queueLength"),
    pytest.param({"queueName": "sample"}, {"host"}, id="missing host"),
    pytest.param({"queueLength": "10", "hostFromEnv": "HOST"}, {"queueName"}, id="missing queueName"),
    pytest.param({**AMQP, "queueName": "namespace/name"}, None, id="queue name with slashes"),
    pytest.param({**AMQP, "vhostName": "myVhost"}, None, id="vhost passed"),
    pytest.param({**AMQP, "vhostName": ""}, None, id="vhost passed but empty"),
    pytest.param({"queueName": "sample", "host": "something://"}, {"host"}, id="auto protocol and a bad URL"),
    pytest.param(HTTP, None, id="auto protocol and an HTTP URL"),
    pytest.param(HTTPS, None, id="auto protocol and an HTTPS URL"),
    pytest.param({**HTTPS, "queueLength": "10", "mode": "QueueLength"}, {"queueLength"}, id="queueLength and mode"),
    pytest.param({**HTTPS, "queueLength": "10", "value": "20"}, {"queueLength"}, id="queueLength and value"),
    pytest.param(modes("QueueLength", HTTPS, queueLength="10"), {"queueLength"}, id="queueLength, mode and value"),
    pytest.param({**HTTPS, "mode": "QueueLength"}, {"value"}, id="only mode"),
    pytest.param({**HTTPS, "value": "20"}, {"mode"}, id="only value"),
    pytest.param(modes("QueueLength", HTTPS), None, id="mode and value"),
    pytest.param(modes("Feelings", HTTPS), {"mode"}, id="invalid mode"),
    pytest.param({**HTTPS, "mode": "QueueLength", "value": "lots"}, {"value"}, id="invalid value"),
    pytest.param(modes("QueueLength", AMQPS), None, id="queue length amqps"),
    *(
        pytest.param(modes(mode, host), {"mode"} if host in (AMQPS, PLAIN_AMQP) else None, id=f"{mode} {host['host']}")
        for mode in list(Mode)[1:]
        for host in (AMQPS, PLAIN_AMQP, HTTP, HTTPS)
    ),
    pytest.param({**AMQPS, "useRegex": "true"}, {"useRegex"}, id="amqp host and useRegex"),
    pytest.param({**HTTP, "useRegex": "true"}, None, id="http host and useRegex"),
    *(pytest.param(modes(mode, HTTP, useRegex="true"), None, id=f"{mode} and useRegex") for mode in Mode),
    pytest.param({**HTTP, "timeout": "1000"}, None, id="http valid timeout"),
    pytest.param({**HTTP, "timeout": "-10"}, {"timeout"}, id="http invalid timeout"),
    pytest.param({**HTTP, "timeout": "error"}, {"timeout"}, id="http wrong timeout"),
    pytest.param({**PLAIN_AMQP, "timeout": "10"}, {"timeout"}, id="amqp timeout"),
    pytest.param({**HTTP, "pageSize": "100"}, None, id="valid pageSize"),
    pytest.param({**HTTP, "pageSize": "-1"}, {"pageSize"}, id="pageSize less than 1"),
    pytest.param({**HTTP, "pageSize": "a"}, {"pageSize"}, id="invalid pageSize"),
    pytest.param({**AMQP, "activationValue": "10", "queueLength": "20"}, None, id="activationValue passed"),
    pytest.param({**AMQP, "activationValue": "AA"}, {"activationValue"}, id="malformed activationValue"),
    pytest.param({**HTTP, "excludeUnacknowledged": "true"}, None, id="http and excludeUnacknowledged"),
    pytest.param(
        {**PLAIN_AMQP, "excludeUnacknowledged": "true"}, {"excludeUnacknowledged"}, id="amqp and excludeUnacknowledged"
    ),
    pytest.param({**HTTPS, "unsafeSsl": "true"}, None, id="unsafeSsl true"),
    pytest.param({**HTTPS, "unsafeSsl": "random"}, {"unsafeSsl"}, id="unsafeSsl wrong input"),
    pytest.param({**AMQP, "protocol": "mqtt"}, {"protocol"}, id="a protocol that is none"),
    pytest.param({**HTTP, "operation": "min"}, {"operation"}, id="an operation that is none"),
    pytest.param({**AMQP, "managementHost": "amqp://x"}, {"managementHost"}, id="a management API over AMQP"),
    pytest.param({**AMQP, "managementHost": "none"}, None, id="no management API"),
    # Upstream takes these four, and never reads a number of them.
    pytest.param({**AMQP, "protocol": "http"}, {"protocol"}, id="HTTP to where AMQP is spoken"),
    pytest.param({**HTTP, "host": "http://"}, {"host"}, id="no host in the URL"),
    pytest.param({**HTTP, "host": "http://somehost.com:port"}, {"host"}, id="a port that is none"),
    pytest.param({**HTTP, "host": "myHostSecret", "protocol": "http"}, {"host"}, id="no URL"),
]


@pytest.mark.parametrize(("metadata", "wrong"), METADATA)
def test_metadata(metadata: dict[str, str], wrong: set[str] | None) -> None:
    read = found(metadata)
    assert (set(read) if isinstance(read, dict) else None) == wrong, read


@pytest.mark.parametrize(
    ("metadata", "auth", "wrong"),
    [
        pytest.param(AMQPS, {"tls": "enable", "ca": "caaa", "cert": "ceert", "key": "keey"}, None, id="TLS"),
        pytest.param(AMQPS, {"tls": "enable", "cert": "ceert", "key": "keey"}, None, id="TLS, public CA"),
        pytest.param(
            AMQPS, {"tls": "enable", "cert": "c", "key": "k", "keyPassword": "p"}, None, id="TLS, key password"
        ),
        pytest.param(AMQPS, {"tls": "enable", "ca": "caaa"}, None, id="TLS, CA only"),
        pytest.param(AMQPS, {"tls": "enable", "ca": "caaa", "key": "kee"}, {"cert"}, id="TLS missing cert"),
        pytest.param(AMQPS, {"tls": "enable", "ca": "caaa", "cert": "ceert"}, {"key"}, id="TLS missing key"),
        pytest.param(AMQPS, {"tls": "yes", "cert": "c", "key": "k"}, {"tls"}, id="TLS invalid"),
        # Upstream takes it, and speaks plain text.
        pytest.param(AMQP, {"tls": "enable", "ca": "caaa"}, {"tls"}, id="TLS with a URL that is without"),
        pytest.param(AMQP, {"username": "user", "password": "PASSWORD"}, None, id="username and password"),
        pytest.param(AMQP, {"username": "user"}, {"password"}, id="username but no password"),
        pytest.param(AMQP, {"password": "PASSWORD"}, {"username"}, id="password but no username"),
        pytest.param(AMQP, {"vhostName": "myVhost"}, None, id="vhostName"),
        pytest.param(AMQP, {"vhostName": ""}, None, id="vhostName but empty"),
        pytest.param({**AMQP, "usernameFromEnv": "NAME", "passwordFromEnv": "WORD"}, {}, None, id="both from env"),
        pytest.param({**AMQP, "usernameFromEnv": "NAME"}, {}, {"password"}, id="username from env but not password"),
        pytest.param({**AMQP, "passwordFromEnv": "WORD"}, {}, {"username"}, id="password from env but not username"),
        pytest.param(
            {"queueName": "sample"}, {"host": "http://somehost.com", "protocol": "http"}, None, id="host and protocol"
        ),
        # Upstream asks Azure with the first of these.
        pytest.param(HTTP, {"workloadIdentityResource": "id"}, {"workloadIdentityResource"}, id="workload identity"),
        pytest.param(
            AMQP, {"workloadIdentityResource": "id"}, {"workloadIdentityResource"}, id="workload identity and AMQP"
        ),
        pytest.param(HTTP, OAUTH, None, id="OAuth2"),
        pytest.param(HTTPS, {**OAUTH, "scopes": "rabbitmq.read,rabbitmq.write"}, None, id="OAuth2 with scopes"),
        pytest.param(HTTP, {**OAUTH, "endpointParams": "audience=rabbitmq&resource=api"}, None, id="OAuth2, more"),
        pytest.param(HTTP, {**OAUTH, "endpointParams": "audience"}, {"endpointParams"}, id="OAuth2, no query string"),
        pytest.param(HTTPS, {**OAUTH, "tls": "enable", "ca": "caaa"}, None, id="OAuth2 with TLS"),
        pytest.param(PLAIN_AMQP, OAUTH, {"oauthTokenURI"}, id="OAuth2 with AMQP"),
        pytest.param(HTTP, {**OAUTH, "username": "u", "password": "p"}, {"oauthTokenURI"}, id="OAuth2 and a password"),
        pytest.param(
            HTTP,
            {**OAUTH, "workloadIdentityResource": "id"},
            {"oauthTokenURI", "workloadIdentityResource"},
            id="OAuth2 and workload identity",
        ),
        *(
            pytest.param(HTTP, {k: v for k, v in OAUTH.items() if k != name}, {name}, id=f"OAuth2 missing {name}")
            for name in OAUTH
        ),
    ],
)
def test_authentication(metadata: dict[str, str], auth: dict[str, str], wrong: set[str] | None) -> None:
    read = found(metadata, auth)
    assert (set(read) if isinstance(read, dict) else None) == wrong, read


def test_nothing_given_is_twenty_messages() -> None:
    assert (good(AMQP).measures, good(AMQP).target) == (Mode.QUEUE_LENGTH, 20)
    assert (good(HTTP).measures, good(HTTP).target) == (Mode.QUEUE_LENGTH, 20)
    assert good({**AMQP, "queueLength": "5"}).target == 5
    assert good({**HTTP, "timeout": "1500"}).timeout_s == good({**HTTP, "timeout": "1.5s"}).timeout_s == 1.5


def test_no_secret_in_what_is_wrong_or_shown() -> None:
    host = {"queueName": "sample", "host": "ftp://user:hunter2@somehost.com"}
    assert "hunter2" not in str(found(host)) + repr(good(AMQP, {"username": "u", "password": "hunter2"}))
    auth = {"username": "u", "password": "hunter2", "cert": "c", "tls": "nonsense", "clientSecret": "hunter2"}
    assert "hunter2" not in str(found(HTTP, auth))
    assert "sercet" not in repr(good(AMQP)) + str(found({**AMQP, "protocol": "http"}))


@pytest.mark.parametrize(
    ("path", "override", "vhost", "before"),
    [
        ("myVhost", "", "myVhost", ""),
        ("%2FmyVhost", "", "/myVhost", ""),
        ("/", "", "/", ""),
        ("//", "", "/", ""),
        ("/%2F", "", "/", ""),
        ("", "", "/", ""),
        ("sub1/myVhost", "", "myVhost", "/sub1"),
        ("sub1/", "overridenVhost", "overridenVhost", "/sub1"),
        ("myVhost", "overridenVhost", "overridenVhost", ""),
        ("sub1/%2FmyVhost", "", "/myVhost", "/sub1"),
        ("sub1/", "", "/", "/sub1"),
        ("sub1/", "myVhost", "myVhost", "/sub1"),
        ("sub1//", "", "/", "/sub1"),
        ("sub1/%2F", "", "/", "/sub1"),
        ("sub1/sub2/myVhost", "", "myVhost", "/sub1/sub2"),
        ("sub1/sub2/myVhost", "overridenVhost", "overridenVhost", "/sub1/sub2"),
        ("sub1/sub2/%2FmyVhost", "", "/myVhost", "/sub1/sub2"),
        ("sub1/sub2/", "", "/", "/sub1/sub2"),
        ("sub1/sub2/", "myVhost", "myVhost", "/sub1/sub2"),
        ("sub1/myVhost", "overridenVhost", "overridenVhost", "/sub1"),
        ("sub1/sub2//", "", "/", "/sub1/sub2"),
        ("sub1/sub2/%2F", "", "/", "/sub1/sub2"),
        ("/my%20host", "", "my host", ""),
    ],
)
def test_a_urls_path_names_the_virtual_host_last(path: str, override: str, vhost: str, before: str) -> None:
    assert vhost_and_path(path, override) == (vhost, before)


@pytest.mark.parametrize(
    ("metadata", "auth", "access"),
    [
        (AMQP, {}, Access("somehost.com", 5236, "vhost", "user", "sercet")),
        (PLAIN_AMQP, {}, Access("somehost.com", 5672, "/", "guest", "guest")),
        ({**AMQP, "vhostName": "a/b"}, {}, Access("somehost.com", 5236, "a/b", "user", "sercet")),
        ({**PLAIN_AMQP, "host": "amqp://u:p%40%2F@h/%2Fa"}, {}, Access("h", 5672, "/a", "u", "p@/")),
        (AMQP, {"username": "u", "password": "p"}, Access("somehost.com", 5236, "vhost", "u", "p")),
        (AMQPS, {"tls": "enable", "ca": "A"}, Access("somehost.com", 5671, tls=True, trust=ClientTls("A"))),
        ({**AMQPS, "unsafeSsl": "true"}, {}, Access("somehost.com", 5671, tls=True, trust=ClientTls(check=False))),
    ],
)
def test_where_amqp_leads(metadata: dict[str, str], auth: dict[str, str], access: Access) -> None:
    assert amqp_access(good(metadata, auth)) == access


@pytest.mark.parametrize(
    ("host", "auth", "external"),
    [
        pytest.param("amqps://rabbit:5671/", {"cert": "c", "key": "k"}, True, id="a certificate alone"),
        pytest.param("amqps://CN=username@rabbit:5671/", {"cert": "c", "key": "k"}, True, id="and a user"),
        pytest.param("amqps://user:pass@rabbit:5671/", {"cert": "c", "key": "k"}, False, id="a password in the URL"),
        pytest.param(
            "amqps://rabbit/", {"cert": "c", "key": "k", "username": "u", "password": "p"}, False, id="a password"
        ),
        pytest.param("amqps://rabbit/", {"ca": "c"}, False, id="an authority only"),
    ],
)
def test_a_certificate_without_a_password_says_who_one_is(host: str, auth: dict[str, str], external: bool) -> None:
    assert amqp_access(good({"queueName": "q", "host": host}, {"tls": "enable", **auth})).external is external


def test_where_http_leads() -> None:
    api = management_api(good({**HTTP, "host": "https://user:p%3Aw@somehost.com:15671/proxy/my%20host"}))
    assert api == Place("https://somehost.com:15671/proxy", "my host", "user", "p:w")
    assert management_api(good(HTTP)) == Place("http://somehost.com", "/", "", "")


@pytest.mark.parametrize(
    ("metadata", "urls"),
    [
        (AMQP, ["http://somehost.com:15672", "https://somehost.com:15671"]),
        (AMQPS, ["https://somehost.com:15671"]),
        ({**PLAIN_AMQP, "host": "amqp://[::1]:5672/"}, ["http://[::1]:15672", "https://[::1]:15671"]),
        ({**AMQP, "managementHost": "none"}, []),
        ({**AMQP, "managementHost": "http://other:8080/proxy/"}, ["http://other:8080/proxy"]),
    ],
)
def test_where_a_management_api_is_sought_for_amqp(metadata: dict[str, str], urls: list[str]) -> None:
    apis = companion_apis(good(metadata))
    assert [each.url for each in apis] == urls
    assert {each.vhost for each in apis} <= {"vhost", "/"}
    if metadata["queueName"] == "sample" and "hostFromEnv" in metadata:
        assert {(each.vhost, each.user, each.password) for each in apis} <= {("vhost", "user", "sercet")}


def test_a_management_api_may_want_another_password() -> None:
    (api,) = companion_apis(good({**AMQP, "managementHost": "http://watch:word@other:8080"}))
    assert (api.user, api.password, api.vhost) == ("watch", "word", "vhost")
