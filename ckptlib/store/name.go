package store

import (
	"fmt"
	"strconv"
	"strings"
)

const (
	jobName      = "job.json"
	genDir       = "gen"
	packDir      = "packs"
	manifestName = "manifest.json"
	packSuffix   = ".pack"
	tempMark     = ".tmp-"

	// maxGeneration keeps numbers within the 32 bits that packs give them.
	maxGeneration = 1<<31 - 1
	maxPod        = 1<<31 - 1
)

// generationName returns the directory of a generation below the store.
func generationName(gen int) string { return fmt.Sprintf("%s/%06d", genDir, gen) }

// imageName returns the file of a pod's image below the store.
func imageName(gen, pod int, kind string) string {
	return fmt.Sprintf("%s/pod-%04d.%s", generationName(gen), pod, kind)
}

// packName returns the file of a pack below the store. The three numbers make
// it the only one of its name for ever: see Begin.
func packName(gen, pod, seq int) string {
	return fmt.Sprintf("%s/%06d-%04d-%02d%s", packDir, gen, pod, seq, packSuffix)
}

// parseGeneration is the inverse of generationName without its directory.
func parseGeneration(base string) (gen int, ok bool) {
	gen, ok = parseNumber(base, 6, maxGeneration)
	return gen, ok && gen > 0
}

// parseImage is the inverse of imageName.
func parseImage(name string) (gen, pod int, kind string, ok bool) {
	rest, ok := strings.CutPrefix(name, genDir+"/")
	if !ok {
		return 0, 0, "", false
	}
	dir, base, ok := strings.Cut(rest, "/")
	if !ok {
		return 0, 0, "", false
	}
	gen, ok = parseGeneration(dir)
	if !ok {
		return 0, 0, "", false
	}
	number, ok := strings.CutPrefix(base, "pod-")
	if !ok {
		return 0, 0, "", false
	}
	number, kind, _ = strings.Cut(number, ".")
	pod, ok = parseNumber(number, 4, maxPod)
	return gen, pod, kind, ok && validKind(kind)
}

// parsePack is the inverse of packName.
func parsePack(name string) (gen, pod, seq int, ok bool) {
	rest, ok := strings.CutPrefix(name, packDir+"/")
	if !ok {
		return 0, 0, 0, false
	}
	rest, ok = strings.CutSuffix(rest, packSuffix)
	if !ok {
		return 0, 0, 0, false
	}
	parts := strings.Split(rest, "-")
	if len(parts) != 3 {
		return 0, 0, 0, false
	}
	gen, ok1 := parseNumber(parts[0], 6, maxGeneration)
	pod, ok2 := parseNumber(parts[1], 4, maxPod)
	seq, ok3 := parseNumber(parts[2], 2, maxPacks)
	return gen, pod, seq, ok1 && ok2 && ok3 && gen > 0
}

// parseNumber accepts just what %0*d prints, so that a name has one spelling
// and no way out of its directory.
func parseNumber(s string, width, most int) (int, bool) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > most {
		return 0, false
	}
	return n, s == fmt.Sprintf("%0*d", width, n)
}

// validKind reports whether kind can end the name of an image.
func validKind(kind string) bool {
	for _, c := range kind {
		if c < 'a' || c > 'z' {
			return false
		}
	}
	return kind != "" && len(kind) <= 16
}
