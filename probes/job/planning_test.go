package job

import "testing"

// Batches are as large as they can be where the last of a shard is padded least.
func TestFilling(t *testing.T) {
	for shard, want := range map[int]int{16: 8, 17: 6, 18: 6, 25: 5, 58: 6, 64: 8, 10_000: 8, 63: 7, 59: 6} {
		if got := filling(shard, 8); got != want {
			t.Errorf("shards of %d: batches of %d, want %d", shard, got, want)
		}
	}
}
