// Package filetype tells what a file is by how it begins, for messages about one that was
// given in place of another. It reads nothing further: a file that begins as a JPEG picture
// may still be damaged.
package filetype

import (
	"bytes"
	"io"
	"os"
	"strings"
	"unicode/utf8"
)

// Prefix is how many bytes Of looks at, at most.
const Prefix = 512

// ONNX is the Name of a model.
const ONNX = "an ONNX model"

// Type is a kind of file.
type Type struct {
	// Name is the kind with its article, "a JPEG picture"; "" of one that is not known.
	Name string
	// Remedy says how to come by an ONNX model, where one was wanted; "" if there is nothing
	// to say.
	Remedy string
}

const export = "export the network in PyTorch: torch.onnx.export(model, inputs, \"model.onnx\", dynamo=True)"

// types are tried in their order: what a zip file holds before zip files.
var types = []struct {
	Type
	is func(b []byte) bool
}{
	{Type{"a JPEG picture", ""}, begins("\xff\xd8\xff")},
	{Type{"a PNG picture", ""}, begins("\x89PNG\r\n\x1a\n")},
	{Type{"a GIF picture", ""}, begins("GIF87a", "GIF89a")},
	{Type{"a WebP picture", ""}, within("RIFF", 8, "WEBP")},
	{Type{"a TIFF picture", ""}, begins("II*\x00", "MM\x00*", "II+\x00", "MM\x00+")},
	{Type{"a BMP picture", ""}, within("BM", 6, "\x00\x00\x00\x00")},
	{Type{"a HEIC or AVIF picture", ""}, func(b []byte) bool {
		return len(b) > 12 && string(b[4:8]) == "ftyp" && strings.Contains("heic heix hevc mif1 msf1 avif avis", string(b[8:12]))
	}},
	{Type{"a film (MP4)", ""}, func(b []byte) bool { return len(b) > 8 && string(b[4:8]) == "ftyp" }},
	{Type{"a PDF document", ""}, begins("%PDF-")},
	{Type{"a Parquet file", ""}, begins("PAR1")},
	{Type{"a .npy array", ""}, begins("\x93NUMPY")},
	{Type{"an HDF5 file, as Keras writes", "convert it with tf2onnx"}, begins("\x89HDF\r\n\x1a\n")},
	{Type{"a FAISS index", ""}, begins("IBxF", "IxF2", "IxFI", "IxPT", "IBMp")},
	{Type{"a TensorFlow Lite model", "convert it with tf2onnx"}, within("", 4, "TFL3")},
	{Type{"a GGUF file", export}, begins("GGUF")},
	{Type{"a TensorRT engine", "take the ONNX model that it was built from"}, begins("ptrt", "ftrt")},
	{Type{"an ORT-format model", "take the .onnx file that it was made from"}, within("", 4, "ORTM")},
	{Type{"a PyTorch file", export}, func(b []byte) bool {
		return begins("PK\x03\x04")(b) && (contains(b, "data.pkl") || contains(b, "/version") || contains(b, ".format_version") || contains(b, "constants.pkl") ||
			contains(b, "/byteorder")) || bytes.HasPrefix(b, []byte("\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19"))
	}},
	{Type{"an .npz archive", ""}, func(b []byte) bool { return begins("PK\x03\x04")(b) && contains(b, ".npy") }},
	{Type{"a Keras model", "convert it with tf2onnx"}, func(b []byte) bool { return begins("PK\x03\x04")(b) && contains(b, "metadata.json") }},
	{Type{"a zip archive", "unpack it first"}, begins("PK\x03\x04", "PK\x05\x06")},
	{Type{"a Python pickle", export}, begins("\x80\x02", "\x80\x03", "\x80\x04\x95", "\x80\x05\x95")},
	{Type{"a safetensors file", export}, func(b []byte) bool {
		return len(b) > 9 && b[8] == '{' && bytes.Equal(b[5:8], []byte{0, 0, 0})
	}},
	{Type{"a gzip file", "unpack it first"}, begins("\x1f\x8b")},
	{Type{"a Zstandard file", "unpack it first"}, begins("\x28\xb5\x2f\xfd")},
	{Type{"an xz file", "unpack it first"}, begins("\xfd7zXZ\x00")},
	{Type{"a 7z archive", "unpack it first"}, begins("7z\xbc\xaf\x27\x1c")},
	{Type{"a tar archive", "unpack it first"}, within("", 257, "ustar")},
	{Type{"a program", ""}, begins("\x7fELF", "MZ", "\xcf\xfa\xed\xfe", "\xca\xfe\xba\xbe", "#!")},
	{Type{"a Git LFS pointer, not the file itself", "run git lfs pull"}, begins("version https://git-lfs.github.com/")},
	{Type{"a web page, as a failed download leaves", "download the file again"}, text(func(t string) bool {
		return strings.HasPrefix(t, "<!doctype html") || strings.HasPrefix(t, "<html")
	})},
	{Type{"an XML file", ""}, text(func(t string) bool { return strings.HasPrefix(t, "<?xml") || strings.HasPrefix(t, "<") })},
	{Type{"a JSON file", ""}, text(func(t string) bool {
		rest := strings.TrimSpace(strings.TrimLeft(t, "[{ \r\n\t"))
		return t != "" && (t[0] == '{' || t[0] == '[') && (rest == "" || strings.ContainsAny(rest[:1], "\"]}-0123456789tfn"))
	})},
	{Type{ONNX, ""}, isONNX},
	{Type{"a text file", ""}, text(func(t string) bool { return len(t) > 4 })},
}

