package region

// Scored says whether a source gives regions with a Score: it has a method of that name
// then, which says so before any region is asked for.
func Scored(from any) bool {
	s, ok := from.(interface{ Scored() bool })
	return ok && s.Scored()
}

// Scored is that of the pictures' source.
func (s *tileSource) Scored() bool { return Scored(s.from) }
