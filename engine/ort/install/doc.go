// Package install finds ONNX Runtime's library and what its CUDA provider needs on this
// machine, and gets them: Find and FindCUDA look, in the order in which package ort
// tries, and load nothing; Install downloads through pip or npm, checks SHA-256 sums
// that are part of this program, and keeps the files in the user's cache folder.
package install
