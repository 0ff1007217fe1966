"""The cluster on AWS, carried out by Ray's own provider on a simulated AWS."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from moto import mock_aws
from ray.autoscaler._private.util import prepare_config, validate_config

from tests.deploy_files import ROOT, document, policy

REGION = "us-west-2"
BUCKET = "connectfour-test"
# Needed for what the calls below ask for, though Ray never calls them itself: tags and roles of instances, their image.
IMPLIED = {"ec2:CreateTags", "iam:PassRole", "ssm:GetParameters"}


@pytest.fixture
def aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Calls]:
    """An empty AWS account, and what is asked of it."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    for name in ("AWS_PROFILE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.delenv(name, raising=False)
    with mock_aws():
        yield Calls(monkeypatch)


class Calls:
    """Records the calls to AWS."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        """Record from now on."""
        self._made: set[str] = set()
        base: Any = type(client("ec2")).__mro__[1]  # of all clients
        call = base._make_api_call

        def record(client: Any, operation: str, arguments: Any) -> Any:
            self._made.add(f"{client.meta.service_model.endpoint_prefix}:{operation}")
            return call(client, operation, arguments)

        patch.setattr(base, "_make_api_call", record)

    def since(self) -> set[str]:
        """Return the calls since this was last asked."""
        made, self._made = self._made, set()
        return made


def client(service: str) -> Any:
    """Return a client of a service, as Ray makes them."""
    from ray.autoscaler._private.aws.config import _client

    return _client(service, {"provider": {"region": REGION}})


def provider(config: dict[str, Any]) -> Any:
    """Return Ray's provider of nodes."""
    from ray.autoscaler._private.aws.node_provider import AWSNodeProvider

    return AWSNodeProvider(config["provider"], config["cluster_name"])


def documented() -> list[list[str]]:
    """Return the ``aws`` commands of the documentation."""
    text = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")
    return [shlex.split(line)[1:] for line in text.splitlines() if line.startswith("aws ")]


