"""YAML files that people write, checked against a pydantic model: every fault names the file, the line and the key."""

from .checked import read_checked

__all__ = ["read_checked"]
