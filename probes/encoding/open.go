package encoding

import (
	"cmp"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/onnxprobe/onnxprobe/probes/result"
)

// OpenOptions say what of a result is read.
type OpenOptions struct {
	// On is which of an item's codes to read: Digest, Sketch, Code or Channels. "" takes
	// the sketches, or where there are none the codes, the channel codes or the digests; of
	// regions, whose other codes are of units of their own each, the channel codes first.
	On string
	// MaxBytes bounds the memory that the codes take; 0 is no bound.
	MaxBytes int64
	// Names says that only names, labels and codes are needed: no paths, no regions' boxes.
	Names bool
	// Logits reads what the network predicted too, from the column "logits" where there
	// is one; of its entries none but the largest one's place is kept.
	Logits bool
}

// TooLargeError says that codes do not fit into OpenOptions.MaxBytes.
type TooLargeError struct{ Need, Max int64 }

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("the codes take %s of memory, more than the %s allowed", size(e.Need), size(e.Max))
}

// NoCodesError says that a result has no codes of the kind asked for: whoever would take
// another kind may, as they may not where codes cannot be read.
type NoCodesError struct{ text string }

func (e *NoCodesError) Error() string { return e.text }

func size(n int64) string {
	switch {
	case n >= 10<<30:
		return fmt.Sprintf("%d GiB", n>>30)
	case n >= 10<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d bytes", n)
}

// reserve makes room for n more codes, or says that they are too many.
func (c *Codes) reserve(n int, maxBytes int64) error {
	groups := (int64(c.n) + int64(n) + lanes - 1) / lanes
	if need := groups * int64(c.words) * lanes * 8; maxBytes > 0 && need > maxBytes {
		return &TooLargeError{need, maxBytes}
	}
	c.grow(n)
	return nil
}

// Open reads the codes of a result file, of a folder of them in the order of their
// names, such as a batch job's, or of a FAISS IndexBinaryFlat. Of a file only what
// is asked for is read, where its format allows that. Items that have no code are
// left out and counted. Every file is taken for hostile.
func Open(path string, o OpenOptions) (*Codes, error) {
	switch o.On {
	case "", Digest, Sketch, Code, Channels:
	default:
		return nil, fmt.Errorf("codes are of the kinds %s, %s, %s and %s, not %q", Digest, Sketch, Code, Channels, o.On)
	}
	c, err := open(path, o)
	if err != nil {
		return nil, fmt.Errorf("reading the codes in %s: %w", path, err)
	}
	c.Name = path
	c.settle()
	return c, nil
}

func open(path string, o OpenOptions) (*Codes, error) {
	st, err := os.Stat(path)
	var p *os.PathError
	switch {
	case errors.As(err, &p):
		return nil, p.Err
	case st.Mode().IsRegular():
		return openFiles([]string{path}, nil, o)
	case !st.IsDir():
		return nil, errors.New("it is neither a file nor a folder")
	}
	files, plan, notes, err := shards(path)
	if err != nil {
		return nil, err
	}
	origin, err := plan.origin(path)
	if err != nil {
		return nil, err
	}
	c, err := openFiles(files, origin, o)
	if err == nil {
		c.Notes = append(c.Notes, notes...)
	}
	return c, err
}

var jobShard = regexp.MustCompile(`^[0-9]+\.[a-z]+$`)

// shards are the result files of a folder, with the plan of the job that made them.
func shards(dir string) (files []string, plan jobPlan, notes []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, plan, nil, err
	}
	exists := func(name string) bool { _, err := os.Stat(filepath.Join(dir, name)); return err == nil }
	job := exists("plan.json")
	for _, ext := range []string{".parquet", ".npy", ".jsonl"} {
		for _, e := range entries {
			name := e.Name()
			if e.IsDir() || strings.ToLower(filepath.Ext(name)) != ext || strings.HasPrefix(name, ".") ||
				strings.HasSuffix(name, ".items.jsonl") || job && !jobShard.MatchString(name) {
				continue
			}
			files = append(files, filepath.Join(dir, name))
		}
		if files != nil {
			break
		}
	}
	if files == nil && job {
		return nil, plan, nil, fmt.Errorf("the job in it has no shard yet; onnxprobe hash run %s makes them", dir)
	}
	if files == nil {
		return nil, plan, nil, errors.New("the folder has no .parquet, .npy or .jsonl files")
	}
	// Numbers that have outgrown their zeros come last.
	slices.SortFunc(files, func(a, b string) int {
		if job && len(a) != len(b) {
			return len(a) - len(b)
		}
		return strings.Compare(a, b)
	})
	if !job {
		return files, plan, nil, nil
	}
	if err = readJSON(dir, "plan.json", &plan); err == nil {
		err = plan.holds(dir, files, exists("_SUCCESS"))
	}
	if err != nil {
		return nil, plan, nil, fmt.Errorf("%w; onnxprobe hash verify %s says what to do", err, dir)
	}
	if !exists("_SUCCESS") {
		notes = append(notes, fmt.Sprintf("the job in %s is not finished; %d of its shards are read", dir, len(files)))
	}
	return files, plan, notes, nil
}