def carry_out(command: list[str], key: str = "") -> Any:
    """Do what an ``aws`` command says: its options are those of the call, with other names."""
    service, operation, *rest = command
    if service == "s3":
        bucket = rest[-1].replace("s3://BUCKET", BUCKET)
        if operation == "mb":
            return client("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        return client("s3").delete_bucket(Bucket=bucket)
    arguments: dict[str, Any] = {}
    while rest:
        option, *values = [rest.pop(0), *_values(rest)]
        name = "".join(part.capitalize() for part in option.removeprefix("--").split("-"))
        if name == "Filters":
            pairs = (value.removeprefix("Name=").partition(",Values=") for value in values)
            arguments[name] = [{"Name": kind, "Values": wanted.split(",")} for kind, _, wanted in pairs]
        else:
            (value,) = values
            file = value.removeprefix("file://")
            arguments[name] = (ROOT / file).read_text().replace("BUCKET", BUCKET) if file != value else value
    if arguments.get("AccessKeyId") == "KEY":
        arguments["AccessKeyId"] = key
    return getattr(client(service), operation.replace("-", "_"))(**arguments)


def _values(rest: list[str]) -> Iterator[str]:
    while rest and not rest[0].startswith("--"):
        yield rest.pop(0)


def actions(name: str) -> set[str]:
    """Return the rights that a policy gives."""
    found = set()
    for statement in policy(name)["Statement"]:
        given = statement["Action"]
        found |= {given} if isinstance(given, str) else set(given)
    return found


def set_up() -> str:
    """Carry out the commands that come before ``ray up``, and return the access key."""
    key = ""
    for command in documented():
        if re.match(r"(create|put|add|mb)", command[1]):
            answer = carry_out(command)
            key = answer.get("AccessKey", {}).get("AccessKeyId", key)
    return key


def bootstrapped() -> dict[str, Any]:
    """Return the configuration as ``ray up`` completes it."""
    from ray.autoscaler._private.aws.config import bootstrap_aws

    config = prepare_config(document("aws.yaml"))
    validate_config(config)
    found: dict[str, Any] = bootstrap_aws(config)
    return found


def start(config: dict[str, Any], kind: str, count: int) -> list[str]:
    """Start nodes of a type as Ray does, and tag them."""
    nodes = provider(config)
    tags = {"ray-node-type": "head" if kind == "head" else "worker", "ray-node-name": f"ray-connectfour-{kind}"}
    for _ in range(count):
        nodes.create_node(config["available_node_types"][kind]["node_config"], tags, 1)
    found: list[str] = nodes.non_terminated_nodes({"ray-node-type": tags["ray-node-type"]})
    for node in found:
        nodes.set_node_tags(node, {"ray-node-status": "up-to-date"})
    return found


@pytest.mark.slow
def test_the_cluster_comes_and_goes_and_the_rights_are_those_that_it_used(aws: Calls) -> None:
    """Set up, ``ray up``, autoscaling, ``ray down``, and the checklist: nothing stays."""
    key = set_up()
    aws.since()
    config = bootstrapped()
    (head,) = start(config, "head", 1)
    launched = aws.since()
    workers = start(config, "worker", 2)
    assert len(workers) == 2
    provider(config).terminate_nodes(workers)
    assert aws.since() | IMPLIED == actions("head-policy")
    provider(config).terminate_nodes([head])
    assert launched | aws.since() | IMPLIED | {"ec2:DescribeInstanceTypes"} == actions("launcher-policy")
    assert provider(config).non_terminated_nodes({}) == []
    assert client("ec2").describe_volumes()["Volumes"] == []
    pem = Path(config["auth"]["ssh_private_key"])
    text = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")
    assert f"rm ~/.ssh/{pem.name}\n" in text
    for command in documented():
        if not re.match(r"(create|put|add|mb)", command[1]):
            answer = carry_out(command, key)
            assert not answer.get("Reservations")
            assert not answer.get("Volumes")
    assert left() == {}


def left() -> dict[str, Any]:
    """Return what an account holds that was not there in the beginning."""
    ec2, iam = client("ec2"), client("iam")
    found = {
        "key pairs": ec2.describe_key_pairs()["KeyPairs"],
        "groups": [each for each in ec2.describe_security_groups()["SecurityGroups"] if each["GroupName"] != "default"],
        "roles": iam.list_roles()["Roles"],
        "profiles": iam.list_instance_profiles()["InstanceProfiles"],
        "users": iam.list_users()["Users"],
        "buckets": client("s3").list_buckets()["Buckets"],
    }
    return {name: each for name, each in found.items() if each}


def test_without_the_roles_no_node_starts(aws: Calls) -> None:
    """The simulation looks names up: a typo in a profile's name does not pass."""
    config = bootstrapped()
    with pytest.raises(Exception, match="Instance profile connectfour-ray-head not found"):
        start(config, "head", 1)


def test_the_rights_of_the_bucket_are_its_own() -> None:
    """Objects below the bucket, and the bucket itself for lists."""
    resources = [statement["Resource"] for statement in policy("storage-policy")["Statement"]]
    assert resources == ["arn:aws:s3:::BUCKET", "arn:aws:s3:::BUCKET/*"]
    assert json.dumps(policy("trust")).count("ec2.amazonaws.com") == 1


@pytest.mark.cluster
def test_ray_knows_what_the_nodes_have(aws: Calls) -> None:
    """Cores and memory of the instance types, which the autoscaler counts with."""
    from ray.autoscaler._private.aws.node_provider import AWSNodeProvider

    config = AWSNodeProvider.fillout_available_node_types_resources(prepare_config(document("aws.yaml")))
    for kind in ("head", "worker"):
        assert config["available_node_types"][kind]["resources"]["CPU"] == 8
    assert aws.since() == {"ec2:DescribeInstanceTypes"}
