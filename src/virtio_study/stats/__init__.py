"""Statistics over boots: levels, effects and equivalence; arrays and frames in, frozen dataclasses out."""
