//go:build ignore

// Makes the small inputs of same.txt that are not shipped as they are. It stands on the
// standard library alone, so that no change of the program changes them.
//
//	go run benchmarks/same.go DIR
//
// DIR has the shipped models/, digits/ and golden/ already.
package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"io"
	"log"
	"math"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func write(path string, b []byte) {
	must(os.MkdirAll(filepath.Dir(path), 0o755))
	must(os.WriteFile(path, b, 0o644))
}

func read(path string) []byte {
	b, err := os.ReadFile(path)
	must(err)
	return b
}

func main() {
	must(os.Chdir(os.Args[1]))
	digits, err := filepath.Glob("digits/*/*.png")
	must(err)
	sort.Strings(digits)
	sets(digits)
	arrays(digits)
	tars(digits)
	tables(digits)
	drawings()
	must(os.Mkdir("jpeg", 0o755))
	unzip("golden/jpeg/pictures.zip", "jpeg", "")
	for _, name := range []string{"regionblip", "roi_features", "clip"} {
		unzip("golden/region/"+name+".npz", "arrays", name+"-")
	}
	unzip("golden/acts.npz", "arrays", "acts-")
	networks()
	texts(digits)
}

// sets are a training set of six pictures of each class, a test set of the other four,
// and ten pictures.
func sets(digits []string) {
	for i, p := range digits {
		to := "test"
		if i%10 < 6 {
			to = "train"
		}
		b, rest := read(p), strings.TrimPrefix(p, "digits")
		write(to+rest, b)
		if i%10 == 0 {
			write("few"+rest, b)
		}
	}
	write("mixed/a.png", read(digits[0]))
	write("mixed/b.png", read(digits[50])[:40])
	write("mixed/c.png", []byte("no picture"))
	write("mixed/d.png", read(digits[99]))
	write("mixed/notes.txt", []byte("left out\n"))
	write("mixed/x.npy", nil)
	write("alike/a.png", read(digits[0]))
	write("alike/b.png", read(digits[0]))
	write("alike/c.png", read(digits[70]))
}

func pixels(path string) []byte {
	m, err := png.Decode(bytes.NewReader(read(path)))
	must(err)
	b := m.Bounds()
	g := image.NewGray(image.Rect(0, 0, b.Dx(), b.Dy()))
	draw.Draw(g, g.Rect, m, b.Min, draw.Src)
	return g.Pix
}

func npy(kind string, shape string, data any) []byte {
	var b bytes.Buffer
	head := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", kind, shape)
	head += strings.Repeat(" ", 63-(10+len(head))%64) + "\n"
	b.WriteString("\x93NUMPY\x01\x00")
	must(binary.Write(&b, binary.LittleEndian, uint16(len(head))))
	b.WriteString(head)
	must(binary.Write(&b, binary.LittleEndian, data))
	return b.Bytes()
}

// arrays are MNIST, CIFAR and NumPy files.
func arrays(digits []string) {
	var idx, labels, bytesOf []byte
	var cifar10, cifar100 []byte
	var floats []float32
	var doubles []float64
	var classes []int64
	for i, p := range digits[:40] {
		pix, class := pixels(p), byte(p[len("digits/")]-'0')
		idx, labels, bytesOf = append(idx, pix...), append(labels, class), append(bytesOf, pix...)
		classes = append(classes, int64(class))
		for _, v := range pix {
			floats, doubles = append(floats, float32(v)/255), append(doubles, float64(v)/255)
		}
		cifar10, cifar100 = append(cifar10, class), append(cifar100, class/2, class)
		for k := range 3072 { // four pixels an edge for each of the digit's, shaded by channel
			v := pix[k%1024/32/4*8+k%32/4] >> (k / 1024) & byte(255-i)
			cifar10, cifar100 = append(cifar10, v), append(cifar100, v)
		}
	}
	n := 40
	head := binary.BigEndian.AppendUint32
	images := append(head(head(head(head(nil, 0x803), uint32(n)), 8), 8), idx...)
	write("mnist/t10k-images-idx3-ubyte", images)
	write("mnist/t10k-labels-idx1-ubyte", append(head(head(nil, 0x801), uint32(n)), labels...))
	write("mnist/train-images-idx3-ubyte.gz", zipped(images))
	write("mnist/train-labels-idx1-ubyte.gz", zipped(append(head(head(nil, 0x801), uint32(n)), labels...)))
	write("cifar/data_batch_1.bin", cifar10)
	write("cifar/cut.bin", cifar10[:5000])
	write("cifar100/test.bin", cifar100)
	write("arrays/floats.npy", npy("<f4", "40, 1, 8, 8", floats))
	write("arrays/doubles.npy", npy("<f8", "40, 1, 8, 8", doubles))
	write("arrays/bytes.npy", npy("|u1", "40, 8, 8, 1", bytesOf))
	write("arrays/wide.npy", npy("<f4", "10, 1, 16, 16", floats))
	write("arrays/cut.npy", npy("<f4", "40, 1, 8, 8", floats)[:1000])
	floats[5], floats[70] = float32(math.NaN()), float32(math.Inf(1))
	write("arrays/nan.npy", npy("<f4", "40, 1, 8, 8", floats))
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, part := range []struct {
		name string
		data []byte
	}{{"x.npy", npy("|u1", "40, 1, 8, 8", bytesOf)}, {"y.npy", npy("<i8", "40,", classes)}} {
		w, err := z.Create(part.name)
		must(err)
		_, err = w.Write(part.data)
		must(err)
	}
	must(z.Close())
	write("arrays/labelled.npz", b.Bytes())
}

