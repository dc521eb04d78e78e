"""The services as OpenAPI 3.1 tells them."""
