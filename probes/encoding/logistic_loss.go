package encoding

import "math"

// loss is the log loss of labelled items by their scores: rows of scores one after the
// other, each with one score an item.
type loss interface {
	rows() int
	// at is the sum of the items' losses. It turns the scores into the derivatives of
	// the sum by them.
	at(scores []float64) float64
}

// softmax is the multinomial loss: a row of scores for each class.
type softmax struct {
	of []int // the class of each item
	k  int
}

func (s *softmax) rows() int { return s.k }

func (s *softmax) at(scores []float64) (total float64) {
	n := len(s.of)
	for i, class := range s.of {
		most := math.Inf(-1)
		for at := i; at < len(scores); at += n {
			most = max(most, scores[at])
		}
		sum := 0.0
		for at := i; at < len(scores); at += n {
			sum += math.Exp(scores[at] - most)
		}
		total += most + math.Log(sum) - scores[class*n+i]
		for at := i; at < len(scores); at += n {
			scores[at] = math.Exp(scores[at]-most) / sum
		}
		scores[class*n+i]--
	}
	return total
}

// twoClass is the loss of two classes, whose one score is high for items of sign 0.
type twoClass struct{ sign []int }

func (b *twoClass) rows() int { return 1 }

func (b *twoClass) at(scores []float64) (total float64) {
	for i, z := range scores {
		if b.sign[i] == 1 {
			z = -z
		}
		// log(1 + exp(-z)) without overflow
		total += max(-z, 0) + math.Log1p(math.Exp(-math.Abs(z)))
		scores[i] = -1 / (1 + math.Exp(z))
		if b.sign[i] == 1 {
			scores[i] = -scores[i]
		}
	}
	return total
}
