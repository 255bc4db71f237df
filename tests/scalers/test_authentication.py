from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest

from core.errors import PermanentError
from core.resources.keda_auth import CLUSTER_TRIGGER_AUTHENTICATION, TRIGGER_AUTHENTICATION
from core.resources.meta import Json, ObjectKey
from core.stats import StatisticBus
from scalers.authentication import Resolved, Unresolved, resolve
from scalers.base import World
from scalers.pools import Pools
from scalers.readings import TargetRef, Trigger
from tests.scalers.auth.test_auth import PLANTED, config_map, from_secret, secret, stored
from tests.support.answering import Answering, ok
from tests.support.clock import FakeClock

OBJECTS = (
    secret("creds", password=PLANTED, user="anna"),
    secret("creds", "keda", password=f"{PLANTED}-keda"),
    config_map("settings", host="mq"),
)
PODS = {
    "containers": [
        {
            "name": "main",
            "env": [{"name": "REGION", "value": "eu"}, {"name": "PASS", **from_secret("creds", "password")}],
        },
        {"name": "side", "env": [{"name": "REGION", "value": "us"}]},
    ]
}
PASSWORD = {"parameter": "password", "name": "creds", "key": "password"}


@dataclass
class Asked:
    spec: Json | None = None
    cluster: bool = False
    metadata: dict[str, str] | None = None
    pods: Json | None = None
    container: str | None = None
    reference: Json | None = None
    files: Path | None = None

    def now(self) -> Resolved:
        return asyncio.run(self._resolve())

    async def _resolve(self) -> Resolved:
        store = await stored(OBJECTS)
        kind: Any = CLUSTER_TRIGGER_AUTHENTICATION if self.cluster else TRIGGER_AUTHENTICATION
        if self.spec is not None:
            metadata = {"name": "access"} if self.cluster else {"name": "access", "namespace": "default"}
            await store.create(kind, {"metadata": metadata, "spec": self.spec})
        reference = self.reference or (None if self.spec is None else {"name": "access", "kind": kind.kind})
        world = World(FakeClock(), store, StatisticBus(), Pools(), auth_files=self.files)
        target = TargetRef(name="web", container=self.container)
        trigger = Trigger(ObjectKey("default", "so"), 0, "kafka", self.metadata or {}, target=target)
        return await resolve(world, trigger, reference, self.pods or PODS)


@pytest.mark.parametrize(
    ("asked", "auth", "referents"),
    [
        pytest.param(Asked(), {}, set(), id="nothing"),
        pytest.param(Asked({}), {}, {"TriggerAuthentication default/access"}, id="an empty one"),
        pytest.param(Asked({"podIdentity": {"provider": "none"}}), {}, ..., id="identity none"),
        pytest.param(
            Asked({"secretTargetRef": [PASSWORD]}),
            {"password": PLANTED},
            {"TriggerAuthentication default/access", "Secret default/creds"},
            id="secret",
        ),
        pytest.param(
            Asked({"secretTargetRef": [PASSWORD]}, cluster=True),
            {"password": f"{PLANTED}-keda"},
            {"ClusterTriggerAuthentication access", "Secret keda/creds"},
            id="of the cluster: from the namespace keda",
        ),
        pytest.param(
            Asked({"configMapTargetRef": [{"parameter": "host", "name": "settings", "key": "host"}]}),
            {"host": "mq"},
            {"TriggerAuthentication default/access", "ConfigMap default/settings"},
            id="config map",
        ),
        pytest.param(
            Asked(
                {"configMapTargetRef": [{**PASSWORD, "name": "settings", "key": "host"}], "secretTargetRef": [PASSWORD]}
            ),
            {"password": PLANTED},
            ...,
            id="the secret wins",
        ),
        pytest.param(
            Asked({"env": [{"parameter": "region", "name": "REGION"}, {"parameter": "p", "name": "PASS"}]}),
            {"region": "eu", "p": PLANTED},
            {"TriggerAuthentication default/access", "Secret default/creds"},
            id="variables",
        ),
        pytest.param(
            Asked({"env": [{"parameter": "region", "name": "REGION", "containerName": "side"}]}),
            {"region": "us"},
            ...,
            id="of another container",
        ),
        pytest.param(
            Asked({"env": [{"parameter": "region", "name": "REGION"}]}, container="side"),
            {"region": "us"},
            ...,
            id="of the container that the target names",
        ),
        pytest.param(
            Asked({"env": [{"parameter": "p", "name": "PASS"}]}, cluster=True),
            {"p": PLANTED},
            {"ClusterTriggerAuthentication access", "Secret default/creds"},
            id="of the cluster: variables have their own Secrets",
        ),
        pytest.param(
            Asked(
                {
                    "oauth2": {
                        "type": "clientCredentials",
                        "clientId": "me",
                        "clientSecret": {"valueFrom": {"secretKeyRef": {"name": "creds", "key": "password"}}},
                        "tokenUrl": "https://id.example.com/token",
                        "scopes": ["a", "b"],
                        "tokenUrlParams": {"audience": "x y", "a": "b&c"},
                    }
                }
            ),
            {
                "clientID": "me",
                "clientSecret": PLANTED,
                "oauthTokenURI": "https://id.example.com/token",
                "scopes": "a,b",
                "endpointParams": "a=b%26c&audience=x+y",
            },
            ...,
            id="the way to a token",
        ),
    ],
)
def test_parameters(asked: Asked, auth: dict[str, str], referents: Any) -> None:
    resolved = asked.now()
    assert resolved.auth == auth
    assert (resolved.env, resolved.pod_identity, resolved.expires_at) == ({}, "", None)
    if referents is not ...:
        assert {str(each) for each in resolved.referents} == referents
    assert PLANTED not in repr(resolved)


