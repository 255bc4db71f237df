"""What kafka and apache-kafka may be told: upstream's tables (pkg/scalers/kafka_scaler_test.go and
apache_kafka_scaler_test.go), replayed, and what is checked here besides."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from core.errors import PermanentError
from core.resources.meta import ObjectKey
from scalers.kafka_parameters import ApacheKafkaParameters, KafkaParameters, check
from scalers.params import parse
from scalers.readings import Trigger

Texts = Mapping[str, str]
FOO = {"bootstrapServers": "foobar:9092"}
GROUP = {**FOO, "consumerGroup": "my-group"}
TOPIC = {**GROUP, "topic": "my-topic"}
VALID = {**TOPIC, "allowIdleConsumers": "true", "version": "1.0.0"}
USER = {"username": "admin", "password": "admin"}
CERTS = {"ca": "caaa", "cert": "ceert", "key": "keey"}
TLS = {"tls": "enable", **CERTS}
BEARER = {"sasl": "oauthbearer", **USER, "scopes": "scope", "oauthTokenEndpointUri": "https://website.com"}
KERBEROS = {"sasl": "gssapi", "username": "admin", "kerberosConfig": "<config>", "realm": "tst.com"}
KEYTAB = {**KERBEROS, "keytab": "/path/to/keytab"}
MSK = {"sasl": "oauthbearer", "saslTokenProvider": "aws_msk_iam", "tls": "enable"}
APACHE_MSK = {"sasl": "aws_msk_iam", "tls": "enable", "awsAccessKeyID": "none", "awsSecretAccessKey": "none"}


def without(texts: Texts, *names: str) -> dict[str, str]:
    return {name: text for name, text in texts.items() if name not in names}


def read(
    metadata: Texts, auth: Texts | None = None, kind: type[KafkaParameters] = KafkaParameters, env: Texts | None = None
) -> KafkaParameters | str:
    """The parameters, or all that is wrong with them."""
    trigger = Trigger(ObjectKey("default", "x"), 0, "kafka", metadata, auth=auth or {}, env=env or {})
    parsed = parse(kind, trigger)
    if isinstance(parsed, list):
        return "; ".join(map(str, parsed))
    try:
        check(parsed, trigger)
    except PermanentError as error:
        return str(error)
    return parsed


METADATA = [
    pytest.param({}, "bootstrapServers: is required", id="no bootstrapServers"),
    pytest.param(FOO, "consumerGroup: is required", id="no consumerGroup"),
    pytest.param(GROUP, "", id="no topic"),
    pytest.param({**GROUP, "partitionLimitation": "1,2,3,4,5,6"}, "", id="partitionLimitation without topic"),
    pytest.param({**GROUP, "partitionLimitation": "           "}, "", id="blank partitionLimitation"),
    pytest.param({**GROUP, "partitionLimitation": ""}, "", id="empty partitionLimitation"),
    pytest.param({**TOPIC, "version": "1.2.3.4"}, "version: is '1.2.3.4'", id="no such version"),
    pytest.param({**TOPIC, "lagThreshold": "-1"}, "lagThreshold: is '-1'", id="negative lagThreshold"),
    pytest.param({**TOPIC, "lagThreshold": "0"}, "lagThreshold: is '0'", id="lagThreshold 0"),
    pytest.param({**TOPIC, "lagThreshold": "1000000", "activationLagThreshold": "0"}, "", id="large lagThreshold"),
    pytest.param({**TOPIC, "activationLagThreshold": "AA"}, "activationLagThreshold: is 'AA'", id="no number"),
    pytest.param({**TOPIC, "lagThreshold": "10", "activationLagThreshold": "0"}, "", id="activation 0"),
    pytest.param(TOPIC, "", id="a topic"),
    pytest.param({**TOPIC, "partitionLimitation": "1,2,3,4"}, "", id="list of partitions"),
    pytest.param({**TOPIC, "partitionLimitation": "1-4"}, "", id="range of partitions"),
    pytest.param({**TOPIC, "partitionLimitation": "1-4,8,10-12"}, "", id="lists and ranges"),
    pytest.param({**TOPIC, "partitionLimitation": "a,b,c,d"}, "partitionLimitation: is", id="no partitions"),
    pytest.param({**TOPIC, "bootstrapServers": "foo:9092,bar:9092"}, "", id="more brokers"),
    pytest.param({**TOPIC, "offsetResetPolicy": "latest"}, "", id="latest"),
    pytest.param({**TOPIC, "offsetResetPolicy": "foo"}, "must be one of latest, earliest", id="no policy"),
    pytest.param({**TOPIC, "offsetResetPolicy": "earliest"}, "", id="earliest"),
    pytest.param({**TOPIC, "allowIdleConsumers": "notvalid"}, "allowIdleConsumers: is", id="no allowIdleConsumers"),
    pytest.param({**TOPIC, "allowIdleConsumers": "true"}, "", id="allowIdleConsumers"),
    pytest.param(
        {**TOPIC, "excludePersistentLag": "notvalid"}, "excludePersistentLag: is", id="no excludePersistentLag"
    ),
    pytest.param({**TOPIC, "excludePersistentLag": "true"}, "", id="excludePersistentLag"),
    pytest.param(VALID, "", id="a version"),
    pytest.param({**TOPIC, "limitToPartitionsWithLag": "true"}, "", id="limitToPartitionsWithLag"),
    pytest.param({**TOPIC, "limitToPartitionsWithLag": "notvalid"}, "limitToPartitionsWithLag: is", id="no limit"),
    pytest.param(
        {**TOPIC, "allowIdleConsumers": "true", "limitToPartitionsWithLag": "true"},
        "limitToPartitionsWithLag: and allowIdleConsumers cannot both",
        id="allow idle and limit",
    ),
    pytest.param(
        {**TOPIC, "allowIdleConsumers": "true", "limitToPartitionsWithLag": "false"}, "", id="allow, no limit"
    ),
    pytest.param({**GROUP, "limitToPartitionsWithLag": "true"}, "needs a topic", id="limit without topic"),
]
KAFKA_ALONE = [
    pytest.param({**GROUP, "ensureEvenDistributionOfPartitions": "true"}, "needs a topic", id="even without topic"),
    pytest.param(
        {**GROUP, "ensureEvenDistributionOfPartitions": "true", "limitToPartitionsWithLag": "true"},
        "ensureEvenDistributionOfPartitions cannot both",
        id="even and limit",
    ),
    pytest.param({**GROUP, "fullMetadata": "false"}, "fullMetadata: is false, which needs a topic", id="fullMetadata"),
    pytest.param({**TOPIC, "fullMetadata": "false"}, "", id="fullMetadata with a topic"),
]


@pytest.mark.parametrize("auth", [{"sasl": "plaintext", **USER}, {}], ids=["with auth", "without auth"])
@pytest.mark.parametrize(("metadata", "wrong"), [*METADATA, *KAFKA_ALONE])
def test_metadata(metadata: Texts, wrong: str, auth: Texts) -> None:
    expect(read(metadata, auth), wrong)


@pytest.mark.parametrize("auth", [{"sasl": "plaintext", **USER}, {}], ids=["with auth", "without auth"])
@pytest.mark.parametrize(("metadata", "wrong"), METADATA)
def test_metadata_of_apache_kafka(metadata: Texts, wrong: str, auth: Texts) -> None:
    expect(read(metadata, auth, ApacheKafkaParameters), wrong)


def expect(found: KafkaParameters | str, wrong: str) -> None:
    if not wrong:
        assert isinstance(found, KafkaParameters), found
    else:
        assert isinstance(found, str)
        assert wrong in found


PASSWORDS = [
    pytest.param({"sasl": "plaintext", **USER}, "", id="plaintext"),
    pytest.param({"sasl": "scram_sha256", **USER}, "", id="scram_sha256"),
    pytest.param({"sasl": "scram_sha512", **USER}, "", id="scram_sha512"),
    pytest.param(TLS, "", id="TLS"),
    pytest.param(without(TLS, "ca"), "", id="TLS with a public CA"),
    pytest.param({**without(TLS, "ca"), "keyPassword": "keeyPassword"}, "", id="TLS with a key's password"),
    pytest.param({"tls": "enable", "ca": "caaa"}, "", id="TLS with a CA alone"),
    pytest.param({"sasl": "plaintext", **USER, **TLS}, "", id="SASL and TLS"),
    pytest.param({"sasl": "plaintext", **USER, "tls": "disable"}, "", id="SASL, no TLS"),
    pytest.param({"sasl": "foo", **USER}, "sasl: is ", id="no sasl"),
    pytest.param({"sasl": "plaintext", "password": "admin"}, "username: is required", id="no username"),
    pytest.param({"sasl": "plaintext", "username": "admin"}, "password: is required", id="no password"),
    pytest.param(without(TLS, "cert"), "cert: is required", id="key without cert"),
    pytest.param(without(TLS, "key"), "key: is required", id="cert without key"),
    pytest.param({**TLS, "tls": "yes"}, "tls: is ", id="no tls"),
    pytest.param({"sasl": "foo", **USER, **TLS}, "sasl: is ", id="no sasl, TLS"),
    pytest.param({"sasl": "plaintext", **USER, **TLS, "tls": "foo"}, "tls: is ", id="SASL, no tls"),
    pytest.param({"sasl": "plaintext", "password": "admin", **TLS}, "username: is", id="no username, TLS"),
    pytest.param({"sasl": "plaintext", "username": "admin", **TLS}, "password: is", id="no password, TLS"),
    pytest.param({"sasl": "plaintext", **USER, **without(TLS, "cert")}, "cert: is required", id="SASL, no cert"),
    pytest.param({"sasl": "plaintext", **USER, **without(TLS, "key")}, "key: is required", id="SASL, no key"),
]
TOKENS = [
    pytest.param(BEARER, "", id="oauthbearer"),
    pytest.param({**BEARER, "saslTokenProvider": "bearer"}, "", id="oauthbearer, bearer"),
    pytest.param({**BEARER, "scopes": "scope1, scope2"}, "", id="several scopes"),
    pytest.param(without(BEARER, "scopes"), "", id="no scope"),
    pytest.param({**BEARER, "sasl": "foo"}, "sasl: is ", id="no sasl of OAuth"),
    pytest.param({**BEARER, "oauthTokenEndpointUri": ""}, "oauthTokenEndpointUri: is required", id="no token server"),
    pytest.param({**BEARER, "oauthExtensions": "extension_foo=bar"}, "", id="an extension"),
    pytest.param({**BEARER, "oauthExtensions": "extension_foo=bar,extension_baz=baz"}, "", id="extensions"),
    pytest.param({**BEARER, "oauthExtensions": "extension_foo=bar,extension_bazbaz"}, "oauthExtensions: is", id="none"),
]
GSSAPI = [
    pytest.param({**KERBEROS, "password": "admin"}, "", id="gssapi by password"),
    pytest.param(KEYTAB, "", id="gssapi by keytab"),
    pytest.param({**KERBEROS, "password": "admin", **TLS}, "", id="gssapi by password, TLS"),
    pytest.param({**KEYTAB, **TLS}, "", id="gssapi by keytab, TLS"),
    pytest.param({**KEYTAB, "kerberosServiceName": "srckafka"}, "", id="gssapi, service name"),
    pytest.param(KERBEROS, "keytab: or password is required", id="gssapi, no password and no keytab"),
    pytest.param({**KEYTAB, "password": "admin"}, "keytab: or password is required", id="gssapi, both"),
    pytest.param({**without(KERBEROS, "realm"), "password": "admin", **TLS}, "realm: is required", id="no realm"),
    pytest.param({**without(KEYTAB, "username"), **TLS}, "username: is required", id="gssapi, no username"),
    pytest.param(without(KEYTAB, "kerberosConfig"), "kerberosConfig: is required", id="gssapi, no kerberosConfig"),
    pytest.param({**KEYTAB, "kerberosDisableFAST": "true"}, "", id="gssapi, no FAST"),
    pytest.param({**KEYTAB, "kerberosDisableFAST": "notabool"}, "kerberosDisableFAST: is", id="gssapi, odd FAST"),
]
SPACES = [
    pytest.param({"sasl": f"{sasl}{space}", **USER}, "", id=f"{sasl} and {space!r}")
    for sasl in ("plaintext", "scram_sha256", "scram_sha512")
    for space in ("\n", " ")
]


@pytest.mark.parametrize(("auth", "wrong"), [*PASSWORDS, *TOKENS, *GSSAPI, *SPACES])
def test_authentication(auth: Texts, wrong: str) -> None:
    expect(read({**TOPIC, "bootstrapServers": "broker1:9092,broker2:9092"}, auth), wrong)


@pytest.mark.parametrize(("auth", "wrong"), [*PASSWORDS, *SPACES])
def test_authentication_of_apache_kafka(auth: Texts, wrong: str) -> None:
    expect(read(TOPIC, auth, ApacheKafkaParameters), wrong)


@pytest.mark.parametrize("kind", [KafkaParameters, ApacheKafkaParameters])
@pytest.mark.parametrize(("auth", "wrong"), PASSWORDS)
def test_the_same_where_the_trigger_names_sasl_and_tls(auth: Texts, wrong: str, kind: type[KafkaParameters]) -> None:
    ways = {name: text for name, text in auth.items() if name in ("sasl", "tls")}
    expect(read({**VALID, **ways}, without(auth, "sasl", "tls"), kind), wrong)


@pytest.mark.parametrize(("auth", "wrong"), [*TOKENS, *GSSAPI])
def test_the_same_for_tokens_and_kerberos(auth: Texts, wrong: str) -> None:
    expect(read({**VALID, "sasl": auth["sasl"], "tls": "disable"}, without(auth, "sasl", "tls")), wrong)


@pytest.mark.parametrize(
    ("metadata", "auth", "wrong"),
    [
        pytest.param(
            {"sasl": "scram_sha512"}, {"sasl": "scram_sha512", **USER}, "sasl: is set in the", id="sasl twice"
        ),
        pytest.param({"tls": "enable"}, TLS, "tls: is set in the trigger and by", id="tls twice"),
        pytest.param({"tls": "disable"}, TLS, "", id="tls disable says nothing"),
        pytest.param({"tls": "enable", "unsafeSsl": "true"}, {"ca": "caaa"}, "", id="unsafeSsl"),
        pytest.param({"tls": "enable", "unsafeSsl": "random"}, {"ca": "caaa"}, "unsafeSsl: is", id="no unsafeSsl"),
    ],
)
def test_where_they_may_stand(metadata: Texts, auth: Texts, wrong: str) -> None:
    expect(read({**VALID, **metadata}, auth), wrong)


@pytest.mark.parametrize(
    ("metadata", "auth", "kind", "wrong"),
    [
        pytest.param(
            {"awsRegion": "eu-west-1"},
            {**MSK, "awsAccessKeyID": "none", "awsSecretAccessKey": "none"},
            KafkaParameters,
            "",
            id="MSK by keys",
        ),
        pytest.param({"awsRegion": "eu-west-1"}, {**MSK, "awsRoleArn": "none"}, KafkaParameters, "", id="MSK by role"),
        pytest.param({}, {**MSK, "tls": "disable"}, KafkaParameters, "tls: must be enable", id="MSK without TLS"),
        pytest.param({}, MSK, KafkaParameters, "awsRegion: is required", id="MSK without region"),
        pytest.param({"awsRegion": "x"}, MSK, KafkaParameters, "needs awsRoleArn", id="MSK without credentials"),
        pytest.param({"awsRegion": "us-east-1"}, APACHE_MSK, ApacheKafkaParameters, "", id="apache-kafka, MSK"),
        pytest.param({}, APACHE_MSK, ApacheKafkaParameters, "awsRegion: is required", id="apache-kafka, no region"),
        pytest.param(
            {"awsRegion": "us-east-1"},
            without(APACHE_MSK, "tls"),
            ApacheKafkaParameters,
            "tls: must be enable",
            id="apache-kafka, no TLS",
        ),
    ],
)
def test_amazon(metadata: Texts, auth: Texts, kind: type[KafkaParameters], wrong: str) -> None:
    found = read({**TOPIC, **metadata}, auth, kind)
    expect(found, wrong)
    if isinstance(found, KafkaParameters):
        assert "aws_msk_iam is not available; use scram_sha512" in found.unavailable


def test_values() -> None:
    found = read(
        {
            "bootstrapServersFromEnv": "SERVERS",
            "consumerGroupFromEnv": "GROUP",
            "topicFromEnv": "TOPIC",
            "partitionLimitation": " 1-4, 8 ,10-12",
            "excludePersistentLag": "true",
            "persistentLagSeconds": "2.5",
        },
        {**BEARER, "scopes": "scope1, scope2", "oauthExtensions": "a=1,b=2"},
        env={"SERVERS": "foo:9092, bar:9092", "GROUP": "g", "TOPIC": "t"},
    )
    assert isinstance(found, KafkaParameters)
    assert (found.servers, found.group, found.topics) == (("foo:9092", "bar:9092"), "g", ("t",))
    assert found.only == {1, 2, 3, 4, 8, 10, 11, 12}
    assert (found.scopes, found.extensions) == (("scope1", "scope2"), (("a", "1"), ("b", "2")))
    assert (found.lag_threshold, found.activation, found.persistent_after_s, found.unavailable) == (10, 0, 2.5, "")


def test_several_topics() -> None:
    named = {**TOPIC, "topic": "a, b"}
    one, several = read(named), read(named, kind=ApacheKafkaParameters)
    assert isinstance(one, KafkaParameters)
    assert isinstance(several, KafkaParameters)
    assert (one.topics, several.topics) == (("a, b",), ("a", "b"))


@pytest.mark.parametrize(
    ("metadata", "name"),
    [
        pytest.param(TOPIC, "kafka-my-topic", id="a topic"),
        pytest.param(GROUP, "kafka-my-group-topics", id="all of a group"),
        pytest.param({**TOPIC, "topic": "a.b/c"}, "kafka-a-b-c", id="normalized"),
    ],
)
def test_metrics_have_the_names_of_upstream(metadata: Texts, name: str) -> None:
    found = read(metadata)
    assert isinstance(found, KafkaParameters)
    assert found.metric == name


@pytest.mark.parametrize("text", ["4-1", "1-", "-1", "1,,2", "1-2-3", "0-100000"])
def test_ranges_that_are_none(text: str) -> None:
    expect(read({**TOPIC, "partitionLimitation": text}), "partitionLimitation: is")


@pytest.mark.parametrize("text", ["kafka", "kafka:9092", "[::1]:9092", "10.0.0.1:9092,kafka-2.ns.svc:9093"])
def test_servers(text: str) -> None:
    expect(read({**TOPIC, "bootstrapServers": text}), "")


@pytest.mark.parametrize("text", ["kafka:", "kafka:port", "a:1:2", "http://kafka:9092", "a b:1", ",", "::1"])
def test_servers_that_are_none(text: str) -> None:
    expect(read({**TOPIC, "bootstrapServers": text}), "bootstrapServers: is")


def test_secrets_are_not_shown() -> None:
    secrets = {"password": "sesame", "key": "sesame", "keyPassword": "sesame", "keytab": "sesame"}
    found = read(TOPIC, {**secrets, "cert": "ceert", "tls": "enable"})
    assert isinstance(found, KafkaParameters)
    assert "sesame" not in repr(found)


def test_kerberos_is_said_to_be_lacking() -> None:
    found = read(TOPIC, KEYTAB)
    assert isinstance(found, KafkaParameters)
    assert "gssapi (Kerberos) is not available" in found.unavailable
