"""TriggerAuthentication and ClusterTriggerAuthentication: what is refused, and what is warned of."""

from __future__ import annotations

from typing import Any

import pytest

from core.apiserver.admission import admit_create
from core.errors import Invalid
from core.resources.keda_auth import CLUSTER_TRIGGER_AUTHENTICATION, TRIGGER_AUTHENTICATION
from core.resources.meta import AdmissionContext, Json, Kind

CONTEXT = AdmissionContext()
KEY: Json = {"parameter": "password", "name": "login", "key": "pass"}
OAUTH2: Json = {"type": "clientCredentials", "clientId": "c", "tokenUrl": "https://id.example.com/token"}
VAULT: Json = {
    "address": "http://127.0.0.1:8200",
    "authentication": "token",
    "credential": {"token": "t"},
    "secrets": [{"parameter": "password", "path": "secret/data/a", "key": "p"}],
}
AZURE: Json = {"provider": "azure-workload"}


def document(kind: Kind[Any], spec: Json) -> Json:
    metadata = {"name": "a", "namespace": "ns"} if kind.namespaced else {"name": "a"}
    return {"metadata": metadata, "spec": spec}


def refusals(spec: Json, kind: Kind[Any] = TRIGGER_AUTHENTICATION) -> list[str]:
    try:
        admit_create(kind, document(kind, spec), CONTEXT, "Strict")
    except Invalid as refusal:
        return [f"{cause.path}: {cause.message}" for cause in refusal.causes]
    return []


@pytest.mark.parametrize("kind", [TRIGGER_AUTHENTICATION, CLUSTER_TRIGGER_AUTHENTICATION], ids=str)
@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"secretTargetRef": [KEY], "configMapTargetRef": [KEY], "env": [{"parameter": "host", "name": "HOST"}]},
        {"oauth2": OAUTH2},
        {"oauth2": {**OAUTH2, "scopes": ["read"], "tokenUrlParams": {"audience": "x"}}},
        {"hashiCorpVault": VAULT},
        {"podIdentity": {"provider": "none"}},
        {"podIdentity": {**AZURE, "identityId": "i", "identityTenantId": "t", "identityAuthorityHost": "h"}},
        {"podIdentity": {"provider": "aws", "roleArn": "arn", "externalID": "e", "identityOwner": "keda"}},
    ],
)
def test_what_is_taken(spec: Json, kind: Kind[Any]) -> None:
    assert refusals(spec, kind) == []


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        (
            {"podIdentity": {"provider": "azure"}},
            'spec.podIdentity.provider: Unsupported value: "azure": supported values: "aws", "aws-eks", '
            '"azure-workload", "gcp", "none"',
        ),
        (
            {"podIdentity": {**AZURE, "identityId": ""}},
            'spec.podIdentity.identityId: Invalid value: "": must not be empty where it is set',
        ),
        (
            {"podIdentity": {**AZURE, "identityTenantId": ""}},
            'spec.podIdentity.identityTenantId: Invalid value: "": must not be empty where it is set',
        ),
        (
            {"podIdentity": {**AZURE, "identityAuthorityHost": "h"}},
            "spec.podIdentity.identityTenantId: Required value: identityAuthorityHost is set",
        ),
        (
            {"podIdentity": {"provider": "aws", "roleArn": "arn", "identityOwner": "workload"}},
            "spec.podIdentity.roleArn: Forbidden: may not be set where identityOwner is workload",
        ),
        (
            {"podIdentity": {"provider": "aws", "externalID": "e"}},
            "spec.podIdentity.roleArn: Required value: externalID is set",
        ),
        (
            {"awsSecretManager": {"secrets": [], "podIdentity": {"provider": "ibm"}}},
            'spec.awsSecretManager.podIdentity.provider: Unsupported value: "ibm": supported values: "aws", "aws-eks", '
            '"azure-workload", "gcp", "none"',
        ),
        (
            {"oauth2": {**OAUTH2, "type": "password"}},
            'spec.oauth2.type: Unsupported value: "password": supported values: "clientCredentials"',
        ),
        ({"oauth2": {**OAUTH2, "clientId": ""}}, "spec.oauth2.clientId: Required value"),
        ({"oauth2": {"type": "clientCredentials", "clientId": "c"}}, "spec.oauth2.tokenUrl: Required value"),
        (
            {"oauth2": {**OAUTH2, "tokenUrl": "id.example.com/token"}},
            'spec.oauth2.tokenUrl: Invalid value: "id.example.com/token": must be an http or https URL',
        ),
        (
            {"podIdentity": {"provider": "gcp"}, "oauth2": {**OAUTH2, "tokenUrl": "http://[x"}},
            'spec.oauth2.tokenUrl: Invalid value: "http://[x": must be an http or https URL',
        ),
        (
            {"hashiCorpVault": {**VAULT, "authentication": "ldap"}},
            'spec.hashiCorpVault.authentication: Unsupported value: "ldap": supported values: "kubernetes", "token"',
        ),
        (
            {"hashiCorpVault": {**VAULT, "secrets": [{**VAULT["secrets"][0], "type": "kv"}]}},
            'spec.hashiCorpVault.secrets[0].type: Unsupported value: "kv": supported values: "generic", "pki", '
            '"secret", "secretV2"',
        ),
        ({"secretTargetRef": [KEY, {**KEY, "key": ""}]}, "spec.secretTargetRef[1].key: Required value"),
        ({"env": [{"parameter": "", "name": "X"}]}, "spec.env[0].parameter: Required value"),
        ({"secretTargetRef": [{"parameter": "a", "name": "b"}]}, "spec.secretTargetRef[0].key: Required value"),
    ],
)
def test_what_is_refused(spec: Json, text: str) -> None:
    assert refusals(spec) == [text]


def test_without_a_spec() -> None:
    with pytest.raises(Invalid, match="spec: Required value"):
        admit_create(TRIGGER_AUTHENTICATION, {"metadata": {"name": "a", "namespace": "ns"}}, CONTEXT, "Strict")


@pytest.mark.parametrize(
    ("kind", "spec", "texts"),
    [
        (TRIGGER_AUTHENTICATION, {}, ["spec: gives no parameters to any trigger"]),
        (TRIGGER_AUTHENTICATION, {"secretTargetRef": [KEY]}, []),
        (
            TRIGGER_AUTHENTICATION,
            {"boundServiceAccountToken": [{"parameter": "token", "serviceAccountName": "a"}]},
            ["spec.boundServiceAccountToken: cannot be read here; triggers with it stay unread"],
        ),
        (
            TRIGGER_AUTHENTICATION,
            {"podIdentity": {"provider": "gcp"}},
            ["spec.podIdentity.provider: there is no gcp here; triggers with it stay unread"],
        ),
        (TRIGGER_AUTHENTICATION, {"podIdentity": {"provider": "aws"}}, []),
        (TRIGGER_AUTHENTICATION, {"podIdentity": {"provider": "none"}}, []),
        (
            TRIGGER_AUTHENTICATION,
            {"filePath": "a.json"},
            ["spec.filePath: is for a ClusterTriggerAuthentication; triggers with it stay unread"],
        ),
        (CLUSTER_TRIGGER_AUTHENTICATION, {"filePath": "a.json"}, []),
    ],
)
def test_what_is_warned_of(kind: Kind[Any], spec: Json, texts: list[str]) -> None:
    assert list(admit_create(kind, document(kind, spec), CONTEXT, "Strict").warnings) == texts
