"""kafka and apache-kafka: what a trigger may say of its cluster, its group and how lag counts. Pure.

Upstream has two scalers over two client libraries; here it is one, and apache-kafka takes all that kafka takes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from core.errors import PermanentError
from core.settings.declaration import Choice, Decimal, Text, Truth, Whole
from scalers.metric_names import normalize
from scalers.params import AUTH, METADATA_OR_AUTH, METADATA_OR_ENV, Parameters, param
from scalers.readings import Trigger

PARTITIONS_MAX: Final = 100_000
"""In one partitionLimitation."""
PASSWORDS: Final = {"plaintext": "PLAIN", "scram_sha256": "SCRAM-SHA-256", "scram_sha512": "SCRAM-SHA-512"}
"""sasl, as KEDA spells it → the mechanism."""
BEARER: Final = "oauthbearer"
MSK: Final = "aws_msk_iam"
GSSAPI: Final = "gssapi"
_SERVER: Final = re.compile(r"(?:[^\s:/\[\]]+|\[[0-9a-fA-F:.]+\])(?::\d{1,5})?", re.ASCII)
_SHOWN: Final = Text(required=False)


@dataclass(frozen=True, slots=True)
class NameList:
    """Names with commas between them."""

    allowed: str = "must be a list such as one,two"

    def read(self, text: str) -> tuple[str, ...]:
        names = tuple(name.strip() for name in text.split(",") if name.strip())
        if not names:
            raise ValueError
        return names


@dataclass(frozen=True, slots=True)
class ServerList:
    allowed: str = "must be addresses such as kafka-1:9092,kafka-2:9092"

    def read(self, text: str) -> tuple[str, ...]:
        servers = NameList().read(text)
        if not all(
            re.fullmatch(r"[^\s:/\[\]]+(:\d{1,5})?|\[[0-9a-fA-F:.]+\](:\d{1,5})?", each, re.ASCII) for each in servers
        ):
            raise ValueError
        return servers


@dataclass(frozen=True, slots=True)
class OneName:
    allowed: str = "must not be empty"

    def read(self, text: str) -> tuple[str, ...]:
        return (text,)


@dataclass(frozen=True, slots=True)
class PartitionList:
    allowed: str = "must be partitions and ranges of them, such as 1-4,8,10-12"

    def read(self, text: str) -> frozenset[int]:
        found: set[int] = set()
        for part in text.split(","):
            match = re.fullmatch(r"\s*(\d{1,9})\s*(?:-\s*(\d{1,9})\s*)?", part, re.ASCII)
            if match is None:
                raise ValueError
            first, last = int(match[1]), int(match[2] or match[1])
            if last < first or last - first >= PARTITIONS_MAX:
                raise ValueError(f"{self.allowed}: {part.strip()} is no range of at most {PARTITIONS_MAX}")
            found.update(range(first, last + 1))
        return frozenset(found)


@dataclass(frozen=True, slots=True)
class KafkaVersion:
    allowed: str = "must be a version of Kafka, such as 3.9.0"

    def read(self, text: str) -> str:
        if not re.fullmatch(r"0\.\d+\.\d+\.\d+|\d+\.\d+\.\d+", text, re.ASCII):
            raise ValueError
        return text


@dataclass(frozen=True, slots=True)
class Extensions:
    allowed: str = "must be a list such as one=1,two=2"

    def read(self, text: str) -> tuple[tuple[str, str], ...]:
        pairs = [part.split("=") for part in text.split(",")]
        if any(len(pair) != 2 for pair in pairs):
            raise ValueError
        return tuple((name.strip(), value.strip()) for name, value in pairs)


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaParameters(Parameters):
    servers: tuple[str, ...] = param(
        "bootstrapServers", ServerList(), "Addresses of brokers, each host:port.", sources=METADATA_OR_ENV
    )
    group: str = param("consumerGroup", Text(), "Whose lag is read.", sources=METADATA_OR_ENV)
    topics: tuple[str, ...] = param(
        "topic",
        OneName(),
        "The topic; without it, all that the group has committed offsets of.",
        (),
        sources=METADATA_OR_ENV,
        differs="without it, a group that has committed nothing counts as 1, so that it begins; KEDA never wakes it",
    )
    only: frozenset[int] | None = param(
        "partitionLimitation", PartitionList(), "Partitions that count. Nothing without a topic.", None
    )
    lag_threshold: int = param("lagThreshold", Whole(1), "Messages that one replica is to have waiting.", 10)
    activation: int = param("activationLagThreshold", Whole(0), "More waiting messages than that make it active.", 0)
    reset: str = param(
        "offsetResetPolicy",
        Choice(("latest", "earliest")),
        "What the consumers do where the group has no valid offset.",
        "latest",
        differs="with earliest a partition without an offset counts from where it starts, not from 0",
    )
    allow_idle: bool = param("allowIdleConsumers", Truth(), "Whether replicas may exceed the partitions.", False)
    exclude_persistent: bool = param(
        "excludePersistentLag",
        Truth(),
        "Whether lag of partitions in which nothing is committed any more is left out of the replicas.",
        False,
        differs="after persistentLagSeconds without a commit, not between two polls; without any offset, too",
    )
    persistent_after_s: float = param(
        "persistentLagSeconds",
        Decimal(above=0),
        "Seconds without a commit after which lag counts as persistent.",
        60.0,
        differs="ours alone",
    )
    invalid_is_zero: bool = param(
        "scaleToZeroOnInvalidOffset", Truth(), "Whether a partition without a valid offset counts as empty.", False
    )
    limit_to_lagging: bool = param(
        "limitToPartitionsWithLag", Truth(), "Whether replicas may not exceed the partitions that have lag.", False
    )
    even: bool = param(
        "ensureEvenDistributionOfPartitions",
        Truth(),
        "Whether replicas are rounded up to where none has a smaller largest share of the partitions.",
        False,
        differs="to ceil(P / ceil(P / n)) replicas, not to the next divisor of P; and no lag wants no replica",
    )
    full_metadata: bool = param(
        "fullMetadata",
        Truth(),
        "Whether KEDA keeps what it knows of all topics of the cluster. false needs a topic.",
        True,
        differs="only the topics that triggers name are ever asked for",
    )
    version: str = param(
        "version",
        KafkaVersion(),
        "The cluster's version.",
        "1.0.0",
        differs="it is checked and not used: brokers say what they speak",
    )
    tls: str = param("tls", Choice(("enable", "disable")), "TLS.", "disable", sources=METADATA_OR_AUTH)
    unsafe_ssl: bool = param("unsafeSsl", Truth(), "Whether any certificate of a broker will do.", False)
    ca: str = param("ca", _SHOWN, "Certificates that brokers' are checked with (PEM).", "", sources=AUTH)
    certificate: str = param("cert", _SHOWN, "The client's own certificate (PEM).", "", sources=AUTH)
    key: str = param("key", _SHOWN, "Its key (PEM).", "", sources=AUTH, secret=True)
    key_password: str = param("keyPassword", _SHOWN, "What opens the key.", "", sources=AUTH, secret=True)
    sasl: str = param(
        "sasl",
        Choice(("none", *PASSWORDS, BEARER, GSSAPI)),
        "How the scaler says who it is.",
        "none",
        sources=METADATA_OR_AUTH,
        differs="gssapi is read and checked, and not available: its trigger fails with that reason",
    )
    username: str = param("username", _SHOWN, "Its name.", "", sources=AUTH)
    password: str = param("password", _SHOWN, "Its password.", "", sources=AUTH, secret=True)
    token_provider: str = param(
        "saslTokenProvider",
        Choice(("bearer", MSK)),
        "Who gives tokens for oauthbearer.",
        "bearer",
        sources=METADATA_OR_AUTH,
        differs="aws_msk_iam is read and checked, and not available: its trigger fails with that reason",
    )
    scopes: tuple[str, ...] = param("scopes", NameList(), "Of the token.", (), sources=AUTH)
    token_url: str = param("oauthTokenEndpointUri", _SHOWN, "Where tokens are asked for.", "", sources=AUTH)
    extensions: tuple[tuple[str, str], ...] = param(
        "oauthExtensions", Extensions(), "What goes to the broker with a token.", (), sources=AUTH
    )
    keytab: str = param("keytab", _SHOWN, "Kerberos: the key table.", "", sources=AUTH, secret=True)
    realm: str = param("realm", _SHOWN, "Kerberos: the realm.", "", sources=AUTH)
    kerberos: str = param("kerberosConfig", _SHOWN, "Kerberos: krb5.conf.", "", sources=AUTH)
    kerberos_service: str = param("kerberosServiceName", _SHOWN, "Kerberos: the service.", "kafka", sources=AUTH)
    kerberos_fast: bool = param("kerberosDisableFAST", Truth(), "Kerberos: without FAST.", False, sources=AUTH)
    aws_region: str = param("awsRegion", _SHOWN, "The region of a cluster at AWS MSK.", "")

    @property
    def msk(self) -> bool:
        return self.sasl == MSK or (self.sasl == BEARER and self.token_provider == MSK)

    @property
    def unavailable(self) -> str:
        """Why Kafka cannot be asked in this way here; empty where it can."""
        if self.sasl == GSSAPI:
            return "sasl gssapi (Kerberos) is not available; use scram_sha512, oauthbearer or a client certificate"
        if self.msk:
            return "aws_msk_iam is not available; use scram_sha512 or a client certificate, which MSK takes, too"
        return ""

    @property
    def metric(self) -> str:
        """As upstream names it."""
        return normalize(f"kafka-{','.join(self.topics)}" if self.topics else f"kafka-{self.group}-topics")

    def problems(self) -> Sequence[tuple[str, str]]:
        return [*self._scope_problems(), *self._tls_problems(), *self._sasl_problems()]

    def _scope_problems(self) -> list[tuple[str, str]]:
        limit = "limitToPartitionsWithLag"
        found = []
        if self.limit_to_lagging and self.allow_idle:
            found.append((limit, "and allowIdleConsumers cannot both be true: one says more replicas, one fewer"))
        if self.limit_to_lagging and self.even:
            found.append((limit, "and ensureEvenDistributionOfPartitions cannot both be true"))
        if not self.topics:
            named = {limit: self.limit_to_lagging, "ensureEvenDistributionOfPartitions": self.even}
            found += [(name, "is true, which needs a topic") for name, on in named.items() if on]
            found += [] if self.full_metadata else [("fullMetadata", "is false, which needs a topic")]
        return found

    def _tls_problems(self) -> list[tuple[str, str]]:
        if self.tls == "enable" and bool(self.certificate) != bool(self.key):
            lacking = "key" if self.certificate else "cert"
            return [(lacking, "is required: cert and key go together")]
        return []

    def _sasl_problems(self) -> list[tuple[str, str]]:
        if self.msk:
            found = [] if self.tls == "enable" else [("tls", "must be enable: aws_msk_iam needs TLS")]
            return found + ([] if self.aws_region else [("awsRegion", "is required for aws_msk_iam")])
        wanted: Mapping[str, str] = {}
        if self.sasl in PASSWORDS:
            wanted = {"username": self.username, "password": self.password}
        elif self.sasl == BEARER:
            wanted = {"username": self.username, "password": self.password, "oauthTokenEndpointUri": self.token_url}
        elif self.sasl == GSSAPI:
            wanted = {"username": self.username, "realm": self.realm, "kerberosConfig": self.kerberos}
        found = [(name, f"is required for sasl {self.sasl}") for name, text in wanted.items() if not text]
        if self.sasl == GSSAPI and bool(self.password) == bool(self.keytab):
            found.append(("keytab", "or password is required for sasl gssapi, and not both"))
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class ApacheKafkaParameters(KafkaParameters):
    topics: tuple[str, ...] = param(
        "topic",
        NameList(),
        "The topics, with commas between them; without them, all that the group has committed offsets of.",
        (),
        sources=METADATA_OR_ENV,
        differs="without them KEDA takes all topics of the cluster, and fails while the group has no members",
    )
    sasl: str = param(
        "sasl",
        Choice(("none", *PASSWORDS, BEARER, MSK)),
        "How the scaler says who it is.",
        "none",
        sources=METADATA_OR_AUTH,
        differs="oauthbearer works; aws_msk_iam is read and checked, and not available: its trigger fails with that",
    )
    aws_endpoint: str = param("awsEndpoint", _SHOWN, "Of AWS, where it is not the usual one.", "")


def check(parameters: KafkaParameters, trigger: Trigger) -> None:
    """Rules that see where a parameter came from."""
    path = f"{trigger.path}.metadata"
    for name, harmless in (("sasl", ""), ("tls", "disable")):
        if trigger.metadata.get(name, harmless) not in ("", harmless) and trigger.auth.get(name):
            raise PermanentError(f"{path}.{name}: is set in the trigger and by its authenticationRef; set one of them")
    if parameters.msk and not _aws_credentials(trigger):
        raise PermanentError(
            f"{path}.awsRegion: aws_msk_iam needs awsRoleArn, or awsAccessKeyID and awsSecretAccessKey, of an "
            "authenticationRef"
        )


def _aws_credentials(trigger: Trigger) -> bool:
    if trigger.pod_identity == "aws" or trigger.metadata.get("identityOwner") == "operator":
        return True
    keys = bool(trigger.auth.get("awsAccessKeyID") and trigger.auth.get("awsSecretAccessKey"))
    return keys or bool(trigger.auth.get("awsRoleArn"))
