// Package ort runs models on ONNX Runtime, on the CPU or on CUDA. The library is
// not part of the program: it is found, or installed, at run time. Its telemetry is switched
// off, by ORT_DISABLE_TELEMETRY in the environment of the process from when it is loaded on.
package ort

// Name is what the backend is called.
const Name = "ort"

// Product is what messages call the engine.
const Product = "ONNX Runtime"
