package main

import (
	"fmt"
	"slices"
)

// A series is what one tool gave for one metric, a value per round.
type series []float64

// median returns the middle of the values, the mean of the middle two where
// their number is even. The series must not be empty.
func (s series) median() float64 {
	v := slices.Sorted(slices.Values(s))
	n := len(v)
	return (v[(n-1)/2] + v[n/2]) / 2
}

// A metric is one column of the tables.
type metric struct {
	key   string // in the JSON
	title string
	unit  string
	prec  int  // digits after the point
	chart bool // has a panel in the picture
}

// The keys of what is measured. Lower is better for all of them.
const (
	keyPause    = "pause_ms"
	keyReported = "pause_reported_ms"
	keyDurable  = "durable_s"
	keyBytes    = "written_mib"
	keyPause2   = "second_pause_ms"
	keyDurable2 = "second_durable_s"
	keyBytes2   = "second_written_mib"
	keyChanged2 = "second_changed_mib"
	keyMemory   = "agents_mib"
	keyRestart  = "restart_s"
	keyRun      = "run_s"
	keyRunEvery = "run_checkpointed_s"
)

var metrics = []metric{
	{keyPause, "pause, as the program sees it", "ms", 1, true},
	{keyReported, "pause, as the tool says", "ms", 1, false},
	{keyDurable, "durable after", "s", 2, true},
	{keyBytes, "written", "MiB", 0, true},
	{keyPause2, "second checkpoint: pause", "ms", 1, true},
	{keyDurable2, "second: durable after", "s", 2, true},
	{keyBytes2, "second: written", "MiB", 0, true},
	{keyChanged2, "second: changed since the first", "MiB", 0, false},
	{keyMemory, "memory of the agent at its most", "MiB", 0, false},
	{keyRestart, "restart until progress", "s", 2, true},
	{keyRun, "run without checkpoints", "s", 2, true},
	{keyRunEvery, "the same with a checkpoint every 10 s", "s", 2, false},
}

// cell shows a series, and how many times base its median is.
func (m metric) cell(s, base series) string {
	if len(s) == 0 {
		return "–"
	}
	text := fmt.Sprintf("%.*f", m.prec, s.median())
	if len(s) > 1 {
		text += fmt.Sprintf(" (%.*f–%.*f)", m.prec, slices.Min(s), m.prec, slices.Max(s))
	}
	if len(base) > 0 && base.median() > 0 {
		text += fmt.Sprintf(" ×%.2f", s.median()/base.median())
	}
	return text
}
