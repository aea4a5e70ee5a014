"""Check that a probed model gives the same codes in Python's onnxruntime.

    python attached.py ONNXPROBE MODEL SHAPE [--batch 8] [--items 20]

attaches probes to MODEL with `onnxprobe attach`, runs the file with the
onnxruntime package at the same batch shape, and compares byte for byte with
`onnxprobe codes` on the same random inputs. SHAPE is one sample's: 3x224x224.
"""
import argparse
import os
import subprocess
import tempfile

import numpy as np
import onnxruntime

p = argparse.ArgumentParser()
p.add_argument("onnxprobe")
p.add_argument("model")
p.add_argument("shape")
p.add_argument("--batch", type=int, default=8)
p.add_argument("--items", type=int, default=20)
p.add_argument("--threads", type=int, default=0)
a = p.parse_args()

with tempfile.TemporaryDirectory() as d:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((a.items, *map(int, a.shape.split("x")))).astype(np.float32)
    np.save(f"{d}/x.npy", x)
    # External data is kept by reference, so the probed model goes beside the model.
    probed = os.path.join(os.path.dirname(os.path.abspath(a.model)), ".attached-check.onnx")
    try:
        subprocess.run([a.onnxprobe, "attach", a.model, "-o", probed, "--force", "--quiet"], check=True)
        subprocess.run([a.onnxprobe, "codes", a.model, f"{d}/x.npy", "-o", f"{d}/codes.npy", "--quiet",
                        "--batch", str(a.batch), "--threads", str(a.threads)], check=True)
        so = onnxruntime.SessionOptions()
        so.intra_op_num_threads = a.threads
        s = onnxruntime.InferenceSession(probed, so, providers=["CPUExecutionProvider"])
    finally:
        if os.path.exists(probed):
            os.remove(probed)
    sites = [o.name for o in s.get_outputs() if o.name.startswith("onnxprobe.code/")]
    rows = []
    for i in range(0, a.items, a.batch):
        b = np.zeros((a.batch, *x.shape[1:]), np.float32)
        n = min(a.batch, a.items - i)
        b[:n] = x[i:i + n]
        rows.append(np.concatenate(s.run(sites, {s.get_inputs()[0].name: b}), axis=1)[:n])
    got, want = np.concatenate(rows), np.load(f"{d}/codes.npy")
    same = got.shape == want.shape and (got == want).all()
    print(f"{os.path.basename(a.model)}: {len(sites)} sites, {want.shape[1]} bytes an item, onnxruntime "
          f"{onnxruntime.__version__}: {'identical' if same else 'DIFFERENT'}")
    raise SystemExit(0 if same else 1)
