"""A counting proxy between sites and their coordinator: `python tap.py --help`.

It terminates TLS with the coordinator's own certificate, which only a test has, passes every request
on, and writes one JSON line per request. Bodies that are not uploads of images are kept whole, so
that a test can look for pixels in them. It knows nothing of Synoptic but the paths of its uploads.
"""

import argparse
import base64
import itertools
import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

UPLOADS = "/v1/uploads"
HOP = {"connection", "keep-alive", "transfer-encoding", "upgrade", "te", "trailer"}
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def declared(request: Request) -> dict[str, Any]:
    """What a tus creation says of its image."""
    fields = dict(pair.split(" ") for pair in request.headers.get("upload-metadata", "").split(",") if pair)
    return json.loads(base64.b64decode(fields.get("declaration", "e30=")))


def app_of(upstream: str, trust: ssl.SSLContext, folder: Path) -> FastAPI:
    """Pass everything on, and count it."""
    app = FastAPI(openapi_url=None)
    client = httpx.AsyncClient(base_url=upstream, verify=trust, timeout=60, trust_env=False)
    numbers = itertools.count(1)
    lines = (folder / "requests.jsonl").open("a", buffering=1)

    @app.api_route("/{path:path}", methods=METHODS)
    async def forward(path: str, request: Request) -> StreamingResponse:
        del path
        body = await request.body()
        sent = [(key, value) for key, value in request.headers.raw if key.decode().lower() not in HOP]
        onward = client.build_request(
            request.method,
            httpx.URL(request.url.path, query=request.url.query.encode()),
            headers=sent,
            content=body,
        )
        answer = await client.send(onward, stream=True)
        number = next(numbers)
        told = {
            "number": number,
            "method": request.method,
            "path": request.url.path,
            "head_bytes": sum(len(key) + len(value) + 4 for key, value in request.headers.raw),
            "body_bytes": len(body),
            "declaration": declared(request) if request.headers.get("upload-metadata") else None,
            "status": answer.status_code,
            "location": answer.headers.get("location"),
        }
        if not (request.method == "PATCH" and request.url.path.startswith(UPLOADS)):
            (folder / f"{number:06d}.body").write_bytes(body)
        lines.write(json.dumps(told) + "\n")

        async def back() -> AsyncIterator[bytes]:
            try:
                async for piece in answer.aiter_raw():
                    yield piece
            finally:
                await answer.aclose()

        headers = {key: value for key, value in answer.headers.items() if key.lower() not in HOP}
        return StreamingResponse(back(), answer.status_code, headers)

    return app


def main() -> None:
    """Serve until it is told to end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", required=True, help="address to listen on; another one than upstream's")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--upstream", required=True, help="https://host:port of the coordinator")
    parser.add_argument("--data", type=Path, required=True, help="the coordinator's folder: its certificate")
    parser.add_argument("--out", type=Path, required=True, help="folder for what is counted")
    told = parser.parse_args()
    told.out.mkdir(parents=True, exist_ok=True)
    trust = ssl.create_default_context(cafile=str(told.data / "tls" / "ca.pem"))
    uvicorn.run(
        app_of(told.upstream, trust, told.out),
        host=told.host,
        port=told.port,
        ssl_certfile=told.data / "tls" / "server.pem",
        ssl_keyfile=str(told.data / "keys" / "server.key"),
        log_level="warning",
        timeout_graceful_shutdown=1,
    )


if __name__ == "__main__":
    main()
