package annotate

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/onnxprobe/onnxprobe/onnx"
)

// Tasks are what the rows of YOLO's files may be of.
var Tasks = []string{"detect", "segment", "obb", "pose"}

// layout is how rows of YOLO's files are read.
type layout struct {
	task string
	// points and each are how many points a pose has, 0 for any, and of how many numbers.
	points, each int
	// tail is how many numbers come behind: one is a confidence or the number of a track, two
	// are both.
	tail int
}

// parseTask reads Options.Task.
func parseTask(text string) (l layout, err error) {
	task, shape, given := strings.Cut(text, ":")
	l.task = task
	if text != "" && !slices.Contains(Tasks, task) {
		err = fmt.Errorf("the task is %q; want %s", text, strings.Join(Tasks, ", "))
	}
	if given && err == nil {
		k, d, _ := strings.Cut(shape, "x")
		l.points, _ = strconv.Atoi(k)
		l.each, err = strconv.Atoi(d)
		if task != "pose" || err != nil || !goodPoints([2]int{l.points, l.each}) {
			err = fmt.Errorf("the task is %q; want points only of pose, as in pose:17x3: 17 points of 3 numbers (2 or 3)", text)
		}
	}
	return l, err
}

// maxPoints bounds the points of a pose.
const maxPoints = 1 << 16

func goodPoints(p [2]int) bool { return p[0] > 0 && p[0] <= maxPoints && (p[1] == 2 || p[1] == 3) }

func (l layout) String() string {
	said := l.task
	if l.points > 0 {
		said = fmt.Sprintf("%s:%dx%d", l.task, l.points, l.each)
	}
	return said + [...]string{"", " with a confidence or track", " with a confidence and a track"}[l.tail]
}

// body is a row without its tail, where its length is right.
func (l layout) body(v []float64) (body, tail []float64, ok bool) {
	n := len(v) - l.tail
	switch {
	case n < 4:
	case l.task == "detect":
		ok = n == 4
	case l.task == "obb":
		ok = n == 8
	case l.task == "segment":
		ok = n >= 6 && n%2 == 0
	case l.points > 0:
		ok = n == 4+l.points*l.each
	default:
		ok = n > 4 && (n-4)%l.each == 0
	}
	if !ok {
		return nil, nil, false
	}
	return v[:n], v[n:], true
}

// same reports whether two layouts give the same regions of rows that fit both.
func (l layout) same(o layout) bool {
	kind := func(l layout) string {
		if l.task == "obb" {
			return "segment"
		}
		return l.task
	}
	return kind(l) == kind(o) && l.tail == o.tail
}

// layouts are those that rows longer than a box may have, by what the options and data.yaml
// say; said is set where these say it.
func (s *Set) layouts() (all []layout, said bool) {
	want := s.o.task
	if want.task == "" && s.yolo.points != [2]int{} {
		want = layout{task: "pose", points: s.yolo.points[0], each: s.yolo.points[1]}
	}
	for _, task := range []string{"detect", "segment", "obb", "pose"} {
		switch {
		case want.task != "" && want.task != task:
			continue
		case want.task == "" && task == "obb": // is a polygon of four points
			continue
		case want.task == "" && task == "pose" && s.yolo.described: // data.yaml would say its points
			continue
		}
		for _, each := range []int{2, 3} {
			if task != "pose" && each == 3 || want.each != 0 && each != want.each {
				continue
			}
			for tail := range 3 {
				all = append(all, layout{task, want.points, each, tail})
			}
		}
	}
	return all, want.task != ""
}

// settleYOLO finds out what the rows are and makes regions of them. It is an error where they
// can be read in several ways.
func (s *Set) settleYOLO() error {
	var long []yoloRow
	for _, row := range s.yolo.rows {
		if len(row.v) > 5 {
			long = append(long, row)
		}
	}
	var chosen layout
	if len(long) > 0 {
		all, said := s.layouts()
		var err error
		if chosen, err = choose(all, long, said); err != nil {
			return err
		}
		chosen.settlePoints(long)
		s.Noted = s.Noted.Add(Counts{Reason("row read as " + chosen.String()): len(long)})
	}
	tracks := s.tailsAreTracks(chosen)
	s.noteTails(tracks)
	seen := map[string]bool{}
	for at, row := range s.yolo.rows {
		p := &s.pictures[row.picture]
		m, err := row.mark(chosen, tracks)
		if err == nil {
			err = checkBox(m.box)
		}
		if err != nil {
			s.Faults.add(p.file, row.line, err)
			continue
		}
		if at > 0 && s.yolo.rows[at-1].picture != row.picture {
			clear(seen)
		}
		if key := row.key(m); seen[key] {
			s.note(Repeated)
			continue
		} else {
			seen[key] = true
		}
		s.scored = s.scored || m.score != nil
		p.keep(m)
	}
	s.yolo.rows = nil
	return nil
}

