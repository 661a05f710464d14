"""Events by HTTP, each request signed."""