// holds is an error where the files are not the shards of the plan: a job that is finished
// has all of them, and each has the size that its record says.
func (plan *jobPlan) holds(dir string, files []string, finished bool) error {
	var whole struct {
		Aside []struct{ Shard int } `json:"set_aside"`
	}
	if err := readJSON(dir, "manifest.json", &whole); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	there := map[int]bool{}
	for _, path := range files {
		base := filepath.Base(path)
		i, err := strconv.Atoi(strings.TrimSuffix(base, filepath.Ext(path)))
		if err != nil || plan.Shards != nil && i >= len(plan.Shards) {
			return fmt.Errorf("%s is no shard of the job, which has %d", base, len(plan.Shards))
		}
		there[i] = true
		var record struct {
			Shard int `json:"shard"`
			Files []struct {
				Name  string `json:"name"`
				Bytes int64  `json:"bytes"`
			} `json:"files"`
		}
		err = readJSON(dir, fmt.Sprintf("%05d_stats.json", i), &record)
		if errors.Is(err, fs.ErrNotExist) {
			continue // it is being made, or verify's to find
		}
		if err != nil {
			return err
		}
		for _, f := range record.Files {
			st, err := os.Stat(filepath.Join(dir, filepath.Base(f.Name)))
			if err != nil {
				return err
			}
			if st.Size() != f.Bytes || record.Shard != i {
				return fmt.Errorf("%s is not what its record says: it has %d bytes, want %d of shard %d", f.Name, st.Size(), f.Bytes, i)
			}
		}
	}
	for _, a := range whole.Aside {
		there[a.Shard] = true
	}
	for i := range plan.Shards {
		if finished && !there[i] {
			return fmt.Errorf("the job is finished, and its shard %d is not there", i)
		}
	}
	return nil
}

// itsShard is an error where a file says that it is another shard than it is called.
func itsShard(f *source) error {
	base := filepath.Base(f.Path())
	if f.shard < 0 || !jobShard.MatchString(base) {
		return nil
	}
	if name := fmt.Sprintf("%05d.parquet", f.shard); name != base {
		return fmt.Errorf("it is shard %d of a job, and not called %s; onnxprobe hash verify %s says what to do",
			f.shard, name, filepath.Dir(f.Path()))
	}
	return nil
}

// readJSON reads a file of a folder, a regular one.
func readJSON(dir, name string, v any) error {
	path := filepath.Join(dir, name)
	st, err := os.Stat(path)
	if err == nil && !st.Mode().IsRegular() {
		err = errors.New("it is not a regular file")
	}
	var b []byte
	if err == nil {
		b, err = os.ReadFile(path)
	}
	if err == nil {
		err = json.Unmarshal(b, v)
	}
	if err != nil {
		err = fmt.Errorf("reading %s: %w", path, err)
	}
	return err
}