// Of is the kind of a file that begins with b; its Name is "" where it is not known.
func Of(b []byte) Type {
	b = b[:min(len(b), Prefix)]
	for _, t := range types {
		if t.is(b) {
			return t.Type
		}
	}
	return Type{}
}

// OfFile is the kind of the file at path, one without a Name where it cannot be read or is no
// regular file.
func OfFile(path string) Type {
	if st, err := os.Stat(path); err != nil || !st.Mode().IsRegular() {
		return Type{}
	}
	f, err := os.Open(path)
	if err != nil {
		return Type{}
	}
	defer f.Close()
	b := make([]byte, Prefix)
	n, _ := io.ReadFull(f, b)
	return Of(b[:n])
}

func begins(with ...string) func([]byte) bool {
	return func(b []byte) bool {
		for _, w := range with {
			if bytes.HasPrefix(b, []byte(w)) {
				return true
			}
		}
		return false
	}
}

// within is a file that begins with one mark and has another at an offset.
func within(start string, at int, mark string) func([]byte) bool {
	return func(b []byte) bool {
		return bytes.HasPrefix(b, []byte(start)) && len(b) >= at+len(mark) && string(b[at:at+len(mark)]) == mark
	}
}

func contains(b []byte, s string) bool { return bytes.Contains(b, []byte(s)) }

// text is a file of UTF-8 without control characters, of whose beginning, in lower case and
// without space before it, more holds.
func text(more func(string) bool) func([]byte) bool {
	return func(b []byte) bool {
		if bytes.ContainsFunc(b, func(r rune) bool { return r < ' ' && !strings.ContainsRune("\t\n\r\f", r) }) {
			return false
		}
		whole := b
		for range utf8.UTFMax - 1 { // the last character may be cut
			if len(b) == Prefix && !utf8.Valid(whole) {
				whole = whole[:len(whole)-1]
			}
		}
		return utf8.Valid(whole) && more(strings.ToLower(strings.TrimLeft(strings.TrimPrefix(string(whole), "\ufeff"), " \t\r\n")))
	}
}

// isONNX is how models begin, whatever wrote them: with their IR version, a small number, and
// another field of ONNX's ModelProto.
func isONNX(b []byte) bool {
	return len(b) > 3 && b[0] == 0x08 && b[1] > 0 && b[1] < 32 && strings.IndexByte("\x12\x1a\x22\x28\x32\x3a\x42\x72", b[2]) >= 0
}
