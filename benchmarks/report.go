package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A toolResult is what one tool did in one case.
type toolResult struct {
	Tool     string            `json:"tool"`
	Version  string            `json:"version,omitempty"`
	Missing  string            `json:"missing,omitempty"`  // why it was not measured at all
	Series   map[string]series `json:"series,omitempty"`   // by the key of a metric; pauses also as their two gaps
	Failures map[string]int    `json:"failures,omitempty"` // what went wrong, and how often
	Right    int               `json:"right_answers"`      // after a restart, where the program tells
	Asked    int               `json:"restarts_waited_for"`
}

// A caseResult is one table.
type caseResult struct {
	Name  string       `json:"name"`
	Title string       `json:"title"`
	Notes []string     `json:"notes,omitempty"`
	Tools []toolResult `json:"tools"`
}

// A report is all of a run.
type report struct {
	Host   host         `json:"host"`
	Rounds int          `json:"rounds"`
	Cases  []caseResult `json:"cases"`
}

func (c *caseResult) base() map[string]series {
	for i := range c.Tools {
		if c.Tools[i].Tool == toolGompirun {
			return c.Tools[i].Series
		}
	}
	return nil
}

// markdown shows the report: metrics are rows, tools are columns.
func (r *report) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\nMedian of %d rounds (smallest–largest) ×ratio to gompirun. Lower is better everywhere.\n", r.Host.String(), r.Rounds)
	for i := range r.Cases {
		c := &r.Cases[i]
		fmt.Fprintf(&b, "\n## %s\n\n|", c.Title)
		for _, t := range c.Tools {
			fmt.Fprintf(&b, " | %s", strings.TrimSpace(t.Tool+" "+t.Version))
		}
		fmt.Fprintf(&b, " |\n|---|%s\n", strings.Repeat("--:|", len(c.Tools)))
		for _, m := range metrics {
			c.row(&b, m)
		}
		c.answers(&b)
		for _, t := range c.Tools {
			for _, what := range slices.Sorted(maps.Keys(t.Failures)) {
				fmt.Fprintf(&b, "\n- %s: %s (%d times)\n", t.Tool, what, t.Failures[what])
			}
		}
		for _, n := range c.Notes {
			fmt.Fprintf(&b, "\n- %s\n", n)
		}
	}
	return b.String()
}

// row shows a metric, unless no tool has a value for it.
func (c *caseResult) row(b *strings.Builder, m metric) {
	any := false
	line := fmt.Sprintf("| %s, %s", m.title, m.unit)
	for _, t := range c.Tools {
		base := c.base()[m.key]
		if t.Tool == toolGompirun {
			base = nil
		}
		cell := m.cell(t.Series[m.key], base)
		if t.Missing != "" {
			cell = t.Missing
		}
		any = any || len(t.Series[m.key]) > 0
		line += " | " + cell
	}
	if any {
		fmt.Fprintf(b, "%s |\n", line)
	}
}

// answers shows how many restarted programs came to a right end.
func (c *caseResult) answers(b *strings.Builder) {
	asked := 0
	line := "| right answer after a restart"
	for _, t := range c.Tools {
		asked += t.Asked
		if t.Asked == 0 {
			line += " | –"
			continue
		}
		line += fmt.Sprintf(" | %d of %d", t.Right, t.Asked)
	}
	if asked > 0 {
		fmt.Fprintf(b, "%s |\n", line)
	}
}

func (r *report) save(dir string) error {
	return save(dir, r.Host.Date.Format(fileTime), r, "# Benchmarks\n\n"+r.markdown(), r.svg())
}

// fileTime is how names of results tell the time of their run.
const fileTime = "20060102T150405Z"

// save leaves results in a directory: their values as JSON, tables as Markdown and
// a picture as SVG.
func save(dir, name string, values any, tables, picture string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	data, err := json.MarshalIndent(values, "", "  ")
	if err != nil {
		return err
	}
	base := filepath.Join(dir, name)
	return errors.Join(
		os.WriteFile(base+".json", append(data, '\n'), 0o644),
		os.WriteFile(base+".md", []byte(tables), 0o644),
		os.WriteFile(base+".svg", []byte(picture), 0o644),
	)
}
