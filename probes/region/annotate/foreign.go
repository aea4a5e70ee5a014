package annotate

import (
	"bytes"
	"fmt"
	"slices"
)

// foreign is a format that is told by its keys or elements and not read.
type foreign struct {
	name string
	// marks are keys of a JSON object, of which one must be there, or the root of an XML file.
	marks []string
	// convert says how a format that is read is made of it.
	convert string
}

// foreignJSON are told by the keys of the file, or of the first element of its list; the
// first that fits counts.
var foreignJSON = []foreign{
	{"LabelMe", []string{"shapes", "imagePath", "imageData"}, "write COCO with labelme2coco or COCO Annotator"},
	{"VIA (VGG Image Annotator)", []string{"_via_img_metadata", "_via_settings", "regions", "file_attributes"}, "export COCO from VIA"},
	{"Label Studio", []string{"predictions", "completions", "total_annotations", "annotation_id", "data"}, "export COCO or YOLO from Label Studio"},
	{"CreateML", []string{"image", "imagefilename"}, "export COCO or YOLO, as Roboflow does"},
	{"Datumaro", []string{"items"}, "run datum convert to COCO"},
	{"Supervisely", []string{"objects"}, "export COCO from Supervisely"},
	{"Labelbox", []string{"data_row", "DataRow ID", "Labeled Data"}, "export COCO from Labelbox"},
	{"LVIS or COCO without annotations", []string{"images"}, "give the file with the annotations"},
}

// foreignCSV are told by a column, in small letters.
var foreignCSV = []foreign{
	{"VIA (VGG Image Annotator)", []string{"region_shape_attributes"}, "export COCO from VIA"},
	{"Open Images", []string{"imageid"}, "rename the columns ImageID, XMin, YMin, XMax, YMax, LabelName to path, x1, y1, x2, y2, label; its boxes are fractions"},
}

// foreignXML are told by the root element.
var foreignXML = []foreign{
	{"CVAT", []string{"annotations"}, "export COCO 1.0 or PASCAL VOC 1.1 from CVAT"},
	{"dlib's imglab", []string{"dataset"}, "write COCO of it"},
	{"PAGE", []string{"PcGts"}, "write COCO of it"},
	{"ALTO", []string{"alto"}, "write COCO of it"},
}

// foreignIn is the format that one of some words is the mark of, or nil.
func foreignIn(all []foreign, words []string) *foreign {
	for i, f := range all {
		if slices.ContainsFunc(f.marks, func(m string) bool { return slices.Contains(words, m) }) {
			return &all[i]
		}
	}
	return nil
}

func (f *foreign) Error() string {
	return fmt.Sprintf("this is a file of %s, which is not read; %s", f.name, f.convert)
}

// withVIA adds a mark of VIA's annotations to keys, which are names of files there.
func withVIA(keys []string, head []byte) []string {
	if bytes.Contains(head, []byte(`"filename"`)) && bytes.Contains(head, []byte(`"regions"`)) {
		return append(keys, "regions")
	}
	return keys
}

// noCOCO says what a JSON file with some keys is instead; head is how it begins.
func noCOCO(keys []string, head []byte) error {
	for _, k := range []string{"annotations", "images"} {
		if slices.Contains(keys, k+notList) {
			return fmt.Errorf("it is no COCO: the value of %s is not a list", k)
		}
	}
	if f := foreignIn(foreignJSON, withVIA(keys, head)); f != nil {
		return f
	}
	return fmt.Errorf("it is no COCO: got the keys %s, want images, annotations and categories, or a list of results with image_id",
		firstWords(keys, 8))
}

func firstWords(words []string, most int) string {
	if len(words) > most {
		return fmt.Sprintf("%.200q and %d more", words[:most], len(words)-most)
	}
	return fmt.Sprintf("%.200q", words)
}
