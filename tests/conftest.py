"""Settings for all tests."""

from hypothesis import HealthCheck, settings

# No clock decides: a compiler run takes longer than a deadline, and so does anything on a busy machine.
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])

# The same examples every time, so that a failure is somebody's change, and not a submission's bad luck.
settings.register_profile("tinyml", patient, derandomize=True, print_blob=False)

# Others every time, to find what those miss: `pytest --hypothesis-profile random`. A failure prints how to repeat it.
settings.register_profile("random", patient, derandomize=False, print_blob=True)

settings.load_profile("tinyml")