func zipped(data []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write(data)
	must(err)
	must(w.Close())
	return b.Bytes()
}

// tars are three shards of WebDataset and one that is cut.
func tars(digits []string) {
	for s := range 3 {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		add := func(name string, data []byte) {
			must(w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(data))}))
			_, err := w.Write(data)
			must(err)
		}
		for i := range 5 {
			p := digits[s*30+i*5]
			key := fmt.Sprintf("%03d", s*5+i)
			add(key+".png", read(p))
			if i%2 == 0 {
				add(key+".cls", []byte(p[len("digits/"):len("digits/")+1]))
			} else {
				add(key+".json", []byte(`{"label": `+p[len("digits/"):len("digits/")+1]+`}`))
			}
		}
		must(w.Close())
		write(fmt.Sprintf("shards/%02d.tar", s), b.Bytes())
		if s == 0 {
			write("packed/00.tar.gz", zipped(b.Bytes()))
			write("packed/01.tgz", zipped(b.Bytes()))
			write("broken/cut.tar", b.Bytes()[:1300])
		}
	}
}

func save(path string, m image.Image) {
	var b bytes.Buffer
	must(png.Encode(&b, m))
	write(path, b.Bytes())
}

// tables are Parquet files of one column of pictures, written by hand: a page without
// compression, and a footer in Thrift's compact form.
func tables(digits []string) {
	small := func(of, kind byte) []byte { return []byte{of<<4 | kind} } // a field so many after the last
	num := func(v int) []byte { return binary.AppendUvarint(nil, uint64(v)<<1) }
	text := func(s string) []byte { return append(binary.AppendUvarint(nil, uint64(len(s))), s...) }
	for at, called := range []string{"pictures", "more"} {
		var data bytes.Buffer
		n := 0
		for i := at; i < len(digits); i += 9 {
			p := read(digits[i])
			must(binary.Write(&data, binary.LittleEndian, uint32(len(p))))
			data.Write(p)
			n++
		}
		const i32, i64, str, list, record, stop = 5, 6, 8, 9, 12, "\x00"
		size := num(data.Len())
		page := bytes.Join([][]byte{small(1, i32), num(0), small(1, i32), size, small(1, i32), size, // a data page
			small(2, record), small(1, i32), num(n), small(1, i32), num(0), small(1, i32), num(3), small(1, i32), num(3), []byte(stop + stop)}, nil)
		all := num(len(page) + data.Len())
		column := bytes.Join([][]byte{small(2, i64), num(4), small(1, record),
			small(1, i32), num(6), small(1, list), {1<<4 | i32}, num(0), small(1, list), {1<<4 | str}, text("picture"), // binary, plain
			small(1, i32), num(0), small(1, i64), num(n), small(1, i64), all, small(1, i64), all, small(2, i64), num(4), []byte(stop + stop)}, nil)
		footer := bytes.Join([][]byte{small(1, i32), num(1), small(1, list), {2<<4 | record},
			small(4, str), text("schema"), small(1, i32), num(1), []byte(stop),
			small(1, i32), num(6), small(2, i32), num(0), small(1, str), text("picture"), []byte(stop),
			small(1, i64), num(n), small(1, list), {1<<4 | record},
			small(1, list), {1<<4 | record}, column, small(1, i64), all, small(1, i64), num(n), []byte(stop + stop)}, nil)
		write("tables/"+called+".parquet", bytes.Join([][]byte{[]byte("PAR1"), page, data.Bytes(), footer,
			binary.LittleEndian.AppendUint32(nil, uint32(len(footer))), []byte("PAR1")}, nil))
	}
}

