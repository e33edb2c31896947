package programs

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// lines are numbered lines of a text.
func lines(from, to int) string {
	var b strings.Builder
	for i := from; i <= to; i++ {
		fmt.Fprintf(&b, "line %d\n", i)
	}
	return b.String()
}

// adderC and adderGo ask for numbers and print the sum of all so far.
const (
	adderC = `#include <stdio.h>
int main(void) { long n, sum = 0; setbuf(stdout, NULL); printf("sum> "); while (scanf("%ld", &n) == 1) printf("= %ld\nsum> ", sum += n); return 0; }
`
	adderGo = `package main
import "fmt"
func main() {
	numbers, sums := make(chan int), make(chan int)
	go func() { sum := 0; for n := range numbers { sum += n; sums <- sum } }()
	for n := 0; ; {
		fmt.Print("sum> ")
		if _, err := fmt.Scan(&n); err != nil { return }
		numbers <- n
		fmt.Printf("= %d\n", <-sums)
	}
}
`
)

func TestStaticPrograms(t *testing.T) {
	for _, tt := range []struct {
		name, file, source string
		build              []string
	}{
		{"C", "adder.c", adderC, []string{"gcc", "-static", "-O1", "-o", "adder", "adder.c"}},
		{"Go", "adder.go", adderGo, []string{"go", "build", "-o", "adder", "adder.go"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, tt.file), []byte(tt.source), 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(tt.build[0], tt.build[1:]...)
			cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0")
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("build the program: %v\n%s", err, out)
			}
			b, err := os.ReadFile(filepath.Join(dir, "adder"))
			if err != nil {
				t.Fatal(err)
			}
			(&program{
				argv: []string{"./adder"}, files: map[string]string{"adder": string(b)},
				before: []step{{"", `sum> $`}, {"40\r", `= 40\r\n`}, {"2\r", `= 42\r\n`}},
				after:  []step{{"4158\r", `= 4200\r\n`}},
			}).test(t)
		})
	}
}
