package filetype

import (
	"archive/zip"
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func archive(t *testing.T, names ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, n := range names {
		w, err := z.Create(n)
		if err == nil {
			_, err = w.Write([]byte("content"))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Every row of the table has a file that is of it, and of no row before.
func TestEveryType(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range []struct {
		want  string
		begin []byte
	}{
		{"a JPEG picture", []byte("\xff\xd8\xff\xe0\x00\x10JFIF")},
		{"a PNG picture", []byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR")},
		{"a GIF picture", []byte("GIF89a")},
		{"a WebP picture", []byte("RIFF\x10\x00\x00\x00WEBPVP8 ")},
		{"a TIFF picture", []byte("II*\x00\x08\x00\x00\x00")},
		{"a BMP picture", []byte("BM\x46\x00\x00\x00\x00\x00\x00\x00\x36\x00\x00\x00")},
		{"a HEIC or AVIF picture", []byte("\x00\x00\x00\x18ftypheic\x00\x00\x00\x00")},
		{"a film (MP4)", []byte("\x00\x00\x00\x18ftypisom\x00\x00\x00\x00")},
		{"a PDF document", []byte("%PDF-1.7\n")},
		{"a Parquet file", []byte("PAR1\x15\x04")},
		{"a .npy array", []byte("\x93NUMPY\x01\x00")},
		{"an HDF5 file, as Keras writes", []byte("\x89HDF\r\n\x1a\n")},
		{"a FAISS index", []byte("IBxF\x00\x01\x00\x00")},
		{"a TensorFlow Lite model", []byte("\x1c\x00\x00\x00TFL3")},
		{"a GGUF file", []byte("GGUF\x03\x00\x00\x00")},
		{"a TensorRT engine", []byte("ftrt\x00\x00")},
		{"an ORT-format model", []byte("\x20\x00\x00\x00ORTM")},
		{"a PyTorch file", archive(t, "net/data.pkl", "net/version")},
		{"a PyTorch file", []byte("\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.")},
		{"an .npz archive", archive(t, "arr_0.npy")},
		{"a Keras model", archive(t, "metadata.json", "config.json")},
		{"a zip archive", archive(t, "a.txt")},
		{"a Python pickle", []byte("\x80\x04\x95\x10\x00")},
		{"a safetensors file", append([]byte{16, 0, 0, 0, 0, 0, 0, 0}, `{"w":{"dtype"}}`...)},
		{"a gzip file", []byte("\x1f\x8b\x08\x00")},
		{"a Zstandard file", []byte("\x28\xb5\x2f\xfd\x04")},
		{"an xz file", []byte("\xfd7zXZ\x00\x00")},
		{"a 7z archive", []byte("7z\xbc\xaf\x27\x1c")},
		{"a tar archive", append(bytes.Repeat([]byte{'a', 0}, 128), "0ustar\x0000"...)},
		{"a program", []byte("\x7fELF\x02\x01")},
		{"a Git LFS pointer, not the file itself", []byte("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")},
		{"a web page, as a failed download leaves", []byte("\n<!DOCTYPE HTML><html>")},
		{"an XML file", []byte("<?xml version=\"1.0\"?>")},
		{"a JSON file", []byte("{\n  \"do_resize\": true")},
		{"a JSON file", []byte("[[1, 2]]")},
		{ONNX, []byte("\x08\x08\x12\x07pytorch")},
		{"a text file", []byte("path,label\na.png,1\n")},
		{"a text file", []byte(strings.Repeat("Grüße ", 100))}, // whose last character is cut
		{"", []byte("\x00\x01\x02\x03")},
		{"", nil},
	} {
		if got := Of(c.begin).Name; got != c.want {
			t.Errorf("%.20q: %q, want %q", c.begin, got, c.want)
		}
		seen[c.want] = true
	}
	for _, row := range types {
		if !seen[row.Name] {
			t.Errorf("no case of %s", row.Name)
		}
	}
}

// Every model that is shipped is one, and so is what the repository has of other files.
func TestFilesOfTheRepository(t *testing.T) {
	const data = "../../testdata/"
	n := 0
	for pattern, want := range map[string]string{"models/*.onnx": ONNX, "models/*/*.onnx": ONNX, "images/digits/0/*.png": "a PNG picture", "golden/*.json": "a JSON file",
		"golden/*.npz": "an .npz archive", "export/*.py": "a text file"} {
		files, err := filepath.Glob(data + pattern)
		if err != nil || len(files) == 0 {
			t.Fatal(pattern, err)
		}
		for _, f := range files {
			n++
			if got := OfFile(f).Name; got != want && !(want == "a text file" && got == "a program") {
				t.Errorf("%s: %q, want %q", f, got, want)
			}
		}
	}
	if n < 100 {
		t.Errorf("only %d files", n)
	}
	for _, none := range []string{data, data + "nothing", os.DevNull} {
		if got := OfFile(none); got.Name != "" {
			t.Errorf("%s: %q", none, got.Name)
		}
	}
}
