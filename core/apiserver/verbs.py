"""Which function answers which request for a resource: method, object or collection, subresource.

The edge calls `answer` with a request that is authenticated and read; what comes back is written as it is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

from core.apiserver.backend import Answer, Backend, Call, Stream, write_json
from core.apiserver.bodies import read_object
from core.apiserver.deleting import delete, delete_collection
from core.apiserver.discovery import subresources_of
from core.apiserver.namespaces import finalize
from core.apiserver.paths import Target
from core.apiserver.pod_logs import read_log
from core.apiserver.reading import get, list_objects
from core.apiserver.reviews import BY_RESOURCE, answer_review
from core.apiserver.scale import get_scale, patch_scale, replace_scale
from core.apiserver.watch import watch
from core.apiserver.writing import create, patch, replace
from core.errors import ApiError, BadRequest, MethodNotAllowed, NotFound
from core.resources.meta import Kind

Verb: TypeAlias = Callable[[Backend, Call, Kind[Any]], Awaitable[Answer | Stream]]

COLLECTION: Mapping[str, Verb] = {"GET": list_objects, "POST": create, "DELETE": delete_collection}
OBJECT: Mapping[str, Verb] = {"GET": get, "PUT": replace, "PATCH": patch, "DELETE": delete}
SUBRESOURCES: Mapping[str, Mapping[str, Verb]] = {
    "status": {"GET": get, "PUT": replace, "PATCH": patch},
    "scale": {"GET": get_scale, "PUT": replace_scale, "PATCH": patch_scale},
    "log": {"GET": read_log},
    "finalize": {"PUT": finalize},
}


async def answer(backend: Backend, call: Call) -> Answer | Stream:
    """The answer, whichever verb it takes. Raises the ApiError family, with what the error is about."""
    target = call.target
    review = BY_RESOURCE.get((target.group, target.version, target.plural))
    if review is not None and call.method == "POST" and not target.name:
        question = read_object(call.headers.get("content-type", ""), call.body)
        return write_json(answer_review(review, question, call.user), code=201)
    kind = backend.find(target.group, target.version, target.plural)
    try:
        if kind is None:
            raise NotFound("the server could not find the requested resource")
        verb = _verb(kind, call)
        if call.method == "GET" and call.flag("watch") and verb in (get, list_objects):
            return watch(backend, call, kind)
        return await verb(backend, call, kind)
    except RecursionError:
        # A body's depth is bounded, but a patch may nest what it finds into what it brings, again and again.
        raise BadRequest("the document is nested too deeply") from None
    except ApiError as error:
        if error.about == ("", "", ""):
            error.about = (target.group, target.plural, target.name)
        raise


def _verb(kind: Kind[Any], call: Call) -> Verb:
    """NotFound for a path that names nothing: an object outside its scope, a subresource that the kind has not."""
    target = call.target
    misplaced = (target.namespace and not kind.namespaced) or (target.name and kind.namespaced and not target.namespace)
    if misplaced:
        raise NotFound("the server could not find the requested resource")
    offered = [subresource.name for subresource in subresources_of(kind)]
    if target.subresource and target.subresource not in offered:
        have = f"they have {', '.join(offered)}" if offered else "they have no subresources"
        raise NotFound(f"{kind.plural} have no {target.subresource} on this server: {have}")
    verb = _verbs(target).get(call.method)
    if verb is None:
        raise MethodNotAllowed("the server does not allow this method on the requested resource")
    return verb


def _verbs(target: Target) -> Mapping[str, Verb]:
    if target.subresource:
        return SUBRESOURCES[target.subresource]
    return OBJECT if target.name else COLLECTION
