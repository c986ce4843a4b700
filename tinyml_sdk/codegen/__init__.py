"""Graph and memory plan in, C out: the model library and whole firmware projects."""

from ..boards.model import ProjectKind
from .files import BUILD_FOLDER, MANIFEST, read_manifest, write_folder
from .layouts import Application
from .model_source import ModelSource, Optimize, generate_model, weight_bytes
from .project import Emulator, GeneratedProject, generate_host_program, generate_project

__all__ = [
    "BUILD_FOLDER",
    "MANIFEST",
    "Application",
    "Emulator",
    "GeneratedProject",
    "ModelSource",
    "Optimize",
    "ProjectKind",
    "generate_host_program",
    "generate_model",
    "generate_project",
    "read_manifest",
    "weight_bytes",
    "write_folder",
]
