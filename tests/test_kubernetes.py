"""The manifests as kustomize renders them, against Kubernetes' schemas; no cluster ran them."""

import shlex
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from onegauge.service.app import create_app
from onegauge.service.settings import Settings
from tests.cli.command import commands
from tests.service.fake_backend import FakeBackend

ROOT = Path(__file__).parents[1]
KUBERNETES = ROOT / "docker" / "kubernetes"
PLACES = {"cpu": "overlays/cpu", "gpu": "overlays/gpu", "bulk": "bulk"}
VERSIONS = ("1.29", "1.35")
OF_OPERATORS = {"PodMonitor", "RayJob"}  # whose schemas are not Kubernetes' own
# What a RayJob of KubeRay 1.4 may say that ours does, ray-operator/apis/ray/v1/*_types.go
JOB = {"backoffLimit", "entrypoint", "rayClusterSpec", "shutdownAfterJobFinishes"}
JOB |= {"submissionMode", "ttlSecondsAfterFinished"}
CLUSTER = {"headGroupSpec", "rayVersion", "workerGroupSpecs"}
HEAD = {"rayStartParams", "template"}
WORKERS = HEAD | {"groupName", "maxReplicas", "minReplicas", "replicas"}


def rendered(place: str) -> list[dict[str, Any]]:
    """All objects of one of the places."""
    if (program := shutil.which("kubectl")) is None:
        pytest.skip("kubectl is not installed")
    command = [program, "kustomize", str(KUBERNETES / PLACES[place])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def deployments(overlay: str) -> dict[str, Any]:
    """The pod templates by name."""
    found = (o for o in rendered(overlay) if o["kind"] == "Deployment")
    return {o["metadata"]["name"]: o["spec"]["template"] for o in found}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("place", PLACES)
def test_objects_follow_the_schemas(place, version):
    for resource in rendered(place):
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
def test_each_gateway_has_a_spool_of_its_own_and_the_file_of_the_sinks_if_there_is_one(overlay):
    container, pod = gateway(overlay), deployments(overlay)["gateway"]["spec"]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
    spools = {e["value"] for e in container["env"] if e["name"].endswith("_SPOOL")}
    assert spools == {"/spool/records", "/spool/sinks"}
    assert not mounts["/spool"].get("readOnly")
    assert volumes[mounts["/spool"]["name"]]["emptyDir"] == {}
    told = volumes[mounts["/run/secrets/sinks"]["name"]]["secret"]
    assert told == {"secretName": "sinks", "optional": True}


@pytest.mark.parametrize("place", PLACES)
def test_pods_may_do_no_more_than_they_need(place):
    templates = ray_pods() if place == "bulk" else deployments(place)
    assert templates
    for template in templates.values():
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


def ray_job() -> dict[str, Any]:
    (found,) = (o for o in rendered("bulk") if o["kind"] == "RayJob")
    assert found["apiVersion"] == "ray.io/v1"
    return dict(found["spec"])


def ray_pods() -> dict[str, Any]:
    """The pod templates of the cluster by the names of their groups."""
    cluster = ray_job()["rayClusterSpec"]
    groups = {group["groupName"]: group for group in cluster["workerGroupSpecs"]}
    return {name: g["template"] for name, g in {"head": cluster["headGroupSpec"], **groups}.items()}


def paths_in(template: dict[str, Any], *, writable: bool = False) -> set[str]:
    """Where volumes that there are are mounted in the only container of a pod."""
    (container,) = template["spec"]["containers"]
    volumes = {v["name"]: v["persistentVolumeClaim"] for v in template["spec"]["volumes"]}
    mounts = [m for m in container["volumeMounts"] if m["name"] in volumes]
    assert len(mounts) == len(container["volumeMounts"])
    read_only = {n for n, claim in volumes.items() if claim.get("readOnly")}
    read_only |= {m["name"] for m in mounts if m.get("readOnly")}
    return {m["mountPath"] for m in mounts if not (writable and m["name"] in read_only)}


def test_a_ray_job_says_what_its_operator_knows():
    job = ray_job()
    cluster = job["rayClusterSpec"]
    assert job.keys() <= JOB
    assert cluster.keys() <= CLUSTER
    assert cluster["headGroupSpec"].keys() <= HEAD
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
    for group in cluster["workerGroupSpecs"]:
        assert group.keys() <= WORKERS
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]


@pytest.mark.parametrize("version", VERSIONS)
def test_pods_of_ray_follow_the_schemas(version):
    for template in ray_pods().values():
        pod = {"apiVersion": "v1", "kind": "PodTemplate", "template": template}
        kubernetes_validate.validate(pod, version, strict=True)


def test_a_ray_job_is_an_inspection_whose_files_its_pods_see():
    inspection, anomalous = ray_job()["entrypoint"].split(" || ")
    assert anomalous == "[ $? -eq 2 ]"  # what inspect ends with is no failure then
    program, name, *arguments = shlex.split(inspection)
    assert (program, name) == ("onegauge", "inspect")
    asked = commands()[name].make_context(name, arguments).params
    assert (asked["engine"], asked["address"]) == ("ray", "auto")
    for template in ray_pods().values():
        assert {*asked["sources"]} <= paths_in(template)
    head = ray_pods()["head"]  # where the command runs, whose process alone needs the rest
    assert str(asked["model"]) in paths_in(head)
    assert asked["output"] in paths_in(head, writable=True)


def test_volumes_of_ray_are_claimed():
    objects = [*rendered("cpu"), *rendered("bulk")]
    claims = {o["metadata"]["name"] for o in objects if o["kind"] == "PersistentVolumeClaim"}
    for template in ray_pods().values():
        volumes = (v["persistentVolumeClaim"] for v in template["spec"]["volumes"])
        assert {volume["claimName"] for volume in volumes} <= claims


def test_nodes_of_ray_are_the_image_that_is_built_for_them():
    built = (ROOT / "docker" / "ray.Dockerfile").read_text()
    (image,) = {t["spec"]["containers"][0]["image"] for t in ray_pods().values()}
    assert f"-t {image} " in built
    assert image.endswith(f":{version('onegauge')}")
    assert f"rayproject/ray:{ray_job()['rayClusterSpec']['rayVersion']}-" in built
