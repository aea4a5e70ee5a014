package jpeg

import "strings"

// damage is the faults of a file that libjpeg warns of and goes over, each a bit.
type damage uint16

const (
	badCodes damage = 1 << iota
	endsEarly
	outOfTurn
	strayBytes
	strangeOrder
	incomplete
	noScan
	notSequential
	strangeMarkers
	noEnd
)

var faults = []struct {
	kind damage
	text string
}{
	{badCodes, "codes that are none"},
	{endsEarly, "a scan that ends early"},
	{outOfTurn, "restart markers that are missing or out of turn"},
	{strayBytes, "bytes that belong to nothing"},
	{strangeOrder, "progressive scans that do not follow from those before"},
	{incomplete, "progressive scans are missing, so that coefficients were estimated or are not exact"},
	{noScan, "a component without a scan, which is shown grey"},
	{notSequential, "the header of a progressive scan in a sequential file"},
	{strangeMarkers, "a JFIF or Adobe marker of an unknown version"},
	{noEnd, "no end-of-image marker"},
}

// String tells of the damage in words that are the same for all files that have it;
// it is "" where there is none.
func (d damage) String() string {
	var is []string
	for _, f := range faults {
		if d&f.kind != 0 {
			is = append(is, f.text)
		}
	}
	if is == nil {
		return ""
	}
	return "a damaged JPEG file, shown as libjpeg shows it: " + strings.Join(is, "; ") + "; get the file again if you can"
}
