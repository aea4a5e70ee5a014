package dataset

import (
	"errors"
	"fmt"
	"image"
	"math"
	"runtime"
	"slices"
	"sort"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/onnxprobe/onnxprobe/engine/dataset/picture"
	"github.com/onnxprobe/onnxprobe/engine/internal/safe"
)

// Tiling cuts a picture into square tiles of the model's size, as InternVL's
// dynamic_preprocess does: the picture is resized, whatever its proportions, to the
// grid of at most Max tiles whose proportions are the nearest.
type Tiling struct {
	// Max is the most tiles of a picture, the thumbnail not among them.
	Max int `json:"max"`
	// Thumbnail adds the whole picture, resized to one tile, after the tiles of a
	// picture that has several.
	Thumbnail bool `json:"thumbnail,omitempty"`
}

// MaxTiles bounds Tiling.Max.
const MaxTiles = 64

// Grid is the rows and columns of tiles of a picture of w x h pixels, for tiles of
// size x size. Of grids that are as near, the one with more tiles is taken where the
// picture has more than half of the grid's pixels.
func (t Tiling) Grid(w, h, size int) (rows, cols int) {
	type grid struct{ c, r int }
	var grids []grid
	for c := 1; c <= t.Max; c++ {
		for r := 1; r*c <= t.Max; r++ {
			grids = append(grids, grid{c, r})
		}
	}
	slices.SortStableFunc(grids, func(a, b grid) int { return a.c*a.r - b.c*b.r })
	best, nearest := grid{1, 1}, math.Inf(1)
	aspect, area := float64(w)/float64(h), float64(w)*float64(h)
	for _, g := range grids {
		ratio := float64(g.c) / float64(g.r)
		switch d := math.Abs(aspect - ratio); {
		case d < nearest:
			best, nearest = g, d
		case d == nearest && area > 0.5*float64(size)*float64(size)*float64(g.c)*float64(g.r):
			best = g
		}
	}
	return best.r, best.c
}

// Tiles is the tiles of the pictures of ds as a dataset of its own: row by row, with
// IDs IMAGE@0, IMAGE@1, ..., and IMAGE@thumbnail. The preprocessing must resize to a
// square and not crop, as the preset internvl does; it says the size and the filter.
// The size of every picture is read first. One that has none is one item, whose
// error says why.
func Tiles(ds Dataset, t Tiling) (Dataset, error) {
	size, err := t.size(ds)
	if err != nil {
		return nil, err
	}
	if len(Sides(ds)) > 0 {
		return nil, errors.New("cutting pictures that have arrays beside them into tiles: cut first")
	}
	d := &tiled{Dataset: ds, tiling: t, size: size, starts: make([]int, ds.Len()+1), sizes: make([]picture.Size, ds.Len())}
	if err := d.measure(); err != nil {
		return nil, err
	}
	for i, s := range d.sizes {
		d.starts[i+1] = d.starts[i] + 1
		if s == (picture.Size{}) {
			continue
		}
		if rows, cols := t.Grid(s.W, s.H, d.size); rows*cols > 1 {
			d.starts[i+1] = d.starts[i] + rows*cols
			if t.Thumbnail {
				d.starts[i+1]++
			}
		}
	}
	d.pictures = recent[*picture.Picture]{make: func(i int) (*picture.Picture, error) {
		in, at, _ := find[scene](ds, i)
		return in.picture(at)
	}}
	return d, nil
}

// Check reports why Tiles cannot cut the items of ds, and reads no picture.
func (t Tiling) Check(ds Dataset) error {
	_, err := t.size(ds)
	return err
}

// size is the edge of a tile.
func (t Tiling) size(ds Dataset) (size int, err error) {
	if t.Max < 1 || t.Max > MaxTiles {
		return 0, fmt.Errorf("cutting pictures into at most %d tiles: want 1 to %d", t.Max, MaxTiles)
	}
	for i := range ds.Len() {
		s, _, ok := find[scene](ds, i)
		if !ok {
			return 0, fmt.Errorf("cutting %q into tiles: the samples are model inputs already, and only pictures can be cut", ds.Item(i).ID)
		}
		r := s.rendering()
		square := picture.Resize{Mode: picture.Exact, Size: picture.Size{H: r.H, W: r.W}}
		if p := r.Pre; r.H != r.W || p.Crop != (picture.Size{}) || p.Pad != (picture.Pad{}) || p.Interpolation.Float() || p.Resize != square {
			return 0, fmt.Errorf("cutting pictures into tiles needs a preprocessing that resizes to a square and does not crop, such as internvl; %q does not", p.Name)
		}
		if size = r.H; int64(r.H)*int64(r.W) > r.MaxPixels/int64(t.Max) {
			return 0, fmt.Errorf("%d tiles of %d x %d pixels are over the limit of %d pixels", t.Max, r.H, r.W, r.MaxPixels)
		}
	}
	return size, nil
}

// IsTiled says whether the items of ds are tiles.
func IsTiled(ds Dataset) bool {
	_, _, ok := find[*tiled](ds, 0)
	return ok
}

