package dataset

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/onnxprobe/onnxprobe/onnx/tensor"
)

// ReadSide reads a row for each of some items from a .npy file, or from an array of a
// .npz file: PATH:KEY, or PATH where it holds one alone. A row has the shape and the
// type that the model takes; floats are rounded to the model's, whole numbers widened
// or narrowed where they fit, and a row may have other axes of as many elements. The
// array is held in memory: at most limit bytes, 0 for DefaultMaxUnpacked.
func ReadSide(name string, d tensor.DType, shape []int, items int, path string, limit int64) (Side, error) {
	t, err := readArray(path, limit)
	if err == nil {
		t, err = rowsOf(t, d, shape, items)
	}
	if err != nil {
		return Side{}, fmt.Errorf("reading the input %q from %s: %w", name, path, err)
	}
	return Side{Name: name, Rows: t, From: path}, nil
}

// ReadSharedSide reads what all items have from a file as ReadSide does, an array of the
// shape that the model takes. Its values become From, as those of ConstantSide are.
func ReadSharedSide(name string, d tensor.DType, shape []int, path string, limit int64) (Side, error) {
	t, err := readArray(path, limit)
	if err == nil && !slices.Equal(t.Shape, shape) {
		err = fmt.Errorf("got an array of shape %v, want %v: the input has no batch axis, so all items share it and none has a row of its own", t.Shape, shape)
	}
	if err == nil {
		t, err = as(t, d)
	}
	if err != nil {
		return Side{}, fmt.Errorf("reading the input %q from %s: %w", name, path, err)
	}
	values, floats := make([]string, t.Len()), t.Float64s()
	for i := range values {
		if d.IsFloat() {
			values[i] = strconv.FormatFloat(floats[i], 'g', -1, 64)
		} else {
			v, _ := wholeOf(reflect.ValueOf(t.Data).Index(i))
			values[i] = strconv.FormatInt(v, 10)
		}
	}
	return ConstantSide(name, d, shape, strings.Join(values, ","))
}

