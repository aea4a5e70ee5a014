package picture

import "golang.org/x/sys/cpu"

// across is across3, and may read and write the byte after the rows.
func across(out, row []uint8, ks []kernel) {
	if !cpu.X86.HasAVX2 {
		across3(out, row, ks)
		return
	}
	from, to := reach(ks)
	_, _ = row[3*from:3*to], out[:3*len(ks)]
	acrossAVX2(&out[0], &row[0], &ks[0], len(ks))
}

// down makes a row of as many rows as there are weights.
func down(out, rows []uint8, weights []int32) {
	n := 0
	if cpu.X86.HasAVX2 && len(weights) > 0 {
		n = len(out) &^ 15
	}
	if n > 0 {
		_ = rows[:len(out)*len(weights)]
		downAVX2(&out[0], &rows[0], &weights[0], n, len(out), len(weights))
	}
	down1(out, rows, weights, n)
}

//go:noescape
func acrossAVX2(out, row *uint8, ks *kernel, n int)

//go:noescape
func downAVX2(out, rows *uint8, weights *int32, n, stride, rowCount int)
