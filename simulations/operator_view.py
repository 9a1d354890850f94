"""Asking the coordinator what its operator sees, over HTTPS with the operator's token."""

import ssl
from pathlib import Path

import httpx

from simulations.errors import SimulationError
from simulations.overview import Overview

_DEADLINE_S = 10.0


class Operator:
    """Asks a coordinator on this machine.

    Parameters
    ----------
    data
        The coordinator's folder, which holds the operator's token and the CA certificate.
    port
        Where it serves.
    """

    def __init__(self, data: Path, port: int) -> None:
        context = ssl.create_default_context(cafile=str(data / "tls" / "ca.pem"))
        token = (data / "operator.token").read_text(encoding="utf-8").strip()
        self._client = httpx.Client(
            base_url=f"https://127.0.0.1:{port}/v1",
            verify=context,
            headers={"Authorization": f"Bearer {token}"},
            timeout=_DEADLINE_S,
            trust_env=False,
        )

    def is_up(self) -> bool:
        """Whether the coordinator answers."""
        try:
            return self._client.get("/health").is_success
        except httpx.TransportError:
            return False

    def overview(self) -> Overview | None:
        """Look; None where the coordinator does not answer in time (it may be starting again)."""
        try:
            answer = self._client.get("/overview")
        except httpx.TransportError:
            return None
        return Overview.model_validate_json(answer.raise_for_status().content)

    def enrolment_token(self) -> str:
        """Make a one-time enrolment token."""
        token: str = self._client.post("/enrol-tokens").raise_for_status().json()["token"]
        return token

    def begin_federation(self) -> str:
        """Begin a federation of the only cohort that is ready, and return its id.

        Raises
        ------
        SimulationError
            The coordinator refuses.
        """
        answer = self._client.post("/federations", json={"cohort": None})
        if answer.is_client_error:
            raise SimulationError(answer.json()["error"]["message"])
        begun: str = answer.raise_for_status().json()["federation_id"]
        return begun

    def close(self) -> None:
        """Close the connection."""
        self._client.close()
