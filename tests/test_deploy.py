"""The files in ``deploy/``, checked without a cluster: keys, names that they share, commands."""

from __future__ import annotations

import copy
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]  # has no types
import pytest
import yaml
from ray import autoscaler
from ray.autoscaler._private.util import prepare_config, validate_config

from connectfour.experiments.argo import build_workflow
from connectfour.experiments.reading import read_experiment
from connectfour.version import __version__
from tests.argo_workflows import strings
from tests.deploy_files import DEPLOY, ROOT, check_schema, document, documents, policy, read_dockerfile, unknown_keys

IMAGE = f"connectfour-league:{__version__}"
KUBERNETES = "1.37"
RAY_SCHEMA = Path(autoscaler.__file__).parent / "ray-schema.json"
TOKEN = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": "/run/secrets/ray_token"}
# What Ray's schema leaves open: the provider's keys, and those that boto3's create_instances takes.
NODE_CONFIG = {
    "InstanceType": ...,
    "ImageId": ...,
    "IamInstanceProfile": {"Name": ...},
    "BlockDeviceMappings": {
        "DeviceName": ...,
        "Ebs": {"VolumeSize": ..., "VolumeType": ..., "DeleteOnTermination": ..., "Encrypted": ...},
    },
    "MetadataOptions": {"HttpTokens": ...},
}
PROVIDERS: dict[str, dict[str, Any]] = {
    "aws.yaml": {"type": ..., "region": ..., "cache_stopped_nodes": ..., "security_group": {"GroupName": ...}},
    "hosts.yaml": {"type": ..., "head_ip": ..., "worker_ips": ...},
}
# KubeRay's definition of a RayJob is not in any package: these are the keys that we use of it.
GROUP: dict[str, Any] = {"rayStartParams": {"num-cpus": ..., "metrics-export-port": ...}, "template": {"spec": ...}}
RAY_JOB = {
    "apiVersion": ...,
    "kind": ...,
    "metadata": {"name": ...},
    "spec": {
        "entrypoint": ...,
        "backoffLimit": ...,
        "activeDeadlineSeconds": ...,
        "shutdownAfterJobFinishes": ...,
        "ttlSecondsAfterFinished": ...,
        "rayClusterSpec": {
            "rayVersion": ...,
            "authOptions": {"mode": ...},
            "headGroupSpec": {
                "serviceType": ...,
                "enableIngress": ...,
                **GROUP,
                "rayStartParams": {**GROUP["rayStartParams"], "dashboard-host": ...},
            },
            "workerGroupSpecs": {"groupName": ..., "replicas": ..., "minReplicas": ..., "maxReplicas": ..., **GROUP},
        },
    },
}


