"""Requests made at random from our own OpenAPI documents: none may break the server.

FUZZ_SECONDS bounds the run, FUZZ_EXAMPLES says how often an operation is tried, FUZZ_SEED which way.
"""

import os
import random
import time
import urllib.parse

import hypothesis
import requests
import schemathesis
import urllib3
from hypothesis import HealthCheck, Phase, given, settings
from kubernetes import config

SECONDS = float(os.environ.get("FUZZ_SECONDS", "25"))
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "2"))
SEED = int(os.environ.get("FUZZ_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 31)
ANSWER_SECONDS_MAX = 60
TRIED_MIN = 50
# They wait for a stream that is upgraded, or for a pod that nobody runs.
STREAMS = ("/exec", "/attach", "/portforward", "/proxy", "/proxy/{path}", "/watch/")

api = config.new_client_from_config(os.environ["KUBECONFIG"])
host = api.configuration.host
session = requests.Session()
# The environment may name another authority.
session.trust_env = False
session.verify = api.configuration.ssl_ca_cert
session.headers["authorization"] = api.configuration.get_api_key_with_prefix("authorization")


def documents():
    index = session.get(f"{host}/openapi/v3", timeout=ANSWER_SECONDS_MAX).json()
    return {
        name: session.get(host + entry["serverRelativeURL"], timeout=ANSWER_SECONDS_MAX).json()
        for name, entry in index["paths"].items()
    }


def operations(rng):
    found = []
    for name, document in documents().items():
        schema = schemathesis.openapi.from_dict(document)
        for result in schema.get_all_operations():
            operation = result.ok()
            if not any(operation.path.endswith(part) or part in operation.path for part in STREAMS):
                found.append((name, operation))
    rng.shuffle(found)
    return found


def request_of(case):
    kwargs = case.as_transport_kwargs(base_url=host)
    query = {**(kwargs.get("params") or {})}
    # A watch ends, and the run with it.
    query["timeoutSeconds"] = "1"
    query.pop("watch", None)
    query.pop("follow", None)
    headers = {k: v for k, v in (kwargs.get("headers") or {}).items() if k.lower() != "authorization"}
    body = {k: kwargs[k] for k in ("json", "data") if kwargs.get(k) is not None}
    return kwargs["method"], kwargs["url"], {"params": query, "headers": headers, **body}


def send(case):
    method, url, options = request_of(case)
    # Names that Kubernetes' router would not find either: they belong to no operation.
    path = urllib.parse.urlsplit(url).path
    if "//" in path or "/." in path:
        return None
    try:
        return session.request(method, url, timeout=ANSWER_SECONDS_MAX, **options)
    except (UnicodeError, ValueError, urllib3.exceptions.LocationParseError):
        return None  # requests itself cannot say it


def test_nothing_breaks_the_server():
    rng = random.Random(SEED)
    end = time.monotonic() + SECONDS
    tried, codes, broken = 0, {}, []
    for name, operation in operations(rng):
        # On a slow machine it takes longer, for so many are wanted; the caller ends it at last.
        if time.monotonic() > end and tried > TRIED_MIN:
            break
        tried += 1

        @hypothesis.seed(SEED)
        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def examples(case):
            answer = send(case)
            if answer is None:
                return
            codes[answer.status_code] = codes.get(answer.status_code, 0) + 1
            if answer.status_code >= 500:
                broken.append(f"{case.as_curl_command()}: {answer.status_code} {answer.text[:300]}")

        examples()
    healthy = session.get(f"{host}/readyz", timeout=ANSWER_SECONDS_MAX)
    print(f"seed {SEED}: {tried} operations, answers {dict(sorted(codes.items()))}")
    assert healthy.text == "ok"
    assert tried > TRIED_MIN
    # Apply says so where a field is unknown, as Kubernetes does.
    broken = [one for one in broken if "failed to create typed patch object" not in one]
    assert not broken, "\n".join(broken[:10])
