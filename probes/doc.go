// Package probes attaches probes to the places where a network bends, which package
// site finds, and turns what the probed network returns into activation codes and
// local complexity.
package probes
