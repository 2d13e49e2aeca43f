"""The description of the HTTP API: as OpenAPI 3.1, and as a page that shows it."""

import functools
import importlib.metadata
import inspect
import re
from pathlib import Path
from typing import Any, Final

import markupsafe
import msgspec

from emostream.services.display.commands import Command
from emostream.services.display.schema import FaceEvent, State
from emostream.shared.html_templates import templates

TEMPLATES: Final = Path(__file__).with_name("templates")
REFERENCE: Final = "#/components/schemas/"
EXAMPLE_COMMAND: Final = {"stream": "demo", "command": "record", "arguments": {"on": True}}


class Problem(msgspec.Struct, frozen=True):
    """Why a request was refused."""

    error: str


@functools.cache
def document() -> dict[str, Any]:
    """Return the OpenAPI document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "emostream",
            "version": importlib.metadata.version("emostream"),
            "description": (
                "What the display tells programs, and the commands that it takes. Whoever reaches "
                "the page may read; commands need a token where `display.token_file` names one."
            ),
        },
        "paths": {
            "/api/state": {"get": _STATE},
            "/events": {"get": _EVENTS},
            "/api/control": {"post": _CONTROL},
            "/api/openapi.json": {"get": _DOCUMENT},
        },
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


@functools.cache
def document_page() -> str:
    """Return the page that shows the document."""
    pages = templates(TEMPLATES, type_name=type_name, marked=_marked, linked=_linked)
    pages.policies["json.dumps_kwargs"] = {"sort_keys": False}
    return pages.get_template("api.html").render(document())


def type_name(schema: dict[str, Any]) -> str:
    """Return the type of a schema in words: `list of FaceState`, `text`, `number or null`."""
    if "$ref" in schema:
        return str(schema["$ref"]).removeprefix(REFERENCE)
    if "anyOf" in schema:
        return " or ".join(map(type_name, schema["anyOf"]))
    if "enum" in schema:
        return " | ".join(f'"{value}"' for value in schema["enum"])
    match schema.get("type"):
        case "array" if "prefixItems" in schema:
            return f"[{', '.join(map(type_name, schema['prefixItems']))}]"
        case "array":
            return f"list of {type_name(schema['items'])}"
        case "object" if "additionalProperties" in schema:
            return f"map of names to {type_name(schema['additionalProperties'])}"
        case other:
            return _WORDS.get(str(other), str(other))


def _marked(text: str) -> markupsafe.Markup:
    """Return the text with what stands between backticks as code, and escaped."""
    return markupsafe.Markup(re.sub("`([^`]+)`", r"<code>\1</code>", str(markupsafe.escape(text))))


def _linked(text: str) -> markupsafe.Markup:
    """Return a type's name with each schema in it as a link, and escaped."""
    link = r'<a href="#\g<0>">\g<0></a>'
    return markupsafe.Markup(re.sub(r"\b[A-Z]\w+", link, str(markupsafe.escape(text))))


_WORDS: Final = {"string": "text", "boolean": "true or false"}


def _schemas() -> dict[str, Any]:
    """Return the schemas of all structs that are sent or received."""
    types = (Command, State, FaceEvent, Problem)
    _, schemas = msgspec.json.schema_components(types, ref_template=REFERENCE + "{name}")
    for schema in schemas.values():
        schema["description"] = " ".join(inspect.cleandoc(schema["description"]).split())
    return schemas


def _answer(text: str, name: str) -> dict[str, Any]:
    return {
        "description": text,
        "content": {"application/json": {"schema": {"$ref": REFERENCE + name}}},
    }


_STATE: Final = {
    "summary": "All that is known now",
    "description": (
        "Each stream with the faces of its newest frame, the stages, and where the frames went. "
        "The stages are asked once a second while somebody looks at the page or asks for this."
    ),
    "responses": {"200": _answer("The state.", "State")},
}
_EVENTS: Final = {
    "summary": "Events as they come, as Server-Sent Events",
    "description": (
        "The event's name is its `kind`, the data a FaceEvent. A stream that is not there yet is "
        "waited for. With the id of the last event in `Last-Event-ID`, as browsers send it when "
        "they connect again, those since come first, as far as they are kept: the last 200. A "
        "comment each 15 s says that the connection lives."
    ),
    "parameters": [
        {
            "name": "stream",
            "in": "query",
            "description": "Of this stream alone.",
            "schema": {"type": "string"},
        },
        {
            "name": "Last-Event-ID",
            "in": "header",
            "description": "The id of the last event that was received.",
            "schema": {"type": "string"},
        },
    ],
    "responses": {
        "200": {
            "description": "The events, without end.",
            "content": {"text/event-stream": {"schema": {"$ref": f"{REFERENCE}FaceEvent"}}},
        },
        "503": {
            "description": "As many watch as may; `Retry-After` says when to try again.",
            "content": {"text/plain": {"schema": {"type": "string"}}},
        },
    },
}
_CONTROL: Final = {
    "summary": "Give a command",
    "description": (
        "It is published on `control/` and obeyed by every process that it concerns; the state "
        "tells when it is. `record`: keep the stream's video, or no longer; events and "
        "observations are always kept. `blur`: make faces unrecognisable in the page's pictures "
        "and in the recorded video; what the stages send each other stays as it is. To give a "
        "command again changes nothing."
    ),
    "security": [{}, {"token": []}],
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"$ref": f"{REFERENCE}Command"},
                "example": EXAMPLE_COMMAND,
            }
        },
    },
    "responses": {
        "202": {
            "description": "The command is on its way.",
            "content": {"application/json": {"schema": {"type": "object"}}},
        },
        "400": _answer("The command is not understood, or there is no such stream.", "Problem"),
        "401": _answer("The token is missing, or wrong; that answer takes a second.", "Problem"),
        "403": _answer(
            "Another origin or content type; or other hosts reach the page and no token is set.",
            "Problem",
        ),
        "429": _answer("Too many wrong tokens came from this address.", "Problem"),
    },
}
_DOCUMENT: Final = {
    "summary": "This description as OpenAPI 3.1",
    "description": "For tools that make clients of it; /api shows the same to people.",
    "responses": {
        "200": {
            "description": "The document.",
            "content": {"application/json": {"schema": {"type": "object"}}},
        }
    },
}
