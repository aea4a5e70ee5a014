package dataset

import "image"

// fromYCbCr converts a JPEG's planes as libjpeg-turbo does by default, which is
// what PIL shows: "fancy" triangle upsampling of chroma and 16-bit fixed-point
// colour tables (jdsample.c, jdcolor.c). What remains is the difference of the
// inverse cosine transforms, a few hundredths of a level on average.
func fromYCbCr(m *image.YCbCr) *picture {
	w, h := m.Rect.Dx(), m.Rect.Dy()
	p := newPicture(w, h, 3)
	up := newUpsampler(m)
	cb, cr := make([]uint8, up.room), make([]uint8, up.room)
	for y := range h {
		up.row(cb, m.Cb, y)
		up.row(cr, m.Cr, y)
		luma := m.Y[y*m.YStride : y*m.YStride+w]
		out := p.pix[y*w*3 : (y+1)*w*3]
		for x, l := range luma {
			r, g, b := ycc(int32(l), int32(cb[x])-128, int32(cr[x])-128)
			out[3*x], out[3*x+1], out[3*x+2] = r, g, b
		}
	}
	return p
}

// ycc uses jdcolor.c's constants, FIX(1.402) and so on, and its roundings.
func ycc(y, cb, cr int32) (r, g, b uint8) {
	const half = 1 << 15
	return clamp(y + (91881*cr+half)>>16), clamp(y + (-22554*cb-46802*cr+half)>>16), clamp(y + (116130*cb+half)>>16)
}

func clamp(v int32) uint8 { return uint8(min(max(v, 0), 255)) }

// upsampler brings rows of a chroma plane to the picture's width.
type upsampler struct {
	w, h   int // of the chroma plane
	stride int
	sx, sy int // pixels for one chroma sample
	fancy  bool
	room   int // bytes that a row needs
	sum    []int32
}

func newUpsampler(m *image.YCbCr) *upsampler {
	u := &upsampler{sx: 1, sy: 1, stride: m.CStride}
	switch m.SubsampleRatio {
	case image.YCbCrSubsampleRatio422:
		u.sx = 2
	case image.YCbCrSubsampleRatio420:
		u.sx, u.sy = 2, 2
	case image.YCbCrSubsampleRatio440:
		u.sy = 2
	case image.YCbCrSubsampleRatio411:
		u.sx = 4
	case image.YCbCrSubsampleRatio410:
		u.sx, u.sy = 4, 2
	}
	u.w, u.h = (m.Rect.Dx()+u.sx-1)/u.sx, (m.Rect.Dy()+u.sy-1)/u.sy
	// libjpeg has triangle filters for the ratios with 2 only, and none for
	// planes of two columns or fewer.
	u.fancy = u.sx == 2 && u.w > 2 || u.sx == 1 && u.sy == 2
	u.room = u.w * u.sx
	u.sum = make([]int32, u.w)
	return u
}

func (u *upsampler) row(dst, plane []uint8, y int) {
	at := y / u.sy
	near := plane[at*u.stride : at*u.stride+u.w]
	if !u.fancy {
		for x, v := range near {
			for i := range u.sx {
				dst[x*u.sx+i] = v
			}
		}
		return
	}
	if u.sy == 1 {
		widen(dst, near)
		return
	}
	other := min(max(at-1+2*(y%2), 0), u.h-1) // the row above for even rows, else below
	far := plane[other*u.stride : other*u.stride+u.w]
	for x, v := range near {
		u.sum[x] = 3*int32(v) + int32(far[x])
	}
	if u.sx == 1 {
		bias := int32(1 + y%2)
		for x, s := range u.sum {
			dst[x] = uint8((s + bias) >> 2)
		}
		return
	}
	last := u.w - 1
	for x, s := range u.sum {
		left, right := u.sum[max(x-1, 0)], u.sum[min(x+1, last)]
		dst[2*x], dst[2*x+1] = uint8((3*s+left+8)>>4), uint8((3*s+right+7)>>4)
	}
}

// widen doubles a row: three parts of the nearer sample and one of the farther.
func widen(dst, src []uint8) {
	last := len(src) - 1
	for x, v := range src {
		left, right := int32(src[max(x-1, 0)]), int32(src[min(x+1, last)])
		dst[2*x], dst[2*x+1] = uint8((3*int32(v)+left+1)>>2), uint8((3*int32(v)+right+2)>>2)
	}
}
