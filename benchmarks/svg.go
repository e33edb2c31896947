package main

import (
	"fmt"
	"html"
	"slices"
	"strings"
)

// Sizes of the picture, in pixels.
const (
	panelWidth = 480
	nameWidth  = 90
	barsWidth  = 260
	barHeight  = 18
	barSpace   = 6
	titleSpace = 34
	margin     = 16
)

var colours = map[string]string{
	toolGompirun: "#1f77b4", toolCRIU: "#9467bd", toolDMTCP: "#d95f02", toolNative: "#7f7f7f",
}

// svg draws a panel for each case and metric: a bar for each tool's median, and
// a line from its smallest to its largest value. Panels have scales of their
// own, which begin at 0.
func (r *report) svg() string {
	var body strings.Builder
	y, width := margin, margin
	for i := range r.Cases {
		c := &r.Cases[i]
		y += 14
		fmt.Fprintf(&body, "<text x=\"%d\" y=\"%d\" font-size=\"16\" font-weight=\"bold\">%s</text>\n", margin, y, html.EscapeString(c.Title))
		y += 10
		height, column := 0, 0
		for _, m := range metrics {
			if !m.chart || !c.has(m.key) {
				continue
			}
			x := margin + column*panelWidth
			height = max(height, panel(&body, x, y, m, c.Tools))
			width = max(width, x+panelWidth)
			if column++; column == 2 {
				y, column, height = y+height, 0, 0
			}
		}
		y += height + margin
	}
	return drawing(max(width, 2*panelWidth), y, body.String(), r.Host)
}

// drawing is a picture with what is in it, and below that, at y, where it is from.
func drawing(width, y int, body string, h host) string {
	return fmt.Sprintf("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" font-family=\"sans-serif\">\n"+
		"<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n%s"+
		"<text x=\"%d\" y=\"%d\" font-size=\"10\" fill=\"#555\">%s</text>\n</svg>\n",
		width, y+margin, body, margin, y, html.EscapeString(h.String()))
}

func (c *caseResult) has(key string) bool {
	return slices.ContainsFunc(c.Tools, func(t toolResult) bool { return len(t.Series[key]) > 0 })
}

// panel draws one metric and returns its height.
func panel(b *strings.Builder, x, y int, m metric, tools []toolResult) int {
	largest := 0.0
	for _, t := range tools {
		if s := t.Series[m.key]; len(s) > 0 {
			largest = max(largest, slices.Max(s))
		}
	}
	if largest == 0 {
		largest = 1 // all bars are empty
	}
	scale := func(v float64) float64 { return v / largest * barsWidth }
	fmt.Fprintf(b, "<text x=\"%d\" y=\"%d\" font-size=\"13\">%s, %s</text>\n", x, y+20, html.EscapeString(m.title), m.unit)
	at := y + titleSpace
	for _, t := range tools {
		s := t.Series[m.key]
		if len(s) == 0 {
			continue
		}
		left, middle := x+nameWidth, at+barHeight/2
		fmt.Fprintf(b, "<text x=\"%d\" y=\"%d\" font-size=\"12\" text-anchor=\"end\">%s</text>\n", left-6, middle+4, t.Tool)
		fmt.Fprintf(b, "<rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" fill=\"%s\"/>\n", left, at, scale(s.median()), barHeight, colours[t.Tool])
		fmt.Fprintf(b, "<path d=\"M%.1f %dH%.1f\" stroke=\"black\"/>\n",
			float64(left)+scale(slices.Min(s)), middle, float64(left)+scale(slices.Max(s)))
		fmt.Fprintf(b, "<text x=\"%.1f\" y=\"%d\" font-size=\"12\">%.*f</text>\n",
			float64(left)+scale(slices.Max(s))+6, middle+4, m.prec, s.median())
		at += barHeight + barSpace
	}
	return at - y + barSpace
}
