package flags

// nearest finds the option that a mistyped one may stand for: at most two
// letters away, and never more than a third of the word. It returns the option
// as one would write it, or nothing.
func nearest(name string, verb Verb) string {
	best, word := min(3, len(name)/3+1), ""
	for i := range table {
		o := &table[i]
		if !o.takenBy(verb) {
			continue
		}
		for _, n := range append([]string{o.name}, o.aliases...) {
			if len(n) < 3 || len(name) > 64 {
				continue
			}
			if d := distance(name, n); d < best {
				best, word = d, "--"+n
			}
		}
	}
	return word
}

// distance is the number of letters to insert, delete or replace.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