// choose is the kind of codes to read.
func choose(f *source, on string) (string, error) {
	there := []string{Sketch, Code, Channels, Digest}
	if f.has("selection") { // codes of parts of pictures
		there = []string{Channels, Digest, Sketch}
	}
	there = slices.DeleteFunc(there, func(kind string) bool { return !f.has(kind) })
	switch {
	case len(there) == 0:
		return "", &NoCodesError{fmt.Sprintf("it has none of the columns %s, %s, %s and %s; the verbs codes and hash write them", Sketch, Code, Channels, Digest)}
	case on == "":
		return there[0], nil
	case !slices.Contains(there, on):
		return "", &NoCodesError{fmt.Sprintf("its items have no %s; they have: %s", on, strings.Join(there, ", "))}
	}
	return on, nil
}

// openFiles reads files one after the other. origin is that of all of them, nil when
// each has its own.
func openFiles(paths []string, origin *Origin, o OpenOptions) (*Codes, error) {
	b := &builder{OpenOptions: o, origin: origin, failed: map[string]string{}}
	for i, path := range paths {
		f, err := openFile(path)
		if err == nil {
			if err = itsShard(f); err == nil {
				err = b.file(f, i == 0)
			}
			if err == nil {
				err = b.alike(f)
			}
			f.Close()
		}
		if err != nil && len(paths) > 1 {
			err = fmt.Errorf("%s: %w", filepath.Base(path), err)
		}
		if err != nil {
			return nil, err
		}
	}
	c := b.c
	if c == nil { // of no item
		c, _ = NewCodes(max(b.width, 1))
	}
	c.On, c.Origin, c.Failed, c.failed = b.On, b.origin, b.failures, b.failed
	return c, nil
}

// alike is an error for sketches of regions of which several selections of units were made:
// their bits are of other units, and no distance says anything.
func (b *builder) alike(f *source) error {
	if b.On != Sketch || !f.has("selection") {
		return nil
	}
	return f.Read(func(name string) bool { return name == "selection" }, func(cols []result.Column) error {
		for _, c := range cols {
			values, _ := c.Values.([]string)
			for i, v := range values {
				if c.Null != nil && c.Null[i] || v == "" {
					continue
				}
				if b.selection == "" {
					b.selection = v
				}
				if v != b.selection {
					return errors.New("its sketches are of regions with different selections of units, and only those of one can be " +
						"compared; channel codes compare any regions")
				}
			}
		}
		return nil
	})
}

// builder gathers the codes of files.
type builder struct {
	OpenOptions
	selection string // of the regions so far
	c         *Codes // nil before the first code
	width     int    // that files say
	origin    *Origin
	row       int // of all files together
	failures  int
	failed    map[string]string
}

// maxFailed is how many items without a code are remembered by name.
const maxFailed = 10_000

func (b *builder) file(f *source, first bool) (err error) {
	if err := f.settle(b.origin); err != nil {
		return err
	}
	if first {
		b.On, err = choose(f, b.On)
	} else if !f.has(b.On) {
		err = fmt.Errorf("its items have no %s, and those of the files before it have", b.On)
	}
	if err != nil {
		return err
	}
	if own := f.origin; b.origin == nil {
		b.origin = own
	} else if own != nil {
		if what := b.origin.Differences(own, b.On); what != nil {
			return fmt.Errorf("it does not belong to the files before it; they differ in %s", join(what))
		}
	}
	if n, width := f.size(b.On); width > 0 {
		if b.width, err = width, b.start(width); err == nil {
			err = b.c.reserve(n, b.MaxBytes)
		}
		if err == nil {
			b.c.ids.expect(n)
		}
		if _, placed := f.column("path"); err == nil && placed && !b.Names {
			b.c.paths.expect(n)
		}
		if err != nil {
			return err
		}
	}
	before := b.row
	return f.Read(b.wants(f.named(b.On)), func(cols []result.Column) error {
		if err := b.write(cols, f.named(b.On)); err != nil {
			return fmt.Errorf("row %d: %w", b.row-1-before, err)
		}
		return nil
	})
}

