"""The functions of the Python API that join several stages; `zoo/__init__.py` names them all."""
