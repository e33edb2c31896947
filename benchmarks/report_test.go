package main

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func example() *report {
	return &report{
		Host:   host{Name: "h<1>", Kernel: "6.18", CPU: "C", CPUs: 2, Date: time.Date(2026, 11, 22, 18, 5, 0, 0, time.UTC)},
		Rounds: 2,
		Cases: []caseResult{{Name: "process", Title: "One & only", Tools: []toolResult{
			{Tool: toolGompirun, Series: map[string]series{keyPause: {10, 30}, keyRun: {4}}},
			{Tool: toolDMTCP, Version: "5.0", Series: map[string]series{keyPause: {40}}, Failures: map[string]int{"broke": 2}},
			{Tool: toolCRIU, Missing: "not installed"},
		}}},
	}
}

func TestTableHasRatiosAndFailures(t *testing.T) {
	got := example().markdown()
	for _, want := range []string{
		"| | gompirun | DMTCP 5.0 | CRIU |\n|---|--:|--:|--:|\n",
		"| pause, as the program sees it, ms | 20.0 (10.0–30.0) | 40.0 ×2.00 | not installed |\n",
		"| run without checkpoints, s | 4.00 | – | not installed |\n",
		"- DMTCP: broke (2 times)\n",
		"Linux 6.18",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the table lacks %q:\n%s", want, got)
		}
	}
	if strings.Contains(got, "restart until progress") {
		t.Errorf("the table has a row that no tool has a value for:\n%s", got)
	}
}

func TestPictureIsXMLWithABarForEachValue(t *testing.T) {
	bars := wantXML(t, example().svg())["rect"]
	if want := 1 + 3; bars != want { // the background is one
		t.Errorf("the picture has %d rectangles, want %d", bars, want)
	}
}

// wantXML counts the elements of a picture.
func wantXML(t *testing.T, picture string) map[string]int {
	t.Helper()
	elements := map[string]int{}
	for d := xml.NewDecoder(strings.NewReader(picture)); ; {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			return elements
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := tok.(xml.StartElement); ok {
			elements[e.Name.Local]++
		}
	}
}

func TestResultsAreFilesNamedByTheTime(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "results")
	if err := example().save(dir); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "20261122T180500Z.json"))
	if err != nil {
		t.Fatal(err)
	}
	var back report
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	if got := back.Cases[0].Tools[0].Series[keyPause].median(); got != 20 {
		t.Errorf("the median of what was saved = %v, want 20", got)
	}
	for _, ext := range []string{".md", ".svg"} {
		if _, err := os.Stat(filepath.Join(dir, "20261122T180500Z"+ext)); err != nil {
			t.Error(err)
		}
	}
}
