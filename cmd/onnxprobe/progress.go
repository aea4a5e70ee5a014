package main

import (
	"fmt"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/onnxprobe/onnxprobe/probes/result"
	"github.com/onnxprobe/onnxprobe/probes/text"
)

// pace is how fast a run goes: over the last seconds, since a rate over all of a run says
// little of where it is now, and one over an instant nothing.
type pace struct {
	total  int           // of items, 0 where it is not known
	window time.Duration // the rate is that over the last so long
	marks  []mark
}

type mark struct {
	at    time.Time
	items int
}

// least is how long a rate is measured at the least before it is told.
const least = time.Second

// rate is how many items a second the last ones took, 0 where it cannot be told yet, and how
// much time is left, 0 where that is not known. items are done now.
func (p *pace) rate(now time.Time, items int) (perSecond float64, left time.Duration) {
	for len(p.marks) > 1 && now.Sub(p.marks[1].at) >= p.window {
		p.marks = p.marks[1:]
	}
	if n := len(p.marks); n < 2 || now.Sub(p.marks[n-1].at) >= p.window/100 {
		p.marks = append(p.marks, mark{now, items})
	}
	first := p.marks[0]
	if took := now.Sub(first.at); took >= least && items > first.items {
		perSecond = float64(items-first.items) / took.Seconds()
		if p.total > items {
			left = time.Duration(float64(p.total-items) / perSecond * float64(time.Second))
		}
	}
	return perSecond, left
}

// timeLeft writes a duration as people say it: 12s, 3m20s, 2h5m.
func timeLeft(d time.Duration) string {
	switch d = max(d.Round(time.Second), time.Second); {
	case d >= time.Hour:
		return fmt.Sprintf("%dh%dm", int(d.Hours()), int(d.Minutes())%60)
	case d >= time.Minute:
		return fmt.Sprintf("%dm%ds", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%ds", int(d.Seconds()))
}

// speed writes a rate.
func speed(perSecond float64) string {
	if perSecond >= 100 {
		return text.Grouped(int64(perSecond)) + "/s"
	}
	return fmt.Sprintf("%.3g/s", perSecond)
}

// attended says whether someone looks at standard error.
func attended(c *cobra.Command) bool {
	f, ok := c.ErrOrStderr().(*os.File)
	return !quiet(c) && ok && term.IsTerminal(int(f.Fd()))
}

// progress shows how far a run over so many items is, where someone is looking.
func progress(c *cobra.Command, total int, what string) (func(result.Summary), func()) {
	if !attended(c) {
		return nil, func() {}
	}
	bar := newBar(c, total, what, progressbar.OptionShowCount())
	p := &pace{total: total, window: 5 * time.Second}
	return func(s result.Summary) {
		said := what
		if perSecond, left := p.rate(time.Now(), s.Items); perSecond > 0 {
			said += " " + speed(perSecond)
			if left > 0 {
				said += ", " + timeLeft(left) + " left"
			}
		}
		if s.Failed > 0 {
			said += fmt.Sprintf(" (%d failed)", s.Failed)
		}
		bar.Describe(said)
		_ = bar.Set(s.Items)
	}, func() { _ = bar.Finish() }
}

// shareDone shows how much of a comparison is done, where someone is looking.
func shareDone(c *cobra.Command, what string) (func(float64), func()) {
	if !attended(c) {
		return nil, func() {}
	}
	const whole = 1000
	bar := newBar(c, whole, what)
	p := &pace{total: whole, window: 5 * time.Second}
	return func(share float64) {
		said := what
		if _, left := p.rate(time.Now(), int(share*whole)); left > 0 {
			said += " " + timeLeft(left) + " left"
		}
		bar.Describe(said)
		_ = bar.Set(int(share * whole))
	}, func() { _ = bar.Finish() }
}

func newBar(c *cobra.Command, total int, what string, more ...progressbar.Option) *progressbar.ProgressBar {
	return progressbar.NewOptions(total, append(more, progressbar.OptionSetWriter(c.ErrOrStderr()), progressbar.OptionSetDescription(what),
		progressbar.OptionSetPredictTime(false), progressbar.OptionThrottle(200*time.Millisecond), progressbar.OptionClearOnFinish(),
		progressbar.OptionFullWidth())...)
}
