package main

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// A scaleReport is what phases of checkpoints take in jobs of several sizes.
type scaleReport struct {
	Host    host    `json:"host"`
	MPI     string  `json:"mpi"`
	Rounds  int     `json:"rounds"`
	Points  []point `json:"points"`
	LeftOut []point `json:"left_out,omitempty"` // for want of time
}

// scaleColumns are the times that the table has, by their keys in point.MS.
var scaleColumns = []string{"prepare", "suspend", "elect", "elect own", "drain", "drain own", "snapshot", "resume", "pause", "pause own", "write", "commit"}

// median is that of a time in ms; ok is false where there is none.
func (p *point) median(key string) (ms float64, ok bool) {
	if s := p.MS[key]; p.Failure == "" && len(s) > 0 {
		return s.median(), true
	}
	return 0, false
}

// line is what is said when a point has been measured.
func (p *point) line() string {
	s := fmt.Sprintf("ranks %d, hosts %d: ", p.Ranks, p.Hosts)
	if p.Failure != "" {
		return s + p.Failure
	}
	s += fmt.Sprintf("launch %.1f s", p.LaunchS)
	for _, key := range scaleColumns {
		if ms, ok := p.median(key); ok {
			s += fmt.Sprintf(", %s %.1f", key, ms)
		}
	}
	return s + " ms"
}

// counted is by what the size of a job is told.
type counted struct {
	name string
	of   func(*point) int
}

var (
	byRanks = counted{"ranks", func(p *point) int { return p.Ranks }}
	byHosts = counted{"hosts", func(p *point) int { return p.Hosts }}
)

// along is the measured points that have the largest number of others, by x.
func (r *scaleReport) along(x, other counted) (list []*point) {
	largest := 0
	for i := range r.Points {
		largest = max(largest, other.of(&r.Points[i]))
	}
	for i := range r.Points {
		if p := &r.Points[i]; other.of(p) == largest && p.Failure == "" {
			list = append(list, p)
		}
	}
	slices.SortFunc(list, func(a, b *point) int { return cmp.Compare(x.of(a), x.of(b)) })
	return list
}

const (
	// fitted is of how many points, the largest, growth is told: what does not grow
	// hides in small jobs what does.
	fitted = 3
	// tooShort is a time in ms of which growth is not told.
	tooShort = 1
	// superlinear is the exponent from which on a time is said to grow faster than
	// linearly. The medians of several checkpoints differ by some per cent.
	superlinear = 1.1
)

// exponent is that with which a time grows along x: 1 is linearly. ok is false where
// fewer than two points have it, or it is too short at the largest.
func exponent(list []*point, x counted, key string) (e float64, ok bool) {
	list = list[max(0, len(list)-fitted):]
	var n, sx, sy, sxx, sxy float64
	for _, p := range list {
		ms, ok := p.median(key)
		if !ok || ms <= 0 {
			return 0, false
		}
		a, b := math.Log(float64(x.of(p))), math.Log(ms)
		n, sx, sy, sxx, sxy = n+1, sx+a, sy+b, sxx+a*a, sxy+a*b
	}
	if n < 2 {
		return 0, false
	}
	last, _ := list[len(list)-1].median(key)
	return (n*sxy - sx*sy) / (n*sxx - sx*sx), last >= tooShort
}

func (r *scaleReport) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\nA job of %s whose ranks are connected all with all, and sleep (`ci/jobs/testdata/allpairs.c`). All hosts are "+
		"test hosts on this one machine: they share its processors. Medians of %d checkpoints, ms, as `gompirun -v` tells them; *own* is the "+
		"coordinator's part, in which no agent is waited for.\n\n| ranks | hosts | launch, s | %s |\n|--:|--:|--:|%s\n",
		r.Host.String(), r.MPI, r.Rounds, strings.Join(scaleColumns, " | "), strings.Repeat("--:|", len(scaleColumns)))
	list := slices.SortedFunc(slices.Values(r.Points), func(a, b point) int { return cmp.Or(a.Ranks-b.Ranks, a.Hosts-b.Hosts) })
	for i := range list {
		p := &list[i]
		fmt.Fprintf(&b, "| %d | %d | %.1f |", p.Ranks, p.Hosts, p.LaunchS)
		for _, key := range scaleColumns {
			if ms, ok := p.median(key); ok {
				fmt.Fprintf(&b, " %.1f |", ms)
			} else {
				b.WriteString(" – |")
			}
		}
		b.WriteByte('\n')
	}
	for _, p := range list {
		if p.Failure != "" {
			fmt.Fprintf(&b, "\n- ranks %d, hosts %d: %s\n", p.Ranks, p.Hosts, p.Failure)
		}
	}
	for _, p := range r.LeftOut {
		fmt.Fprintf(&b, "\n- ranks %d, hosts %d: left out, the time was up\n", p.Ranks, p.Hosts)
	}
	if growth := r.growth(byRanks, byHosts) + r.growth(byHosts, byRanks); growth != "" {
		b.WriteString("\n## Growth\n" + growth)
	}
	return b.String()
}

// growth says with which exponent each time grows along x, and which do faster than
// linearly; "" if there is but one point.
func (r *scaleReport) growth(x, other counted) string {
	list := r.along(x, other)
	if len(list) < 2 {
		return ""
	}
	list = list[max(0, len(list)-fitted):]
	first, last := list[0], list[len(list)-1]
	var all, fast []string
	for _, key := range scaleColumns {
		e, ok := exponent(list, x, key)
		if !ok {
			continue
		}
		all = append(all, fmt.Sprintf("%s %.2f", key, e))
		if e > superlinear {
			fast = append(fast, key)
		}
	}
	return fmt.Sprintf("\nWith the %s, from %d to %d with %d %s, as the power (1 is linear; times of less than %d ms are left out): %s. **Faster than linearly: %s.**\n",
		x.name, x.of(first), x.of(last), other.of(last), other.name, tooShort, orNone(all), orNone(fast))
}

func orNone(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, ", ")
}

func (r *scaleReport) save(dir string) error {
	return save(dir, r.Host.Date.Format(fileTime)+"-scale", r, "# Scale\n\n"+r.markdown(), r.svg())
}
