"""Does the lab's Kubernetes API answer as an API server does, and fail as it is told to?"""

import base64
import gzip
import http.client
import json
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from pytest_readiness import lab
from pytest_readiness.lab.changes import WorldError
from pytest_readiness.lab.kubernetes.api import KubernetesApi, load_world
from pytest_readiness.lab.kubernetes.faults import (
    Deny,
    Fault,
    PathAnswer,
    apply_changes,
)
from pytest_readiness.lab.kubernetes.reviews import may
from pytest_readiness.lab.tls import write_tls

WORLD = Path(lab.__file__).parent / "worlds" / "reference" / "kubernetes"
REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


def node(name: str, **labels: str) -> dict[str, Any]:
    metadata = {"name": name, "labels": labels}
    return {"apiVersion": "v1", "kind": "Node", "metadata": metadata}


def pod(name: str, namespace: str, node_name: str = "n1") -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace}
    spec = {"nodeName": node_name, "containers": [{"name": "main"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


class Answer:
    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def names(self) -> list[str]:
        return [item["metadata"]["name"] for item in self.json["items"]]


def ask(
    api: KubernetesApi,
    path: str,
    *,
    method: str = "GET",
    body: bytes | None = None,
    timeout: float = 10,
    context: ssl.SSLContext | None = None,
    **headers: str,
) -> Answer:
    parts = urlsplit(api.url)
    assert parts.hostname is not None
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(
            parts.hostname, parts.port, timeout=timeout, context=context
        )
    else:
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
    try:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body=body, headers=names)
        return Answer(connection.getresponse())
    finally:
        connection.close()


def serving(*objects: dict[str, Any], **options: Any) -> KubernetesApi:
    return KubernetesApi(objects, **options)


class TestLists:
    @pytest.fixture(scope="class")
    @classmethod
    def api(cls) -> Iterator[KubernetesApi]:
        nodes = [node(f"n{number}", zone="ab"[number % 2]) for number in range(7)]
        pods = [pod("a", "x"), pod("b", "x", "n2"), pod("c", "y", "n2")]
        with serving(*nodes, *pods) as api:
            yield api

    def test_pages_are_the_list(self, api: KubernetesApi) -> None:
        names: list[str] = []
        query, remaining = "limit=3", []
        while query:
            page = ask(api, f"/api/v1/nodes?{query}")
            names += page.names
            metadata = page.json["metadata"]
            remaining.append(metadata.get("remainingItemCount"))
            token = metadata.get("continue")
            query = f"limit=3&continue={quote(token)}" if token else ""
        assert names == [f"n{number}" for number in range(7)]
        assert remaining == [4, 1, None]

    def test_refuses_tokens_that_are_too_old_or_none(self, api: KubernetesApi) -> None:
        old = base64.urlsafe_b64encode(b'{"v":"meta.k8s.io/v1","rv":7,"start":"/n3"}').decode()
        expired = ask(api, f"/api/v1/nodes?limit=3&continue={old}")
        assert (expired.status, expired.json["reason"]) == (410, "Expired")
        assert ask(api, "/api/v1/nodes?limit=3&continue=nonsense").status == 400

    @pytest.mark.parametrize(
        ("selector", "names"),
        [
            ("labelSelector=zone=a", ["n0", "n2", "n4", "n6"]),
            ("labelSelector=zone==a,zone!=b", ["n0", "n2", "n4", "n6"]),
            ("labelSelector=zone in (b,c)", ["n1", "n3", "n5"]),
            ("labelSelector=zone notin (a, b)", []),
            ("labelSelector=!zone", []),
            ("labelSelector=zone&limit=1", ["n0"]),
            ("fieldSelector=metadata.name=n3", ["n3"]),
            ("fieldSelector=spec.unschedulable!=false", []),
        ],
    )
    def test_selects(self, api: KubernetesApi, selector: str, names: list[str]) -> None:
        assert ask(api, f"/api/v1/nodes?{quote(selector, safe='=&')}").names == names

    def test_selects_pods_by_node_over_namespaces(self, api: KubernetesApi) -> None:
        path = "/api/v1/pods?fieldSelector=spec.nodeName=n2"
        assert ask(api, path).names == ["b", "c"]
        assert ask(api, "/api/v1/namespaces/x/pods").names == ["a", "b"]
        assert ask(api, "/api/v1/namespaces/nowhere/pods").names == []

    @pytest.mark.parametrize("selector", ["fieldSelector=spec.no=1", "labelSelector=a%20b"])
    def test_refuses_a_selector_it_cannot_read(self, api: KubernetesApi, selector: str) -> None:
        assert ask(api, f"/api/v1/nodes?{selector}").status == 400

    def test_lists_leave_the_type_out_and_gets_do_not(self, api: KubernetesApi) -> None:
        listed = ask(api, "/api/v1/nodes").json
        assert listed["kind"] == "NodeList"
        assert "kind" not in listed["items"][0]
        single = ask(api, "/api/v1/nodes/n1").json
        assert (single["kind"], single["apiVersion"]) == ("Node", "v1")
        assert single["metadata"]["uid"]

    def test_gives_metadata_alone(self, api: KubernetesApi) -> None:
        accept = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
        listed = ask(api, "/api/v1/pods", accept=accept).json
        assert listed["kind"] == "PartialObjectMetadataList"
        assert {"kind", "apiVersion", "metadata"} == set(listed["items"][0])

    def test_watch_ends_its_initial_events_with_a_bookmark(self, api: KubernetesApi) -> None:
        query = "watch=1&sendInitialEvents=true&allowWatchBookmarks=true&timeoutSeconds=0"
        lines = ask(api, f"/api/v1/nodes?{query}").body.splitlines()
        kinds = [json.loads(line)["type"] for line in lines]
        assert kinds == ["ADDED"] * 7 + ["BOOKMARK"]

    def test_serves_custom_resources_and_nothing_unknown(self, api: KubernetesApi) -> None:
        assert ask(api, "/apis/example.org/v1/things").status == 404
        with pytest.raises(WorldError, match=r"serves no example\.org/v1 Thing"):
            serving({"apiVersion": "example.org/v1", "kind": "Thing", "metadata": {"name": "t"}})

    def test_writes_are_not_allowed(self, api: KubernetesApi) -> None:
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            assert ask(api, "/api/v1/nodes/n1", method=method, body=b"{}").status == 405

    def test_zips_what_is_large_when_asked(self) -> None:
        with serving(*(node(f"n{number:04}", text="x" * 63) for number in range(1000))) as api:
            plain = ask(api, "/api/v1/nodes")
            zipped = ask(api, "/api/v1/nodes", accept_encoding="gzip")
            small = ask(api, "/api/v1/nodes?limit=9", accept_encoding="gzip")
        assert plain.headers["Content-Encoding"] is None
        assert zipped.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(zipped.body) == plain.body
        assert small.headers["Content-Encoding"] is None


class TestDiscovery:
    def test_aggregated_and_legacy_name_the_same_resources(self) -> None:
        accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
        with serving() as api:
            groups = ask(api, "/apis", accept=accept).json["items"]
            aggregated = {
                (group["metadata"]["name"], entry["resource"])
                for group in groups
                for version in group["versions"]
                for entry in version["resources"]
            }
            legacy = {
                (group["name"], entry["name"])
                for group in ask(api, "/apis").json["groups"]
                for version in group["versions"]
                for entry in ask(api, f"/apis/{version['groupVersion']}").json["resources"]
                if "/" not in entry["name"]
            }
            core = ask(api, "/api/v1").json
        assert aggregated == legacy
        assert ("apps", "deployments") in legacy
        assert "nodes" in [entry["name"] for entry in core["resources"]]

    def test_health_and_version(self) -> None:
        with serving(version={"gitVersion": "v1.30.4-gke.1", "major": "1", "minor": "30"}) as api:
            assert ask(api, "/version/").json["gitVersion"] == "v1.30.4-gke.1"
            for path in ("/healthz", "/livez", "/readyz", "/readyz/etcd"):
                assert ask(api, path).body == b"ok"
            assert b"[+]etcd ok" in ask(api, "/readyz?verbose").body
            assert ask(api, "/readyz/nothing").status == 404
            assert ask(api, "/nothing").status == 404


class TestWhoMayDoWhat:
    def test_denied_in_the_words_of_the_api_server(self) -> None:
        denies = [Deny(verb="list", resource="nodes"), Deny(verb="*", resource="*", group="apps")]
        with serving(node("n1"), denies=denies) as api:
            denied = ask(api, "/api/v1/nodes").json
            assert denied["message"] == (
                'nodes is forbidden: User "lab" cannot list resource "nodes" in API group "" '
                "at the cluster scope"
            )
            assert (denied["code"], denied["reason"]) == (403, "Forbidden")
            assert ask(api, "/api/v1/nodes/n1").status == 200
            named = ask(api, "/apis/apps/v1/namespaces/x/deployments/y").json
            assert named["message"] == (
                'deployments.apps "y" is forbidden: User "lab" cannot get resource "deployments" '
                'in API group "apps" in the namespace "x"'
            )

    @pytest.mark.parametrize(("verb", "allowed"), [("list", False), ("get", True), ("*", False)])
    def test_review_agrees(self, verb: str, allowed: bool) -> None:
        spec = {"resourceAttributes": {"verb": verb, "resource": "nodes"}}
        with serving(denies=[Deny(verb="list", resource="nodes")]) as api:
            body = json.dumps({"spec": spec}).encode()
            answer = ask(api, REVIEWS, method="POST", body=body)
        assert (answer.status, answer.json["status"]) == (201, {"allowed": allowed})

    def test_a_rule_of_one_namespace_holds_there_alone(self) -> None:
        rule = Deny(verb="list", resource="pods", namespace="x")
        assert not may([rule], "list", "", "pods", "x")
        assert may([rule], "list", "", "pods", "y")
        assert may([rule], "list", "", "pods", None)

    def test_a_review_that_is_none_is_refused(self) -> None:
        with serving() as api:
            for body in (b"", b"[1]", b"k8s\x00\xff\xff", b"\xff"):
                assert ask(api, REVIEWS, method="POST", body=body).status == 400

    def test_unknown_tokens_are_unauthorized(self) -> None:
        with serving(tokens={"right": "reader"}) as api:
            assert ask(api, "/version").status == 200
            nobody = ask(api, "/api/v1/nodes").json
            assert (nobody["code"], "system:anonymous" in nobody["message"]) == (403, True)
            assert ask(api, "/version", authorization="Bearer wrong").json == {
                "kind": "Status",
                "apiVersion": "v1",
                "metadata": {},
                "status": "Failure",
                "message": "Unauthorized",
                "reason": "Unauthorized",
                "code": 401,
            }
            assert ask(api, "/version", authorization="Bearer right").status == 200

    def test_https_wants_a_certificate_or_a_token(self, tmp_path: Path) -> None:
        with serving(node("n1"), tls_dir=tmp_path, tokens={"right": "reader"}) as api:
            context = ssl.create_default_context(cafile=api.ca_file)
            context.verify_flags |= ssl.VERIFY_X509_STRICT
            assert ask(api, "/api", context=context).status == 403
            assert ask(api, "/api", context=context, authorization="Bearer right").status == 200
            context.load_cert_chain(tmp_path / "client.pem", tmp_path / "client.key")
            assert ask(api, "/api", context=context).status == 200
            with pytest.raises(ssl.SSLCertVerificationError):
                ask(api, "/api", context=ssl.create_default_context())

    def test_keys_are_for_their_owner_alone(self, tmp_path: Path) -> None:
        files = write_tls(tmp_path)
        assert files.server_key.stat().st_mode & 0o777 == 0o600
        assert files.client_key.stat().st_mode & 0o777 == 0o600


def answering(fault: str, path: str = "/api/v1/nodes", **options: Any) -> KubernetesApi:
    answer = PathAnswer(path=path, fault=Fault(fault), **options)
    return serving(node("n1"), node("n2"), node("n3"), answers=[answer])


class TestFaults:
    def test_status_is_given_so_many_times(self) -> None:
        with answering("status", status=429, retry_after=3, times=2) as api:
            answers = [ask(api, "/api/v1/nodes") for _ in range(3)]
        assert [answer.status for answer in answers] == [429, 429, 200]
        assert answers[0].headers["Retry-After"] == "3"
        assert answers[0].json["reason"] == "TooManyRequests"
        assert api.asked("/api/v1/nodes") == 3

    def test_only_the_continued_request_has_expired(self) -> None:
        with answering("status", status=410, only="continue", times=1) as api:
            first = ask(api, "/api/v1/nodes?limit=2")
            path = f"/api/v1/nodes?limit=2&continue={first.json['metadata']['continue']}"
            assert [ask(api, path).status for _ in range(2)] == [410, 200]

    @pytest.mark.parametrize("status", [401, 403, 404, 500, 503])
    def test_status_names_its_reason(self, status: int) -> None:
        with answering("status", path="/api/*", status=status) as api:
            answer = ask(api, "/api/v1/pods")
            assert ask(api, "/apis/apps/v1/deployments").status == 200
        assert (answer.status, answer.json["code"]) == (status, status)

    def test_readyz_fails_in_text(self) -> None:
        with answering("status", path="/readyz", status=500) as api:
            assert ask(api, "/readyz").body.startswith(b"[-]etcd failed")

    def test_hang_says_nothing_and_does_not_hold_up_the_end(self) -> None:
        before = set(threading.enumerate())
        with answering("hang") as api:
            client = threading.Thread(target=self._ask_and_be_cut, args=(api,))
            client.start()
            while not api.asked("/api/v1/nodes"):
                pass
            with pytest.raises(TimeoutError):
                ask(api, "/api/v1/nodes", timeout=0.2)
            api.stop()
            client.join(timeout=5)
        assert not set(threading.enumerate()) - before

    @staticmethod
    def _ask_and_be_cut(api: KubernetesApi) -> None:
        with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
            ask(api, "/api/v1/nodes", timeout=60)

    def test_refuse_closes_the_port(self) -> None:
        with answering("refuse", path="*") as api, pytest.raises(ConnectionRefusedError):
            ask(api, "/version")

    def test_reset_cuts_the_connection(self) -> None:
        with answering("reset") as api, pytest.raises(ConnectionResetError):
            ask(api, "/api/v1/nodes")

    def test_garbage_is_not_json(self) -> None:
        with answering("garbage") as api, pytest.raises(ValueError, match=r"codec|Expecting"):
            _ = ask(api, "/api/v1/nodes").json

    def test_truncated_promises_more_than_it_sends(self) -> None:
        with answering("truncated") as api, pytest.raises(http.client.IncompleteRead):
            ask(api, "/api/v1/nodes")

    def test_gzip_is_cut(self) -> None:
        with answering("gzip-cut") as api:
            answer = ask(api, "/api/v1/nodes", accept_encoding="gzip")
        with pytest.raises(EOFError):
            gzip.decompress(answer.body)

    def test_huge_is_as_large_as_told(self) -> None:
        with answering("huge", size=3_000_000) as api:
            answer = ask(api, "/api/v1/nodes")
        assert len(answer.body) == 3_000_000
        assert len(answer.names[0]) > 2_999_000

    def test_slow_takes_its_time_and_is_true(self) -> None:
        with answering("slow", seconds=0.4) as api:
            began = time.monotonic()
            assert ask(api, "/api/v1/nodes").names == ["n1", "n2", "n3"]
            assert time.monotonic() - began >= 0.4

    def test_bad_item_and_null_items(self) -> None:
        with answering("bad-item", item=1, value={"metadata": None}) as api:
            assert ask(api, "/api/v1/nodes").json["items"][1] == {"metadata": None}
        with answering("null-items") as api:
            assert ask(api, "/api/v1/nodes").json["items"] is None

    def test_body_is_what_is_told(self) -> None:
        with answering("body", path="/version", value={"major": "1"}) as api:
            assert ask(api, "/version").json == {"major": "1"}


class TestChanges:
    WORLD = (
        {**node("n1"), "status": {"conditions": [{"type": "Ready", "status": "True"}]}},
        pod("a", "x"),
        pod("a", "y"),
    )

    def test_merges_into_objects_and_elements_and_leaves_the_world_alone(self) -> None:
        before = json.dumps(self.WORLD)
        patch = {"status": {"conditions": {"Ready": {"status": "False"}}}, "spec": {"x": 1}}
        changed = apply_changes(
            self.WORLD,
            [
                {"merge": {"kind": "Node", "name": "n1", "with": patch}},
                {"merge": {"kind": "Pod", "name": "a", "namespace": "y", "with": {"spec": None}}},
                {"delete": {"kind": "Pod", "name": "a", "namespace": "x"}},
                {"add": pod("new", "x")},
                {"version": {"gitVersion": "v1.29.3-eks-adc7111"}},
                {"deny": {"verb": "list", "resource": "nodes"}},
                {"answer": {"path": "/version", "fault": "hang"}},
            ],
        )
        changed_node, changed_pod, new = changed.objects
        assert changed_node["status"]["conditions"] == [{"type": "Ready", "status": "False"}]
        assert changed_node["spec"] == {"x": 1}
        assert "spec" not in changed_pod
        assert new["metadata"]["name"] == "new"
        assert (changed.version["minor"], changed.version["goVersion"][:2]) == ("29", "go")
        assert (len(changed.denies), len(changed.answers)) == (1, 1)
        assert json.dumps(self.WORLD) == before

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"merge": {"kind": "Node", "name": "n9", "with": {}}}, "no object is Node/n9"),
            ({"merge": {"kind": "Pod", "name": "a", "with": {}}}, "say which namespace"),
            ({"merge": {"kind": "Node", "name": "n1"}}, "missing required field `with`"),
            ({"merge": {"kind": "Node", "nam": "n1", "with": {}}}, "unknown field `nam`"),
            ({"delete": {"kind": "Secret"}}, "no object is Secret"),
            ({"add": pod("a", "x")}, "is there already"),
            ({"add": {"kind": "Pod"}}, "not an object"),
            ({"answer": {"path": "/", "fault": "status"}}, "cannot do without"),
            ({"answer": {"path": "/", "fault": "explode"}}, "Invalid enum value"),
            ({"answer": {"path": "/api", "fault": "refuse"}}, "closes the port"),
            ({"deny": {"verb": "list"}}, "missing required field `resource`"),
            ({"remove": {}}, "unknown 'remove'"),
            ({}, "exactly one of"),
        ],
    )
    def test_refuses_what_makes_no_sense(self, change: dict[str, Any], message: str) -> None:
        with pytest.raises(WorldError, match=message) as caught:
            apply_changes(self.WORLD, [change])
        assert str(caught.value).startswith("change 0")

    def test_names_the_elements_a_list_has(self) -> None:
        patch = {"status": {"conditions": {"Redy": {"status": "False"}}}}
        with pytest.raises(WorldError, match="'Redy'; has: Ready"):
            apply_changes(self.WORLD, [{"merge": {"kind": "Node", "with": patch}}])


