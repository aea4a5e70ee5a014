// Package ort runs models on ONNX Runtime, on the CPU or on CUDA. The library is
// not part of the program: it is found, or installed, at run time.
package ort

// Name is what the backend is called.
const Name = "ort"

// Product is what messages call the engine.
const Product = "ONNX Runtime"
