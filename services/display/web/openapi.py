"""The description of the HTTP API, as OpenAPI 3.1 and as a page."""

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
WRONG_TOKEN: Final = "The token is missing or wrong; the response to a wrong one takes a second."
TOO_MANY_TOKENS: Final = "Too many wrong tokens from this address."
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
                "The state and events that the display reports, and the commands that it accepts. "
                "On loopback, reading needs no token, and commands need one only if "
                "`display.token_file` is set. Beyond loopback, reading needs the viewer's or the "
                "operator's token, and commands need the operator's."
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
    """Return the text escaped, with text in backticks as code."""
    return markupsafe.Markup(re.sub("`([^`]+)`", r"<code>\1</code>", str(markupsafe.escape(text))))


def _linked(text: str) -> markupsafe.Markup:
    """Return a type's name, escaped, with each schema in it as a link."""
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
    "summary": "The current state",
    "description": (
        "Each stream with the faces of its newest frame, the stages, and what happened to each "
        "frame. The display queries the stages once a second while somebody views the page or "
        "requests the state."
    ),
    "security": [{}, {"token": []}],
    "responses": {
        "200": _answer("The state.", "State"),
        "401": _answer(WRONG_TOKEN, "Problem"),
        "429": _answer(TOO_MANY_TOKENS, "Problem"),
    },
}
_EVENTS: Final = {
    "summary": "Live events as Server-Sent Events",
    "description": (
        "The event's name is its `kind`, and its data is a FaceEvent. The stream need not exist "
        "yet. If the request has the id of the last event in `Last-Event-ID`, which browsers send "
        "when they reconnect, the response starts with the events since then, up to the last 200. "
        "A comment every 15 s keeps the connection alive."
    ),
    "security": [{}, {"token": []}],
    "parameters": [
        {
            "name": "stream",
            "in": "query",
            "description": "Only events of this stream.",
            "schema": {"type": "string"},
        },
        {
            "name": "Last-Event-ID",
            "in": "header",
            "description": "The id of the last event received.",
            "schema": {"type": "string"},
        },
    ],
    "responses": {
        "200": {
            "description": "An endless stream of events.",
            "content": {"text/event-stream": {"schema": {"$ref": f"{REFERENCE}FaceEvent"}}},
        },
        "401": _answer(WRONG_TOKEN, "Problem"),
        "429": _answer(TOO_MANY_TOKENS, "Problem"),
        "503": {
            "description": "Too many viewers; `Retry-After` says when to retry.",
            "content": {"text/plain": {"schema": {"type": "string"}}},
        },
    },
}
_CONTROL: Final = {
    "summary": "Send a command",
    "description": (
        "The command is published on `control/`, and every process that it concerns obeys it; "
        "the state shows when that has happened. `record` starts or stops recording the stream's "
        "video; events and observations are always recorded. `blur` makes faces unrecognizable on "
        "the page and in recorded video; messages between the stages do not change. Repeating a "
        "command has no effect."
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
            "description": "The command was published.",
            "content": {"application/json": {"schema": {"type": "object"}}},
        },
        "400": _answer("The command is not valid, or there is no such stream.", "Problem"),
        "401": _answer(WRONG_TOKEN, "Problem"),
        "403": _answer(
            "Wrong origin or content type, a viewer's token, or no operator's token is configured.",
            "Problem",
        ),
        "429": _answer(TOO_MANY_TOKENS, "Problem"),
    },
}
_DOCUMENT: Final = {
    "summary": "This description as OpenAPI 3.1",
    "description": "For tools that generate clients; /api shows the same to people.",
    "responses": {
        "200": {
            "description": "The document.",
            "content": {"application/json": {"schema": {"type": "object"}}},
        }
    },
}
