package picture

import (
	"image"
)

// fromWebP converts a lossy WebP's planes as libwebp does by default: its own
// "fancy" upsampling of 4:2:0 chroma and its limited-range colour matrix
// (upsampling.c, yuv.h). Go's own conversion takes the planes for JPEG's.
func fromWebP(m *image.YCbCr) *Picture {
	w, h := m.Rect.Dx(), m.Rect.Dy()
	p := New(w, h, 3)
	cw, ch := (w+1)/2, (h+1)/2
	cb, cr := make([]uint8, w), make([]uint8, w)
	for y := range h {
		near := y / 2
		far := min(max(near-1+2*(y%2), 0), ch-1)
		for _, c := range []struct{ dst, plane []uint8 }{{cb, m.Cb}, {cr, m.Cr}} {
			webpRow(c.dst, c.plane[near*m.CStride:near*m.CStride+cw], c.plane[far*m.CStride:far*m.CStride+cw])
		}
		for x := range w {
			l, u, v := int32(m.Y[y*m.YStride+x])*19077>>8, int32(cb[x]), int32(cr[x])
			i := (y*w + x) * 3
			p.Pix[i] = clamp((l + v*26149>>8 - 14234) >> 6)
			p.Pix[i+1] = clamp((l - u*6419>>8 - v*13320>>8 + 8708) >> 6)
			p.Pix[i+2] = clamp((l + u*33050>>8 - 17685) >> 6)
		}
	}
	return p
}

// webpRow doubles a chroma row: weights 9, 3, 3 and 1 of the four samples
// around, computed over the diagonals with libwebp's two roundings.
func webpRow(dst, near, far []uint8) {
	edge := func(x int) uint8 { return uint8((3*uint32(near[x]) + uint32(far[x]) + 2) >> 2) }
	dst[0] = edge(0)
	for x := 1; 2*x-1 < len(dst); x++ {
		if x == len(near) {
			dst[2*x-1] = edge(x - 1)
			break
		}
		n0, n1, f0, f1 := uint32(near[x-1]), uint32(near[x]), uint32(far[x-1]), uint32(far[x])
		sum := n0 + n1 + f0 + f1 + 8
		dst[2*x-1] = uint8(((sum+2*(n1+f0))>>3 + n0) >> 1)
		if 2*x < len(dst) {
			dst[2*x] = uint8(((sum+2*(n0+f1))>>3 + n1) >> 1)
		}
	}
}

func clamp(v int32) uint8 { return uint8(min(max(v, 0), 255)) }
