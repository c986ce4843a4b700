"""An ESP-IDF project: the model as a component, the benchmark application as the component `main`."""

from __future__ import annotations

from ..templates import render
from .base import Contents, Layout, config_file, within
from .framework import framework_sources, idf_target

__all__ = ["esp_idf"]

_TEMPLATES = "projects/esp_idf"


def esp_idf(contents: Contents) -> Layout:
    """Built by `idf.py build`, ESP-IDF 5."""
    assert contents.board is not None
    main = framework_sources("esp_idf", contents.app)
    context = {
        **contents.context,
        "idf_target": idf_target(contents.board),
        "app_sources": sorted(name for name in main if name.endswith(".c")),
        "model_sources": [name for name in contents.source.files if name.endswith((".c", ".cpp"))],
    }

    def rendered(template: str) -> str:
        return render(f"{_TEMPLATES}/{template}.j2", context)

    component = {
        **contents.source.files,
        "CMakeLists.txt": rendered("component_CMakeLists.txt"),
        "idf_component.yml": rendered("component_idf_component.yml"),
    }
    main_component = {
        **main,
        "app_config.h": config_file(contents),
        "CMakeLists.txt": rendered("main_CMakeLists.txt"),
        "idf_component.yml": rendered("main_idf_component.yml"),
    }
    files = {
        "CMakeLists.txt": rendered("CMakeLists.txt"),
        "README.md": rendered("README.md"),
        "sdkconfig.defaults": rendered("sdkconfig.defaults"),
        **within("main", main_component),
        **within(f"components/{contents.name}", component),
    }
    return Layout(files)
