package annotate

import (
	"cmp"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/probes/region"
)

// page is a page of BN-HTRd with its lines, from the top.
type page struct {
	// Document and Number are the two parts of the page's ID, as 7 and 1 of 7_1.
	Document, Number int
	// Image and Boxes are the files of the whole page, "" where there is none.
	Image, Boxes string
	Lines        []textLine
}

// ID is the page's name in the data set.
func (p page) ID() string { return fmt.Sprintf("%d_%d", p.Document, p.Number) }

// textLine is a line of a page.
type textLine struct {
	Number int
	// Image is the file of the line's picture, Boxes that of its YOLO boxes; "" where
	// there is none.
	Image, Boxes string
	Words        []word
}

// word is a word of a line.
type word struct {
	Number int
	// Text is the ground truth, Image the file of the word's picture; "" where there is
	// none.
	Text, Image string
}

// handwriting is what openBNHTRd finds, sorted by document and page.
type handwriting struct {
	Pages  []page
	Faults Faults
}

// bnFolders are the folders of the data set.
var bnFolders = struct{ lines, words, texts string }{
	"Segmentation_Images/Lines", "Segmentation_Images/Words", "Recognition_Ground_Truth_Texts",
}

// openBNHTRd reads the folders of BN-HTRd (Rahman et al., A dataset of Bangla
// handwriting, Mendeley Data 743k6dm543): pictures of lines and words, named
// DOCUMENT_PAGE_LINE and DOCUMENT_PAGE_LINE_WORD, of pages where they are there too,
// named DOCUMENT_PAGE, the boxes beside them, and the ground truth of words in a sheet a
// document with the columns Id and Word. Pictures are not opened. Files whose names or
// rows are not understood are faults; other files are passed over. It is an error when
// root has none of the three folders.
func openBNHTRd(disk disk, root string) (*handwriting, error) {
	r := bnReader{
		disk: disk, out: &handwriting{},
		words: map[[4]int]*word{}, lines: map[[3]int]*textLine{}, pages: map[[2]int]*page{},
	}
	found := false
	for _, f := range []struct {
		folder string
		take   func(file string) error
	}{{bnFolders.lines, r.line}, {bnFolders.words, r.word}, {bnFolders.texts, r.texts}} {
		folder := filepath.Join(root, filepath.FromSlash(f.folder))
		if info, err := disk.Stat(folder); err != nil || !info.IsDir() {
			continue
		}
		found = true
		err := disk.walk(folder, func(file string, _ bool) error {
			err := f.take(file)
			if dataset.FaultOf(err) > dataset.ItemFault { // it was listed a moment ago
				return err
			}
			if err != nil {
				r.out.Faults.add(file, 0, err)
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("reading BN-HTRd in %q: %w", root, err)
		}
	}
	if !found {
		return nil, fmt.Errorf("reading BN-HTRd in %q: got none of the folders %s, %s and %s", root, bnFolders.lines, bnFolders.words, bnFolders.texts)
	}
	r.gather()
	return r.out, nil
}

// bnReader holds pages, lines and words by the numbers in their names.
type bnReader struct {
	disk  disk
	pages map[[2]int]*page
	lines map[[3]int]*textLine
	words map[[4]int]*word
	out   *handwriting
}

// ids are the numbers of a name: 7_1_3_2.
func ids(name string, want int) ([]int, error) {
	fields := strings.Split(name, "_")
	out, ok := make([]int, len(fields)), len(fields) == want
	for i, f := range fields {
		n, err := strconv.Atoi(f)
		out[i], ok = n, ok && err == nil && n >= 0 && n <= 1<<30
	}
	if !ok {
		return nil, fmt.Errorf("got the name %.60q, want %d numbers as in %s", name, want, "7_1_3_2"[:2*want-1])
	}
	return out, nil
}

func isPicture(file string) bool {
	return slices.Contains([]string{".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff"}, strings.ToLower(filepath.Ext(file)))
}

// line takes a file of a line or a whole page.
func (r bnReader) line(file string) error {
	boxes := strings.EqualFold(filepath.Ext(file), ".txt")
	if !isPicture(file) && !boxes || filepath.Base(file) == classesFile {
		return nil
	}
	put := func(image, text *string) error {
		if boxes {
			image = text
		}
		*image = file
		return nil
	}
	name := stem(filepath.Base(file))
	if n, err := ids(name, 2); err == nil {
		p := r.pageOf([2]int(n))
		return put(&p.Image, &p.Boxes)
	}
	n, err := ids(name, 3)
	if err != nil {
		return err
	}
	l := r.lineOf([3]int(n))
	return put(&l.Image, &l.Boxes)
}

func (r bnReader) pageOf(n [2]int) *page {
	return entry(r.pages, n, page{Document: n[0], Number: n[1]})
}

func (r bnReader) lineOf(n [3]int) *textLine { return entry(r.lines, n, textLine{Number: n[2]}) }

func (r bnReader) wordOf(n [4]int) *word { return entry(r.words, n, word{Number: n[3]}) }

// entry is what a map has for a key, v where it has nothing yet.
func entry[K comparable, V any](m map[K]*V, k K, v V) *V {
	if m[k] == nil {
		m[k] = &v
	}
	return m[k]
}

func (r bnReader) word(file string) error {
	if !isPicture(file) {
		return nil
	}
	n, err := ids(stem(filepath.Base(file)), 4)
	if err == nil {
		r.wordOf([4]int(n)).Image = file
	}
	return err
}

// texts takes the words of a document's sheet, its columns Id and Word.
func (r bnReader) texts(file string) error {
	if !strings.EqualFold(path.Ext(file), ".xlsx") {
		return nil
	}
	rows, err := readSheet(r.disk, file)
	if err != nil {
		return err
	}
	id, text := -1, -1
	for i, row := range rows {
		if i == 0 {
			find := func(name string) int {
				return slices.IndexFunc(row, func(s string) bool { return strings.EqualFold(strings.TrimSpace(s), name) })
			}
			if id, text = find("id"), find("word"); id < 0 || text < 0 {
				return fmt.Errorf("the sheet's first row got %q, want the columns Id and Word", row)
			}
			continue
		}
		if id >= len(row) || strings.TrimSpace(row[id]) == "" {
			continue
		}
		n, err := ids(strings.TrimSpace(row[id]), 4)
		if err != nil {
			r.out.Faults.add(file, i+1, err)
			continue
		}
		if text < len(row) {
			r.wordOf([4]int(n)).Text = row[text]
		}
	}
	return nil
}

// gather puts words into lines and lines into pages.
func (r bnReader) gather() {
	for n, w := range r.words {
		l := r.lineOf([3]int(n[:3]))
		l.Words = append(l.Words, *w)
	}
	for n, l := range r.lines {
		slices.SortFunc(l.Words, func(a, b word) int { return a.Number - b.Number })
		p := r.pageOf([2]int(n[:2]))
		p.Lines = append(p.Lines, *l)
	}
	for _, p := range r.pages {
		slices.SortFunc(p.Lines, func(a, b textLine) int { return a.Number - b.Number })
		r.out.Pages = append(r.out.Pages, *p)
	}
	slices.SortFunc(r.out.Pages, func(a, b page) int {
		return cmp.Or(a.Document-b.Document, a.Number-b.Number)
	})
}

// isBNHTRd reports whether a folder has one of the folders of BN-HTRd.
func isBNHTRd(disk disk, root string) bool {
	for _, folder := range []string{bnFolders.lines, bnFolders.words, bnFolders.texts} {
		if info, err := disk.Stat(filepath.Join(root, filepath.FromSlash(folder))); err == nil && info.IsDir() {
			return true
		}
	}
	return false
}

// openHandwriting makes the pictures of BN-HTRd regions. A picture of a page or a line
// has the boxes in the file beside it, which are taken to be of that picture. One of a
// word, or of a line without such a file, is one region as a whole: its label is the
// ground truth, of a line the words that are known, and its ID is the one of the data
// set, 7_1_3_2.
func openHandwriting(s *Set, path string) error {
	d, err := openBNHTRd(s.disk, path)
	if err != nil {
		return err
	}
	s.Faults = d.Faults
	for _, p := range d.Pages {
		s.boxesBeside(path, p.Boxes)
		for _, l := range p.Lines {
			id := fmt.Sprintf("%s_%d", p.ID(), l.Number)
			var words []string
			for _, w := range l.Words {
				if w.Text != "" {
					words = append(words, w.Text)
				}
				s.whole(path, w.Image, fmt.Sprintf("%s_%d", id, w.Number), w.Text)
			}
			if l.Boxes != "" {
				s.boxesBeside(path, l.Boxes)
			} else {
				s.whole(path, l.Image, id, strings.Join(words, " "))
			}
		}
	}
	return s.settleYOLO()
}

// boxesBeside takes the boxes of a file for the picture of its name.
func (s *Set) boxesBeside(root, file string) {
	if file == "" {
		return
	}
	f, err := s.disk.openRegular(file)
	if err == nil {
		err = s.readYOLO(f, file, withoutExt(relative(root, file), filepath.Ext(file)))
		f.Close()
	}
	if err != nil {
		s.Faults.add(file, 0, err)
	}
}

// whole makes a picture one region.
func (s *Set) whole(root, image, id, text string) {
	if image != "" {
		s.add(relative(root, image), image, mark{id: id, label: text, box: region.Box{X1: 1, Y1: 1}, scale: 1})
	}
}
