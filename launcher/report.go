package launcher

import (
	"fmt"
	"strings"
	"time"
)

// A Report is what a checkpoint came to.
type Report struct {
	Generation   int     `json:"generation"`
	Ranks        int     `json:"ranks"`
	Processes    int     `json:"processes"`
	BytesLogical int64   `json:"bytes_logical"`
	BytesChanged int64   `json:"bytes_changed"`
	BytesWritten int64   `json:"bytes_written"`
	PauseMS      float64 `json:"pause_ms"`
	DurationMS   int64   `json:"duration_ms"`

	pause, duration time.Duration
	warnings        []string
}

// String is the line that users read.
func (r Report) String() string {
	return fmt.Sprintf("checkpoint %d: %s, paused %s, %s, %s changed, %s written, durable after %.1f s",
		r.Generation, count(r.Ranks, "rank"), Millis(r.PauseMS), Bytes(r.BytesLogical), Bytes(r.BytesChanged), Bytes(r.BytesWritten), float64(r.DurationMS)/1000)
}

// Millis writes milliseconds, with one decimal below ten.
func Millis(ms float64) string {
	if ms < 10 {
		return fmt.Sprintf("%.1f ms", ms)
	}
	return fmt.Sprintf("%.0f ms", ms)
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	if strings.HasSuffix(noun, "s") {
		noun += "e"
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// Bytes writes a number of bytes with a binary unit and no more than three
// digits or one decimal.
func Bytes(n int64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	v := float64(n)
	unit := ""
	for _, u := range []string{"KiB", "MiB", "GiB", "TiB", "PiB"} {
		v /= 1024
		unit = u
		if v < 1000 {
			break
		}
	}
	if v < 10 {
		return fmt.Sprintf("%.1f %s", v, unit)
	}
	return fmt.Sprintf("%.0f %s", v, unit)
}
