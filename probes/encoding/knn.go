package encoding

import (
	"context"
	"fmt"
	"slices"
)

// KNN is how well the labels of the nearest codes tell an item's label.
type KNN struct {
	K        int     `json:"k"`
	Items    int     `json:"items"` // of the test set, those with a label
	Right    int     `json:"right"`
	Accuracy float64 `json:"accuracy"`
	// DistanceTies counts the items whose K-th and K+1-st neighbors are equally far,
	// so that the order of rows chose between them; VoteTies those for which several
	// labels had the most votes, so that the smallest won.
	DistanceTies int `json:"distance_ties"`
	VoteTies     int `json:"vote_ties"`
	// Predicted is the label for each row of the test set.
	Predicted []Label `json:"-"`
}

// nearestNeighbors predicts each test item's label by a vote of the k nearest
// training items in Hamming distance. Of equally distant items the first rows vote;
// of labels with equally many votes the smallest wins. Both happen often with
// integer distances, and are counted. Training items without a label do not vote.
func nearestNeighbors(ctx context.Context, train, test *Codes, k int, o SearchOptions) (*KNN, error) {
	rows, labels := train.labelled()
	if len(rows) < k {
		return nil, fmt.Errorf("%d neighbors are to vote, but %s has only %d items with a label", k, train.Name, len(rows))
	}
	if len(rows) < train.n {
		train = train.Pick(rows)
	}
	o.Self = nil
	found, err := Search(ctx, test, train, k+1, o)
	if err != nil {
		return nil, err
	}
	r := &KNN{K: k, Predicted: make([]Label, test.n)}
	for i, near := range found {
		if len(near) > k {
			if near[k].Distance == near[k-1].Distance {
				r.DistanceTies++
			}
			near = near[:k]
		}
		votes := map[Label]int{}
		for _, n := range near {
			votes[labels[n.Row]]++
		}
		won, tied := winner(votes)
		if tied {
			r.VoteTies++
		}
		r.Predicted[i] = won
	}
	r.Items, r.Right, r.Accuracy = test.right(func(row int) (Label, bool) { return r.Predicted[row], true })
	return r, nil
}

// winner is the label with the most votes, the smallest of several.
func winner(votes map[Label]int) (label Label, tied bool) {
	most := 0
	for l, n := range votes {
		switch {
		case n > most:
			label, most, tied = l, n, false
		case n == most:
			if tied = true; l.compare(label) < 0 {
				label = l
			}
		}
	}
	return label, tied
}

// labelled are the rows that have a label, and their labels.
func (c *Codes) labelled() (rows []int, labels []Label) {
	for i := range c.n {
		if l, ok := c.Label(i); ok {
			rows, labels = append(rows, i), append(labels, l)
		}
	}
	return rows, labels
}

// classes are the different labels in ascending order, and for each label its
// place among them.
func classes(labels []Label) (all []Label, of []int) {
	place := map[Label]int{}
	for _, l := range labels {
		if _, known := place[l]; !known {
			place[l] = 0
			all = append(all, l)
		}
	}
	slices.SortFunc(all, Label.compare)
	for i, l := range all {
		place[l] = i
	}
	of = make([]int, len(labels))
	for i, l := range labels {
		of[i] = place[l]
	}
	return all, of
}

func ratio(a, b int) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}