def test_the_variables_that_the_metadata_names() -> None:
    resolved = Asked(metadata={"passwordFromEnv": "PASS", "hostFromEnv": "GONE", "topic": "REGION"}).now()
    assert resolved.env == {"PASS": PLANTED}
    assert [str(each) for each in resolved.referents] == ["Secret default/creds"]


def test_a_file_is_all_that_there_is_and_is_read_again(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"user": "bert"}')
    resolved = Asked({"filePath": "a.json", "secretTargetRef": [PASSWORD]}, cluster=True, files=tmp_path).now()
    assert resolved.auth == {"user": "bert"}
    assert resolved.expires_at == FakeClock().monotonic() + 60.0


def test_a_file_for_each_parameter(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text("-----BEGIN")
    spec = {"filePath": [{"parameter": "ca", "path": "ca.crt"}], "secretTargetRef": [PASSWORD]}
    resolved = Asked(spec, cluster=True, files=tmp_path).now()
    assert resolved.auth == {"ca": "-----BEGIN", "password": f"{PLANTED}-keda"}


@pytest.mark.parametrize(
    ("identity", "auth"),
    [
        ({}, {}),
        ({"identityOwner": "keda", "roleArn": "arn"}, {"awsRoleArn": "arn"}),
        ({"roleArn": "arn", "externalID": "word"}, {"awsRoleArn": "arn", "awsExternalId": "word"}),
    ],
)
def test_the_identity_of_this_process_in_aws(identity: Json, auth: dict[str, str]) -> None:
    resolved = Asked({"podIdentity": {"provider": "aws", **identity}}).now()
    assert (resolved.pod_identity, resolved.auth) == ("aws", auth)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        pytest.param(
            Asked(reference={"name": "gone"}),
            "spec.triggers[0].authenticationRef: asks for TriggerAuthentication default/gone, which does not exist",
            id="no authentication",
        ),
        pytest.param(
            Asked(reference={"name": "gone", "kind": "ClusterTriggerAuthentication"}),
            "ClusterTriggerAuthentication gone, which does not exist",
            id="none of the cluster",
        ),
        pytest.param(
            Asked(reference={"name": "x", "kind": "Secret"}),
            "kind: is 'Secret', must be one of TriggerAuthentication, ClusterTriggerAuthentication",
            id="another kind",
        ),
        pytest.param(
            Asked({"secretTargetRef": [PASSWORD, {**PASSWORD, "key": "pwd"}]}),
            "spec.secretTargetRef[1] asks for the key 'pwd' of Secret default/creds, "
            "which has the keys password, user: kubectl edit secret creds -n default",
            id="no key",
        ),
        pytest.param(
            Asked({"secretTargetRef": [{**PASSWORD, "name": "gone"}]}, cluster=True),
            "spec.secretTargetRef[0] asks for Secret keda/gone, which does not exist: "
            "kubectl create secret generic gone -n keda --from-literal=password=…",
            id="no secret",
        ),
        pytest.param(
            Asked({"env": [{"parameter": "a", "name": "GONE"}]}),
            "spec.env[0] names the variable GONE, which the target's container does not have",
            id="no variable",
        ),
        pytest.param(
            Asked({"podIdentity": {"provider": "gcp"}}),
            "is 'gcp', an identity that a cloud gives to the Pods of its own cluster; here it "
            "must be none or aws. Use secretTargetRef with credentials: kubectl edit triggerauthentication access -n",
            id="an identity",
        ),
        pytest.param(
            Asked({"podIdentity": {"provider": "aws", "identityOwner": "workload"}}),
            "spec.podIdentity.identityOwner: is 'workload', whose ServiceAccount has no identity here",
            id="a workload's identity",
        ),
        pytest.param(
            Asked({"azureKeyVault": {"vaultUri": "x", "secrets": []}}),
            "spec.azureKeyVault: Azure Key Vault cannot be read here. Use secretTargetRef",
            id="a store of a cloud",
        ),
        pytest.param(
            Asked({"filePath": "a.json"}), "for a ClusterTriggerAuthentication only", id="files of a namespace"
        ),
        pytest.param(Asked({"filePath": "a.json"}, cluster=True), "PILOTLIGHT_AUTH_FILES=FOLDER", id="no folder"),
    ],
)
def test_what_is_wrong_is_named_without_a_secret(asked: Asked, words: str) -> None:
    with pytest.raises(Unresolved) as caught:
        asked.now()
    assert words in str(caught.value)
    assert isinstance(caught.value, PermanentError)
    assert PLANTED not in f"{caught.value}{caught.value!r}"
    if "Secret keda/gone" in words:
        assert {str(each) for each in caught.value.referents} == {
            "ClusterTriggerAuthentication access",
            "Secret keda/gone",
        }


