package picture

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
)

// UnreadKind is a kind of picture files that Decode does not read but knows: they are
// refused by name, never taken for broken or for no pictures.
type UnreadKind struct {
	Name       string   // such as "HEIC"
	Extensions []string // in small letters, with the dot
	// Convert is a command that makes of a file IN one that Decode reads.
	Convert string
	// magic are beginnings of such files, ? any byte; "ftyp" and four letters is a brand of an
	// ISO media file, its major one or a compatible one. Is tells what these cannot.
	magic []string
	is    func(b []byte) bool
}

// Error says that such a file is not read, and what to do.
func (k *UnreadKind) Error() string {
	return fmt.Sprintf("it is a picture of the kind %s, which is not read: convert it first, for example with %q", k.Name, k.Convert)
}

const magick = "magick IN OUT.png"

var unreadKinds = []UnreadKind{ // AVIF before HEIC, whose general brands AVIF files may have too
	{Name: "AVIF", Extensions: []string{".avif", ".avifs"}, Convert: "avifdec IN OUT.png", magic: []string{"ftypavif", "ftypavis"}},
	{Name: "HEIC", Extensions: []string{".heic", ".heif", ".hif", ".heics", ".heifs"}, Convert: "heif-convert IN OUT.png",
		magic: []string{"ftypheic", "ftypheix", "ftyphevc", "ftyphevx", "ftypheim", "ftypheis", "ftypmif1", "ftypmsf1"}},
	{Name: "JPEG XL", Extensions: []string{".jxl"}, Convert: "djxl IN OUT.png", magic: []string{"\xff\x0a", "\x00\x00\x00\x0cJXL \r\n\x87\n"}},
	{Name: "JPEG 2000", Extensions: []string{".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx"}, Convert: "opj_decompress -i IN -o OUT.png",
		magic: []string{"\x00\x00\x00\x0cjP??", "\xff\x4f\xff\x51"}},
	{Name: "JPEG XR", Extensions: []string{".jxr", ".wdp", ".hdp"}, Convert: "JxrDecApp -i IN -o OUT.bmp", magic: []string{"II\xbc"}},
	{Name: "JPEG LS", Extensions: []string{".jls"}, Convert: magick, magic: []string{"\xff\xd8\xff\xf7"}},
	{Name: "camera raw", Extensions: []string{".dng", ".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".srf", ".sr2", ".orf", ".rw2", ".raf",
		".pef", ".srw", ".x3f", ".3fr", ".iiq", ".mrw", ".kdc", ".dcr", ".erf", ".mef"}, Convert: "dcraw -w -T IN", magic: []string{"ftypcrx ",
		"IIRO", "IIRS", "MMOR", "IIU\x00", "FUJIFILMCCD-RAW", "FOVb", "II\x1a\x00\x00\x00HEAPCCDR", "\x00MRM"}, is: isRawTIFF},
	{Name: "PSD", Extensions: []string{".psd", ".psb"}, Convert: "magick IN[0] OUT.png", magic: []string{"8BPS"}},
	{Name: "XCF", Extensions: []string{".xcf"}, Convert: "xcf2png IN -o OUT.png", magic: []string{"gimp xcf"}},
	{Name: "SVG", Extensions: []string{".svg", ".svgz"}, Convert: "rsvg-convert IN -o OUT.png", is: isSVG},
	{Name: "PDF", Extensions: []string{".pdf"}, Convert: "pdftoppm -png IN OUT", magic: []string{"%PDF-"}},
	{Name: "PostScript", Extensions: []string{".eps", ".ps"}, Convert: "magick -density 300 IN OUT.png",
		magic: []string{"%!PS", "\xc5\xd0\xd3\xc6"}},
	{Name: "DjVu", Extensions: []string{".djvu", ".djv"}, Convert: "ddjvu -format=tiff IN OUT.tif", magic: []string{"AT&TFORM"}},
	{Name: "DICOM", Extensions: []string{".dcm", ".dicom"}, Convert: "dcmj2pnm +on IN OUT.png", is: isDICOM},
	{Name: "NIfTI", Extensions: []string{".nii", ".nii.gz"}, Convert: "med2image -i IN -o OUT.png"},
	{Name: "FITS", Extensions: []string{".fits", ".fit"}, Convert: magick, magic: []string{"SIMPLE  ="}},
	{Name: "OpenEXR", Extensions: []string{".exr"}, Convert: magick, magic: []string{"\x76\x2f\x31\x01"}},
	{Name: "Radiance HDR", Extensions: []string{".hdr"}, Convert: magick, magic: []string{"#?RADIANCE", "#?RGBE"}},
	{Name: "PFM", Extensions: []string{".pfm"}, Convert: magick, magic: []string{"PF\n", "Pf\n", "PF ", "Pf "}},
	{Name: "PAM", Extensions: []string{".pam"}, Convert: magick, magic: []string{"P7\n"}},
	{Name: "QOI", Extensions: []string{".qoi"}, Convert: magick, magic: []string{"qoif"}},
	{Name: "DDS", Extensions: []string{".dds"}, Convert: magick, magic: []string{"DDS "}},
	{Name: "MNG", Extensions: []string{".mng", ".jng"}, Convert: magick, magic: []string{"\x8aMNG\r\n", "\x8bJNG\r\n"}},
	{Name: "ICO", Extensions: []string{".ico", ".cur"}, Convert: "magick IN[0] OUT.png", is: isIcon},
	{Name: "ICNS", Extensions: []string{".icns"}, Convert: "icns2png -x IN", magic: []string{"icns"}},
	{Name: "Targa", Extensions: []string{".tga"}, Convert: magick},
	{Name: "PCX", Extensions: []string{".pcx", ".dcx"}, Convert: magick, magic: []string{"\x0a\x05\x01", "\xb1\x68\xde\x3a"}},
	{Name: "SGI", Extensions: []string{".sgi"}, Convert: magick, magic: []string{"\x01\xda"}},
	{Name: "Sun raster", Extensions: []string{".ras"}, Convert: magick, magic: []string{"\x59\xa6\x6a\x95"}},
	{Name: "XBM", Extensions: []string{".xbm"}, Convert: magick},
	{Name: "XPM", Extensions: []string{".xpm"}, Convert: magick, magic: []string{"/* XPM */"}},
	{Name: "Windows metafile", Extensions: []string{".wmf", ".emf"}, Convert: magick, magic: []string{"\xd7\xcd\xc6\x9a"}},
}

