"""external, external-push: a scaler of somebody else, over KEDA's own gRPC protocol (pkg/scalers/external_scaler.go).

It is handed the trigger's whole metadata, and says by itself what is measured, how much there is, and whether that is
worth waking for. A push is a reason to read, also where it says that there is no work any more: upstream leaves that to
the next poll. One that cannot be reached is a failure like any other, wherever it happens (keda#8056).
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

from core.clients.external_scaler_access import UNIMPLEMENTED, ExternalScalerAccess
from core.clients.external_scaler_messages import MetricSpec, MetricValue, ScaledObjectRef
from core.clients.loading import load_client
from core.errors import PermanentError, TemporaryError
from core.settings.declaration import Text, Truth
from scalers.base import Definition, Tell, World
from scalers.params import AUTH, FROM_ENV, Parameters, param
from scalers.readings import MetricType, Reading, Target, Trigger
from scalers.service_addresses import addresses_of

if TYPE_CHECKING:
    from core.clients.external_scaler import ExternalScalerClient

FIRST_WAIT_S: Final = 2.0
LONGEST_WAIT_S: Final = 60.0
"""Between two attempts at a stream of metric specs, as upstream."""
SECRET_CHARS_MIN: Final = 4
"""Shorter ones are in every sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalParameters(Parameters):
    open: ClassVar[bool] = True

    scaler_address: str = param(
        "scalerAddress", Text(), "Where it answers, as host:port; Services of the platform, too."
    )
    enable_tls: bool = param("enableTLS", Truth(), "TLS, by the authorities that this machine trusts.", False)
    unsafe_ssl: bool = param(
        "unsafeSsl",
        Truth(),
        "Take whatever certificate it shows.",
        False,
        differs="gRPC for Python cannot do that: the certificate is fetched first and then trusted, until the "
        "connection breaks. One that has expired is still refused.",
    )
    tls_cert_file: str | None = param(
        "tlsCertFile", Text(), "A file on this machine: the authority to trust.", None, differs="Older KEDA's."
    )
    ca_cert: str | None = param("caCert", Text(), "The authority to trust, as PEM.", None, sources=AUTH)
    tls_client_cert: str | None = param("tlsClientCert", Text(), "Our certificate, as PEM.", None, sources=AUTH)
    tls_client_key: str | None = param("tlsClientKey", Text(), "Its key, as PEM.", None, sources=AUTH, secret=True)

    def problems(self) -> Sequence[tuple[str, str]]:
        if (self.tls_client_cert is None) is not (self.tls_client_key is None):
            missing = "tlsClientKey" if self.tls_client_key is None else "tlsClientCert"
            return [(missing, "is missing: a client's certificate and its key belong together")]
        return ()


