"""The Python client, as it is, against a server whose kubeconfig KUBECONFIG names."""

import os
import threading
import uuid

import pytest
from kubernetes import client, config, dynamic, utils, watch
from kubernetes.client.exceptions import ApiException
from kubernetes.stream import stream


@pytest.fixture(scope="session")
def api():
    return config.new_client_from_config(os.environ["KUBECONFIG"])


@pytest.fixture
def core(api):
    return client.CoreV1Api(api)


@pytest.fixture
def namespace(core):
    name = f"python-{uuid.uuid4().hex[:8]}"
    core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=name)))
    yield name
    core.delete_namespace(name)


def config_map(name, **data):
    metadata = client.V1ObjectMeta(name=name, labels={"suite": "python"})
    return client.V1ConfigMap(metadata=metadata, data=data)


def deployment(name):
    labels = {"app": name}
    template = client.V1PodTemplateSpec(
        metadata=client.V1ObjectMeta(labels=labels),
        spec=client.V1PodSpec(containers=[client.V1Container(name="web", image="web:1")]),
    )
    spec = client.V1DeploymentSpec(
        replicas=0, selector=client.V1LabelSelector(match_labels=labels), template=template
    )
    return client.V1Deployment(metadata=client.V1ObjectMeta(name=name), spec=spec)


def test_objects(core, namespace):
    made = core.create_namespaced_config_map(namespace, config_map("a", k="1"))
    assert made.metadata.uid
    with pytest.raises(ApiException) as refused:
        core.create_namespaced_config_map(namespace, config_map("a"))
    assert refused.value.status == 409
    made.data["k"] = "2"
    changed = core.replace_namespaced_config_map("a", namespace, made)
    assert changed.data == {"k": "2"}
    patched = core.patch_namespaced_config_map("a", namespace, {"data": {"l": "3"}})
    assert patched.data == {"k": "2", "l": "3"}
    operations = [{"op": "remove", "path": "/data/l"}]
    assert core.patch_namespaced_config_map("a", namespace, operations).data == {"k": "2"}
    assert core.read_namespaced_config_map("a", namespace).data == {"k": "2"}
    core.delete_namespaced_config_map("a", namespace)
    with pytest.raises(ApiException) as gone:
        core.read_namespaced_config_map("a", namespace)
    assert gone.value.status == 404


def test_deployments_are_scaled(api, namespace):
    apps = client.AppsV1Api(api)
    apps.create_namespaced_deployment(namespace, deployment("web"))
    scaled = apps.patch_namespaced_deployment_scale("web", namespace, {"spec": {"replicas": 0}})
    assert scaled.spec.replicas == 0
    assert apps.read_namespaced_deployment_scale("web", namespace).status.selector == "app=web"
    bad = deployment("bad")
    bad.spec.selector.match_labels = {"app": "other"}
    with pytest.raises(ApiException) as refused:
        apps.create_namespaced_deployment(namespace, bad)
    assert refused.value.status == 422
    assert "spec.template.metadata.labels" in refused.value.body


def test_pages(core, namespace):
    for i in range(7):
        core.create_namespaced_config_map(namespace, config_map(f"cm-{i}"))
    names, token = [], None
    while True:
        page = core.list_namespaced_config_map(
            namespace, label_selector="suite=python", limit=3, _continue=token
        )
        names += [item.metadata.name for item in page.items]
        token = page.metadata._continue
        if not token:
            break
    assert names == [f"cm-{i}" for i in range(7)]


def test_watch(core, namespace):
    started = core.list_namespaced_config_map(namespace).metadata.resource_version

    def change():
        core.create_namespaced_config_map(namespace, config_map("seen"))
        core.patch_namespaced_config_map("seen", namespace, {"data": {"a": "b"}})
        core.delete_namespaced_config_map("seen", namespace)

    thread = threading.Timer(0.2, change)
    thread.start()
    kinds = []
    watcher = watch.Watch()
    for event in watcher.stream(
        core.list_namespaced_config_map,
        namespace,
        resource_version=started,
        label_selector="suite=python",
        timeout_seconds=60,
    ):
        kinds.append(event["type"])
        if event["type"] == "DELETED":
            watcher.stop()
    thread.join()
    assert kinds == ["ADDED", "MODIFIED", "DELETED"]


def test_dynamic(api, namespace):
    resources = dynamic.DynamicClient(api)
    maps = resources.resources.get(api_version="v1", kind="ConfigMap")
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "d"}, "data": {"a": "b"}}
    applied = maps.server_side_apply(body=body, namespace=namespace, field_manager="python")
    assert applied.metadata.managedFields[0].operation == "Apply"
    with pytest.raises(ApiException) as conflict:
        body["data"]["a"] = "c"
        maps.server_side_apply(body=body, namespace=namespace, field_manager="other")
    assert conflict.value.status == 409
    assert len(maps.get(namespace=namespace, label_selector="!nothing").items) >= 1


def test_yaml(api, namespace):
    objects = [
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"a": "b"}},
        {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "c"}, "spec": {
            "schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": {"spec": {
                "restartPolicy": "Never", "containers": [{"name": "a", "image": "b"}]}}}}}},
    ]
    for body in objects:
        utils.create_from_dict(api, body, namespace=namespace)
    assert client.BatchV1Api(api).read_namespaced_cron_job("c", namespace).spec.schedule


def test_access(api):
    review = client.V1SelfSubjectAccessReview(spec=client.V1SelfSubjectAccessReviewSpec(
        resource_attributes=client.V1ResourceAttributes(verb="get", resource="pods")))
    answer = client.AuthorizationV1Api(api).create_self_subject_access_review(review)
    assert answer.status.allowed


def test_exec_and_logs(core):
    pod = os.environ["SUITE_POD"]
    out = stream(
        core.connect_get_namespaced_pod_exec, pod, "default",
        command=["sh", "-c", "echo hello"], stderr=True, stdin=False, stdout=True, tty=False,
    )
    assert out.strip() == "hello"
    assert isinstance(core.read_namespaced_pod_log(pod, "default"), str)
