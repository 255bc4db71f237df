"""What is refused in a TriggerAuthentication, and warned of (apis/keda/v1alpha1/triggerauthentication_webhook.go).

KEDA looks no further once a podIdentity is there; here each part is judged by itself. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from core.errors import FieldError
from core.resources.keda_defaults import AUTHENTICATION_KIND, CLUSTER_AUTHENTICATION_KIND
from core.resources.meta import AdmissionContext, Json
from core.resources.problems import check_allowed, forbidden, invalid, not_supported, required

AZURE, AWS, NO_IDENTITY = "azure-workload", "aws", "none"
PROVIDERS: Final = (AZURE, "gcp", AWS, "aws-eks", NO_IDENTITY)
OWNERS: Final = ("keda", "workload")
CLIENT_CREDENTIALS: Final = "clientCredentials"
VAULT_METHODS: Final = ("token", "kubernetes")
VAULT_TYPES: Final = ("generic", "secret", "secretV2", "pki")
UNREADABLE: Final = ("azureKeyVault", "gcpSecretManager", "awsSecretManager", "boundServiceAccountToken")


def validate_authentication(obj: Json, context: AdmissionContext) -> Sequence[FieldError]:
    spec = obj.get("spec")
    if spec is None:
        return [required("spec")]
    errors: list[FieldError] = []
    for path, identity in _identities(spec):
        errors += _check_identity(identity, path)
    errors += _check_vault(spec.get("hashiCorpVault"), "spec.hashiCorpVault")
    return errors + _check_oauth2(spec.get("oauth2"), "spec.oauth2") + _check_parameters(spec)


def _identities(spec: Json) -> list[tuple[str, Json]]:
    """Wherever one may stand."""
    places = [("spec.podIdentity", spec.get("podIdentity"))]
    places += [
        (f"spec.{field}.podIdentity", (spec.get(field) or {}).get("podIdentity"))
        for field in ("azureKeyVault", "gcpSecretManager", "awsSecretManager")
    ]
    return [(path, identity) for path, identity in places if identity is not None]


def _check_identity(identity: Json, path: str) -> list[FieldError]:
    provider = identity.get("provider")
    errors = check_allowed(provider, PROVIDERS, f"{path}.provider")
    errors += check_allowed(identity.get("identityOwner"), OWNERS, f"{path}.identityOwner")
    if provider == AZURE:
        errors += [
            invalid(f"{path}.{field}", "", "must not be empty where it is set")
            for field in ("identityId", "identityTenantId")
            if identity.get(field) == ""
        ]
        if identity.get("identityAuthorityHost") and identity.get("identityTenantId") is None:
            errors.append(required(f"{path}.identityTenantId", "identityAuthorityHost is set"))
    if provider == AWS:
        role = identity.get("roleArn")
        if role and identity.get("identityOwner") == "workload":
            errors.append(forbidden(f"{path}.roleArn", "may not be set where identityOwner is workload"))
        if identity.get("externalID") and not role:
            errors.append(required(f"{path}.roleArn", "externalID is set"))
    return errors


def _check_vault(vault: Json | None, path: str) -> list[FieldError]:
    if vault is None:
        return []
    errors = check_allowed(vault.get("authentication"), VAULT_METHODS, f"{path}.authentication")
    for index, secret in enumerate(vault.get("secrets") or ()):
        errors += check_allowed(secret.get("type") or None, VAULT_TYPES, f"{path}.secrets[{index}].type")
    return errors


def _check_oauth2(oauth2: Json | None, path: str) -> list[FieldError]:
    if oauth2 is None:
        return []
    errors = []
    if oauth2.get("type") != CLIENT_CREDENTIALS:
        errors.append(not_supported(f"{path}.type", oauth2.get("type") or "", (CLIENT_CREDENTIALS,)))
    errors += [required(f"{path}.{field}") for field in ("clientId", "tokenUrl") if not oauth2.get(field)]
    if oauth2.get("tokenUrl") and not _is_web(oauth2["tokenUrl"]):
        errors.append(invalid(f"{path}.tokenUrl", oauth2["tokenUrl"], "must be an http or https URL"))
    return errors


def _is_web(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.netloc)


def _check_parameters(spec: Json) -> list[FieldError]:
    """Which parameter, and from where: without either an entry is nothing."""
    errors = []
    for field in ("secretTargetRef", "configMapTargetRef", "env"):
        for index, entry in enumerate(spec.get(field) or ()):
            wanted = ("parameter", "name") if field == "env" else ("parameter", "name", "key")
            errors += [required(f"spec.{field}[{index}].{each}") for each in wanted if not entry.get(each)]
    return errors


def warn_authentication(obj: Json, context: AdmissionContext) -> Sequence[str]:
    """What the platform cannot give: a trigger that asks for it stays unread, and says so."""
    spec = obj.get("spec") or {}
    if not any(spec.values()):
        return ["spec: gives no parameters to any trigger"]
    warnings = [
        f"spec.{field}: cannot be read here; triggers with it stay unread" for field in UNREADABLE if spec.get(field)
    ]
    provider = (spec.get("podIdentity") or {}).get("provider", NO_IDENTITY)
    if provider not in (NO_IDENTITY, AWS):
        warnings.append(f"spec.podIdentity.provider: there is no {provider} here; triggers with it stay unread")
    if spec.get("filePath") and obj.get("kind") == AUTHENTICATION_KIND:
        warnings.append(f"spec.filePath: is for a {CLUSTER_AUTHENTICATION_KIND}; triggers with it stay unread")
    return warnings
