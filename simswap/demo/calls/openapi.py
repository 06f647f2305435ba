"""openapi.json: how to call the endpoints by plain HTTP, for whoever has read nothing else.

Gradio's own says neither what an argument is nor which must be given, and calls a file a text.
"""

from __future__ import annotations

from typing import Any

from gradio.block_function import BlockFunction
from gradio.routes import ORJSONResponse
from starlette.requests import Request
from starlette.routing import Route

import simswap
from simswap.demo.calls.arguments import UPLOADED, Argument, File, Files
from simswap.demo.calls.descriptions import description_of, with_default
from simswap.demo.calls.page import Page
from simswap.demo.server.allowed_routes import API

Json = dict[str, Any]

TEXT = {"type": "string"}
UPLOADED_FILE = {"$ref": "#/components/schemas/UploadedFile"}
SCHEMAS = {
    "UploadedFile": {
        "type": "object",
        "description": f"A file on this server. Its path is what POST {API}upload answered.",
        "properties": {
            "path": TEXT,
            "meta": {
                "type": "object",
                "properties": {"_type": {"const": UPLOADED["_type"]}},
                "required": ["_type"],
            },
        },
        "required": ["path", "meta"],
    }
}
EVENTS = (
    "Events, as lines `event: NAME` and `data: JSON`. The last is `error`, or `complete` with a "
    "JSON array: {returns} A file in it is an object, whose `url` gives its content."
)


def route(page: Page) -> Route:
    """The address of the document, in the place of Gradio's."""

    async def answer(_: Request) -> ORJSONResponse:
        return ORJSONResponse(document(page))

    return Route(f"{API}openapi.json", answer, methods=["GET"])


def document(page: Page) -> Json:
    """What a page's endpoints take and give, as OpenAPI 3.1."""
    paths: Json = {f"{API}upload": {"post": _upload()}}
    endpoints = page.get_api_info()["named_endpoints"]
    for function in page.fns.values():
        if function.api_visibility == "public":
            paths |= _operations(function, endpoints[f"/{function.api_name}"]["parameters"])
    about = {"title": page.title, "version": simswap.__version__}
    about["description"] = "Upload the files, call an operation, then read the events it answers."
    return {
        "openapi": "3.1.0",
        "info": about,
        "paths": paths,
        "components": {"schemas": SCHEMAS},
    }


def _upload() -> Json:
    files = {"type": "array", "items": {"type": "string", "format": "binary"}}
    body = {"type": "object", "properties": {"files": files}, "required": ["files"]}
    paths = {"type": "array", "items": TEXT}
    return {
        "operationId": "upload",
        "summary": "Upload files, which the other operations take by their paths.",
        "requestBody": _body(body, "multipart/form-data"),
        "responses": {"200": {"description": "The path of each file."} | _content(paths)},
    }


def _operations(function: BlockFunction, parameters: list[Json]) -> Json:
    """By their addresses: the call of an endpoint, and the events that answer it."""
    name, told = function.api_name, description_of(function.fn)
    events = EVENTS.format(returns=told.returns)
    arguments = {
        parameter["parameter_name"]: _schema(component.declared[1], parameter)
        for parameter, component in zip(parameters, function.inputs, strict=True)
    }
    required = [
        parameter["parameter_name"]
        for parameter in parameters
        if not parameter["parameter_has_default"]
    ]
    event = {
        "operationId": f"{name}_events",
        "parameters": {"event_id": "$response.body#/event_id"},
    }
    call = {
        "operationId": name,
        "summary": told.summary,
        "requestBody": _body({"type": "object", "properties": arguments, "required": required}),
        "responses": {
            "200": {
                "description": f"The call's number, by which {name}_events answers.",
                "links": {"events": event},
            }
            | _content({"type": "object", "properties": {"event_id": TEXT}})
        },
    }
    of_path = {"name": "event_id", "in": "path", "required": True, "schema": TEXT}
    answer = {
        "operationId": event["operationId"],
        "summary": f"Read what a call of {name} answers.",
        "parameters": [of_path],
        "responses": {"200": {"description": events} | _content(TEXT, "text/event-stream")},
    }
    return {
        f"{API}call/v2/{name}": {"post": call},
        f"{API}call/{name}/{{event_id}}": {"get": answer},
    }


def _schema(argument: Argument, parameter: Json) -> Json:
    """JSON schema of an argument as these operations take it."""
    if isinstance(argument, File):
        schema = dict(UPLOADED_FILE)
    elif isinstance(argument, Files):
        schema = {"anyOf": [UPLOADED_FILE, {"type": "array", "items": UPLOADED_FILE}]}
    else:
        schema = with_default(parameter["type"], parameter)
    return schema | {"description": parameter["python_type"]["description"]}


def _content(schema: Json, kind: str = "application/json") -> Json:
    return {"content": {kind: {"schema": schema}}}


def _body(schema: Json, kind: str = "application/json") -> Json:
    return {"required": True} | _content(schema, kind)
