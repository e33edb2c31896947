//go:build race

package store

// flipStep is the distance of the bytes whose bits are flipped. The race
// detector makes each try ten times as slow and learns nothing from them.
const flipStep = 13
