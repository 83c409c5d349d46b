"""Makes ``.venv`` a contributor's environment: the checkout, the test runners, linters and documentation tools."""

from __future__ import annotations

from product import install_checkout

if __name__ == "__main__":
    install_checkout("dev")
    print("Ready: .venv has the checkout and every tool.")