// wants are the columns that are read: the codes, in the column called codes, and what is
// asked for of the items.
func (b *builder) wants(codes string) func(string) bool {
	names := []string{codes, "id", "status", "error", "label", "class"}
	if !b.Names {
		names = append(append(names, "path", "image"), boxColumns[:]...)
	}
	if b.Logits {
		names = append(names, "logits")
	}
	return func(name string) bool { return slices.Contains(names, name) }
}

// start makes the set when the first code comes.
func (b *builder) start(width int) (err error) {
	if b.c == nil {
		b.c, err = NewCodes(width)
	} else if width != b.c.width {
		err = fmt.Errorf("a code of %d bytes; those before it have %d", width, b.c.width)
	}
	return err
}

// record is what a row says of an item.
type record struct {
	id, path        string
	named, placed   bool // it has an ID, and may have a path
	status, message string
	label           Label  // without number and name where it is not known
	predicted       int64  // NoNumber where it is not known
	code            []byte // nil when the item has none
	image           string // of a region: its picture's ID
	box             [4]float64
}

// batch is what of a result's columns is read, with nil Values of those that are not there.
type batch struct {
	id, path, status, message, image, class, label, code, logits result.Column
	box                                                          [4]result.Column
	rows                                                         int
}

// batchOf finds the columns of a batch; the codes are in the one called codes.
func batchOf(cols []result.Column, codes string) (b batch, err error) {
	to := map[string]*result.Column{
		"id": &b.id, "path": &b.path, "status": &b.status, "error": &b.message, "image": &b.image, "class": &b.class,
	}
	for _, c := range cols {
		if _, texts := c.Values.([]string); to[c.Name] != nil && (!texts || c.Width > 0) {
			return b, fmt.Errorf("column %s holds %T of %d a row; want texts", c.Name, c.Values, max(c.Width, 1))
		}
	}
	to["label"], to["logits"], to[codes] = &b.label, &b.logits, &b.code
	for i, name := range boxColumns {
		to[name] = &b.box[i]
	}
	for _, c := range cols {
		b.rows = rowsOf(c)
		if at := to[c.Name]; at != nil {
			*at = c
		}
	}
	return b, nil
}

// textAt is a row's text; ok is false where there is none.
func textAt(c *result.Column, row int) (s string, ok bool) {
	v, _ := c.Values.([]string)
	if v == nil || c.Null != nil && c.Null[row] {
		return "", false
	}
	return v[row], true
}

// numberAt is a row's number, NaN where there is none.
func numberAt(c *result.Column, row int) float64 {
	if c.Null != nil && c.Null[row] {
		return math.NaN()
	}
	switch v := c.Values.(type) {
	case []float64:
		return v[row]
	case []float32:
		return float64(v[row])
	case []int64:
		return float64(v[row])
	case []int32:
		return float64(v[row])
	}
	return math.NaN()
}

// labelAt is a row's label: a number with the class's name, or of a region a name.
func (b *batch) labelAt(row int) Label {
	c, l := &b.label, Label{Number: NoNumber}
	if c.Width > 0 || c.Null != nil && c.Null[row] {
		return l
	}
	switch v := c.Values.(type) {
	case []int64:
		l.Number = v[row]
	case []int32:
		l.Number = int64(v[row])
	case []string:
		l.Name = v[row]
		return l
	}
	l.Name, _ = textAt(&b.class, row)
	return l
}

// boxAt is a region's box, zero where the row is of none.
func (b *batch) boxAt(row int) (box [4]float64) {
	for i := range box {
		if box[i] = numberAt(&b.box[i], row); math.IsNaN(box[i]) {
			return [4]float64{}
		}
	}
	return box
}

// codeAt is a row's code, appended to buf where it is a digest; nil where it has none.
func (b *batch) codeAt(row int, buf []byte) ([]byte, error) {
	c := &b.code
	if c.Values == nil || c.Null != nil && c.Null[row] {
		return nil, nil
	}
	switch v := c.Values.(type) {
	case []uint8:
		if c.Width > 0 {
			return v[row*c.Width : (row+1)*c.Width], nil
		}
	case []string:
		if c.Name == Digest && c.Width == 0 {
			return append(buf, v[row]...), nil
		}
		if c.Width == 0 { // of other lengths, which is said of the first one, or no hex
			code, err := hex.DecodeString(v[row])
			if err != nil {
				return nil, fmt.Errorf("a code %.40q, which is not in hex: %w", v[row], err)
			}
			return code, nil
		}
	}
	return nil, fmt.Errorf("column %s holds %T of %d a row; codes are bytes, of one length or in hex",
		c.Name, c.Values, max(c.Width, 1))
}

