package dynamics

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/onnxprobe/onnxprobe/probes/text"
)

// curves are the figures that Outcome.Print shows.
var curves = []struct{ title, set, measure string }{
	{"ACC TRAIN", "train", "accuracy"}, {"TEST", "test", "accuracy"}, {"ROBUST", "test", "robust_accuracy"},
	{"LC TRAIN", "train", "complexity"}, {"TEST", "test", "complexity"}, {"RANDOM", "random", "complexity"},
	{"REDUND. TEST", "test", "redundancy"}, {"K-NN", "test", "knn_accuracy"}, {"CHURN TEST", "test", "churn"},
}

// Print writes the curves for people, a line for each of cs, the checkpoints that the
// records are of, and then what could not be measured. Local complexity is that of radius.
func (o *Outcome) Print(w io.Writer, radius float64, cs []Checkpoint) {
	rows := [][]string{{"STEP"}}
	for _, col := range curves {
		rows[0] = append(rows[0], col.title)
	}
	var failed strings.Builder
	for i, r := range o.Records {
		row := []string{strconv.FormatInt(cs[i].Step, 10)}
		if r.Error != "" {
			row = append(row, "error")
			fmt.Fprintf(&failed, "step %d: %s\n", cs[i].Step, text.Message(r.Error))
		} else {
			for _, col := range curves {
				cell := "-"
				if v, ok := r.figure(col.set, col.measure, radius); ok {
					cell = brief(v)
				}
				row = append(row, cell)
			}
		}
		rows = append(rows, row)
	}
	text.Table(w, rows)
	io.WriteString(w, failed.String())
}

func brief(v float64) string { return strconv.FormatFloat(v, 'g', 4, 64) }

// PrintPhases writes the cells of a phase chart for people, a line each.
func PrintPhases(w io.Writer, cells []Cell) {
	rows := [][]string{{"AXES", "SIZE", "TIME", "SAMPLES", "REDUND. TRAIN", "TEST", "K-NN", "REGIME"}}
	for _, c := range cells {
		row := []string{c.Pair[0]}
		if c.Pair[1] != "" {
			row[0] += ", " + c.Pair[1]
		}
		for _, v := range append(c.At[:], c.Train, c.Test, c.KNN) {
			if row = append(row, brief(v)); math.IsNaN(v) {
				row[len(row)-1] = "-"
			}
		}
		rows = append(rows, append(row, c.Regime))
	}
	text.Table(w, rows)
}

// MarshalJSON writes the columns of PhaseTable, with the setting under "at". Axes that
// there are not are left out, and changes that are not known are null.
func (c Cell) MarshalJSON() ([]byte, error) {
	at := map[string]float64{}
	for k, v := range c.At {
		if !math.IsNaN(v) {
			at[axisNames[k]] = v
		}
	}
	return json.Marshal(struct {
		X       string             `json:"x"`
		Y       string             `json:"y,omitempty"`
		At      map[string]float64 `json:"at"`
		Models  int                `json:"models"`
		Train   Value              `json:"redundancy_train"`
		Test    Value              `json:"redundancy_test"`
		KNN     Value              `json:"knn_accuracy"`
		ChangeX Value              `json:"change_x"`
		ChangeY Value              `json:"change_y"`
		Regime  string             `json:"regime"`
	}{c.Pair[0], c.Pair[1], at, c.Models, Value(c.Train), Value(c.Test), Value(c.KNN),
		Value(c.Change[0]), Value(c.Change[1]), c.Regime})
}
