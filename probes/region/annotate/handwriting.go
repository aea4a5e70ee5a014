package annotate

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/onnxprobe/onnxprobe/probes/region"
)

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
	return nil
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
