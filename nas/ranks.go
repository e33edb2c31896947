package main

// suite are the programs, in the order in which they run.
var suite = []string{"ep", "is", "cg", "mg", "ft", "lu", "bt", "sp"}

// rules say what numbers of ranks a program can have.
var rules = map[string]struct {
	holds func(n int) bool
	words string
}{
	"ep": {func(n int) bool { return n >= 1 }, "any number"},
	"is": {powerOfTwo, "a power of two"},
	"cg": {powerOfTwo, "a power of two"},
	"mg": {powerOfTwo, "a power of two"},
	"ft": {powerOfTwo, "a power of two"},
	"lu": {nearlySquare, "n1*n2 with n1/2 <= n2 <= n1"},
	"bt": {square, "a square"},
	"sp": {square, "a square"},
}

func powerOfTwo(n int) bool { return n >= 1 && n&(n-1) == 0 }

func square(n int) bool {
	for i := 1; i*i <= n; i++ {
		if i*i == n {
			return true
		}
	}
	return false
}

func nearlySquare(n int) bool {
	for n2 := 1; n2*n2 <= n; n2++ {
		if n1 := n / n2; n1*n2 == n && n1 <= 2*n2 {
			return true
		}
	}
	return false
}

// nearest is the number of ranks nearest to n that a program can have, the
// smaller of two. One rank is always possible.
func nearest(program string, n int) int {
	for d := 0; ; d++ {
		if rules[program].holds(n - d) {
			return n - d
		}
		if rules[program].holds(n + d) {
			return n + d
		}
	}
}
