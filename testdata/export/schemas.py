"""Writes the attributes of the operators named on standard input, for models made at random:
python schemas.py ../../cmd/onnxprobe/testdata/schemas.txt < names.

A line is an operator, the version of its domain that its model imports, how many outputs it has
at least, and its attributes with their types. Its schema is the newest of opset 21 or before,
else the oldest after it.
"""

import sys

from onnx import defs
from onnxruntime.capi import onnxruntime_pybind11_state as ort


def main():
    found = {}
    for schemas in (ort.get_all_operator_schema(), defs.get_all_schemas_with_history()):
        for s in schemas:
            name = f"{s.domain}.{s.name}" if s.domain else s.name
            if not s.deprecated:
                found.setdefault(name, {})[s.since_version] = s
    with open(sys.argv[1], "w") as out:
        for name in sys.stdin.read().split():
            versions = found.get(name)
            if not versions:  # one that is gone: of no attributes that are known
                print(name, 1, 1, file=out)
                continue
            new = max((v for v in versions if v <= 21), default=min(versions))
            s = versions[new]
            last = min((x.since_version - 1 for x in deprecated(name) if x.since_version > new), default=21)
            attrs = [f"{a}:{str(v.type).split('.')[-1]}" for a, v in sorted(s.attributes.items())]
            print(name, max(new, min(21, last)) if s.domain == "" else new, s.min_output, *attrs, file=out)


def deprecated(name):
    """The versions of an operator of ONNX's own that take it back."""
    return [s for s in defs.get_all_schemas_with_history() if s.name == name and s.domain == "" and s.deprecated]


if __name__ == "__main__":
    main()
