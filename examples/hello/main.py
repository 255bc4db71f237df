"""Greets the world, or whoever a JSON body names: `{"name": "Ada"}`."""


async def handle(request):
    try:
        body = request.json() or {}
    except ValueError:
        return 'send JSON, such as {"name": "Ada"}', 400
    name = body.get("name", "World") if isinstance(body, dict) else "World"
    return f"Hello, {name}!"