// drawings are pictures whose pixels say where they are, and a page of three lines.
func drawings() {
	for _, d := range []struct {
		name string
		w, h int
	}{{"photos/a", 40, 25}, {"photos/b", 40, 25}, {"tiles/tall", 20, 60}, {"tiles/wide", 60, 20}, {"tiles/square", 40, 40}} {
		m := image.NewNRGBA(image.Rect(0, 0, d.w, d.h))
		for y := range d.h {
			for x := range d.w {
				m.SetNRGBA(x, y, color.NRGBA{uint8(255 * x / d.w), uint8(255 * y / d.h), uint8((7 + len(d.name)) * x * y), 255})
			}
		}
		save(d.name+".png", m)
	}
	write("tiles/x.png", nil)
	page := image.NewGray(image.Rect(0, 0, 200, 120))
	draw.Draw(page, page.Rect, image.White, image.Point{}, draw.Src)
	for line := range 3 {
		for k := range 10 {
			draw.Draw(page, image.Rect(20+16*k, 20+32*line, 28+16*k, 32+32*line), image.Black, image.Point{}, draw.Src)
		}
	}
	save("pages/page.png", page)
	save("handwriting/Segmentation_Images/Lines/7/7_1/7_1_1.png", page)
	save("handwriting/Segmentation_Images/Words/7/7_1/7_1_1/7_1_1_1.png", image.NewGray(image.Rect(0, 0, 30, 20)))
	labels := image.NewGray(image.Rect(0, 0, 40, 25))
	draw.Draw(labels, image.Rect(2, 3, 20, 20), image.NewUniform(color.Gray{1}), image.Point{}, draw.Src)
	draw.Draw(labels, image.Rect(22, 3, 39, 25), image.NewUniform(color.Gray{2}), image.Point{}, draw.Src)
	save("maps/a.png", labels)
	save("maps/b.png", labels)
}

func unzip(from, to, prefix string) {
	z, err := zip.OpenReader(from)
	must(err)
	defer z.Close()
	for _, f := range z.File {
		r, err := f.Open()
		must(err)
		b, err := io.ReadAll(r)
		must(err)
		write(filepath.Join(to, prefix+strings.ReplaceAll(f.Name, " ", "_")), b)
	}
}

// What follows writes ONNX files: field is a length-delimited field of Protocol Buffers.
func field(number int, parts ...[]byte) []byte {
	content := bytes.Join(parts, nil)
	b := binary.AppendUvarint(nil, uint64(number)<<3|2)
	return append(binary.AppendUvarint(b, uint64(len(content))), content...)
}

func number(field int, v uint64) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(nil, uint64(field)<<3), v)
}

func name(s string) []byte { return []byte(s) }

func node(op, in, out string) []byte {
	var b []byte
	for _, s := range strings.Fields(in) {
		b = append(b, field(1, name(s))...)
	}
	return field(1, b, field(2, name(out)), field(3, name(out)), field(4, name(op)))
}

func value(at int, called string, dims ...string) []byte {
	var shape []byte
	for _, d := range dims {
		if d[0] >= '0' && d[0] <= '9' {
			shape = append(shape, field(1, number(1, uint64(d[0]-'0')))...)
		} else {
			shape = append(shape, field(1, field(2, name(d)))...)
		}
	}
	return field(at, field(1, name(called)), field(2, field(1, number(1, 1), field(2, shape))))
}

func constant(called string, data any, dims ...uint64) []byte {
	var b bytes.Buffer
	must(binary.Write(&b, binary.LittleEndian, data))
	var shape []byte
	for _, d := range dims {
		shape = append(shape, number(1, d)...)
	}
	kind := uint64(1)
	if _, ok := data.([]int64); ok {
		kind = 7
	}
	return field(5, shape, number(2, kind), field(8, name(called)), field(9, b.Bytes()))
}

