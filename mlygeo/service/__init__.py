"""The Mapillary service, one module per protocol."""
