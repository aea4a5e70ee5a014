"""FAISS's IndexBinaryFlat on one core, for TestSearchRatios, which runs this script and takes turns with it.

    python search.py FOLDER

reads FOLDER/base and FOLDER/queries, two IndexBinaryFlat files, then for every line "NQ K TIMES" on standard input searches
for the first NQ queries that many times in a row and prints one JSON line: the seconds that one search took, and the
distances. Needs faiss-cpu and numpy:

    ONNXPROBE_BENCH_FAISS=/path/to/python go test ./benchmarks -run TestSearchRatios -v
"""

import json
import os
import platform
import sys
import time

os.environ["OMP_NUM_THREADS"] = "1"
import faiss
import numpy

faiss.omp_set_num_threads(1)
base, queries = (faiss.read_index_binary(os.path.join(sys.argv[1], name)) for name in ("base", "queries"))
rows = numpy.ascontiguousarray(faiss.vector_to_array(queries.xb).reshape(queries.ntotal, -1))
print(json.dumps({"faiss": faiss.__version__, "options": faiss.get_compile_options().strip(), "numpy": numpy.__version__,
                  "python": platform.python_version()}), flush=True)
for line in sys.stdin:
    nq, k, times = map(int, line.split())
    start = time.perf_counter()
    for _ in range(times):
        distances, _ = base.search(rows[:nq], k)
    seconds = (time.perf_counter() - start) / times
    print(json.dumps({"seconds": seconds, "distances": distances.tolist()}), flush=True)