func model(path string, parts ...[]byte) {
	write(path, bytes.Join([][]byte{number(1, 8), field(7, append([][]byte{field(2, name("g"))}, parts...)...), field(8, number(2, 13))}, nil))
}

// networks are a detector that finds two boxes in every picture, a segmenter that tells
// dark from light, and files that are no models.
func networks() {
	picture := value(11, "x", "n", "1", "h", "w")
	model("networks/detector.onnx", node("ReduceMax", "x", "most"), node("Reshape", "most one", "flat"), node("Mul", "flat zero", "nothing"),
		node("Add", "base nothing", "boxes"), node("Add", "scores_ nothing", "scores"),
		constant("base", []float32{0, 0, 8, 8, 0, 0, 4, 8}, 2, 4), constant("scores_", []float32{.9, .6}, 2),
		constant("one", []int64{1}, 1), constant("zero", []float32{0}, 1),
		picture, value(12, "boxes", "2", "4"), value(12, "scores", "2"))
	model("networks/segmenter.onnx", node("Conv", "x weight bias", "logits"),
		constant("weight", []float32{-1, 1}, 2, 1, 1, 1), constant("bias", []float32{.5, -.5}, 2), picture, value(12, "logits", "n", "2", "h", "w"))
	good := read("models/mlp_dynamo.onnx")
	write("networks/half.onnx", good[:len(good)/2])
	write("networks/text.onnx", []byte("hello, world\n"))
	write("networks/empty.onnx", nil)
	model("networks/unknown.onnx", node("Nope", "x", "y"), picture, value(12, "y", "n"))
	model("networks/straight.onnx", node("Identity", "x", "y"), picture, value(12, "y", "n", "1", "h", "w"))
	model("networks/cycle.onnx", node("Relu", "b", "a"), node("Relu", "a", "b"), picture, value(12, "b", "n"))
	for step, from := range map[string]string{"000010": "mlp_torchscript", "000100": "mlp_bf16", "001000": "mlp_dynamo"} {
		write("checkpoints/step-"+step+".onnx", read("models/"+from+".onnx"))
	}
	for step, from := range map[string]string{"1": "resnet_basic_torchscript", "2": "resnet_basic_dynamo"} {
		write("epochs/epoch-"+step+".onnx", read("models/"+from+".onnx"))
	}
	write("faulty/1.onnx", good)
	write("faulty/2.onnx", good[:100])
}

