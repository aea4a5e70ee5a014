package dataset

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/klauspost/compress/zstd"

	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/engine/internal/safe"
	"github.com/onnxprobe/onnxprobe/onnx"
)

// Tar files in the WebDataset convention (https://github.com/webdataset/webdataset):
// a member's key is its path up to the first dot of the base name, what follows
// is its extension, and consecutive members of one key are one sample.
//
// Every sample is an item. One without an image, with more than one, or with a
// member that is cut off, a link, sparse or over the limit is an item with an
// error. A key that comes again later is another item, and its ID gets #2. Where
// a file cannot be read further, one more item, KEY "(unreadable)", says so.
// Names in a tar file are names only: nothing is written, links lead nowhere.

var tarExtensions = []string{".tar", ".tar.gz", ".tgz", ".tar.zst", ".tar.zstd", ".tzst"}

func isTarName(name string) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc(tarExtensions, func(ext string) bool { return len(name) > len(ext) && strings.HasSuffix(name, ext) })
}

func looksTar(fsys fs.FS, path string) bool {
	if isTarName(path) {
		return true
	}
	f, size, err := openRegular(fsys, path)
	if err != nil {
		return false
	}
	defer f.Close()
	var magic [5]byte
	return size >= 512 && safe.ReadAt(f, magic[:], 257) == nil && string(magic[:]) == "ustar"
}

func openTar(path string, o Options) ([]source, error) {
	return eachShared(o, path, isTarName, newShard)
}

// shard is the samples of a tar file.
type shard struct {
	encoded
	file *sharedFile
	tarIndex
}

// tarIndex is where the samples of a tar file are.
type tarIndex struct {
	samples samples
	labels  labels
	class   []string
	// left says which labels are left out.
	left string
	// again holds, in order, the IDs' suffixes of keys that came before.
	again []repeat
	// broken is why the file cannot be read further, for the last item.
	broken error
}

type tarItem struct {
	at, size int64 // of the image's bytes in the unpacked tar file
	fault    tarFault
}

// tarFault is what is wrong with a sample, in one byte.
type tarFault uint8

const (
	tarGood tarFault = iota
	tarNoImage
	tarTwoImages
	tarCut
	tarSpecial
	tarSparse
	tarLarge
	tarBadLabel
	tarLongName
	tarBroken
)

func (s *shard) fault(f tarFault) error {
	switch f {
	case tarNoImage:
		return errors.New("the sample has no image: no member of this key is named .jpg, .jpeg, .png, .webp, .gif, .bmp, .tiff or .img")
	case tarTwoImages:
		return onnx.Remedy(errors.New("the sample has more than one image; say which by its extension, as the column"),
			"dataset.Options.Column=EXTENSION")
	case tarCut:
		return fmt.Errorf("the file is cut off in this sample: %w", s.broken)
	case tarSpecial:
		return errors.New("the image is a link or a device, not a file")
	case tarSparse:
		return errors.New("the image is a sparse file, which is not read; write the tar file without its option sparse")
	case tarLarge:
		return fmt.Errorf("it has more than %d bytes, the limit for one image", s.o.MaxFileBytes)
	case tarBadLabel:
		return errors.New("its .cls is neither a number nor the name of a class")
	case tarLongName:
		return fmt.Errorf("its name is longer than %d bytes", maxKey)
	}
	return fmt.Errorf("the rest of the tar file cannot be read: %w", s.broken)
}

const (
	// maxKey bounds a member's name, and maxTarIndex the memory for all of a file.
	maxKey      = 4096
	maxTarIndex = 4 << 30
	// maxTarLabel and maxTarJSON bound the members that are read for a label.
	maxTarLabel = maxClassName
	maxTarJSON  = 1 << 20
	// maxTarUnpacked bounds what a compressed tar file unpacks to. Nothing of it is
	// kept, but a small file can take forever.
	maxTarUnpacked = 1 << 40
	// A window of 128 MiB is what zstd --long takes.
	maxZstdWindow = 128 << 20
)

