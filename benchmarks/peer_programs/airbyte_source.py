"""The same job with Airbyte's Python CDK: a low-code source with an `AsyncRetriever`, run as connectors are run.

usage: airbyte_source.py BASE_URL STARTS [CAP]

STARTS is a file with the first second of each window, a day long, one a line. With CAP, `max_concurrent_async_job_count`
and `concurrency_level` are both set to it; without, they are what the CDK takes by itself. Rows go to stdout as Airbyte
messages, which is what a destination would get; whoever starts this sends them to a file.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from airbyte_cdk.entrypoint import launch
from airbyte_cdk.sources.declarative.concurrent_declarative_source import ConcurrentDeclarativeSource

DAY = 86_400


def manifest(base_url: str, starts: list[str], cap: int | None) -> dict[str, Any]:
    def requester(path: str, method: str) -> dict[str, Any]:
        return {
            "type": "HttpRequester",
            "url_base": base_url,
            "path": path,
            "http_method": method,
            "authenticator": {"type": "BearerAuthenticator", "api_token": "{{ config['token'] }}"},
        }

    create = requester("/api/v1/report/export", "POST") | {
        "request_body_json": {
            "timezone": "UTC",
            "start": "{{ stream_partition['start'] | int }}",
            "end": f"{{{{ stream_partition['start'] | int + {DAY} }}}}",
            "resultFormat": "Json",
        }
    }
    retriever = {
        "type": "AsyncRetriever",
        "creation_requester": create,
        "polling_requester": requester("/api/v1/report/exports/{{ creation_response['id'] }}", "GET"),
        "status_extractor": {"type": "DpathExtractor", "field_path": ["status"]},
        "status_mapping": {
            "type": "AsyncJobStatusMap",
            "running": ["PendingOrExpired", "Processing"],
            "completed": ["Completed"],
            "failed": ["Failed"],
            "timeout": ["Expired"],
        },
        "download_target_extractor": {"type": "DpathExtractor", "field_path": ["url"]},
        # The signed URL is asked for without the token.
        "download_requester": {
            "type": "HttpRequester",
            "url_base": "{{ download_target }}",
            "path": "",
            "http_method": "GET",
        },
        "record_selector": {"type": "RecordSelector", "extractor": {"type": "DpathExtractor", "field_path": []}},
        "partition_router": {"type": "ListPartitionRouter", "values": starts, "cursor_field": "start"},
    }
    stream = {
        "type": "DeclarativeStream",
        "name": "report",
        "primary_key": [],
        "retriever": retriever,
        "schema_loader": {"type": "InlineSchemaLoader", "schema": {"type": "object", "additionalProperties": True}},
    }
    whole: dict[str, Any] = {
        "version": "6.0.0",
        "type": "DeclarativeSource",
        "check": {"type": "CheckStream", "stream_names": ["report"]},
        "streams": [stream],
        "spec": {"type": "Spec", "connection_specification": {"type": "object", "properties": {}}},
    }
    if cap is not None:
        whole["max_concurrent_async_job_count"] = cap
        whole["concurrency_level"] = {"type": "ConcurrencyLevel", "default_concurrency": cap}
    return whole


def main() -> None:
    base_url, starts = sys.argv[1], Path(sys.argv[2]).read_text(encoding="ascii").split()
    cap = int(sys.argv[3]) if len(sys.argv) > 3 else None
    config = {"token": "benchmark"}
    catalog = {
        "streams": [
            {
                "stream": {"name": "report", "json_schema": {}, "supported_sync_modes": ["full_refresh"]},
                "sync_mode": "full_refresh",
                "destination_sync_mode": "append",
            }
        ]
    }
    with tempfile.TemporaryDirectory() as folder:
        files = {"config": config, "catalog": catalog}
        for name, content in files.items():
            (Path(folder) / name).write_text(json.dumps(content), encoding="utf-8")
        source = ConcurrentDeclarativeSource(
            source_config=manifest(base_url, starts, cap), config=config, catalog=None, state=None
        )
        launch(source, ["read", "--config", f"{folder}/config", "--catalog", f"{folder}/catalog"])


main()
