"""The operator's words to the running server, over its own port."""

import json
from pathlib import Path
from typing import Any

from coordinator.errors import CoordinatorError, NotFounded


def ask(data: Path) -> Any:  # noqa: ANN401
    """Ask the running server for its overview."""
    return send(data, "GET", "/v1/overview", None)


def send(data: Path, method: str, path: str, body: dict[str, Any] | None) -> Any:  # noqa: ANN401
    """Say something to the running server as its operator, and return its answer.

    Raises
    ------
    NotFounded
        No server runs, or it does not answer.
    CoordinatorError
        It refuses.
    """
    import ssl

    import httpx

    from coordinator.founding import CA, OPERATOR_TOKEN

    notice = data / "serving.json"
    if not notice.is_file():
        message = f"expected a running server, found no {notice}; start it with `synoptic coordinator serve`"
        raise NotFounded(message)
    url = json.loads(notice.read_text())["url"]
    trust = ssl.create_default_context(cafile=str(data / "tls" / CA))
    headers = {"Authorization": f"Bearer {(data / OPERATOR_TOKEN).read_text()}"}
    try:
        with httpx.Client(headers=headers, verify=trust, timeout=30, trust_env=False) as client:
            answer = client.request(method, f"{url}{path}", json=body)
        if answer.is_client_error and "error" in answer.json():
            raise CoordinatorError(answer.json()["error"]["message"])
        answer.raise_for_status()
    except httpx.HTTPError as error:
        message = f"expected an answer from {url}, found {error}; see whether the server is running"
        raise NotFounded(message) from error
    return answer.json()
