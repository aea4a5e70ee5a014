// Package probes finds the places where a network bends, attaches probes to
// them, and turns what the probed network returns into activation codes and
// local complexity.
package probes