func newShard(file *sharedFile, o Options) (source, error) {
	s := &shard{file: file}
	s.part = part{o: o, path: file.path, format: "webdataset", name: filepath.Base(file.path)}
	s.where = func(i int) string { return s.path + "/" + s.samples.keyAt(i) }
	s.root = func() string { return s.path }
	x := tarIndexer{limit: o.MaxFileBytes, column: strings.TrimPrefix(strings.ToLower(o.Column), ".")}
	unpack, err := unpacker(file)
	if err != nil {
		return nil, err
	}
	if unpack == nil {
		r := file.section()
		err = x.index(r, func() int64 { at, _ := r.Seek(0, io.SeekCurrent); return at }, file.is.Size())
		s.load = s.loadAt
	} else {
		err = x.indexPacked(unpack)
		w := &window{all: o.shared, lead: maxPassed / 8, start: func() (cursor, error) {
			r, err := unpack()
			return &tarStream{s: s, r: r}, err
		}}
		s.load = w.get
	}
	if x.samples.len() == 0 && !x.open && err != nil {
		return nil, fmt.Errorf("it is not a tar file: %w", err)
	}
	s.tarIndex = x.finish(err)
	s.part.class, s.label = s.tarIndex.class, s.labels.at
	s.unlabelled = s.left
	return s, s.settle(o, s.samples.len())
}

// unpacker tells by its first bytes how a file is compressed; nil when it is not.
func unpacker(f *sharedFile) (func() (io.ReadCloser, error), error) {
	var b [6]byte
	n, err := f.ReadAt(b[:], 0)
	if n == 0 {
		if err == io.EOF {
			err = errors.New("the file is empty")
		}
		return nil, err
	}
	switch magic := string(b[:n]); {
	case strings.HasPrefix(magic, "\x1f\x8b"):
		return func() (io.ReadCloser, error) { return gzip.NewReader(bufio.NewReaderSize(f.section(), 1<<18)) }, nil
	case strings.HasPrefix(magic, "\x28\xb5\x2f\xfd"), n >= 4 && magic[0]&0xf0 == 0x50 && magic[1:4] == "\x2a\x4d\x18":
		return func() (io.ReadCloser, error) {
			z, err := zstd.NewReader(bufio.NewReaderSize(f.section(), 1<<18), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
				zstd.WithDecoderMaxWindow(maxZstdWindow), zstd.WithDecoderMaxMemory(maxTarUnpacked))
			if err != nil {
				return nil, err
			}
			return z.IOReadCloser(), nil
		}, nil
	case strings.HasPrefix(magic, "BZh"), strings.HasPrefix(magic, "\xfd7zXZ\x00"), strings.HasPrefix(magic, "\x04\x22\x4d\x18"):
		return nil, errors.New("it is compressed with bzip2, xz or LZ4, which is not read; want gzip, Zstandard or no compression")
	}
	return nil, nil
}

// loadAt reads an image of a plain tar file in place.
func (s *shard) loadAt(i int) ([]byte, error) {
	it := s.samples.at(i)
	if it.fault != tarGood {
		return nil, s.fault(it.fault)
	}
	b := make([]byte, it.size)
	return b, safe.ReadAt(s.file, b, it.at)
}

// tarStream reads the images of a compressed tar file, which can only be read
// forward.
type tarStream struct {
	s   *shard
	r   io.ReadCloser
	at  int64
	err error // nothing comes after it
}

func (t *tarStream) read(i int) ([]byte, error) {
	it := t.s.samples.at(i)
	if it.fault != tarGood {
		return nil, t.s.fault(it.fault)
	}
	if t.err != nil {
		return nil, t.err
	}
	var b []byte
	n, err := io.CopyN(io.Discard, t.r, it.at-t.at)
	t.at += n
	if err == nil {
		b = make([]byte, it.size)
		var n int
		n, err = io.ReadFull(t.r, b)
		t.at += int64(n)
	}
	if err != nil {
		t.err = fmt.Errorf("unpacking: byte %d: %w", t.at, err)
	}
	return b, t.err
}

func (t *tarStream) close() { t.r.Close() }

// tarIndexer reads the headers of a tar file, and labels.
type tarIndexer struct {
	tarIndex
	limit  int64
	column string
	words  labelling
	before string // the last item's key
	// unsorted says that a key may have come before.
	unsorted bool
	cur      tarSample
	open     bool // cur is a sample
	mine     bool // the last member is of cur
	cut      bool // and there is less of it than its header says
}

