package main

import (
	"fmt"
	"testing"
	"time"
)

func TestMedianIsTheMiddle(t *testing.T) {
	for _, c := range []struct {
		in   series
		want float64
	}{{series{3}, 3}, {series{9, 1, 2}, 2}, {series{4, 1, 3, 2}, 2.5}} {
		if got := c.in.median(); got != c.want {
			t.Errorf("median of %v = %v, want %v", c.in, got, c.want)
		}
	}
}

func TestCellsShowSpreadAndRatio(t *testing.T) {
	m := metric{unit: "s", prec: 1}
	for _, c := range []struct {
		s, base series
		want    string
	}{
		{nil, series{1}, "–"},
		{series{2}, nil, "2.0"},
		{series{2, 6, 4}, series{8}, "4.0 (2.0–6.0) ×0.50"},
		{series{2}, series{0}, "2.0"},
	} {
		if got := m.cell(c.s, c.base); got != c.want {
			t.Errorf("cell(%v, %v) = %q, want %q", c.s, c.base, got, c.want)
		}
	}
}

func TestTicksOfTheProgramAreRead(t *testing.T) {
	for _, c := range []struct {
		line string
		want tick
		ok   bool
	}{
		{"beat 1000000000", tick{"beat", time.Unix(1, 0), 0}, true},
		{"gap 2000000000 5", tick{"gap", time.Unix(2, 0), 5}, true},
		{"gap 2000000000", tick{}, false},
		{"sum 12ab", tick{}, false},
		{"bea", tick{}, false},
	} {
		got, ok := parseTick(c.line)
		if ok != c.ok || ok && got != c.want {
			t.Errorf("parseTick(%q) = %v, %v, want %v, %v", c.line, got, ok, c.want, c.ok)
		}
	}
}

func TestOnlyGapsThatReachIntoTheTimeCount(t *testing.T) {
	s := int64(time.Second)
	var lines []line
	for _, g := range [][2]int64{{1 * s, 3 * s}, {5 * s, 1 * s}, {8 * s, 9 * s}} {
		lines = append(lines, line{text: fmt.Sprintf("gap %d %d", g[0], g[1])})
	}
	for _, c := range []struct{ from, to, want int64 }{{3, 7, 3}, {4, 7, 1}, {6, 8, 0}, {0, 20, 9}} {
		got := largestGap(lines, time.Unix(c.from, 0), time.Unix(c.to, 0))
		if want := time.Duration(c.want) * time.Second; got != want {
			t.Errorf("largestGap from %d s to %d s = %v, want %v", c.from, c.to, got, want)
		}
	}
}
