package annotate

import (
	"encoding/json"
	"errors"

	"github.com/onnxprobe/onnxprobe/probes/region"
)

// Reason is why something of annotations is left out.
type Reason = region.Reason

// Counts says how many there are of some kinds.
type Counts = region.Counts

// The reasons.
const (
	BadFile    Reason = "file that cannot be read"
	BadRow     Reason = "row that cannot be read"
	BadBox            = region.BadBox
	BadShape   Reason = "polygon or mask that cannot be read"
	NoShape    Reason = "annotation without a box or a mask"
	NoPixel    Reason = "shape that covers no pixel"
	Outside           = region.Outside
	OtherSize  Reason = "picture of another size than annotated"
	NoAnswer   Reason = "row without an answer"
	TwoAnswers Reason = "row with several answers"
	NoImage    Reason = "annotation of an image that the file does not list"
	NoClass    Reason = "class that has no name"
	NotInData  Reason = "picture that is not in the dataset"
	OfAnother  Reason = "another picture's name"
	Ambiguous  Reason = "picture name that several have"
	TooMany    Reason = "mask beyond the memory for masks"
	NoLabelMap Reason = "label map or panoptic mask that cannot be read"
	NoSegment  Reason = "segment of a panoptic mask that the file does not list"
)

// What a Set notes of regions that are kept.
const (
	CrowdKept Reason = "crowd region, which stands for many objects"
	OwnName   Reason = "file of the picture of its own name, not of the one that it names"
	// PictureList is a text file that lists pictures, as Darknet's train.txt.
	PictureList Reason = "file that lists pictures, passed over"
	// Repeated is a row that Ultralytics drops: of the class and box of one before.
	Repeated Reason = "row that repeats another, dropped"
	DoubleID Reason = "ID that another region of the picture has"
	// Part, MoreBoxes and BesideBox are in objects of VOC's XML.
	Part      Reason = "part of an object, not read"
	MoreBoxes Reason = "bndbox behind an object's first, not read"
	BesideBox Reason = "polygon or robndbox beside a bndbox, not read"
	Unnamed   Reason = "category that the file does not list, labeled by its number"
)

// What a format that is written does not hold: see Writer.Lost.
const (
	OnlyBox     Reason = "mask, of which the box alone is written"
	CrowdLost   Reason = "mark of a crowd"
	ScoreLost   Reason = "score"
	LabelLost   Reason = "label"
	IDLost      Reason = "id that the region has in its picture"
	Covered     Reason = "region that later ones cover"
	PartCovered Reason = "region that later ones cover in part"
)

type reasoned struct {
	reason Reason
	error
}

func (r *reasoned) Unwrap() error { return r.error }

// because gives an error its reason; nil stays nil.
func because(r Reason, err error) error {
	if err == nil {
		return nil
	}
	return &reasoned{r, err}
}

// reasonOf is an error's reason, that of the innermost that has one.
func reasonOf(err error) Reason {
	reason := BadRow
	for r := (*reasoned)(nil); errors.As(err, &r); err = r.error {
		reason = r.reason
	}
	return reason
}

// LeftOut is what of a Set could not be used so far, from reading it, matching it and asking
// for regions. Its JSON is the counts at the time that it is made.
type LeftOut struct{ set *Set }

// LeftOut counts what of the set is left out.
func (s *Set) LeftOut() LeftOut { return LeftOut{s} }

// Counts is how many so far.
func (l LeftOut) Counts() Counts {
	return Counts{}.Add(l.set.Faults.ByReason).Add(l.set.late.Counts())
}

// MarshalJSON writes the counts.
func (l LeftOut) MarshalJSON() ([]byte, error) { return json.Marshal(l.Counts()) }
