package encoding

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
)

// jsonlFile is JSON Lines.
type jsonlFile struct {
	path  string
	first map[string]json.RawMessage
	from  *Origin
}

func openJSONL(path string) (file, error) {
	j := &jsonlFile{path: path}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := json.NewDecoder(bufio.NewReader(f)).Decode(&j.first); err != nil && err != io.EOF {
		return nil, fmt.Errorf("line 1: %w", err)
	}
	j.from, err = readOrigin(path)
	return j, err
}

func (j *jsonlFile) close() error           { return nil }
func (j *jsonlFile) origin() *Origin        { return j.from }
func (j *jsonlFile) rows(string) (_, _ int) { return 0, 0 }
func (j *jsonlFile) has(on string) bool {
	_, ok := j.first[on]
	// A file without rows says nothing; it has what is asked for, of no item.
	return ok || j.first == nil
}

func (j *jsonlFile) read(o OpenOptions, use func(*record) error) error {
	f, err := os.Open(j.path)
	if err != nil {
		return err
	}
	defer f.Close()
	d := json.NewDecoder(bufio.NewReaderSize(f, 1<<18))
	var r record
	var buf []byte
	for line := 1; ; line++ {
		var it item
		if err := d.Decode(&it); err == io.EOF {
			return nil
		} else if err != nil {
			return fmt.Errorf("line %d: %w", line, err)
		}
		if buf, err = it.record(&r, o.On, buf); err != nil {
			return fmt.Errorf("line %d: %w", line, err)
		}
		if o.Logits {
			if r.predicted, err = it.predicted(); err != nil {
				return fmt.Errorf("line %d: %w", line, err)
			}
		}
		if err := use(&r); err != nil {
			return err
		}
	}
}

// item is one row of JSON Lines.
type item struct {
	ID       *string         `json:"id"`
	Path     string          `json:"path"`
	Label    json.RawMessage `json:"label"` // a number, or of a region a name
	Status   string          `json:"status"`
	Error    string          `json:"error"`
	Digest   *string         `json:"digest"`
	Sketch   *string         `json:"sketch"`
	Code     json.RawMessage `json:"code"`
	Channels json.RawMessage `json:"channels"`
	Logits   json.RawMessage `json:"logits"`
	Image    string          `json:"image"`
	X0       float64         `json:"x0"`
	Y0       float64         `json:"y0"`
	X1       float64         `json:"x1"`
	Y1       float64         `json:"y1"`
}

// record fills r; code is decoded into buf, which is returned.
func (it *item) record(r *record, on string, buf []byte) ([]byte, error) {
	*r = record{path: []byte(it.Path), status: []byte(it.Status), message: []byte(it.Error), label: noLabel, predicted: noLabel,
		image: []byte(it.Image), box: [4]float64{it.X0, it.Y0, it.X1, it.Y1}}
	if it.ID != nil {
		r.id = append([]byte{}, *it.ID...)
	}
	var label *int64
	var class string
	if len(it.Label) > 0 && json.Unmarshal(it.Label, &label) != nil {
		if err := json.Unmarshal(it.Label, &class); err != nil {
			return buf, fmt.Errorf("a label that is neither a number nor a name: %w", err)
		}
		r.class = []byte(class)
	}
	if label != nil {
		r.label = *label
	}
	buf = buf[:0]
	var err error
	switch on {
	case "":
		return buf, nil
	case Digest:
		if it.Digest != nil {
			r.code = []byte(*it.Digest)
		}
		return buf, nil
	case Sketch:
		if it.Sketch == nil {
			return buf, nil
		}
		if buf, err = hex.AppendDecode(buf, []byte(*it.Sketch)); err != nil {
			return buf, fmt.Errorf("a sketch that is not hex: %w", err)
		}
	default:
		text := it.Code
		if on == Channels {
			text = it.Channels
		}
		if len(text) == 0 || string(text) == "null" {
			return buf, nil
		}
		if buf, err = parts(buf, text); err != nil {
			return buf, err
		}
	}
	r.code = buf
	return buf, nil
}

// parts decodes a code: hex, or an object whose values are the hex of its parts, in
// their order.
func parts(buf []byte, text json.RawMessage) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	first, err := d.Token()
	if err != nil {
		return buf, err
	}
	if s, ok := first.(string); ok {
		if buf, err = hex.AppendDecode(buf, []byte(s)); err != nil {
			return buf, fmt.Errorf("a code that is not hex: %w", err)
		}
		return buf, nil
	}
	if first != json.Delim('{') {
		return buf, fmt.Errorf("a code that is neither hex nor an object of its parts")
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return buf, err
		}
		part, err := d.Token()
		if err != nil {
			return buf, err
		}
		switch v := part.(type) {
		case string:
			if buf, err = hex.AppendDecode(buf, []byte(v)); err != nil {
				return buf, fmt.Errorf("the part %v of a code is not hex: %w", name, err)
			}
		default:
			return buf, fmt.Errorf("the part %v of a code is not hex", name)
		}
	}
	return buf, nil
}
