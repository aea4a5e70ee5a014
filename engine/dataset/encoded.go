package dataset

import (
	"errors"
	"fmt"
	"image"
	"slices"
	"time"
)

func everything(w, h int) image.Rectangle { return image.Rect(0, 0, w, h) }

// renderer is newRenderer's for encoded pictures; sources whose samples do not
// depend on their own pictures share one.
func (s *commons) renderer(o Options, size func() (w, h int, err error)) (*renderer, error) {
	key := fmt.Sprint(o.Input)
	if r := s.renderers[key]; r != nil {
		return r, nil
	}
	asked := false
	r, err := newRenderer(o, 3, func() (int, int, error) { asked = true; return size() })
	if err == nil && !asked {
		if s.renderers == nil {
			s.renderers = map[string]*renderer{}
		}
		s.renderers[key] = r
	}
	return r, err
}

// encoded is samples that are image files, wherever the bytes of these lie.
type encoded struct {
	*renderer
	n       int
	limits  limits
	exif    bool
	reading clock
	sizes   sizes
	// load is the image file of sample i, where says in messages what that is.
	load  func(i int) ([]byte, error)
	where func(i int) string
}

// settle makes ready to read n samples.
func (e *encoded) settle(o Options, n int) error {
	e.n, e.limits, e.exif, e.reading = n, o.limits(), o.EXIF, o.ReadTime
	var err error
	e.renderer, err = o.shared.renderer(o, e.firstSize)
	return err
}

// firstSize is the size of the first picture that has one.
func (e *encoded) firstSize() (w, h int, err error) {
	const tries = 100
	first := errors.New("there is none")
	for i := range min(tries, e.n) {
		b, err := e.load(i)
		if err == nil {
			_, w, h, err = imageSize(b, e.limits)
		}
		if err == nil {
			if e.exif && orientation(b) >= 5 {
				w, h = h, w
			}
			return w, h, nil
		}
		if i == 0 {
			first = fmt.Errorf("%q: %w", e.where(i), err)
		}
	}
	return 0, 0, fmt.Errorf("the preprocessing does not say a size and none of the first pictures can be read: %w", first)
}

func (e *encoded) Len() int     { return e.n }
func (e *encoded) Shape() []int { return slices.Clone(e.shape) }

func (e *encoded) Sample(i int, dst []float32) error {
	start := time.Now()
	b, err := e.load(i)
	tick(e.reading, start)
	if err != nil {
		return fmt.Errorf("reading image %q: %w", e.where(i), err)
	}
	turn, seen := 1, e.pre.seen
	if e.exif {
		turn = orientation(b)
	}
	if turn != 1 {
		seen = everything
	}
	p, err := decodeImage(b, e.limits, seen)
	if err == nil {
		up := p.upright(turn)
		e.sizes.put(i, Size{up.h, up.w})
		err = e.render(up, dst)
		p.release()
	}
	if err != nil {
		return fmt.Errorf("reading image %q: %w", e.where(i), err)
	}
	return nil
}
