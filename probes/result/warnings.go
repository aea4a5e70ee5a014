package result

import (
	"fmt"
	"slices"
)

// Warning is what is doubtful about some items, and how many these are.
type Warning struct {
	Text  string `json:"warning"`
	Items int    `json:"items"`
	// First is the ID of one of them.
	First string `json:"first"`
}

// String is the warning with the item, or the first one and how many more there are.
func (w Warning) String() string {
	if w.Items == 1 {
		return w.First + ": " + w.Text
	}
	return fmt.Sprintf("%s and %d more: %s", w.First, w.Items-1, w.Text)
}

// Warnings are the different ones of a run, in the order in which they came.
type Warnings []Warning

// maxWarnings is how many are told apart; those after it count as one.
const maxWarnings = 10

const moreWarnings = "other warnings, which the rows have"

// Add counts a warning of an item; "" is none.
func (w *Warnings) Add(text, id string) {
	if text != "" {
		w.add(Warning{text, 1, id})
	}
}

func (w *Warnings) add(one Warning) {
	for {
		if i := slices.IndexFunc(*w, func(o Warning) bool { return o.Text == one.Text }); i >= 0 {
			(*w)[i].Items += one.Items
			return
		}
		if len(*w) < maxWarnings || one.Text == moreWarnings {
			*w = append(*w, one)
			return
		}
		one.Text = moreWarnings
	}
}

// Join adds those of another run.
func (w *Warnings) Join(others Warnings) {
	for _, o := range others {
		w.add(o)
	}
}
