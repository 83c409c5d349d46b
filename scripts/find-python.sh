#!/bin/sh
# Prints a Python that the product runs on, or says in one sentence what is missing.
# An interpreter named by PYTHON is taken or refused; without one, the first that fits of those on PATH.
fits='import sys; sys.exit(not (3, 10) <= sys.version_info[:2] < (3, 14))'

if [ -n "$PYTHON" ]; then
    if "$PYTHON" -c "$fits" >/dev/null 2>&1; then
        echo "$PYTHON"
        exit 0
    fi
    version=$("$PYTHON" --version 2>/dev/null) || version="no Python"
    echo "$PYTHON is $version, and kale-serve-ext needs Python 3.10 to 3.13: name another with PYTHON=/path/to/python." >&2
    exit 1
fi

for name in python3 python3.11 python3.12 python3.13 python3.10; do
    if "$name" -c "$fits" >/dev/null 2>&1; then
        "$name" -c 'import sys; print(sys.executable)'
        exit 0
    fi
done
echo "kale-serve-ext needs Python 3.10 to 3.13 and none was found on PATH: install one, or name it with PYTHON=/path/to/python." >&2
exit 1