// tarSample is a sample whose members are being gathered.
type tarSample struct {
	key   string
	image tarItem
	rank  int  // how surely the image is it: 0 for none
	two   bool // another member is as sure
	cls   string
	json  string
	bad   tarFault // of the sample but its image
}

// counted counts what is read from r, and ends with an error at a limit.
type counted struct {
	r io.Reader
	n int64
}

func (c *counted) Read(b []byte) (int, error) {
	if c.n >= maxTarUnpacked {
		return 0, fmt.Errorf("it unpacks to more than %d bytes", int64(maxTarUnpacked))
	}
	n, err := c.r.Read(b)
	c.n += int64(n)
	return n, err
}

func (x *tarIndexer) indexPacked(unpack func() (io.ReadCloser, error)) error {
	r, err := unpack()
	if err != nil {
		return fmt.Errorf("unpacking: %w", err)
	}
	defer r.Close()
	c := &counted{r: r}
	if err := x.index(c, func() int64 { return c.n }, math.MaxInt64); err != nil {
		return err
	}
	// The checksum comes after the padding.
	if _, err := io.CopyN(io.Discard, c, 1<<20); err != io.EOF && err != nil {
		return fmt.Errorf("unpacking, at its end: %w", err)
	}
	return nil
}

// index reads the headers from r; at says how far it is, size where it ends, if
// that is known.
func (x *tarIndexer) index(r io.Reader, at func() int64, size int64) (err error) {
	defer safe.Rescue(&err)
	t := tar.NewReader(r)
	end := int64(0) // of the last member's bytes
	defer func() { x.cut = err != nil && end > min(at(), size) }()
	for {
		h, err := t.Next()
		if err == io.EOF { // after blocks of zeros, or for want of them
			if at() < (end+511)/512*512+512 {
				return fmt.Errorf("byte %d: it ends without an end mark, as one that is cut off", at())
			}
			return nil
		}
		if err != nil && !errors.Is(err, tar.ErrInsecurePath) {
			return fmt.Errorf("byte %d: %w", at(), err)
		}
		if h.Size < 0 || h.Size > math.MaxInt64-at() {
			return fmt.Errorf("byte %d: a member has %d bytes", at(), h.Size)
		}
		sparse := h.Typeflag == tar.TypeGNUSparse
		for k := range h.PAXRecords {
			sparse = sparse || strings.HasPrefix(k, "GNU.sparse.")
		}
		if end, x.mine = at()+h.Size, false; sparse {
			end = at() // its size is not what is stored
		}
		if err := x.member(h, sparse, at(), t); err != nil {
			return fmt.Errorf("byte %d: %w", at(), err)
		}
		if end > size {
			return fmt.Errorf("byte %d: %w", size, io.ErrUnexpectedEOF)
		}
		// A label, a key's hash and what holds a block come to sixteen bytes at most.
		if x.samples.bytes+16*int64(x.samples.len()) > maxTarIndex {
			return fmt.Errorf("it has more than %d samples; split it", x.samples.len())
		}
	}
}

// member takes the next member, whose bytes begin at.
func (x *tarIndexer) member(h *tar.Header, sparse bool, at int64, r io.Reader) error {
	switch h.Typeflag {
	case tar.TypeDir, tar.TypeXGlobalHeader:
		return nil
	}
	name := strings.TrimPrefix(h.Name, "./")
	dir, base := path.Split(name)
	stem, ext, ok := strings.Cut(base, ".")
	if !ok || stem == "" { // as WebDataset does
		return nil
	}
	key, ext := dir+stem, strings.ToLower(ext)
	long := len(key) > maxKey
	if long {
		key = key[:maxKey]
	}
	if !x.open || key != x.cur.key {
		x.flush()
		x.open, x.cur = true, tarSample{key: strings.Clone(key)}
	}
	x.mine = true
	c := &x.cur
	if long {
		c.bad = tarLongName
	}
	regular := !sparse && (h.Typeflag == tar.TypeReg || h.Typeflag == tar.TypeCont)
	if regular && ext == "cls" && x.column != "cls" {
		if h.Size > maxTarLabel {
			c.bad = tarBadLabel
			return nil
		}
		b, err := io.ReadAll(io.LimitReader(r, maxTarLabel))
		if c.cls = string(bytes.TrimSpace(b)); !isWord(c.cls) {
			c.cls, c.bad = "", tarBadLabel
		}
		return err
	}
	if regular && ext == "json" && h.Size <= maxTarJSON && x.column != "json" {
		b, err := io.ReadAll(io.LimitReader(r, maxTarJSON))
		var nested bool
		if c.json, nested = labelIn(b); nested {
			x.words.odd++
		}
		return err
	}
	rank := x.rank(ext)
	if rank == 0 || rank < c.rank {
		return nil
	}
	if rank == c.rank {
		c.two = true
		return nil
	}
	c.rank, c.two = rank, false
	c.image = tarItem{at: at, size: h.Size}
	switch {
	case sparse:
		c.image.fault = tarSparse
	case !regular:
		c.image.fault = tarSpecial
	case h.Size > x.limit:
		c.image.fault = tarLarge
	}
	return nil
}

