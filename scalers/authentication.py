"""What a trigger's authenticationRef gives it, and the variables of the target's container that its metadata names.

The controller calls `resolve` when it builds a trigger, again when one of the objects that it depends on changes, and
again at `expires_at` (pkg/scaling/resolver/scale_resolvers.go; later sources win over earlier ones, in that order).
Upstream hands on an empty text for what it does not find; here that is an error that says what is missing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final
from urllib.parse import urlencode

import orjson

from core.errors import PermanentError, TemporaryError
from core.resources.core_v1 import CONFIG_MAP, SECRET
from core.resources.keda_auth import CLUSTER_TRIGGER_AUTHENTICATION, TRIGGER_AUTHENTICATION
from core.resources.keda_auth_rules import AWS, NO_IDENTITY
from core.resources.meta import Json, Kind, ObjectKey
from scalers.auth.environment import Workload, read_variables
from scalers.auth.files import read_file, read_parameters
from scalers.auth.lookup import Lookup, Referent, edit
from scalers.base import World
from scalers.params import FROM_ENV
from scalers.readings import Trigger

FILES_LAST_S: Final = 60.0  # nothing tells of a change to a file
NOT_AVAILABLE: Final[Mapping[str, str]] = {
    "boundServiceAccountToken": "tokens of service accounts",
    "azureKeyVault": "Azure Key Vault",
    "gcpSecretManager": "Google Secret Manager",
    "awsSecretManager": "AWS Secrets Manager",
}
"""What KEDA has and this platform has not: field → what it means."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """What belongs into the trigger. `referents` are what it came from: when one of them changes, resolve again."""

    auth: Mapping[str, str] = field(default_factory=dict, repr=False)
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    pod_identity: str = ""
    referents: frozenset[Referent] = frozenset()
    expires_at: float | None = None  # monotonic: resolve again then at the latest


class Unresolved(PermanentError):
    """Something is missing or wrong; a change to one of `referents` may mend it."""

    def __init__(self, error: PermanentError, referents: frozenset[Referent]) -> None:
        super().__init__(str(error), error.reason)
        self.referents = referents


class NotYetResolved(TemporaryError):
    """Something outside did not answer; as `Unresolved`."""

    def __init__(self, error: TemporaryError, referents: frozenset[Referent]) -> None:
        super().__init__(str(error), error.retry_after_s)
        self.referents = referents


async def resolve(world: World, trigger: Trigger, reference: Json | None, pods: Json | None) -> Resolved:
    """`reference` is the trigger's authenticationRef, `pods` the Pod template's spec of its target (None: it has none).

    Of the trigger only owner, metadata and target count. Unresolved, NotYetResolved: neither says a secret.
    """
    lookup = Lookup(world.store)
    try:
        return await _Resolving(world, lookup, trigger, pods).run(reference)
    except PermanentError as error:
        raise Unresolved(error, frozenset(lookup.referents)) from None
    except TemporaryError as error:
        raise NotYetResolved(error, frozenset(lookup.referents)) from None


class _Resolving:
    """One call: the sources of one TriggerAuthentication, in upstream's order."""

    def __init__(self, world: World, lookup: Lookup, trigger: Trigger, pods: Json | None) -> None:
        self._world = world
        self._lookup = lookup
        self._trigger = trigger
        self._pods = pods
        self._who = ""
        self._namespace = trigger.owner.namespace  # where its Secrets and ConfigMaps are
        self._auth: dict[str, str] = {}
        self._identity = ""
        self._expires: list[float] = []

    async def run(self, reference: Json | None) -> Resolved:
        named = {value for key, value in self._trigger.metadata.items() if key.endswith(FROM_ENV)}
        env = await read_variables(self._lookup, self._workload(self._trigger.target.container), named)
        if reference and reference.get("name"):
            await self._take(await self._find(reference))
        expires_at = min(self._expires, default=None)
        return Resolved(self._auth, env, self._identity, frozenset(self._lookup.referents), expires_at)

    async def _find(self, reference: Json) -> Json:
        """The spec of what it refers to."""
        kind: Kind[Any] = TRIGGER_AUTHENTICATION
        name = reference["name"]
        key = ObjectKey(self._namespace, name)
        if reference.get("kind") == CLUSTER_TRIGGER_AUTHENTICATION.kind:
            kind, key, self._namespace = CLUSTER_TRIGGER_AUTHENTICATION, ObjectKey("", name), self._world.auth_namespace
        elif reference.get("kind") not in (None, "", TRIGGER_AUTHENTICATION.kind):
            raise PermanentError(
                f"{self._trigger.path}.authenticationRef.kind: is {reference['kind']!r}, must be one of "
                f"{TRIGGER_AUTHENTICATION.kind}, {CLUSTER_TRIGGER_AUTHENTICATION.kind}",
                "UnknownAuthentication",
            )
        referent = Referent(kind, key)
        obj = await self._lookup.find(referent)
        if obj is None:
            raise PermanentError(
                f"{self._trigger.path}.authenticationRef: asks for {referent}, which does not exist: kubectl apply one",
                "AuthenticationNotFound",
            )
        self._who = str(referent)
        self._mend = edit(referent)
        return obj.get("spec") or {}

    async def _take(self, spec: Json) -> None:
        self._refuse(spec)
        self._identify(spec.get("podIdentity") or {})
        sources: tuple[tuple[str, Callable[[str, Any], Awaitable[None]]], ...] = (
            ("env", self._env),
            ("filePath", self._files),
            ("configMapTargetRef", self._config_maps),
            ("secretTargetRef", self._secrets),
            ("hashiCorpVault", self._vault),
            ("oauth2", self._oauth2),
        )
        for name, take in sources:
            if spec.get(name):
                await take(f"{self._who}: spec.{name}", spec[name])
            if name == "filePath" and isinstance(spec.get(name), str):
                return  # upstream: such a file is all that there is

    def _identify(self, identity: Json) -> None:
        """As this process, in AWS; with a role that it takes on (pkg/scaling/resolver)."""
        if identity.get("provider") == AWS:
            self._identity = AWS
            named = (("awsRoleArn", "roleArn"), ("awsExternalId", "externalID"))
            self._auth |= {parameter: identity[field] for parameter, field in named if identity.get(field)}

    def _refuse(self, spec: Json) -> None:
        identity = spec.get("podIdentity") or {}
        provider = identity.get("provider") or NO_IDENTITY
        if provider not in (NO_IDENTITY, AWS):
            raise PermanentError(
                f"{self._who}: spec.podIdentity.provider: is {provider!r}, an identity that a cloud gives to the Pods "
                f"of its own cluster; here it must be none or aws. Use secretTargetRef with credentials: {self._mend}",
                "NotAvailable",
            )
        if identity.get("identityOwner") == "workload":
            raise PermanentError(
                f"{self._who}: spec.podIdentity.identityOwner: is 'workload', whose ServiceAccount has no identity "
                f"here; with keda, that of this platform is used: {self._mend}",
                "NotAvailable",
            )
        for name, what in NOT_AVAILABLE.items():
            if spec.get(name):
                raise PermanentError(
                    f"{self._who}: spec.{name}: {what} cannot be read here. Use secretTargetRef, hashiCorpVault or "
                    f"filePath: {self._mend}",
                    "NotAvailable",
                )

    def _workload(self, container: str | None) -> Workload:
        return Workload(self._trigger.owner.namespace, self._pods, container)

    async def _env(self, path: str, entries: list[Json]) -> None:
        for index, entry in enumerate(entries):
            workload = self._workload(entry.get("containerName") or self._trigger.target.container)
            found = await read_variables(self._lookup, workload, [entry["name"]])
            if entry["name"] not in found:
                whose = "the target's container does not have" if self._pods else "the target, without Pods, has not"
                raise PermanentError(
                    f"{path}[{index}] names the variable {entry['name']}, which {whose}: {self._mend}",
                    "VariableNotFound",
                )
            self._auth[entry["parameter"]] = found[entry["name"]]

    async def _files(self, path: str, files: str | list[Json]) -> None:
        if not self._who.startswith(CLUSTER_TRIGGER_AUTHENTICATION.kind):
            raise PermanentError(
                f"{path}: files are for a {CLUSTER_TRIGGER_AUTHENTICATION.kind} only, as they belong to the platform",
                "FileRefused",
            )
        root = self._world.auth_files
        self._expires.append(self._world.clock.monotonic() + FILES_LAST_S)
        if isinstance(files, str):
            self._auth = await read_parameters(root, files, path)
            return
        for index, entry in enumerate(files):
            self._auth[entry["parameter"]] = await read_file(root, entry["path"], f"{path}[{index}].path")

    async def _config_maps(self, path: str, entries: list[Json]) -> None:
        await self._keys(CONFIG_MAP, path, entries)

    async def _secrets(self, path: str, entries: list[Json]) -> None:
        await self._keys(SECRET, path, entries)

    async def _keys(self, kind: Kind[Any], path: str, entries: list[Json]) -> None:
        for index, entry in enumerate(entries):
            referent = Referent(kind, ObjectKey(self._namespace, entry["name"]))
            self._auth[entry["parameter"]] = await self._lookup.value(referent, entry["key"], f"{path}[{index}]")

    async def _vault(self, path: str, vault: Json) -> None:
        """One visit for all triggers that want the same of it."""
        from scalers.auth.vault import read_vault  # here, for it brings an HTTP client along, and `up` must start fast

        vault = await self._with_token(path, vault)
        key = "vault", path, sha256(orjson.dumps(vault, option=orjson.OPT_SORT_KEYS)).digest()
        world = self._world
        found, good_until = await world.answers.get(key, world.clock, lambda: read_vault(vault, path))
        self._auth |= found
        self._expires.append(good_until)

    async def _with_token(self, path: str, vault: Json) -> Json:
        """With the token that a Secret holds, where one is named."""
        credential = vault.get("credential") or {}
        reference = credential.get("tokenSecretRef")
        if not reference:
            return vault
        referent = Referent(SECRET, ObjectKey(self._namespace, reference["name"]))
        asked_by = f"{path}.credential.tokenSecretRef"
        token = (await self._lookup.value(referent, reference["key"], asked_by)).strip()
        return {**vault, "credential": {**credential, "token": token}}

    async def _oauth2(self, path: str, oauth2: Json) -> None:
        """Scalers get the way to a token, not a token: they ask for it when they need one (as upstream)."""
        reference = ((oauth2.get("clientSecret") or {}).get("valueFrom") or {}).get("secretKeyRef")
        if reference:
            referent = Referent(SECRET, ObjectKey(self._namespace, reference["name"]))
            self._auth["clientSecret"] = await self._lookup.value(referent, reference["key"], f"{path}.clientSecret")
        self._auth |= {"oauthTokenURI": oauth2["tokenUrl"], "clientID": oauth2["clientId"]}
        if oauth2.get("scopes"):
            self._auth["scopes"] = ",".join(oauth2["scopes"])
        if oauth2.get("tokenUrlParams"):
            self._auth["endpointParams"] = urlencode(sorted(oauth2["tokenUrlParams"].items()))
