package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/onnxprobe/onnxprobe/engine"
	"github.com/onnxprobe/onnxprobe/engine/backends"
	"github.com/onnxprobe/onnxprobe/engine/isolate"
	"github.com/onnxprobe/onnxprobe/probes/text"
)

func (f *engineFlags) addIsolation(fs *pflag.FlagSet) {
	fs.StringVar(&f.isolate, "isolate", string(isolate.Auto), "")
	fs.Lookup("isolate").NoOptDefVal = string(isolate.Yes)
	fs.StringVar(&f.timeout, "timeout", "", "")
	fs.StringVar(&f.maxMemory, "max-memory", "", "")
}

// What holds under --isolate=yes, for models that one does not trust, and otherwise, where a
// limit should not be in the way of any that one does.
const (
	strictMemory = 4 << 30
	strictTime   = time.Minute
	looseTime    = 5 * time.Minute
)

// spacedMode reports a choice that was given to --isolate after a space, which is an argument.
func spacedMode(c *cobra.Command, args []string) error {
	if !c.Flags().Changed("isolate") {
		return nil
	}
	for _, a := range args {
		if _, err := os.Stat(a); err != nil && slices.Contains(isolate.Modes, a) {
			return usagef("%q is no file; give --isolate its choice after an equals sign: --isolate=%s", a, a)
		}
	}
	return nil
}

// mode is --isolate.
func (f *engineFlags) mode() isolate.Mode { return isolate.Mode(f.isolate) }

// bound sets the limits of o.
func (f *engineFlags) bound(o *engine.Options) (err error) {
	switch {
	case f.maxMemory != "":
		if o.MaxMemory, err = engine.ParseBytes(f.maxMemory); err != nil {
			return usagef("--max-memory %w", err)
		}
	case f.mode() == isolate.Yes:
		o.MaxMemory = strictMemory
	default:
		o.MaxMemory = engine.DefaultMemory()
	}
	limit, err := f.time()
	if err == nil && limit > 0 && f.timeout != "" {
		o.Watch = &engine.Watchdog{Limit: limit, Expired: expired}
	}
	return err
}

// time is --timeout, or what it is by default.
func (f *engineFlags) time() (time.Duration, error) {
	switch {
	case f.timeout == "0":
		return 0, nil
	case f.timeout != "":
		d, err := time.ParseDuration(f.timeout)
		if err != nil || d < time.Millisecond && d != 0 {
			return 0, usagef("--timeout %q; write a time such as 20s, 5m or 1h30m, of a millisecond at least, or 0 for no limit", f.timeout)
		}
		return d, nil
	case f.mode() == isolate.Yes:
		return strictTime, nil
	}
	return looseTime, nil
}

// limits are those of a process of the engine's own.
func (f *engineFlags) limits(o engine.Options) isolate.Limits {
	limit, _ := f.time() // bound has checked it
	return isolate.Limits{Memory: o.MaxMemory, Time: limit}
}

// apart is b for trying whether it takes a model: in a process of its own wherever that can
// be, however light the model is.
func (f *engineFlags) apart(b engine.Backend, o engine.Options) engine.Backend {
	if f.mode() == isolate.No || f.mode() == isolate.Auto && (!isolate.Supported || o.Device.Kind == "cuda") {
		return b
	}
	w := backends.Apart(b, f.limits(o))
	w.Strict = f.mode() == isolate.Yes
	return w
}

// idleLimits reports flags of limits where no engine runs.
func idleLimits(changed func(string) bool, unless string) error {
	for _, name := range []string{"isolate", "timeout"} {
		if changed(name) {
			return usagef("--%s is of an engine, and none runs here but %s; leave it out", name, unless)
		}
	}
	return nil
}

// noteIsolation says what holds of what was asked for, and what does not: once of engines
// that have it in common.
func (f *engineFlags) noteIsolation(c *cobra.Command, b engine.Backend) {
	w, apart := b.(*isolate.Backend)
	line := ""
	switch missing := isolate.Missing(); {
	case apart && f.mode() == isolate.Yes:
		line = "isolation: " + strings.Join(w.Holds(), ", ")
	case apart && missing != "":
		line = fmt.Sprintf("isolation, but for plain models of few multiply-adds: %s; %s", strings.Join(w.Holds(), ", "), missing)
	case !apart && f.maxMemory != "":
		line = fmt.Sprintf("--max-memory bounds the values of a run, and not the whole of what %s takes, which runs in the program itself", b.Name())
	}
	if line != "" {
		noteOnce(c, line)
	}
}

// expired ends the program whose engine does not come back.
func expired(lost *engine.LostError) {
	abandon(true)
	fmt.Fprintln(os.Stderr, "onnxprobe:", text.Message(withFlags(lost)))
	os.Exit(exitFailed)
}
