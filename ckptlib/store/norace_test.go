//go:build !race

package store

// flipStep is the distance of the bytes whose bits are flipped: every one.
const flipStep = 1
