"""HTTP/1.1 server around the WSGI application: connections, parsing limits, threads."""
