"""The Jinja environment that all generated text comes from."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import jinja2

from ..resources import templates_dir

__all__ = ["render"]


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates_dir()),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # C is not HTML
    )


def render(template: str, context: Mapping[str, Any]) -> str:
    """The text of a template in firmware_templates; a name that is missing in `context` is an error."""
    return _environment().get_template(template).render(context)
