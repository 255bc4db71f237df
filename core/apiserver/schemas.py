"""The OpenAPI documents as they are served: made once, in a thread, when somebody first asks.

`/openapi/v3` is the index, `/openapi/v3/apis/G/V` one document. `/openapi/v2` exists for kubectl up to 1.26, which asks
for it as protobuf and will not apply anything without it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import orjson

from core.apiserver.backend import Answer
from core.apiserver.openapi import content_hash, make_documents, make_index
from core.apiserver.openapi_v2 import make_document_v2
from core.errors import NotFound
from core.resources.meta import Kind

V2_PROTOBUF = "application/com.github.proto-openapi.spec.v2"
IMMUTABLE = "public, immutable, max-age=31536000"


class Schemas:
    """The documents of one set of kinds."""

    def __init__(self, kinds: Sequence[Kind[Any]], version: str) -> None:
        self._kinds = kinds
        self._version = version
        self._documents: dict[str, bytes] = {}
        self._lock = asyncio.Lock()

    async def index(self) -> Answer:
        return Answer(orjson.dumps(make_index(await self._made())))

    async def document(self, name: str, hash_asked: str) -> Answer:
        """One document; with the hash of the index in its address it may be kept for good. NotFound."""
        text = (await self._made()).get(name)
        if text is None:
            raise NotFound("the server could not find the requested resource")
        digest = content_hash(text)
        headers = {"etag": f'"{digest}"'}
        if hash_asked == digest:
            headers["cache-control"] = IMMUTABLE
        return Answer(text, headers=headers)

    async def version_2(self, accept: str) -> Answer:
        if V2_PROTOBUF in accept:
            text = await asyncio.to_thread(make_document_v2, await self._made())
            return Answer(text, content_type=f"{V2_PROTOBUF}.v1.0+protobuf")
        info = {"title": "Pilotlight", "version": self._version}
        return Answer(orjson.dumps({"swagger": "2.0", "info": info, "paths": {}, "definitions": {}}))

    async def _made(self) -> dict[str, bytes]:
        async with self._lock:
            if not self._documents:
                self._documents = await asyncio.to_thread(make_documents, self._kinds, self._version)
            return self._documents
