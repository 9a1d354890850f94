"""Refusals as JSON: `{"error": {"code": ..., "message": ...}}`, never with what was sent."""

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from coordinator.errors import CoordinatorError
from model_library.errors import SignatureError, SynopticError

TUS_VERSION = "1.0.0"
UPLOADS = "/v1/uploads"


def _answer(request: Request, status: int, code: str, message: str) -> JSONResponse:
    headers = {"Cache-Control": "no-store"}
    if request.url.path.startswith(UPLOADS):
        headers |= {"Tus-Resumable": TUS_VERSION, "Tus-Version": TUS_VERSION}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse({"error": {"code": code, "message": message}}, status, headers)


def refuse(request: Request, error: Exception) -> JSONResponse:
    """Answer one refusal."""
    match error:
        case CoordinatorError():
            return _answer(request, error.status, error.code, str(error))
        case SignatureError():
            return _answer(request, 401, "unauthenticated", str(error))
        case _:
            return _answer(request, 422, "unprocessable", str(error))


def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    found = "; ".join(
        f"{'.'.join(str(part) for part in each['loc'])}: {each['msg']}" for each in error.errors()
    )
    message = f"expected a message of this route, found an error in it: {found}; update the older side"
    return _answer(request, 422, "invalid", message)


def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    message = f"expected a route of this API, found {request.method} {request.url.path}: {error.detail}"
    return _answer(request, error.status_code, "no_route", message)


def _defect(request: Request, error: Exception) -> JSONResponse:
    message = f"expected no {type(error).__name__} here; this is a defect of the coordinator: see its log"
    return _answer(request, 500, "defect", message)


def install(app: FastAPI) -> None:
    """Answer every refusal in the one form."""
    app.add_exception_handler(SynopticError, refuse)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(404, _http)
    app.add_exception_handler(405, _http)
    app.add_exception_handler(Exception, _defect)
