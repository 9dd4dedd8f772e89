"""The telemetry of cameras: a file a camera."""
