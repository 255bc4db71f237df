"""TriggerAuthentication and ClusterTriggerAuthentication (`keda.sh/v1alpha1`): where triggers get parameters from.

(apis/keda/v1alpha1/triggerauthentication_types.go, of KEDA 2.20.) Types and kinds; `keda_auth_rules` has what is
refused, `scalers` resolves them. Nothing here holds a secret but `hashiCorpVault.credential.token`.
"""

from __future__ import annotations

from typing import Any, Final

from pydantic import Field

from core.resources.fields import doc
from core.resources.keda_annotations import GROUP, VERSION
from core.resources.keda_auth_rules import validate_authentication, warn_authentication
from core.resources.meta import Column, Json, Kind, Model, Resource


class PodIdentity(Model):
    provider: str = Field(description="azure-workload, gcp, aws, aws-eks or none.")
    identity_id: str | None = doc("Which identity of Azure.")
    identity_tenant_id: str | None = doc("Its tenant.")
    identity_authority_host: str | None = doc("Its authority; needs a tenant.")
    role_arn: str | None = doc("Role of AWS to take on.")
    external_id: str | None = doc("What the role asks for; needs roleArn.", alias="externalID")
    identity_owner: str | None = doc("keda or workload: whose identity it is.")


class TargetRef(Model):
    """A key of a Secret or a ConfigMap."""

    parameter: str = Field(description="The scaler's parameter that it fills.")
    name: str = Field(description="Name of the Secret or ConfigMap.")
    key: str = Field(description="Key in it.")


class AuthEnvironment(Model):
    parameter: str = Field(description="The scaler's parameter that it fills.")
    name: str = Field(description="Name of the variable.")
    container_name: str | None = doc("Container of the target; the first.")


class FileRef(Model):
    parameter: str = Field(description="The scaler's parameter that it fills.")
    path: str = Field(description="Path of a file whose content is the value.")


class SecretKeyRef(Model):
    name: str = Field(description="Name of the Secret.")
    key: str = Field(description="Key in it.")


class VaultCredential(Model):
    token: str | None = doc("Token of Vault.")
    token_secret_ref: SecretKeyRef | None = doc("Key of a Secret with that token; it wins over token.")
    service_account: str | None = doc("Path of a file with the token of a service account.")
    service_account_name: str | None = doc("Service account to ask a token for.")


class VaultPkiData(Model):
    common_name: str | None = doc("Common name of the certificate.")
    alt_names: str | None = doc("Further names.")
    ip_sans: str | None = doc("Addresses.")
    uri_sans: str | None = doc("URIs.")
    other_sans: str | None = doc("Names of other sorts.")
    ttl: str | None = doc("How long it is good.")
    format: str | None = doc("Its format.")


class VaultSecret(Model):
    parameter: str = Field(description="The scaler's parameter that it fills.")
    path: str = Field(description="Path in Vault.")
    key: str = Field(description="Key in what is there.")
    type: str | None = doc("secret, secretV2 or pki; guessed from the answer.")
    pki_data: VaultPkiData | None = doc("With pki: the certificate to make.")


class HashiCorpVault(Model):
    address: str = Field(description="URL of Vault.")
    authentication: str = Field(description="token or kubernetes.")
    namespace: str | None = doc("Namespace in Vault.")
    credential: VaultCredential | None = doc("What to authenticate with.")
    role: str | None = doc("With kubernetes: the role.")
    mount: str | None = doc("With kubernetes: where that method is mounted.")
    secrets: list[VaultSecret] = Field(description="What to take.")


class ValueFromSecret(Model):
    secret_key_ref: SecretKeyRef = Field(description="A key of a Secret.")


class SecretValue(Model):
    value_from: ValueFromSecret = Field(description="Where the value is.")


class AzureKeyVaultSecret(Model):
    parameter: str = Field(description="The scaler's parameter that it fills.")
    name: str = Field(description="Name of the secret.")
    version: str | None = doc("Its version.")


class AzureKeyVaultCredentials(Model):
    client_id: str = Field(description="Client id.")
    tenant_id: str = Field(description="Tenant id.")
    client_secret: SecretValue = Field(description="Client secret.")


class AzureKeyVaultCloud(Model):
    type: str = Field(description="Name of the cloud.")
    key_vault_resource_url: str | None = doc("URL of the resource.", alias="keyVaultResourceURL")
    active_directory_endpoint: str | None = doc("URL of Active Directory.")


class AzureKeyVault(Model):
    vault_uri: str = Field(description="URI of the vault.")
    secrets: list[AzureKeyVaultSecret] = Field(description="What to take.")
    credentials: AzureKeyVaultCredentials | None = doc("What to authenticate with.")
    pod_identity: PodIdentity | None = doc("What to authenticate with.")
    cloud: AzureKeyVaultCloud | None = doc("Which cloud.")


class GcpCredentials(Model):
    client_secret: SecretValue = Field(description="Key of a service account.")


class GcpSecret(Model):
    parameter: str = Field(description="The scaler's parameter that it fills.")
    id: str = Field(description="Id of the secret.")
    version: str | None = doc("Its version.")


