"""The functions of the Python API, thin over the stages as the commands are; `zoo/__init__.py` names them all."""
