"""What optional features cost: requests per CPU-second of an engine with each of them, against the sandbox.

`python -m tests.performance.features` takes about a minute. The plain engine is measured first and last, so that a machine that
changes its mind meanwhile is seen. The last line is a storm of notifications: each one brings an Update.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import trustme

from simulator.config import Profile
from tests.performance.canned import session_profile
from tests.performance.children import Engine, Sandbox
from tests.performance.measurements import watch

SECRET = "SMFLEET_BENCH_SECRET"
STORM_SESSIONS = 20_000
STORM_PER_S = 5_000


def features(files: dict[str, str]) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """By name: fields of the profile, settings of the sandbox."""
    os.environ[SECRET] = "open sesame"
    oauth2 = {"kind": "oauth2", "client_id": "fleet", "client_secret": {"env": SECRET}}
    tokens = {"lifetime": "5s", "clients": {"fleet": "open sesame"}}
    tls = {"certificate": files["certificate"], "key": files["key"]}
    headers = {"sender_timestamp": True, "max_rsp_time": True, "correlation_info": True, "message_priority": 3}
    return {
        "plain": ({}, {}),
        "gzip": ({"gzip": True}, {}),
        "3gpp-Sbi headers": ({"headers": headers}, {}),
        "OAuth2": ({"authentication": oauth2}, {"tokens": tokens}),
        "TLS": ({}, tls),
        "OAuth2 + TLS": ({"authentication": oauth2}, {"tokens": tokens, **tls}),
        "plain again": ({}, {}),
    }


def engine_rate(fields: dict[str, Any], settings: dict[str, Any], ca_file: str, seconds: float) -> tuple[float, float]:
    """Requests per CPU-second of the engine and of the sandbox."""
    with Sandbox(**settings) as sandbox, Engine() as engine:
        document = session_profile("load.duration=5m").model_dump(mode="json") | fields
        if "authentication" in fields:
            document["authentication"] = fields["authentication"] | {"token_url": sandbox.url + "/oauth2/token"}
        target = sandbox.url.replace("127.0.0.1", "localhost")
        engine.start(Profile.model_validate(document), target, ca_file=ca_file if "certificate" in settings else None)
        rates = watch(engine, sandbox, engine.after_snapshot, seconds)
        engine.stop()
    failed = sum(snapshot.count("requests", None, None, "failed") for snapshot in engine.snapshots)
    under_way = sum(snapshot.count("causes", "UNANSWERED") for snapshot in engine.snapshots)
    assert failed == under_way, f"{failed - under_way} requests failed"
    return rates.client_per_cpu_s, rates.server_per_cpu_s


def storm() -> tuple[float, float]:
    """Notifications that brought an Update, per second and per CPU-second of the engine."""
    load = {"mode": "open", "rate": "1/s", "start_open": STORM_SESSIONS, "duration": "5m", "max_in_flight": 100_000}
    usage = {"service": "data", "length": "1h", "rating_groups": [{"rating_group": 300, "throughput": "1kB/s"}]}
    profile = Profile.model_validate(
        {
            "subscribers": {"count": 100_000},
            "network_functions": {"smf": {"kind": "SMF"}},
            "usages": {"idle": usage},
            "mix": {"idle": 1},
            "load": load,
        }
    )
    with Sandbox() as sandbox, Engine() as engine:
        engine.start(profile, sandbox.url)
        while engine.requests < STORM_SESSIONS:
            engine.after_snapshot(30)
        before, cpu_s, began = engine.requests, engine.cpu_s, time.monotonic()
        body = {"share": 1.0, "rate": STORM_PER_S, "type": "REAUTHORIZATION"}
        httpx.post(sandbox.management + "/notify", json=body, trust_env=False).raise_for_status()
        while engine.requests < before + STORM_SESSIONS:
            engine.after_snapshot(30)
        passed, used_s = time.monotonic() - began, engine.cpu_s - cpu_s
        engine.stop()
    answered = sum(snapshot.count("notifies", "REAUTHORIZATION") for snapshot in engine.snapshots)
    assert answered > 0.99 * STORM_SESSIONS, answered
    return STORM_SESSIONS / passed, STORM_SESSIONS / used_s


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0)
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as folder:
        authority = trustme.CA()
        certificate = authority.issue_cert("localhost", "127.0.0.1")
        files = {name: str(Path(folder) / name) for name in ("ca", "certificate", "key")}
        authority.cert_pem.write_to_path(files["ca"])
        certificate.private_key_pem.write_to_path(files["key"])
        for pem in certificate.cert_chain_pems:
            pem.write_to_path(files["certificate"], append=True)
        for name, (fields, settings) in features(files).items():
            engine, sandbox = engine_rate(fields, settings, files["ca"], seconds)
            print(
                f"{name:18} {engine:10,.0f} requests per CPU-s of the engine {sandbox:10,.0f} of the sandbox",
                flush=True,
            )
    per_s, per_cpu_s = storm()
    print(f"{'notifications':18} {per_cpu_s:10,.0f} per CPU-s of the engine, each with its Update; {per_s:,.0f}/s")


if __name__ == "__main__":
    main()