class GcpSecretManager(Model):
    secrets: list[GcpSecret] = Field(description="What to take.")
    credentials: GcpCredentials | None = doc("What to authenticate with.")
    pod_identity: PodIdentity | None = doc("What to authenticate with.")


class AwsSecretManagerCredentials(Model):
    access_key: SecretValue = Field(description="Access key.")
    access_secret_key: SecretValue = Field(description="Secret key.")
    access_token: SecretValue | None = doc("Session token.")


class AwsSecret(Model):
    parameter: str = Field(description="The scaler's parameter that it fills.")
    name: str = Field(description="Name of the secret.")
    version_id: str | None = doc("Id of its version.")
    version_stage: str | None = doc("Stage of its version.")
    secret_key: str | None = doc("Key in a secret that is JSON.")


class AwsSecretManager(Model):
    secrets: list[AwsSecret] = Field(description="What to take.")
    credentials: AwsSecretManagerCredentials | None = doc("What to authenticate with.")
    pod_identity: PodIdentity | None = doc("What to authenticate with.")
    region: str | None = doc("Region of AWS.")


class BoundServiceAccountToken(Model):
    parameter: str = Field(description="The scaler's parameter that it fills.")
    service_account_name: str = Field(description="Service account to ask a token for.")


class OAuth2(Model):
    type: str | None = doc("clientCredentials.")
    client_id: str | None = doc("Client id.")
    client_secret: SecretValue | None = doc("Client secret.")
    token_url: str | None = doc("URL that gives tokens.")
    scopes: list[str] | None = doc("Scopes to ask for.")
    token_url_params: dict[str, str] | None = doc("Further parameters of the request for a token.")


class TriggerAuthenticationSpec(Model):
    pod_identity: PodIdentity | None = doc("Identity of a cloud: none here.")
    secret_target_ref: list[TargetRef] | None = doc("Keys of Secrets.")
    config_map_target_ref: list[TargetRef] | None = doc("Keys of ConfigMaps.")
    env: list[AuthEnvironment] | None = doc("Variables of the target's containers.")
    file_path: str | list[FileRef] | None = doc(
        "Files below the folder that the platform allows: one with a JSON object of parameters, or one for each."
    )
    hashi_corp_vault: HashiCorpVault | None = doc("Secrets of HashiCorp Vault.")
    azure_key_vault: AzureKeyVault | None = doc("Secrets of Azure Key Vault; cannot be read here.")
    gcp_secret_manager: GcpSecretManager | None = doc("Secrets of Google Secret Manager; cannot be read here.")
    aws_secret_manager: AwsSecretManager | None = doc("Secrets of AWS Secrets Manager; cannot be read here.")
    bound_service_account_token: list[BoundServiceAccountToken] | None = doc(
        "Tokens of service accounts; cannot be read here."
    )
    oauth2: OAuth2 | None = doc("Tokens by OAuth 2 client credentials.")


class TriggerAuthenticationStatus(Model):
    scaledobjects: str | None = doc("ScaledObjects that use it.")
    scaledjobs: str | None = doc("ScaledJobs that use it.")


class TriggerAuthentication(Resource):
    """Where triggers of its namespace get parameters from."""

    spec: TriggerAuthenticationSpec = Field(
        default_factory=TriggerAuthenticationSpec, description="Where parameters come from."
    )
    status: TriggerAuthenticationStatus | None = doc("Who uses it.")


class ClusterTriggerAuthentication(TriggerAuthentication):
    """Where triggers of any namespace get parameters from."""


def _names(field: str) -> Any:
    def cell(obj: Json) -> str | None:
        return ",".join(each["name"] for each in obj["spec"].get(field) or ()) or None

    return cell


_COMMON: Final[dict[str, Any]] = {
    "group": GROUP,
    "version": VERSION,
    "validate": validate_authentication,
    "warn": warn_authentication,
    "merge_patch_only": True,
    "confidential": True,
    "columns": (
        Column("PodIdentity", "spec.podIdentity.provider"),
        Column("Secret", "", value=_names("secretTargetRef")),
        Column("Env", "", value=_names("env")),
        Column("VaultAddress", "spec.hashiCorpVault.address"),
        Column("ScaledObjects", "status.scaledobjects", priority=1),
        Column("ScaledJobs", "status.scaledjobs", priority=1),
    ),
}

TRIGGER_AUTHENTICATION: Kind[TriggerAuthentication] = Kind(
    kind="TriggerAuthentication",
    plural="triggerauthentications",
    model=TriggerAuthentication,
    short_names=("ta", "triggerauth"),
    **_COMMON,
)
CLUSTER_TRIGGER_AUTHENTICATION: Kind[ClusterTriggerAuthentication] = Kind(
    kind="ClusterTriggerAuthentication",
    plural="clustertriggerauthentications",
    model=ClusterTriggerAuthentication,
    short_names=("cta", "clustertriggerauth"),
    namespaced=False,
    **_COMMON,
)
