"""Greets the world, or whoever a JSON body names: `{"name": "Ada"}`. `?sleep=2` takes two seconds over it."""

import asyncio


async def handle(request):
    await asyncio.sleep(float(request.query.get("sleep", 0)))
    try:
        body = request.json() or {}
    except ValueError:
        return 'send JSON, such as {"name": "Ada"}', 400
    name = body.get("name", "World") if isinstance(body, dict) else "World"
    return f"Hello, {name}!"