// Untiled is the pictures that the items of ds are tiles of: of each item the number
// of its picture among them, and of the tile within the picture, -1 for the thumbnail.
// ok is false where ds has no tiles.
func Untiled(ds Dataset) (pictures Dataset, of func(i int) (picture, tile int), ok bool) {
	t, _, ok := find[*tiled](ds, 0)
	if !ok {
		return nil, nil, false
	}
	return t.Dataset, func(i int) (picture, tile int) {
		_, at, _ := find[*tiled](ds, i)
		return t.at(at)
	}, true
}

// scene is sources whose samples are made of pictures here.
type scene interface {
	pictured
	rendering() *picture.Renderer
}

type tiled struct {
	Dataset
	tiling   Tiling
	size     int            // of a tile's edge
	sizes    []picture.Size // of the pictures; zero for none
	starts   []int          // the first tile of each picture, and the number of all
	unread   map[int]error  // why a picture has no size, and one tile
	pictures recent[*picture.Picture]
}

// measure reads the sizes of the pictures.
func (t *tiled) measure() error {
	var next atomic.Int64
	var lost atomic.Pointer[error]
	var mu sync.Mutex
	t.unread = map[int]error{}
	var all sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(t.sizes); i = int(next.Add(1)) - 1 {
				switch size, err := t.sizeOf(i); {
				case err == nil:
					t.sizes[i] = size
				case FaultOf(err) == MachineFault:
					lost.Store(&err)
					next.Store(int64(len(t.sizes)))
				default:
					mu.Lock()
					t.unread[i] = err
					mu.Unlock()
				}
			}
		})
	}
	all.Wait()
	if err := lost.Load(); err != nil {
		return fmt.Errorf("reading the sizes of pictures: %w", *err)
	}
	return nil
}

// sizeOf is the size of picture i; a decoder that panics over it is its error.
func (t *tiled) sizeOf(i int) (s picture.Size, err error) {
	defer safe.Rescue(&err)
	g, err := GeometryOf(t.Dataset, i)
	return g.Picture, err
}

func (t *tiled) Len() int { return t.starts[len(t.starts)-1] }

// at is the picture that item i is of, and which of its tiles; -1 is the thumbnail.
func (t *tiled) at(i int) (picture, tile int) {
	picture = sort.SearchInts(t.starts, i+1) - 1
	tile = i - t.starts[picture]
	if n := t.starts[picture+1] - t.starts[picture]; t.tiling.Thumbnail && n > 1 && tile == n-1 {
		tile = -1
	}
	return picture, tile
}

// picture is the whole one, for Picture.
func (t *tiled) picture(i int) (*picture.Picture, error) {
	k, _ := t.at(i)
	return t.pictures.get(k)
}

// Geometry is that of the tile, for GeometryOf.
func (t *tiled) Geometry(i int) (picture.Geometry, error) {
	k, tile := t.at(i)
	s := t.sizes[k]
	if err := t.unread[k]; err != nil {
		return picture.Geometry{}, err
	}
	one := picture.Size{H: t.size, W: t.size}
	if tile < 0 {
		return picture.Geometry{Picture: s, Resized: one, Input: one}, nil
	}
	rows, cols := t.tiling.Grid(s.W, s.H, t.size)
	return picture.Geometry{Picture: s, Resized: picture.Size{H: rows * t.size, W: cols * t.size}}.Tile(tile%cols*t.size, tile/cols*t.size, one), nil
}

func (t *tiled) warning(i int) string {
	k, _ := t.at(i)
	return WarningOf(t.Dataset, k)
}

func (t *tiled) Item(i int) Item {
	k, tile := t.at(i)
	it := t.Dataset.Item(k)
	if tile < 0 {
		it.ID += "@thumbnail"
	} else {
		it.ID += "@" + strconv.Itoa(tile)
	}
	if t.sizes[k] != (picture.Size{}) {
		g, _ := t.Geometry(i)
		x0, y0, x1, y1 := g.Seen()
		it.Tile = [4]float64{x0, y0, x1, y1}
	}
	return it
}

func (t *tiled) Sample(i int, dst []float32) error {
	k, _ := t.at(i)
	g, err := t.Geometry(i)
	if err != nil {
		return err
	}
	p, err := t.pictures.get(k)
	if err != nil {
		return err
	}
	if p.W != g.Picture.W || p.H != g.Picture.H {
		return fmt.Errorf("reading the tile %q: the picture has %d x %d pixels (width x height), it had %d x %d when "+
			"the dataset was opened", t.Item(i).ID, p.W, p.H, g.Picture.W, g.Picture.H)
	}
	in, _, _ := find[scene](t.Dataset, k)
	r := in.rendering()
	return r.Render(p.ResizeIn(g.Resized.W, g.Resized.H, r.Pre.Interpolation, image.Rect(g.X, g.Y, g.X+t.size, g.Y+t.size)), dst)
}

func (t *tiled) describe() Description {
	d := Describe(t.Dataset)
	d.Tiles = &t.tiling
	return d
}