class TestWorld:
    @pytest.fixture(scope="class")
    @classmethod
    def objects(cls) -> list[dict[str, Any]]:
        return load_world(WORLD)

    def test_starts_and_leaves_no_thread(self, tmp_path: Path) -> None:
        before = set(threading.enumerate())
        with KubernetesApi(load_world(WORLD), tls_dir=tmp_path) as api:
            assert api.url.startswith("https://127.0.0.1:")
        assert not set(threading.enumerate()) - before

    def test_two_run_side_by_side(self) -> None:
        with serving(node("n1")) as one, serving(node("n2")) as other:
            assert one.url != other.url
            assert ask(one, "/api/v1/nodes").names == ["n1"]
            assert ask(other, "/api/v1/nodes").names == ["n2"]

    def test_owners_nodes_claims_and_volumes_exist(self, objects: list[dict[str, Any]]) -> None:
        uids = {it["metadata"].get("uid") for it in objects}
        names = {(it["kind"], it["metadata"]["name"]) for it in objects}
        for thing in objects:
            for owner in thing["metadata"].get("ownerReferences", ()):
                assert owner["uid"] in uids, thing["metadata"]["name"]
                assert (owner["kind"], owner["name"]) in names
            if thing["kind"] == "Pod":
                assert ("Node", thing["spec"]["nodeName"]) in names
                for volume in thing["spec"].get("volumes", ()):
                    claim = volume.get("persistentVolumeClaim", {}).get("claimName")
                    assert claim is None or ("PersistentVolumeClaim", claim) in names
            if thing["kind"] == "PersistentVolumeClaim":
                assert ("PersistentVolume", thing["spec"]["volumeName"]) in names

    def test_dates_stay_text_and_some_are_of_today(self, objects: list[dict[str, Any]]) -> None:
        lease = next(it for it in objects if it["kind"] == "Lease")
        renewed = lease["spec"]["renewTime"]
        when = time.mktime(time.strptime(renewed, "%Y-%m-%dT%H:%M:%S.000000Z"))  # a MicroTime
        assert time.time() - when < 2 * 86400
        assert json.loads(json.dumps(objects)) == objects

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("a: [", "broken.yaml: "),
            ("a: 1", "broken.yaml: not an object"),
            ("{apiVersion: v1, kind: Pod, metadata: {name: a, x: !ago soon}}", "no duration"),
            (
                "{kind: List, items: [&p {apiVersion: v1, kind: Pod, metadata: {name: a}}, *p]}",
                "twice",
            ),
        ],
    )
    def test_refuses_a_folder_it_cannot_serve(
        self, tmp_path: Path, text: str, message: str
    ) -> None:
        with pytest.raises(WorldError, match=r"no \*.yaml"):
            load_world(tmp_path)
        (tmp_path / "broken.yaml").write_text(text, encoding="utf-8")
        with pytest.raises(WorldError, match=message):
            load_world(tmp_path)
