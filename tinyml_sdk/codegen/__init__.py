"""Graph and memory plan in, C out: the model library and whole firmware projects."""

from ..boards.model import ProjectKind
from .files import BUILD_FOLDER, MANIFEST, read_manifest, write_folder
from .layouts import Application
from .model_source import ModelSource, Optimize, Runtime, generate_model, weight_bytes
from .project import Emulator, GeneratedProject, check_project, generate_host_program, generate_project
from .tflm_source import ArenaSize, generate_tflm_model

__all__ = [
    "BUILD_FOLDER",
    "MANIFEST",
    "Application",
    "ArenaSize",
    "Emulator",
    "GeneratedProject",
    "ModelSource",
    "Optimize",
    "ProjectKind",
    "Runtime",
    "check_project",
    "generate_host_program",
    "generate_model",
    "generate_project",
    "generate_tflm_model",
    "read_manifest",
    "weight_bytes",
    "write_folder",
]