// write adds the rows of a batch, whose codes are in the column called codes.
func (b *builder) write(cols []result.Column, codes string) error {
	of, err := batchOf(cols, codes)
	if err != nil {
		return err
	}
	var buf [32]byte
	for row := range of.rows {
		r := record{placed: of.path.Values != nil, predicted: NoNumber}
		r.id, r.named = textAt(&of.id, row)
		r.path, _ = textAt(&of.path, row)
		r.status, _ = textAt(&of.status, row)
		r.message, _ = textAt(&of.message, row)
		r.label = of.labelAt(row)
		if r.code, err = of.codeAt(row, buf[:0]); err == nil && b.Logits {
			r.predicted, err = largest(&of.logits, row)
		}
		if of.box[3].Values != nil {
			r.image, _ = textAt(&of.image, row)
			r.box = of.boxAt(row)
		}
		if err != nil {
			b.row++
			return err
		}
		if err := b.add(&r); err != nil {
			return err
		}
	}
	return nil
}

// rowsOf is the number of a column's rows.
func rowsOf(c result.Column) int { return reflect.ValueOf(c.Values).Len() / max(c.Width, 1) }

func (b *builder) add(r *record) error {
	b.row++
	if r.code == nil || r.status != "" && r.status != "ok" {
		b.failures++
		if len(b.failed) < maxFailed {
			b.failed[strings.Clone(r.id)] = strings.Clone(cmp.Or(r.message, "it has no "+b.On))
		}
		return nil
	}
	code := r.code
	if b.On == Digest {
		var digest [16]byte
		if len(code) != hex.EncodedLen(len(digest)) {
			return fmt.Errorf("a digest of %d characters; want %d", len(code), hex.EncodedLen(len(digest)))
		}
		if _, err := hex.Decode(digest[:], code); err != nil {
			return fmt.Errorf("a digest that is not hex: %w", err)
		}
		code = digest[:]
	}
	err := b.start(len(code))
	if c := b.c; err == nil && c.n%lanes == 0 && c.n == cap(c.data)/(c.words*lanes)*lanes {
		err = c.reserve(1, b.MaxBytes)
	}
	if err == nil {
		err = b.c.Append(code)
	}
	if err == nil {
		b.c.describe(r, b.row-1)
	}
	return err
}

// describe says what the item of the code last appended is: row of what was read.
func (c *Codes) describe(r *record, row int) {
	if r.named || c.ids.len() > 0 || row != c.n-1 {
		for c.ids.len() < c.n-1 {
			c.ids.add(strconv.Itoa(c.ids.len()))
		}
		id := r.id
		if !r.named {
			id = strconv.Itoa(row)
		}
		c.ids.add(id)
	}
	if r.placed || c.paths.len() > 0 {
		c.paths.put(c.n-1, r.path)
	}
	c.labels.put(c.n-1, r.label)
	c.network.put(c.n-1, numbered(r.predicted))
	if r.box != ([4]float64{}) {
		c.regions.add(c.n-1, Region{r.image, r.label.Name, r.box})
	}
}

// settle finds how many bits there are.
func (c *Codes) settle() {
	c.Bits = c.width * 8
	if c.Origin == nil {
		return
	}
	full := c.Origin.bits()
	switch k := c.Origin.Settings.Sketch; {
	case c.On == Sketch:
		c.FullBits = full
		if (k+7)/8 == c.width {
			c.Bits = k
		}
	case c.On == Code && c.Origin.CodeBytes == c.width && full > 0:
		c.Bits = full
	case c.On == Channels:
		if parts := c.Parts(); parts != nil {
			c.Bits = 0
			for _, p := range parts {
				c.Bits += p.Bits
			}
		}
	}
}
