"""The manifests as kustomize renders them, against Kubernetes' schemas; no cluster ran them."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from onegauge.service.app import create_app
from onegauge.service.settings import Settings
from tests.service.fake_backend import FakeBackend

ROOT = Path(__file__).parents[1]
OVERLAYS = ROOT / "docker" / "kubernetes" / "overlays"
VERSIONS = ("1.29", "1.35")
OF_OPERATORS = {"PodMonitor"}  # whose schemas are not Kubernetes' own


def rendered(overlay: str) -> list[dict[str, Any]]:
    """All objects of an overlay."""
    if (program := shutil.which("kubectl")) is None:
        pytest.skip("kubectl is not installed")
    command = [program, "kustomize", str(OVERLAYS / overlay)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def deployments(overlay: str) -> dict[str, Any]:
    """The pod templates by name."""
    found = (o for o in rendered(overlay) if o["kind"] == "Deployment")
    return {o["metadata"]["name"]: o["spec"]["template"] for o in found}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("overlay", ["cpu", "gpu"])
def test_objects_follow_the_schemas(overlay, version):
    for resource in rendered(overlay):
        if resource["kind"] not in OF_OPERATORS:
            kubernetes_validate.validate(resource, version, strict=True)
        assert resource["metadata"].get("namespace", "onegauge") == "onegauge"


def test_gpu_has_a_triton_behind_a_name_that_resolves_to_all_of_its_pods():
    objects = {(o["kind"], o["metadata"]["name"]): o for o in rendered("gpu")}
    assert objects["Service", "triton"]["spec"]["clusterIP"] == "None"
    (container,) = deployments("gpu")["triton"]["spec"]["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert container["image"] == "nvcr.io/nvidia/tritonserver:26.05-py3"
    env = {e["name"]: e["value"] for e in gateway("gpu")["env"]}
    assert env["ONEGAUGE_TRITON_URL"] == "dns:///triton:8001"


def test_triton_computes_in_full_precision_what_is_calibrated_so():
    (container,) = deployments("gpu")["triton"]["spec"]["containers"]
    assert {"name": "NVIDIA_TF32_OVERRIDE", "value": "0"} in container["env"]


def gateway(overlay: str) -> dict[str, Any]:
    (container,) = deployments(overlay)["gateway"]["spec"]["containers"]
    return dict(container)


@pytest.mark.parametrize("overlay", ["cpu", "gpu"])
def test_gateway_is_asked_what_it_answers_and_set_what_it_knows(overlay):
    container = gateway(overlay)
    paths = create_app(Settings(), FakeBackend()).openapi()["paths"].keys()
    probes = ("startupProbe", "livenessProbe", "readinessProbe")
    assert {container[probe]["httpGet"]["path"] for probe in probes} <= paths
    names = {entry["name"].removeprefix("ONEGAUGE_").lower() for entry in container["env"]}
    assert names <= Settings.model_fields.keys()
    mounted = {mount["mountPath"] for mount in container["volumeMounts"]}
    files = [e["value"] for e in container["env"] if e["value"].startswith("/")]
    assert all(str(Path(file).parent) in mounted for file in files)


@pytest.mark.parametrize("overlay", ["cpu", "gpu"])
def test_pods_may_do_no_more_than_they_need(overlay):
    for template in deployments(overlay).values():
        assert template["spec"]["securityContext"]["runAsNonRoot"]
        assert template["spec"]["automountServiceAccountToken"] is False
        (container,) = template["spec"]["containers"]
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_triton_is_started_as_compose_starts_it():
    def options(command: list[str]) -> set[str]:
        words = command[-1].replace("$$", "$").split()
        return {word.partition("=")[0] for word in words if word.startswith("--")}

    composed = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["triton"]
    (container,) = deployments("gpu")["triton"]["spec"]["containers"]
    assert options(container["command"]) == options(composed["command"])


def test_pods_reach_each_other_only_where_a_policy_says_so():
    policies = [o for o in rendered("gpu") if o["kind"] == "NetworkPolicy"]
    closed = next(p for p in policies if p["spec"]["podSelector"] == {})
    assert closed["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in closed["spec"]