// sampled is about how many rows choose looks at.
const sampled = 400

// tally is how many rows fit a layout: may have it, and look like it.
type tally struct {
	layout
	may, likely int
}

// choose is the layout of rows, all of one. Each is asked of how many it may be and of how
// many it looks likely: a box in the picture with its points in it, or a polygon whose edges
// do not cross. One is chosen that is likely of most, while those that give other regions are
// not; where the layout is said, the first that may be of most.
func choose(all []layout, rows []yoloRow, said bool) (layout, error) {
	tallies, n := count(all, rows)
	most, tracked := 0, false
	for _, t := range tallies {
		most = max(most, t.may)
		tracked = tracked || t.tail == 2 && n > 1 && t.likely == n // no set of polygons or poses ends so by chance
	}
	tallies = slices.DeleteFunc(tallies, func(t tally) bool { return most == 0 || 10*t.may < 9*most || tracked && t.tail == 0 })
	if len(tallies) == 0 { // no row is good: each says why
		return all[slices.IndexFunc(all, func(l layout) bool { return said || l.task == "segment" })], nil
	}
	if said {
		return slices.MaxFunc(tallies, func(a, b tally) int { return a.may - b.may }).layout, nil
	}
	best := slices.MaxFunc(tallies, func(a, b tally) int { return a.likely - b.likely })
	if 2*best.likely < n { // of which none looks like any
		best = slices.MaxFunc(tallies, func(a, b tally) int { return a.may - b.may })
	}
	var rivals []string
	for _, t := range tallies {
		if !t.same(best.layout) && !best.beats(t, n) {
			rivals = append(rivals, t.String())
		}
	}
	if len(rivals) == 0 {
		return best.layout, nil
	}
	return layout{}, onnx.Remedy(fmt.Errorf("rows of %d numbers can be read as %s, and as %s; say the task, %s or with the points pose:KxD, "+
		"or put a data.yaml with kpt_shape beside them", len(rows[0].v)+1, best.layout, strings.Join(slices.Compact(rivals), ", "),
		strings.Join(Tasks, ", ")), "annotate.Options.Task")
}

// beats reports whether a layout is so much likelier of n rows than another that it need not
// be asked. Of few rows the other must be likely of nearly none; of many both are known well.
func (t tally) beats(o tally, n int) bool {
	return 2*t.likely >= n && (4*o.likely <= t.likely || n >= 20 && 20*t.likely >= 19*n && 10*o.likely <= 6*n)
}

// count is how many of n rows, a sample of all, fit each layout; of poses those count that
// have as many points as most.
func count(all []layout, rows []yoloRow) (tallies []tally, n int) {
	step := 1 + len(rows)/sampled
	n = (len(rows) + step - 1) / step
	for _, l := range all {
		byLength := map[int]*tally{}
		top := &tally{layout: l}
		for k := 0; k < len(rows); k += step {
			may, likely := l.fits(rows[k].v)
			if !may {
				continue
			}
			length := 0
			if l.task == "pose" {
				length = len(rows[k].v)
			}
			t := entry(byLength, length, tally{layout: l})
			if t.may++; likely {
				t.likely++
			}
			if t.may > top.may || t.may == top.may && t.likely > top.likely {
				top = t
			}
		}
		tallies = append(tallies, *top)
	}
	return tallies, n
}

