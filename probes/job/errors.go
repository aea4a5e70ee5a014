package job

import (
	"errors"
	"path/filepath"
	"strings"

	"github.com/onnxprobe/onnxprobe/engine/dataset"
	"github.com/onnxprobe/onnxprobe/probes/encoding"
)

// OfMachine is the reason of all rows that say a fault of the machine, as jobs of earlier
// versions have them.
const OfMachine = "machine"

// HasErrors says whether a shard that is done has a row whose error has the reason in it;
// OfMachine is any fault of the machine or its disk.
func (p *Plan) HasErrors(i int, r *Record, reason string) (bool, error) {
	if r.Failed == 0 && (r.Regions == nil || r.Regions.Failed == 0) {
		return false, nil
	}
	texts := []string{reason}
	if reason == OfMachine {
		texts = dataset.MachineTexts()
	}
	found := errors.New("found")
	err := encoding.Errors(filepath.Join(p.dir, p.dataName(i)), func(_, message string) error {
		for _, t := range texts {
			if strings.Contains(message, t) {
				return found
			}
		}
		return nil
	})
	if dataset.FaultOf(err) >= dataset.MediumFault {
		return false, err
	}
	return err != nil, nil // found, or damaged
}
