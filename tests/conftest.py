"""How many examples the properties try.

`--hypothesis-profile=long` is for a night, the default for every run. Tests that say a number of
their own keep it.
"""

from hypothesis import HealthCheck, settings

settings.register_profile("short", deadline=None, max_examples=30)
settings.register_profile(
    "long", deadline=None, max_examples=1_000, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("short")
