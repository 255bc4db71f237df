"""The flags that say where instances may run, as edits of a Service document. No I/O.

On one machine there is nothing to choose: the platform accepts what they write, warns, and keeps it for a cluster.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from core.resources.meta import Json
from pilotlight.cli.kn.edits import pod_spec, set_or_remove, split_pairs


def edit_node_selector(service: Json, pairs: Sequence[str]) -> None:
    set_or_remove(pod_spec(service).setdefault("nodeSelector", {}), pairs, "--node-selector")


def edit_tolerations(service: Json, values: Sequence[str]) -> None:
    """`Key=k,Operator=Equal,Value=v,Effect=NoSchedule`, or JSON."""
    current = pod_spec(service).setdefault("tolerations", [])
    for value in values:
        if value.startswith("{"):
            current.append(_read_json(value, "--toleration"))
            continue
        entry = {key[:1].lower() + key[1:]: text for key, text in split_pairs(value.split(","), "--toleration")}
        current.append(entry)


def edit_node_affinity(service: Json, value: str) -> None:
    """`Type=Required|Preferred,Key=k,Operator=In,Values=a b[,Weight=1]`, or JSON."""
    affinity = pod_spec(service).setdefault("affinity", {})
    if value.startswith("{"):
        affinity["nodeAffinity"] = _read_json(value, "--node-affinity")
        return
    given = {key.lower(): text or "" for key, text in split_pairs(value.split(","), "--node-affinity")}
    if given.get("type") not in ("Required", "Preferred") or not given.get("key") or not given.get("operator"):
        raise ValueError(f"--node-affinity {value!r}: expected Type=Required|Preferred,Key=…,Operator=…,Values=…")
    expression: Json = {"key": given["key"], "operator": given["operator"]}
    if values := given.get("values", "").split():
        expression["values"] = values
    term = {"matchExpressions": [expression]}
    if given["type"] == "Required":
        affinity["nodeAffinity"] = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
        return
    weight = given.get("weight", "1")
    if not weight.isdigit():
        raise ValueError(f"--node-affinity {value!r}: Weight is a number")
    preferred = [{"weight": int(weight), "preference": term}]
    affinity["nodeAffinity"] = {"preferredDuringSchedulingIgnoredDuringExecution": preferred}


def _read_json(value: str, flag: str) -> Json:
    try:
        found = json.loads(value)
    except ValueError as error:
        raise ValueError(f"{flag} {value!r}: {error}") from None
    if not isinstance(found, dict):
        raise ValueError(f"{flag} {value!r}: expected a JSON object")
    return found
