"""What a trigger of type rabbitmq may say (pkg/scalers/rabbitmq_scaler.go), and where it leads. Pure.

A URL of the management API ends with the virtual host: what stands before it in the path is where a proxy serves the
API. KEDA escapes names as forms do, where a space becomes a `+`; here they are segments of a path.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from core.clients.rabbitmq_access import PORT, TLS_PORT, Access
from core.clients.tls import ClientTls
from core.settings.declaration import Choice, Decimal, Text, Truth, Whole
from scalers.http_access import Wait
from scalers.params import ANYWHERE, AUTH, AUTH_OR_ENV, METADATA_OR_AUTH, Parameters, param

AMQP: Final = ("amqp", "amqps")
HTTP: Final = ("http", "https")
DEFAULT_LENGTH: Final = 20.0
DEFAULT_TIMEOUT_S: Final = 8.0
MANAGEMENT_PORT, MANAGEMENT_TLS_PORT = 15672, 15671
NO_MANAGEMENT: Final = "none"


class Mode(StrEnum):
    QUEUE_LENGTH = "QueueLength"
    MESSAGE_RATE = "MessageRate"
    DELIVER_GET_RATE = "DeliverGetRate"
    PUBLISHED_TO_DELIVERED_RATIO = "PublishedToDeliveredRatio"
    EXPECTED_QUEUE_CONSUMPTION_TIME = "ExpectedQueueConsumptionTime"


class Operation(StrEnum):
    SUM = "sum"
    AVG = "avg"
    MAX = "max"


@dataclass(frozen=True, slots=True, kw_only=True)
class RabbitmqParameters(Parameters):
    queue: str = param("queueName", Text(), "The queue; with useRegex, what its name must match.")
    host: str = param(
        "host",
        Text(),
        "amqp://USER:PASSWORD@HOST:PORT/VHOST, or http:// for the management API.",
        sources=ANYWHERE,
        secret=True,
    )
    protocol: str = param(
        "protocol", Choice(("auto", "amqp", "http")), "auto: what host begins with.", "auto", sources=METADATA_OR_AUTH
    )
    mode: str = param("mode", Choice(tuple(Mode)), "What is measured; all but QueueLength need http.", "")
    value: float | None = param("value", Decimal(above=0), "What one replica takes of it.", None)
    length: float | None = param("queueLength", Decimal(above=0), "Deprecated: mode QueueLength with value.", None)
    activation: float = param("activationValue", Decimal(minimum=0), "Active above this.", 0.0)
    vhost: str = param(
        "vhostName", Text(required=False), "Instead of the virtual host in host.", "", sources=METADATA_OR_AUTH
    )
    regex: bool = param("useRegex", Truth(), "Whether queueName is a regular expression (http).", False)
    operation: str = param(
        "operation",
        Choice(tuple(Operation)),
        "How the queues that match make one number.",
        Operation.SUM.value,
        differs="avg keeps its fraction",
    )
    page_size: int = param(
        "pageSize", Whole(1), "Queues on a page (useRegex).", 100, differs="all pages are read, not the first alone"
    )
    exclude_unacknowledged: bool = param(
        "excludeUnacknowledged", Truth(), "Counts only messages that no consumer has (http).", False
    )
    timeout_s: float | None = param("timeout", Wait(), "How long one question may take, in ms (http).", None)
    unsafe_ssl: bool = param("unsafeSsl", Truth(), "Takes any certificate of the server.", False)
    username: str = param("username", Text(False), "Instead of the user in host.", "", sources=AUTH_OR_ENV)
    password: str = param("password", Text(False), "And the password.", "", sources=AUTH_OR_ENV, secret=True)
    tls: str = param(
        "tls",
        Choice(("enable", "disable")),
        "enable: TLS with the certificates below.",
        "disable",
        sources=AUTH,
        differs="enable wants amqps:// or https://; KEDA speaks plain text to the others",
    )
    ca: str = param("ca", Text(False), "Authorities, as PEM.", "", sources=AUTH)
    cert: str = param("cert", Text(False), "The client's certificate, as PEM.", "", sources=AUTH)
    key: str = param("key", Text(False), "Its key, as PEM.", "", sources=AUTH, secret=True)
    key_password: str = param("keyPassword", Text(False), "The key's password.", "", sources=AUTH, secret=True)
    workload_identity: str = param(
        "workloadIdentityResource",
        Text(False),
        "Azure's workload identity.",
        "",
        sources=AUTH,
        differs="not available; refused",
    )
    token_url: str = param("oauthTokenURI", Text(False), "OAuth2: who gives tokens (http).", "", sources=AUTH)
    client_id: str = param("clientID", Text(False), "OAuth2: as whom.", "", sources=AUTH)
    client_secret: str = param("clientSecret", Text(False), "OAuth2: its secret.", "", sources=AUTH, secret=True)
    scopes: str = param("scopes", Text(False), "OAuth2: scopes, with commas between them.", "", sources=AUTH)
    endpoint_params: str = param(
        "endpointParams", Text(False), "OAuth2: more for the token's form, as a query string.", "", sources=AUTH
    )
    management: str = param(
        "managementHost",
        Text(False),
        "With amqp: the management API's URL, or none; without it the usual ports of host are tried.",
        "",
        sources=ANYWHERE,
        secret=True,
        differs="only here",
    )

    @property
    def speaks_http(self) -> bool:
        return self.protocol == "http" or (self.protocol == "auto" and _scheme(self.host) in HTTP)

    @property
    def measures(self) -> Mode:
        return Mode(self.mode or Mode.QUEUE_LENGTH)

    @property
    def target(self) -> float:
        return self.value or self.length or DEFAULT_LENGTH

    def problems(self) -> Sequence[tuple[str, str]]:
        return (*self._of_host(), *self._of_credentials(), *self._of_oauth(), *self._of_mode())

    def _of_host(self) -> list[tuple[str, str]]:
        scheme = _scheme(self.host)
        if scheme not in (*AMQP, *HTTP):
            return [("host", "must begin with amqp://, amqps://, http:// or https:// (it is not shown)")]
        if not _is_place(self.host):
            return [("host", "must name a host, and a port from 1 to 65535 if any (it is not shown)")]
        found = []
        if self.protocol != "auto" and scheme not in (HTTP if self.speaks_http else AMQP):
            found.append(("protocol", f"is {self.protocol}, but host begins with {scheme}://; auto follows host"))
        if self.tls == "enable" and scheme in ("amqp", "http"):
            found.append(("tls", f"is enable, but host begins with {scheme}://, which is without TLS: write {scheme}s"))
        if self.management not in ("", NO_MANAGEMENT) and (
            _scheme(self.management) not in HTTP or not _is_place(self.management)
        ):
            found.append(("managementHost", "must be a URL with http:// or https://, or none (it is not shown)"))
        return found

    def _of_credentials(self) -> list[tuple[str, str]]:
        found = []
        if bool(self.username) != bool(self.password):
            given, missing = ("username", "password") if self.username else ("password", "username")
            found.append((missing, f"is missing; {given} is given, and they go together"))
        if bool(self.cert) != bool(self.key):
            given, missing = ("cert", "key") if self.cert else ("key", "cert")
            found.append((missing, f"is missing; {given} is given, and they go together"))
        if self.workload_identity:
            other = "username and password, or OAuth2 with http"
            found.append(("workloadIdentityResource", f"is given; Azure's workload identity is not available: {other}"))
        return found

    def _of_oauth(self) -> list[tuple[str, str]]:
        given = {"oauthTokenURI": self.token_url, "clientID": self.client_id, "clientSecret": self.client_secret}
        if not any(given.values()):
            return []
        found = [(name, "is required for OAuth2") for name, value in given.items() if not value]
        if not self.speaks_http:
            found.append(("oauthTokenURI", "is given; OAuth2 is for the management API (http) alone"))
        if self.username or self.workload_identity:
            found.append(("oauthTokenURI", "is given; OAuth2 does not go with username and password, nor with Azure's"))
        if self.token_url and not (_scheme(self.token_url) in HTTP and _is_place(self.token_url)):
            found.append(("oauthTokenURI", "must be a URL with http:// or https://"))
        try:
            token_form(self.endpoint_params)
        except ValueError:
            found.append(("endpointParams", "must be a query string such as audience=x&resource=y (it is not shown)"))
        return found

    def _of_mode(self) -> list[tuple[str, str]]:
        found = []
        if self.length is not None and (self.mode or self.value is not None):
            found.append(("queueLength", "is deprecated and stands alone: use mode and value"))
        elif self.value is not None and not self.mode:
            found.append(("mode", f"must be given with value: one of {', '.join(Mode)}"))
        elif self.mode and self.value is None:
            found.append(("value", "must be given with mode"))
        if not self.speaks_http:
            limited = {
                "mode": self.measures is not Mode.QUEUE_LENGTH and f"is {self.mode}",
                "useRegex": self.regex and "is true",
                "excludeUnacknowledged": self.exclude_unacknowledged and "is true",
                "timeout": self.timeout_s is not None and "is given",
            }
            found += [
                (name, f"{said}, which needs the management API: a host with http:// or https://")
                for name, said in limited.items()
                if said
            ]
        return found


def amqp_access(parameters: RabbitmqParameters) -> Access:
    """Of parameters that speak AMQP."""
    parts = urlsplit(parameters.host)
    tls = parts.scheme == "amqps"
    user, password = _credentials(parameters, parts)
    return Access(
        parts.hostname or "",
        parts.port or (TLS_PORT if tls else PORT),
        parameters.vhost or unquote(parts.path[1:]) or "/",
        user or "guest",
        password or "guest",
        tls,
        trust=tls_of(parameters) if tls else None,
        external=tls and bool(parameters.cert) and not password,
    )


def tls_of(parameters: RabbitmqParameters) -> ClientTls:
    return ClientTls(
        parameters.ca, parameters.cert, parameters.key, parameters.key_password, check=not parameters.unsafe_ssl
    )


@dataclass(frozen=True, slots=True)
class Place:
    """A management API: `url` is what stands before `/api`."""

    url: str
    vhost: str
    user: str
    password: str


def management_api(parameters: RabbitmqParameters) -> Place:
    """Of parameters that speak HTTP."""
    return _api(parameters, urlsplit(parameters.host))


def companion_apis(parameters: RabbitmqParameters) -> tuple[Place, ...]:
    """Of parameters that speak AMQP: where the same RabbitMQ may have its management API, likeliest first.

    A password that went through TLS goes nowhere without it.
    """
    if parameters.management == NO_MANAGEMENT:
        return ()
    access = amqp_access(parameters)
    if parameters.management:
        api = _api(parameters, urlsplit(parameters.management))
        named = bool(parameters.username or "@" in parameters.management)
        user, password = (api.user, api.password) if named else (access.user, access.password)
        return (Place(api.url, access.vhost, user, password),)
    host = f"[{access.host}]" if ":" in access.host else access.host
    urls = [f"https://{host}:{MANAGEMENT_TLS_PORT}"]
    if not access.tls:
        urls.insert(0, f"http://{host}:{MANAGEMENT_PORT}")
    return () if access.external else tuple(Place(url, access.vhost, access.user, access.password) for url in urls)


def token_form(text: str) -> tuple[tuple[str, str], ...]:
    """`audience=x&resource=y`. ValueError."""
    return tuple(parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text)))


def vhost_and_path(path: str, override: str = "") -> tuple[str, str]:
    """The path of a URL, still escaped → the virtual host, and what stands before it."""
    *before, last = path.split("/")
    return override or unquote(last) or "/", "".join(f"/{each}" for each in before if each)


def _api(parameters: RabbitmqParameters, parts: SplitResult) -> Place:
    vhost, before = vhost_and_path(parts.path, parameters.vhost)
    user, password = _credentials(parameters, parts)
    return Place(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{before}", vhost, user, password)


def _credentials(parameters: RabbitmqParameters, parts: SplitResult) -> tuple[str, str]:
    if parameters.username:
        return parameters.username, parameters.password
    return unquote(parts.username or ""), unquote(parts.password or "")


def _scheme(url: str) -> str:
    scheme, separator, _ = url.partition("://")
    return scheme.lower() if separator else ""


def _is_place(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
