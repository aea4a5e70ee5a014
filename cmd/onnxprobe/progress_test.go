package main

import (
	"testing"
	"time"
)

// The rate is that of the last seconds, and none is told before a second: a run that begins
// slowly, goes on at 100 a second and then at 10.
func TestPace(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	p := &pace{total: 1000, window: 5 * time.Second}
	items := 0.0
	for step := range 401 { // of 0.1 s
		at := start.Add(time.Duration(step) * 100 * time.Millisecond)
		rate, left := p.rate(at, int(items))
		switch {
		case step < 10 && (rate != 0 || left != 0):
			t.Errorf("after %d tenths: %g a second, %v left", step, rate, left)
		case step == 70 && (rate < 99 || rate > 101): // 5 s after it is at its pace
			t.Errorf("at its pace: %g a second", rate)
		case step == 70 && (left < 4900*time.Millisecond || left > 5100*time.Millisecond):
			t.Errorf("%v left of 500 items", left)
		case step == 150 && (rate < 9 || rate > 11):
			t.Errorf("slower: %g a second", rate)
		}
		switch {
		case step < 20:
		case step < 100:
			items += 10
		default:
			items++
		}
	}
	if len(p.marks) > 110 {
		t.Errorf("%d marks are kept", len(p.marks))
	}
	for d, want := range map[time.Duration]string{0: "1s", 12300 * time.Millisecond: "12s", 200 * time.Second: "3m20s", 7500 * time.Second: "2h5m"} {
		if got := timeLeft(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}