func texts(digits []string) {
	of := func(i int) string { return strings.TrimPrefix(digits[i], "digits/") }
	list, csv, tsv, jsonl := "", "path,label,class\n", "path\tlabel\n", ""
	boxes := "path,x0,y0,x1,y1,label,id\n"
	for i := 0; i < 100; i += 10 {
		class := of(i)[:1]
		list += "digits/" + of(i) + "\n"
		csv += "../digits/" + of(i) + "," + class + ",c" + class + "\n"
		tsv += "../digits/" + of(i) + "\t" + class + "\n"
		jsonl += `{"file_name": "../digits/` + of(i) + `", "label": ` + class + "}\n"
		boxes += of(i) + ",0,0,8,8,whole,all\n" + of(i) + ",0,0,4,8,half,left\n"
	}
	for path, text := range map[string]string{
		"lists/names.txt":   strings.ReplaceAll(list, "digits/", "../digits/"),
		"lists/here.txt":    list,
		"lists/table.csv":   csv,
		"lists/table.tsv":   tsv,
		"lists/lines.jsonl": jsonl,
		"lists/gone.csv":    "path,label\n../digits/nowhere.png,1\n../digits/" + of(0) + ",0\n",
		"lists/digits.txt":  "zero\none\ntwo\nthree\nfour\nfive\nsix\nseven\neight\nnine\n",
		"lists/phases.csv": "path,size,time\n../models/mlp_torchscript.onnx,1,1\n../models/mlp_dynamo.onnx,1,2\n" +
			"../models/resnet_basic_dynamo.onnx,2,1\n../models/cnn_dynamo.onnx,2,2\n",
		"lists/fault.csv": "path,size\n../models/mlp_dynamo.onnx,1\n../networks/half.onnx,2\n",
		"lists/processor.json": `{"do_resize": true, "size": {"height": 32, "width": 32}, "resample": 2, "do_normalize": true, "image_mean": [0.5, 0.4, ` +
			`0.3], "image_std": [0.25, 0.5, 0.75], "do_rescale": true, "rescale_factor": 0.00392156862745098}`,
		"regions/digits.csv":    boxes,
		"regions/faulty.csv":    boxes + of(0) + ",5,5,5,9,empty,e\n" + of(0) + ",0,0,99,8,far,f\nnowhere.png,0,0,1,1,x,x\n",
		"regions/beyond.csv":    "path,x,y,w,h,label\n" + of(0) + ",-2,3,9,9,far\n",
		"regions/photos.csv":    "path,id,x0,y0,x1,y1,label\na.png,left,0,0,20,25,cat\na.png,all,0,0,40,25,dog\nb.png,mid,10,5,30,20,cat\n",
		"regions/fractions.csv": "path,cx,cy,w,h,label\na.png,.5,.5,.4,.4,cat\nb.png,.25,.25,.2,.2,dog\n",
		"regions/tiles.csv":     "path,id,x0,y0,x1,y1\ntall.png,all,0,0,20,60\nwide.png,left,0,0,20,20\nwide.png,two,10,5,30,15\nsquare.png,far,90,0,95,9\n",
		"regions/page.csv":      "path,x1,y1,x2,y2,label\npage.png,20,20,172,32,text\npage.png,20,52,172,64,text\npage.png,20,84,172,90,text\n",
		"regions/coco.json": `{"images": [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "b.png"}], "categories": [{"id": 4, ` +
			`"name": "star"}, {"id": 2, "name": "box"}], "annotations": [{"id": 3, "image_id": 1, "category_id": 4, ` +
			`"segmentation": [[3, 2, 30, 5, 22, 20, 6, 18]]}, {"id": 5, "image_id": 2, "category_id": 2, "bbox": [10, 8, 20, 16]}, ` +
			`{"id": 6, "image_id": 2, "category_id": 4, "iscrowd": 1, "segmentation": {"size": [25, 40], "counts": [30, 10, 15, 10, ` +
			`15, 10, 910]}}]}`,
		"regions/results.json": `[{"image_id": 1, "category_id": 1, "bbox": [1, 2, 20, 10], "score": 0.75}]`,
		"regions/answers.jsonl": `{"image": "a.png", "answer": "<ref>cat</ref><box>[[0, 0, 500, 800]]</box> <ref>dog</ref><box>[[200, 200, 999, ` +
			`900]]</box><ref>bird</ref><box>[[7, 7, 90, 90]]</box>"}` +
			"\n",
		"regions/found.jsonl": `{"image": "a.png", "boxes": [[0, 0, 18, 24], [20, 2, 40, 25]], "labels": ["cat", "dog"], "scores": [0.5, 0.25]}` +
			"\n" + `{"image": "b.png", "boxes": [[10, 5, 30, 21]], "labels": ["cat"], "scores": [1]}` + "\n",
		"yolo/labels/a.txt": "1 .5 .5 .4 .4\n0 .1 .1 .9 .1 .5 .8\n",
		"yolo/labels/b.txt": "0 .25 .25 .2 .2\n",
		"yolo/data.yaml":    "names: [cat, dog]\n",
		"voc/a.xml": `<annotation><filename>a.png</filename><size><width>40</width><height>25</height><depth>3</depth></size><object><name>` +
			`cat</name><bndbox><xmin>3</xmin><ymin>4</ymin><xmax>20</xmax><ymax>21</ymax></bndbox></object></annotation>`,
		"broken/picture.jpg":    "\xff\xd8\xff\xe0no more",
		"broken/empty.parquet":  "",
		"broken/half.parquet":   "PAR1PAR1",
		"broken/regions.json":   `{"images": [`,
		"broken/processor.json": `{"size": "large"}`,
		"broken/codes.jsonl":    "{\"id\": \"a\"\n",
		"handwriting/notes.txt": "left out\n",
		"full/x":                "x",
		"lists/timm.json": `{"architecture": "x", "pretrained_cfg": {"input_size": [3, 32, 32], "interpolation": "bicubic", "crop_pct": 0.9, ` +
			`"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.25, 0.5]}}`,
		"handwriting/Segmentation_Images/Lines/7/7_1/7_1_1.txt": "0 .5 .5 .2 1\n0 .8 .5 .2 1\nx\n",
	} {
		write(path, []byte(text))
	}
}