func readArray(path string, limit int64) (*tensor.Tensor, error) {
	if limit == 0 {
		limit = DefaultMaxUnpacked
	}
	file, key := path, ""
	if i := strings.LastIndexByte(path, ':'); i > 0 && strings.EqualFold(filepath.Ext(path[:i]), ".npz") {
		file, key = path[:i], path[i+1:]
	}
	f, size, err := openRegular(Local, file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if !strings.EqualFold(filepath.Ext(file), ".npz") {
		if size > limit {
			return nil, fmt.Errorf("it has %d bytes, the limit is %d", size, limit)
		}
		return tensor.ReadNpyFile(file)
	}
	arrays, err := tensor.ReadNpz(f, size, limit)
	if err != nil {
		return nil, err
	}
	var keys []string
	for k := range arrays {
		keys = append(keys, k)
	}
	if slices.Sort(keys); key == "" && len(keys) == 1 {
		key = keys[0]
	}
	if t := arrays[key]; t != nil {
		return t, nil
	}
	return nil, fmt.Errorf("want one of its arrays %q, as FILE.npz:KEY; got %q", keys, key)
}

// rowsOf is t with a row of the given type and shape for each item.
func rowsOf(t *tensor.Tensor, d tensor.DType, shape []int, items int) (*tensor.Tensor, error) {
	if len(t.Shape) == 0 || t.Shape[0] != items || tensor.Count(t.Shape) != items*tensor.Count(shape) {
		return nil, fmt.Errorf("got an array of shape %v, want %v: a row for each of %d items", t.Shape, append([]int{items}, shape...), items)
	}
	t, err := as(t, d)
	if err != nil {
		return nil, err
	}
	return &tensor.Tensor{DType: d, Shape: append([]int{items}, shape...), Data: t.Data}, nil
}

// as is t in another type.
func as(t *tensor.Tensor, d tensor.DType) (*tensor.Tensor, error) {
	if t.DType == d {
		return t, nil
	}
	out, err := tensor.New(d, t.Shape...)
	if err != nil {
		return nil, err
	}
	if d.IsFloat() {
		values := t.Float64s()
		if values == nil && t.Len() > 0 {
			return nil, fmt.Errorf("got %s, want %s", t.DType, d)
		}
		for i, v := range values {
			setFloat(out, i, v)
		}
		return out, nil
	}
	from, to := reflect.ValueOf(t.Data), reflect.ValueOf(out.Data)
	for i := range t.Len() {
		v, ok := wholeOf(from.Index(i))
		if !ok || t.DType.IsFloat() || !setWhole(to.Index(i), v) {
			return nil, fmt.Errorf("got %s, want %s, and element %d, %v, is none", t.DType, d, i, from.Index(i))
		}
	}
	return out, nil
}

// setFloat sets an element of a tensor of floats.
func setFloat(t *tensor.Tensor, i int, v float64) {
	switch d := t.Data.(type) {
	case []float32:
		d[i] = float32(v)
	case []float64:
		d[i] = v
	case []uint16:
		if t.DType == tensor.Float16 {
			d[i] = tensor.Float32ToHalf(float32(v))
		} else {
			d[i] = tensor.Float32ToBFloat(float32(v))
		}
	}
}

// wholeOf is an element of a tensor of whole numbers or of truths.
func wholeOf(v reflect.Value) (int64, bool) {
	switch {
	case v.Kind() == reflect.Bool && v.Bool():
		return 1, true
	case v.Kind() == reflect.Bool:
		return 0, true
	case v.CanInt():
		return v.Int(), true
	case v.CanUint():
		return int64(v.Uint()), int64(v.Uint()) >= 0
	}
	return 0, false
}

func setWhole(to reflect.Value, v int64) bool {
	switch {
	case to.Kind() == reflect.Bool:
		to.SetBool(v == 1)
		return v == 0 || v == 1
	case to.CanInt():
		to.SetInt(v)
		return to.Int() == v
	case to.CanUint():
		to.SetUint(uint64(v))
		return v >= 0 && to.Uint() == uint64(v)
	}
	return false
}

// ConstantSide is a row that all items have: one value for all elements, or one for
// each, separated by commas.
func ConstantSide(name string, d tensor.DType, shape []int, values string) (Side, error) {
	t, err := tensor.New(d, append([]int{1}, shape...)...)
	if err != nil {
		return Side{}, fmt.Errorf("the input %q: %w", name, err)
	}
	list := strings.Split(strings.Trim(values, "[] "), ",")
	if len(list) != 1 && len(list) != t.Len() {
		want := "1"
		if t.Len() > 1 {
			want = fmt.Sprintf("1 or %d", t.Len())
		}
		return Side{}, fmt.Errorf("the input %q is given %d values, want %s: its shape is %v", name, len(list), want, shape)
	}
	for i := range t.Len() {
		text := strings.TrimSpace(list[i%len(list)])
		if err := setText(t, i, text); err != nil {
			why := ""
			if num := new(strconv.NumError); !errors.As(err, &num) {
				why = "; " + err.Error()
			}
			return Side{}, fmt.Errorf("the input %q is given %q: want numbers of %s, or an array for each item: an .npy or an .npz file%s", name, text, d, why)
		}
	}
	s := Side{Name: name, Rows: t, Shared: true, From: values}
	return s, s.check(0)
}

func setText(t *tensor.Tensor, i int, text string) error {
	if t.DType.IsFloat() {
		v, err := strconv.ParseFloat(text, 64)
		setFloat(t, i, v)
		return err
	}
	v, err := strconv.ParseInt(text, 10, 64)
	if err == nil && !setWhole(reflect.ValueOf(t.Data).Index(i), v) {
		err = errors.New("it does not fit")
	}
	return err
}

// IsArrayFile says whether a text is the name of an array file rather than values.
func IsArrayFile(text string) bool {
	name := text
	if i := strings.LastIndexByte(text, ':'); i > 0 {
		name = text[:i]
	}
	if isNpyName(text) || isNpyName(name) {
		return true
	}
	_, err := os.Stat(text)
	return err == nil
}

// NewSide is rows in memory, in the type that the model takes.
func NewSide(name string, d tensor.DType, rows *tensor.Tensor) (Side, error) {
	t, err := as(rows, d)
	if err != nil {
		return Side{}, fmt.Errorf("the input %q: %w", name, err)
	}
	return Side{Name: name, Rows: t}, nil
}