class ExternalScaler:
    """`external`: it is asked."""

    def __init__(self, parameters: ExternalParameters, trigger: Trigger, world: World) -> None:
        self._parameters, self._trigger, self._world = parameters, trigger, world
        self._ref = ScaledObjectRef(trigger.owner.name, trigger.owner.namespace, metadata_of(trigger))
        self._secrets = [
            value
            for name, value in self._ref.metadata.items()
            if name.endswith(FROM_ENV) and len(value) >= SECRET_CHARS_MIN
        ]
        self._connecting = asyncio.Lock()
        self._client: ExternalScalerClient | None = None
        self._lent: ExternalScalerAccess | None = None  # the key of the channel that it has
        self._targets: Sequence[Target] = ()
        self._streamed: Sequence[Target] = ()  # what it said last by itself

    async def targets(self) -> Sequence[Target]:
        if self._streamed:
            self._targets = self._streamed
        else:
            client = await self._connected()
            with self._masked():
                self._targets = self._as_targets(await client.metric_specs(self._ref))
        return self._targets

    async def read(self) -> Sequence[Reading]:
        targets = self._targets or await self.targets()
        client = await self._connected()
        with self._masked():
            metrics = asyncio.gather(*(client.metrics(self._ref, target.metric) for target in targets))
            active, found = await asyncio.gather(client.is_active(self._ref), metrics)
        return [self._reading(target, values, active) for target, values in zip(targets, found, strict=True)]

    async def close(self) -> None:
        lent, self._lent, self._client = self._lent, None, None
        if lent is not None:
            await self._world.pools.give_back(_pool_key(lent))

    async def _connected(self) -> ExternalScalerClient:
        """The channel to where it is now: Pods behind a Service come and go."""
        async with self._connecting:
            access = await self._access()
            if self._client is None or access != self._lent:
                module = await load_client(
                    "core.clients.external_scaler", "external scalers", DEFINITIONS["external"].extra
                )
                client = self._world.pools.borrow(_pool_key(access), lambda: module.ExternalScalerClient(access))
                before, self._lent, self._client = self._lent, access, client
                if before is not None:
                    await self._world.pools.give_back(_pool_key(before))
            return self._client

    async def _access(self) -> ExternalScalerAccess:
        told = self._parameters
        addresses = await addresses_of(self._world.store, told.scaler_address, self._trigger.owner.namespace)
        ca = told.ca_cert
        if ca is None and told.tls_cert_file is not None:
            try:
                ca = await asyncio.to_thread(Path(told.tls_cert_file).read_text)
            except (OSError, UnicodeDecodeError) as error:
                raise TemporaryError(f"tlsCertFile {told.tls_cert_file} cannot be read: {error}") from None
        return ExternalScalerAccess(
            addresses=tuple(addresses),
            tls=told.enable_tls or ca is not None or told.tls_client_cert is not None,
            ca=ca,
            certificate=told.tls_client_cert,
            key=told.tls_client_key,
            server_name=None if addresses == [told.scaler_address] else told.scaler_address.rpartition(":")[0],
            unverified=told.unsafe_ssl,
        )

    def _as_targets(self, specs: Sequence[MetricSpec]) -> Sequence[Target]:
        metric_type = self._trigger.metric_type or MetricType.AVERAGE_VALUE
        if not specs:
            raise PermanentError(f"{self._parameters.scaler_address} names no metric to scale by", "NoMetrics")
        for spec in specs:
            if not (spec.target > 0 and math.isfinite(spec.target)):
                raise PermanentError(
                    f"{self._parameters.scaler_address} wants metric {spec.metric_name!r} held at {spec.target:g}; "
                    "targetSizeFloat or targetSize must be greater than 0",
                    "InvalidTarget",
                )
        return tuple(Target(spec.metric_name, spec.target, metric_type=metric_type) for spec in specs)

    def _reading(self, target: Target, values: Sequence[MetricValue], active: bool) -> Reading:
        if not values:
            raise TemporaryError(f"{self._parameters.scaler_address} answered without a value of {target.metric!r}")
        value = sum(each.value for each in values)
        if not math.isfinite(value):
            raise TemporaryError(f"{self._parameters.scaler_address} says that {target.metric!r} is {value}")
        note = f"it said {value:g}" if value < 0 else ""
        return Reading(max(0.0, value), activation=float(active), note=note)

    @contextmanager
    def _masked(self) -> Iterator[None]:
        """What the scaler says of its own failure may repeat what it was handed."""
        try:
            yield
        except TemporaryError as error:
            raise TemporaryError(self._mask(str(error)), error.retry_after_s) from None
        except PermanentError as error:
            raise PermanentError(self._mask(str(error)), error.reason) from None

    def _mask(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "****")
        return text


class ExternalPushScaler(ExternalScaler):
    """`external-push`: it also says by itself that there is work."""

    async def run(self, tell: Tell) -> None:
        client = await self._connected()
        with self._masked():
            async with asyncio.TaskGroup() as group:
                following = group.create_task(self._follow_specs(client, tell))
                try:
                    await self._follow_activity(client, tell)
                except (TemporaryError, PermanentError) as error:
                    broken = error
                following.cancel()
            raise broken

    async def _follow_activity(self, client: ExternalScalerClient, tell: Tell) -> None:
        async for active in client.activity(self._ref):
            tell(active)
        raise TemporaryError(f"{self._parameters.scaler_address} ended its stream")

    async def _follow_specs(self, client: ExternalScalerClient, tell: Tell) -> None:
        """Targets as they change. Most scalers do not have that; and none that fails at it holds up the pushes."""
        wait_s = FIRST_WAIT_S
        while True:
            try:
                async for specs in client.specs(self._ref):
                    self._streamed = self._as_targets(specs)
                    wait_s = FIRST_WAIT_S
                    if self._targets and self._targets != self._streamed:
                        tell(True)
            except PermanentError as error:
                if error.reason == UNIMPLEMENTED:
                    return
            except TemporaryError:
                pass
            self._streamed = ()  # until it says so again, it is asked
            await self._world.clock.sleep(wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)


def metadata_of(trigger: Trigger) -> dict[str, str]:
    """All of it; `<name>FromEnv` with the variable's value, and not at all where it has none."""
    found = {}
    for name, value in trigger.metadata.items():
        if not name.endswith(FROM_ENV):
            found[name] = value
        elif resolved := trigger.env.get(value):
            found[name] = resolved
    return found


def _pool_key(access: ExternalScalerAccess) -> tuple[str, ExternalScalerAccess]:
    return "external", access


def _make(parameters: ExternalParameters, trigger: Trigger, world: World) -> ExternalScaler:
    return ExternalScaler(parameters, trigger, world)


def _make_push(parameters: ExternalParameters, trigger: Trigger, world: World) -> ExternalScaler:
    return ExternalPushScaler(parameters, trigger, world)


def _check(parameters: ExternalParameters, trigger: Trigger) -> None:
    if trigger.metric_type is MetricType.UTILIZATION:
        raise PermanentError("metricType Utilization is for cpu and memory; allowed are AverageValue and Value")


DEFINITIONS = {
    "external": Definition(ExternalParameters, _make, "A scaler of your own, asked over gRPC.", "external", _check),
    "external-push": Definition(
        ExternalParameters, _make_push, "A scaler of your own, which pushes over gRPC.", "external", _check
    ),
}
