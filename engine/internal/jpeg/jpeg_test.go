package jpeg

import (
	"archive/zip"
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"image"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
)

// Made by testdata/export/jpeg.py.
var goldens = cmp.Or(os.Getenv("JPEG_GOLDENS"), "../../../testdata/golden/jpeg/")

type golden struct {
	Name                    string
	Width, Height, Channels int
	SHA256                  string
	Warning                 string // part of the one that is due, "" for sound files
	Mutated                 bool   // damaged at random: there may be a warning or an error
	Refused                 bool   // by Pillow
	file                    []byte
}

func read(t testing.TB) (all []golden) {
	t.Helper()
	b, err := os.ReadFile(goldens + "index.json")
	if err != nil {
		t.Fatal(err)
	}
	var index struct{ Pictures []golden }
	if err := json.Unmarshal(b, &index); err != nil {
		t.Fatal(err)
	}
	z, err := zip.OpenReader(goldens + "pictures.zip")
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	for _, g := range index.Pictures {
		f, err := z.Open(g.Name + ".jpg")
		if err != nil {
			t.Fatal(err)
		}
		if g.file, err = io.ReadAll(f); err != nil {
			t.Fatal(err)
		}
		all = append(all, g)
	}
	if len(all) < 100 {
		t.Fatalf("%d golden pictures, want more", len(all))
	}
	return all
}

var everything = image.Rect(0, 0, 1<<16, 1<<16)

// each runs f with every set of kernels that this processor has.
func each(t *testing.T, f func(t *testing.T)) {
	chosen := fast
	defer func() { fast = chosen }()
	for _, k := range []kernels{plain, chosen} {
		fast = k
		t.Run(k.name, f)
	}
}

// The bytes are Pillow's own, of damaged files too, unless these are errors.
func TestDecodeIsPillow(t *testing.T) {
	all := read(t)
	each(t, func(t *testing.T) {
		seen := map[string]int{}
		for _, g := range all {
			pix, c, warning, err := Decode(g.file, everything, nil)
			switch sum := sha256.Sum256(pix); {
			case err != nil && g.Refused:
				seen["errors, of Pillow too"]++
			case err != nil && g.Mutated:
				seen["errors, but not of Pillow"]++
			case err != nil:
				t.Errorf("%s: %v", g.Name, err)
			case g.Refused:
				if seen["warnings of what Pillow refuses"]++; warning == "" {
					t.Errorf("%s: neither an error, as with Pillow, nor a warning", g.Name)
				}
			case c.Width != g.Width || c.Height != g.Height || c.Channels != g.Channels || len(pix) != g.Width*g.Height*g.Channels:
				t.Errorf("%s: %+v and %d bytes, want %d x %d x %d", g.Name, c, len(pix), g.Width, g.Height, g.Channels)
			case hex.EncodeToString(sum[:]) != g.SHA256:
				t.Errorf("%s: the pixels are not Pillow's, warning %q", g.Name, warning)
			case !g.Mutated && (!strings.Contains(warning, g.Warning) || (g.Warning == "") != (warning == "")):
				t.Errorf("%s: warning %q, want one with %q", g.Name, warning, g.Warning)
			case warning != "":
				seen["Pillow's pixels and a warning"]++
			default:
				seen["Pillow's pixels"]++
			}
		}
		if seen["errors, but not of Pillow"] > len(all)/50 {
			t.Errorf("of %d pictures, too many are refused", len(all))
		}
		t.Log(seen)
	})
}

// spoil overwrites what the last picture left in memory.
func spoil() {
	d := decoders.Get().(*decoder)
	for i := range d.store {
		p := d.store[i].plane
		for j := range p[:cap(p)] {
			p[:cap(p)][j] = byte(7 * j)
		}
	}
	d.release()
}

// The pixels of a window are those of the whole.
func TestWindow(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	all := read(t)
	each(t, func(t *testing.T) {
		for _, g := range all {
			whole, c, warning, err := Decode(g.file, everything, nil)
			if err != nil {
				continue
			}
			for range 5 {
				x, y := r.IntN(c.Width), r.IntN(c.Height)
				w := image.Rect(x, y, x+1+r.IntN(c.Width-x), y+1+r.IntN(c.Height-y))
				spoil()
				part := bytes.Repeat([]byte{byte(r.IntN(256))}, len(whole))
				part, _, again, err := Decode(g.file, w, part)
				if err != nil || again != warning {
					t.Fatalf("%s: warning %q, error %v, want %q", g.Name, again, err, warning)
				}
				for y := w.Min.Y; y < w.Max.Y; y++ {
					from, to := (y*c.Width+w.Min.X)*c.Channels, (y*c.Width+w.Max.X)*c.Channels
					if !bytes.Equal(part[from:to], whole[from:to]) {
						t.Fatalf("%s: row %d of %v is not that of the whole", g.Name, y, w)
					}
				}
			}
		}
	})
}

// The vectors' kernels give plain Go's bytes, overflow included.
func TestKernelsAgree(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for i := range 20000 {
		var a, b pending
		spread := []int{4, 60, 400, 2000, 1 << 16}[i%5]
		for j := range a.coefs {
			for k := range 1 + r.IntN(64) {
				a.coefs[j][k] = int16(r.IntN(spread) - spread/2)
			}
		}
		b.coefs = a.coefs
		var quant [2][64]int16
		for j := range quant {
			for k := range quant[j] {
				quant[j][k] = int16(1 + r.IntN([]int{1, 20, 1 << 16}[i%3]))
			}
		}
		for _, p := range []*pending{&a, &b} {
			for j := range p.to {
				p.quant[j] = &quant[j]
				p.step[j] = 8 + 3*j
				p.to[j] = make([]byte, 7*p.step[j]+8)
			}
		}
		plain.inverse(&a)
		fast.inverse(&b)
		if !bytes.Equal(a.to[0], b.to[0]) || !bytes.Equal(a.to[1], b.to[1]) {
			t.Fatalf("%s: the transform of %v is\n%v, want\n%v", fast.name, a.coefs, b.to, a.to)
		}
	}
	noise := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = []byte{0, 255, byte(r.IntN(256))}[r.IntN(3)]
		}
		return b
	}
	for i := range 3000 {
		n := 1 + i%100
		y, cb, cr := noise(n), noise(n), noise(n)
		a, b := make([]byte, 3*n), make([]byte, 3*n)
		plain.colours(a, y, cb, cr)
		fast.colours(b, y, cb, cr)
		if !bytes.Equal(a, b) {
			t.Fatalf("%s: the colours of %v %v %v are %v, want %v", fast.name, y, cb, cr, b, a)
		}
		s, u := make([]int16, n+2), make([]int16, n+2)
		plain.weigh(s[1:], y, cb)
		fast.weigh(u[1:], y, cb)
		if !slices.Equal(s, u) {
			t.Fatalf("%s: sums %v, want %v", fast.name, u, s)
		}
		a, b = a[:2*n], b[:2*n]
		plain.widen(a, s, 8, 7)
		fast.widen(b, s, 8, 7)
		if !bytes.Equal(a, b) {
			t.Fatalf("%s: the doubled row of %v is %v, want %v", fast.name, s, b, a)
		}
	}
}
