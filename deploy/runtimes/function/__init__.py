"""What runs inside a Python function's own process: the fork server, the host, the HTTP server.

Nothing outside this folder imports these modules to call them: they are run by path, and load each other by path under
private names, so that no name of the platform can shadow a module of the function's. They may import the standard
library, and `httptools`.
"""
