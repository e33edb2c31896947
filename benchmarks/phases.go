package main

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// phaseLine is what `gompirun -v` says of a phase.
var phaseLine = regexp.MustCompile(`^gompirun: ([a-z]+): ([0-9.]+) ms(?:, own ([0-9.]+) ms)?`)

// paused are the phases in which the job stands still.
var paused = []string{"suspend", "elect", "drain", "snapshot", "refill", "resume"}

// parsePhases reads the times of checkpoints that were made; of one that was tried
// several times, those of the last try.
func parsePhases(text string) map[string]series {
	out, one := map[string]series{}, map[string]float64{}
	for line := range strings.Lines(text) {
		m := phaseLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		name := m[1]
		if name == "prepare" {
			clear(one)
		}
		took, _ := strconv.ParseFloat(m[2], 64)
		own, _ := strconv.ParseFloat(m[3], 64) // nothing is said of less than can be shown
		one[name], one[name+" own"] = took, own
		if slices.Contains(paused, name) {
			one["pause"] += took
			one["pause own"] += own
		}
		if name == "commit" {
			for key, ms := range one {
				out[key] = append(out[key], ms)
			}
		}
	}
	return out
}