// Unread is the kind of a file that is named as a picture of a kind that Decode does not
// read; nil for all others.
func Unread(name string) *UnreadKind {
	for i := range unreadKinds {
		if hasExtension(name, unreadKinds[i].Extensions) {
			return &unreadKinds[i]
		}
	}
	return nil
}

// UnreadAs is the kind of a file that begins with b and that Decode does not read, nil for
// all others.
func UnreadAs(b []byte) *UnreadKind {
	for i := range unreadKinds {
		if k := &unreadKinds[i]; k.is != nil && k.is(b) || slices.ContainsFunc(k.magic, func(m string) bool { return begins(b, m) }) {
			return k
		}
	}
	return nil
}

// hasExtension reports whether a name has one of the extensions, in large or small
// letters, and something before it.
func hasExtension(name string, extensions []string) bool {
	return slices.ContainsFunc(extensions, func(ext string) bool {
		return len(name) > len(ext) && strings.EqualFold(name[len(name)-len(ext):], ext)
	})
}

func begins(b []byte, magic string) bool {
	brand, media := strings.CutPrefix(magic, "ftyp")
	if !media {
		return hasMagic(b, magic)
	}
	if !hasMagic(b, "????ftyp????") {
		return false
	}
	const most = 1024 // bytes of a list of brands that is looked at
	box := b[8 : min(int64(len(b)), int64(binary.BigEndian.Uint32(b)), most)&^3]
	for i := 0; i+4 <= len(box); i += 4 {
		if i != 4 && string(box[i:i+4]) == brand { // after the major brand is its version
			return true
		}
	}
	return false
}

// isIcon tells an icon or a cursor by the number of its pictures; a Targa file has 0 there.
func isIcon(b []byte) bool {
	return len(b) >= 6 && b[4] != 0 && (hasMagic(b, "\x00\x00\x01\x00?\x00") || hasMagic(b, "\x00\x00\x02\x00?\x00"))
}

func isDICOM(b []byte) bool { return len(b) > 132 && string(b[128:132]) == "DICM" }

// isSVG tells XML whose root is svg, if that is near the beginning.
func isSVG(b []byte) bool {
	const near = 4096
	b = bytes.TrimLeft(bytes.TrimPrefix(b[:min(len(b), near)], []byte("\xef\xbb\xbf")), " \t\r\n")
	return bytes.HasPrefix(b, []byte("<svg")) || bytes.HasPrefix(b, []byte("<?xml")) && bytes.Contains(b, []byte("<svg")) ||
		bytes.HasPrefix(b, []byte("<!")) && bytes.Contains(b, []byte("<svg"))
}

// isRawTIFF tells a TIFF file that holds a camera's sensor data: a DNG, a CR2, or one with
// such an image below its first, which is then a small preview.
func isRawTIFF(b []byte) bool {
	const photometric, subIFDs, dngVersion = 0x0106, 0x014a, 0xc612
	const colorFilters, linearRaw, most = 32803, 34892, 16
	first, ok := ifdOf(b)
	if !ok {
		return false
	}
	if hasMagic(b, "????????CR") {
		return true
	}
	isRaw := func(d ifd) bool { kind := d.value(photometric); return kind == colorFilters || kind == linearRaw }
	below, _ := first.field(subIFDs)
	for i := range min(below.count, most) {
		if at := below.number(i); at > 0 && isRaw(first.at(uint64(at))) {
			return true
		}
	}
	_, dng := first.field(dngVersion)
	return dng || isRaw(first)
}
