"""JSONPath templates: a table of them, and the real kubectl as oracle of what they print."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pilotlight.cli.jsonpath import TemplateError, find, parse_template, render

POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "p", "labels": {"app.kubernetes.io/name": "x", "n": "1"}, "annotations": {"a-b": "<&>ü"}},
    "spec": {
        "hostNetwork": True,
        "containers": [
            {"name": "one", "image": "i1", "ports": [{"containerPort": 80}], "args": ["x", "y z"]},
            {"name": "two", "image": "i2", "ports": [{"containerPort": 81}, {"containerPort": 82}]},
            {"name": "three", "image": "i1"},
        ],
    },
    "status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "Initialized", "status": "False"}]},
}
TEMPLATES = {
    "{.metadata.name}": "p",
    "{$.metadata.name}": "p",
    "{@.metadata.name}": "p",
    "name: {.metadata.name}!": "name: p!",
    ".metadata.name": ".metadata.name",
    "{.metadata.nothing}": "",
    "{.metadata.nothing.at.all}": "",
    "{.metadata.labels.app\\.kubernetes\\.io/name}": "x",
    "{.metadata.labels['app\\.kubernetes\\.io/name']}": "x",
    "{.metadata.annotations.a-b}": "<&>ü",
    "{.spec.hostNetwork}": "true",
    "{.spec.containers[*].name}": "one two three",
    "{.spec.containers[0].name}": "one",
    "{.spec.containers[-1].name}": "three",
    "{.spec.containers[1:].name}": "two three",
    "{.spec.containers[0:3:2].name}": "one three",
    "{.spec.containers[-2:].name}": "two three",
    "{.spec.containers[0,2].name}": "one three",
    "{.spec.containers[*]['name','image']}": "one two three i1 i2 i1",
    "{.spec.containers[*].ports[*].containerPort}": "80 81 82",
    "{..containerPort}": "80 81 82",
    "{.spec..name}": "one two three",
    '{.spec.containers[?(@.name=="two")].image}': "i2",
    "{.spec.containers[?(@.image=='i1')].name}": "one three",
    "{.spec.containers[?(@.image!='i1')].name}": "two",
    "{.spec.containers[?(@.args)].name}": "one",
    "{.spec.containers[*].ports[?(@.containerPort>80)].containerPort}": "81 82",
    "{.spec.containers[*].ports[?(@.containerPort<=81)].containerPort}": "80 81",
    '{.status.conditions[?(@.type=="Ready")].status}': "True",
    '{range .spec.containers[*]}{.name}={.image}{"\\n"}{end}': "one=i1\ntwo=i2\nthree=i1\n",
    "{range .spec.containers[*]}{.name}:{range .ports[*]}{.containerPort},{end};{end}": "one:80,;two:81,82,;three:;",
    "{range .spec.containers[*]}{$.metadata.name}/{@.name} {end}": "/one /two /three ",
    "{range .spec.nothing[*]}{.name}{end}": "",
    "{.metadata.name}{'\\t'}{.kind}": "p\tPod",
    "{.spec.containers[0].args}": '["x","y z"]',
    "{.spec.containers[0].ports}": '[{"containerPort":80}]',
    "{.metadata.annotations}": '{"a-b":"\\u003c\\u0026\\u003eü"}',
    "": "",
    "{}": json.dumps(POD, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
    .replace("<", "\\u003c")
    .replace("&", "\\u0026")
    .replace(">", "\\u003e"),
}


@pytest.mark.parametrize("template", TEMPLATES)
def test_what_a_template_prints(template: str) -> None:
    assert render(parse_template(template), POD) == TEMPLATES[template]


@pytest.mark.kubectl
@pytest.mark.parametrize("template", [each for each in TEMPLATES if each])
def test_kubectl_prints_the_same(template: str, tmp_path: Path) -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("no kubectl on the PATH: https://kubernetes.io/docs/tasks/tools/ (Debian: kubernetes-client)")
    path = tmp_path / "pod.json"
    path.write_text(json.dumps(POD))
    command = ["kubectl", "label", "--local", "-f", str(path), "n=1", "--overwrite"]
    done = subprocess.run([*command, "-o", f"jsonpath={template}"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == TEMPLATES[template]


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{.metadata.name", "unclosed action"),
        ("{range .items[*]}{.name}", "unclosed range"),
        ("{metadata.name}", "expected a path"),
        ("{end}", "nothing to end"),
        ("{.items[}", "invalid array index"),
        ("{.items[?(@.a==]}", "expected a path"),
        ("{.items['a}", "expected a name in quotes"),
        ("{.items[0]}{!}", "expected a path"),
    ],
)
def test_a_bad_template_is_told_where(template: str, said: str) -> None:
    with pytest.raises(TemplateError, match=rf"{said}.* at character \d+ of "):
        parse_template(template)


def test_values_as_they_are() -> None:
    assert find(parse_template("{.spec.containers[*].ports} {.kind}"), POD) == [
        [{"containerPort": 80}],
        [{"containerPort": 81}, {"containerPort": 82}],
        "Pod",
    ]
