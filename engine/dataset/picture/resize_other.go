//go:build !amd64

package picture

func across(out, row []uint8, ks []kernel)    { across3(out, row, ks) }
func down(out, rows []uint8, weights []int32) { down1(out, rows, weights, 0) }