// rank says how surely a member of an extension is the sample's image: jpg is,
// and left.jpg is where there is no jpg.
func (x *tarIndexer) rank(ext string) int {
	if x.column != "" {
		if ext == x.column {
			return 4
		}
		return 0
	}
	switch name := "x." + ext; {
	case picture.IsName(name) && !strings.Contains(ext, ".") || ext == "img":
		return 3
	case picture.IsName(name):
		return 2
	case picture.Unread(name) != nil: // whose error names its kind
		return 1
	}
	return 0
}

func isWord(s string) bool {
	return s != "" && utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}

// flush makes an item of the sample that was gathered.
func (x *tarIndexer) flush() {
	if !x.open {
		return
	}
	x.open = false
	c := &x.cur
	it := c.image
	switch {
	case c.bad == tarCut, c.bad == tarLongName:
		it.fault = c.bad
	case c.rank == 0:
		it.fault = tarNoImage
	case c.two:
		it.fault = tarTwoImages
	case it.fault == tarGood:
		it.fault = c.bad
	}
	word := c.cls
	if word == "" {
		word = c.json
	}
	x.item(c.key, it, word)
}

func (x *tarIndexer) item(key string, it tarItem, word string) {
	x.unsorted = x.unsorted || x.samples.len() > 0 && key <= x.before
	x.before = key
	x.samples.add(key, it)
	x.words.add(word)
}

// finish is the index; err is what ended it before the end.
func (x *tarIndexer) finish(err error) tarIndex {
	x.broken = err
	cut := x.cut && x.open && x.mine
	if cut {
		x.cur.bad = tarCut
	}
	x.flush()
	if err != nil && !cut {
		x.item("(unreadable)", tarItem{fault: tarBroken}, "")
	}
	x.labels, x.class = x.words.settle()
	x.left = x.words.why()
	if x.samples.settle(); x.unsorted {
		x.again = repeated(x.samples.len(), x.samples.each)
	}
	return x.tarIndex
}

// labelIn is the word that a JSON object has for cls or label, "" without, and whether it
// has a list or an object instead.
func labelIn(b []byte) (word string, nested bool) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return "", false
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			break
		}
		var raw json.RawMessage
		if d.Decode(&raw) != nil {
			break
		}
		if key == "cls" || key == "label" {
			if w := jsonWord(raw); w != "" && (word == "" || key == "cls") {
				word = w
			}
			nested = nested || isNested(raw)
		}
	}
	return word, nested && word == ""
}

func isNested(raw json.RawMessage) bool {
	b := bytes.TrimSpace(raw)
	return len(b) > 0 && (b[0] == '[' || b[0] == '{')
}

// jsonWord is a JSON number, string or Boolean as a word.
func jsonWord(raw json.RawMessage) string {
	var n json.Number
	var s string
	if len(raw) > maxClassName {
		return ""
	}
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	if json.Unmarshal(raw, &n) == nil {
		return n.String()
	}
	if b := string(bytes.TrimSpace(raw)); b == "true" || b == "false" {
		return b
	}
	return ""
}

func (s *shard) distinct() (string, bool) { return plain(s.before+s.name) + "/", true }

func (s *shard) Item(i int) Item {
	it := s.item(s.before+s.name+"/"+s.samples.keyAt(i), i)
	at, ok := slices.BinarySearchFunc(s.again, i, func(a repeat, i int) int { return a.item - i })
	if ok {
		it.ID += "#" + strconv.Itoa(s.again[at].suffix)
	}
	return it
}
