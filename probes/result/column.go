package result

// Column is one named result for the rows of one batch.
type Column struct {
	// Name is the column's name, the same in every batch.
	Name string
	// Values holds the rows one after the other: []string, []int64, []float64,
	// []float32, []int32, []uint8 or []bool. Its length is rows times Width.
	Values any
	// Width is the number of values in a row; 0 means one scalar. A []uint8
	// column with a width is binary data.
	Width int
	// Parts, when not nil, names consecutive pieces of a row (one for each
	// site). A table shows them as columns of their own, NAME.PART; their widths
	// add up to Width.
	Parts []Part
	// Null marks the rows without a value: those of items that could not be
	// read. nil means that every row has one. Values at null rows are zero.
	Null []bool
}

// Part is one named piece of a Column's row.
type Part struct {
	Name  string
	Width int
}

// Sink receives the columns of one run, batch by batch. Results appear under
// their final name whole, on Commit, or not at all.
type Sink interface {
	// Write appends rows. Every call has the same columns: names, types, widths
	// and parts. The sink keeps nothing of cols.
	Write(cols []Column) error
	// Commit completes the files and gives them their final names; manifest is
	// written beside them as NAME.manifest.json.
	Commit(manifest any) error
	// Abort removes what was written. After Commit it does nothing, so it can be
	// deferred.
	Abort() error
}
