package main

import (
	"cmp"
	"io"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// commands are all commands of the program by their paths.
func commands() map[string]*cobra.Command {
	all := map[string]*cobra.Command{}
	var add func(c *cobra.Command)
	add = func(c *cobra.Command) {
		all[c.CommandPath()] = c
		for _, below := range c.Commands() {
			add(below)
		}
	}
	add(newRoot(strings.NewReader(""), io.Discard, io.Discard))
	return all
}

// Every old name is hidden in a command that has the new one, sets that, and says so.
func TestOldNamesOfFlags(t *testing.T) {
	for _, r := range renamed {
		seen := 0
		for path, c := range commands() {
			old := c.Flags().Lookup(r.old)
			if old == nil || !old.Hidden || len(old.Annotations[isNow]) == 0 {
				continue
			}
			if is := old.Annotations[isNow][0]; (r.new == "") != strings.HasPrefix(is, "does nothing") || !strings.Contains(is, "--"+r.new) && r.new != "" {
				continue // another row's
			}
			seen++
			var said strings.Builder
			c.SetErr(&said)
			value := "1"
			if err := c.Flags().Set(r.old, value); err != nil {
				t.Errorf("%s --%s=%s: %v", path, r.old, value, err)
			}
			sayRenamed(c)
			if r.new != "" && !c.Flags().Changed(r.new) || !strings.Contains(said.String(), "--"+cmp.Or(r.new, r.old)) {
				t.Errorf("%s --%s does not set --%s, or says %q", path, r.old, r.new, said.String())
			}
			if err := c.Flags().Set(r.old, "\x00"); err != nil && r.new != "" && strings.Contains(err.Error(), "--"+r.new) {
				t.Errorf("%s --%s says of a bad value twice what is wrong: %v", path, r.old, err)
			}
			if strings.Contains(c.UsageString(), "--"+r.old+" ") {
				t.Errorf("%s shows --%s", path, r.old)
			}
		}
		if seen == 0 {
			t.Errorf("no command has --%s", r.old)
		}
	}
}
