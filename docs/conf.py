"""How the documentation is built: ``make docs``."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from kale_serve_ext import __version__

project = "kale-serve-ext"
author = "The kale-serve-ext developers"
copyright = f"2026, {author}"
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "generated"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]

autodoc_typehints = "description"
autodoc_member_order = "bysource"
nitpicky = False

html_theme = "pydata_sphinx_theme"
html_title = "kale-serve-ext"
html_theme_options = {"navigation_with_keys": False, "show_prev_next": False}
