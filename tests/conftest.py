"""Settings for all tests."""

from hypothesis import HealthCheck, settings

# The same examples every time, so that a failure is somebody's change; a compiler run takes longer than a deadline.
settings.register_profile(
    "tinyml",
    derandomize=True,
    deadline=None,
    print_blob=False,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("tinyml")
