package main

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// A plot's axes are logarithmic, so that what grows linearly is as steep as the
// dashed line.
const (
	plotWidth, plotHeight = 300, 150
	plotLeft, plotBelow   = 60, 50
)

// plotted are the times that have a plot.
var plotted = []string{"pause", "suspend", "elect", "elect own", "drain", "snapshot", "resume", "write", "commit"}

// svg draws for each time a plot over the ranks, with a line for each number of
// hosts, and one over the hosts, with a line for each number of ranks.
func (r *scaleReport) svg() string {
	var b strings.Builder
	y := margin
	for _, key := range plotted {
		for column, x := range []counted{byRanks, byHosts} {
			p := plot{r: r, key: key, x: x, other: [...]counted{byHosts, byRanks}[column], left: margin + column*panelWidth + plotLeft, top: y + titleSpace}
			p.draw(&b)
		}
		y += titleSpace + plotHeight + plotBelow
	}
	return drawing(margin+2*panelWidth, y, b.String(), r.Host)
}

type plot struct {
	r         *scaleReport
	key       string
	x, other  counted
	left, top int
	// The ends of the axes, in powers of 2 and of 10.
	x0, x1, y0, y1 float64
}

func (p *plot) draw(b *strings.Builder) {
	lines := p.lines()
	if len(lines) == 0 {
		return
	}
	p.fit(lines)
	fmt.Fprintf(b, "<text x=\"%d\" y=\"%d\" font-size=\"13\">%s, ms, by %s</text>\n", p.left, p.top-10, p.key, p.x.name)
	fmt.Fprintf(b, "<path d=\"M%d %dV%dH%d\" fill=\"none\" stroke=\"#555\"/>\n", p.left, p.top, p.top+plotHeight, p.left+plotWidth)
	for v := p.x0; v <= p.x1; v++ {
		at := math.Exp2(v)
		fmt.Fprintf(b, "<text x=\"%.1f\" y=\"%d\" font-size=\"11\" text-anchor=\"middle\">%.0f</text>\n", p.atX(at), p.top+plotHeight+16, at)
	}
	for v := p.y0; v <= p.y1; v++ {
		at := math.Pow(10, v)
		fmt.Fprintf(b, "<text x=\"%d\" y=\"%.1f\" font-size=\"11\" text-anchor=\"end\">%g</text>\n", p.left-6, p.atY(at)+4, at)
	}
	// A linear growth that ends where the plot does.
	steps := min(p.x1-p.x0, (p.y1-p.y0)*math.Log2(10))
	fmt.Fprintf(b, "<text x=\"%d\" y=\"%d\" font-size=\"11\" fill=\"#999\">linear</text>\n", p.left+plotWidth+8, p.top+4)
	fmt.Fprintf(b, "<path d=\"M%.1f %.1fL%.1f %.1f\" stroke=\"#999\" stroke-dasharray=\"4 4\"/>\n",
		p.atX(math.Exp2(p.x1-steps)), p.atY(math.Pow(10, p.y1)/math.Exp2(steps)), p.atX(math.Exp2(p.x1)), p.atY(math.Pow(10, p.y1)))
	for i, l := range lines {
		colour := lineColours[i%len(lineColours)]
		path, sign := "", "M"
		for _, q := range l {
			ms, _ := q.median(p.key)
			path += fmt.Sprintf("%s%.1f %.1f", sign, p.atX(float64(p.x.of(q))), p.atY(ms))
			sign = "L"
		}
		end := l[len(l)-1]
		ms, _ := end.median(p.key)
		x, y := p.atX(float64(p.x.of(end))), p.atY(ms)
		fmt.Fprintf(b, "<path d=\"%s\" fill=\"none\" stroke=\"%s\" stroke-width=\"2\"/>\n", path, colour)
		fmt.Fprintf(b, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"%s\"/>\n", x, y, colour)
		fmt.Fprintf(b, "<text x=\"%d\" y=\"%d\" font-size=\"11\" fill=\"%s\">%s: %d</text>\n",
			p.left+plotWidth+8, p.top+plotHeight-14*i, colour, p.other.name, p.other.of(end))
	}
}

var lineColours = []string{"#1f77b4", "#d95f02", "#2ca02c", "#9467bd", "#8c564b", "#111111"}

// lines are the points that have the time, a line for each number of others.
func (p *plot) lines() (lines [][]*point) {
	of := map[int][]*point{}
	var numbers []int
	for i := range p.r.Points {
		q := &p.r.Points[i]
		if _, ok := q.median(p.key); !ok {
			continue
		}
		n := p.other.of(q)
		if of[n] == nil {
			numbers = append(numbers, n)
		}
		of[n] = append(of[n], q)
	}
	slices.Sort(numbers)
	for _, n := range numbers {
		slices.SortFunc(of[n], func(a, b *point) int { return cmp.Compare(p.x.of(a), p.x.of(b)) })
		lines = append(lines, of[n])
	}
	return lines
}

// fit chooses the ends of the axes.
func (p *plot) fit(lines [][]*point) {
	p.x0, p.y0, p.x1, p.y1 = math.Inf(1), math.Inf(1), math.Inf(-1), math.Inf(-1)
	for _, l := range lines {
		for _, q := range l {
			ms, _ := q.median(p.key)
			x, y := math.Log2(float64(p.x.of(q))), math.Log10(shown(ms))
			p.x0, p.x1 = min(p.x0, math.Floor(x)), max(p.x1, math.Ceil(x))
			p.y0, p.y1 = min(p.y0, math.Floor(y)), max(p.y1, math.Ceil(y))
		}
	}
	p.x1, p.y1 = max(p.x1, p.x0+1), max(p.y1, p.y0+1)
}

// shown is the least that can be: a tenth of a millisecond, which is the least that
// is told.
func shown(ms float64) float64 { return max(ms, 0.1) }

func (p *plot) atX(v float64) float64 {
	return float64(p.left) + (math.Log2(v)-p.x0)/(p.x1-p.x0)*plotWidth
}

func (p *plot) atY(ms float64) float64 {
	return float64(p.top) + plotHeight - (math.Log10(shown(ms))-p.y0)/(p.y1-p.y0)*plotHeight
}
