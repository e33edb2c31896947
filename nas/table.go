package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// A result is a line of the table.
type result struct {
	job
	verified    bool
	failure     error // what else went wrong
	remarks     []string
	kills       int
	runTime     time.Duration // until the result was told, all lives and what was between them
	restarts    []float64     // seconds until the ranks went on
	checkpoints []checkpoint
}

func (r *result) ok() bool { return r.verified && r.failure == nil }

func (r *result) remark(format string, args ...any) {
	r.remarks = append(r.remarks, fmt.Sprintf(format, args...))
}

var titles = []string{
	"program", "class", "ranks", "MPI", "result", "run, s", "kills",
	"checkpoints", "pause, ms", "written, MiB", "restart, s", "remarks",
}

// table shows the results, in Markdown that is legible as it is. Pause and
// restart are medians.
func table(results []result) string {
	rows := [][]string{titles, nil}
	for i := range results {
		rows = append(rows, results[i].row())
	}
	widths := make([]int, len(titles))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, w := range widths {
		rows[1] = append(rows[1], strings.Repeat("-", w))
	}
	var b strings.Builder
	for _, row := range rows {
		for i, cell := range row {
			b.WriteString("| " + cell + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+1))
		}
		b.WriteString("|\n")
	}
	return b.String()
}

func (r *result) row() []string {
	verdict := "NOT VERIFIED"
	switch {
	case r.ok():
		verdict = "verified"
	case r.verified:
		verdict = "verified, FAILED"
	case r.failure != nil:
		verdict = "FAILED"
	}
	row := []string{
		r.name, r.class, strconv.Itoa(r.ranks), r.family, verdict,
		fmt.Sprintf("%.1f", r.runTime.Seconds()), strconv.Itoa(r.kills), strconv.Itoa(len(r.checkpoints)), "", "", "",
	}
	if len(r.checkpoints) > 0 {
		var pauses []float64
		written := 0.0
		for _, c := range r.checkpoints {
			pauses = append(pauses, c.pause)
			written += c.written
		}
		row[8], row[9] = fmt.Sprintf("%.0f", median(pauses)), fmt.Sprintf("%.1f", written/(1<<20))
	}
	if len(r.restarts) > 0 {
		row[10] = fmt.Sprintf("%.2f", median(r.restarts))
	}
	remarks := r.remarks
	if r.failure != nil {
		first, _, _ := strings.Cut(r.failure.Error(), "\n")
		remarks = append(remarks, first)
	}
	return append(row, strings.Join(remarks, "; "))
}

// median is the middle of the values, 0 if there are none.
func median(values []float64) float64 {
	v := slices.Sorted(slices.Values(values))
	n := len(v)
	if n == 0 {
		return 0
	}
	return (v[(n-1)/2] + v[n/2]) / 2
}