// fits says whether a row may have the layout, and whether that is likely.
func (l layout) fits(v []float64) (may, likely bool) {
	body, tail, ok := l.body(v)
	if !ok {
		return false, false
	}
	switch l.tail {
	case 1:
		ok = tail[0] >= 0 && (tail[0] <= 1 || tail[0] == math.Trunc(tail[0]))
	case 2:
		ok = tail[0] >= 0 && tail[0] <= 1 && tail[1] >= 0 && tail[1] == math.Trunc(tail[1])
		likely = ok && tail[0] > 0 && tail[0] < 1 && tail[1] >= 1
	}
	if likely = likely || l.tail < 2; !ok {
		return false, false
	}
	if l.task == "segment" || l.task == "obb" {
		return inRange(body) == nil, likely && isSimple(body)
	}
	if len(v) >= 8 && len(v) <= 10 && isParallelogram(v) { // a turned box, and not a box and two points
		likely = false
	}
	w, h := body[2], body[3]
	x0, y0, x1, y1 := body[0]-w/2, body[1]-h/2, body[0]+w/2, body[1]+h/2
	const slack = 0.01
	likely = likely && x0 >= -slack && y0 >= -slack && x1 <= 1+slack && y1 <= 1+slack
	in, seen := 0, 0
	for p := body[4:]; len(p) > 0; p = p[l.each:] {
		x, y := p[0], p[1]
		if inRange(p[:2]) != nil || l.each == 3 && (p[2] < 0 || p[2] > 1 && p[2] != 2) {
			return false, false
		}
		if x == 0 && y == 0 || l.each == 3 && p[2] == 0 { // is not on the picture
			continue
		}
		seen++
		if gx, gy := w/10+slack, h/10+slack; x >= x0-gx && x <= x1+gx && y >= y0-gy && y <= y1+gy {
			in++
		}
	}
	return w > 0 && h > 0 && inRange(body[:4]) == nil, likely && 10*in >= 8*seen
}

// inRange reports numbers that are no fractions of the picture, however rounded.
func inRange(v []float64) error {
	for _, c := range v {
		if c < -0.5 || c > 1.5 {
			return fmt.Errorf("got the coordinate %g, want fractions of the picture from 0 to 1", c)
		}
	}
	return nil
}

// tailsAreTracks says whether the one number behind rows is that of a track: all are whole,
// and some above 1.
func (s *Set) tailsAreTracks(l layout) bool {
	top := 0.0
	for _, row := range s.yolo.rows {
		tail := row.v[min(4, len(row.v)):]
		if len(row.v) > 5 {
			_, tail, _ = l.body(row.v)
		}
		if len(tail) != 1 {
			continue
		}
		if tail[0] != math.Trunc(tail[0]) {
			return false
		}
		top = max(top, tail[0])
	}
	return top > 1
}

// noteTails says what the one number behind boxes was taken for.
func (s *Set) noteTails(tracks bool) {
	what := Reason("row read as detect with a confidence")
	if tracks {
		what = "row read as detect with a track"
	}
	for _, row := range s.yolo.rows {
		if len(row.v) == 5 {
			s.note(what)
		}
	}
}

// settlePoints gives a pose the number of points that most rows have.
func (l *layout) settlePoints(rows []yoloRow) {
	if l.task != "pose" || l.points > 0 {
		return
	}
	counts, most := map[int]int{}, 0
	for _, row := range rows {
		if body, _, ok := l.body(row.v); ok {
			counts[len(body)]++
			most = max(most, counts[len(body)])
		}
	}
	for n, count := range counts {
		if points := (n - 4) / l.each; count == most && points > l.points {
			l.points = points
		}
	}
}

// mark is the region of a row. One longer than a box has a layout, or where it has a
// confidence and a track this without the track.
func (row *yoloRow) mark(l layout, tracks bool) (m mark, err error) {
	v := row.v
	m = mark{scale: 1, label: row.label, line: row.line}
	if len(v) <= 5 {
		l = layout{task: "detect", tail: len(v) - 4}
	}
	body, tail, ok := l.body(v)
	if !ok && l.tail > 0 {
		l.tail--
		body, tail, ok = l.body(v)
	}
	if !ok {
		return m, fmt.Errorf("got %d numbers, want %s", len(v)+1, l.lengths())
	}
	if l.task == "pose" || l.task == "detect" {
		if err := inRange(body[:4]); err != nil {
			return m, err
		}
		m.box = corners([4]float64(body[:4]), "cxcywh")
	} else {
		if err := inRange(body); err != nil {
			return m, err
		}
		p := polygons{outlines: [][]float64{body}, scale: 1}
		m.box, m.shape = p.bounds(), p
	}
	return m, m.behind(tail, tracks)
}