def test_vaults_token_may_stand_in_a_secret() -> None:
    async def run() -> None:
        tokens: list[str] = []

        def reply(question: Any) -> bytes:
            tokens.append(question.headers["x-vault-token"])
            return ok(orjson.dumps({"data": {"ttl": 0, "k": PLANTED}}))

        async with Answering(reply) as server:
            store = await stored((secret("vault", token="hvs.1"),))
            vault = {
                "address": server.url,
                "authentication": "token",
                "credential": {"token": "older", "tokenSecretRef": {"name": "vault", "key": "token"}},
                "secrets": [{"parameter": "password", "path": "db/creds", "key": "k"}],
            }
            metadata = {"name": "access", "namespace": "default"}
            await store.create(TRIGGER_AUTHENTICATION, {"metadata": metadata, "spec": {"hashiCorpVault": vault}})
            world = World(FakeClock(), store, StatisticBus(), Pools())
            trigger = Trigger(ObjectKey("default", "so"), 0, "kafka", {})
            found = await resolve(world, trigger, {"name": "access"}, None)
            assert found.auth["password"] == PLANTED
            assert set(tokens) == {"hvs.1"}
            assert "Secret default/vault" in {str(each) for each in found.referents}, "its change is a change here"
            vault["credential"] = {"tokenSecretRef": {"name": "gone", "key": "token"}}
            stale = await store.get(TRIGGER_AUTHENTICATION, "access", "default")
            await store.update(TRIGGER_AUTHENTICATION, {**stale, "spec": {"hashiCorpVault": vault}})
            with pytest.raises(PermanentError, match=r"credential\.tokenSecretRef asks for Secret default/gone"):
                await resolve(world, trigger, {"name": "access"}, None)

    asyncio.run(run())


def test_triggers_of_one_authentication_share_a_visit_to_vault() -> None:
    async def run() -> None:
        asked: list[str] = []

        def reply(question: Any) -> bytes:
            asked.append(question.target)
            data = {"ttl": 0} if question.target.endswith("lookup-self") else {"k": PLANTED}
            return ok(orjson.dumps({"lease_duration": 90, "data": data}))

        async with Answering(reply) as server:
            store = await stored(())
            vault = {
                "address": server.url,
                "authentication": "token",
                "credential": {"token": "t"},
                "secrets": [{"parameter": "password", "path": "db/creds", "key": "k"}],
            }
            metadata = {"name": "access", "namespace": "default"}
            await store.create(TRIGGER_AUTHENTICATION, {"metadata": metadata, "spec": {"hashiCorpVault": vault}})
            clock = FakeClock()
            world = World(clock, store, StatisticBus(), Pools())
            trigger = Trigger(ObjectKey("default", "so"), 0, "kafka", {})
            found = await asyncio.gather(*(resolve(world, trigger, {"name": "access"}, None) for _ in range(50)))
            assert {each.auth["password"] for each in found} == {PLANTED}
            assert {each.expires_at for each in found} == {clock.monotonic() + 60.0}
            assert len(asked) == 2
            await clock.advance(60.0)
            await resolve(world, trigger, {"name": "access"}, None)
            assert len(asked) == 4

    asyncio.run(run())
