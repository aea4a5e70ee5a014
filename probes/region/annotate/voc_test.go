package annotate

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
	"golang.org/x/text/encoding/unicode"
)

func vocText(declared, filename, label string) string {
	head := ""
	if declared != "" {
		head = fmt.Sprintf("<?xml version=\"1.0\" encoding=%q?>\n", declared)
	}
	if filename != "" {
		filename = "<filename>" + filename + "</filename>"
	}
	return head + "<annotation>" + filename + "<object><name>" + label + "</name>" +
		"<bndbox><xmin>3</xmin><ymin>4</ymin><xmax>13</xmax><ymax>14</ymax></bndbox></object></annotation>"
}

// VOC is read in the encoding that it declares. The bytes of each word are written out where
// they tell encodings of one name apart.
func TestVOCEncodings(t *testing.T) {
	wide := func(e unicode.Endianness, b unicode.BOMPolicy) encoding.Encoding { return unicode.UTF16(e, b) }
	for _, c := range []struct {
		declared string
		e        encoding.Encoding
		label    string
	}{
		{"UTF-8", encoding.Nop, "猫"}, {"", encoding.Nop, "猫"},
		{"GBK", simplifiedchinese.GBK, "猫和狗"}, {"gb2312", simplifiedchinese.GBK, "猫"}, {"GB18030", simplifiedchinese.GB18030, "𠀀猫"},
		{"cp936", simplifiedchinese.GBK, "猫"},
		{"ISO-8859-1", charmap.ISO8859_1, "crème"}, {"latin1", charmap.ISO8859_1, "\u0080x"}, {"windows-1252", charmap.Windows1252, "€"},
		{"cp1251", charmap.Windows1251, "кот"}, {"Shift_JIS", japanese.ShiftJIS, "ネコ"}, {"EUC-JP", japanese.EUCJP, "ネコ"},
		{"UTF-16", wide(unicode.LittleEndian, unicode.UseBOM), "猫"}, {"utf-16", wide(unicode.BigEndian, unicode.IgnoreBOM), "猫"},
		{"utf-16", wide(unicode.LittleEndian, unicode.IgnoreBOM), "猫"},
		{"utf8", encoding.Nop, "猫"}, {"us-ascii", encoding.Nop, "cat"}, {"Big5", traditionalchinese.Big5, "貓"}, {"EUC-KR", korean.EUCKR, "고양이"},
		{"GBK", unicode.UTF8BOM, "猫"}, {"unicode", encoding.Nop, "猫"},
		{"utf-16", encoding.Nop, "猫"}, // as some tools declare what is UTF-8
	} {
		text, err := c.e.NewEncoder().String(vocText(c.declared, "a.jpg", c.label))
		if err != nil {
			t.Fatal(err)
		}
		rs, faults, _ := read(t, write(t, "a.xml", text), Options{})
		if got, want := describe(rs), c.label+" 0 2 3 13 14"; got != want || faults != nil {
			t.Errorf("%s: got %s, %v; want %s", c.declared, got, faults, want)
		}
	}
	for text, want := range map[string]string{
		vocText("x-klingon", "a.jpg", "cat"):           `declares the encoding "x-klingon"`,
		vocText("GBK", "a.jpg", "\xff"):                "is not in the encoding",
		vocText("", "a.jpg", "\xc3\xa8\xc3"):           "the text is not UTF-8",
		"<annotations><version>1.1</version>":          "a file of CVAT",
		"<PcGts/>":                                     "a file of PAGE",
		"<annotation><object><polygon/></object>":      "as LabelMe's XML has it",
		"<annotation><object><robndbox/></object>":     "a turned box",
		"<annotation><filename>a.jpg</filename><objec": "unexpected EOF",
	} {
		if _, err := Open(write(t, "a.xml", text), Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

// A file is of the picture that it names, or where there is none of the one of its own name;
// of two it is told.
func TestVOCFilenames(t *testing.T) {
	for _, c := range []struct{ file, filename, want string }{
		{"a.xml", "a.jpg", "0"}, {"a.xml", "a", "0"}, {"a.xml", "", "0"}, {"x.xml", "a.jpg", "0"}, {"a.xml", "renamed.jpg", "0"},
		{"a.xml", "a.png", "0"}, // written when the picture was another
		{"b.xml", "C:\\data\\a.jpg", "which stands for picture"}, {"x.xml", "y.jpg", `"y.jpg" is not in the dataset`},
	} {
		s, err := Open(write(t, "voc/"+c.file, vocText("", c.filename, "cat")), Options{})
		if err != nil {
			t.Fatal(err)
		}
		m := s.Match(items{"sub/a.jpg", "sub/b.jpg"})
		got := ""
		for i := range 2 {
			if m.Has(i) {
				got += fmt.Sprint(i)
			}
		}
		for _, f := range m.Faults.Rows {
			got += f.Error()
		}
		if got != c.want && (len(c.want) == 1 || !strings.Contains(got, c.want)) {
			t.Errorf("%s of %q: %s, want %s", c.file, c.filename, got, c.want)
		}
	}
	// Files that all name one picture, which is not there, are of their own ones.
	dir := filepath.Dir(write(t, "a.xml", vocText("", "img.jpg", "cat")))
	os.WriteFile(filepath.Join(dir, "b.xml"), []byte(vocText("", "img.jpg", "dog")), 0o666)
	s, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	m := s.Match(items{"a.jpg", "b.jpg"})
	if m.Own != 2 || s.Noted[OwnName] != 2 {
		t.Errorf("%d files are told by their own name, noted %v", m.Own, s.Noted)
	}
	for i, want := range []string{"cat 0 2 3 13 14", "dog 0 2 3 13 14"} {
		if rs, _ := m.Regions(i, size); describe(rs) != want {
			t.Errorf("picture %d: %s, want %s", i, describe(rs), want)
		}
	}
}

// The format of a folder is told by what lies in it; pictures and notes may lie beside.
func TestFoldersAreTold(t *testing.T) {
	voc, yolo, coco := vocText("", "a.jpg", "cat"), "0 .5 .5 .1 .1\n", cocoText
	for _, c := range []struct {
		files map[string]string
		want  string
	}{
		{map[string]string{"a.xml": voc, "a.png": ""}, "voc"},
		{map[string]string{"a.txt": yolo, "a.png": "", "classes.txt": "x"}, "yolo"},
		{map[string]string{"a.xml": voc, "a.png": "", "README.txt": "Notes.", "classes.txt": "cat"}, "voc"},
		{map[string]string{"a.png": "x", "classes.txt": "x", "manifest.json": `{"tool": 1}`}, "labels"},
		{map[string]string{"a.json": coco, "a.png": ""}, "coco"},
		{map[string]string{"a.txt": yolo, "notes.json": coco}, "yolo"},
		{map[string]string{"a.xml": voc, "a.txt": yolo}, "2 formats (voc, yolo)"},
		{map[string]string{"a.jpg": ""}, "holds no annotations"},
		{map[string]string{"a.json": `{"version": "5.0", "shapes": [], "imagePath": "a.png"}`, "a.png": "x"}, "a file of LabelMe"},
		{map[string]string{"a.json": `{"a.png1": {"filename": "a.png", "regions": []}}`, "a.png": "x"}, "a file of VIA"},
	} {
		dir := t.TempDir()
		for name, text := range c.files {
			os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666)
		}
		got := ""
		if s, err := Open(dir, Options{}); err != nil {
			got = err.Error()
		} else {
			got = s.Format
		}
		if !strings.Contains(got, c.want) {
			t.Errorf("%v: got %s, want %s", c.files, got, c.want)
		}
	}
}

// What an object has beside its box is not read, and counted.
func TestPassedOverInVOC(t *testing.T) {
	box := func(x int) string {
		return fmt.Sprintf("<bndbox><xmin>%d</xmin><ymin>1</ymin><xmax>20</xmax><ymax>9</ymax></bndbox>", x)
	}
	rs, faults, s := read(t, write(t, "a.xml", "<annotation><object><name>p</name><part><name>head</name>"+box(3)+"</part><part><name>foot</name>"+box(4)+
		"</part>"+box(1)+"</object><object><name>q</name>"+box(2)+box(7)+"</object><object><name>r</name><polygon><x1>1</x1></polygon>"+box(5)+
		"</object><object><name>s</name>"+box(6)+"<robndbox><cx>1</cx></robndbox></object></annotation>"), Options{})
	if got := describe(rs); got != "p 0 0 0 20 9; q 1 1 0 20 9; r 2 4 0 20 9; s 3 5 0 20 9" || faults != nil {
		t.Errorf("got %s and %v", got, faults)
	}
	const want = "part of an object, not read: 2; polygon or robndbox beside a bndbox, not read: 2; bndbox behind an object's first, not read: 1"
	if got := s.Noted.String(); got != want {
		t.Errorf("noted %s, want %s", got, want)
	}
}