// key is the same of rows that Ultralytics takes for one: of a polygon those with its class and
// box, else all numbers, as float32.
func (row *yoloRow) key(m mark) string {
	v := row.v
	if p, ok := m.shape.(polygons); ok {
		outline := p.outlines[0]
		v = append([]float64{m.box.X0, m.box.Y0, m.box.X1, m.box.Y1}, v[len(outline):]...)
	}
	key := make([]byte, 0, 4*len(v)+len(row.label))
	for _, x := range v {
		key = binary.LittleEndian.AppendUint32(key, math.Float32bits(float32(x)+0)) // 0 for -0
	}
	return string(append(key, row.label...))
}

// lengths are the numbers that rows may have.
func (l layout) lengths() string {
	n := map[string]int{"detect": 5, "obb": 9, "pose": 5 + l.points*l.each}[l.task]
	switch {
	case l.task == "segment":
		return "class and three points or more"
	case l.task == "pose" && l.points == 0:
		return "class, cx cy w h and points of 2 or 3 numbers"
	}
	return fmt.Sprintf("%d of %s", n+l.tail, l)
}

// behind takes the numbers behind a row.
func (m *mark) behind(tail []float64, tracks bool) error {
	if len(tail) == 0 {
		return nil
	}
	if id := tail[len(tail)-1]; len(tail) == 2 || tracks {
		if id < 0 || id != math.Trunc(id) || id > 1<<52 {
			return fmt.Errorf("got the track %g, want a whole number", id)
		}
		m.id = strconv.FormatFloat(id, 'f', -1, 64)
		tail = tail[:len(tail)-1]
	}
	if len(tail) == 1 {
		if score := tail[0]; score >= 0 && score <= 1 {
			m.score = &score
			return nil
		}
		return errors.New("got a confidence that is not from 0 to 1")
	}
	return nil
}

// isParallelogram reports whether four points are the corners of one, up to the rounding of
// pixels: of a turned box in fractions of the picture.
func isParallelogram(v []float64) bool {
	const slack = 2e-3
	return math.Abs(v[0]+v[4]-v[2]-v[6]) <= slack && math.Abs(v[1]+v[5]-v[3]-v[7]) <= slack
}

// maxSimple bounds the numbers of a polygon whose edges isSimple compares.
const maxSimple = 512

// isSimple reports whether no two edges of a polygon meet but neighbors. One of very many
// points passes.
func isSimple(v []float64) bool {
	if len(v) > maxSimple {
		return true
	}
	var p [][2]float64
	for i := 0; i+1 < len(v); i += 2 {
		if q := [2]float64{v[i], v[i+1]}; len(p) == 0 || p[len(p)-1] != q {
			p = append(p, q)
		}
	}
	if len(p) > 1 && p[0] == p[len(p)-1] {
		p = p[:len(p)-1]
	}
	n := len(p)
	if n < 3 {
		return false
	}
	for i := range n {
		for j := i + 2; j < n; j++ {
			if (j+1)%n != i && meet(p[i], p[(i+1)%n], p[j], p[(j+1)%n]) {
				return false
			}
		}
	}
	return true
}

// meet reports whether two edges have a point in common.
func meet(a, b, c, d [2]float64) bool {
	side := func(a, b, c [2]float64) int {
		v := (b[0]-a[0])*(c[1]-a[1]) - (b[1]-a[1])*(c[0]-a[0])
		switch {
		case v > 0:
			return 1
		case v < 0:
			return -1
		}
		return 0
	}
	on := func(a, b, c [2]float64) bool {
		return side(a, b, c) == 0 && min(a[0], b[0]) <= c[0] && c[0] <= max(a[0], b[0]) && min(a[1], b[1]) <= c[1] && c[1] <= max(a[1], b[1])
	}
	return side(a, b, c)*side(a, b, d) < 0 && side(c, d, a)*side(c, d, b) < 0 ||
		on(a, b, c) || on(a, b, d) || on(c, d, a) || on(c, d, b)
}
