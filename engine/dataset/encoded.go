package dataset

import (
	"errors"
	"fmt"
	"image"
	"time"

	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
)

// renderer is that of encoded pictures; sources whose samples do not
// depend on their own pictures share one.
func (s *commons) renderer(o Options, size func() (w, h int, err error)) (*picture.Renderer, error) {
	key := fmt.Sprint(o.Input)
	if r := s.renderers[key]; r != nil {
		return r, nil
	}
	asked := false
	r, err := picture.NewRenderer(o.render(), 3, func() (int, int, error) { asked = true; return size() })
	if err == nil && !asked {
		s.renderers[key] = r
	}
	return r, err
}

// encoded is samples that are image files, wherever the bytes of these lie.
type encoded struct {
	part
	traits traits
	// load is the image file of sample i, where says in messages what that is.
	load  func(i int) ([]byte, error)
	where func(i int) string
	// root is what can be reached as long as the source can.
	root func() string
}

// read is load, under the rules of patiently.
func (e *encoded) read(i int) (b []byte, err error) {
	err = patiently(e.o.FS, e.root, func() (err error) {
		b, err = e.load(i)
		return err
	})
	return b, err
}

// settle makes ready to read n samples.
func (e *encoded) settle(o Options, n int) (err error) {
	e.n, e.o = n, o
	e.renderer, err = o.shared.renderer(o, e.firstSize)
	return err
}

// size reads the size of picture i in its header.
func (e *encoded) size(i int) (w, h int, err error) {
	b, err := e.read(i)
	if err == nil {
		w, h, err = picture.SizeOf(b, e.o.MaxPixels)
	}
	turn := 1
	if err == nil {
		turn, err = e.turn(b)
	}
	if turn >= 5 {
		w, h = h, w
	}
	return w, h, err
}

// turn is the orientation of an image file, 1 where that is not asked for.
func (e *encoded) turn(b []byte) (int, error) {
	if !e.o.EXIF {
		return 1, nil
	}
	return picture.Orientation(b)
}

// firstSize is the size of the first picture that has one.
func (e *encoded) firstSize() (w, h int, err error) {
	const tries = 100
	first := errors.New("there is none")
	for i := range min(tries, e.n) {
		if w, h, err = e.size(i); err == nil {
			return w, h, nil
		}
		if FaultOf(err) == MachineFault {
			return 0, 0, fmt.Errorf("reading image %q: %w", e.where(i), err)
		}
		if i == 0 {
			first = fmt.Errorf("%q: %w", e.where(i), err)
		}
	}
	return 0, 0, fmt.Errorf("the preprocessing does not say a size and none of the first pictures can be read: %w", first)
}

func (e *encoded) Sample(i int, dst []float32) error {
	start := time.Now()
	b, err := e.read(i)
	if e.o.ReadTime != nil {
		e.o.ReadTime.Add(int64(time.Since(start)))
	}
	if err != nil {
		return fmt.Errorf("reading image %q: %w", e.where(i), err)
	}
	p, err := e.decode(i, b, e.renderer.Pre.Seen)
	if err == nil {
		err = e.renderer.Render(p, dst)
		p.Release()
	}
	if err != nil {
		return fmt.Errorf("reading image %q: %w", e.where(i), err)
	}
	return nil
}

// decode makes picture i of its file, upright where that is asked for.
func (e *encoded) decode(i int, b []byte, seen func(w, h int) image.Rectangle) (*picture.Picture, error) {
	turn, err := e.turn(b)
	if err != nil {
		return nil, err
	}
	if turn != 1 {
		seen = nil
	}
	p, err := picture.Decode(b, e.o.MaxPixels, seen)
	if err == nil {
		err = e.renderer.Check(p)
	}
	if err != nil {
		return nil, err
	}
	up := p.Upright(turn)
	e.traits.put(i, up)
	return up, nil
}