def hadolint(text: str) -> tuple[int, set[str]]:
    """Return hadolint's exit code for a Dockerfile, and the codes of its findings."""
    done = subprocess.run(
        [Path(sys.executable).parent / "hadolint", "--format", "json", "-"],
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, {each["code"] for each in json.loads(done.stdout)}


def test_the_dockerfile_has_no_findings() -> None:
    """And a typo, or a step that is bad style, is one."""
    text = (DEPLOY / "Dockerfile").read_text()
    assert hadolint(text) == (0, set())
    assert hadolint(text.replace("COPY configs", "CPY configs"))[0] == 1
    assert hadolint(text.replace("apt-get install --yes", "apt-get install"))[1] == {"DL3014"}


def test_the_image_is_small_and_runs_as_a_user() -> None:
    """The stage that runs copies the environment, not the sources, and ends as user 1000."""
    build, run = read_dockerfile()
    assert (build.name, build.image) == ("build", run.image)
    assert build.all("ARG") == ["TORCH=cpu"]
    assert run.all("COPY") == ["--from=build /opt/connectfour /opt/connectfour", "configs /home/league/configs"]
    assert run.all("USER") == ["1000"]
    assert "--uid 1000" in " ".join(run.all("RUN"))
    assert "RAY_AUTH_MODE=token" in run.all("ENV")[0]


def test_docker_is_sent_what_the_dockerfile_copies_and_nothing_else() -> None:
    """The ignore file is a list of exceptions, and each is copied."""
    everything, *allowed, cache = [
        line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")
    ]
    assert (everything, cache) == ("*", "**/__pycache__")
    assert {line.removeprefix("!") for line in allowed} == copied()
    assert all((ROOT / name).exists() for name in copied())


def copied() -> set[str]:
    """Return the files and folders that the Dockerfile takes from the project."""
    found = [copy for stage in read_dockerfile() for copy in stage.all("COPY") if not copy.startswith("--from")]
    return {name for each in found for name in each.split()[:-1]}


def test_the_compose_file_follows_the_specification(tmp_path: Path) -> None:
    """Unknown keys of services, builds and secrets are refused."""
    pytest.importorskip("check_jsonschema")
    good = document("compose.yaml")
    service, secret, build = copy.deepcopy(good), copy.deepcopy(good), copy.deepcopy(good)
    service["services"]["worker"]["depend_on"] = ["head"]
    secret["secrets"]["ray_token"]["enviroment"] = "RAY_AUTH_TOKEN"
    build["services"]["head"]["build"]["dockerfil"] = "Dockerfile"
    said = check_schema(tmp_path, [good, service, secret, build], "--builtin-schema", "vendor.compose-spec")
    assert said[0] == ""
    for text, key in zip(said[1:], ("depend_on", "enviroment", "dockerfil"), strict=True):
        assert key in text


def test_the_compose_cluster_is_closed() -> None:
    """A head and two workers with the token from a secret and one volume; no port is published."""
    found = document("compose.yaml")
    head, worker = found["services"]["head"], found["services"]["worker"]
    for node in (head, worker):
        assert node["image"] == IMAGE
        assert (DEPLOY / node["build"]["context"] / node["build"]["dockerfile"]).resolve() == DEPLOY / "Dockerfile"
        assert node["build"]["args"].keys() == {"TORCH"}
        assert TOKEN.items() <= node["environment"].items()
        assert node["secrets"] == ["ray_token"]
        assert node["volumes"] == ["storage:/storage"]
        assert "ports" not in node
    assert found["secrets"] == {"ray_token": {"environment": "RAY_AUTH_TOKEN"}}
    assert found["volumes"].keys() == {"storage"}
    assert worker["deploy"]["replicas"] == 2
    assert "--include-dashboard=false" in head["command"]
    address = head["environment"]["RAY_ADDRESS"]
    assert f"--port={address.partition(':')[2]}" in head["command"]
    assert f"--address={address}" in worker["command"]
    assert f"--address={address}" in head["healthcheck"]["test"]


@pytest.mark.parametrize("name", PROVIDERS)
def test_the_launcher_accepts_its_files(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray's own functions, and our list of what its schema leaves open; each refuses a typo."""
    monkeypatch.chdir(ROOT)  # paths of file_mounts are relative
    good = document(name)
    validate_config(prepare_config(good))
    for typo in ({**good, "setup_comands": []}, {**good, "auth": {**good["auth"], "ssh_usr": "ubuntu"}}):
        with pytest.raises(Exception, match="Additional properties are not allowed"):
            validate_config(prepare_config(typo))
    provider = PROVIDERS[name]
    assert unknown_keys(good["provider"], provider) == []
    assert unknown_keys({**good["provider"], "regin": "us-west-2"}, provider) == ["regin"]


def test_the_launchers_files_follow_rays_schema_as_they_stand(tmp_path: Path) -> None:
    """Before Ray fills in defaults: it would name a cluster without a name itself."""
    pytest.importorskip("check_jsonschema")
    good = [document(name) for name in PROVIDERS]
    unnamed = {key: value for key, value in good[0].items() if key != "cluster_name"}
    typo = {**good[1], "file_mount": {}}
    said = check_schema(tmp_path, [*good, unnamed, typo], "--schemafile", str(RAY_SCHEMA))
    assert said[:2] == ["", ""]
    assert "'cluster_name' is a required property" in said[2]
    assert "'file_mount' was unexpected" in said[3]


def test_aws_nodes_have_known_keys_and_limits() -> None:
    """Terminated, not stopped; at most four workers; disks that go with their nodes."""
    found = document("aws.yaml")
    head, worker = found["available_node_types"]["head"], found["available_node_types"]["worker"]
    for node in (head, worker):
        assert unknown_keys(node["node_config"], NODE_CONFIG) == []
        assert unknown_keys({**node["node_config"], "InstanceTyp": ""}, NODE_CONFIG) == ["InstanceTyp"]
        (disk,) = node["node_config"]["BlockDeviceMappings"]
        assert disk["Ebs"]["DeleteOnTermination"] is True
    disk = copy.deepcopy(head["node_config"])
    disk["BlockDeviceMappings"][0]["Ebs"]["VolumSize"] = 1
    assert unknown_keys(disk, NODE_CONFIG) == ["BlockDeviceMappings.Ebs.VolumSize"]
    assert found["provider"]["cache_stopped_nodes"] is False
    assert found["head_node_type"] == "head"
    assert (worker["min_workers"], worker["max_workers"], found["max_workers"]) == (2, 4, 4)


def test_the_launchers_files_install_this_project_alike() -> None:
    """What the Dockerfile copies, with the same script; token mode in every shell; the dashboard on loopback."""
    aws, hosts = document("aws.yaml"), document("hosts.yaml")
    for key in ("cluster_name", "file_mounts", "rsync_exclude", "head_start_ray_commands", "worker_start_ray_commands"):
        assert aws[key] == hosts[key], key
    assert aws["setup_commands"][1:] == hosts["setup_commands"]
    mounts = dict(hosts["file_mounts"])
    assert mounts.pop("~/.ray/auth_token") == "~/.ray/auth_token"
    assert set(mounts.values()) == copied()
    folder = "~/connectfour-league/"
    assert all(remote == f"{folder if local != 'configs' else '~/'}{local}" for remote, local in mounts.items())
    mode, install, shell = hosts["setup_commands"]
    assert mode == "chmod 600 ~/.ray/auth_token"
    script, environment = re.fullmatch(r"python3 (\S+) (\S+) --torch cpu", install).groups()  # type: ignore[union-attr]
    assert (ROOT / script.removeprefix(folder)).is_file()
    assert f"export PATH={environment.replace('~', '$HOME')}/bin:$PATH RAY_AUTH_MODE=token" in shell
    assert aws["head_setup_commands"][0].startswith(f"{environment}/bin/pip install")
    head, worker = hosts["head_start_ray_commands"][1], hosts["worker_start_ray_commands"][1]
    assert "--dashboard-host=127.0.0.1" in head
    assert "--port=6379" in head
    assert "--address=$RAY_HEAD_IP:6379" in worker
    assert all("RAY_AUTH_MODE=token ray start" in command for command in (head, worker))


def test_the_rights_on_aws_are_those_of_its_cluster() -> None:
    """One region, one type, one cluster's instances and two roles: as aws.yaml names them."""
    found = document("aws.yaml")
    region = found["provider"]["region"]
    nodes = {name: node["node_config"] for name, node in found["available_node_types"].items()}
    for name, role in (("launcher", "head"), ("head", "worker")):
        text = json.dumps(policy(f"{name}-policy"))
        assert {*re.findall(r"[a-z]{2}-[a-z]+-\d", text)} == {region}
        statements = {each["Sid"]: each for each in policy(f"{name}-policy")["Statement"]}
        types = statements["StartInstances"]["Condition"]["StringEquals"]
        assert types == {"ec2:InstanceType": nodes[role]["InstanceType"]}
        own = statements["OwnInstances"]["Condition"]["StringEquals"]
        assert own == {"aws:ResourceTag/ray-cluster-name": found["cluster_name"]}
        (passed,) = re.findall(r"role/([-\w*]+)", text)
        assert passed == nodes[role]["IamInstanceProfile"]["Name"]
    for name in ("launcher-policy", "head-policy", "storage-policy", "trust"):
        for statement in policy(name)["Statement"]:
            assert statement.keys() <= {"Sid", "Effect", "Action", "Resource", "Condition", "Principal"}
            assert "*" not in json.dumps(statement["Action"])


def valid(kubernetes: dict[str, Any]) -> None:
    """Check a document for Kubernetes; unknown keys and kinds are refused."""
    kubernetes_validate.validate(kubernetes, KUBERNETES, strict=True)


def test_kubernetes_accepts_its_documents() -> None:
    """Unknown keys and kinds are refused."""
    claim, account, role, binding = documents("kubernetes.yaml")
    for each in (claim, account, role, binding):
        valid(each)
        with pytest.raises(kubernetes_validate.ValidationError, match="Additional properties"):
            valid({**each, "metdata": {}})
    with pytest.raises(kubernetes_validate.SchemaNotFoundError):
        valid({**role, "kind": "Rolle"})
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert [each["name"] for each in binding["subjects"]] == [account["metadata"]["name"]]
    assert role["rules"] == [
        {"apiGroups": ["argoproj.io"], "resources": ["workflowtaskresults"], "verbs": ["create", "patch"]}
    ]


def groups(job: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the head group and the worker groups of a RayJob."""
    cluster = job["spec"]["rayClusterSpec"]
    return [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]


def pods(job: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the pods that a RayJob makes."""
    return [
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "ray"}, "spec": group["template"]["spec"]}
        for group in groups(job)
    ]


def test_the_pods_of_the_rayjob_are_pods() -> None:
    """A typo in a template is refused by Kubernetes' schema, one above it by our list."""
    job = document("rayjob.yaml")
    for pod in pods(job):
        valid(pod)
        typo = copy.deepcopy(pod)
        typo["spec"]["containers"][0]["imagePulPolicy"] = "Always"
        with pytest.raises(kubernetes_validate.ValidationError, match="imagePulPolicy"):
            valid(typo)
    assert unknown_keys(job, RAY_JOB) == []
    for path in (
        "spec.shutdownAfterJobFinish",
        "spec.rayClusterSpec.authOption",
        "spec.rayClusterSpec.headGroupSpec.x",
    ):
        typo = copy.deepcopy(job)
        *parents, last = path.split(".")
        node = typo
        for parent in parents:
            node = node[parent]
        node[last] = True
        assert unknown_keys(typo, RAY_JOB) == [path]
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")


def test_the_rayjob_is_closed_and_ends() -> None:
    """Token mode, services inside the cluster alone, no root, and a cluster that is deleted."""
    job = document("rayjob.yaml")
    spec = job["spec"]
    assert spec["rayClusterSpec"]["authOptions"] == {"mode": "token"}
    head, workers = groups(job)
    assert (head["serviceType"], head["enableIngress"]) == ("ClusterIP", False)
    assert workers["replicas"] == workers["maxReplicas"] == 2
    assert spec["shutdownAfterJobFinishes"] is True
    assert spec["activeDeadlineSeconds"] > 0
    locked = tomllib.loads((ROOT / "poetry.lock").read_text())["package"]
    assert spec["rayClusterSpec"]["rayVersion"] == next(each["version"] for each in locked if each["name"] == "ray")
    (claim, *_) = documents("kubernetes.yaml")
    for group, pod in zip((head, workers), pods(job), strict=True):
        (container,) = pod["spec"]["containers"]
        assert container["image"] == IMAGE
        assert container["resources"]["requests"]["cpu"] == group["rayStartParams"]["num-cpus"]
        assert {each["name"] for each in container["volumeMounts"]} == {each["name"] for each in pod["spec"]["volumes"]}
        assert pod["spec"]["securityContext"]["runAsUser"] == int(read_dockerfile()[1].all("USER")[0])
        assert pod["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
        assert container["volumeMounts"][0] == {"name": "storage", "mountPath": "/storage"}


def test_workflows_use_the_same_image_volume_and_user() -> None:
    """What the generated workflow takes by default is what these files define."""
    found = yaml.safe_load(build_workflow(read_experiment(ROOT / "configs" / "experiments" / "quick.yaml", [])))
    values = {each["name"]: each["value"] for each in found["spec"]["arguments"]["parameters"]}
    (claim, *_) = documents("kubernetes.yaml")
    assert values["image"] == IMAGE
    assert values["claim"] == claim["metadata"]["name"]
    assert values["outdir"].startswith("/storage/")
    pod = document("rayjob.yaml")["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]
    assert found["spec"]["securityContext"]["fsGroup"] == pod["securityContext"]["fsGroup"]


def test_every_node_offers_its_metrics_at_the_same_port() -> None:
    """So one list of targets serves all of them."""
    ports = set()
    for name in ("compose.yaml", "hosts.yaml", "aws.yaml"):
        ports |= {*re.findall(r"--metrics-export-port=(\d+)", " ".join(strings(document(name))))}
    ports |= {group["rayStartParams"]["metrics-export-port"] for group in groups(document("rayjob.yaml"))}
    assert ports == {"8080"}
